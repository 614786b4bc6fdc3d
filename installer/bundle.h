#pragma once
/*
 * A bundle on the reading side: one file or its volumes, optionally with the base of a delta.
 * docs/bundle-format.md describes the format. Opening checks the structure (index, trailer,
 * lengths, names); the bytes of a blob are checked when they are read. Nothing here writes.
 * After bundle_open everything but the readers may be used by several threads at once.
 */
#include "buf.h"
#include "err.h"
#include "hash.h"
#include "manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One platform of one image. */
struct bundle_platform {
    struct platform platform;
    struct descriptor manifest;
    struct manifest parsed; /* its config and layers */
};

struct bundle_image {
    char *reference;                   /* full normalised form, with tag or digest */
    struct bundle_platform *platforms; /* the first is docker's */
    size_t n_platforms;
    struct descriptor index;          /* made of the present platforms; size 0 where only one */
    struct descriptor upstream_index; /* as the registry served it; size 0 for none */
    char converted_from[DIGEST_SIZE]; /* digest of a schema 1 manifest, or "" */
};

struct bundle_entry {
    char *path; /* "blobs/sha256/<hex>", "addons/x.yml" */
    char digest[DIGEST_SIZE];
    int64_t size;
    int64_t offset; /* of the content, counted from the first data entry's header */
};

/* A blob that a delta leaves to its base. */
struct bundle_missing {
    char digest[DIGEST_SIZE];
    int64_t size;
};

struct bundle_index {
    struct bundle_image *images;
    size_t n_images;
    struct bundle_entry *entries; /* in the order of the file */
    size_t n_entries;
    char base_receipt[DIGEST_SIZE]; /* of a delta's base, or "" */
    struct bundle_missing *missing; /* sorted by digest */
    size_t n_missing;
};

struct bundle;
struct segfile;
struct volume_header;

/* `path` is the bundle, or any one of its volumes, or the name that the volumes share. `base`
 * (or NULL) is the bundle that a delta was made against. -EBADMSG names the entry and offset. */
int bundle_open(const char *path, const char *base, struct bundle **out, struct err **e);
void bundle_free(struct bundle *b); /* NULL is fine */

const struct bundle_index *bundle_index(const struct bundle *b);
/* SHA-256 of flatnet.json, which pins every byte of the rest. */
const char *bundle_receipt(const struct bundle *b);
/* Length of the whole bundle in bytes. */
int64_t bundle_length(const struct bundle *b);

/* What was given as `base`, or NULL. */
const struct bundle *bundle_base(const struct bundle *b);
/* As it was named to bundle_open. */
const char *bundle_path(const struct bundle *b);
/* The bytes below it, its volumes (NULL and 0 for a plain file), and flatnet.json: all borrowed. */
const struct segfile *bundle_file(const struct bundle *b);
const struct volume_header *bundle_volumes(const struct bundle *b, size_t *out_count);
const char *bundle_index_text(const struct bundle *b, size_t *out_len);

/* The entry of a path or of a blob; NULL if it is not in this file. */
const struct bundle_entry *bundle_find(const struct bundle *b, const char *path);
const struct bundle_entry *bundle_find_blob(const struct bundle *b, const char *digest);
/* True if the blob can be read from this bundle or from the base that was given. */
bool bundle_has_blob(const struct bundle *b, const char *digest);

/* Checks the first header of a bundle; *out_len is the length of flatnet.json behind it. */
int bundle_check_first_header(const unsigned char header[512], size_t *out_len, struct err **e);

/* Reads a whole small blob, or a whole entry by its path, of at most `max` bytes, into *out
 * (initialised here, to be released) and checks its digest. */
int bundle_read_path(const struct bundle *b, const char *path, size_t max, struct buf *out,
                     struct err **e);
int bundle_read_blob(const struct bundle *b, const char *digest, size_t max, struct buf *out,
                     struct err **e);

/* A running read of one blob. The last bytes are only given once the digest of all is right, so
 * a corrupt blob never reaches its taker whole. */
struct blob_reader;
int blob_reader_open(const struct bundle *b, const char *digest, struct blob_reader **out,
                     struct err **e);
/* Up to `size` bytes (at least 64 KiB); 0 at the end; -EBADMSG when the digest is wrong. */
ssize_t blob_reader_read(struct blob_reader *r, void *bytes, size_t size, struct err **e);
int64_t blob_reader_size(const struct blob_reader *r);
void blob_reader_rewind(struct blob_reader *r);
void blob_reader_free(struct blob_reader *r);

#define auto_bundle __attribute__((cleanup(bundle_cleanup)))
void bundle_cleanup(struct bundle **b);
