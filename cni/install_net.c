/*
 * The host's side of the pods' network, kept as the plugin has made it: masters promiscuous, VLAN
 * devices there and up, also after their master was gone for a while, with the addresses and routes
 * that the site has put on them; those that nobody has used for an hour removed.
 */
#include "install.h"

#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"
#include "netlink/nlkeep.h"
#include "netlink/nllink.h"
#include "vlandev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_MS (60 * 60 * 1000)
#define SWEEP_MS (5 * 60 * 1000) /* between looks for devices that nobody uses */

struct kept {
    struct vlandev_made made;
    struct nlkeep extras; /* as they were when all was well */
    bool is_lost;         /* it went, or went down, and is not back yet */
    bool is_gone;
};

struct install_net {
    struct nl_sock *sock, *watch;
    char *locks;
    struct kept *devices;
    size_t count;
    char (*masters)[IFNAMSIZ]; /* also those of pods without VLAN */
    size_t n_masters;
    int64_t sweep_due_ms;
    bool is_dirty;
};

/* One look. */
struct look {
    struct install_net *n;
    struct vlandev_made *now;
    size_t count;
    bool has_mended;
    struct err *first;
};

int install_net_new(const char *locks, struct install_net **out, struct err **e)
{
    struct install_net *n = xcalloc(1, sizeof(*n));
    int r = nlreq_open(&n->sock, e);

    n->locks = xstrdup(locks);
    if (r == 0)
        r = nllink_watch(&n->watch, e);
    if (r < 0)
        install_net_free(n);
    else
        *out = n;
    return r;
}

void install_net_free(struct install_net *n)
{
    if (!n)
        return;
    nlreq_close(&n->sock);
    nlreq_close(&n->watch);
    for (size_t i = 0; i < n->count; i++)
        nlkeep_release(&n->devices[i].extras);
    free(n->devices);
    free(n->masters);
    free(n->locks);
    free(n);
}

/* --- changes --- */

/* One that is removed goes down first. */
static void lose(struct kept *d, bool is_gone)
{
    if (!d->is_gone && is_gone)
        log_warn(
            "VLAN device '%s' is gone, and with it the interfaces of the pods that stood on it: "
            "they need to be started anew",
            d->made.name);
    else if (!d->is_lost)
        log_warn("VLAN device '%s' is down", d->made.name);
    d->is_gone |= is_gone;
    d->is_lost = true;
}

static bool is_master(const struct install_net *n, const char *name)
{
    for (size_t i = 0; i < n->n_masters; i++)
        if (!strcmp(n->masters[i], name))
            return true;
    return false;
}

/* Pods' own links come and go all the time; they are none of ours. */
static void on_change(void *arg, const struct nllink *link, bool is_gone)
{
    struct install_net *n = arg;

    if (!strcmp(link->kind, "vlan") || is_master(n, link->name))
        n->is_dirty = true;
    for (size_t i = 0; i < n->count; i++)
        if (n->devices[i].made.index == link->index && (is_gone || !(link->flags & IFF_UP)))
            lose(&n->devices[i], is_gone);
}

int install_net_fd(const struct install_net *n)
{
    return nl_socket_get_fd(n->watch);
}

bool install_net_changed(struct install_net *n)
{
    if (!nllink_watch_read(n->watch, on_change, n))
        n->is_dirty = true;
    return n->is_dirty;
}

/* --- what is there --- */

/* What goes wrong for one must not keep the others from being looked after. */
static void complain(struct look *l, int status, const char *text)
{
    if (!l->first)
        (void)err_set(&l->first, status, "%s", text);
}

static int list_now(struct look *l, struct err **e)
{
    free(l->now);
    l->now = NULL;
    l->count = 0;
    return vlandev_list(l->n->sock, &l->now, &l->count, e);
}

static const struct vlandev_made *listed(const struct look *l, const struct vlandev_made *d)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->now[i].vlan == d->vlan && !strcmp(l->now[i].master, d->master))
            return &l->now[i];
    return NULL;
}

static void drop(struct install_net *n, size_t i)
{
    nlkeep_release(&n->devices[i].extras);
    n->devices[i] = n->devices[--n->count];
}

/* What is removed here must not come back. */
static void sweep(struct look *l)
{
    struct install_net *n = l->n;
    auto_err struct err *why = NULL;
    int r;

    if (kube_now_ms() < n->sweep_due_ms)
        return;
    n->sweep_due_ms = kube_now_ms() + SWEEP_MS;
    r = vlandev_sweep(n->sock, n->locks, IDLE_MS, &why);
    if (r < 0) {
        complain(l, r, err_text(why));
        return;
    }
    if (!r || list_now(l, NULL) < 0)
        return;
    log_info("%d VLAN devices that nobody uses are removed", r);
    l->has_mended = true;
    for (size_t i = n->count; i-- > 0;)
        if (!n->devices[i].is_lost && !listed(l, &n->devices[i].made))
            drop(n, i);
}

static void find_lost(struct look *l)
{
    for (size_t i = 0; i < l->n->count; i++) {
        struct kept *d = &l->n->devices[i];
        const struct vlandev_made *now = listed(l, &d->made);

        if (!now || now->index != d->made.index || !now->is_up)
            lose(d, !now || now->index != d->made.index);
    }
}

/* While the master is gone or down, it is waited for. */
static void bring_back(struct look *l, struct kept *d)
{
    auto_vlandev struct vlandev device = VLANDEV_NONE;
    auto_err struct err *why = NULL;
    size_t put;
    int r = vlandev_hold(l->n->sock, l->n->locks, d->made.master, d->made.vlan, &device, &why);

    if (r == -ENODEV || r == -ENETDOWN)
        return;
    if (r < 0) {
        (void)err_wrap(&why, "VLAN %u of '%s'", d->made.vlan, d->made.master);
        complain(l, r, err_text(why));
        return;
    }
    put = nlkeep_put(l->n->sock, &d->extras, device.index);
    log_info("VLAN device '%s' is back, and %zu addresses and routes on it", device.name, put);
    /* What has been told of it so far is of the past. */
    (void)install_net_changed(l->n);
    d->made.index = device.index;
    memcpy(d->made.name, device.name, sizeof(d->made.name));
    d->is_lost = d->is_gone = false;
    l->has_mended = true;
}

static struct kept *kept_of(const struct install_net *n, const struct vlandev_made *made)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->devices[i].made.vlan == made->vlan &&
            !strcmp(n->devices[i].made.master, made->master))
            return &n->devices[i];
    return NULL;
}

/* New ones, and what is on each. A device that went down while that was read has told so by the end
 * of it, and then what it had before counts. */
static void remember(struct look *l)
{
    struct install_net *n = l->n;

    for (size_t i = 0; i < l->count; i++) {
        struct kept *d = kept_of(n, &l->now[i]);
        struct nlkeep extras = {.items = NULL};

        if (!d && l->now[i].is_up) {
            array_grow(n->devices, n->count);
            d = &n->devices[n->count++];
            *d = (struct kept){.made = l->now[i]};
        }
        if (!d || nlkeep_read(n->sock, d->made.index, &extras, NULL) < 0)
            continue;
        (void)install_net_changed(n);
        if (d->is_lost) {
            nlkeep_release(&extras);
            continue;
        }
        nlkeep_release(&d->extras);
        d->extras = extras;
    }
}

/* --- masters --- */

static void find_masters(struct install_net *n)
{
    free(n->masters);
    n->n_masters = vlandev_masters(n->locks, &n->masters);
    for (size_t i = 0; i < n->count; i++) {
        if (is_master(n, n->devices[i].made.master))
            continue;
        array_grow(n->masters, n->n_masters);
        memcpy(n->masters[n->n_masters++], n->devices[i].made.master, IFNAMSIZ);
    }
}

/* Without it the pods' frames do not come in. One that is not there is waited for. */
static void keep_promiscuous(struct look *l, const char *master)
{
    auto_err struct err *why = NULL;
    struct nllink link;
    int r = nllink_get(l->n->sock, master, &link, &why);

    if (r == -ENODEV)
        return;
    if (r == 0)
        r = vlandev_promiscuous(l->n->sock, l->n->locks, &link, &why);
    if (r < 0)
        complain(l, r, err_text(why));
    if (r <= 0)
        return;
    log_warn("'%s' was not promiscuous any more, and is again", master);
    l->has_mended = true;
}

static int keep(struct look *l, struct err **e)
{
    struct install_net *n = l->n;
    int r;

    n->is_dirty = false;
    sweep(l);
    r = list_now(l, e);
    if (r < 0)
        return r;
    find_lost(l);
    for (size_t i = 0; i < n->count; i++)
        if (n->devices[i].is_lost)
            bring_back(l, &n->devices[i]);
    r = list_now(l, e);
    if (r < 0)
        return r;
    remember(l);
    find_masters(n);
    for (size_t i = 0; i < n->n_masters; i++)
        keep_promiscuous(l, n->masters[i]);
    return 0;
}

int install_net_keep(struct install_net *n, struct err **e)
{
    struct look l = {.n = n};
    int r = keep(&l, e);

    if (r == 0 && l.first)
        r = err_set(e, l.first->status, "%s", l.first->msg);
    free(l.now);
    err_free(l.first);
    return r < 0 ? r : l.has_mended;
}
