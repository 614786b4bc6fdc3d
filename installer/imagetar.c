/* One or several images of a bundle as a tar stream. */
#include "imagetar.h"

#include "bundle_index.h"
#include "mem.h"
#include "num.h"
#include "tar.h"
#include "zstd_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER (256 * 1024)

struct member {
    char *path;
    int64_t size;
    char digest[DIGEST_SIZE]; /* of the blob it comes from; "" for a document */
    char *text;               /* the document */
    bool unpack;
};

struct imagetar {
    const struct bundle *bundle;
    struct member *members;
    size_t n_members;
    int64_t size;

    size_t at;     /* member being read */
    bool opened;   /* its header was given */
    int64_t given; /* bytes of its content */
    bool ended;
    struct blob_reader *blob;
    struct zstd_reader *zstd;

    unsigned char *buffer;
    size_t pos, len;
};

/* --- planning --- */

static bool has_member(const struct imagetar *t, const char *path)
{
    for (size_t i = 0; i < t->n_members; i++)
        if (!strcmp(t->members[i].path, path))
            return true;
    return false;
}

/* Takes path and text over. */
static void add_member(struct imagetar *t, struct member m)
{
    t->size += (int64_t)tar_header_len(m.size) + m.size + (int64_t)tar_padding(m.size);
    array_grow(t->members, t->n_members);
    t->members[t->n_members++] = m;
}

static void add_document(struct imagetar *t, const char *path, char *text)
{
    add_member(t,
               (struct member){.path = xstrdup(path), .size = (int64_t)strlen(text), .text = text});
}

static void add_blob(struct imagetar *t, const char *digest, int64_t size)
{
    auto_free char *path = bundle_blob_path(digest);
    struct member m = {.size = size};

    if (has_member(t, path))
        return;
    m.path = take(path);
    memcpy(m.digest, digest, DIGEST_SIZE);
    add_member(t, m);
}

/* Length of the plain tar inside a zstd layer, whose digest must be `diff_id`. */
static int measure_layer(const struct imagetar *t, const char *digest, const char *diff_id,
                         int64_t *out_size, struct err **e)
{
    auto_zstd struct zstd_reader *zstd = NULL;
    auto_free unsigned char *chunk = xmalloc(BUFFER);
    auto_hash struct hash *hash = hash_new();
    char have[DIGEST_SIZE];
    int64_t size = 0;
    ssize_t n = zstd_reader_open(t->bundle, digest, &zstd, e);

    if (n < 0)
        return (int)n;
    while ((n = zstd_reader_read(zstd, chunk, BUFFER, e)) > 0) {
        hash_update(hash, chunk, (size_t)n);
        size += n;
    }
    if (n < 0)
        return (int)n;
    hash_final(hash, have);
    if (strcmp(have, diff_id) != 0)
        return err_set(e, -EBADMSG, "layer '%s' unpacks to '%s', but the image says '%s'", digest,
                       have, diff_id);
    *out_size = size;
    return 0;
}

/* The layer as a plain tar, named by its diff id. */
static int add_unpacked(struct imagetar *t, const char *digest, const char *diff_id, struct err **e)
{
    auto_free char *path = bundle_blob_path(diff_id);
    struct member m = {.unpack = true};
    int r;

    if (has_member(t, path))
        return 0;
    r = measure_layer(t, digest, diff_id, &m.size, e);
    if (r < 0)
        return r;
    m.path = take(path);
    memcpy(m.digest, digest, DIGEST_SIZE);
    add_member(t, m);
    return 0;
}

static int is_zstd(const struct imagetar *t, const struct descriptor *layer, struct err **e)
{
    bool is = media_type_is_zstd(layer->media_type);
    int r = is ? 0 : zstd_blob_is(t->bundle, layer->digest, &is, e);

    return r < 0 ? r : is;
}

int imagetar_read_config(const struct bundle *b, const struct manifest *manifest,
                         struct image_config *out, struct err **e)
{
    auto_config struct image_config config = {.n_diff_ids = 0};
    auto_buf struct buf bytes;
    int r;

    buf_init(&bytes, 0);
    r = bundle_read_blob(b, manifest->config.digest, CONFIG_MAX_SIZE, &bytes, e);
    if (r == 0)
        r = image_config_parse(bytes.data, bytes.len, &config, e);
    if (r < 0)
        return r;
    if (config.n_diff_ids != manifest->n_layers)
        return err_set(e, -EBADMSG, "its configuration lists %zu layers, its manifest %zu",
                       config.n_diff_ids, manifest->n_layers);
    *out = config;
    config = (struct image_config){.n_diff_ids = 0};
    return 0;
}

/* Plans the layers. Those that go in unpacked get their diff id as digest in `named`, the manifest
 * that docker's document is made from. */
static int add_layers(struct imagetar *t, const struct imagetar_image *image, bool unpack_zstd,
                      struct manifest *named, struct err **e)
{
    auto_config struct image_config config = {0};
    int r = unpack_zstd ? imagetar_read_config(t->bundle, named, &config, e) : 0;

    for (size_t i = 0; r >= 0 && i < named->n_layers; i++) {
        struct descriptor *layer = &named->layers[i];

        if (image->omit && image->omit[i])
            continue;
        r = unpack_zstd ? is_zstd(t, layer, e) : 0;
        if (r == 0) {
            add_blob(t, layer->digest, layer->size);
        } else if (r > 0) {
            r = add_unpacked(t, layer->digest, config.diff_ids[i], e);
            memcpy(layer->digest, config.diff_ids[i], DIGEST_SIZE);
        }
    }
    return r;
}

/* Plans one image. `named` borrows from the bundle all but its list of layers. */
static int add_image(struct imagetar *t, const struct imagetar_image *image,
                     const struct imagetar_options *options, struct bundle_platform *named,
                     struct err **e)
{
    const struct manifest *manifest = &image->platform->parsed;
    int r;

    *named = *image->platform;
    named->parsed.layers = xcalloc(manifest->n_layers, sizeof(*manifest->layers));
    for (size_t i = 0; i < manifest->n_layers; i++)
        named->parsed.layers[i] = manifest->layers[i];
    add_blob(t, manifest->config.digest, manifest->config.size);
    r = add_layers(t, image, options->unpack_zstd, &named->parsed, e);
    if (r == 0 && options->oci)
        add_blob(t, named->manifest.digest, named->manifest.size);
    return r;
}

/* The documents are those of a bundle that holds just these images, each with its one platform. */
static int add_all(struct imagetar *t, const struct imagetar_image *images, size_t n_images,
                   const struct imagetar_options *options, struct err **e)
{
    auto_free struct bundle_platform *named = xcalloc(n_images, sizeof(*named));
    auto_free struct bundle_image *listed = xcalloc(n_images, sizeof(*listed));
    struct bundle_index index = {.images = listed, .n_images = n_images};
    int r = 0;

    for (size_t i = 0; r == 0 && i < n_images; i++) {
        listed[i] = (struct bundle_image){.reference = (char *)images[i].name,
                                          .platforms = &named[i],
                                          .n_platforms = 1};
        r = add_image(t, &images[i], options, &named[i], e);
    }
    if (r == 0 && options->oci) {
        add_document(t, BUNDLE_OCI_INDEX_PATH, bundle_render_oci_index(&index));
        add_document(t, BUNDLE_LAYOUT_PATH, xstrdup(BUNDLE_OCI_LAYOUT));
    }
    if (r == 0)
        add_document(t, BUNDLE_DOCKER_PATH, bundle_render_docker(&index));
    for (size_t i = 0; i < n_images; i++)
        free(named[i].parsed.layers);
    return r;
}

/* Appends a blob that is needed and not there to the list in `text`. */
static void note_missing(const struct bundle *b, const struct descriptor *blob, struct buf *text)
{
    char size[NUM_SIZE_TEXT];

    if (bundle_has_blob(b, blob->digest) || strstr(text->data, blob->digest))
        return;
    (void)buf_addf(text, "%s%s (%s)", text->len ? ", " : "", blob->digest,
                   num_format_size(blob->size, size));
}

static int check_blobs(const struct bundle *b, const struct imagetar_image *images, size_t n_images,
                       struct err **e)
{
    auto_buf struct buf missing;

    buf_init(&missing, 64 * 1024);
    for (size_t i = 0; i < n_images; i++) {
        const struct bundle_platform *p = images[i].platform;

        note_missing(b, &p->manifest, &missing);
        note_missing(b, &p->parsed.config, &missing);
        for (size_t j = 0; j < p->parsed.n_layers; j++)
            if (!images[i].omit || !images[i].omit[j])
                note_missing(b, &p->parsed.layers[j], &missing);
    }
    if (!missing.len)
        return 0;
    return err_set(e, -ENOENT,
                   "neither the bundle nor the runtime has %s; name the base of the delta with "
                   "--base (its receipt is %s)",
                   missing.data, bundle_index(b)->base_receipt);
}

int imagetar_new(const struct bundle *b, const struct imagetar_image *images, size_t n_images,
                 const struct imagetar_options *options, struct imagetar **out, struct err **e)
{
    auto_imagetar struct imagetar *t = xcalloc(1, sizeof(*t));
    int r = check_blobs(b, images, n_images, e);

    t->bundle = b;
    t->size = TAR_END;
    t->buffer = xmalloc(BUFFER);
    if (r == 0)
        r = add_all(t, images, n_images, options, e);
    if (r < 0)
        return r;
    *out = take(t);
    return 0;
}

int64_t imagetar_size(const struct imagetar *t)
{
    return t->size;
}

/* --- reading --- */

static void close_content(struct imagetar *t)
{
    blob_reader_free(t->blob);
    zstd_reader_free(t->zstd);
    t->blob = NULL;
    t->zstd = NULL;
}

static int open_content(struct imagetar *t, const struct member *m, struct err **e)
{
    int r;

    if (m->text)
        return 0;
    if (m->unpack)
        return zstd_reader_open(t->bundle, m->digest, &t->zstd, e);
    r = blob_reader_open(t->bundle, m->digest, &t->blob, e);
    if (r == 0 && blob_reader_size(t->blob) != m->size)
        return err_set(e, -EBADMSG, "blob '%s' has %lld bytes, but its manifest says %lld",
                       m->digest, (long long)blob_reader_size(t->blob), (long long)m->size);
    return r;
}

static ssize_t read_content(struct imagetar *t, const struct member *m, struct err **e)
{
    size_t n;

    if (t->zstd)
        return zstd_reader_read(t->zstd, t->buffer, BUFFER, e);
    if (t->blob)
        return blob_reader_read(t->blob, t->buffer, BUFFER, e);
    n = (size_t)(m->size - t->given);
    n = n < BUFFER ? n : BUFFER;
    memcpy(t->buffer, m->text + t->given, n);
    return (ssize_t)n;
}

/* Puts the next piece of the current member into the buffer: header, content, padding. */
static int fill_from_member(struct imagetar *t, struct err **e)
{
    const struct member *m = &t->members[t->at];
    ssize_t n;

    if (!t->opened) {
        t->opened = true;
        t->given = 0;
        t->len = tar_header(m->path, m->size, t->buffer);
        return open_content(t, m, e);
    }
    n = read_content(t, m, e);
    if (n < 0)
        return (int)n;
    t->given += n;
    t->len = (size_t)n;
    if (t->given > m->size || (n == 0 && t->given < m->size))
        return err_set(e, -EBADMSG, "'%s' changed while it was read", m->path);
    if (n > 0)
        return 0;
    t->len = tar_padding(m->size);
    memset(t->buffer, 0, t->len);
    close_content(t);
    t->opened = false;
    t->at++;
    return 0;
}

static int fill(struct imagetar *t, struct err **e)
{
    t->pos = t->len = 0;
    if (t->at < t->n_members)
        return fill_from_member(t, e);
    t->ended = true;
    t->len = TAR_END;
    memset(t->buffer, 0, TAR_END);
    return 0;
}

ssize_t imagetar_read(void *arg, void *bytes, size_t size, struct err **e)
{
    struct imagetar *t = arg;
    size_t n;

    while (t->pos == t->len) {
        int r = t->ended ? 0 : fill(t, e);

        if (r < 0)
            t->len = t->pos = 0;
        if (r < 0 || (t->ended && t->pos == t->len))
            return r;
    }
    n = t->len - t->pos < size ? t->len - t->pos : size;
    memcpy(bytes, t->buffer + t->pos, n);
    t->pos += n;
    return (ssize_t)n;
}

const char *imagetar_current_blob(const struct imagetar *t)
{
    const struct member *m = &t->members[t->at < t->n_members ? t->at : 0];

    return t->at < t->n_members && !m->text ? m->digest : NULL;
}

void imagetar_free(struct imagetar *t)
{
    if (!t)
        return;
    close_content(t);
    for (size_t i = 0; i < t->n_members; i++) {
        free(t->members[i].path);
        free(t->members[i].text);
    }
    free(t->members);
    free(t->buffer);
    free(t);
}

void imagetar_cleanup(struct imagetar **t)
{
    imagetar_free(*t);
    *t = NULL;
}
