/* File work that leaves nothing half-done and does not walk out of its folder. */
#include "fs.h"

#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

int fs_read_fd(int fd, struct buf *out)
{
    auto_free char *chunk = xmalloc(65536);
    ssize_t n;

    for (;;) {
        n = read(fd, chunk, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        if (buf_add(out, chunk, (size_t)n) < 0)
            return -EFBIG;
    }
}

int fs_read_file(const char *path, struct buf *out, struct err **e)
{
    bool is_stdin = !strcmp(path, "-");
    auto_close int fd = is_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    int r;

    if (!is_stdin && fd < 0)
        return err_set(e, -errno, "cannot open '%s': %s", path, strerror(errno));
    r = fs_read_fd(is_stdin ? STDIN_FILENO : fd, out);
    if (r == -EFBIG)
        return err_set(e, r, "'%s' is larger than the %zu bytes allowed here", path, out->max);
    if (r < 0)
        return err_set(e, r, "cannot read '%s': %s", path, strerror(-r));
    return 0;
}

int fs_pread(int fd, void *bytes, size_t len, int64_t offset)
{
    char *p = bytes;

    while (len) {
        ssize_t n = pread(fd, p, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        offset += n;
        len -= (size_t)n;
    }
    return 0;
}

int fs_pwrite(int fd, const void *bytes, size_t len, int64_t offset)
{
    const char *p = bytes;

    while (len) {
        ssize_t n = pwrite(fd, p, len, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        offset += n;
        len -= (size_t)n;
    }
    return 0;
}

int fs_write(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;

    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The folder part of `path`, to be freed: "." where it has none. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return xstrdup(".");
    return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int fs_sync_parent(const char *path, struct err **e)
{
    auto_free char *parent = parent_of(path);
    auto_close int fd = open(parent, FOLDER_FLAGS);

    /* Some network file systems cannot sync a folder (EINVAL): the rename stands all the same. */
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        return err_set(e, -errno, "cannot sync folder '%s': %s", parent, strerror(errno));
    return 0;
}

struct source {
    const void *bytes; /* NULL: the descriptor */
    size_t len;
    int fd;
};

static int copy_all(int to, int from)
{
    auto_free char *chunk = xmalloc(65536);
    off_t at = 0;
    ssize_t n;
    int r;

    while ((n = pread(from, chunk, 65536, at)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        r = n < 0 ? -errno : fs_write(to, chunk, (size_t)n);
        if (r < 0)
            return r;
        at += n;
    }
    return 0;
}

static int fill_and_sync(int fd, const struct source *from, mode_t mode)
{
    int r = from->bytes ? fs_write(fd, from->bytes, from->len) : copy_all(fd, from->fd);

    if (r < 0)
        return r;
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

static int replace_file(const char *path, const struct source *from, mode_t mode, struct err **e)
{
    auto_free char *temp = xasprintf("%s.XXXXXX", path);
    auto_close int fd = mkostemp(temp, O_CLOEXEC);
    int r;

    if (fd < 0)
        return err_set(e, -errno, "cannot create '%s': %s", path, strerror(errno));
    r = fill_and_sync(fd, from, mode);
    if (r == 0 && rename(temp, path) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlink(temp);
        return err_set(e, r, "cannot write '%s': %s", path, strerror(-r));
    }
    return fs_sync_parent(path, e);
}

int fs_write_file(const char *path, const void *bytes, size_t len, mode_t mode, struct err **e)
{
    return replace_file(path, &(struct source){.bytes = bytes ? bytes : "", .len = len}, mode, e);
}

int fs_copy_file(const char *path, int from_fd, mode_t mode, struct err **e)
{
    return replace_file(path, &(struct source){.fd = from_fd}, mode, e);
}

int fs_mkdirs(const char *path, mode_t mode, struct err **e)
{
    auto_free char *copy = xstrdup(path);
    struct stat st;

    for (char *p = copy + (*copy == '/');; p++) {
        char saved = *p;
        if (saved && saved != '/')
            continue;
        *p = '\0';
        if (*copy && mkdir(copy, mode) < 0 && errno != EEXIST)
            return err_set(e, -errno, "cannot create folder '%s': %s", copy, strerror(errno));
        *p = saved;
        if (!saved)
            break;
    }
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(e, -ENOTDIR, "'%s' is not a folder", path);
    return 0;
}

int fs_path_is_plain(const char *path)
{
    size_t len;

    if (!*path || strlen(path) >= PATH_MAX)
        return 0;
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return 0;
    for (const char *p = path;; p += len + 1) {
        len = strcspn(p, "/");
        if (!len || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
            return 0;
        if (!p[len])
            return 1;
    }
}

static int open_with_openat2(int dirfd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

/* Opens (and with `create` makes) the folder of `path`; *out_name becomes its last component. */
static int open_parent(int dirfd, const char *path, bool create, const char **out_name)
{
    auto_close int fd = openat(dirfd, ".", FOLDER_FLAGS);
    const char *p = path;

    for (;;) {
        size_t len = strcspn(p, "/");
        auto_free char *name = NULL;
        int next;

        if (fd < 0)
            return -errno;
        if (!p[len])
            break;
        name = xstrndup(p, len);
        if (create && mkdirat(fd, name, 0755) < 0 && errno != EEXIST)
            return -errno;
        next = openat(fd, name, FOLDER_FLAGS | O_NOFOLLOW);
        if (next < 0)
            return errno == ENOTDIR ? -ELOOP : -errno;
        (void)close(fd);
        fd = next;
        p += len + 1;
    }
    *out_name = p;
    return take_fd(&fd);
}

static int open_stepwise(int dirfd, const char *path, int flags, mode_t mode)
{
    const char *name = NULL;
    auto_close int parent = open_parent(dirfd, path, flags & O_CREAT, &name);
    int fd;

    if (parent < 0)
        return parent;
    fd = openat(parent, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

int fs_open_beneath(int dirfd, const char *path, int flags, mode_t mode, struct err **e)
{
    int fd = -ENOENT;

    if (!fs_path_is_plain(path))
        return err_set(e, -EINVAL, "'%s' is not a plain relative path", path);
    fd = open_with_openat2(dirfd, path, flags, mode);
    /* ENOENT: a folder is missing, which openat2 does not make. EPERM: old container filters. */
    if (fd == -ENOSYS || fd == -EPERM || (fd == -ENOENT && (flags & O_CREAT)))
        fd = open_stepwise(dirfd, path, flags, mode);
    if (fd == -ELOOP || fd == -EXDEV)
        return err_set(e, fd, "cannot open '%s': a link stands in its path", path);
    if (fd < 0)
        return err_set(e, fd, "cannot open '%s': %s", path, strerror(-fd));
    return fd;
}

int fs_free_space(const char *path, int64_t *out_bytes, struct err **e)
{
    auto_free char *folder = parent_of(path);
    struct statvfs vfs;
    unsigned long long blocks;

    while (statvfs(folder, &vfs) < 0) {
        char *up;
        if (errno != ENOENT || !strcmp(folder, "/") || !strcmp(folder, "."))
            return err_set(e, -errno, "cannot ask for free space of '%s': %s", folder,
                           strerror(errno));
        up = parent_of(folder);
        free(folder);
        folder = up;
    }
    blocks = geteuid() == 0 ? vfs.f_bfree : vfs.f_bavail;
    if (blocks > (unsigned long long)INT64_MAX / vfs.f_frsize)
        *out_bytes = INT64_MAX;
    else
        *out_bytes = (int64_t)(blocks * vfs.f_frsize);
    return 0;
}

void fs_remove_files(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        auto_free char *file = xasprintf("%s/%s", path, entry->d_name);

        if (entry->d_name[0] != '.')
            (void)unlink(file);
    }
    if (dir)
        (void)closedir(dir);
    (void)rmdir(path);
}
