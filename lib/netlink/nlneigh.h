#pragma once
/*
 * Who is behind which MAC: neighbours (ARP, ND) and forwarding entries of bridges and VXLANs, and
 * what a VXLAN is made of. Each function asks the namespace that its socket belongs to.
 */
#include "../ip.h"
#include "nlreq.h"

#include <stdbool.h>
#include <stddef.h>

struct nlneigh {
    int link; /* index */
    bool has_mac;
    struct ip_mac mac;
    /* A neighbour: its address. A forwarding entry: the host that frames for the MAC go to, or no
     * address where they leave by a port. */
    struct ip_addr addr;
    unsigned state; /* NUD_REACHABLE, NUD_PERMANENT, ... */
    unsigned flags; /* NTF_SELF, NTF_MASTER, ... */
};

/* `family`: AF_INET or AF_INET6 for neighbours, AF_BRIDGE for forwarding entries (one for each host
 * that a MAC goes to), of the link with that index. To be freed. */
int nlneigh_list(struct nl_sock *s, int family, int link, struct nlneigh **out, size_t *out_count,
                 struct err **e);

struct nlvxlan {
    unsigned id;          /* VNI */
    unsigned port;        /* UDP, that others are sent to */
    int lower;            /* index of the link it stands on; 0: none */
    struct ip_addr local; /* what it sends from; or no address */
    bool is_learning;
};

/* -ENODEV: no link of that name. -EMEDIUMTYPE: one that is no VXLAN. */
int nlvxlan_get(struct nl_sock *s, const char *name, struct nlvxlan *out, struct err **e);
