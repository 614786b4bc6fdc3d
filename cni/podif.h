#pragma once
/*
 * A pod's macvlan: made, removed, checked. It carries who it belongs to in its alias
 * ("flatnet/NETWORK/CONTAINER"), so that nobody else's is ever touched. The process is in the
 * host's namespace before and after each call.
 *
 * Errors, besides the kernel's own: -ENOENT the namespace is gone; -ENOTUNIQ it is the host's;
 * -EEXIST the interface's name is taken in the pod; -EADDRINUSE another has the address (with its
 * MAC); -ENODEV `failed to lookup iface "eth1": Link not found`, or an interface that a route
 * names; -ENETDOWN the master is down; -ENOTRECOVERABLE see netns_run.
 */
#include "addrprobe.h"
#include "err.h"
#include "ip.h"
#include "wanted.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

struct podif_id {
    const char *netns;     /* path; NULL or "": none (DEL) */
    const char *ifname;    /* CNI_IFNAME, which is valid */
    const char *network;   /* name of the network */
    const char *container; /* CNI_CONTAINERID */
    bool may_be_host;      /* CNI_NETNS_OVERRIDE */
};

struct podif_options {
    const char *locks; /* folder; NULL: VLANDEV_LOCKS */
    unsigned probes;   /* how often to ask whether another has the address; 0: do not ask */
    unsigned probe_ms; /* how long each waits */
};

struct podif_made {
    char parent[IFNAMSIZ]; /* what it stands on */
    struct ip_mac mac;
    unsigned mtu;
    struct ip_net addrs[2]; /* the address, and the 6to4 one */
    size_t n_addrs;
};

/* The addresses that the interface has: `addr`, and its 6to4 one if that is wanted. Returns how
 * many. */
size_t podif_addrs(const struct wanted *w, struct ip_net out[2]);

/* Makes it all, or leaves nothing (but the VLAN device, for the clean-up). Routes on "eth0" are
 * left out when the interface itself is eth0. */
int podif_add(const struct podif_id *id, const struct wanted *w, const struct podif_options *o,
              struct podif_made *out, struct err **e);

/*
 * Removes the interface if it is this container's; 1: it was there. No namespace, no interface,
 * another's interface: 0.
 */
int podif_del(const struct podif_id *id, struct err **e);

/* Whether everything is as podif_add left it; the message names the first thing that is not
 * (-ENOENT, -EINVAL). To compare the MAC that the kernel chose, put it into *w. */
int podif_check(const struct podif_id *id, const struct wanted *w, struct err **e);

struct podif_attachment {
    const char *container, *ifname;
};

/* Removes what we made for `network` in that namespace and is not among `valid`. Returns how many.
 */
int podif_gc(const char *netns, const char *network, const struct podif_attachment *valid,
             size_t n_valid, struct err **e);
