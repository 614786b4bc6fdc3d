/* flatnet bundle create: images and addons from a place with a network into one file. */
#include "cli.h"

#include "bundle_write.h"
#include "create.h"
#include "fetch.h"
#include "fs.h"
#include "interrupt.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_OUTPUT "flatnet-bundle.tar"
#define DEFAULT_JOBS 6
#define DEFAULT_RETRIES 5

static struct create_options options = {.output = DEFAULT_OUTPUT,
                                        .jobs = DEFAULT_JOBS,
                                        .retries = DEFAULT_RETRIES,
                                        .tls_verify = true};

static const struct cli_option option_table[] = {
    {"file", 'f', CLI_LIST, "LIST", &options.lists, "image list; '-' is standard input"},
    {"images", 0, CLI_LIST, "SET", &options.sets,
     "embedded image set: default, 2019-original, current"},
    {"from", 0, CLI_LIST, "PATH[=REF]", &options.from,
     "all images of an OCI layout or docker archive"},
    {"addons", 0, CLI_LIST, "PATH", &options.addons, "file or folder that goes in below addons/"},
    {"program", 0, CLI_LIST, "FILE", &options.programs, "static flatnet that goes in below bin/"},
    {"platform", 0, CLI_LIST, "OS/ARCH", &options.platforms,
     "may be repeated, the first is docker's (default linux/amd64)"},
    {"output", 'o', CLI_STRING, "FILE", &options.output, "the bundle (default " DEFAULT_OUTPUT ")"},
    {"volume-size", 0, CLI_STRING, "SIZE", &options.volume_size_text,
     "write FILE.001...: 4.7GB, 4GiB, fat32, dvd"},
    {"base", 0, CLI_STRING, "OLD", &options.base, "make a delta: leave out the layers OLD has"},
    {"allow-partial", 0, CLI_FLAG, NULL, &options.allow_partial,
     "write the bundle without images that failed (exit status 5 all the same)"},
    {"allow-missing", 0, CLI_FLAG, NULL, &options.allow_missing,
     "only warn about images that addons use, or that are flatnet's own, and are not there"},
    {"jobs", 'j', CLI_INT, "N", &options.jobs, "transfers at a time (default 6)"},
    {"retries", 0, CLI_INT, "N", &options.retries, "tries after the first (default 5)"},
    {"authfile", 0, CLI_STRING, "FILE", &options.authfile, "registry credentials"},
    {"ca-file", 0, CLI_STRING, "FILE", &options.ca_file, "certificates to trust as well (PEM)"},
    {"tls-verify", 0, CLI_TRI, NULL, &options.tls_verify,
     "=false: do not check certificates of registries"},
    {"plain-http", 0, CLI_LIST, "HOST", &options.plain_http, "reach HOST[:PORT] by http"},
    {"registry-mirror", 0, CLI_LIST, "HOST=URL", &options.mirrors, "ask URL before HOST"},
    {0},
};

static const struct cli_verb verb = {
    .path = "bundle create",
    .args = "[-f LIST]... [--from PATH]... [--addons PATH] [-o FILE]",
    .summary = "Makes one file that holds every named image, the addons and flatnet itself.",
    .text = "Without -f, --from and --images the default set goes in. A set brings its addons and\n"
            "this program along, unless others are named. A run that was stopped goes on where it\n"
            "was when the same command is given again.\n"
            "Exit status 5: some images failed; FILE.failed lists them with the reasons.",
    .options = option_table,
    .max_args = 0,
};

/* One run. */
struct creation {
    struct create_inputs in;
    struct bundle *base;
    struct registry *registry;
    struct journal *journal;
    size_t naming; /* the journal's number that tells that final names are being given */
    struct output output;
    char *journal_path, *index_text;
    char receipt[DIGEST_SIZE];
    size_t failed;
    struct timespec start;
};

static void creation_release(struct creation *c)
{
    journal_free(c->journal);
    output_release(&c->output);
    registry_free(c->registry);
    create_inputs_release(&c->in);
    bundle_free(c->base);
    free(c->journal_path);
    free(c->index_text);
}

static int check_options(struct err **e)
{
    struct stat out, base;

    if (options.jobs < 1 || options.jobs > 64)
        return err_set(e, -EINVAL, "'--jobs' takes 1 to 64");
    if (!*options.output || options.output[strlen(options.output) - 1] == '/')
        return err_set(e, -EINVAL, "'-o' takes the name of a file");
    if (stat(options.output, &out) == 0) {
        if (S_ISDIR(out.st_mode))
            return err_set(e, -EINVAL, "'%s' is a folder; '-o' takes the name of a file",
                           options.output);
        if (options.base && stat(options.base, &base) == 0 && out.st_dev == base.st_dev &&
            out.st_ino == base.st_ino)
            return err_set(e, -EINVAL, "the delta would replace its base '%s'", options.base);
    }
    if (options.allow_partial && options.volume_size_text)
        return err_set(e, -EINVAL,
                       "'--allow-partial' and '--volume-size' do not go together; make one file "
                       "and cut it with 'flatnet bundle split'");
    return 0;
}

static int open_registry(struct creation *c, struct err **e)
{
    struct registry_options o = {.authfile = options.authfile,
                                 .ca_file = options.ca_file,
                                 .plain_http = options.plain_http.items,
                                 .mirrors = options.mirrors.items,
                                 .insecure = !options.tls_verify,
                                 .retries = options.retries};

    return registry_new(&o, &c->registry, e);
}

static int too_few_images(struct creation *c, struct err **e)
{
    int r = create_write_failed(options.output, &c->in.plan, e);

    if (r < 0)
        return r;
    if (c->failed == c->in.plan.n_images || !options.allow_partial)
        return err_set(e, -EREMOTEIO,
                       "%zu of %zu images could not be had, no bundle was written; the list with "
                       "the reasons is '%s.failed'",
                       c->failed, c->in.plan.n_images, options.output);
    return 0;
}

static int resolve(struct creation *c, struct err **e)
{
    int r;

    log_info("resolving %zu image%s", c->in.plan.n_images, num_plural(c->in.plan.n_images));
    c->failed = plan_resolve(&c->in.plan, (const struct imagefile *const *)c->in.files,
                             c->in.n_files, c->registry, (size_t)options.jobs);
    r = interrupt_check(e);
    if (r == 0 && c->failed)
        r = too_few_images(c, e);
    return r < 0 ? r : plan_layout(&c->in.plan, c->base, e);
}

/* The journal of this plan, wherever its volumes are cut. */
static int open_journal(struct creation *c, int *out_resumed, struct err **e)
{
    char plan[DIGEST_SIZE];
    auto_free char *name = NULL;

    plan_digest(&c->in.plan, plan);
    name = xasprintf("%s/%lld", plan, (long long)c->in.volume_size);
    c->naming = c->in.plan.index.n_entries;
    return journal_open(c->journal_path, name, c->naming + 1, &c->journal, out_resumed, e);
}

static int check_space(const struct creation *c, struct err **e)
{
    int64_t need = c->in.plan.total_length - output_allocated(&c->output), have;
    char need_text[NUM_SIZE_TEXT], have_text[NUM_SIZE_TEXT];
    int r = fs_free_space(options.output, &have, e);

    if (r < 0 || need <= have)
        return r;
    return err_set(e, -ENOSPC,
                   "'%s' needs %s more and its disk has only %s free; make room or choose another "
                   "place with -o",
                   options.output, num_format_size(need, need_text),
                   num_format_size(have, have_text));
}

static int open_output(struct creation *c, struct err **e)
{
    size_t n_borders;
    auto_free int64_t *borders = bundle_borders(&c->in.plan, &n_borders);
    struct output_shape shape = {.borders = borders,
                                 .n_borders = n_borders,
                                 .total = c->in.plan.total_length,
                                 .volume_size = c->in.volume_size};
    int resumed = 0;
    int r = open_journal(c, &resumed, e);

    shape.keep = resumed;
    shape.named = r == 0 && journal_get(c->journal, c->naming);
    if (r == 0)
        r = output_open(options.output, &shape, &c->output, e);
    if (r < 0)
        return r;
    r = check_space(c, e);
    if (r < 0 && !resumed) {
        output_discard(&c->output);
        (void)unlink(c->journal_path);
    }
    return r;
}

static int fetch(struct creation *c, struct err **e)
{
    struct fetch f = {.plan = &c->in.plan,
                      .output = &c->output,
                      .journal = c->journal,
                      .registry = c->registry,
                      .jobs = (size_t)options.jobs};
    int r = fetch_layers(&f, e);

    if (r <= 0)
        return r;
    create_blame_images(&c->in.plan);
    c->failed = 0;
    for (size_t i = 0; i < c->in.plan.n_images; i++)
        c->failed += c->in.plan.images[i].error != NULL;
    r = too_few_images(c, e);
    if (r < 0)
        return r;
    (void)unlink(c->journal_path);
    return create_close_up(&c->in.plan, c->base, &c->output, e);
}

static int write_bundle(struct creation *c, struct err **e)
{
    int r = plan_finish(&c->in.plan, &c->index_text, e);

    if (r == 0)
        r = bundle_write(&c->in.plan, c->index_text, &c->output, e);
    if (r < 0)
        return r;
    hash_digest(c->index_text, c->in.plan.index_len, c->receipt);
    r = journal_put(c->journal, c->naming, 1);
    if (r < 0)
        return output_error(&c->output, r, 0, e);
    return output_commit(&c->output, c->receipt, e);
}

static void remove_leftovers(const struct creation *c)
{
    auto_free char *failed = xasprintf("%s.failed", options.output);

    (void)unlink(c->journal_path);
    if (!c->failed)
        (void)unlink(failed);
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static void print_text(const struct creation *c, double seconds)
{
    const struct plan *p = &c->in.plan;
    char size[NUM_SIZE_TEXT], rate[NUM_SIZE_TEXT];
    int64_t all = p->layer_bytes + p->shared_bytes;

    (void)
        printf("wrote %s: %zu image%s, %zu blobs (%zu unique), %s, %.0f %% saved by shared layers, "
               "%.1f s, %s/s\n",
               options.output, p->index.n_images, num_plural(p->index.n_images), p->blobs_named,
               p->index.n_entries - 3 - p->n_files, num_format_size(p->total_length, size),
               all ? 100.0 * (double)p->shared_bytes / (double)all : 0.0, seconds,
               num_format_size((int64_t)((double)p->total_length / seconds), rate));
    if (c->output.has_volumes)
        (void)printf("volumes %s.001 to %s.%03zu\n", options.output, options.output,
                     c->output.file.count);
    if (p->index.n_missing)
        (void)printf("delta: %zu layer%s left to %s\n", p->index.n_missing,
                     num_plural(p->index.n_missing), options.base);
    if (c->failed)
        (void)printf("WITHOUT %zu image%s, see %s.failed\n", c->failed, num_plural(c->failed),
                     options.output);
    (void)printf("receipt %s\n", c->receipt);
}

static void print_json(const struct creation *c, double seconds)
{
    const struct plan *p = &c->in.plan;
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "file", options.output);
    json_add_str(root, "receipt", c->receipt);
    json_add_int(root, "volumes", c->output.has_volumes ? (int64_t)c->output.file.count : 0);
    json_add_int(root, "images", (int64_t)p->index.n_images);
    json_add_int(root, "failedImages", (int64_t)c->failed);
    json_add_int(root, "blobs", (int64_t)p->blobs_named);
    json_add_int(root, "uniqueBlobs", (int64_t)(p->index.n_entries - 3 - p->n_files));
    json_add_int(root, "blobsLeftToBase", (int64_t)p->index.n_missing);
    json_add_int(root, "bytes", p->total_length);
    json_add_int(root, "sharedBytes", p->shared_bytes);
    (void)cJSON_AddNumberToObject(root, "seconds", seconds);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static int run(struct creation *c, struct err **e)
{
    int r = check_options(e);

    if (r == 0)
        r = create_read_inputs(&options, &c->in, e);
    if (r == 0 && options.base)
        r = bundle_open(options.base, NULL, &c->base, e);
    if (r == 0)
        r = open_registry(c, e);
    if (r == 0)
        r = resolve(c, e);
    if (r == 0)
        r = open_output(c, e);
    if (r == 0)
        r = fetch(c, e);
    if (r == 0)
        r = write_bundle(c, e);
    return r;
}

int cmd_bundle_create(int argc, char **argv)
{
    struct creation c = {.base = NULL};
    auto_err struct err *e = NULL;
    char **args;
    int n_args, status = EXIT_OK, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r > 0)
        return EXIT_OK;
    if (r < 0)
        return cli_fail(&verb, e);
    interrupt_init();
    clock_gettime(CLOCK_MONOTONIC, &c.start);
    c.journal_path = xasprintf("%s.journal", options.output);
    r = run(&c, &e);
    if (r < 0) {
        status = r == -EREMOTEIO ? EXIT_PARTIAL : err_exit_status(r);
        (void)cli_fail(&verb, e);
    } else {
        double seconds = seconds_since(&c.start);
        remove_leftovers(&c);
        if (cli_common.json)
            print_json(&c, seconds);
        else if (!cli_common.quiet)
            print_text(&c, seconds);
        status = c.failed ? EXIT_PARTIAL : EXIT_OK;
    }
    creation_release(&c);
    return status;
}
