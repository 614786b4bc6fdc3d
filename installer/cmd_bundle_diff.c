/* flatnet bundle diff: what changed from one bundle to another, by image and by blob. */
#include "cli.h"

#include "bundle.h"
#include "json.h"
#include "mem.h"
#include "num.h"

#include <stdio.h>
#include <string.h>

static const struct cli_verb verb = {
    .path = "bundle diff",
    .args = "OLD NEW",
    .summary = "Compares two bundles by image, file and blob.",
    .text = "Exit status 0: the same images and files; 3: they differ.",
    .min_args = 2,
    .max_args = 2,
};

enum change { SAME, ADDED, REMOVED, CHANGED };
static const char *const change_words[] = {"same", "added", "removed", "changed"};
static const char change_marks[] = {' ', '+', '-', '~'};

/* One image or file that differs. */
struct difference {
    enum change change;
    const char *what; /* "image" or "file" */
    const char *name;
};

struct comparison {
    const struct bundle *old, *new;
    struct difference *items;
    size_t n_items;
    size_t blobs_added, blobs_removed;
    int64_t bytes_added, bytes_removed;
};

static const struct bundle_image *find_image(const struct bundle *b, const char *reference)
{
    const struct bundle_index *index = bundle_index(b);

    for (size_t i = 0; i < index->n_images; i++)
        if (!strcmp(index->images[i].reference, reference))
            return &index->images[i];
    return NULL;
}

static bool same_image(const struct bundle_image *a, const struct bundle_image *b)
{
    if (a->n_platforms != b->n_platforms)
        return false;
    for (size_t i = 0; i < a->n_platforms; i++)
        if (strcmp(a->platforms[i].manifest.digest, b->platforms[i].manifest.digest) != 0)
            return false;
    return true;
}

static void add(struct comparison *c, enum change change, const char *what, const char *name)
{
    if (change == SAME)
        return;
    array_grow(c->items, c->n_items);
    c->items[c->n_items++] = (struct difference){change, what, name};
}

static void compare_images(struct comparison *c)
{
    const struct bundle_index *old = bundle_index(c->old), *new = bundle_index(c->new);

    for (size_t i = 0; i < new->n_images; i++) {
        const struct bundle_image *now = &new->images[i];
        const struct bundle_image *before = find_image(c->old, now->reference);
        add(c, !before ? ADDED : same_image(before, now) ? SAME : CHANGED, "image", now->reference);
    }
    for (size_t i = 0; i < old->n_images; i++)
        if (!find_image(c->new, old->images[i].reference))
            add(c, REMOVED, "image", old->images[i].reference);
}

/* Addons and programs by name; blobs are only counted. */
static void compare_entries(struct comparison *c, const struct bundle *from,
                            const struct bundle *to, enum change missing)
{
    const struct bundle_index *index = bundle_index(from);

    for (size_t i = 0; i < index->n_entries; i++) {
        const struct bundle_entry *entry = &index->entries[i];
        const struct bundle_entry *other = bundle_find(to, entry->path);

        if (!strchr(entry->path, '/'))
            continue;
        if (strncmp(entry->path, "blobs/", 6) != 0) {
            if (!other)
                add(c, missing, "file", entry->path);
            else if (missing == ADDED && strcmp(entry->digest, other->digest) != 0)
                add(c, CHANGED, "file", entry->path);
        } else if (!other) {
            *(missing == ADDED ? &c->blobs_added : &c->blobs_removed) += 1;
            *(missing == ADDED ? &c->bytes_added : &c->bytes_removed) += entry->size;
        }
    }
}

static void print_text(const struct comparison *c)
{
    char added[NUM_SIZE_TEXT], removed[NUM_SIZE_TEXT];

    for (size_t i = 0; i < c->n_items; i++)
        (void)printf("%c %-5s  %s\n", change_marks[c->items[i].change], c->items[i].what,
                     c->items[i].name);
    (void)printf("%zu differences; blobs: %zu added (%s), %zu removed (%s)\n", c->n_items,
                 c->blobs_added, num_format_size(c->bytes_added, added), c->blobs_removed,
                 num_format_size(c->bytes_removed, removed));
}

static void print_json(const struct comparison *c)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *list;

    json_add_int(root, "schemaVersion", 1);
    list = cJSON_AddArrayToObject(root, "differences");
    for (size_t i = 0; i < c->n_items; i++) {
        cJSON *item = cJSON_CreateObject();
        json_add_str(item, "change", change_words[c->items[i].change]);
        json_add_str(item, "kind", c->items[i].what);
        json_add_str(item, "name", c->items[i].name);
        cJSON_AddItemToArray(list, item);
    }
    json_add_int(root, "blobsAdded", (int64_t)c->blobs_added);
    json_add_int(root, "bytesAdded", c->bytes_added);
    json_add_int(root, "blobsRemoved", (int64_t)c->blobs_removed);
    json_add_int(root, "bytesRemoved", c->bytes_removed);
    text = json_print(root);
    (void)printf("%s\n", text);
}

int cmd_bundle_diff(int argc, char **argv)
{
    auto_bundle struct bundle *old = NULL;
    auto_bundle struct bundle *new = NULL;
    auto_free struct difference *items = NULL;
    auto_err struct err *e = NULL;
    struct comparison c = {.old = NULL};
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r > 0)
        return EXIT_OK;
    if (r == 0)
        r = bundle_open(args[0], NULL, &old, &e);
    if (r == 0)
        r = bundle_open(args[1], NULL, &new, &e);
    if (r < 0)
        return cli_fail(&verb, e);
    c.old = old;
    c.new = new;
    compare_images(&c);
    compare_entries(&c, new, old, ADDED);
    compare_entries(&c, old, new, REMOVED);
    items = c.items;
    if (cli_common.json)
        print_json(&c);
    else
        print_text(&c);
    return c.n_items ? EXIT_CHECKS : EXIT_OK;
}
