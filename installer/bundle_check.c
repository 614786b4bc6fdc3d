/* The rules of a bundle that need the bytes of its documents. */
#include "bundle_check.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the steps of the check share. */
struct check {
    struct bundle_index *index;
    const struct bundle_lookup *lookup;
    bundle_read_entry read;
    void *arg;
    bool *used; /* one per entry: something refers to it */
};

static int by_path(const void *a, const void *b)
{
    const struct bundle_entry *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

void bundle_lookup_init(struct bundle_lookup *l, const struct bundle_index *index)
{
    l->count = index->n_entries;
    l->sorted = xcalloc(l->count, sizeof(struct bundle_entry *));
    for (size_t i = 0; i < l->count; i++)
        l->sorted[i] = &index->entries[i];
    qsort(l->sorted, l->count, sizeof(*l->sorted), by_path);
}

void bundle_lookup_release(struct bundle_lookup *l)
{
    free(l->sorted);
    *l = (struct bundle_lookup){0};
}

static int path_to_entry(const void *key, const void *member)
{
    const struct bundle_entry *const *entry = member;
    return strcmp(key, (*entry)->path);
}

const struct bundle_entry *bundle_lookup_path(const struct bundle_lookup *l, const char *path)
{
    const struct bundle_entry **found =
        bsearch(path, l->sorted, l->count, sizeof(*l->sorted), path_to_entry);
    return found ? *found : NULL;
}

const struct bundle_entry *bundle_lookup_blob(const struct bundle_lookup *l, const char *digest)
{
    auto_free char *path = bundle_blob_path(digest);
    return bundle_lookup_path(l, path);
}

static int digest_to_missing(const void *key, const void *member)
{
    const struct bundle_missing *m = member;
    return strcmp(key, m->digest);
}

const struct bundle_missing *bundle_find_missing(const struct bundle_index *index,
                                                 const char *digest)
{
    if (!index->n_missing)
        return NULL;
    return bsearch(digest, index->missing, index->n_missing, sizeof(*index->missing),
                   digest_to_missing);
}

static bool image_names_document(const struct bundle_image *image, const char *digest)
{
    if (!strcmp(image->index.digest, digest) || !strcmp(image->upstream_index.digest, digest))
        return true;
    for (size_t i = 0; i < image->n_platforms; i++)
        if (!strcmp(image->platforms[i].manifest.digest, digest))
            return true;
    return false;
}

bool bundle_entry_is_document(const struct bundle_index *index, const struct bundle_entry *entry)
{
    if (strncmp(entry->path, BUNDLE_BLOB_DIR, sizeof(BUNDLE_BLOB_DIR) - 1) != 0)
        return !strchr(entry->path, '/');
    for (size_t i = 0; i < index->n_images; i++)
        if (image_names_document(&index->images[i], entry->digest))
            return true;
    return false;
}

static int compare_document(struct check *c, size_t number, const char *wanted, struct err **e)
{
    const struct bundle_entry *entry = &c->index->entries[number];
    auto_buf struct buf have;
    int r;

    buf_init(&have, BUNDLE_INDEX_MAX);
    if (entry->size != (int64_t)strlen(wanted))
        return err_set(e, -EBADMSG, "'%s' does not follow from the images in %s", entry->path,
                       BUNDLE_INDEX_PATH);
    r = c->read(c->arg, entry, &have, e);
    if (r < 0)
        return r;
    if (have.len != strlen(wanted) || memcmp(have.data, wanted, have.len) != 0)
        return err_set(e, -EBADMSG, "'%s' does not follow from the images in %s", entry->path,
                       BUNDLE_INDEX_PATH);
    return 0;
}

/* The entry of a blob that must be in this file with that size; marks it as used. */
static int use_blob(struct check *c, const char *digest, int64_t size,
                    const struct bundle_entry **out, struct err **e)
{
    const struct bundle_entry *entry = bundle_lookup_blob(c->lookup, digest);

    if (!entry)
        return err_set(e, -EBADMSG, "blob '%s' is referred to but not in the bundle", digest);
    if (entry->size != size)
        return err_set(e, -EBADMSG, "entry '%s' has %lld bytes where its image says %lld",
                       entry->path, (long long)entry->size, (long long)size);
    c->used[entry - c->index->entries] = true;
    if (out)
        *out = entry;
    return 0;
}

static int use_layer(struct check *c, const struct descriptor *layer, struct err **e)
{
    const struct bundle_missing *missing = bundle_find_missing(c->index, layer->digest);

    if (!missing)
        return use_blob(c, layer->digest, layer->size, NULL, e);
    if (missing->size != layer->size || bundle_lookup_blob(c->lookup, layer->digest))
        return err_set(e, -EBADMSG, "blob '%s' is recorded wrongly as left to the base",
                       layer->digest);
    return 0;
}

static int check_platform(struct check *c, struct bundle_platform *p, struct err **e)
{
    const struct bundle_entry *entry = NULL;
    auto_buf struct buf bytes;
    int r = use_blob(c, p->manifest.digest, p->manifest.size, &entry, e);

    buf_init(&bytes, MANIFEST_MAX_SIZE);
    if (r == 0)
        r = c->read(c->arg, entry, &bytes, e);
    if (r < 0)
        return r;
    r = manifest_parse(bytes.data, bytes.len, p->manifest.media_type, &p->parsed, e);
    if (r < 0)
        return err_wrap(e, "manifest '%s'", entry->path);
    if (p->parsed.kind != MANIFEST_IMAGE)
        return err_set(e, -EBADMSG, "'%s' is no image manifest", entry->path);
    r = use_blob(c, p->parsed.config.digest, p->parsed.config.size, NULL, e);
    for (size_t i = 0; i < p->parsed.n_layers && r == 0; i++)
        r = use_layer(c, &p->parsed.layers[i], e);
    return r;
}

static int check_image(struct check *c, struct bundle_image *image, struct err **e)
{
    const struct bundle_entry *entry = NULL;
    auto_free char *wanted = NULL;
    int r = 0;

    for (size_t i = 0; i < image->n_platforms && r == 0; i++)
        r = check_platform(c, &image->platforms[i], e);
    if (r == 0 && image->upstream_index.size)
        r = use_blob(c, image->upstream_index.digest, image->upstream_index.size, NULL, e);
    if (r == 0 && image->index.size) {
        wanted = bundle_render_image_index(image);
        r = use_blob(c, image->index.digest, image->index.size, &entry, e);
        if (r == 0)
            r = compare_document(c, (size_t)(entry - c->index->entries), wanted, e);
    }
    return r < 0 ? err_wrap(e, "image '%s'", image->reference) : 0;
}

static int check_unused(const struct check *c, struct err **e)
{
    for (size_t i = 0; i < c->index->n_entries; i++) {
        const char *path = c->index->entries[i].path;
        if (!c->used[i] && !strncmp(path, BUNDLE_BLOB_DIR, sizeof(BUNDLE_BLOB_DIR) - 1))
            return err_set(e, -EBADMSG, "entry '%s' belongs to no image", path);
    }
    return 0;
}

int bundle_check_documents(struct bundle_index *index, const struct bundle_lookup *lookup,
                           bundle_read_entry read, void *arg, struct err **e)
{
    auto_free bool *used = xcalloc(index->n_entries, sizeof(*used));
    struct check c = {.index = index, .lookup = lookup, .read = read, .arg = arg, .used = used};
    auto_free char *oci = bundle_render_oci_index(index);
    auto_free char *docker = NULL;
    int r = compare_document(&c, 0, BUNDLE_OCI_LAYOUT, e);

    if (r == 0)
        r = compare_document(&c, 1, oci, e);
    for (size_t i = 0; i < index->n_images && r == 0; i++)
        r = check_image(&c, &index->images[i], e);
    if (r < 0)
        return r;
    docker = bundle_render_docker(index);
    r = compare_document(&c, 2, docker, e);
    return r < 0 ? r : check_unused(&c, e);
}
