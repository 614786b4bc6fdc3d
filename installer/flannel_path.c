/* flannel's route, neighbour and forwarding entry for each remote host, compared. */
#include "flannel_path.h"

#include "mem.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

/* --- reading --- */

static int kernel_link_to(struct ip_addr host)
{
    struct net_path path;
    uint8_t bytes[16];

    (void)ip_bytes(host, bytes);
    return net_path_to(host.family, bytes, &path, NULL) < 0 ? -ENETUNREACH : path.link;
}

static void read_vtep(struct nl_sock *s, struct flannel_view *v)
{
    auto_free struct ip_net *addrs = NULL;
    size_t n = 0;

    if (nllink_addrs(s, v->link.index, &addrs, &n, NULL) < 0)
        return;
    for (size_t i = 0; i < n && v->vtep.family == AF_UNSPEC; i++)
        if (addrs[i].addr.family == AF_INET)
            v->vtep = addrs[i].addr;
}

int flannel_view_read(const char *name, const struct net_state *net, struct flannel_view *out,
                      struct err **e)
{
    struct flannel_view v = {.net = net, .link_to = kernel_link_to};
    auto_nlsock struct nl_sock *s = NULL;
    int r = nlreq_open(&s, e);

    if (r == 0)
        r = nllink_get(s, name, &v.link, e);
    if (r == 0)
        r = nlvxlan_get(s, name, &v.vxlan, e);
    if (r == 0)
        r = nlneigh_list(s, AF_BRIDGE, v.link.index, &v.fdb, &v.n_fdb, e);
    if (r == 0)
        r = nlneigh_list(s, AF_INET, v.link.index, &v.neighs, &v.n_neighs, e);
    if (r < 0) {
        flannel_view_release(&v);
        return r;
    }
    read_vtep(s, &v);
    *out = v;
    return 0;
}

void flannel_view_release(struct flannel_view *v)
{
    free(v->fdb);
    free(v->neighs);
    v->fdb = v->neighs = NULL;
}

/* --- remote hosts --- */

static bool is_route_to(const struct net_route *route, struct ip_net dst)
{
    uint8_t bytes[16];

    (void)ip_bytes(ip_net_first(dst), bytes);
    return route->family == dst.addr.family && route->prefix == (int)dst.prefix &&
           net_prefix_equal(route->dst, bytes, route->prefix);
}

/* Of several the one by the tunnel. */
static const struct net_route *route_to(const struct flannel_view *v, struct ip_net dst)
{
    const struct net_route *found = NULL;

    for (size_t i = 0; i < v->net->n_routes; i++) {
        const struct net_route *route = &v->net->routes[i];

        if (route->table == RT_TABLE_MAIN && is_route_to(route, dst) &&
            (!found || route->link == v->link.index))
            found = route;
    }
    return found;
}

static struct ip_addr gateway_of(const struct net_route *route)
{
    return route && route->has_gateway ? ip_from_bytes(route->family, route->gateway)
                                       : (struct ip_addr){.family = AF_UNSPEC};
}

static void add_remote(struct flannel_remotes *out, struct flannel_remote remote)
{
    array_grow(out->items, out->count);
    out->items[out->count++] = remote;
}

void flannel_remotes_find(const struct flannel_view *v, const struct flannel_nodes *nodes,
                          const struct flannel_node *self, struct flannel_remotes *out)
{
    for (size_t i = 0; nodes && i < nodes->count; i++)
        if (&nodes->items[i] != self && nodes->items[i].backend)
            add_remote(out, (struct flannel_remote){.name = xstrdup(nodes->items[i].name),
                                                    .node = &nodes->items[i]});
    for (size_t i = 0; !nodes && i < v->net->n_routes; i++) {
        const struct net_route *route = &v->net->routes[i];
        struct ip_net dst = {.addr = ip_from_bytes(route->family, route->dst),
                             .prefix = (unsigned)route->prefix};
        char text[IP_NET_TEXT_SIZE];

        if (route->family == AF_INET && route->link == v->link.index && route->has_gateway)
            add_remote(out, (struct flannel_remote){.name = xstrdup(ip_net_format(dst, text)),
                                                    .gateway = gateway_of(route)});
    }
}

void flannel_remotes_release(struct flannel_remotes *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->items[i].name);
    free(r->items);
    *r = (struct flannel_remotes){.count = 0};
}

/* --- the link --- */

static const char *link_name(const struct flannel_view *v, int index)
{
    const struct net_link *link = index > 0 ? net_link_indexed(v->net, index) : NULL;

    return link ? link->name : "nothing";
}

#define HERE "delete flannel's pod of this host; it makes the link anew"

static void judge_addresses(const struct flannel_view *v, const struct flannel_node *self,
                            struct conn_report *r)
{
    char a[IP_TEXT_SIZE], b[IP_TEXT_SIZE], m[IP_MAC_TEXT_SIZE], n[IP_MAC_TEXT_SIZE];
    const char *name = v->link.name;

    if (self->public_ip.family && v->vxlan.local.family &&
        ip_compare(self->public_ip, v->vxlan.local) != 0) {
        conn_say(r, CONN_FAIL, "flannel", name, "it sends from %s, others send to %s",
                 ip_format(v->vxlan.local, a), ip_format(self->public_ip, b));
        conn_cause(r, "flannel was started with another interface since: " HERE);
        conn_cause(r,
                   "flannel has --public-ip, or the annotation public-ip-overwrite stands on "
                   "node '%s' (then this is meant)",
                   self->name);
    }
    if (self->has_mac && v->link.has_mac && ip_mac_value(self->mac) != ip_mac_value(v->link.mac)) {
        conn_say(r, CONN_FAIL, "flannel", name, "its MAC is %s, others send to %s",
                 ip_mac_format(v->link.mac, ':', m), ip_mac_format(self->mac, ':', n));
        conn_cause(r, "something else made the link anew or changed its MAC: " HERE);
    }
}

void flannel_judge_link(const struct flannel_view *v, const struct flannel_node *self,
                        struct conn_report *r)
{
    const struct net_link *lower = net_link_indexed(v->net, v->vxlan.lower);
    const char *name = v->link.name;
    size_t before = r->n[CONN_FAIL] + r->n[CONN_WARN];
    char local[IP_TEXT_SIZE];

    if (!(v->link.flags & IFF_UP)) {
        conn_say(r, CONN_FAIL, "flannel", name, "the link is down");
        conn_cause(r, "set it up: ip link set %s up", name);
        conn_cause(r, "NetworkManager took it: 'flatnet host prepare' tells it to keep off");
    }
    if (v->vxlan.port != FLANNEL_PORT)
        conn_say(r, CONN_WARN, "flannel", name, "it sends to UDP port %u, not to %u", v->vxlan.port,
                 FLANNEL_PORT);
    if (lower && (int)v->link.mtu > lower->mtu - FLANNEL_OVERHEAD) {
        conn_say(r, CONN_FAIL, "flannel", name,
                 "its MTU is %u, and %s, which it stands on, has only room for %d", v->link.mtu,
                 lower->name, lower->mtu - FLANNEL_OVERHEAD);
        conn_cause(r, "the MTU of %s was changed after flannel started: " HERE, lower->name);
    }
    if (self)
        judge_addresses(v, self, r);
    if (r->n[CONN_FAIL] + r->n[CONN_WARN] == before)
        conn_say(r, CONN_PASS, "flannel", name, "on %s from %s, MTU %u",
                 lower ? lower->name : "any link", ip_format(v->vxlan.local, local), v->link.mtu);
}

/* --- one remote host --- */

#define RENEW "delete flannel's pod of this host; it writes its routes and entries anew"

static const struct nlneigh *neighbour_of(const struct flannel_view *v, struct ip_addr a)
{
    for (size_t i = 0; i < v->n_neighs; i++)
        if (v->neighs[i].has_mac && ip_compare(v->neighs[i].addr, a) == 0)
            return &v->neighs[i];
    return NULL;
}

/* Where frames for `mac` go; the kernel has one such host for a unicast MAC. */
static bool find_entry(const struct flannel_view *v, struct ip_mac mac, struct ip_addr *out_host)
{
    for (size_t i = 0; i < v->n_fdb; i++)
        if (v->fdb[i].has_mac && ip_mac_value(v->fdb[i].mac) == ip_mac_value(mac) &&
            v->fdb[i].addr.family) {
            *out_host = v->fdb[i].addr;
            return true;
        }
    return false;
}

static bool fail(struct conn_report *r, const struct flannel_remote *remote, const char *seen)
{
    conn_say(r, CONN_FAIL, "fdb", remote->name, "%s", seen);
    conn_cause(r, "flannel does not run on this host, or cannot reach the API server: look at its "
                  "pod's log");
    conn_cause(r, RENEW);
    return false;
}

/* The route to the pods of the node. 1: by the tunnel, 0: without it (DirectRouting, host-gw). */
static int judge_route(const struct flannel_view *v, struct flannel_remote *remote,
                       struct conn_report *r)
{
    const struct flannel_node *node = remote->node;
    const struct net_route *route = node->has_pods ? route_to(v, node->pods) : NULL;
    char pods[IP_NET_TEXT_SIZE], gateway[IP_TEXT_SIZE];

    if (!node->has_pods) {
        conn_say(r, CONN_FAIL, "fdb", remote->name, "the node has no podCIDR");
        conn_cause(r, "start kube-controller-manager with --allocate-node-cidrs and "
                      "--cluster-cidr");
        return -1;
    }
    (void)ip_net_format(node->pods, pods);
    if (!route) {
        auto_free char *seen = xasprintf("there is no route to its pods (%s)", pods);

        (void)fail(r, remote, seen);
        return -1;
    }
    remote->gateway = gateway_of(route);
    if (route->link == v->link.index)
        return 1;
    if (remote->gateway.family && ip_compare(remote->gateway, node->public_ip) == 0) {
        conn_say(r, CONN_PASS, "fdb", remote->name, "%s by %s without the tunnel", pods,
                 link_name(v, route->link));
        remote->is_direct = true;
        return 0;
    }
    conn_say(r, CONN_FAIL, "fdb", remote->name, "the route to its pods (%s) leads by %s%s%s", pods,
             link_name(v, route->link), remote->gateway.family ? " via " : "",
             ip_format(remote->gateway, gateway));
    conn_cause(r, "somebody's own route is in the way: remove it ('ip route show %s')", pods);
    return -1;
}

static bool judge_neighbour(const struct flannel_view *v, const struct flannel_remote *remote,
                            struct ip_mac *out_mac, struct conn_report *r)
{
    const struct nlneigh *n = neighbour_of(v, remote->gateway);
    char gateway[IP_TEXT_SIZE], a[IP_MAC_TEXT_SIZE], b[IP_MAC_TEXT_SIZE];

    (void)ip_format(remote->gateway, gateway);
    if (!n) {
        auto_free char *seen = xasprintf("%s, the gateway to its pods, has no MAC", gateway);

        return fail(r, remote, seen);
    }
    *out_mac = n->mac;
    if (!remote->node || !remote->node->has_mac ||
        ip_mac_value(n->mac) == ip_mac_value(remote->node->mac))
        return true;
    conn_say(r, CONN_FAIL, "fdb", remote->name, "the neighbour %s has MAC %s, its flannel.1 has %s",
             gateway, ip_mac_format(n->mac, ':', a), ip_mac_format(remote->node->mac, ':', b));
    conn_cause(r, "the node was made anew and this host has not heard of it: " RENEW);
    return false;
}

static bool is_peer(struct ip_addr host, const struct ip_addr *peers, size_t n_peers)
{
    for (size_t i = 0; i < n_peers; i++)
        if (ip_compare(host, peers[i]) == 0)
            return true;
    return !n_peers;
}

static void wrong_host(const struct flannel_remote *remote, const char *mac, const char *wanted,
                       struct conn_report *r)
{
    char host[IP_TEXT_SIZE];

    conn_say(r, CONN_FAIL, "fdb", remote->name, "%s leads to %s, which is not %s", mac,
             ip_format(remote->host, host), wanted);
    conn_cause(r, "flannel there has taken another interface: run 'flatnet host iface --peer' "
                  "there with an address of this host, and give its DaemonSet the --iface that it "
                  "prints");
    conn_cause(r, "the entry is older than the node's address: " RENEW);
    conn_cause(r,
               "somebody changed it by hand: 'bridge fdb replace %s dev flannel.1 dst %s' puts "
               "it right until flannel starts again",
               mac, wanted);
}

/* The forwarding entries for `mac`, and the way to the host that they lead to. */
static bool judge_entries(const struct flannel_view *v, struct flannel_remote *remote,
                          struct ip_mac mac, const struct ip_addr *peers, size_t n_peers,
                          struct conn_report *r)
{
    struct ip_addr wanted =
        remote->node ? remote->node->public_ip : (struct ip_addr){.family = AF_UNSPEC};
    char text[IP_MAC_TEXT_SIZE], host[IP_TEXT_SIZE];

    (void)ip_mac_format(mac, ':', text);
    if (!find_entry(v, mac, &remote->host)) {
        auto_free char *seen = xasprintf("no forwarding entry for its MAC %s", text);

        return fail(r, remote, seen);
    }
    if (wanted.family && ip_compare(remote->host, wanted) != 0) {
        wrong_host(remote, text, ip_format(wanted, host), r);
        return false;
    }
    if (!wanted.family && !is_peer(remote->host, peers, n_peers)) {
        wrong_host(remote, text, n_peers == 1 ? ip_format(peers[0], host) : "one of the peers", r);
        return false;
    }
    return true;
}

static bool judge_way(const struct flannel_view *v, const struct flannel_remote *remote,
                      struct conn_report *r)
{
    int link = v->link_to(remote->host);
    char host[IP_TEXT_SIZE];

    (void)ip_format(remote->host, host);
    if (link >= 0 && (!v->vxlan.lower || link == v->vxlan.lower))
        return true;
    conn_say(r, CONN_FAIL, "fdb", remote->name, "%s is reached by %s, and %s stands on %s", host,
             link_name(v, link), v->link.name, link_name(v, v->vxlan.lower));
    if (remote->node)
        flannel_cause_elsewhere(remote->node, v->vxlan.local, r);
    conn_cause(r,
               "flannel on this host has taken another interface: run 'flatnet host iface "
               "--peer %s', and give its DaemonSet the --iface that it prints",
               host);
    return false;
}

bool flannel_judge_remote(const struct flannel_view *v, struct flannel_remote *remote,
                          const struct ip_addr *peers, size_t n_peers, struct conn_report *r)
{
    int way = remote->node ? judge_route(v, remote, r) : 1;
    char host[IP_TEXT_SIZE], text[IP_MAC_TEXT_SIZE];
    struct ip_mac mac;

    if (way <= 0)
        return way == 0;
    if (!judge_neighbour(v, remote, &mac, r) || !judge_entries(v, remote, mac, peers, n_peers, r) ||
        !judge_way(v, remote, r))
        return false;
    conn_say(r, CONN_PASS, "fdb", remote->name, "%s leads to %s by %s",
             ip_mac_format(mac, ':', text), ip_format(remote->host, host),
             link_name(v, v->vxlan.lower));
    return true;
}

static bool leads_to_one(struct ip_addr host, const struct flannel_remotes *remotes)
{
    for (size_t i = 0; i < remotes->count; i++) {
        const struct flannel_remote *remote = &remotes->items[i];
        struct ip_addr known = remote->node ? remote->node->public_ip : remote->host;

        if (known.family && ip_compare(host, known) == 0)
            return true;
    }
    return false;
}

static bool is_of_remote(struct ip_mac mac, const struct flannel_remotes *remotes)
{
    for (size_t i = 0; i < remotes->count; i++) {
        const struct flannel_node *node = remotes->items[i].node;

        if (node && node->has_mac && ip_mac_value(node->mac) == ip_mac_value(mac))
            return true;
    }
    return false;
}

void flannel_judge_strays(const struct flannel_view *v, const struct flannel_remotes *remotes,
                          struct conn_report *r)
{
    for (size_t i = 0; i < v->n_fdb; i++) {
        const struct nlneigh *n = &v->fdb[i];
        char host[IP_TEXT_SIZE], mac[IP_MAC_TEXT_SIZE];

        if (!n->has_mac || !n->addr.family || leads_to_one(n->addr, remotes) ||
            is_of_remote(n->mac, remotes))
            continue;
        conn_say(r, CONN_WARN, "fdb", ip_format(n->addr, host),
                 "%s leads there, and it is no node's address", ip_mac_format(n->mac, ':', mac));
        conn_cause(r, "a node that is gone: " RENEW);
    }
}
