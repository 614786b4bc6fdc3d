#pragma once
/*
 * Manifests, indexes and configurations of images (OCI image-spec v1.1; Docker image manifest
 * v2 schema 2 and manifest list). Pure: bytes in, structures out.
 */
#include "err.h"
#include "hash.h"
#include "platform.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANIFEST_MAX_SIZE (4u << 20) /* as distribution and containerd limit it */
#define CONFIG_MAX_SIZE (8u << 20)
#define LAYER_MAX_SIZE (INT64_C(1) << 40)
#define MANIFEST_MAX_LAYERS 1024
#define MANIFEST_MAX_CHILDREN 1024

#define MT_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MT_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MT_DOCKER_SCHEMA1 "application/vnd.docker.distribution.manifest.v1+json"
#define MT_DOCKER_SCHEMA1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"
#define MT_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define MT_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define MT_DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
#define MT_DOCKER_LAYER_ZSTD "application/vnd.docker.image.rootfs.diff.tar.zstd"
#define MT_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MT_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MT_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MT_OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define MT_OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define MT_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"

struct descriptor {
    char *media_type; /* never NULL once parsed */
    char digest[DIGEST_SIZE];
    int64_t size;
    bool has_platform; /* index members only */
    struct platform platform;
    bool is_attestation; /* an index member for platform unknown/unknown: buildkit's papers */
};

/* True for layers whose blobs are zstd, which docker before 23 cannot read. */
bool media_type_is_zstd(const char *media_type);

enum manifest_kind { MANIFEST_IMAGE, MANIFEST_INDEX, MANIFEST_SCHEMA1 };

struct manifest {
    enum manifest_kind kind;
    char *media_type;          /* never NULL; of the kind's default where nothing says it */
    struct descriptor config;  /* image */
    struct descriptor *layers; /* image, lowest first */
    size_t n_layers;
    struct descriptor *children; /* index, in its order */
    size_t n_children;
};

/*
 * `content_type` is what the server said (parameters behind ';' are ignored) or NULL. The kind
 * follows the document's own mediaType where it has one (it must then agree with the content
 * type, as CVE-2021-41190 taught), else the content type, else its shape; a document with the
 * members of both an image and an index is refused. A content type that is no manifest's
 * (application/json, text/plain) says nothing. Errors are -EBADMSG: what is not JSON, foreign
 * (URL-only) and encrypted layers, artifacts that are no images, bad digests, sizes below 1 or
 * above what the kind allows, and members that appear twice or again in another case (Go's
 * decoder, which docker and containerd use, would read the last of them). Members of an index
 * whose media type is unknown are left out, as the image-spec asks. Schema 1 is only recognised
 * here. *out is written on success only.
 */
int manifest_parse(const char *bytes, size_t len, const char *content_type, struct manifest *out,
                   struct err **e);
void manifest_release(struct manifest *m);

struct image_config {
    struct platform platform;
    char (*diff_ids)[DIGEST_SIZE]; /* lowest layer first */
    size_t n_diff_ids;
};

/* -EBADMSG also where rootfs.type is not "layers", a diff id is no digest or the architecture is
 * missing. A missing os is "linux", as dockerd takes it there. */
int image_config_parse(const char *bytes, size_t len, struct image_config *out, struct err **e);
void image_config_release(struct image_config *c);

void descriptor_copy(struct descriptor *out, const struct descriptor *from);
void descriptor_release(struct descriptor *d);

#define auto_manifest __attribute__((cleanup(manifest_release)))
#define auto_config __attribute__((cleanup(image_config_release)))
