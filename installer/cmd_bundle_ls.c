/* flatnet bundle ls: what is in a bundle. */
#include "cli.h"

#include "bundle.h"
#include "json.h"
#include "mem.h"
#include "num.h"

#include <stdio.h>
#include <string.h>

static const char *base;
static bool show_files;

static const struct cli_option option_table[] = {
    {"base", 0, CLI_STRING, "OLD", &base, "the bundle that a delta was made against"},
    {"files", 0, CLI_FLAG, NULL, &show_files, "list every entry of the file as well"},
    {0},
};

static const struct cli_verb verb = {
    .path = "bundle ls",
    .args = "BUNDLE",
    .summary =
        "Lists the images of a bundle, their platforms and sizes, and its addons and programs.",
    .text = "Only the bundle's index is read; 'flatnet bundle verify' checks the rest.",
    .options = option_table,
    .min_args = 1,
    .max_args = 1,
};

/* Configuration and layers of one platform, shared ones too. */
static int64_t platform_size(const struct bundle_platform *p)
{
    int64_t size = p->manifest.size + p->parsed.config.size;

    for (size_t i = 0; i < p->parsed.n_layers; i++)
        size += p->parsed.layers[i].size;
    return size;
}

static bool is_blob(const struct bundle_entry *entry)
{
    return !strncmp(entry->path, "blobs/", 6);
}

static void print_images(const struct bundle_index *index)
{
    int width = (int)strlen("IMAGE");

    for (size_t i = 0; i < index->n_images; i++)
        if ((int)strlen(index->images[i].reference) > width)
            width = (int)strlen(index->images[i].reference);
    (void)printf("%-*s  %-14s  %9s  %6s  %s\n", width, "IMAGE", "PLATFORM", "SIZE", "LAYERS", "ID");
    for (size_t i = 0; i < index->n_images; i++) {
        const struct bundle_image *image = &index->images[i];
        for (size_t j = 0; j < image->n_platforms; j++) {
            const struct bundle_platform *p = &image->platforms[j];
            char platform[PLATFORM_TEXT], size[NUM_SIZE_TEXT];
            (void)printf("%-*s  %-14s  %9s  %6zu  %.12s\n", width, j ? "" : image->reference,
                         platform_format(&p->platform, platform),
                         num_format_size(platform_size(p), size), p->parsed.n_layers,
                         digest_hex(p->parsed.config.digest));
        }
    }
}

static void print_files(const struct bundle_index *index)
{
    size_t shown = 0;

    for (size_t i = 0; i < index->n_entries; i++) {
        const struct bundle_entry *entry = &index->entries[i];
        char size[NUM_SIZE_TEXT];

        if (!show_files && (is_blob(entry) || !strchr(entry->path, '/')))
            continue;
        (void)printf("%s%9s  %s\n", shown++ ? "" : "\n     SIZE  FILE\n",
                     num_format_size(entry->size, size), entry->path);
    }
}

static void print_text(const struct bundle *b)
{
    const struct bundle_index *index = bundle_index(b);
    char size[NUM_SIZE_TEXT];
    size_t blobs = 0;

    for (size_t i = 0; i < index->n_entries; i++)
        blobs += is_blob(&index->entries[i]);
    print_images(index);
    print_files(index);
    (void)printf("\n%zu image%s, %zu blobs, %s\n", index->n_images, num_plural(index->n_images),
                 blobs, num_format_size(bundle_length(b), size));
    if (index->n_missing)
        (void)printf("delta: %zu layer%s left to the bundle with the receipt %s\n",
                     index->n_missing, num_plural(index->n_missing), index->base_receipt);
    (void)printf("receipt %s\n", bundle_receipt(b));
}

/* The index is the answer: it has every image, platform, entry, size and digest. */
static int print_json(const struct bundle *b, struct err **e)
{
    size_t len;
    const char *text = bundle_index_text(b, &len);
    auto_json cJSON *root = NULL;
    auto_json cJSON *result = cJSON_CreateObject();
    auto_free char *printed = NULL;
    int r = json_parse(text, len, &root, e);

    if (r < 0)
        return r;
    json_add_int(result, "schemaVersion", 1);
    json_add_str(result, "receipt", bundle_receipt(b));
    json_add_int(result, "bytes", bundle_length(b));
    for (cJSON *item; (item = root->child);)
        cJSON_AddItemToObject(result, item->string, cJSON_DetachItemViaPointer(root, item));
    printed = json_print(result);
    (void)printf("%s\n", printed);
    return 0;
}

int cmd_bundle_ls(int argc, char **argv)
{
    auto_bundle struct bundle *b = NULL;
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r > 0)
        return EXIT_OK;
    if (r == 0)
        r = bundle_open(args[0], base, &b, &e);
    if (r == 0 && cli_common.json)
        r = print_json(b, &e);
    else if (r == 0)
        print_text(b);
    return r < 0 ? cli_fail(&verb, e) : EXIT_OK;
}
