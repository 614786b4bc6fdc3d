/* flatnet images push: a bundle's images into a registry. */
#include "cli.h"
#include "interrupt.h"
#include "json.h"
#include "mem.h"
#include "num.h"
#include "pool.h"
#include "push.h"
#include "selection.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define DEFAULT_JOBS 6

static struct {
    const char *registry;
    const char *base;
    const char *authfile;
    const char *ca_file;
    struct cli_list only;
    struct cli_list plain_http;
    bool keep_host;
    bool flat;
    bool tls_verify;
    int jobs;
    int retries;
} options = {.tls_verify = true, .jobs = DEFAULT_JOBS, .retries = 5};

static const struct cli_option option_table[] = {
    {"registry", 0, CLI_STRING, "HOST[/PREFIX]", &options.registry, "where the images go"},
    {"keep-host", 0, CLI_FLAG, NULL, &options.keep_host,
     "names keep their host: HOST/PREFIX/docker.io/library/x:1"},
    {"flat", 0, CLI_FLAG, NULL, &options.flat, "names keep their last part only: HOST/PREFIX/x:1"},
    {"only", 0, CLI_LIST, "PATTERN", &options.only,
     "only images whose full or short name matches; may be repeated"},
    {"base", 0, CLI_STRING, "OLD", &options.base, "the bundle that a delta was made against"},
    {"jobs", 'j', CLI_INT, "N", &options.jobs, "transfers at a time (default 6)"},
    {"retries", 0, CLI_INT, "N", &options.retries, "tries after the first (default 5)"},
    {"authfile", 0, CLI_STRING, "FILE", &options.authfile, "registry credentials"},
    {"ca-file", 0, CLI_STRING, "FILE", &options.ca_file, "certificates to trust as well (PEM)"},
    {"tls-verify", 0, CLI_TRI, NULL, &options.tls_verify,
     "=false: do not check the certificate of the registry"},
    {"plain-http", 0, CLI_LIST, "HOST", &options.plain_http, "reach HOST[:PORT] by http"},
    {0},
};

static const struct cli_verb verb = {
    .path = "images push",
    .args = "BUNDLE --registry HOST[/PREFIX]",
    .summary = "push a bundle's images to a registry",
    .text =
        "docker.io/library/x:1 becomes HOST/PREFIX/library/x:1. Digests do not change. An image\n"
        "with several platforms keeps the digest of its index where the bundle has all of\n"
        "them; else an index of those that are there is pushed. What the registry has already\n"
        "is not sent, and what another of its repositories has is mounted from there.\n\n"
        "Exit status: 0 all are there, 5 some failed, 7 the registry cannot be reached\n"
        "or refuses all.",
    .options = option_table,
    .min_args = 1,
    .max_args = 1,
};

/* --- what is printed --- */

static cJSON *image_json(const struct push_image *image)
{
    cJSON *obj = cJSON_CreateObject();

    json_add_str(obj, "reference", image->image->reference);
    json_add_str(obj, "target", image->name);
    json_add_str(obj, "digest", image->top->digest);
    json_add_str(obj, "result", push_result_name(image->result));
    if (image->error)
        json_add_str(obj, "error", image->error->msg);
    return obj;
}

static void print_json(const struct push *p, const struct bundle *b, double seconds)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *list, *sum;

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "bundle", bundle_receipt(b));
    json_add_str(root, "registry", options.registry);
    list = cJSON_AddArrayToObject(root, "images");
    for (size_t i = 0; i < p->n_images; i++)
        cJSON_AddItemToArray(list, image_json(&p->images[i]));
    sum = cJSON_AddObjectToObject(root, "summary");
    json_add_int(sum, "pushed", (int64_t)p->results[PUSH_PUSHED]);
    json_add_int(sum, "present", (int64_t)p->results[PUSH_PRESENT]);
    json_add_int(sum, "failed", (int64_t)p->results[PUSH_FAILED]);
    json_add_int(sum, "blobsSent", (int64_t)p->blobs_sent);
    json_add_int(sum, "blobsMounted", (int64_t)p->blobs_mounted);
    json_add_int(sum, "bytesSent", p->bytes_sent);
    (void)cJSON_AddNumberToObject(sum, "seconds", seconds);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static void print_text(const struct push *p, double seconds)
{
    static const char *const heading[] = {"RESULT", "IMAGE", "NAME IN THE REGISTRY", NULL};
    char sent[NUM_SIZE_TEXT];
    struct table rows;

    table_init(&rows, heading);
    for (size_t i = 0; i < p->n_images; i++) {
        const struct push_image *image = &p->images[i];
        const char *const texts[] = {push_result_name(image->result), image->image->reference,
                                     image->name};

        table_row(&rows, texts);
    }
    table_print(&rows);
    table_release(&rows);
    (void)printf("%zu image%s pushed, %zu already there, %zu failed; %zu blobs sent (%s), %zu "
                 "mounted; %.1f s\n",
                 p->results[PUSH_PUSHED], num_plural(p->results[PUSH_PUSHED]),
                 p->results[PUSH_PRESENT], p->results[PUSH_FAILED], p->blobs_sent,
                 num_format_size(p->bytes_sent, sent), p->blobs_mounted, seconds);
}

/* --- doing it --- */

static double seconds_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int check_options(struct err **e)
{
    if (!options.registry || !*options.registry)
        return err_set(e, -EINVAL,
                       "'--registry' is needed: HOST[/PREFIX], such as registry.example:5000/team");
    if (options.keep_host && options.flat)
        return err_set(e, -EINVAL, "'--keep-host' and '--flat' do not go together");
    if (options.jobs < 1 || options.jobs > POOL_MAX_JOBS)
        return err_set(e, -EINVAL, "'--jobs' takes 1 to %d", POOL_MAX_JOBS);
    return 0;
}

/* Partly done, unless every image failed over the network or credentials. */
static int exit_status_of(const struct push *p)
{
    size_t refused = 0;

    for (size_t i = 0; i < p->n_images; i++)
        refused +=
            p->images[i].error && err_exit_status(p->images[i].error->status) == EXIT_NETWORK;
    if (!p->results[PUSH_FAILED])
        return EXIT_OK;
    return refused == p->n_images ? EXIT_NETWORK : EXIT_PARTIAL;
}

static int push(struct push *p, const struct bundle *b, struct err **e)
{
    struct registry_options o = {.authfile = options.authfile,
                                 .ca_file = options.ca_file,
                                 .plain_http = options.plain_http.items,
                                 .insecure = !options.tls_verify,
                                 .retries = options.retries};
    struct registry *registry = NULL;
    double start = seconds_now();
    int r = registry_new(&o, &registry, e);

    if (r < 0)
        return r;
    interrupt_init();
    r = push_run(p, b, registry, (size_t)options.jobs, e);
    registry_free(registry);
    if (r < 0)
        return r;
    if (cli_common.json)
        print_json(p, b, seconds_now() - start);
    else if (!cli_common.quiet)
        print_text(p, seconds_now() - start);
    return exit_status_of(p);
}

static int run(const char *path, struct err **e)
{
    enum push_naming naming = options.keep_host ? PUSH_KEEP_HOST
                              : options.flat    ? PUSH_FLAT
                                                : PUSH_DROP_HOST;
    auto_bundle struct bundle *b = NULL;
    auto_free bool *chosen = NULL;
    struct push p = {.n_images = 0};
    int r = check_options(e);

    if (r == 0)
        r = bundle_open(path, options.base, &b, e);
    if (r == 0)
        r = selection_match(bundle_index(b), options.only.items, &chosen, e);
    if (r == 0)
        r = push_plan(b, chosen, options.registry, naming, &p, e);
    if (r == 0)
        r = push(&p, b, e);
    push_release(&p);
    return r;
}

int cmd_images_push(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args = NULL;
    int count = 0;
    int r = cli_parse(&verb, argc, argv, &args, &count, &e);

    if (r > 0)
        return EXIT_OK;
    if (r == 0)
        r = run(args[0], &e);
    cli_list_release(&options.only);
    cli_list_release(&options.plain_http);
    return r < 0 ? cli_fail(&verb, e) : r;
}
