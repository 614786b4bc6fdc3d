/* flatnet bundle verify: is every byte what it should be? */
#include "cli.h"

#include "bundle.h"
#include "bundle_index.h"
#include "fs.h"
#include "interrupt.h"
#include "json.h"
#include "mem.h"
#include "num.h"
#include "pool.h"
#include "segfile.h"
#include "tar.h"
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *base;
static int jobs;

static const struct cli_option option_table[] = {
    {"base", 0, CLI_STRING, "OLD", &base, "the bundle that a delta was made against"},
    {"jobs", 'j', CLI_INT, "N", &jobs, "threads that hash (default: one per processor)"},
    {0},
};

static const struct cli_verb verb = {
    .path = "bundle verify",
    .args = "BUNDLE",
    .summary = "Reads a bundle once and checks every byte of it.",
    .text = "BUNDLE is a bundle, one of its volumes, an OCI layout, an archive of 'docker save',\n"
            "or '-' for a pipe. Exit status 4: damaged; the message names the entry and offset.",
    .options = option_table,
    .min_args = 1,
    .max_args = 1,
};

static bool is_bundle_start(const char *bytes, size_t len)
{
    return len >= sizeof(BUNDLE_INDEX_PATH) &&
           !memcmp(bytes, BUNDLE_INDEX_PATH, sizeof(BUNDLE_INDEX_PATH));
}

static int verify_pipe(struct verified *out, struct err **e)
{
    unsigned char first[TAR_BLOCK] = {0};
    size_t len = 0;

    while (len < sizeof(first)) {
        ssize_t n = read(STDIN_FILENO, first + len, sizeof(first) - len);
        if (n < 0 && errno == EINTR && !interrupt_seen())
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (volume_header_is((const char *)first, len))
        return err_set(e, -EINVAL, "volumes cannot come through a pipe; name one of the files");
    if (len == sizeof(first) && is_bundle_start((const char *)first, len))
        return verify_stream(STDIN_FILENO, first, out, e);
    return verify_imagefile("-", first, len, out, e);
}

/* What begins neither like a bundle nor like a volume is looked at as another tool's file. */
static bool is_foreign(const char *path)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    char first[TAR_BLOCK] = {0};
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, first, sizeof(first));
    return n < 0 || (!is_bundle_start(first, (size_t)n) && !volume_header_is(first, (size_t)n));
}

static int verify_path(const char *path, struct verified *out, struct err **e)
{
    auto_bundle struct bundle *b = NULL;
    int r;

    if (!strcmp(path, "-"))
        return verify_pipe(out, e);
    if (is_foreign(path))
        return verify_imagefile(path, NULL, 0, out, e);
    r = bundle_open(path, base, &b, e);
    return r < 0 ? r : verify_bundle(b, jobs ? (size_t)jobs : pool_default_jobs(), true, out, e);
}

static void print_json(const char *path, const struct verified *v, double seconds)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "file", path);
    (void)cJSON_AddBoolToObject(root, "verified", true);
    json_add_str(root, "kind", v->kind);
    json_add_int(root, "images", (int64_t)v->images);
    json_add_int(root, "entries", (int64_t)v->entries);
    json_add_int(root, "volumes", (int64_t)v->volumes);
    json_add_int(root, "bytes", v->bytes);
    (void)cJSON_AddNumberToObject(root, "seconds", seconds);
    json_add_str(root, "receipt", *v->receipt ? v->receipt : NULL);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static void print_text(const char *path, const struct verified *v, double seconds)
{
    char size[NUM_SIZE_TEXT], rate[NUM_SIZE_TEXT];

    (void)printf("verified %s: %s, %zu image%s, %zu entries, %s, %.1f s, %s/s%s%s\n", path, v->kind,
                 v->images, num_plural(v->images), v->entries, num_format_size(v->bytes, size),
                 seconds,
                 num_format_size((int64_t)((double)v->bytes / (seconds > 0 ? seconds : 1)), rate),
                 *v->receipt ? ", receipt " : "", v->receipt);
}

int cmd_bundle_verify(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    struct verified v = {0};
    struct timespec start, end;
    double seconds;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r > 0)
        return EXIT_OK;
    if (r < 0)
        return cli_fail(&verb, e);
    interrupt_init();
    clock_gettime(CLOCK_MONOTONIC, &start);
    r = verify_path(args[0], &v, &e);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (r < 0)
        return cli_fail(&verb, e);
    seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    if (cli_common.json)
        print_json(args[0], &v, seconds);
    else
        print_text(args[0], &v, seconds);
    return EXIT_OK;
}
