#pragma once
/*
 * Files of the host, or of a folder that stands for its root (--root): every path is absolute and
 * looked up below that root, symbolic links included (RESOLVE_IN_ROOT; without openat2, before
 * Linux 5.6, a link on the way below another root is an error).
 *
 * A file's whole state can be taken and put back: bytes or link target, mode, owner, time of
 * change, extended attributes.
 */
#include "buf.h"
#include "err.h"
#include "json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HOST_FILE_MAX (1u << 20)  /* of a file that is taken whole */
#define HOST_FACT_MAX (16u << 20) /* of a file that is only read */

/* Appends the file to `out`. -ENOENT where there is none (also where something on the way is no
 * folder); the others fill *e. */
int host_read(const char *root, const char *path, struct buf *out, struct err **e);
/* Its text for looking at, "" where it cannot be read; *out_text is to be freed. False then. */
bool host_text(const char *root, const char *path, char **out_text);
/* The first line of it, or "". To be freed. */
char *host_line(const char *root, const char *path);
bool host_exists(const char *root, const char *path);
/* The link's own text; NULL where `path` is no link. To be freed. */
char *host_readlink(const char *root, const char *path);

struct host_names {
    char **names; /* sorted, without those that begin with a dot */
    size_t count;
};
/* What is in a folder; nothing where there is none. */
void host_list(const char *root, const char *path, struct host_names *out);
void host_names_release(struct host_names *n);

enum host_kind { HOST_ABSENT, HOST_REGULAR, HOST_SYMLINK };

struct host_xattr {
    char *name;
    struct buf value;
};

struct host_file {
    enum host_kind kind;
    struct buf content; /* of a regular file; the target of a link */
    mode_t mode;        /* permission bits */
    uid_t uid;
    gid_t gid;
    int64_t mtime_s, mtime_ns;
    struct host_xattr *xattrs;
    size_t n_xattrs;
};

/* Takes the state of `path`. -EINVAL: it is a folder or device, which we never change. */
int host_file_get(const char *root, const char *path, struct host_file *out, struct err **e);
/* Puts a state there at once (temporary name, fsync, rename; or unlink); folders must exist. */
int host_file_put(const char *root, const char *path, const struct host_file *file, struct err **e);
/* A new plain file, root's, 0644. */
void host_file_init(struct host_file *f, enum host_kind kind, const char *content);
/* The same bytes or target, the same kind; nothing else is compared. */
bool host_file_same(const struct host_file *a, const struct host_file *b);
/* A copy of `from`, except for its content: what an edited file shall be. */
void host_file_edited(const struct host_file *from, const struct buf *content,
                      struct host_file *out);
void host_file_release(struct host_file *f);

cJSON *host_file_json(const struct host_file *f);
/* -EBADMSG where the tree is not what host_file_json makes. */
int host_file_from_json(const cJSON *tree, struct host_file *out, struct err **e);

/* 1: made, 0: was there. Its parent must exist. */
int host_mkdir(const char *root, const char *path, struct err **e);
/* Removes a folder that is empty; one that is not, or is gone, stays as it is. */
void host_rmdir(const char *root, const char *path);

#define auto_host_file __attribute__((cleanup(host_file_release)))
#define auto_host_names __attribute__((cleanup(host_names_release)))
