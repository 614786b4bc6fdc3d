/* flatnet images ls: a bundle's images beside what the runtime here has. */
#include "cmd_images.h"
#include "load.h"
#include "log.h"
#include "machine.h"
#include "mem.h"
#include "num.h"
#include "selection.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct images_options options = {.runtime = "auto", .root = ""};

static const struct cli_option table[] = {IMAGES_OPTIONS(options), {0}};

static const struct cli_verb verb = {
    .path = "images ls",
    .args = "[BUNDLE] [options]",
    .summary = "compare a bundle's images with what this host has",
    .text =
        "One row for each image of the bundle. STATE is 'present' (there under that name, with\n"
        "that id), 'absent', 'other id' (another image has the name), or 'unknown' where no\n"
        "runtime answers. Without BUNDLE: what the runtime has.",
    .options = table,
    .min_args = 0,
    .max_args = 1,
};

/* One row. */
struct row {
    const struct bundle_image *image;
    int64_t size;         /* of its blobs in the bundle */
    char id[DIGEST_SIZE]; /* what the runtime will call it */
    const char *state;
    char found[DIGEST_SIZE]; /* what stands under its name in the runtime; "" for nothing */
};

struct rows {
    struct row *rows;
    size_t count;
};

/* --- comparing --- */

/* Digests that were counted already. */
struct seen {
    const char **digests;
    size_t count;
};

static int64_t count_blob(const struct bundle *b, struct seen *seen, const char *digest)
{
    const struct bundle_entry *entry = bundle_find_blob(b, digest);

    for (size_t i = 0; entry && i < seen->count; i++)
        if (!strcmp(seen->digests[i], digest))
            entry = NULL;
    if (!entry)
        return 0;
    array_grow(seen->digests, seen->count);
    seen->digests[seen->count++] = digest;
    return entry->size;
}

/* Bytes of an image's blobs in this file, of all its platforms; what they share counts once. */
static int64_t image_size(const struct bundle *b, const struct bundle_image *image)
{
    struct seen seen = {.count = 0};
    int64_t size = count_blob(b, &seen, image->index.digest);

    size += count_blob(b, &seen, image->upstream_index.digest);
    for (size_t i = 0; i < image->n_platforms; i++) {
        const struct bundle_platform *p = &image->platforms[i];

        size += count_blob(b, &seen, p->manifest.digest);
        size += count_blob(b, &seen, p->parsed.config.digest);
        for (size_t j = 0; j < p->parsed.n_layers; j++)
            size += count_blob(b, &seen, p->parsed.layers[j].digest);
    }
    free(seen.digests);
    return size;
}

static const struct runtime_entry *find(const struct runtime_list *list, const char *name)
{
    const struct runtime_entry key = {.name = (char *)name};

    if (!list->count)
        return NULL;
    return bsearch(&key, list->entries, list->count, sizeof(key), runtime_entry_compare);
}

/* Any platform of the image will do: it may have been loaded with --platform. */
static void compare(struct row *row, const struct runtime *rt, const struct runtime_list *list,
                    const struct bundle_platform *ours)
{
    row->state = "absent";
    for (size_t i = 0; i < row->image->n_platforms; i++) {
        struct runtime_image there = {.image = row->image, .platform = &row->image->platforms[i]};
        const struct runtime_entry *entry;

        rt->ops->name(rt->impl, &there);
        entry = find(list, there.name);
        if (there.platform == ours)
            memcpy(row->id, there.ids[0], DIGEST_SIZE);
        if (entry)
            memcpy(row->found, entry->id, DIGEST_SIZE);
        if (entry && runtime_image_is(&there, entry->id))
            row->state = "present";
        else if (entry && strcmp(row->state, "present") != 0)
            row->state = "other id";
        runtime_image_release(&there);
    }
}

/* `rt` is NULL where no runtime answered. */
static void fill_row(struct row *row, const struct bundle *b, const struct runtime *rt,
                     const struct runtime_list *list, const struct platform *wanted)
{
    const struct bundle_platform *ours = selection_platform(row->image, wanted);

    if (!ours)
        ours = &row->image->platforms[0];
    row->size = image_size(b, row->image);
    memcpy(row->id, ours->parsed.config.digest, DIGEST_SIZE);
    row->state = "unknown";
    if (rt)
        compare(row, rt, list, ours);
}

/* --- what is printed --- */

static cJSON *row_json(const struct row *row)
{
    cJSON *obj = cJSON_CreateObject(), *platforms;
    char text[PLATFORM_TEXT];

    json_add_str(obj, "reference", row->image->reference);
    platforms = cJSON_AddArrayToObject(obj, "platforms");
    for (size_t i = 0; i < row->image->n_platforms; i++)
        cJSON_AddItemToArray(platforms,
                             cJSON_CreateString(
                                 platform_format(&row->image->platforms[i].platform, text)));
    json_add_int(obj, "size", row->size);
    json_add_str(obj, "id", row->id);
    json_add_str(obj, "state", row->state);
    if (*row->found)
        json_add_str(obj, "foundId", row->found);
    return obj;
}

static void print_root(cJSON *root)
{
    auto_free char *text = json_print(root);

    (void)printf("%s\n", text);
}

static void print_rows_json(const struct rows *rows, const struct bundle *b,
                            const struct runtime *rt)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *list;

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "receipt", bundle_receipt(b));
    if (rt)
        images_add_runtime(root, rt);
    list = cJSON_AddArrayToObject(root, "images");
    for (size_t i = 0; i < rows->count; i++)
        cJSON_AddItemToArray(list, row_json(&rows->rows[i]));
    print_root(root);
}

static void print_rows(const struct rows *rows)
{
    static const char *const heading[] = {"IMAGE", "PLATFORM", "SIZE", "ID", "STATE", NULL};
    struct table out;

    table_init(&out, heading);
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->rows[i];
        auto_free char *platforms = selection_platforms(row->image);
        char size[NUM_SIZE_TEXT], id[IMAGES_SHORT_ID];
        const char *const texts[] = {row->image->reference, platforms,
                                     num_format_size(row->size, size), images_short_id(row->id, id),
                                     row->state};

        table_row(&out, texts);
    }
    table_print(&out);
    table_release(&out);
}

static void print_list_json(const struct runtime_list *list, const struct runtime *rt)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *images;

    json_add_int(root, "schemaVersion", 1);
    images_add_runtime(root, rt);
    images = cJSON_AddArrayToObject(root, "images");
    for (size_t i = 0; i < list->count; i++) {
        const struct runtime_entry *entry = &list->entries[i];
        cJSON *obj;

        if (!selection_matches(options.only.items, entry->name))
            continue;
        obj = cJSON_CreateObject();
        json_add_str(obj, "reference", entry->name);
        json_add_str(obj, "id", entry->id);
        if (entry->size >= 0)
            json_add_int(obj, "size", entry->size);
        cJSON_AddItemToArray(images, obj);
    }
    print_root(root);
}

static void print_list(const struct runtime_list *list)
{
    static const char *const heading[] = {"IMAGE", "ID", "SIZE", NULL};
    struct table out;

    table_init(&out, heading);
    for (size_t i = 0; i < list->count; i++) {
        const struct runtime_entry *entry = &list->entries[i];
        char size[NUM_SIZE_TEXT], id[IMAGES_SHORT_ID];
        const char *const texts[] = {entry->name, images_short_id(entry->id, id),
                                     entry->size < 0 ? NULL : num_format_size(entry->size, size)};

        if (selection_matches(options.only.items, entry->name))
            table_row(&out, texts);
    }
    table_print(&out);
    table_release(&out);
}

/* --- the two ways --- */

static int list_bundle(const char *path, const struct runtime *rt, const struct runtime_list *list,
                       const struct platform *wanted, struct err **e)
{
    auto_bundle struct bundle *b = NULL;
    auto_free bool *chosen = NULL;
    struct rows rows = {.count = 0};
    int r = bundle_open(path, options.base, &b, e);

    if (r == 0)
        r = selection_match(bundle_index(b), options.only.items, &chosen, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < bundle_index(b)->n_images; i++) {
        if (!chosen[i])
            continue;
        array_grow(rows.rows, rows.count);
        rows.rows[rows.count] = (struct row){.image = &bundle_index(b)->images[i]};
        fill_row(&rows.rows[rows.count++], b, rt, list, wanted);
    }
    if (cli_common.json)
        print_rows_json(&rows, b, rt);
    else
        print_rows(&rows);
    free(rows.rows);
    return 0;
}

static int open_and_list(const char *root, struct runtime *rt, struct runtime_list *list,
                         struct err **e)
{
    /* rke2 and k3s run what their containerd has. */
    struct runtime_options where = {.kind =
                                        images_is_agent(&options) ? "containerd" : options.runtime,
                                    .address = options.address,
                                    .space = options.space,
                                    .root = root};
    int r = runtime_open(&where, rt, e);

    if (r < 0)
        return r;
    log_debug("%s %s at %s (%s): %s", rt->kind, rt->version, rt->address, rt->store, rt->reason);
    return rt->ops->list(rt->impl, list, e);
}

static int run(const char *path, struct runtime *rt, struct runtime_list *list, struct err **e)
{
    struct platform wanted = {.os = ""};
    auto_err struct err *why = NULL;
    auto_free char *root = NULL;
    int r = images_check_options(&options, &wanted, &root, e);
    bool answers;

    if (r < 0)
        return r;
    r = open_and_list(root, rt, list, &why);
    answers = r == 0;
    if (!answers && !path)
        return err_set(e, r, "%s", err_text(why));
    if (!answers)
        log_warn("states are unknown: %s", err_text(why));
    if (!options.platform && answers)
        wanted = rt->platform;
    else if (!options.platform)
        (void)platform_of_host(&wanted, NULL);
    if (path)
        return list_bundle(path, answers ? rt : NULL, list, &wanted, e);
    if (cli_common.json)
        print_list_json(list, rt);
    else
        print_list(list);
    return 0;
}

int cmd_images_ls(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    struct runtime rt = {.kind = NULL};
    struct runtime_list list = {.count = 0};
    char **args;
    int count, r = cli_parse(&verb, argc, argv, &args, &count, &e);

    if (r == 1)
        return EXIT_OK;
    if (r == 0)
        r = run(args[0], &rt, &list, &e);
    runtime_list_release(&list);
    runtime_close(&rt);
    cli_list_release(&options.only);
    return r < 0 ? cli_fail(&verb, e) : EXIT_OK;
}
