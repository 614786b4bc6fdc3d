/* From an image's name to its documents. */
#include "resolve.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_NESTING 4

/* The job of one image. */
struct resolving {
    struct plan_image *image;
    const struct plan *plan;
    struct registry_conn *conn;
    struct buf platforms_seen; /* "linux/amd64, linux/arm64", for the message when none fits */
};

/* Manifest or index bytes, wherever they are from. */
struct fetched {
    struct buf bytes;
    char *type;
    char digest[DIGEST_SIZE];
};

static void fetched_release(struct fetched *f)
{
    buf_release(&f->bytes);
    free(f->type);
}

static int fetch_manifest(const struct resolving *r, const char *selector, const char *type,
                          struct fetched *out, struct err **e)
{
    const char *bytes;
    size_t len;
    int result;

    buf_init(&out->bytes, MANIFEST_MAX_SIZE);
    if (!r->image->archive)
        return registry_get_manifest(r->conn, &r->image->ref, selector, &out->bytes, &out->type,
                                     out->digest, e);
    result = imagefile_document(r->image->archive, selector, &bytes, &len, e);
    if (result < 0)
        return result;
    if (buf_add(&out->bytes, bytes, len) < 0)
        return err_set(e, -EBADMSG, "manifest '%s' is larger than %u bytes", selector,
                       MANIFEST_MAX_SIZE);
    out->type = xstrdup(type);
    memcpy(out->digest, selector, DIGEST_SIZE);
    return 0;
}

static int append_to_buf(void *arg, const void *bytes, size_t len, struct err **e)
{
    if (buf_add(arg, bytes, len) < 0)
        return err_set(e, -EBADMSG, "the configuration is longer than its manifest says");
    return 0;
}

static int fetch_config(const struct resolving *r, const struct descriptor *config, struct buf *out,
                        struct err **e)
{
    char digest[DIGEST_SIZE];
    const char *bytes;
    size_t len;
    int result;

    if (config->size > CONFIG_MAX_SIZE)
        return err_set(e, -EBADMSG, "its configuration has %lld bytes, more than the %u allowed",
                       (long long)config->size, CONFIG_MAX_SIZE);
    buf_init(out, CONFIG_MAX_SIZE);
    if (r->image->archive) {
        result = imagefile_document(r->image->archive, config->digest, &bytes, &len, e);
        return result < 0 ? result : buf_add(out, bytes, len);
    }
    result = registry_get_blob(r->conn, &r->image->ref, config, 0, append_to_buf, out, e);
    if (result < 0)
        return result;
    hash_digest(out->data, out->len, digest);
    if (strcmp(digest, config->digest) != 0)
        return err_set(e, -EBADMSG, "its configuration has the SHA-256 %s, not %s", digest,
                       config->digest);
    return 0;
}

/* Takes the bytes over. */
static void add_document(struct plan_image *image, const char *digest, struct buf *bytes)
{
    struct document d = {.len = bytes->len};

    d.bytes = buf_steal(bytes);
    memcpy(d.digest, digest, DIGEST_SIZE);
    array_grow(image->documents, image->n_documents);
    image->documents[image->n_documents++] = d;
}

static bool is_wanted(const struct plan *plan, const struct platform *have)
{
    for (size_t i = 0; i < plan->n_platforms; i++)
        if (platform_matches(&plan->platforms[i], have))
            return true;
    return false;
}

static void note_platform(struct resolving *r, const struct platform *p)
{
    char text[PLATFORM_TEXT];

    (void)buf_addf(&r->platforms_seen, "%s%s", r->platforms_seen.len ? ", " : "",
                   platform_format(p, text));
}

/* A platform manifest becomes a member of the image, with its configuration. */
static int add_manifest(struct resolving *r, struct fetched *f, struct manifest *m,
                        const struct platform *from_index, struct err **e)
{
    struct bundle_image *image = &r->image->image;
    auto_config struct image_config config = {0};
    auto_buf struct buf config_bytes = {0};
    struct bundle_platform p = {0};
    int result;

    buf_init(&config_bytes, 0);
    result = fetch_config(r, &m->config, &config_bytes, e);
    if (result == 0)
        result = image_config_parse(config_bytes.data, config_bytes.len, &config, e);
    if (result < 0)
        return err_wrap(e, "configuration");
    if (config.n_diff_ids != m->n_layers)
        return err_set(e, -EBADMSG, "its configuration names %zu layers, its manifest %zu",
                       config.n_diff_ids, m->n_layers);
    p.platform = from_index ? *from_index : config.platform;
    note_platform(r, &p.platform);
    if (!is_wanted(r->plan, &p.platform))
        return 0;
    p.manifest.media_type = xstrdup(m->media_type);
    p.manifest.size = (int64_t)f->bytes.len;
    memcpy(p.manifest.digest, f->digest, DIGEST_SIZE);
    p.parsed = *m;
    *m = (struct manifest){0};
    add_document(r->image, f->digest, &f->bytes);
    add_document(r->image, p.parsed.config.digest, &config_bytes);
    array_grow(image->platforms, image->n_platforms);
    image->platforms[image->n_platforms++] = p;
    return 0;
}

static int blob_sizes(const struct resolving *r, struct schema1 *s, struct err **e)
{
    for (size_t i = 0; i < s->n_layers; i++) {
        int64_t size = 0;
        const struct imagefile *file = r->image->archive;
        const char *digest = s->layers[i].digest;
        int result = file ? imagefile_blob_size(file, digest, &size)
                          : registry_blob_size(r->conn, &r->image->ref, digest, &size, e);
        if (result < 0 && file)
            return err_set(e, result, "layer '%s' is not in '%s'", digest, imagefile_path(file));
        if (result < 0)
            return result;
        s->layers[i].size = size;
    }
    return 0;
}

/* The converted documents with empty diff ids: their sizes are right, their digests come later and
 * have stand-ins until then. */
static int add_converted(struct resolving *r, struct schema1 *s, struct err **e)
{
    struct bundle_image *image = &r->image->image;
    struct bundle_platform p = {.platform = s->platform};
    struct schema1_documents made = {0};
    int result = schema1_render(s, NULL, &made, e);

    if (result == 0)
        result =
            manifest_parse(made.manifest.data, made.manifest.len, MT_DOCKER_MANIFEST, &p.parsed, e);
    if (result < 0) {
        schema1_documents_release(&made);
        return result;
    }
    p.manifest.media_type = xstrdup(MT_DOCKER_MANIFEST);
    p.manifest.size = (int64_t)made.manifest.len;
    memcpy(p.manifest.digest, made.manifest_digest, DIGEST_SIZE);
    memcpy(image->converted_from, s->digest, DIGEST_SIZE);
    add_document(r->image, made.manifest_digest, &made.manifest);
    /* Without diff ids, configurations of different images may be equal; manifests never are. */
    hash_digest(made.manifest_digest, DIGEST_LEN, made.config_digest);
    add_document(r->image, made.config_digest, &made.config);
    schema1_documents_release(&made);
    array_grow(image->platforms, image->n_platforms);
    image->platforms[image->n_platforms++] = p;
    return 0;
}

static int convert_schema1(struct resolving *r, const struct fetched *f, struct err **e)
{
    struct schema1 *s = xcalloc(1, sizeof(*s));
    int result = schema1_parse(f->bytes.data, f->bytes.len, s, e);

    if (result < 0) {
        free(s);
        return result;
    }
    r->image->schema1 = s;
    note_platform(r, &s->platform);
    if (!is_wanted(r->plan, &s->platform))
        return 0;
    result = blob_sizes(r, s, e);
    return result < 0 ? result : add_converted(r, s, e);
}

static int walk(struct resolving *r, struct fetched *f, const struct platform *platform, int depth,
                struct err **e);

static int walk_child(struct resolving *r, const struct descriptor *child, int depth,
                      struct err **e)
{
    struct fetched f = {.type = NULL};
    int result;

    if (child->is_attestation)
        return 0;
    if (child->has_platform && !is_wanted(r->plan, &child->platform)) {
        note_platform(r, &child->platform);
        return 0;
    }
    result = fetch_manifest(r, child->digest, child->media_type, &f, e);
    if (result == 0)
        result = walk(r, &f, child->has_platform ? &child->platform : NULL, depth, e);
    fetched_release(&f);
    return result;
}

/* A manifest, or an index whose wanted members are walked in turn. */
static int walk(struct resolving *r, struct fetched *f, const struct platform *platform, int depth,
                struct err **e)
{
    auto_manifest struct manifest m = {0};
    int result = manifest_parse(f->bytes.data, f->bytes.len, f->type, &m, e);

    if (result < 0)
        return err_wrap(e, "manifest %s", f->digest);
    if (m.kind == MANIFEST_IMAGE)
        return add_manifest(r, f, &m, platform, e);
    if (m.kind == MANIFEST_SCHEMA1)
        return convert_schema1(r, f, e);
    if (depth == INDEX_NESTING)
        return err_set(e, -EBADMSG, "its indexes are nested deeper than %d", INDEX_NESTING);
    for (size_t i = 0; i < m.n_children && result == 0; i++)
        result = walk_child(r, &m.children[i], depth + 1, e);
    if (result == 0 && depth == 0) {
        struct bundle_image *image = &r->image->image;
        image->upstream_index.media_type = xstrdup(m.media_type);
        image->upstream_index.size = (int64_t)f->bytes.len;
        memcpy(image->upstream_index.digest, f->digest, DIGEST_SIZE);
        add_document(r->image, f->digest, &f->bytes);
    }
    return result;
}

static const struct bundle_platform *find_platform(const struct bundle_image *image,
                                                   const struct platform *wanted)
{
    for (size_t i = 0; i < image->n_platforms; i++)
        if (platform_matches(wanted, &image->platforms[i].platform))
            return &image->platforms[i];
    return NULL;
}

/* The first manifest of each wanted platform stays, in the order that the user gave. */
static void order_platforms(struct bundle_image *image, const struct plan *plan)
{
    struct bundle_platform *ordered = xcalloc(image->n_platforms, sizeof(*ordered));
    size_t n = 0;

    for (size_t i = 0; i < plan->n_platforms; i++) {
        struct bundle_platform *p =
            (struct bundle_platform *)find_platform(image, &plan->platforms[i]);
        if (!p)
            continue;
        ordered[n++] = *p;
        *p = (struct bundle_platform){0};
    }
    for (size_t i = 0; i < image->n_platforms; i++) {
        descriptor_release(&image->platforms[i].manifest);
        manifest_release(&image->platforms[i].parsed);
    }
    free(image->platforms);
    image->platforms = ordered;
    image->n_platforms = n;
}

/* An image that is no index can only have one platform; an index must have all that are wanted. */
static int check_platforms(const struct resolving *r, struct err **e)
{
    const struct bundle_image *image = &r->image->image;
    const char *seen = r->platforms_seen.len ? r->platforms_seen.data : "nothing that can run";
    char text[PLATFORM_TEXT];

    for (size_t i = 0; i < r->plan->n_platforms; i++) {
        if (find_platform(image, &r->plan->platforms[i]))
            continue;
        if (image->n_platforms && !image->upstream_index.size)
            continue;
        return err_set(e, -ENOENT, "it is not there for %s (it is for %s)",
                       platform_format(&r->plan->platforms[i], text), seen);
    }
    return 0;
}

static void warn_about_zstd(const struct bundle_image *b)
{
    const struct manifest *m = &b->platforms[0].parsed;

    for (size_t i = 0; i < m->n_layers; i++) {
        if (!media_type_is_zstd(m->layers[i].media_type))
            continue;
        log_warn("image '%s' has zstd layers: 'docker load' itself cannot read them before docker "
                 "23, 'flatnet images load' unpacks them",
                 b->reference);
        return;
    }
}

/* An image whose layers several platforms share still has each document once. */
static void finish_image(struct plan_image *image)
{
    struct bundle_image *b = &image->image;
    struct buf bytes;

    b->reference = ref_format(&image->ref);
    warn_about_zstd(b);
    if (b->n_platforms < 2)
        return;
    buf_init(&bytes, MANIFEST_MAX_SIZE);
    bytes.data = bundle_render_image_index(b);
    bytes.len = strlen(bytes.data);
    b->index.media_type = xstrdup(MT_OCI_INDEX);
    b->index.size = (int64_t)bytes.len;
    hash_digest(bytes.data, bytes.len, b->index.digest);
    add_document(image, b->index.digest, &bytes);
}

/* The manifest that an image file has under the name, or NULL. */
static const struct descriptor *find_in_file(const struct imagefile *file, const char *reference)
{
    size_t n;
    const struct imagefile_image *images = imagefile_images(file, &n);

    for (size_t i = 0; i < n; i++)
        if (images[i].reference && !strcmp(images[i].reference, reference))
            return &images[i].manifest;
    return NULL;
}

static int fetch_top(struct resolving *r, const struct imagefile *const *files, size_t n_files,
                     struct fetched *out, struct err **e)
{
    auto_free char *reference = ref_format(&r->image->ref);

    for (size_t i = 0; i < n_files; i++) {
        const struct descriptor *d = find_in_file(files[i], reference);
        if (!d)
            continue;
        r->image->archive = files[i];
        return fetch_manifest(r, d->digest, d->media_type, out, e);
    }
    return fetch_manifest(r, ref_selector(&r->image->ref), NULL, out, e);
}

int resolve_image(struct plan_image *image, const struct plan *plan,
                  const struct imagefile *const *files, size_t n_files, struct registry_conn *conn,
                  struct err **e)
{
    struct resolving r = {.image = image, .plan = plan, .conn = conn};
    struct fetched top = {.type = NULL};
    int result;

    buf_init(&r.platforms_seen, 4096);
    result = fetch_top(&r, files, n_files, &top, e);
    if (result == 0)
        result = walk(&r, &top, NULL, 0, e);
    if (result == 0)
        result = check_platforms(&r, e);
    if (result == 0) {
        order_platforms(&image->image, plan);
        finish_image(image);
    }
    fetched_release(&top);
    buf_release(&r.platforms_seen);
    return result;
}
