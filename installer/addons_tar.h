#pragma once
/* The addon folder as a tar, the way Docker's archive endpoints take and give it. */
#include "buf.h"
#include "err.h"
#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ADDONS_TOTAL_MAX (16u << 20) /* bytes of all files of a folder */
#define ADDONS_COUNT_MAX 1000

struct addons_entry {
    char *path; /* below the folder: "x.yml", "sub/x.yml" */
    int64_t size;
    char digest[DIGEST_SIZE];
    mode_t mode;
    int64_t uid, gid;
};

struct addons_listing {
    struct addons_entry *items;
    size_t n_items;
};

/*
 * Appends a tar of the plain files below `folder` to `out`, each owned by root, with mode 0644 and
 * its own time, under `prefix` ("" or "a/b/", whose folders come first, with mode 0755), and lists
 * them in *listing. Hidden files are passed over; links are followed. -EINVAL: none there, too many
 * or too large, or what is no plain file.
 */
int addons_tar_folder(const char *folder, const char *prefix, struct buf *out,
                      struct addons_listing *listing, struct err **e);

/* Lists the files of a tar, without the first part of their paths. -EBADMSG: no tar. */
int addons_tar_list(const void *bytes, size_t len, struct addons_listing *out, struct err **e);

/* Whether all that was `sent` came `back` with its digest and mode, owned by root; what is there
 * besides is appended to *out_others, -EBADMSG names the first that differs. */
int addons_listing_compare(const struct addons_listing *sent, const struct addons_listing *back,
                           struct addons_listing *out_others, struct err **e);
/* True for a path that is `mount` or below it; both absolute. */
bool addons_is_below(const char *mount, const char *path);

const struct addons_entry *addons_listing_find(const struct addons_listing *l, const char *path);
void addons_listing_release(struct addons_listing *l);

#define auto_addons_listing __attribute__((cleanup(addons_listing_release)))
