/* The documents inside a bundle that other programs read: index.json, manifest.json, image
 * indexes; and the trailer. */
#include "bundle_index.h"

#include "json.h"
#include "mem.h"
#include "ref.h"

#include <stdlib.h>
#include <string.h>

char *bundle_blob_path(const char *digest)
{
    return xasprintf(BUNDLE_BLOB_DIR "%s", digest_hex(digest));
}

/* A reference that was checked before; its parts are then never missing. */
static struct ref parse_checked(const char *reference)
{
    struct ref ref = {0};

    if (ref_parse(reference, &ref, NULL) < 0)
        abort();
    return ref;
}

char *bundle_docker_name(const char *reference)
{
    struct ref ref = parse_checked(reference);
    char *name = ref.tag ? xasprintf("%s/%s:%s", ref.host, ref.repo, ref.tag)
                         : xasprintf("%s/%s:sha256-%s", ref.host, ref.repo, digest_hex(ref.digest));

    ref_release(&ref);
    return name;
}

char *bundle_containerd_name(const char *reference)
{
    struct ref ref = parse_checked(reference);
    char *name = ref.digest ? xasprintf("%s/%s@%s", ref.host, ref.repo, ref.digest)
                            : xasprintf("%s/%s:%s", ref.host, ref.repo, ref.tag);

    ref_release(&ref);
    return name;
}

static cJSON *oci_descriptor(const struct descriptor *d, const struct platform *platform)
{
    cJSON *obj = cJSON_CreateObject(), *p;

    json_add_str(obj, "mediaType", d->media_type);
    json_add_str(obj, "digest", d->digest);
    json_add_int(obj, "size", d->size);
    if (!platform)
        return obj;
    p = cJSON_AddObjectToObject(obj, "platform");
    json_add_str(p, "architecture", platform->arch);
    json_add_str(p, "os", platform->os);
    if (*platform->variant)
        json_add_str(p, "variant", platform->variant);
    return obj;
}

static cJSON *oci_index(void)
{
    cJSON *root = cJSON_CreateObject();

    json_add_int(root, "schemaVersion", 2);
    json_add_str(root, "mediaType", MT_OCI_INDEX);
    return root;
}

char *bundle_render_image_index(const struct bundle_image *image)
{
    auto_json cJSON *root = oci_index();
    cJSON *list = cJSON_AddArrayToObject(root, "manifests");

    for (size_t i = 0; i < image->n_platforms; i++)
        cJSON_AddItemToArray(list, oci_descriptor(&image->platforms[i].manifest,
                                                  &image->platforms[i].platform));
    return json_print(root);
}

char *bundle_render_oci_index(const struct bundle_index *index)
{
    auto_json cJSON *root = oci_index();
    cJSON *list = cJSON_AddArrayToObject(root, "manifests");

    for (size_t i = 0; i < index->n_images; i++) {
        const struct bundle_image *image = &index->images[i];
        auto_free char *name = bundle_containerd_name(image->reference);
        cJSON *item = image->n_platforms > 1 ? oci_descriptor(&image->index, NULL)
                                             : oci_descriptor(&image->platforms[0].manifest,
                                                              &image->platforms[0].platform);
        cJSON *annotations = cJSON_AddObjectToObject(item, "annotations");

        json_add_str(annotations, "io.containerd.image.name", name);
        json_add_str(annotations, "org.opencontainers.image.ref.name", name);
        cJSON_AddItemToArray(list, item);
    }
    return json_print(root);
}

static void add_blob_path(cJSON *array, const char *digest)
{
    auto_free char *path = bundle_blob_path(digest);

    cJSON_AddItemToArray(array, cJSON_CreateString(path));
}

char *bundle_render_docker(const struct bundle_index *index)
{
    auto_json cJSON *root = cJSON_CreateArray();

    for (size_t i = 0; i < index->n_images; i++) {
        const struct manifest *m = &index->images[i].platforms[0].parsed;
        auto_free char *name = bundle_docker_name(index->images[i].reference);
        auto_free char *config = bundle_blob_path(m->config.digest);
        cJSON *item = cJSON_CreateObject(), *layers;

        json_add_str(item, "Config", config);
        cJSON_AddItemToArray(cJSON_AddArrayToObject(item, "RepoTags"), cJSON_CreateString(name));
        layers = cJSON_AddArrayToObject(item, "Layers");
        for (size_t j = 0; j < m->n_layers; j++)
            add_blob_path(layers, m->layers[j].digest);
        cJSON_AddItemToArray(root, item);
    }
    return json_print(root);
}

char *bundle_render_trailer(const char *index_text, size_t index_len)
{
    char digest[DIGEST_SIZE];

    hash_digest(index_text, *index_text ? index_len : 0, digest);
    /* The length is padded, so that the trailer's own length does not depend on it. */
    return xasprintf("flatnet-trailer 1\nindex-length %020zu\nindex-sha256 %s\n", index_len,
                     digest_hex(digest));
}
