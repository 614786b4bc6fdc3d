/* Images in OCI layouts and docker archives. */
#include "imagefile.h"

#include "buf.h"
#include "bundle_index.h"
#include "fs.h"
#include "imagefile_internal.h"
#include "json.h"
#include "mem.h"
#include "ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINK_HOPS 8

void imagefile_free(struct imagefile *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_members; i++) {
        free(f->members[i].path);
        free(f->members[i].link);
        free(f->members[i].bytes);
    }
    for (size_t i = 0; i < f->n_images; i++) {
        free(f->images[i].reference);
        descriptor_release(&f->images[i].manifest);
    }
    mem_close_fd(&f->dirfd);
    free(f->members);
    free(f->images);
    free(f->path);
    free(f);
}

const char *imagefile_path(const struct imagefile *f)
{
    return f->path;
}

const struct imagefile_image *imagefile_images(const struct imagefile *f, size_t *out_count)
{
    *out_count = f->n_images;
    return f->images;
}

int imagefile_set_name(struct imagefile *f, const char *reference, struct err **e)
{
    struct ref ref = {0};
    int r;

    if (f->n_images != 1)
        return err_set(e, -EINVAL, "'%s' holds %zu images, one name cannot be given to all",
                       f->path, f->n_images);
    r = ref_parse(reference, &ref, e);
    if (r < 0)
        return r;
    free(f->images[0].reference);
    f->images[0].reference = ref_format(&ref);
    ref_release(&ref);
    return 0;
}

struct member *imagefile_member(const struct imagefile *f, const char *path)
{
    for (int hops = 0; path && hops < LINK_HOPS; hops++) {
        struct member *found = NULL;
        for (size_t i = 0; i < f->n_members && !found; i++)
            if (!strcmp(f->members[i].path, path))
                found = &f->members[i];
        if (!found || !found->link)
            return found;
        path = found->link;
    }
    return NULL;
}

static struct member *member_by_digest(const struct imagefile *f, const char *digest)
{
    for (size_t i = 0; i < f->n_members; i++)
        if (!strcmp(f->members[i].digest, digest))
            return &f->members[i];
    return NULL;
}

int imagefile_blob_size(const struct imagefile *f, const char *digest, int64_t *out_size)
{
    const struct member *m = member_by_digest(f, digest);

    if (!m)
        return -ENOENT;
    *out_size = m->size;
    return 0;
}

/* Loads a document of a folder on first use; those of a tar were kept while it was read. */
static int load_bytes(const struct imagefile *f, struct member *m, struct err **e)
{
    auto_close int fd = -1;
    char *bytes;
    int r;

    if (m->bytes)
        return 0;
    if (f->dirfd < 0 || m->size > CONFIG_MAX_SIZE)
        return err_set(e, -EBADMSG, "'%s' in '%s' is no JSON document", m->path, f->path);
    fd = fs_open_beneath(f->dirfd, m->path, O_RDONLY, 0, e);
    if (fd < 0)
        return fd;
    bytes = xmalloc((size_t)m->size + 1);
    bytes[m->size] = '\0';
    r = fs_pread(fd, bytes, (size_t)m->size, 0);
    if (r < 0) {
        free(bytes);
        return err_set(e, r, "cannot read '%s' in '%s': %s", m->path, f->path, strerror(-r));
    }
    m->bytes = bytes;
    return 0;
}

int imagefile_document(const struct imagefile *f, const char *digest, const char **out_bytes,
                       size_t *out_len, struct err **e)
{
    struct member *m = member_by_digest(f, digest);
    char actual[DIGEST_SIZE];
    int r;

    if (!m)
        return err_set(e, -ENOENT, "blob '%s' is not in '%s'", digest, f->path);
    r = load_bytes(f, m, e);
    if (r < 0)
        return r;
    hash_digest(m->bytes, (size_t)m->size, actual);
    if (strcmp(actual, digest) != 0)
        return err_set(e, -EBADMSG, "'%s' in '%s' has a wrong SHA-256", m->path, f->path);
    *out_bytes = m->bytes;
    *out_len = (size_t)m->size;
    return 0;
}

static int parse_member(const struct imagefile *f, const char *path, cJSON **out, struct err **e)
{
    struct member *m = imagefile_member(f, path);
    int r;

    if (!m)
        return err_set(e, -EBADMSG, "'%s' has no %s", f->path, path);
    r = load_bytes(f, m, e);
    if (r == 0)
        r = json_parse(m->bytes, (size_t)m->size, out, e);
    return r < 0 ? err_wrap(e, "%s in '%s'", path, f->path) : 0;
}

/* The full name in an annotation, or NULL: a bare tag, as skopeo and umoci write it, is none. */
static char *full_name(const char *text)
{
    struct ref ref = {0};
    char *full;

    if (!text || !strpbrk(text, "/:@") || ref_parse(text, &ref, NULL) < 0)
        return NULL;
    full = ref_format(&ref);
    ref_release(&ref);
    return full;
}

static void add_image(struct imagefile *f, char *reference, const struct descriptor *manifest)
{
    struct imagefile_image image = {.reference = reference};

    descriptor_copy(&image.manifest, manifest);
    array_grow(f->images, f->n_images);
    f->images[f->n_images++] = image;
}

static int read_oci_index(struct imagefile *f, struct err **e)
{
    auto_json cJSON *tree = NULL;
    auto_manifest struct manifest index = {0};
    const struct member *m = imagefile_member(f, BUNDLE_OCI_INDEX_PATH);
    const cJSON *item;
    size_t i = 0;
    int r = parse_member(f, BUNDLE_OCI_INDEX_PATH, &tree, e);

    if (r == 0)
        r = manifest_parse(m->bytes, (size_t)m->size, MT_OCI_INDEX, &index, e);
    if (r < 0)
        return err_wrap(e, "'%s'", f->path);
    cJSON_ArrayForEach(item, json_get_arr(tree, "manifests"))
    {
        const cJSON *notes = json_get_obj(item, "annotations");
        char *name = full_name(json_get_str(notes, "io.containerd.image.name"));

        if (!name)
            name = full_name(json_get_str(notes, "org.opencontainers.image.ref.name"));
        if (i == index.n_children) {
            free(name);
            break;
        }
        add_image(f, name, &index.children[i++]);
    }
    return 0;
}

void imagefile_add_member(struct imagefile *f, const struct member *m)
{
    array_grow(f->members, f->n_members);
    f->members[f->n_members++] = *m;
}

/* A manifest for an image of a docker archive, whose layers are plain tars named by diff id. */
static char *make_manifest(const struct member *config, const struct member *const *layers,
                           const struct image_config *c)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *item, *list;

    json_add_int(root, "schemaVersion", 2);
    json_add_str(root, "mediaType", MT_DOCKER_MANIFEST);
    item = cJSON_AddObjectToObject(root, "config");
    json_add_str(item, "mediaType", MT_DOCKER_CONFIG);
    json_add_int(item, "size", config->size);
    json_add_str(item, "digest", config->digest);
    list = cJSON_AddArrayToObject(root, "layers");
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        item = cJSON_CreateObject();
        json_add_str(item, "mediaType", MT_DOCKER_LAYER);
        json_add_int(item, "size", layers[i]->size);
        json_add_str(item, "digest", c->diff_ids[i]);
        cJSON_AddItemToArray(list, item);
    }
    return json_print(root);
}

/* The members of the layers that a docker manifest.json lists; their digests are the diff ids. */
static int find_layers(struct imagefile *f, const cJSON *image, const struct image_config *c,
                       struct member **out, struct err **e)
{
    const cJSON *list = json_get_arr(image, "Layers");

    if (!list || (size_t)cJSON_GetArraySize(list) != c->n_diff_ids)
        return err_set(e, -EBADMSG, "an image of '%s' has not one layer for each diff id", f->path);
    for (size_t i = 0; i < c->n_diff_ids; i++) {
        const char *path = cJSON_GetStringValue(cJSON_GetArrayItem(list, (int)i));
        struct member *m = path ? imagefile_member(f, path) : NULL;

        if (!m)
            return err_set(e, -EBADMSG, "layer '%s' is not in '%s'", path ? path : "?", f->path);
        memcpy(m->digest, c->diff_ids[i], DIGEST_SIZE);
        out[i] = m;
    }
    return 0;
}

static int add_docker_manifest(struct imagefile *f, const cJSON *image, struct descriptor *out,
                               struct err **e)
{
    const char *config_path = json_get_str(image, "Config");
    struct member *config = config_path ? imagefile_member(f, config_path) : NULL;
    auto_config struct image_config c = {0};
    auto_free struct member **layers = NULL;
    struct member made = {0};
    char actual[DIGEST_SIZE];
    int r;

    if (!config)
        return err_set(e, -EBADMSG, "the configuration of an image is not in '%s'", f->path);
    r = load_bytes(f, config, e);
    if (r == 0)
        r = image_config_parse(config->bytes, (size_t)config->size, &c, e);
    if (r < 0)
        return err_wrap(e, "'%s' in '%s'", config_path, f->path);
    hash_digest(config->bytes, (size_t)config->size, actual);
    if (*config->digest && strcmp(config->digest, actual) != 0)
        return err_set(e, -EBADMSG, "'%s' in '%s' has a wrong SHA-256", config->path, f->path);
    memcpy(config->digest, actual, DIGEST_SIZE);
    layers = xcalloc(c.n_diff_ids, sizeof(struct member *));
    r = find_layers(f, image, &c, layers, e);
    if (r < 0)
        return r;
    made.bytes = make_manifest(config, (const struct member *const *)layers, &c);
    made.size = (int64_t)strlen(made.bytes);
    made.path = xstrdup("(made)");
    hash_digest(made.bytes, (size_t)made.size, made.digest);
    *out = (struct descriptor){.media_type = (char *)MT_DOCKER_MANIFEST, .size = made.size};
    memcpy(out->digest, made.digest, DIGEST_SIZE);
    imagefile_add_member(f, &made);
    return 0;
}

static int read_docker_manifest(struct imagefile *f, struct err **e)
{
    auto_json cJSON *tree = NULL;
    const cJSON *image;
    int r = parse_member(f, BUNDLE_DOCKER_PATH, &tree, e);

    if (r == 0 && !cJSON_IsArray(tree))
        r = err_set(e, -EBADMSG, "%s in '%s' is no list", BUNDLE_DOCKER_PATH, f->path);
    cJSON_ArrayForEach(image, tree)
    {
        const cJSON *tags = json_get_arr(image, "RepoTags"), *tag;
        struct descriptor d = {0};

        if (r == 0)
            r = add_docker_manifest(f, image, &d, e);
        if (r < 0)
            return r;
        cJSON_ArrayForEach(tag, tags) add_image(f, full_name(cJSON_GetStringValue(tag)), &d);
        if (!tags || !cJSON_GetArraySize(tags))
            add_image(f, NULL, &d);
    }
    return r;
}

/* OCI first: archives of new docker versions are both, and only that half has all digests. */
int imagefile_read_images(struct imagefile *f, struct err **e)
{
    int r;

    if (imagefile_member(f, BUNDLE_LAYOUT_PATH) && imagefile_member(f, BUNDLE_OCI_INDEX_PATH))
        r = read_oci_index(f, e);
    else if (imagefile_member(f, BUNDLE_DOCKER_PATH))
        r = read_docker_manifest(f, e);
    else
        r = err_set(e, -EBADMSG, "'%s' is neither an OCI layout nor a docker archive", f->path);
    if (r == 0 && !f->n_images)
        r = err_set(e, -EBADMSG, "'%s' holds no image", f->path);
    return r;
}

int imagefile_open(const char *path, struct imagefile **out, struct err **e)
{
    struct imagefile *f = xcalloc(1, sizeof(*f));
    int r;

    f->path = xstrdup(path);
    f->dirfd = -1;
    r = imagefile_scan(f, e);
    if (r == 0)
        r = imagefile_read_images(f, e);
    if (r < 0) {
        imagefile_free(f);
        return r;
    }
    *out = f;
    return 0;
}
