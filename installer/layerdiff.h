#pragma once
/*
 * The diff id of a layer that streams by: SHA-256 of what its blob unpacks to (OCI image-spec,
 * config.md, "Layer DiffID"). gzip (any number of members), zstd (any number of frames) and plain
 * tars are told apart by their first bytes. Memory is bounded whatever the layer holds.
 */
#include "err.h"
#include "hash.h"

#include <stddef.h>
#include <stdint.h>

/* Largest zstd window taken, which the reference decoder takes too without being asked: 128 MiB. */
#define LAYERDIFF_WINDOW_LOG 27
/* A few bytes can stand for very many: unpacking to more than this is an error. */
#define LAYERDIFF_MAX (INT64_C(1) << 40)

enum layer_compression { LAYER_UNKNOWN, LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD };

struct layerdiff;

struct layerdiff *layerdiff_new(void);
void layerdiff_free(struct layerdiff *d); /* NULL is fine */

/* The next bytes of the blob, in order. -EBADMSG; after that only layerdiff_free. */
int layerdiff_push(struct layerdiff *d, const void *bytes, size_t len, struct err **e);

/* The end of the blob. -EBADMSG when it stops in the middle or is too short to be a layer. */
int layerdiff_final(struct layerdiff *d, char out_diff_id[DIGEST_SIZE], struct err **e);

/* Bytes unpacked so far, and from what (LAYER_UNKNOWN until enough was pushed to tell). */
int64_t layerdiff_unpacked(const struct layerdiff *d);
enum layer_compression layerdiff_compression(const struct layerdiff *d);

#define auto_layerdiff __attribute__((cleanup(layerdiff_cleanup)))
void layerdiff_cleanup(struct layerdiff **d);
