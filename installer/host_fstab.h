#pragma once
/*
 * The table of file systems, fstab(5), as far as swap is concerned: rows whose third field is
 * "swap". Nothing else on a line decides: a comment, a mount point called swap or an option of
 * that name is not a swap row. Pure text work; every other byte stays as it is.
 */
#include "buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Stands before a row that was taken out of use. */
#define FSTAB_MARKER "#flatnet-swap# "

struct fstab_line {
    const char *start;
    size_t len; /* with its newline, where it has one */
    bool is_swap;
    /* The first and fourth field of a swap row, escapes as they are written; borrowed. */
    const char *spec, *options;
    size_t spec_len, options_len; /* options_len is 0 where there are none */
};

/* The line at *cursor, which moves on; false at `end`. */
bool fstab_next(const char **cursor, const char *end, struct fstab_line *out);

/* Appends `text` with the marker before each swap row. Returns how many that were. */
size_t fstab_comment_swap(const struct buf *text, struct buf *out);

/* Appends `text` without the markers of those rows that were swap rows in `before`. Returns how
 * many that were. */
size_t fstab_uncomment_swap(const struct buf *text, const struct buf *before, struct buf *out);

/* Swap rows that are in use. */
size_t fstab_count_swap(const struct buf *text);

struct fstab_swap {
    int priority;   /* pri=N; -1 where it is not given */
    unsigned flags; /* SWAP_FLAG_DISCARD... of swapon(2), as libc does not name them all */
};
#define FSTAB_DISCARD 0x10000u
#define FSTAB_DISCARD_ONCE 0x20000u
#define FSTAB_DISCARD_PAGES 0x40000u
/* Reads the options of a swap row, or Options= of a systemd swap unit: swapon(8). */
void fstab_swap_options(const char *options, size_t len, struct fstab_swap *out);

/* Undoes the octal escapes (\040) of a field. To be freed. */
char *fstab_unescape(const char *field, size_t len);
