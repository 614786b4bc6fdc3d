#pragma once
/*
 * The plain bytes of a zstd blob (RFC 8878, any number of frames), unpacked while they are read
 * from a bundle. Memory is the window that the frames ask for, which the library limits to 128 MiB.
 */
#include "bundle.h"

struct zstd_reader;

/* True where the blob's first bytes are a zstd frame, whatever its media type says. */
int zstd_blob_is(const struct bundle *b, const char *digest, bool *out_is, struct err **e);

int zstd_reader_open(const struct bundle *b, const char *digest, struct zstd_reader **out,
                     struct err **e);
/* Up to `size` bytes; 0 at the end. -EBADMSG: the blob's digest is wrong, or it is no whole zstd
 * stream. The digest is only known to be right once 0 was returned. */
ssize_t zstd_reader_read(struct zstd_reader *r, void *bytes, size_t size, struct err **e);
void zstd_reader_free(struct zstd_reader *r); /* NULL is fine */

#define auto_zstd __attribute__((cleanup(zstd_reader_cleanup)))
void zstd_reader_cleanup(struct zstd_reader **r);
