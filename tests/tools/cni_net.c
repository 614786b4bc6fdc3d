/*
 * The kernel side of the CNI plugin on the command line, for tests. Run it in what shall be the
 * host's network namespace. Errors go to stderr as "ENOENT: message", with exit status 1.
 *
 *   cni_net add|check|del KEY=VALUE...   add prints "PARENT MAC MTU ADDRESS..."; del the number
 * removed cni_net gc netns=PATH net=NAME [valid=CONTAINER/IFNAME]... cni_net sweep locks=DIR
 * idle_ms=N    remove VLAN devices; prints how many cni_net hold locks=DIR master=NAME vlan=N until
 * standard input ends; prints "NAME INDEX" cni_net vlans                        those that we made:
 * "NAME MASTER VLAN up|down" cni_net namespaces folder=DIR
 *
 * KEY: netns, if, id, net, locks, probes, probe_ms, override; master, vlan, mode, mtu, mac, addr,
 * gw, 6to4, route=DST[,[GW][,IFACE]] (several), default, service=CIDR
 */
#include "mem.h"
#include "netlink/netns.h"
#include "netlink/nlreq.h"
#include "num.h"
#include "podif.h"
#include "vlandev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANY 16

struct args {
    struct podif_id id;
    struct podif_options o;
    struct wanted w;
    struct wanted_route routes[MANY];
    struct podif_attachment valid[MANY];
    size_t n_valid;
    unsigned idle_ms;
    const char *folders[2];
};

static _Noreturn void usage(const char *what)
{
    (void)fprintf(stderr, "cni_net: what is '%s'?\n", what);
    exit(2);
}

static unsigned number(const char *text)
{
    uint64_t value = 0;

    if (num_parse_u64(text, INT32_MAX, &value) < 0)
        usage(text);
    return (unsigned)value;
}

static struct ip_net network(const char *text)
{
    struct ip_net n = {.prefix = 0};

    if (ip_net_parse(text, &n) < 0)
        usage(text);
    return n;
}

static struct ip_addr address(const char *text)
{
    struct ip_addr a = {.family = AF_UNSPEC};

    if (*text && ip_parse(text, &a) < 0)
        usage(text);
    return a;
}

static enum wanted_mode mode_of(const char *text)
{
    static const char *const names[] = {"bridge", "private", "vepa", "passthru"};

    for (size_t i = 0; i < 4; i++)
        if (!strcmp(text, names[i]))
            return (enum wanted_mode)i;
    usage(text);
}

static void add_route(struct args *a, char *text)
{
    struct wanted_route *route = &a->routes[a->w.n_routes++];
    char *gw = strchr(text, ','), *iface = gw ? strchr(gw + 1, ',') : NULL;

    if (gw)
        *gw++ = '\0';
    if (iface)
        *iface++ = '\0';
    *route =
        (struct wanted_route){.dst = network(text), .gw = address(gw ? gw : ""), .iface = iface};
}

static void add_valid(struct args *a, char *text)
{
    char *slash = strchr(text, '/');

    if (!slash || a->n_valid == MANY)
        usage(text);
    *slash = '\0';
    a->valid[a->n_valid++] = (struct podif_attachment){.container = text, .ifname = slash + 1};
}

static bool read_wanted(struct args *a, const char *key, char *value)
{
    if (!strcmp(key, "master"))
        a->w.master = value;
    else if (!strcmp(key, "vlan"))
        a->w.vlan = number(value);
    else if (!strcmp(key, "mode"))
        a->w.mode = mode_of(value);
    else if (!strcmp(key, "mtu"))
        a->w.mtu = number(value);
    else if (!strcmp(key, "mac"))
        a->w.has_mac = ip_mac_parse(value, &a->w.mac, NULL) == 0;
    else if (!strcmp(key, "addr"))
        a->w.addr = network(value);
    else if (!strcmp(key, "gw"))
        a->w.gateway = address(value);
    else if (!strcmp(key, "6to4"))
        a->w.is_6to4 = true;
    else if (!strcmp(key, "route") && a->w.n_routes < MANY)
        add_route(a, value);
    else if (!strcmp(key, "default"))
        a->w.has_default_route = true;
    else if (!strcmp(key, "service"))
        a->w.service_cidr = network(value);
    else
        return false;
    return true;
}

static void read_arg(struct args *a, char *arg)
{
    char *value = strchr(arg, '=');

    if (value)
        *value++ = '\0';
    else
        value = arg + strlen(arg);
    if (!strcmp(arg, "netns"))
        a->id.netns = value;
    else if (!strcmp(arg, "if"))
        a->id.ifname = value;
    else if (!strcmp(arg, "id"))
        a->id.container = value;
    else if (!strcmp(arg, "net"))
        a->id.network = value;
    else if (!strcmp(arg, "override"))
        a->id.may_be_host = true;
    else if (!strcmp(arg, "locks"))
        a->o.locks = value;
    else if (!strcmp(arg, "probes"))
        a->o.probes = number(value);
    else if (!strcmp(arg, "probe_ms"))
        a->o.probe_ms = number(value);
    else if (!strcmp(arg, "idle_ms"))
        a->idle_ms = number(value);
    else if (!strcmp(arg, "folder"))
        a->folders[0] = value;
    else if (!strcmp(arg, "valid"))
        add_valid(a, value);
    else if (!read_wanted(a, arg, value))
        usage(arg);
}

static int add(const struct args *a, struct err **e)
{
    struct podif_made made;
    char text[IP_NET_TEXT_SIZE];
    int r = podif_add(&a->id, &a->w, &a->o, &made, e);

    if (r < 0)
        return r;
    (void)printf("%s %s %u", made.parent, ip_mac_format(made.mac, ':', text), made.mtu);
    for (size_t i = 0; i < made.n_addrs; i++)
        (void)printf(" %s", ip_net_format(made.addrs[i], text));
    (void)printf("\n");
    return 0;
}

static int count(int r)
{
    if (r >= 0)
        (void)printf("%d\n", r);
    return r;
}

static int check(const struct args *a, struct err **e)
{
    return podif_check(&a->id, &a->w, e);
}

static int del(const struct args *a, struct err **e)
{
    return count(podif_del(&a->id, e));
}

static int gc(const struct args *a, struct err **e)
{
    return count(podif_gc(a->id.netns, a->id.network, a->valid, a->n_valid, e));
}

static int sweep(const struct args *a, struct err **e)
{
    auto_nlsock struct nl_sock *s = NULL;
    int r = nlreq_open(&s, e);

    return r < 0 ? r : count(vlandev_sweep(s, a->o.locks, a->idle_ms, e));
}

static int hold(const struct args *a, struct err **e)
{
    auto_nlsock struct nl_sock *s = NULL;
    auto_vlandev struct vlandev d = VLANDEV_NONE;
    char byte;
    int r = nlreq_open(&s, e);

    if (r == 0)
        r = vlandev_hold(s, a->o.locks, a->w.master, a->w.vlan, &d, e);
    if (r < 0)
        return r;
    (void)printf("%s %d\n", d.name, d.index);
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return 0;
}

static int vlans(const struct args *a, struct err **e)
{
    auto_nlsock struct nl_sock *s = NULL;
    auto_free struct vlandev_made *made = NULL;
    size_t n = 0;
    int r = nlreq_open(&s, e);

    (void)a;
    if (r == 0)
        r = vlandev_list(s, &made, &n, e);
    for (size_t i = 0; i < n; i++)
        (void)printf("%s %s %u %s\n", made[i].name, made[i].master, made[i].vlan,
                     made[i].is_up ? "up" : "down");
    return r;
}

static int namespaces(const struct args *a, struct err **e)
{
    char **paths = NULL;
    size_t n = 0;
    int r = netns_list(a->folders, &paths, &n, e);

    for (size_t i = 0; i < n; i++)
        (void)printf("%s\n", paths[i]);
    netns_list_free(paths, n);
    return r;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct args *a, struct err **e);
    } actions[] = {{"add", add},     {"check", check},          {"del", del},
                   {"gc", gc},       {"sweep", sweep},          {"hold", hold},
                   {"vlans", vlans}, {"namespaces", namespaces}};
    struct args a = {.id = {.ifname = "eth1", .network = "net", .container = "c1"},
                     .o = {.probe_ms = 100}};
    auto_err struct err *e = NULL;

    a.w.routes = a.routes;
    for (int i = 2; i < argc; i++)
        read_arg(&a, argv[i]);
    for (size_t i = 0; argc > 1 && i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(argv[1], actions[i].name) != 0)
            continue;
        if (actions[i].run(&a, &e) >= 0)
            return 0;
        (void)fprintf(stderr, "%s: %s\n", e ? strerrorname_np(-e->status) : "?", err_text(e));
        return 1;
    }
    usage(argc > 1 ? argv[1] : "nothing");
}
