#pragma once
/*
 * Lists of images, one reference per line, as the 2019 image.list and Rancher's rancher-images.txt
 * are. UTF-8 with or without a byte order mark; lines end in LF or CRLF, the last one may end in
 * neither. '#' or '//' starts a comment, at the start of a line or behind blanks.
 */
#include "err.h"
#include "findings.h"
#include "ref.h"

#include <stddef.h>

#define IMAGELIST_MAX_SIZE (4u << 20) /* bytes of one list */
#define IMAGELIST_MAX_LINE 1024
#define IMAGELIST_MAX_IMAGES 10000 /* of all lists together */

struct imagelist_entry {
    struct ref ref;
    char *name; /* ref_format() */
    char *file; /* the list it came from, and the line there; for messages */
    size_t line;
};

struct imagelist {
    struct imagelist_entry **entries; /* in the order of the lists, without repeats */
    struct imagelist_entry **sorted;  /* the same by name, for look-up */
    size_t n_entries;
};

/*
 * Adds what the list holds. `file` is what messages call it. Every bad line is an error in `f`
 * (FILE:LINE: why) and the good ones are still taken; repeats are notes; "latest" and lists
 * without an image are warnings. Two lines that give one tag different digests are an error. It
 * fails itself only for what is no list at all: -EINVAL (too large, UTF-16).
 */
int imagelist_add_text(struct imagelist *l, const char *file, const char *text, size_t len,
                       struct findings *f, struct err **e);
/* The same for a file; "-" is standard input. Also what fs_read_file returns. */
int imagelist_add_file(struct imagelist *l, const char *path, struct findings *f, struct err **e);
/* One reference from somewhere else, such as an archive; it is moved out of `ref`, which is left
 * released. As a line of a list; `line` may be 0. */
void imagelist_add_ref(struct imagelist *l, const char *file, size_t line, struct ref *ref,
                       struct findings *f);

/* The entry of that full name, or NULL. */
const struct imagelist_entry *imagelist_find(const struct imagelist *l, const char *name);
void imagelist_release(struct imagelist *l);

#define auto_imagelist __attribute__((cleanup(imagelist_release)))
