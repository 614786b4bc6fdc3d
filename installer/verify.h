#pragma once
/* Checking every byte of a bundle, or of the image files of other tools. */
#include "bundle.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was checked, for the receipt line. */
struct verified {
    const char *kind; /* "bundle", "OCI layout", "docker archive" */
    size_t images, entries, volumes;
    int64_t bytes;
    size_t jobs;
    char receipt[DIGEST_SIZE]; /* of a bundle, else "" */
};

/*
 * A bundle in files: all entries on `jobs` threads, the largest first; each header, content,
 * padding, the end, and the volumes' own checksums. With a base, the blobs left to it too.
 * -EBADMSG names the entry and the offset in the bundle. -ENOENT: with `need_base`, a delta whose
 * base was not given (the message counts what is left to it).
 */
int verify_bundle(const struct bundle *b, size_t jobs, bool need_base, struct verified *out,
                  struct err **e);

/* The same for a bundle that comes through `fd`, in one pass. `first` are the TAR_BLOCK bytes that
 * were read from it already. */
int verify_stream(int fd, const unsigned char *first, struct verified *out, struct err **e);

/* An OCI layout or docker archive at `path`: every blob has its digest, nothing is missing.
 * For "-", `first` are the `first_len` bytes that were read from standard input already. */
int verify_imagefile(const char *path, const void *first, size_t first_len, struct verified *out,
                     struct err **e);
