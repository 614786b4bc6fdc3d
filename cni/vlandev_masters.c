/*
 * Notes of masters: those that pods stand on without a VLAN (such a pod's macvlan lies in the pod's
 * namespace, where the clean-up on the host cannot see it), and those that were not promiscuous
 * before us.
 */
#include "vlandev_internal.h"

#include "cni_env.h"
#include "fs.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* VLAN devices, whose locks lie beside it, have a dot in their names. */
#define FOLDER "masters"
#define SWITCHED "promiscuous"

static int note(const char *locks, const char *which, const char *master, struct err **e)
{
    auto_free char *folder = xasprintf("%s/%s", locks, which);
    auto_free char *path = xasprintf("%s/%s", folder, master);
    auto_close int fd = -1;
    int r;

    if (access(path, F_OK) == 0)
        return 0;
    r = fs_mkdirs(folder, 0755, e);
    if (r < 0)
        return r;
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? err_set(e, -errno, "cannot make '%s': %s", path, strerror(errno)) : 0;
}

int vlandev_note_master(const char *locks, const char *master, struct err **e)
{
    return note(locks, FOLDER, master, e);
}

int vlandev_note_switched(const char *locks, const char *master, struct err **e)
{
    return note(locks, SWITCHED, master, e);
}

static size_t noted(const char *locks, const char *which, char (**out)[IFNAMSIZ])
{
    auto_free char *folder = xasprintf("%s/%s", locks, which);
    char(*names)[IFNAMSIZ] = NULL;
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    size_t n = 0;

    while (dir && (entry = readdir(dir))) {
        if (!cni_ifname_is_valid(entry->d_name))
            continue;
        array_grow(names, n);
        memcpy(names[n++], entry->d_name, strlen(entry->d_name) + 1);
    }
    if (dir)
        (void)closedir(dir);
    *out = names;
    return n;
}

size_t vlandev_masters(const char *locks, char (**out)[IFNAMSIZ])
{
    return noted(locks, FOLDER, out);
}

size_t vlandev_switched(const char *locks, char (**out)[IFNAMSIZ])
{
    return noted(locks, SWITCHED, out);
}
