/* CHECK: what ADD has made, compared with what is there. */
#include "podif_internal.h"

#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct look {
    const struct podif_id *id;
    const struct wanted *w;
    struct nl_sock *host, *pod;
    struct nllink parent, link;
};

static int look_at_parent(struct look *l, struct err **e)
{
    int r = vlandev_find(l->host, l->w->master, l->w->vlan, &l->parent, e);

    if (r == 0 && !(l->parent.flags & IFF_UP))
        return err_set(e, -EINVAL, "'%s', on which interface '%s' stands, is down", l->parent.name,
                       l->id->ifname);
    return r;
}

static int look_at_kind(struct look *l, struct err **e)
{
    const char *ifname = l->id->ifname;
    auto_err struct err *why = NULL;
    int r = nllink_get(l->pod, ifname, &l->link, &why);

    if (r == -ENODEV)
        return err_set(e, -ENOENT, "the pod has no interface '%s'", ifname);
    if (r < 0)
        return err_set(e, r, "cannot look up '%s' in the pod: %s", ifname, why->msg);
    if (strcmp(l->link.kind, "macvlan") != 0)
        return err_set(e, -EINVAL, "interface '%s' is a %s device, not a macvlan", ifname,
                       *l->link.kind ? l->link.kind : "physical");
    if (!podif_alias_is_of(l->link.alias, l->id->container))
        return err_set(e, -EINVAL,
                       "interface '%s' is not that of container '%s': its alias is '%s'", ifname,
                       l->id->container, l->link.alias);
    return 0;
}

/* Up to 5.0 the kernel does not say on what a link stands that has by chance the same number. */
static int look_at_lower(struct look *l, struct err **e)
{
    auto_free struct nllink *links = NULL;
    int lower = l->link.lower ? l->link.lower : l->link.index;
    const char *name = "another device";
    size_t n = 0;

    if (lower == l->parent.index)
        return 0;
    (void)nllink_list(l->host, &links, &n, NULL);
    for (size_t i = 0; i < n; i++)
        if (links[i].index == lower)
            name = links[i].name;
    return err_set(e, -EINVAL,
                   "interface '%s' stands on '%s' and not on '%s' (master '%s', VLAN %u)",
                   l->id->ifname, name, l->parent.name, l->w->master, l->w->vlan);
}

static int look_at_link(struct look *l, struct err **e)
{
    const struct wanted *w = l->w;
    const char *ifname = l->id->ifname;
    char is[IP_MAC_TEXT_SIZE], should[IP_MAC_TEXT_SIZE];
    unsigned mode = podif_kernel_mode(w->mode);

    if (l->link.macvlan_mode != mode)
        return err_set(e, -EINVAL, "interface '%s' has mode %s, not %s", ifname,
                       podif_mode_name(l->link.macvlan_mode), podif_mode_name(mode));
    if (w->has_mac && ip_mac_value(l->link.mac) != ip_mac_value(w->mac))
        return err_set(e, -EINVAL, "interface '%s' has MAC %s, not %s", ifname,
                       ip_mac_format(l->link.mac, ':', is), ip_mac_format(w->mac, ':', should));
    if (w->mtu && l->link.mtu != w->mtu)
        return err_set(e, -EINVAL, "interface '%s' has MTU %u, not %u", ifname, l->link.mtu,
                       w->mtu);
    if (!(l->link.flags & IFF_UP))
        return err_set(e, -EINVAL, "interface '%s' is down", ifname);
    return 0;
}

static bool has_addr(const struct ip_net *addrs, size_t n, struct ip_net wanted)
{
    for (size_t i = 0; i < n; i++)
        if (addrs[i].prefix == wanted.prefix && ip_compare(addrs[i].addr, wanted.addr) == 0)
            return true;
    return false;
}

static int look_at_addrs(struct look *l, struct err **e)
{
    auto_free struct ip_net *addrs = NULL;
    struct ip_net wanted[2];
    char text[IP_NET_TEXT_SIZE];
    size_t n = 0, n_wanted = podif_addrs(l->w, wanted);
    int r = nllink_addrs(l->pod, l->link.index, &addrs, &n, e);

    for (size_t i = 0; i < n_wanted && r == 0; i++)
        if (!has_addr(addrs, n, wanted[i]))
            r = err_set(e, -ENOENT, "interface '%s' does not have address %s", l->id->ifname,
                        ip_net_format(wanted[i], text));
    return r;
}

static int missing(const struct nlroute *route, struct err **e)
{
    char text[PODIF_ROUTE_TEXT];

    return err_set(e, -ENOENT, "the pod has no route %s", podif_route_text(route, text));
}

static int look_at_routes(struct look *l, struct err **e)
{
    auto_nlroutes struct nlroutes routes = {.items = NULL};
    const struct wanted *w = l->w;
    struct nlroute route;
    int r = 0;

    if (!w->n_routes && !w->has_default_route)
        return 0;
    r = nlroute_list(l->pod, &routes, e);
    for (size_t i = 0; i < w->n_routes && r >= 0; i++) {
        r = podif_route(l->pod, l->id, w, l->link.index, &w->routes[i], &route, e);
        if (r > 0 && !podif_has_route(&routes, &route))
            r = missing(&route, e);
    }
    if (r < 0 || !w->has_default_route)
        return r < 0 ? r : 0;
    route = podif_default_route(w, l->link.index);
    return podif_has_route(&routes, &route) ? 0 : missing(&route, e);
}

int podif_check(const struct podif_id *id, const struct wanted *w, struct err **e)
{
    static int (*const looks[])(struct look * l,
                                struct err * *e) = {look_at_parent, look_at_kind,  look_at_lower,
                                                    look_at_link,   look_at_addrs, look_at_routes};
    auto_netns struct netns ns = NETNS_NONE;
    auto_nlsock struct nl_sock *host = NULL, *pod = NULL;
    struct look l = {.id = id, .w = w};
    int r = podif_open_netns(id->netns, id->may_be_host, &ns, e);

    if (r == 0)
        r = nlreq_open(&host, e);
    if (r == 0)
        r = netns_socket(&ns, &pod, e);
    l.host = host;
    l.pod = pod;
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]) && r == 0; i++)
        r = looks[i](&l, e);
    return r;
}
