#pragma once
/*
 * The files that a bundle is written into: FILE.partial, or FILE.001.partial and so on, which
 * take their final names only when everything is in them and on the disk.
 */
#include "err.h"
#include "plan.h"
#include "segfile.h"

struct output {
    struct segfile file;
    char *name;       /* final name, or the stem of the volumes */
    bool has_volumes; /* else one plain file */
};

/*
 * Where to cut `total` bytes into volumes of at most `volume_size` bytes each (headers included):
 * at a border between entries (`borders`, ascending, the first is 0) where the next entry fits
 * into one volume at all, else anywhere. Writes the starts into *out_starts (to be freed).
 * -EINVAL where the size is too small or more than VOLUME_MAX volumes were needed.
 */
int output_cut(const int64_t *borders, size_t n_borders, int64_t total, int64_t volume_size,
               int64_t **out_starts, size_t *out_count, struct err **e);

/* A size as num_parse_size takes it, or "fat32" (4 GiB less one byte, the largest file there) or
 * "dvd" (4.7 GB, single layer). */
int output_parse_volume_size(const char *text, int64_t *out_size, struct err **e);

/* What the partial files are to be. */
struct output_shape {
    const int64_t *borders; /* where entries begin, ascending, the first is 0 */
    size_t n_borders;
    int64_t total;
    int64_t volume_size; /* 0: one plain file */
    bool keep;           /* go on with what an earlier run wrote */
    bool named;          /* that run may have given some files their final names */
};

/* Opens the partial files at their full length. */
int output_open(const char *name, const struct output_shape *shape, struct output *out,
                struct err **e);
/* Bytes that the partial files take on disk already. */
int64_t output_allocated(const struct output *o);
/* Makes a plain partial file `total` bytes long. */
int output_set_length(struct output *o, int64_t total, struct err **e);
/* Volume headers, fsync, final names. `receipt` is the set id. */
int output_commit(struct output *o, const char *receipt, struct err **e);
void output_release(struct output *o); /* closes; files stay */
/* Removes the partial files. */
void output_discard(const struct output *o);
/* Wraps a write error of `r` at `offset` with the file's name and what to do. */
int output_error(const struct output *o, int r, int64_t offset, struct err **e);
