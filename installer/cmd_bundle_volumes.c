/* flatnet bundle split and join: one bundle into volumes and back, verified on the way. */
#include "cli.h"

#include "bundle.h"
#include "bundle_index.h"
#include "fs.h"
#include "interrupt.h"
#include "json.h"
#include "mem.h"
#include "num.h"
#include "output.h"
#include "pool.h"
#include "progress.h"
#include "tar.h"
#include "verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (256u << 10)

static const char *output, *volume_size_text;

static const struct cli_option split_options[] = {
    {"volume-size", 0, CLI_STRING, "SIZE", &volume_size_text,
     "largest volume: 4.7GB, 4GiB, fat32, dvd"},
    {"output", 'o', CLI_STRING, "NAME", &output, "write NAME.001... (default: BUNDLE)"},
    {0},
};

static const struct cli_option join_options[] = {
    {"output", 'o', CLI_STRING, "FILE", &output, "the bundle to write"},
    {0},
};

static const struct cli_verb split_verb = {
    .path = "bundle split",
    .args = "BUNDLE --volume-size SIZE [-o NAME]",
    .summary = "Cuts a bundle into volumes, between blobs where possible.",
    .text = "The bundle stays. Every command that reads a bundle reads its volumes too.",
    .options = split_options,
    .min_args = 1,
    .max_args = 1,
};

static const struct cli_verb join_verb = {
    .path = "bundle join",
    .args = "VOLUME -o FILE",
    .summary = "Puts the volumes of a bundle together again; any one of them names the set.",
    .options = join_options,
    .min_args = 1,
    .max_args = 1,
};

/* The borders between the entries of a bundle that exists. */
static int64_t *borders_of(const struct bundle *b, size_t *out_count)
{
    const struct bundle_index *index = bundle_index(b);
    int64_t *borders = xcalloc(index->n_entries + 1, sizeof(*borders));
    size_t index_len;

    (void)bundle_index_text(b, &index_len);
    for (size_t i = 0; i < index->n_entries; i++)
        borders[i + 1] = bundle_data_start(index_len) + index->entries[i].offset -
                         (int64_t)tar_header_len(index->entries[i].size);
    *out_count = index->n_entries + 1;
    return borders;
}

static int copy(const struct bundle *b, const struct output *o, struct err **e)
{
    struct progress *progress = progress_new("copying", bundle_length(b), 0);
    auto_free char *chunk = xmalloc(CHUNK);
    int r = 0;

    for (int64_t at = 0; at < bundle_length(b) && r == 0;) {
        int64_t left = bundle_length(b) - at;
        size_t n = left < (int64_t)CHUNK ? (size_t)left : CHUNK;
        r = segfile_pread(bundle_file(b), chunk, n, at);
        if (r < 0)
            r = err_set(e, r, "cannot read '%s': %s", bundle_path(b), strerror(-r));
        else if ((r = segfile_pwrite(&o->file, chunk, n, at)) < 0)
            r = output_error(o, r, at, e);
        else
            r = interrupt_check(e);
        progress_add(progress, SIZE_MAX, (int64_t)n);
        at += (int64_t)n;
    }
    progress_free(progress);
    return r;
}

static int check_space(const struct bundle *b, struct err **e)
{
    char need[NUM_SIZE_TEXT], have_text[NUM_SIZE_TEXT];
    int64_t have;
    int r = fs_free_space(output, &have, e);

    if (r < 0 || have >= bundle_length(b))
        return r;
    return err_set(e, -ENOSPC, "'%s' needs %s and its disk has only %s free", output,
                   num_format_size(bundle_length(b), need), num_format_size(have, have_text));
}

/* Both ways: verify what is there, copy it, give it its name. */
static int rewrite(const struct bundle *b, int64_t volume_size, size_t *out_volumes, struct err **e)
{
    size_t n_borders;
    auto_free int64_t *borders = borders_of(b, &n_borders);
    struct output_shape shape = {.borders = borders,
                                 .n_borders = n_borders,
                                 .total = bundle_length(b),
                                 .volume_size = volume_size};
    struct verified v;
    struct output o;
    int r = check_space(b, e);

    if (r == 0)
        r = verify_bundle(b, pool_default_jobs(), false, &v, e);
    if (r == 0)
        r = output_open(output, &shape, &o, e);
    if (r < 0)
        return r;
    *out_volumes = o.has_volumes ? o.file.count : 0;
    r = copy(b, &o, e);
    if (r == 0)
        r = output_commit(&o, bundle_receipt(b), e);
    if (r < 0)
        output_discard(&o);
    output_release(&o);
    return r;
}

static void print(const struct bundle *b, size_t volumes)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    char size[NUM_SIZE_TEXT];

    if (!cli_common.json) {
        (void)printf("wrote %s%s, %s, receipt %s\n", output, volumes ? ".001..." : "",
                     num_format_size(bundle_length(b), size), bundle_receipt(b));
        return;
    }
    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "file", output);
    json_add_int(root, "volumes", (int64_t)volumes);
    json_add_int(root, "bytes", bundle_length(b));
    json_add_str(root, "receipt", bundle_receipt(b));
    text = json_print(root);
    (void)printf("%s\n", text);
}

static int run(const struct cli_verb *verb, int argc, char **argv, bool split)
{
    auto_bundle struct bundle *b = NULL;
    auto_err struct err *e = NULL;
    int64_t volume_size = 0;
    size_t volumes = 0;
    char **args;
    int n_args, r = cli_parse(verb, argc, argv, &args, &n_args, &e);

    if (r > 0)
        return EXIT_OK;
    if (r == 0 && split && !volume_size_text)
        r = err_set(&e, -EINVAL, "'--volume-size' is needed");
    if (r == 0 && split)
        r = output_parse_volume_size(volume_size_text, &volume_size, &e);
    if (r == 0 && !split && !output)
        r = err_set(&e, -EINVAL, "'-o' is needed");
    if (r == 0 && !output)
        output = args[0];
    interrupt_init();
    if (r == 0)
        r = bundle_open(args[0], NULL, &b, &e);
    if (r == 0)
        r = rewrite(b, volume_size, &volumes, &e);
    if (r < 0)
        return cli_fail(verb, e);
    print(b, volumes);
    return EXIT_OK;
}

int cmd_bundle_split(int argc, char **argv)
{
    return run(&split_verb, argc, argv, true);
}

int cmd_bundle_join(int argc, char **argv)
{
    return run(&join_verb, argc, argv, false);
}
