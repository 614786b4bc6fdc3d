#pragma once
/*
 * The one tar header form that flatnet writes: POSIX.1-1988 ustar for a regular file, owner 0:0,
 * mode 0644 (0755 beneath bin/), time 0, no names of users; a size of 8 GiB or more is carried by
 * a preceding pax header ('x') with the single record "size" (POSIX.1-2001 pax). Canonical: one
 * name and size give one byte string, so a reader makes it anew and compares.
 */
#include <stddef.h>
#include <stdint.h>

#define TAR_BLOCK 512
#define TAR_HEADER_MAX (3 * TAR_BLOCK)
#define TAR_END (2 * TAR_BLOCK) /* two zero blocks end an archive */
#define TAR_PATH_MAX 100

/* Bytes of the header of a file of `size` bytes. */
size_t tar_header_len(int64_t size);
/* Writes it; `path` has 1 to TAR_PATH_MAX bytes. Returns tar_header_len(size). */
size_t tar_header(const char *path, int64_t size, unsigned char out[TAR_HEADER_MAX]);
/* Zero bytes behind `size` bytes of content up to the next block. */
size_t tar_padding(int64_t size);
