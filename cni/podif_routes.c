/* The pod's routes: the subnet's, and the default route's move to our interface. */
#include "podif_internal.h"

#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *podif_route_text(const struct nlroute *route, char out[PODIF_ROUTE_TEXT])
{
    char dst[IP_NET_TEXT_SIZE], gw[IP_TEXT_SIZE];

    (void)snprintf(out, PODIF_ROUTE_TEXT, "%s%s%s", ip_net_format(route->dst, dst),
                   route->gw.family ? " via " : "", ip_format(route->gw, gw));
    return out;
}

/* "eth1" is what the macvlan is called in a subnet's routes, whatever the pod calls it. */
static bool is_own(const struct podif_id *id, const struct wanted_route *wanted)
{
    return !wanted->iface || !strcmp(wanted->iface, id->ifname) || !strcmp(wanted->iface, "eth1");
}

int podif_route(struct nl_sock *pod, const struct podif_id *id, const struct wanted *w,
                int own_link, const struct wanted_route *wanted, struct nlroute *out,
                struct err **e)
{
    struct nlroute route = {.dst = wanted->dst, .gw = wanted->gw, .link = own_link};
    auto_err struct err *why = NULL;
    char text[PODIF_ROUTE_TEXT];
    struct nllink other;

    if (wanted->iface && !strcmp(wanted->iface, "eth0") && !strcmp(id->ifname, "eth0"))
        return 0;
    if (is_own(id, wanted)) {
        if (!route.gw.family && w->gateway.family == route.dst.addr.family)
            route.gw = w->gateway;
    } else if (nllink_get(pod, wanted->iface, &other, &why) < 0) {
        return err_set(e, why->status, "route %s wants interface '%s' of the pod: %s",
                       podif_route_text(&route, text), wanted->iface, why->msg);
    } else {
        route.link = other.index;
    }
    if (route.gw.family && route.gw.family != route.dst.addr.family)
        return err_set(e, -EINVAL, "route %s mixes IPv4 and IPv6", podif_route_text(&route, text));
    route.dst.addr = ip_net_first(route.dst);
    *out = route;
    return 1;
}

struct nlroute podif_default_route(const struct wanted *w, int own_link)
{
    return (struct nlroute){.dst.addr = {.family = w->gateway.family},
                            .gw = w->gateway,
                            .link = own_link};
}

bool podif_has_route(const struct nlroutes *l, const struct nlroute *route)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct nlroute *it = &l->items[i];
        if (it->is_unicast && it->link == route->link && it->dst.prefix == route->dst.prefix &&
            ip_compare(it->dst.addr, ip_net_first(route->dst)) == 0 &&
            ip_compare(it->gw, route->gw) == 0)
            return true;
    }
    return false;
}

static void remember(struct podif_job *j, const struct podif_change *change)
{
    array_grow(j->changes, j->n_changes);
    j->changes[j->n_changes++] = *change;
}

/* Another plugin may have made the very same one. */
static bool is_there(struct podif_job *j, const struct nlroute *route)
{
    auto_nlroutes struct nlroutes now = {.items = NULL};

    return nlroute_list(j->pod, &now, NULL) == 0 && podif_has_route(&now, route);
}

/* A gateway outside of the subnet is still on our link. */
static bool is_onlink(const struct podif_job *j, const struct nlroute *route)
{
    return route->link == j->link.index && route->gw.family == j->w->addr.addr.family &&
           !ip_net_contains(j->w->addr, route->gw);
}

static int add(struct podif_job *j, const struct nlroute *route, struct err **e)
{
    auto_err struct err *why = NULL;
    char text[PODIF_ROUTE_TEXT];
    unsigned flags = is_onlink(j, route) ? NLROUTE_ONLINK : 0;
    int r = nlroute_add(j->pod, route, flags, &why);

    if (r == -EEXIST && is_there(j, route))
        return 0;
    /* What the subnet says comes before what the pod had. */
    if (r == -EEXIST)
        r = nlroute_add(j->pod, route, flags | NLROUTE_IN_FRONT, &why);
    if (r < 0)
        return err_set(e, r, "cannot add route %s: %s", podif_route_text(route, text), why->msg);
    remember(j, &(struct podif_change){.route = *route});
    return 0;
}

static bool is_other_default(const struct podif_job *j, const struct nlroute *route)
{
    return !route->dst.prefix && route->dst.addr.family == j->w->gateway.family &&
           route->is_unicast && route->link != j->link.index;
}

static int remove_old(struct podif_job *j, const struct nlroute *old, struct err **e)
{
    auto_err struct err *why = NULL;
    char text[PODIF_ROUTE_TEXT];
    int r = nlroute_del(j->pod, old, NULL, &why);

    if (r < 0)
        return err_set(e, r, "cannot remove route %s: %s", podif_route_text(old, text), why->msg);
    remember(j, &(struct podif_change){.route = *old, .was_removed = true});
    return 0;
}

/* Services keep the way that everything had: its next hop, flags and metrics. */
static int add_service_route(struct podif_job *j, const struct nlroute *old, struct err **e)
{
    struct podif_change change = {.route = *old, .has_dst = true, .dst = j->w->service_cidr};
    struct nlroute wanted = {.dst = j->w->service_cidr, .gw = old->gw, .link = old->link};
    auto_err struct err *why = NULL;
    char text[PODIF_ROUTE_TEXT];
    int r = nlroute_put(j->pod, old, &change.dst, &why);

    if (r == -EEXIST && is_there(j, &wanted))
        return 0;
    if (r < 0)
        return err_set(e, r, "cannot add the services' route %s: %s",
                       podif_route_text(&wanted, text), why->msg);
    remember(j, &change);
    return 0;
}

/* The default route is what has the destination 0/0 on another link than ours, wherever it stands
 * in the table; of several the one with the least metric is in force. */
static int move_default(struct podif_job *j, struct err **e)
{
    struct nlroute ours = podif_default_route(j->w, j->link.index);
    const struct nlroute *best = NULL;
    int r = 0;

    if (!j->w->gateway.family)
        return err_set(e, -EINVAL, "a default route is wanted, and subnet '%s' has no gateway",
                       j->w->subnet ? j->w->subnet : "");
    for (size_t i = 0; i < j->before.count && r == 0; i++) {
        const struct nlroute *it = &j->before.items[i];
        if (!is_other_default(j, it))
            continue;
        if (!best || it->metric < best->metric)
            best = it;
        r = remove_old(j, it, e);
    }
    if (r == 0)
        r = add(j, &ours, e);
    if (r == 0 && best && j->w->service_cidr.addr.family == j->w->gateway.family)
        r = add_service_route(j, best, e);
    return r;
}

int podif_add_routes(struct podif_job *j, struct err **e)
{
    int r = 0;

    if (!j->w->n_routes && !j->w->has_default_route)
        return 0;
    if (j->w->has_default_route)
        r = nlroute_list(j->pod, &j->before, e);
    for (size_t i = 0; i < j->w->n_routes && r >= 0; i++) {
        struct nlroute route;
        r = podif_route(j->pod, j->id, j->w, j->link.index, &j->w->routes[i], &route, e);
        if (r > 0)
            r = add(j, &route, e);
    }
    if (r >= 0 && j->w->has_default_route)
        r = move_default(j, e);
    return r < 0 ? r : 0;
}

void podif_undo_routes(struct podif_job *j)
{
    while (j->n_changes) {
        const struct podif_change *c = &j->changes[--j->n_changes];
        if (c->was_removed)
            (void)nlroute_put(j->pod, &c->route, NULL, NULL);
        else
            (void)nlroute_del(j->pod, &c->route, c->has_dst ? &c->dst : NULL, NULL);
    }
}
