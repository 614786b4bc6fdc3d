/* The entries of a bundle and flatnet.json: planning, rendering, reading back. */
#include "bundle_index.h"

#include "fs.h"
#include "json.h"
#include "mem.h"
#include "ref.h"
#include "tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_VERSION 1
#define IMAGES_MAX 100000

void bundle_image_release(struct bundle_image *image)
{
    for (size_t i = 0; i < image->n_platforms; i++) {
        descriptor_release(&image->platforms[i].manifest);
        manifest_release(&image->platforms[i].parsed);
    }
    free(image->platforms);
    free(image->reference);
    descriptor_release(&image->index);
    descriptor_release(&image->upstream_index);
    *image = (struct bundle_image){0};
}

void bundle_index_release(struct bundle_index *index)
{
    for (size_t i = 0; i < index->n_images; i++)
        bundle_image_release(&index->images[i]);
    for (size_t i = 0; i < index->n_entries; i++)
        free(index->entries[i].path);
    free(index->images);
    free(index->entries);
    free(index->missing);
    *index = (struct bundle_index){0};
}

void bundle_index_add(struct bundle_index *index, const char *path, const char *digest,
                      int64_t size)
{
    struct bundle_entry entry = {.path = xstrdup(path), .size = size};

    if (digest)
        memcpy(entry.digest, digest, DIGEST_SIZE);
    array_grow(index->entries, index->n_entries);
    index->entries[index->n_entries++] = entry;
}

void bundle_index_add_blob(struct bundle_index *index, const char *digest, int64_t size)
{
    auto_free char *path = bundle_blob_path(digest);

    bundle_index_add(index, path, digest, size);
}

/* Bytes that an entry takes: header, content, padding. */
static int64_t entry_span(int64_t size)
{
    return (int64_t)tar_header_len(size) + size + (int64_t)tar_padding(size);
}

int64_t bundle_index_place(struct bundle_index *index)
{
    int64_t at = 0;

    for (size_t i = 0; i < index->n_entries; i++) {
        struct bundle_entry *entry = &index->entries[i];
        entry->offset = at + (int64_t)tar_header_len(entry->size);
        at += entry_span(entry->size);
    }
    return at;
}

int64_t bundle_data_start(size_t len)
{
    return entry_span((int64_t)len);
}

int64_t bundle_total_length(size_t index_len, int64_t data_len)
{
    auto_free char *trailer = bundle_render_trailer("", index_len);

    return bundle_data_start(index_len) + data_len + entry_span((int64_t)strlen(trailer)) + TAR_END;
}

static cJSON *descriptor_json(const struct descriptor *d)
{
    cJSON *obj = cJSON_CreateObject();

    json_add_str(obj, "mediaType", d->media_type);
    json_add_str(obj, "digest", d->digest);
    json_add_int(obj, "size", d->size);
    return obj;
}

static cJSON *image_json(const struct bundle_image *image)
{
    cJSON *obj = cJSON_CreateObject(), *platforms;
    char text[PLATFORM_TEXT];

    json_add_str(obj, "reference", image->reference);
    platforms = cJSON_AddArrayToObject(obj, "platforms");
    for (size_t i = 0; i < image->n_platforms; i++) {
        cJSON *item = cJSON_CreateObject();
        json_add_str(item, "platform", platform_format(&image->platforms[i].platform, text));
        cJSON_AddItemToObject(item, "manifest", descriptor_json(&image->platforms[i].manifest));
        cJSON_AddItemToArray(platforms, item);
    }
    if (image->index.size)
        cJSON_AddItemToObject(obj, "index", descriptor_json(&image->index));
    if (image->upstream_index.size)
        cJSON_AddItemToObject(obj, "upstreamIndex", descriptor_json(&image->upstream_index));
    if (*image->converted_from)
        json_add_str(obj, "convertedFrom", image->converted_from);
    return obj;
}

static cJSON *entry_json(const struct bundle_entry *entry)
{
    cJSON *obj = cJSON_CreateObject();

    json_add_str(obj, "path", entry->path);
    json_add_int(obj, "size", entry->size);
    json_add_str(obj, "sha256", digest_hex(entry->digest));
    json_add_int(obj, "offset", entry->offset);
    return obj;
}

static cJSON *base_json(const struct bundle_index *index)
{
    cJSON *obj = cJSON_CreateObject(), *missing;

    json_add_str(obj, "receipt", index->base_receipt);
    missing = cJSON_AddArrayToObject(obj, "missing");
    for (size_t i = 0; i < index->n_missing; i++) {
        cJSON *item = cJSON_CreateObject();
        json_add_str(item, "digest", index->missing[i].digest);
        json_add_int(item, "size", index->missing[i].size);
        cJSON_AddItemToArray(missing, item);
    }
    return obj;
}

char *bundle_index_render(const struct bundle_index *index)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *images, *entries;

    json_add_int(root, "formatVersion", FORMAT_VERSION);
    images = cJSON_AddArrayToObject(root, "images");
    for (size_t i = 0; i < index->n_images; i++)
        cJSON_AddItemToArray(images, image_json(&index->images[i]));
    if (*index->base_receipt)
        cJSON_AddItemToObject(root, "base", base_json(index));
    entries = cJSON_AddArrayToObject(root, "entries");
    for (size_t i = 0; i < index->n_entries; i++)
        cJSON_AddItemToArray(entries, entry_json(&index->entries[i]));
    return json_print(root);
}

static int copy_digest(const char *text, char out[DIGEST_SIZE])
{
    if (!digest_is_valid(text))
        return -EBADMSG;
    memcpy(out, text, DIGEST_SIZE);
    return 0;
}

static int parse_descriptor(const cJSON *obj, struct descriptor *out)
{
    const char *type = json_get_str(obj, "mediaType");
    int64_t size;

    if (!type || copy_digest(json_get_str(obj, "digest"), out->digest) < 0 ||
        json_get_size(obj, "size", &size) < 0 || size <= 0)
        return -EBADMSG;
    out->size = size;
    out->media_type = xstrdup(type);
    return 0;
}

static int parse_platforms(const cJSON *list, struct bundle_image *image)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        const char *text = json_get_str(item, "platform");
        struct bundle_platform p = {0};

        if (!text || platform_parse(text, &p.platform, NULL) < 0 ||
            parse_descriptor(json_get_obj(item, "manifest"), &p.manifest) < 0)
            return -EBADMSG;
        array_grow(image->platforms, image->n_platforms);
        image->platforms[image->n_platforms++] = p;
    }
    return image->n_platforms ? 0 : -EBADMSG;
}

static int check_reference(const char *reference)
{
    struct ref ref = {0};
    auto_free char *full = NULL;

    if (!reference || ref_parse(reference, &ref, NULL) < 0)
        return -EBADMSG;
    full = ref_format(&ref);
    ref_release(&ref);
    return strcmp(full, reference) ? -EBADMSG : 0;
}

static int parse_image(const cJSON *obj, struct bundle_image *image)
{
    const cJSON *index = json_get_obj(obj, "index");
    const cJSON *upstream = json_get_obj(obj, "upstreamIndex");
    const char *from = json_get_str(obj, "convertedFrom");

    image->reference = xstrdup(json_get_str(obj, "reference"));
    if (check_reference(image->reference) < 0 ||
        parse_platforms(json_get_arr(obj, "platforms"), image) < 0)
        return -EBADMSG;
    if ((image->n_platforms > 1) != (index != NULL))
        return -EBADMSG;
    if (index && parse_descriptor(index, &image->index) < 0)
        return -EBADMSG;
    if (upstream && parse_descriptor(upstream, &image->upstream_index) < 0)
        return -EBADMSG;
    if (from && copy_digest(from, image->converted_from) < 0)
        return -EBADMSG;
    return 0;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The text that stands twice among `count` texts, which are sorted on the way, or NULL. */
static const char *find_double(const char **texts, size_t count)
{
    qsort(texts, count, sizeof(*texts), compare_strings);
    for (size_t i = 1; i < count; i++)
        if (!strcmp(texts[i - 1], texts[i]))
            return texts[i];
    return NULL;
}

static int parse_images(const cJSON *root, struct bundle_index *out, struct err **e)
{
    const cJSON *list = json_get_arr(root, "images"), *item;
    auto_free const char **names = NULL;
    const char *twice;

    if (!list || cJSON_GetArraySize(list) > IMAGES_MAX)
        return err_set(e, -EBADMSG, "%s has no usable list of images", BUNDLE_INDEX_PATH);
    cJSON_ArrayForEach(item, list)
    {
        array_grow(out->images, out->n_images);
        out->images[out->n_images] = (struct bundle_image){0};
        if (parse_image(item, &out->images[out->n_images++]) < 0)
            return err_set(e, -EBADMSG, "image %zu of %s is malformed", out->n_images,
                           BUNDLE_INDEX_PATH);
    }
    names = xcalloc(out->n_images, sizeof(*names));
    for (size_t i = 0; i < out->n_images; i++)
        names[i] = out->images[i].reference;
    twice = find_double(names, out->n_images);
    if (twice)
        return err_set(e, -EBADMSG, "image '%s' stands twice in %s", twice, BUNDLE_INDEX_PATH);
    return 0;
}

/* The place of a path in the order of entries, or -1 for a path that no bundle has. */
static int path_rank(const char *path, const char *hex)
{
    static const char *const fixed[] = {BUNDLE_LAYOUT_PATH, BUNDLE_OCI_INDEX_PATH,
                                        BUNDLE_DOCKER_PATH};

    for (int i = 0; i < 3; i++)
        if (!strcmp(path, fixed[i]))
            return i;
    if (!fs_path_is_plain(path) || strlen(path) > TAR_PATH_MAX)
        return -1;
    if (!strncmp(path, "addons/", 7))
        return 3;
    if (!strncmp(path, "bin/", 4))
        return 4;
    if (!strncmp(path, BUNDLE_BLOB_DIR, sizeof(BUNDLE_BLOB_DIR) - 1) &&
        !strcmp(path + sizeof(BUNDLE_BLOB_DIR) - 1, hex))
        return 5;
    return -1;
}

static int parse_entry(const cJSON *obj, struct bundle_index *out, int *rank, struct err **e)
{
    const char *path = json_get_str(obj, "path"), *hex = json_get_str(obj, "sha256");
    auto_free char *digest = xasprintf(DIGEST_PREFIX "%s", hex ? hex : "");
    int64_t size, offset;
    int own_rank;

    if (!path || !digest_is_valid(digest) || json_get_size(obj, "size", &size) < 0 ||
        json_get_size(obj, "offset", &offset) < 0)
        return err_set(e, -EBADMSG, "entry %zu of %s is malformed", out->n_entries + 1,
                       BUNDLE_INDEX_PATH);
    own_rank = path_rank(path, hex);
    if (own_rank < 0)
        return err_set(e, -EBADMSG, "entry '%.200s' has no place in a bundle", path);
    if (own_rank < *rank || (own_rank < 3 && own_rank != (int)out->n_entries))
        return err_set(e, -EBADMSG, "entry '%s' is out of order", path);
    *rank = own_rank;
    bundle_index_add(out, path, digest, size);
    out->entries[out->n_entries - 1].offset = offset;
    return 0;
}

/* The sum of all spans must fit, before any arithmetic with them. */
static int check_sizes(const struct bundle_index *index, struct err **e)
{
    int64_t sum = 0;

    for (size_t i = 0; i < index->n_entries; i++) {
        sum += index->entries[i].size;
        if (sum > INT64_C(1) << 50)
            return err_set(e, -EBADMSG, "the sizes in %s do not fit", BUNDLE_INDEX_PATH);
    }
    return 0;
}

static int check_offsets(struct bundle_index *index, struct err **e)
{
    for (size_t i = 0, at = 0; i < index->n_entries; i++) {
        const struct bundle_entry *entry = &index->entries[i];
        if (entry->offset != (int64_t)(at + tar_header_len(entry->size)))
            return err_set(e, -EBADMSG, "entry '%s' has a wrong offset in %s", entry->path,
                           BUNDLE_INDEX_PATH);
        at += (size_t)entry_span(entry->size);
    }
    return 0;
}

static int parse_entries(const cJSON *root, struct bundle_index *out, struct err **e)
{
    const cJSON *list = json_get_arr(root, "entries"), *item;
    auto_free const char **paths = NULL;
    const char *twice;
    int rank = 0, r;

    cJSON_ArrayForEach(item, list)
    {
        r = parse_entry(item, out, &rank, e);
        if (r < 0)
            return r;
    }
    if (out->n_entries < 3)
        return err_set(e, -EBADMSG, "%s names too few entries", BUNDLE_INDEX_PATH);
    paths = xcalloc(out->n_entries, sizeof(*paths));
    for (size_t i = 0; i < out->n_entries; i++)
        paths[i] = out->entries[i].path;
    twice = find_double(paths, out->n_entries);
    if (twice)
        return err_set(e, -EBADMSG, "entry '%s' stands twice in %s", twice, BUNDLE_INDEX_PATH);
    r = check_sizes(out, e);
    return r < 0 ? r : check_offsets(out, e);
}

static int parse_base(const cJSON *root, struct bundle_index *out, struct err **e)
{
    const cJSON *base = json_get_obj(root, "base"), *item;

    if (!base)
        return 0;
    if (copy_digest(json_get_str(base, "receipt"), out->base_receipt) < 0)
        return err_set(e, -EBADMSG, "the base in %s is malformed", BUNDLE_INDEX_PATH);
    cJSON_ArrayForEach(item, json_get_arr(base, "missing"))
    {
        struct bundle_missing m;
        size_t n = out->n_missing;

        if (copy_digest(json_get_str(item, "digest"), m.digest) < 0 ||
            json_get_size(item, "size", &m.size) < 0 ||
            (n && strcmp(out->missing[n - 1].digest, m.digest) >= 0))
            return err_set(e, -EBADMSG, "the blobs left to the base in %s are malformed",
                           BUNDLE_INDEX_PATH);
        array_grow(out->missing, n);
        out->missing[out->n_missing++] = m;
    }
    return 0;
}

static int parse_version(const cJSON *root, struct err **e)
{
    int64_t version;

    if (json_get_size(root, "formatVersion", &version) < 0)
        return err_set(e, -EBADMSG, "%s has no format version", BUNDLE_INDEX_PATH);
    if (version != FORMAT_VERSION)
        return err_set(e, -EBADMSG,
                       "the bundle has format version %lld, this flatnet reads version %d; use "
                       "the flatnet that made it",
                       (long long)version, FORMAT_VERSION);
    return 0;
}

static int parse_document(const cJSON *root, struct bundle_index *out, struct err **e)
{
    int r = parse_version(root, e);

    if (r == 0)
        r = parse_images(root, out, e);
    if (r == 0)
        r = parse_base(root, out, e);
    if (r == 0)
        r = parse_entries(root, out, e);
    return r;
}

int bundle_index_parse(const char *text, size_t len, struct bundle_index *out, struct err **e)
{
    auto_json cJSON *root = NULL;
    auto_free char *again = NULL;
    struct bundle_index index = {0};
    int r = json_parse(text, len, &root, e);

    if (r < 0)
        return err_wrap(e, "%s", BUNDLE_INDEX_PATH);
    r = parse_document(root, &index, e);
    if (r == 0) {
        again = bundle_index_render(&index);
        if (strlen(again) != len || memcmp(again, text, len) != 0)
            r = err_set(e, -EBADMSG, "%s is not in its canonical form", BUNDLE_INDEX_PATH);
    }
    if (r < 0) {
        bundle_index_release(&index);
        return r;
    }
    *out = index;
    return 0;
}
