#pragma once
/*
 * The tar that hands images of a bundle to a container runtime. It is made while it is read:
 * nothing is written anywhere, and memory is one buffer whatever the size of the images.
 *
 * Blobs come first and the documents that name them last (index.json, oci-layout, manifest.json),
 * so that an archive cut short between two entries is no archive to any reader.
 */
#include "bundle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct imagetar_image {
    const struct bundle_platform *platform;
    const char *name; /* full reference that the runtime shall know it by */
    /* One per layer: true leaves the layer's bytes out, since the taker has them. NULL: none. */
    const bool *omit;
};

struct imagetar_options {
    /* An OCI image layout that is a docker archive too (manifests go in), else only the latter. */
    bool oci;
    /* Layers that are zstd go in as plain tars, named by their diff id; not together with oci,
     * where the manifest pins the layers' bytes. Such layers are read once now, for their length,
     * and checked against the diff id. */
    bool unpack_zstd;
};

/* The configuration of an image, with as many diff ids as its manifest has layers; to be
 * released. -EBADMSG otherwise. */
int imagetar_read_config(const struct bundle *b, const struct manifest *manifest,
                         struct image_config *out, struct err **e);

struct imagetar;

/*
 * Plans the archive; bundle and images must outlive it. -ENOENT: blobs that the bundle left to its
 * base are needed; the message lists them. -EBADMSG: a document of the image is broken.
 */
int imagetar_new(const struct bundle *b, const struct imagetar_image *images, size_t n_images,
                 const struct imagetar_options *options, struct imagetar **out, struct err **e);
/* The whole length in bytes, known before the first read. */
int64_t imagetar_size(const struct imagetar *t);
/*
 * Gives the next bytes, at most `size`; 0 at the end; `arg` is the struct imagetar (so that this
 * is a http_source). Blobs are verified as they pass; the last bytes of a corrupt one are never
 * given (-EBADMSG).
 */
ssize_t imagetar_read(void *arg, void *bytes, size_t size, struct err **e);
/* Digest of the blob that is being read, or NULL: after an error, the one at fault. */
const char *imagetar_current_blob(const struct imagetar *t);
void imagetar_free(struct imagetar *t); /* NULL is fine */

#define auto_imagetar __attribute__((cleanup(imagetar_cleanup)))
void imagetar_cleanup(struct imagetar **t);
