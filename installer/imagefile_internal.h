#pragma once
/* What imagefile.c (images) and imagefile_scan.c (bytes) share. */
#include "imagefile.h"

#include <fcntl.h>
#include <stdbool.h>

/* One file of an image file. */
struct member {
    char *path;               /* plain, relative */
    char *link;               /* the member that a link points to; NULL for a file */
    int64_t size;             /* bytes */
    char *bytes;              /* of a JSON document, NUL-terminated */
    char digest[DIGEST_SIZE]; /* of a blob, as it is named; else "" */
    char actual[DIGEST_SIZE]; /* of its bytes, where all were hashed; else "" */
};

struct imagefile {
    char *path;
    int dirfd; /* of an OCI layout folder; -1 for a tar */
    struct member *members;
    size_t n_members;
    int64_t kept;      /* bytes of all documents */
    bool hash_all;     /* fill `actual` while scanning */
    int64_t bytes;     /* of all members */
    const void *first; /* bytes of standard input that were read already; for one scan */
    size_t first_len;
    struct imagefile_image *images;
    size_t n_images;
};

/* Fills the members. */
int imagefile_scan(struct imagefile *f, struct err **e);
/* The images from the members. */
int imagefile_read_images(struct imagefile *f, struct err **e);
/* Takes over what m points to. */
void imagefile_add_member(struct imagefile *f, const struct member *m);
/* The member of a path, through links; NULL if there is none. */
struct member *imagefile_member(const struct imagefile *f, const char *path);
