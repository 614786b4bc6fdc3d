#pragma once
/*
 * One long run of bytes that lies in one file or in several volumes. A volume is a header block
 * of VOLUME_HEADER bytes and then its part of the run; a plain bundle is one segment without a
 * header. Reads and writes at any offset, from any thread.
 */
#include "err.h"
#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VOLUME_HEADER 512
#define VOLUME_MAX 999 /* names end in .001 to .999 */

/* What a volume says of itself, in its header. */
struct volume_header {
    char set[DIGEST_SIZE];    /* the receipt of the bundle: the same in all its volumes */
    char sha256[DIGEST_SIZE]; /* of the bytes behind the header */
    unsigned number, count;   /* 1 of n */
    int64_t offset, length;   /* its part of the bundle */
    int64_t total;            /* length of the bundle */
};

/* Pure codec. The header is text with newlines, zero-filled; canonical, -EBADMSG otherwise. */
void volume_header_format(const struct volume_header *h, char out[VOLUME_HEADER]);
int volume_header_parse(const char in[VOLUME_HEADER], struct volume_header *out);
/* True for bytes that begin like a volume, whatever follows. */
bool volume_header_is(const char *bytes, size_t len);

struct segment {
    char *path;
    int fd;
    int64_t start;  /* in the run */
    int64_t length; /* bytes of the run in this file */
    size_t skip;    /* header bytes before them */
};

struct segfile {
    struct segment *segments; /* in order, without gaps */
    size_t count;
    int64_t length; /* of the run */
};

void segfile_init(struct segfile *f);
void segfile_release(struct segfile *f); /* closes */
/* Appends a segment; takes fd over, copies path. */
void segfile_add(struct segfile *f, const char *path, int fd, int64_t length, size_t skip);

/* 0, or a negative errno (-EIO: the file is shorter than it should be). */
int segfile_pread(const struct segfile *f, void *bytes, size_t len, int64_t offset);
int segfile_pwrite(const struct segfile *f, const void *bytes, size_t len, int64_t offset);
/* Lets the disk begin on bytes that were written, so that little is left for the fsync at the end.
 * Promises nothing: not every file system can. */
void segfile_write_back(const struct segfile *f, int64_t offset, size_t len);
/* The segment that holds the byte at `offset`. */
const struct segment *segfile_at(const struct segfile *f, int64_t offset);

/* Opens a plain file as one segment, or all volumes of the set that `path` belongs to: `path` is
 * one of them or their common name. -ENOENT names what is missing, -EBADMSG a mixed set.
 * *out_volumes tells which it was; their headers are then in *out_headers (to be freed). */
int segfile_open(const char *path, struct segfile *out, struct volume_header **out_headers,
                 size_t *out_volumes, struct err **e);
