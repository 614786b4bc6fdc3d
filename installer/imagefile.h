#pragma once
/*
 * Images that lie in files: an OCI layout (a folder or a tar) or a docker archive (`docker save`
 * of any version; gzip, zstd or xz around the tar are fine). Opening reads the archive once and
 * keeps its JSON documents; layers are streamed in a second reading, in the archive's order.
 *
 * A docker archive without an OCI layout gets manifests of our own making: its layers are plain
 * tars whose digests are the diff ids of the configuration.
 */
#include "err.h"
#include "http.h"
#include "manifest.h"

#include <stddef.h>

/* One image of the archive. */
struct imagefile_image {
    char *reference;            /* full normalised form; NULL where the archive does not name it */
    struct descriptor manifest; /* a manifest or an index */
};

struct imagefile;

/*
 * `path` is a folder or a file. -EBADMSG for anything that is neither form, or damaged.
 */
int imagefile_open(const char *path, struct imagefile **out, struct err **e);
void imagefile_free(struct imagefile *a); /* NULL is fine */
const char *imagefile_path(const struct imagefile *a);
const struct imagefile_image *imagefile_images(const struct imagefile *a, size_t *out_count);

/* Names the only image of the file. -EINVAL: it holds several, or that is no reference. */
int imagefile_set_name(struct imagefile *f, const char *reference, struct err **e);

/* A manifest, index or configuration: borrowed bytes, checked against the digest. -ENOENT. */
int imagefile_document(const struct imagefile *a, const char *digest, const char **out_bytes,
                       size_t *out_len, struct err **e);
/* Size of a blob, or -ENOENT. */
int imagefile_blob_size(const struct imagefile *a, const char *digest, int64_t *out_size);

/*
 * Reads the archive once more and gives every blob that `want` asks for to `sink` in one piece:
 * begin (want returns 1), bytes, end. The taker hashes.
 */
struct imagefile_taker {
    int (*want)(void *arg, const char *digest);
    http_sink sink;
    int (*end)(void *arg, struct err **e);
    void *arg;
};
int imagefile_stream(const struct imagefile *a, const struct imagefile_taker *taker,
                     struct err **e);
