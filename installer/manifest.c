/*
 * Manifests, indexes and configurations. The bytes come from registries and bundles: nothing is
 * taken from them that was not looked at, and nothing of an unknown type passes for a layer.
 */
#include "manifest.h"

#include "jsonstrict.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum role {
    ROLE_OTHER,
    ROLE_IMAGE,
    ROLE_INDEX,
    ROLE_SCHEMA1,
    ROLE_CONFIG,
    ROLE_LAYER,
    ROLE_FOREIGN
};

static const struct {
    const char *name;
    enum role role;
} media_types[] = {
    {MT_DOCKER_MANIFEST, ROLE_IMAGE},
    {MT_OCI_MANIFEST, ROLE_IMAGE},
    {MT_DOCKER_LIST, ROLE_INDEX},
    {MT_OCI_INDEX, ROLE_INDEX},
    {MT_DOCKER_SCHEMA1, ROLE_SCHEMA1},
    {MT_DOCKER_SCHEMA1_SIGNED, ROLE_SCHEMA1},
    {MT_DOCKER_CONFIG, ROLE_CONFIG},
    {MT_OCI_CONFIG, ROLE_CONFIG},
    {MT_DOCKER_LAYER_GZIP, ROLE_LAYER},
    {MT_DOCKER_LAYER, ROLE_LAYER},
    {MT_DOCKER_LAYER_ZSTD, ROLE_LAYER},
    {MT_OCI_LAYER_GZIP, ROLE_LAYER},
    {MT_OCI_LAYER, ROLE_LAYER},
    {MT_OCI_LAYER_ZSTD, ROLE_LAYER},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar", ROLE_FOREIGN},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", ROLE_FOREIGN},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar", ROLE_FOREIGN},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", ROLE_FOREIGN},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", ROLE_FOREIGN},
};

/* Compares with the first `len` characters of `name`, in any case: a header is not a document. */
static const char *known_type(const char *name, size_t len, enum role *out_role)
{
    for (size_t i = 0; i < sizeof(media_types) / sizeof(media_types[0]); i++) {
        const char *known = media_types[i].name;

        if (strlen(known) == len && !strncasecmp(known, name, len)) {
            *out_role = media_types[i].role;
            return known;
        }
    }
    return NULL;
}

static enum role role_of(const char *media_type)
{
    enum role role = ROLE_OTHER;
    const char *known = known_type(media_type, strlen(media_type), &role);

    return known && !strcmp(known, media_type) ? role : ROLE_OTHER;
}

bool media_type_is_zstd(const char *media_type)
{
    return !strcmp(media_type, MT_OCI_LAYER_ZSTD) || !strcmp(media_type, MT_DOCKER_LAYER_ZSTD);
}

static int parse_platform(const cJSON *obj, struct descriptor *d, struct err **e)
{
    static const char *const members[] = {"os", "architecture", "variant", NULL};
    const char *os, *arch, *variant;
    int r = json_check_members(obj, members, e);

    if (r < 0 || (r = json_get_text(obj, "os", &os, e)) < 0 ||
        (r = json_get_text(obj, "architecture", &arch, e)) < 0 ||
        (r = json_get_text(obj, "variant", &variant, e)) < 0)
        return r;
    if (platform_from_fields(os, arch, variant, &d->platform, e) < 0)
        return err_set(e, -EBADMSG, "its platform '%.31s/%.31s/%.31s' is not one", os, arch,
                       variant);
    d->has_platform = true;
    d->is_attestation = !strcmp(d->platform.os, "unknown") && !strcmp(d->platform.arch, "unknown");
    return 0;
}

static int parse_descriptor(const cJSON *obj, int64_t max_size, struct descriptor *out,
                            struct err **e)
{
    static const char *const members[] = {"mediaType", "digest", "size", "platform", NULL};
    struct descriptor d = {.size = -1};
    const cJSON *platform;
    const char *type, *digest;
    int r;

    if (!cJSON_IsObject(obj))
        return err_set(e, -EBADMSG, "it is not an object");
    if ((r = json_check_members(obj, members, e)) < 0 ||
        (r = json_get_text(obj, "mediaType", &type, e)) < 0 ||
        (r = json_get_text(obj, "digest", &digest, e)) < 0)
        return r;
    if (!digest_is_valid(digest))
        return err_set(e, -EBADMSG, "its digest '%.100s' is not a SHA-256 digest", digest);
    if (json_get_size(obj, "size", &d.size) < 0 || d.size < 1 || d.size > max_size)
        return err_set(e, -EBADMSG, "its size is not a number from 1 to %lld", (long long)max_size);
    platform = json_get_obj(obj, "platform");
    if (platform && (r = parse_platform(platform, &d, e)) < 0)
        return r;
    memcpy(d.digest, digest, sizeof(d.digest));
    d.media_type = xstrdup(type);
    *out = d;
    return 0;
}

static int parse_config_descriptor(const cJSON *tree, struct manifest *m, struct err **e)
{
    if (parse_descriptor(json_get_obj(tree, "config"), CONFIG_MAX_SIZE, &m->config, e) < 0)
        return err_wrap(e, "configuration");
    if (role_of(m->config.media_type) != ROLE_CONFIG)
        return err_set(e, -EBADMSG,
                       "its configuration has the media type '%.100s': this is an artifact of "
                       "another kind, not a container image",
                       m->config.media_type);
    return 0;
}

static int parse_layer(const cJSON *item, struct manifest *m, struct err **e)
{
    struct descriptor d;
    enum role role;

    if (m->n_layers == MANIFEST_MAX_LAYERS)
        return err_set(e, -EBADMSG, "more than %d layers", MANIFEST_MAX_LAYERS);
    if (parse_descriptor(item, LAYER_MAX_SIZE, &d, e) < 0)
        return err_wrap(e, "layer %zu", m->n_layers + 1);
    array_grow(m->layers, m->n_layers);
    m->layers[m->n_layers++] = d;
    role = role_of(d.media_type);
    if (role == ROLE_LAYER)
        return 0;
    return err_set(e, -EBADMSG, "layer %zu has the media type '%.100s': %s", m->n_layers,
                   d.media_type,
                   role == ROLE_FOREIGN
                       ? "foreign layers, which are not kept in registries, are not supported"
                       : "this is not a layer that a container runtime unpacks");
}

static int parse_image(const cJSON *tree, struct manifest *m, struct err **e)
{
    const cJSON *item;
    int r = parse_config_descriptor(tree, m, e);

    cJSON_ArrayForEach(item, json_get_arr(tree, "layers"))
    {
        if (r < 0)
            break;
        r = parse_layer(item, m, e);
    }
    return r;
}

static int parse_child(const cJSON *item, struct manifest *m, struct err **e)
{
    struct descriptor d;
    enum role role;

    if (parse_descriptor(item, MANIFEST_MAX_SIZE, &d, e) < 0)
        return err_wrap(e, "manifest %zu of the index", m->n_children + 1);
    role = role_of(d.media_type);
    if (role != ROLE_IMAGE && role != ROLE_INDEX && role != ROLE_SCHEMA1) {
        descriptor_release(&d);
        return 0;
    }
    array_grow(m->children, m->n_children);
    m->children[m->n_children++] = d;
    return 0;
}

static int parse_index(const cJSON *tree, struct manifest *m, struct err **e)
{
    const cJSON *list = json_get_arr(tree, "manifests"), *item;
    int r = 0;

    if (cJSON_GetArraySize(list) > MANIFEST_MAX_CHILDREN)
        return err_set(e, -EBADMSG, "more than %d manifests in the index", MANIFEST_MAX_CHILDREN);
    cJSON_ArrayForEach(item, list)
    {
        if ((r = parse_child(item, m, e)) < 0)
            break;
    }
    return r;
}

/* The role that the members show; ROLE_OTHER where they show none or two. */
static enum role shape_of(const cJSON *tree)
{
    bool config = cJSON_GetObjectItemCaseSensitive(tree, "config") != NULL;
    bool layers = cJSON_GetObjectItemCaseSensitive(tree, "layers") != NULL;
    bool manifests = cJSON_GetObjectItemCaseSensitive(tree, "manifests") != NULL;
    bool fs_layers = cJSON_GetObjectItemCaseSensitive(tree, "fsLayers") != NULL;
    int64_t version = 0;

    (void)json_get_size(tree, "schemaVersion", &version);
    if (version == 1 && fs_layers && !config && !layers && !manifests)
        return ROLE_SCHEMA1;
    if (version != 2 || fs_layers)
        return ROLE_OTHER;
    if (json_get_arr(tree, "manifests") && !config && !layers)
        return ROLE_INDEX;
    if (json_get_obj(tree, "config") && json_get_arr(tree, "layers") && !manifests)
        return ROLE_IMAGE;
    return ROLE_OTHER;
}

static const char *default_type(const cJSON *tree, enum role shape)
{
    if (shape == ROLE_INDEX)
        return MT_OCI_INDEX;
    if (shape == ROLE_IMAGE)
        return MT_OCI_MANIFEST;
    return json_get_arr(tree, "signatures") ? MT_DOCKER_SCHEMA1_SIGNED : MT_DOCKER_SCHEMA1;
}

/* What a Content-Type says: a manifest's media type, or NULL. */
static const char *type_of_header(const char *content_type)
{
    enum role role = ROLE_OTHER;
    const char *known;

    if (!content_type)
        return NULL;
    content_type += strspn(content_type, " \t");
    known = known_type(content_type, strcspn(content_type, "; \t\r\n"), &role);
    return role == ROLE_IMAGE || role == ROLE_INDEX || role == ROLE_SCHEMA1 ? known : NULL;
}

/* Brings header, mediaType and shape together; the two schema 1 types differ only in signatures. */
static int decide(const cJSON *tree, const char *content_type, enum role *out_role,
                  const char **out_type, struct err **e)
{
    const char *header = type_of_header(content_type), *inside;
    enum role shape = shape_of(tree);
    int r = json_get_text(tree, "mediaType", &inside, e);

    if (r < 0)
        return r;
    if (shape == ROLE_OTHER)
        return err_set(e, -EBADMSG,
                       "the document is neither an image manifest, nor an index, nor a schema 1 "
                       "manifest");
    if (*inside && role_of(inside) != shape)
        return err_set(e, -EBADMSG, "the document's media type '%.100s' does not fit its members",
                       inside);
    if (header && role_of(header) != shape)
        return err_set(e, -EBADMSG, "the server calls it '%s', which does not fit its members",
                       header);
    if (*inside && header && strcmp(inside, header))
        return err_set(e, -EBADMSG, "the server calls it '%s', the document itself '%s'", header,
                       inside);
    *out_role = shape;
    *out_type = *inside                           ? inside
                : header && shape != ROLE_SCHEMA1 ? header
                                                  : default_type(tree, shape);
    return 0;
}

static int parse_tree(const cJSON *tree, const char *content_type, struct manifest *m,
                      struct err **e)
{
    static const char *const members[] = {"schemaVersion", "mediaType", "config",     "layers",
                                          "manifests",     "fsLayers",  "signatures", NULL};
    enum role role = ROLE_OTHER;
    const char *type = NULL;
    int r;

    if (!cJSON_IsObject(tree))
        return err_set(e, -EBADMSG, "the document is not a JSON object");
    if ((r = json_check_members(tree, members, e)) < 0 ||
        (r = decide(tree, content_type, &role, &type, e)) < 0)
        return r;
    m->media_type = xstrdup(type);
    m->kind = role == ROLE_INDEX   ? MANIFEST_INDEX
              : role == ROLE_IMAGE ? MANIFEST_IMAGE
                                   : MANIFEST_SCHEMA1;
    if (role == ROLE_INDEX)
        return parse_index(tree, m, e);
    return role == ROLE_IMAGE ? parse_image(tree, m, e) : 0;
}

int manifest_parse(const char *bytes, size_t len, const char *content_type, struct manifest *out,
                   struct err **e)
{
    auto_manifest struct manifest m = {.media_type = NULL};
    auto_json cJSON *tree = NULL;
    int r;

    if (len > MANIFEST_MAX_SIZE)
        return err_set(e, -EBADMSG, "the manifest is larger than %u bytes", MANIFEST_MAX_SIZE);
    if ((r = json_parse(bytes, len, &tree, e)) < 0 ||
        (r = parse_tree(tree, content_type, &m, e)) < 0)
        return r;
    *out = m;
    m = (struct manifest){.media_type = NULL};
    return 0;
}

void manifest_release(struct manifest *m)
{
    descriptor_release(&m->config);
    for (size_t i = 0; i < m->n_layers; i++)
        descriptor_release(&m->layers[i]);
    for (size_t i = 0; i < m->n_children; i++)
        descriptor_release(&m->children[i]);
    free(m->layers);
    free(m->children);
    free(m->media_type);
    *m = (struct manifest){.media_type = NULL};
}

static int parse_diff_ids(const cJSON *rootfs, struct image_config *c, struct err **e)
{
    const cJSON *list = json_get_arr(rootfs, "diff_ids"), *item;
    int count = cJSON_GetArraySize(list);

    if (count > MANIFEST_MAX_LAYERS)
        return err_set(e, -EBADMSG, "more than %d diff ids", MANIFEST_MAX_LAYERS);
    c->diff_ids = xcalloc((size_t)count, sizeof(*c->diff_ids));
    cJSON_ArrayForEach(item, list)
    {
        const char *id = cJSON_GetStringValue(item);

        if (!digest_is_valid(id))
            return err_set(e, -EBADMSG, "diff id %zu is not a SHA-256 digest", c->n_diff_ids + 1);
        memcpy(c->diff_ids[c->n_diff_ids++], id, DIGEST_SIZE);
    }
    return 0;
}

static int parse_config_tree(const cJSON *tree, struct image_config *c, struct err **e)
{
    static const char *const members[] = {"os", "architecture", "variant", "rootfs", NULL};
    static const char *const rootfs_members[] = {"type", "diff_ids", NULL};
    const cJSON *rootfs = json_get_obj(tree, "rootfs");
    const char *os, *arch, *variant, *type = json_get_str(rootfs, "type");
    int r;

    if ((r = json_check_members(tree, members, e)) < 0 ||
        (r = json_check_members(rootfs, rootfs_members, e)) < 0 ||
        (r = json_get_text(tree, "os", &os, e)) < 0 ||
        (r = json_get_text(tree, "architecture", &arch, e)) < 0 ||
        (r = json_get_text(tree, "variant", &variant, e)) < 0)
        return r;
    if (platform_from_fields(*os ? os : "linux", arch, variant, &c->platform, e) < 0)
        return err_set(e, -EBADMSG, "its platform '%.31s/%.31s/%.31s' is not one", os, arch,
                       variant);
    if (!type || strcmp(type, "layers"))
        return err_set(e, -EBADMSG, "its rootfs is not of the type 'layers'");
    return parse_diff_ids(rootfs, c, e);
}

int image_config_parse(const char *bytes, size_t len, struct image_config *out, struct err **e)
{
    auto_config struct image_config c = {.n_diff_ids = 0};
    auto_json cJSON *tree = NULL;

    if (len > CONFIG_MAX_SIZE)
        return err_set(e, -EBADMSG, "the image configuration is larger than %u bytes",
                       CONFIG_MAX_SIZE);
    if (json_parse(bytes, len, &tree, e) < 0 || parse_config_tree(tree, &c, e) < 0)
        return err_wrap(e, "image configuration");
    *out = c;
    c = (struct image_config){.n_diff_ids = 0};
    return 0;
}

void image_config_release(struct image_config *c)
{
    free(c->diff_ids);
    *c = (struct image_config){.n_diff_ids = 0};
}

void descriptor_copy(struct descriptor *out, const struct descriptor *from)
{
    *out = *from;
    out->media_type = xstrdup(from->media_type);
}

void descriptor_release(struct descriptor *d)
{
    free(d->media_type);
    *d = (struct descriptor){.size = 0};
}
