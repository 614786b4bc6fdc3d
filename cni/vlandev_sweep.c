/* VLAN devices that nobody uses any more. */
#include "vlandev_internal.h"

#include "mem.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct nllink *indexed(const struct nllink *links, size_t n, int index)
{
    for (size_t i = 0; i < n; i++)
        if (links[i].index == index)
            return &links[i];
    return NULL;
}

int vlandev_list(struct nl_sock *s, struct vlandev_made **out, size_t *out_count, struct err **e)
{
    auto_free struct nllink *links = NULL;
    struct vlandev_made *made = NULL;
    size_t n = 0, count = 0;
    int r = nllink_list(s, &links, &n, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        const struct nllink *master = indexed(links, n, links[i].lower);
        if (!master || links[i].is_lower_elsewhere || !vlandev_is_ours(&links[i], master->name))
            continue;
        array_grow(made, count);
        made[count] = (struct vlandev_made){.index = links[i].index,
                                            .vlan = links[i].vlan_id,
                                            .is_up = (links[i].flags & IFF_UP) != 0};
        memcpy(made[count].name, links[i].name, IFNAMSIZ);
        memcpy(made[count++].master, master->name, IFNAMSIZ);
    }
    *out = made;
    *out_count = count;
    return 0;
}

static int64_t idle_ms_of(int lock_fd)
{
    struct timespec now;
    struct stat st;

    if (fstat(lock_fd, &st) < 0 || clock_gettime(CLOCK_REALTIME, &now) < 0)
        return 0;
    return (int64_t)(now.tv_sec - st.st_mtim.tv_sec) * 1000 +
           (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
}

static void probe_name(const struct nllink *d, char out[IFNAMSIZ])
{
    (void)snprintf(out, IFNAMSIZ, "fnprobe%d", d->index);
}

/* What lies in this namespace and can be seen. */
static bool has_visible_user(struct nl_sock *s, const struct nllink *d, const struct nllink *links,
                             size_t n)
{
    auto_free struct ip_net *addrs = NULL;
    char probe[IFNAMSIZ];
    size_t n_addrs = 0;

    probe_name(d, probe);
    if (d->master || nllink_addrs(s, d->index, &addrs, &n_addrs, NULL) < 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (links[i].lower == d->index && !links[i].is_lower_elsewhere &&
            strcmp(links[i].name, probe) != 0)
            return true;
    /* Every link that is up has a link-local address of its own. */
    for (size_t i = 0; i < n_addrs; i++)
        if (addrs[i].addr.family != AF_INET6 || addrs[i].addr.value >> 118 != 0xfe80 >> 6)
            return true;
    return false;
}

/*
 * macvlans in other namespaces cannot be seen from here. But the kernel lets a macvlan in passthru
 * mode come up only where there is no other, and then no other beside it: so one that can be made
 * proves that there is none, and keeps it so until it goes, with the device or before it.
 */
static bool is_free(struct nl_sock *s, const struct nllink *d, int *out_probe)
{
    struct nllink probe;
    char name[IFNAMSIZ];
    struct nllink_macvlan v = {.name = name,
                               .lower = d->index,
                               .mode = MACVLAN_MODE_PASSTHRU,
                               .ns_fd = -1};

    probe_name(d, name);
    /* Left by a clean-up that was killed: we hold the lock. */
    if (nllink_get(s, name, &probe, NULL) == 0)
        (void)nllink_del(s, probe.index, NULL);
    if (nllink_add_macvlan(s, &v, NULL) < 0 || nllink_get(s, name, &probe, NULL) < 0)
        return false;
    *out_probe = probe.index;
    return true;
}

struct sweep {
    struct nl_sock *s;
    const char *locks;
    int64_t idle_ms;
    struct nllink *links;
    size_t n;
};

/* 1: removed. */
static int sweep_one(const struct sweep *w, const struct nllink *d, const char *master,
                     struct err **e)
{
    auto_close int lock = -1;
    auto_free char *path = NULL;
    auto_err struct err *why = NULL;
    char name[IFNAMSIZ];
    int probe = 0, r;

    vlandev_name(master, d->vlan_id, name);
    r = vlandev_lock(w->locks, name, LOCK_EX | LOCK_NB, &lock, e);
    if (r == -EWOULDBLOCK) {
        err_free(*e);
        *e = NULL;
        return 0;
    }
    if (r < 0)
        return r;
    if (has_visible_user(w->s, d, w->links, w->n) || !is_free(w->s, d, &probe)) {
        (void)futimens(lock, NULL);
        return 0;
    }
    if (idle_ms_of(lock) < w->idle_ms) {
        (void)nllink_del(w->s, probe, NULL);
        return 0;
    }
    r = nllink_del(w->s, d->index, &why);
    if (r < 0) {
        (void)nllink_del(w->s, probe, NULL);
        return err_set(e, r, "cannot remove '%s': %s", d->name, err_text(why));
    }
    vlandev_lock_path(w->locks, name, &path);
    (void)unlink(path);
    return 1;
}

int vlandev_sweep(struct nl_sock *s, const char *locks, int64_t idle_ms, struct err **e)
{
    auto_free struct nllink *links = NULL;
    auto_err struct err *first = NULL;
    struct sweep w = {.s = s, .locks = locks, .idle_ms = idle_ms};
    int removed = 0, r = nllink_list(s, &links, &w.n, e);

    if (r < 0)
        return r;
    w.links = links;
    for (size_t i = 0; i < w.n; i++) {
        auto_err struct err *why = NULL;
        const struct nllink *master = indexed(links, w.n, links[i].lower);
        if (!master || links[i].is_lower_elsewhere || !vlandev_is_ours(&links[i], master->name))
            continue;
        r = sweep_one(&w, &links[i], master->name, &why);
        if (r > 0)
            removed++;
        else if (r < 0 && !first)
            first = take(why);
    }
    return first ? err_set(e, first->status, "%s", first->msg) : removed;
}
