/* Files below a root, taken and put back whole. */
#include "host_file.h"

#include "fs.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define XATTR_MAX (64u << 10)
#define TEMP_SUFFIX ".flatnet"

/* --- looking up --- */

static int open_in_root(int root, const char *relative, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, root, relative, &how, sizeof(how));

    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return fs_open_beneath(root, relative, flags, 0, NULL);
    return fd < 0 ? -errno : (int)fd;
}

/* Never creates. */
static int open_path(const char *root, const char *path, int flags)
{
    auto_close int dir = -1;
    int fd;

    if (!*root) {
        fd = open(path, flags | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    return open_in_root(dir, path[1] ? path + 1 : ".", flags);
}

/* The folder that `path` is in; *out_name is borrowed from it. */
static int open_folder_of(const char *root, const char *path, const char **out_name)
{
    const char *slash = strrchr(path, '/');
    auto_free char *folder = xstrndup(path, slash == path ? 1 : (size_t)(slash - path));

    *out_name = slash + 1;
    return open_path(root, folder, O_RDONLY | O_DIRECTORY);
}

static bool is_absence(int status)
{
    return status == -ENOENT || status == -ENOTDIR;
}

/* --- facts --- */

int host_read(const char *root, const char *path, struct buf *out, struct err **e)
{
    /* What lies there may be a fifo, which would never open. */
    auto_close int fd = open_path(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    int r = fd;

    if (is_absence(fd))
        return err_set(e, -ENOENT, "'%s%s' is not there", root, path);
    if (fd >= 0)
        r = fs_read_fd(fd, out);
    return r < 0 ? err_set(e, r, "cannot read '%s%s': %s", root, path, strerror(-r)) : 0;
}

bool host_text(const char *root, const char *path, char **out_text)
{
    struct buf text;
    int r;

    buf_init(&text, HOST_FACT_MAX);
    r = host_read(root, path, &text, NULL);
    if (r < 0)
        buf_clear(&text);
    *out_text = text.cap ? buf_steal(&text) : xstrdup("");
    return r == 0;
}

char *host_line(const char *root, const char *path)
{
    char *text = NULL;

    (void)host_text(root, path, &text);
    text[strcspn(text, "\n")] = '\0';
    return text;
}

bool host_exists(const char *root, const char *path)
{
    auto_close int fd = open_path(root, path, O_PATH);

    return fd >= 0;
}

char *host_readlink(const char *root, const char *path)
{
    const char *name;
    auto_close int dir = open_folder_of(root, path, &name);
    char target[PATH_MAX];
    ssize_t n = dir < 0 ? -1 : readlinkat(dir, name, target, sizeof(target));

    return n < 0 ? NULL : xstrndup(target, (size_t)n);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void host_list(const char *root, const char *path, struct host_names *out)
{
    int fd = open_path(root, path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    *out = (struct host_names){.names = NULL};
    if (!dir) {
        mem_close_fd(&fd);
        return;
    }
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        array_grow(out->names, out->count);
        out->names[out->count++] = xstrdup(entry->d_name);
    }
    (void)closedir(dir);
    if (out->count)
        qsort(out->names, out->count, sizeof(*out->names), compare_names);
}

void host_names_release(struct host_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->names[i]);
    free(n->names);
    *n = (struct host_names){.names = NULL};
}

/* --- states --- */

void host_file_init(struct host_file *f, enum host_kind kind, const char *content)
{
    *f = (struct host_file){.kind = kind, .mode = 0644};
    buf_init(&f->content, HOST_FILE_MAX);
    (void)buf_addstr(&f->content, content);
}

void host_file_release(struct host_file *f)
{
    for (size_t i = 0; i < f->n_xattrs; i++) {
        free(f->xattrs[i].name);
        buf_release(&f->xattrs[i].value);
    }
    free(f->xattrs);
    if (f->content.data)
        buf_release(&f->content);
    *f = (struct host_file){.kind = HOST_ABSENT};
}

bool host_file_same(const struct host_file *a, const struct host_file *b)
{
    if (a->kind != b->kind || a->content.len != b->content.len)
        return false;
    return a->kind == HOST_ABSENT || !memcmp(a->content.data, b->content.data, a->content.len);
}

static struct host_xattr *add_xattr(struct host_file *f, const char *name)
{
    struct host_xattr *x;

    array_grow(f->xattrs, f->n_xattrs);
    x = &f->xattrs[f->n_xattrs++];
    x->name = xstrdup(name);
    buf_init(&x->value, XATTR_MAX);
    return x;
}

void host_file_edited(const struct host_file *from, const struct buf *content,
                      struct host_file *out)
{
    host_file_init(out, HOST_REGULAR, "");
    (void)buf_add(&out->content, content->data, content->len);
    if (from->kind != HOST_REGULAR)
        return;
    out->mode = from->mode;
    out->uid = from->uid;
    out->gid = from->gid;
    for (size_t i = 0; i < from->n_xattrs; i++) {
        const struct host_xattr *x = &from->xattrs[i];

        (void)buf_add(&add_xattr(out, x->name)->value, x->value.data, x->value.len);
    }
}

static int get_xattr(int fd, const char *name, struct host_file *f)
{
    auto_free char *value = xmalloc(XATTR_MAX);
    ssize_t len = fgetxattr(fd, name, value, XATTR_MAX);

    if (len < 0)
        return -errno;
    (void)buf_add(&add_xattr(f, name)->value, value, (size_t)len);
    return 0;
}

static int get_xattrs(int fd, struct host_file *f)
{
    auto_free char *names = xmalloc(XATTR_MAX);
    ssize_t len = flistxattr(fd, names, XATTR_MAX);
    int r = 0;

    if (len < 0)
        return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
    for (const char *p = names; r == 0 && p < names + len; p += strlen(p) + 1)
        r = get_xattr(fd, p, f);
    return r;
}

static int get_regular(int dir, const char *name, struct host_file *f)
{
    auto_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int r;

    if (fd < 0)
        return -errno;
    r = fs_read_fd(fd, &f->content);
    return r < 0 ? r : get_xattrs(fd, f);
}

static int get_link(int dir, const char *name, struct host_file *f)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dir, name, target, sizeof(target));

    return n < 0 ? -errno : buf_add(&f->content, target, (size_t)n);
}

static int get_state(const char *root, const char *path, struct host_file *f)
{
    const char *name;
    auto_close int dir = open_folder_of(root, path, &name);
    struct stat st;

    if (dir < 0)
        return is_absence(dir) ? 0 : dir;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    f->mode = st.st_mode & 07777;
    f->uid = st.st_uid;
    f->gid = st.st_gid;
    f->mtime_s = st.st_mtim.tv_sec;
    f->mtime_ns = st.st_mtim.tv_nsec;
    f->kind = S_ISLNK(st.st_mode) ? HOST_SYMLINK : HOST_REGULAR;
    if (S_ISLNK(st.st_mode))
        return get_link(dir, name, f);
    return S_ISREG(st.st_mode) ? get_regular(dir, name, f) : -EINVAL;
}

int host_file_get(const char *root, const char *path, struct host_file *out, struct err **e)
{
    auto_host_file struct host_file f;
    int r;

    host_file_init(&f, HOST_ABSENT, "");
    r = get_state(root, path, &f);
    if (r == -EFBIG)
        return err_set(e, r, "'%s%s' is larger than %u bytes", root, path, HOST_FILE_MAX);
    if (r == -EINVAL)
        return err_set(e, r, "'%s%s' is neither a file nor a link", root, path);
    if (r < 0)
        return err_set(e, r, "cannot read '%s%s': %s", root, path, strerror(-r));
    *out = f;
    f = (struct host_file){.kind = HOST_ABSENT};
    return 0;
}

/* The owner first: a change of owner drops the set-uid bits and some attributes. */
static int dress(int fd, const struct host_file *f)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = f->mtime_s, .tv_nsec = (long)f->mtime_ns}};

    if (fchown(fd, f->uid, f->gid) < 0 || fchmod(fd, f->mode) < 0)
        return -errno;
    for (size_t i = 0; i < f->n_xattrs; i++)
        if (fsetxattr(fd, f->xattrs[i].name, f->xattrs[i].value.data, f->xattrs[i].value.len, 0) <
            0)
            return -errno;
    if (f->mtime_s && futimens(fd, times) < 0)
        return -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

static int make_regular(int dir, const char *temp, const struct host_file *f)
{
    auto_close int fd =
        openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r;

    if (fd < 0)
        return -errno;
    r = fs_write(fd, f->content.data, f->content.len);
    return r < 0 ? r : dress(fd, f);
}

static int make_link(int dir, const char *temp, const struct host_file *f)
{
    if (symlinkat(f->content.data, dir, temp) < 0 ||
        fchownat(dir, temp, f->uid, f->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

static int put_state(int dir, const char *name, const struct host_file *f)
{
    auto_free char *temp = xasprintf(".%s" TEMP_SUFFIX, name);
    int r;

    /* Left behind by a run that was killed; the journal's lock keeps others away. */
    (void)unlinkat(dir, temp, 0);
    if (f->kind == HOST_ABSENT) {
        r = unlinkat(dir, name, 0) < 0 && errno != ENOENT ? -errno : 0;
    } else {
        r = f->kind == HOST_SYMLINK ? make_link(dir, temp, f) : make_regular(dir, temp, f);
        if (r == 0 && renameat(dir, temp, dir, name) < 0)
            r = -errno;
        if (r < 0)
            (void)unlinkat(dir, temp, 0);
    }
    if (r == 0 && fsync(dir) < 0 && errno != EINVAL)
        r = -errno;
    return r;
}

int host_file_put(const char *root, const char *path, const struct host_file *file, struct err **e)
{
    const char *name;
    auto_close int dir = open_folder_of(root, path, &name);
    int r = dir;

    if (is_absence(dir) && file->kind == HOST_ABSENT)
        return 0;
    if (dir >= 0)
        r = put_state(dir, name, file);
    return r < 0 ? err_set(e, r, "cannot write '%s%s': %s", root, path, strerror(-r)) : 0;
}

int host_mkdir(const char *root, const char *path, struct err **e)
{
    const char *name;
    auto_close int dir = open_folder_of(root, path, &name);

    if (dir >= 0 && mkdirat(dir, name, 0755) == 0 && fsync(dir) == 0)
        return 1;
    if (dir >= 0 && errno == EEXIST)
        return 0;
    return err_set(e, dir < 0 ? dir : -errno, "cannot make folder '%s%s': %s", root, path,
                   strerror(dir < 0 ? -dir : errno));
}

void host_rmdir(const char *root, const char *path)
{
    const char *name;
    auto_close int dir = open_folder_of(root, path, &name);

    if (dir >= 0)
        (void)unlinkat(dir, name, AT_REMOVEDIR);
}
