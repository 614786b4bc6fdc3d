/* ADD and DEL of a macvlan. */
#include "podif_internal.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The VLAN device may be removed by hand between making it and standing on it. */
#define TRIES 3

/* --- steps, with their durations --- */

static int64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct step {
    const char *name;
    int (*run)(struct podif_job *j, struct err **e);
};

static int run_steps(struct podif_job *j, const struct step *steps, struct err **e)
{
    int r = 0;

    for (; steps->name && r == 0; steps++) {
        int64_t start = now_us();
        r = steps->run(j, e);
        log_debug("%s: %s interface='%s' us=%lld", steps->name, r < 0 ? "failed" : "done",
                  j->id->ifname, (long long)(now_us() - start));
    }
    return r;
}

static int open_pod(struct podif_job *j, struct err **e)
{
    int r = podif_open_netns(j->id->netns, j->id->may_be_host, &j->ns, e);

    if (r == 0)
        r = nlreq_open(&j->host, e);
    return r < 0 ? r : netns_socket(&j->ns, &j->pod, e);
}

/* --- making the link --- */

static int is_possible(const struct podif_job *j, struct err **e)
{
    const struct wanted *w = j->w;
    char mac[IP_MAC_TEXT_SIZE], own[IP_MAC_TEXT_SIZE];

    if (w->mtu > j->parent.mtu)
        return err_set(e, -EINVAL,
                       "MTU %u is wanted, and '%s', on which the pod's interface "
                       "stands, has %u",
                       w->mtu, j->parent.name, j->parent.mtu);
    /* In this mode the parent's MAC changes with the macvlan's. */
    if (w->mode == MACVLAN_PASSTHRU && w->has_mac &&
        ip_mac_value(w->mac) != ip_mac_value(j->parent.mac))
        return err_set(e, -EINVAL, "MAC %s is wanted, and in mode passthru it is that of '%s', %s",
                       ip_mac_format(w->mac, ':', mac), j->parent.name,
                       ip_mac_format(j->parent.mac, ':', own));
    return 0;
}

static int create_as(struct podif_job *j, const char *name, struct err **e)
{
    struct nllink_macvlan v = {
        .name = name,
        .lower = j->parent.index,
        .mode = podif_kernel_mode(j->w->mode),
        .mtu = j->w->mtu,
        .mac = j->w->has_mac && j->w->mode != MACVLAN_PASSTHRU ? &j->w->mac : NULL,
        .ns_fd = j->ns.fd,
    };
    struct nllink link;
    int r = nllink_add_macvlan(j->host, &v, e);

    if (r < 0)
        return r;
    r = nllink_get(j->pod, name, &link, e);
    if (r == 0)
        j->link = link;
    else if (nllink_get(j->pod, name, &link, NULL) == 0)
        (void)nllink_del(j->pod, link.index, NULL);
    return r;
}

static int taken(const struct podif_job *j, struct err **e)
{
    return err_set(e, -EEXIST, "interface '%s' already exists in the pod", j->id->ifname);
}

/*
 * Before 6.14 a name that the host uses cannot be given to a link that goes elsewhere, so then it
 * is made under another. It would be simpler to do that always, but up to 6.8 each renaming waits
 * for all processors.
 */
static int create(struct podif_job *j, struct err **e)
{
    struct nllink other;
    char name[IFNAMSIZ];
    int r = create_as(j, j->id->ifname, e);

    if (r != -EEXIST)
        return r;
    if (nllink_get(j->pod, j->id->ifname, &other, NULL) == 0)
        return taken(j, e);
    podif_temporary_name(j->id->container, j->id->ifname, name);
    /* What a call for the same container left that was killed. */
    if (nllink_get(j->pod, name, &other, NULL) == 0 && !strcmp(other.kind, "macvlan"))
        (void)nllink_del(j->pod, other.index, NULL);
    return create_as(j, name, e);
}

static const char *hint(const struct podif_job *j, int status)
{
    if (status == -EBUSY)
        return " (it belongs to a bridge or bond, or carries ipvlans)";
    if (status == -EINVAL && j->w->mode == MACVLAN_PASSTHRU)
        return " (mode passthru needs it for itself alone)";
    if (status == -EINVAL)
        return " (is there a macvlan in mode passthru on it?)";
    if (status == -EOPNOTSUPP)
        return " (load the module macvlan)";
    return "";
}

static int fail_link(const struct podif_job *j, int status, const struct err *why, struct err **e)
{
    if (status == -EEXIST)
        return err_set(e, status, "%s", why->msg);
    return err_set(e, status, "cannot make a macvlan on '%s': %s%s", j->parent.name, why->msg,
                   hint(j, status));
}

static int make_link(struct podif_job *j, struct err **e)
{
    const char *locks = j->o->locks ? j->o->locks : VLANDEV_LOCKS;

    for (int i = 1;; i++) {
        auto_err struct err *why = NULL;
        int r;
        vlandev_drop(&j->parent);
        r = vlandev_hold(j->host, locks, j->w->master, j->w->vlan, &j->parent, e);
        if (r == 0)
            r = is_possible(j, e);
        if (r < 0)
            return r;
        r = create(j, &why);
        if (r == 0)
            return 0;
        if (r != -ENODEV || i == TRIES)
            return fail_link(j, r, why, e);
    }
}

static int name_link(struct podif_job *j, struct err **e)
{
    bool is_named = !strcmp(j->link.name, j->id->ifname);
    char alias[NLLINK_ALIAS_SIZE];
    struct nllink_change c = {.alias = alias, .name = is_named ? NULL : j->id->ifname};
    auto_err struct err *why = NULL;
    int r;

    podif_alias(j->id->network, j->id->container, alias);
    r = nllink_set(j->pod, j->link.index, &c, &why);
    if (r == -EEXIST)
        return taken(j, e);
    return r < 0 ? err_set(e, r, "cannot name interface '%s': %s", j->id->ifname, why->msg) : 0;
}

/* --- settings --- */

static bool wants_v6(const struct wanted *w)
{
    return w->addr.addr.family == AF_INET6 || w->is_6to4;
}

/* `key` is "ipv4/..." or "ipv6/...". */
static int set(const char *ifname, const char *key, const char *value, struct err **e)
{
    auto_free char *path = xasprintf("/proc/sys/net/%.4s/conf/%s%s", key, ifname, key + 4);
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        return err_set(e, -errno, "cannot write '%s': %s", path, strerror(errno));
    return 0;
}

/* Without these nobody is told where the address is now; the pod works all the same. */
static void set_if_possible(const char *ifname, const char *key, const char *value)
{
    auto_err struct err *why = NULL;

    if (set(ifname, key, value, &why) < 0)
        log_warn("%s", why->msg);
}

/* dockerd switches IPv6 off in its sandboxes, for the loopback link as well. */
static int enable_v6(const char *ifname, struct err **e)
{
    int r = set(ifname, "ipv6/disable_ipv6", "0", e);

    return r < 0 ? r : set("lo", "ipv6/disable_ipv6", "0", e);
}

static int settings_inside(void *arg, struct err **e)
{
    struct podif_job *j = arg;
    int r = wants_v6(j->w) ? enable_v6(j->id->ifname, e) : 0;

    if (r < 0)
        return err_wrap(e, "an IPv6 address is wanted");
    set_if_possible(j->id->ifname, "ipv4/arp_notify", "1");
    if (wants_v6(j->w))
        set_if_possible(j->id->ifname, "ipv6/ndisc_notify", "1");
    return 0;
}

static int apply_settings(struct podif_job *j, struct err **e)
{
    return netns_run(&j->ns, settings_inside, j, e);
}

/* --- addresses --- */

static struct addrprobe probe_of(const struct podif_job *j, struct ip_addr addr)
{
    return (struct addrprobe){.link = j->link.index,
                              .mac = j->link.mac,
                              .addr = addr,
                              .count = j->o->probes,
                              .interval_ms = j->o->probe_ms};
}

static int bring_up(struct podif_job *j, struct err **e)
{
    auto_err struct err *why = NULL;
    char mac[IP_MAC_TEXT_SIZE];
    int r = nllink_set(j->pod, j->link.index, &(struct nllink_change){.is_up = true}, &why);

    /* EBUSY up to 5.16. */
    if (r == -EADDRINUSE || r == -EBUSY)
        return err_set(e, r, "cannot bring up '%s': MAC %s is in use already on '%s'",
                       j->id->ifname, ip_mac_format(j->link.mac, ':', mac), j->parent.name);
    return r < 0 ? err_set(e, r, "cannot bring up '%s': %s", j->id->ifname, why->msg) : 0;
}

static int ask_inside(void *arg, struct err **e)
{
    const struct podif_job *j = arg;
    struct addrprobe p = probe_of(j, j->w->addr.addr);

    return addrprobe_run(&p, e);
}

static int ask_for_address(struct podif_job *j, struct err **e)
{
    return netns_run(&j->ns, ask_inside, j, e);
}

static int add_addresses(struct podif_job *j, struct err **e)
{
    struct ip_net addrs[2];
    size_t n = podif_addrs(j->w, addrs);

    for (size_t i = 0; i < n; i++) {
        auto_err struct err *why = NULL;
        char text[IP_NET_TEXT_SIZE];
        int r = nllink_add_addr(j->pod, j->link.index, addrs[i], &why);
        if (r < 0)
            return err_set(e, r, "cannot give '%s' address %s: %s", j->id->ifname,
                           ip_net_format(addrs[i], text), why->msg);
    }
    return 0;
}

/* An IPv4 address that is there when the link comes up is announced by the kernel (arp_notify). */
static int announce_inside(void *arg, struct err **e)
{
    const struct podif_job *j = arg;
    struct ip_net addrs[2];
    size_t n = podif_addrs(j->w, addrs);

    (void)e;
    for (size_t i = 0; i < n; i++) {
        struct addrprobe p = probe_of(j, addrs[i].addr);
        auto_err struct err *why = NULL;
        if ((p.count || p.addr.family == AF_INET6) && addrprobe_announce(&p, &why) < 0)
            log_warn("%s", why->msg);
    }
    return 0;
}

static int announce(struct podif_job *j, struct err **e)
{
    if (!j->o->probes && !wants_v6(j->w))
        return 0;
    return netns_run(&j->ns, announce_inside, j, e);
}

/* --- ADD --- */

static const struct step quick[] = {
    {"open", open_pod},           {"link", make_link},        {"name", name_link},
    {"settings", apply_settings}, {"address", add_addresses}, {"up", bring_up},
    {"routes", podif_add_routes}, {"announce", announce},     {NULL, NULL},
};

/* A link that is down can ask nobody. */
static const struct step asking[] = {
    {"open", open_pod},
    {"link", make_link},
    {"name", name_link},
    {"settings", apply_settings},
    {"up", bring_up},
    {"probe", ask_for_address},
    {"address", add_addresses},
    {"announce", announce},
    {"routes", podif_add_routes},
    {NULL, NULL},
};

static void undo(struct podif_job *j)
{
    podif_undo_routes(j);
    if (j->link.index)
        (void)nllink_del(j->pod, j->link.index, NULL);
}

static void release(struct podif_job *j)
{
    vlandev_drop(&j->parent);
    nlroutes_release(&j->before);
    free(j->changes);
    nlreq_close(&j->host);
    nlreq_close(&j->pod);
    netns_release(&j->ns);
}

int podif_add(const struct podif_id *id, const struct wanted *w, const struct podif_options *o,
              struct podif_made *out, struct err **e)
{
    struct podif_job j = {.id = id, .w = w, .o = o, .ns = NETNS_NONE, .parent = VLANDEV_NONE};
    struct podif_made made = {.n_addrs = 0};
    int r = run_steps(&j, o->probes ? asking : quick, e);

    if (r < 0) {
        undo(&j);
    } else {
        memcpy(made.parent, j.parent.name, sizeof(made.parent));
        made.mac = j.link.mac;
        made.mtu = j.link.mtu;
        made.n_addrs = podif_addrs(w, made.addrs);
        *out = made;
    }
    release(&j);
    return r;
}
