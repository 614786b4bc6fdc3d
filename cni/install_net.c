/*
 * The host's side of the pods' network, kept as the plugin has made it: masters promiscuous, VLAN
 * devices there and up, also after their master was gone for a while; those that nobody has used
 * for an hour removed.
 */
#include "install.h"

#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"
#include "netlink/net.h"
#include "netlink/nlreq.h"
#include "vlandev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_MS (60 * 60 * 1000)
#define SWEEP_MS (5 * 60 * 1000) /* between looks for devices that nobody uses */

struct install_net {
    struct nl_sock *sock;
    struct vlandev_made *devices; /* as they were when all was well */
    size_t count;
    int64_t sweep_due_ms;
};

int install_net_new(struct install_net **out, struct err **e)
{
    struct install_net *n = xcalloc(1, sizeof(*n));
    int r = nlreq_open(&n->sock, e);

    if (r < 0)
        free(n);
    else
        *out = n;
    return r;
}

void install_net_free(struct install_net *n)
{
    if (!n)
        return;
    nlreq_close(&n->sock);
    free(n->devices);
    free(n);
}

static bool is_listed(const struct vlandev_made *d, const struct vlandev_made *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].vlan == d->vlan && !strcmp(list[i].master, d->master) && list[i].is_up)
            return true;
    return false;
}

/* A device goes with its master; a site that takes one away for good has no pods on it. */
static int bring_back(struct install_net *n, const struct vlandev_made *now, size_t count,
                      struct err **e)
{
    int back = 0;

    for (size_t i = 0; i < n->count; i++) {
        auto_vlandev struct vlandev device = VLANDEV_NONE;
        const struct vlandev_made *d = &n->devices[i];
        int r;

        if (is_listed(d, now, count))
            continue;
        r = vlandev_hold(n->sock, VLANDEV_LOCKS, d->master, d->vlan, &device, e);
        if (r < 0)
            return err_wrap(e, "VLAN %u of '%s'", d->vlan, d->master);
        log_info("VLAN device '%s' is back", device.name);
        back++;
    }
    return back;
}

/* Somebody has switched it off: the pods' frames would not come in. */
static int keep_promiscuous(const struct vlandev_made *now, size_t count, struct err **e)
{
    struct net_state state = {.links = NULL};
    int r = count ? net_state_read(&state, e) : 0, set = 0;

    for (size_t i = 0; r >= 0 && i < count; i++) {
        const struct net_link *link = net_link_named(&state, now[i].master);

        if (!link || link->flags & IFF_PROMISC)
            continue;
        r = net_set_promiscuous(now[i].master, true, e);
        if (r == 0)
            log_warn("'%s' was not promiscuous any more, and is again", now[i].master);
        set = 1;
    }
    net_state_release(&state);
    return r < 0 ? r : set;
}

/* What is removed must not come back. */
static int sweep(struct install_net *n, struct err **e)
{
    int r;

    if (kube_now_ms() < n->sweep_due_ms)
        return 0;
    n->sweep_due_ms = kube_now_ms() + SWEEP_MS;
    r = vlandev_sweep(n->sock, VLANDEV_LOCKS, IDLE_MS, e);
    if (r > 0) {
        log_info("%d VLAN devices that nobody uses are removed", r);
        n->count = 0;
    }
    return r;
}

int install_net_keep(struct install_net *n, struct err **e)
{
    struct vlandev_made *now = NULL;
    size_t count = 0;
    int swept = sweep(n, e), back = 0, set = 0, r = swept;

    if (r >= 0)
        r = vlandev_list(n->sock, &now, &count, e);
    if (r >= 0)
        r = back = bring_back(n, now, count, e);
    if (r >= 0)
        r = set = keep_promiscuous(now, count, e);
    if (r >= 0 && back) {
        free(now);
        now = NULL;
        r = vlandev_list(n->sock, &now, &count, e);
    }
    if (r < 0) {
        free(now);
        return r;
    }
    free(n->devices);
    n->devices = now;
    n->count = count;
    return swept > 0 || back > 0 || set > 0;
}
