/* setns there and back. */
#include "netns.h"

#include "../mem.h"
#include "nlreq.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static int open_file(const char *path, int *out_fd, struct err **e)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct statfs fs;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ESRCH))
        return err_set(e, -ENOENT, "network namespace '%s' is gone", path);
    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return err_set(e, -errno, "cannot open network namespace '%s': %s", path, strerror(errno));
    /* Before 3.19 these files were procfs's own. What the mount has left is an empty file. */
    if (fs.f_type != NSFS_MAGIC && fs.f_type != PROC_SUPER_MAGIC)
        return err_set(e, -ENOENT, "'%s' is no network namespace any more", path);
    *out_fd = take_fd(&fd);
    return 0;
}

static bool is_same(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int netns_open(const char *path, struct netns *out, struct err **e)
{
    auto_netns struct netns n = NETNS_NONE;
    char home[64];
    int r = open_file(path, &n.fd, e);

    if (r < 0)
        return r;
    /* /proc/thread-self is of 3.17. */
    (void)snprintf(home, sizeof(home), "/proc/self/task/%ld/ns/net", syscall(SYS_gettid));
    r = open_file(home, &n.home_fd, e);
    if (r < 0)
        return r;
    n.is_home = is_same(n.fd, n.home_fd);
    *out = n;
    n = (struct netns)NETNS_NONE;
    return 0;
}

void netns_release(struct netns *n)
{
    mem_close_fd(&n->fd);
    mem_close_fd(&n->home_fd);
    *n = (struct netns)NETNS_NONE;
}

int netns_run(const struct netns *n, int (*f)(void *arg, struct err **e), void *arg, struct err **e)
{
    int r;

    if (n->is_home)
        return f(arg, e);
    if (setns(n->fd, CLONE_NEWNET) < 0)
        return err_set(e, -errno, "cannot enter the pod's network namespace: %s", strerror(errno));
    r = f(arg, e);
    if (setns(n->home_fd, CLONE_NEWNET) < 0)
        return err_set(e, -ENOTRECOVERABLE, "cannot come back from the pod's network namespace: %s",
                       strerror(errno));
    return r;
}

static int open_socket(void *arg, struct err **e)
{
    return nlreq_open(arg, e);
}

int netns_socket(const struct netns *n, struct nl_sock **out, struct err **e)
{
    return netns_run(n, open_socket, out, e);
}

/* --- all of them --- */

struct found {
    char **paths;
    ino_t *inodes; /* of namespaces, which have one number space */
    size_t count;
};

static void add_found(struct found *f, const char *path, ino_t home)
{
    auto_close int fd = -1;
    struct stat st;

    if (open_file(path, &fd, NULL) < 0 || fstat(fd, &st) < 0 || st.st_ino == home)
        return;
    for (size_t i = 0; i < f->count; i++)
        if (f->inodes[i] == st.st_ino)
            return;
    array_grow(f->paths, f->count);
    array_grow(f->inodes, f->count);
    f->inodes[f->count] = st.st_ino;
    f->paths[f->count++] = xstrdup(path);
}

/* Each entry of the folder with `suffix` behind it; a folder that is not there has none. */
static void scan(struct found *f, const char *folder, const char *suffix, ino_t home)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        auto_free char *path = xasprintf("%s/%s%s", folder, entry->d_name, suffix);
        /* In /proc only processes count. */
        if (*entry->d_name != '.' && (!*suffix || (*entry->d_name >= '1' && *entry->d_name <= '9')))
            add_found(f, path, home);
    }
    if (dir)
        (void)closedir(dir);
}

int netns_list(const char *const *folders, char ***out_paths, size_t *out_count, struct err **e)
{
    auto_close int home = -1;
    struct found f = {.paths = NULL};
    struct stat st;
    int r = open_file("/proc/self/ns/net", &home, e);

    if (r < 0)
        return r;
    if (fstat(home, &st) < 0)
        return err_set(e, -errno, "cannot look at the own namespace: %s", strerror(errno));
    for (; *folders; folders++)
        scan(&f, *folders, "", st.st_ino);
    scan(&f, "/proc", "/ns/net", st.st_ino);
    free(f.inodes);
    *out_paths = f.paths;
    *out_count = f.count;
    return 0;
}

void netns_list_free(char **paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    free(paths);
}
