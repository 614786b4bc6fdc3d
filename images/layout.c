/* Layers, configurations, manifests and indexes of our own images. */
#include "layout.h"

#include "buf.h"
#include "bundle_index.h"
#include "fs.h"
#include "json.h"
#include "mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#define LAYER_MAX (64u << 20)
#define GZIP_WINDOW (15 + 16) /* zlib: the largest window, and a gzip header of zeros */
#define LABEL "org.opencontainers.image."

int layout_init(struct layout *l, const char *folder, int64_t created, struct err **e)
{
    auto_free char *blobs = xasprintf("%s/" BUNDLE_BLOB_DIR, folder);
    char text[sizeof("9999-12-31T23:59:59Z")];
    time_t seconds = created;
    struct tm utc;

    *l = (struct layout){.folder = folder};
    if (!gmtime_r(&seconds, &utc) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc))
        return err_set(e, -EINVAL, "%lld is no time in seconds", (long long)created);
    l->created = xstrdup(text);
    return fs_mkdirs(blobs, 0755, e);
}

void layout_release(struct layout *l)
{
    bundle_index_release(&l->index);
    free(l->created);
}

/* --- the layer --- */

static la_ssize_t take_bytes(struct archive *a, void *arg, const void *bytes, size_t len)
{
    if (buf_add(arg, bytes, len) == 0)
        return (la_ssize_t)len;
    archive_set_error(a, EFBIG, "it is larger than %u bytes", LAYER_MAX);
    return -1;
}

/* An entry of root's, of time 0. A folder has no bytes. */
static bool add_entry(struct archive *tar, const char *path, const struct layout_program *program)
{
    struct archive_entry *entry = archive_entry_new();
    la_ssize_t len = program ? (la_ssize_t)program->len : 0;
    bool is_added;

    archive_entry_set_pathname(entry, path);
    archive_entry_set_filetype(entry, program ? AE_IFREG : AE_IFDIR);
    archive_entry_set_perm(entry, 0755);
    archive_entry_set_mtime(entry, 0, 0);
    archive_entry_set_size(entry, len);
    is_added = archive_write_header(tar, entry) == ARCHIVE_OK &&
               (!program || archive_write_data(tar, program->bytes, program->len) == len);
    archive_entry_free(entry);
    return is_added;
}

/* The folder has an entry, so that its mode is not left to whoever unpacks the layer. */
static int make_tar(const char *name, const struct layout_program *program, struct buf *out,
                    struct err **e)
{
    auto_free char *path = xasprintf("bin/%s", name);
    struct archive *tar = archive_write_new();
    int r = 0;

    (void)archive_write_set_format_ustar(tar);
    if (archive_write_open(tar, out, NULL, take_bytes, NULL) != ARCHIVE_OK ||
        !add_entry(tar, "bin", NULL) || !add_entry(tar, path, program) ||
        archive_write_close(tar) != ARCHIVE_OK)
        r = err_set(e, -EINVAL, "'%s' does not go into a layer: %s", name,
                    archive_error_string(tar));
    (void)archive_write_free(tar);
    return r;
}

static int gzip_all(const struct buf *tar, struct buf *out, struct err **e)
{
    z_stream z = {.next_in = (Bytef *)tar->data, .avail_in = (uInt)tar->len};
    auto_free char *bytes = NULL;
    size_t size;
    int r;

    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return err_set(e, -ENOMEM, "zlib does not start");
    size = deflateBound(&z, (uLong)tar->len);
    bytes = xmalloc(size);
    z.next_out = (Bytef *)bytes;
    z.avail_out = (uInt)size;
    r = deflate(&z, Z_FINISH) == Z_STREAM_END ? buf_add(out, bytes, z.total_out) : -EFBIG;
    (void)deflateEnd(&z);
    return r < 0 ? err_set(e, r, "a layer does not fit") : 0;
}

/* --- blobs --- */

static int write_file(const struct layout *l, const char *name, const char *bytes, size_t len,
                      struct err **e)
{
    auto_free char *path = xasprintf("%s/%s", l->folder, name);

    return fs_write_file(path, bytes, len, 0644, e);
}

/* Writes a blob and describes it. */
static int add_blob(const struct layout *l, const char *media_type, const char *bytes, size_t len,
                    struct descriptor *out, struct err **e)
{
    auto_free char *path = NULL;
    int r;

    *out = (struct descriptor){.media_type = xstrdup(media_type), .size = (int64_t)len};
    hash_digest(bytes, len, out->digest);
    path = bundle_blob_path(out->digest);
    r = write_file(l, path, bytes, len, e);
    if (r < 0)
        descriptor_release(out);
    return r;
}

static int add_layer(const struct layout *l, const char *name, const struct layout_program *program,
                     char out_diff_id[DIGEST_SIZE], struct descriptor *out, struct err **e)
{
    auto_buf struct buf tar, gzip;
    int r;

    buf_init(&tar, LAYER_MAX);
    buf_init(&gzip, LAYER_MAX);
    r = make_tar(name, program, &tar, e);
    if (r == 0)
        r = gzip_all(&tar, &gzip, e);
    if (r < 0)
        return r;
    hash_digest(tar.data, tar.len, out_diff_id);
    return add_blob(l, MT_OCI_LAYER_GZIP, gzip.data, gzip.len, out, e);
}

/* --- documents --- */

static void add_strings(cJSON *obj, const char *name, const char *only)
{
    cJSON_AddItemToObject(obj, name, cJSON_CreateStringArray(&only, 1));
}

/* What a container of the image is started with. */
static void add_run_config(cJSON *root, const struct layout_recipe *recipe)
{
    cJSON *config = cJSON_AddObjectToObject(root, "config"), *labels;
    auto_free char *path = xasprintf("/bin/%s", recipe->name);

    json_add_str(config, "User", recipe->user);
    add_strings(config, "Env", "PATH=/bin");
    add_strings(config, "Entrypoint", path);
    json_add_str(config, "WorkingDir", "/");
    labels = cJSON_AddObjectToObject(config, "Labels");
    json_add_str(labels, LABEL "title", recipe->name);
    json_add_str(labels, LABEL "description", recipe->description);
    json_add_str(labels, LABEL "version", FLATNET_VERSION);
}

/* image-spec v1.1, config.md. */
static char *render_config(const struct layout *l, const struct layout_recipe *recipe,
                           const char *arch, const char *diff_id)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *part;

    json_add_str(root, "created", l->created);
    json_add_str(root, "architecture", arch);
    json_add_str(root, "os", "linux");
    add_run_config(root, recipe);
    part = cJSON_AddObjectToObject(root, "rootfs");
    json_add_str(part, "type", "layers");
    add_strings(part, "diff_ids", diff_id);
    part = cJSON_CreateObject();
    json_add_str(part, "created", l->created);
    json_add_str(part, "created_by", "make images");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(root, "history"), part);
    return json_print(root);
}

static cJSON *descriptor_json(const struct descriptor *d)
{
    cJSON *obj = cJSON_CreateObject();

    json_add_str(obj, "mediaType", d->media_type);
    json_add_str(obj, "digest", d->digest);
    json_add_int(obj, "size", d->size);
    return obj;
}

/* image-spec v1.1, manifest.md. */
static char *render_manifest(const struct manifest *m)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *layers;

    json_add_int(root, "schemaVersion", 2);
    json_add_str(root, "mediaType", MT_OCI_MANIFEST);
    cJSON_AddItemToObject(root, "config", descriptor_json(&m->config));
    layers = cJSON_AddArrayToObject(root, "layers");
    cJSON_AddItemToArray(layers, descriptor_json(&m->layers[0]));
    return json_print(root);
}

static int add_platform(const struct layout *l, const struct layout_recipe *recipe,
                        const struct layout_program *program, struct bundle_platform *out,
                        struct err **e)
{
    struct manifest *m = &out->parsed;
    auto_free char *config = NULL, *manifest = NULL;
    char diff_id[DIGEST_SIZE];
    int r = platform_from_fields("linux", program->arch, NULL, &out->platform, e);

    m->media_type = xstrdup(MT_OCI_MANIFEST);
    m->layers = xcalloc(1, sizeof(*m->layers));
    m->n_layers = 1;
    if (r == 0)
        r = add_layer(l, recipe->name, program, diff_id, &m->layers[0], e);
    if (r < 0)
        return r;
    config = render_config(l, recipe, program->arch, diff_id);
    r = add_blob(l, MT_OCI_CONFIG, config, strlen(config), &m->config, e);
    if (r < 0)
        return r;
    manifest = render_manifest(m);
    return add_blob(l, MT_OCI_MANIFEST, manifest, strlen(manifest), &out->manifest, e);
}

int layout_add(struct layout *l, const struct layout_recipe *recipe,
               const struct layout_program *programs, size_t n_programs, struct err **e)
{
    struct bundle_image *image;
    auto_free char *index = NULL;
    int r = 0;

    array_grow(l->index.images, l->index.n_images);
    image = &l->index.images[l->index.n_images++];
    *image = (struct bundle_image){
        .reference = xasprintf("docker.io/flatnet/%s:" FLATNET_VERSION, recipe->name)};
    image->platforms = xcalloc(n_programs, sizeof(*image->platforms));
    for (size_t i = 0; i < n_programs && r == 0; i++)
        r = add_platform(l, recipe, &programs[i], &image->platforms[image->n_platforms++], e);
    if (r < 0 || n_programs < 2)
        return r;
    index = bundle_render_image_index(image);
    return add_blob(l, MT_OCI_INDEX, index, strlen(index), &image->index, e);
}

int layout_finish(struct layout *l, struct err **e)
{
    auto_free char *oci = bundle_render_oci_index(&l->index);
    auto_free char *docker = bundle_render_docker(&l->index);
    int r = write_file(l, BUNDLE_DOCKER_PATH, docker, strlen(docker), e);

    if (r == 0)
        r = write_file(l, BUNDLE_OCI_INDEX_PATH, oci, strlen(oci), e);
    if (r == 0)
        r = write_file(l, BUNDLE_LAYOUT_PATH, BUNDLE_OCI_LAYOUT, strlen(BUNDLE_OCI_LAYOUT), e);
    return r;
}
