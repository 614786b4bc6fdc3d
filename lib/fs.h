#pragma once
/*
 * File work that leaves nothing half-done and does not walk out of its folder.
 * All descriptors are close-on-exec; EINTR is retried.
 */
#include "buf.h"
#include "err.h"

#include <stdint.h>
#include <sys/types.h>

/* Reads the whole of `path` ("-" is standard input) into *out, which is appended to and whose
 * ceiling is the limit: a larger file is -EFBIG. */
int fs_read_file(const char *path, struct buf *out, struct err **e);
/* The same from where a descriptor stands, without a message. */
int fs_read_fd(int fd, struct buf *out);

/* Replaces `path` under a temporary name in the same folder, fsync, rename: readers see the old
 * or the new bytes. `mode` is the permission of the new file. */
int fs_write_file(const char *path, const void *bytes, size_t len, mode_t mode, struct err **e);

/* The same with what `from_fd` holds, from its beginning. */
int fs_copy_file(const char *path, int from_fd, mode_t mode, struct err **e);

/* All of `len` bytes at `offset`, or an error: -EIO where the file ends early. */
int fs_pread(int fd, void *bytes, size_t len, int64_t offset);
int fs_pwrite(int fd, const void *bytes, size_t len, int64_t offset);
int fs_write(int fd, const void *bytes, size_t len);

/* fsync of the folder that holds `path`, after a rename in it. */
int fs_sync_parent(const char *path, struct err **e);

/* mkdir -p; an existing folder is fine. */
int fs_mkdirs(const char *path, mode_t mode, struct err **e);
/* Removes the files of a folder, hidden ones not, and then the folder where nothing is left in it.
 * What cannot be removed stays. */
void fs_remove_files(const char *path);

/*
 * Opens `path` beneath the folder `dirfd`: no absolute path, no "..", no link on the way, on
 * kernels with openat2 (5.6) by RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS, before that component by
 * component with O_NOFOLLOW. With O_CREAT in `flags` missing folders are made (0755).
 * Returns the descriptor.
 */
int fs_open_beneath(int dirfd, const char *path, int flags, mode_t mode, struct err **e);

/* True for a relative path of plain components: no "", ".", "..", no control characters. */
int fs_path_is_plain(const char *path);

/* Bytes an unprivileged or (as root) any writer may still put on the file system of `path`;
 * the nearest existing folder above it is asked. */
int fs_free_space(const char *path, int64_t *out_bytes, struct err **e);
