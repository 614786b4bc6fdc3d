/* Items about networks: the cluster's own against the host's, ports, the default route. */
#include "host.h"

#include "host_proc.h"
#include "mem.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

/* --- the cluster's networks --- */

struct network {
    const char *what, *text;
    int family, prefix;
    uint8_t bytes[NET_ADDR_BYTES];
};

/* Links that a cluster makes itself; an earlier one's are what "leftovers" is about. */
static bool is_of_cluster(const char *name)
{
    static const char *const prefixes[] = {"flannel", "cni", "cali", "veth", "tunl", "kube"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            return true;
    return false;
}

static bool overlaps(const struct network *n, int family, const uint8_t *bytes, int prefix)
{
    return family == n->family &&
           net_prefix_equal(n->bytes, bytes, prefix < n->prefix ? prefix : n->prefix);
}

static void check_addrs(const struct host *h, const struct network *n, struct host_verdict *v)
{
    for (size_t i = 0; i < h->net.n_addrs; i++) {
        const struct net_addr *addr = &h->net.addrs[i];
        const struct net_link *link = net_link_indexed(&h->net, addr->link);
        char text[NET_ADDR_TEXT];

        if (!link || is_of_cluster(link->name) ||
            !overlaps(n, addr->family, addr->bytes, addr->prefix))
            continue;
        host_say(v, HOST_FAIL, "choose another network for the cluster",
                 "%s %s overlaps %s/%d of %s", n->what, n->text,
                 net_addr_format(addr->family, addr->bytes, text), addr->prefix, link->name);
    }
}

static void check_routes(const struct host *h, const struct network *n, struct host_verdict *v)
{
    for (size_t i = 0; i < h->net.n_routes; i++) {
        const struct net_route *route = &h->net.routes[i];
        const struct net_link *link = net_link_indexed(&h->net, route->link);
        char text[NET_ADDR_TEXT];

        /* Connected networks were compared as addresses. */
        if (!route->prefix || (!route->has_gateway && !route->n_hops) ||
            (link && is_of_cluster(link->name)) ||
            !overlaps(n, route->family, route->dst, route->prefix))
            continue;
        host_say(v, HOST_FAIL, "choose another network for the cluster, or remove the route",
                 "%s %s overlaps the route to %s/%d", n->what, n->text,
                 net_addr_format(route->family, route->dst, text), route->prefix);
    }
}

void host_check_cidr(const struct host *h, struct host_verdict *v)
{
    struct network networks[2] = {{.what = "pods' network", .text = h->options->pod_cidr},
                                  {.what = "services' network", .text = h->options->service_cidr}};

    for (size_t i = 0; i < 2; i++) {
        struct network *n = &networks[i];

        n->family = net_cidr_parse(n->text, n->bytes, &n->prefix);
        check_addrs(h, n, v);
        check_routes(h, n, v);
    }
    if (overlaps(&networks[0], networks[1].family, networks[1].bytes, networks[1].prefix))
        host_say(v, HOST_FAIL, "choose two networks that are apart", "%s and %s overlap each other",
                 networks[0].text, networks[1].text);
    if (v->level == HOST_PASS)
        host_say(v, HOST_PASS, NULL, "%s and %s are free", networks[0].text, networks[1].text);
}

/* --- ports --- */

/* What the parts of an RKE cluster listen on at the host, by role. */
static const struct {
    unsigned roles;
    unsigned port;
    bool is_udp;
    const char *what;
} ports[] = {
    {HOST_CONTROLPLANE, 6443, false, "kube-apiserver"},
    {HOST_CONTROLPLANE, 10251, false, "kube-scheduler"},
    {HOST_CONTROLPLANE, 10252, false, "kube-controller-manager"},
    {HOST_CONTROLPLANE, 10257, false, "kube-controller-manager"},
    {HOST_CONTROLPLANE, 10259, false, "kube-scheduler"},
    {HOST_ETCD, 2379, false, "etcd"},
    {HOST_ETCD, 2380, false, "etcd"},
    {HOST_CONTROLPLANE | HOST_WORKER, 80, false, "ingress"},
    {HOST_CONTROLPLANE | HOST_WORKER, 443, false, "ingress"},
    {HOST_ALL_ROLES, 8472, true, "flannel's VXLAN"},
    {HOST_ALL_ROLES, 9099, false, "health of canal"},
    {HOST_ALL_ROLES, 10248, false, "health of kubelet"},
    {HOST_ALL_ROLES, 10249, false, "kube-proxy's metrics"},
    {HOST_ALL_ROLES, 10250, false, "kubelet"},
    {HOST_CONTROLPLANE | HOST_WORKER, 10254, false, "health of ingress"},
    {HOST_ALL_ROLES, 10256, false, "health of kube-proxy"},
};
#define NODE_PORT_FIRST 30000
#define NODE_PORT_LAST 32767

static void read_ports(const struct host *h, bool is_udp, struct proc_ports *out)
{
    static const char *const files[2][2] = {{"/proc/net/tcp", "/proc/net/tcp6"},
                                            {"/proc/net/udp", "/proc/net/udp6"}};

    for (size_t i = 0; i < 2; i++) {
        auto_free char *text = NULL;

        (void)host_text(h->root, files[is_udp][i], &text);
        proc_ports_add(text, is_udp, out);
    }
}

static void check_node_ports(const struct proc_ports *used, struct host_verdict *v)
{
    for (unsigned port = NODE_PORT_FIRST; port <= NODE_PORT_LAST; port++)
        if (proc_ports_have(used, port)) {
            host_say(v, HOST_WARN, "stop what listens there, or choose another range for NodePorts",
                     "%u/tcp is in use (a NodePort's)", port);
            return;
        }
}

void host_check_ports(const struct host *h, struct host_verdict *v)
{
    struct proc_ports used[2] = {{.ports = NULL}, {.ports = NULL}};
    size_t looked_at = 0;

    read_ports(h, false, &used[0]);
    read_ports(h, true, &used[1]);
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        if (!(ports[i].roles & h->roles))
            continue;
        looked_at++;
        if (proc_ports_have(&used[ports[i].is_udp], ports[i].port))
            host_say(v, HOST_FAIL, "stop what listens there (ss -lntup)", "%u/%s is in use (%s)",
                     ports[i].port, ports[i].is_udp ? "udp" : "tcp", ports[i].what);
    }
    if (h->roles & (HOST_CONTROLPLANE | HOST_WORKER))
        check_node_ports(&used[0], v);
    if (v->level == HOST_PASS)
        host_say(v, HOST_PASS, NULL, "%zu ports are free", looked_at);
    proc_ports_release(&used[0]);
    proc_ports_release(&used[1]);
}

/* --- the default route --- */

void host_check_default_route(const struct host *h, struct host_verdict *v)
{
    for (size_t i = 0; i < h->net.n_routes; i++) {
        const struct net_route *route = &h->net.routes[i];
        const struct net_link *link = net_link_indexed(&h->net, route->link);
        char text[NET_ADDR_TEXT];

        if (route->family != AF_INET || route->prefix || route->table != RT_TABLE_MAIN)
            continue;
        if (!link)
            host_say(v, HOST_WARN, "give flannel --iface (see flatnet host iface)",
                     "the default route has no single interface, so flannel cannot choose one");
        else
            host_say(v, HOST_PASS, NULL, "by %s%s%s", link->name, route->has_gateway ? " to " : "",
                     route->has_gateway ? net_addr_format(AF_INET, route->gateway, text) : "");
        return;
    }
    host_say(v, HOST_WARN,
             "add one, or give flannel --iface (see flatnet host iface) and the API server its "
             "advertise address",
             "there is no IPv4 default route");
}
