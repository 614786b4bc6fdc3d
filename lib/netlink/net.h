#pragma once
/*
 * The kernel's view of the network of the current namespace, by rtnetlink: links, addresses and
 * routes as they are at one moment, in the kernel's own order, and single questions and changes.
 * Errors are those of the kernel's answer (-EPERM, -ENODEV, ...), -EIO for what has no number.
 */
#include "err.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_KIND_SIZE 16
#define NET_ADDR_BYTES 16
#define NET_ADDR_TEXT 48 /* INET6_ADDRSTRLEN and a prefix */

struct net_link {
    int index;
    char name[IFNAMSIZ];
    unsigned flags;       /* IFF_UP, ...; IFF_PROMISC only if somebody set it on the link itself */
    unsigned promiscuity; /* how many ask for promiscuous mode, packet sockets among them */
    unsigned type;        /* ARPHRD_ETHER, ... */
    int mtu;
    int master;                     /* index of the bridge or bond it belongs to; 0: none */
    int lower;                      /* index of the link it stands on (VLAN, macvlan); 0: none */
    bool has_carrier;               /* IFLA_CARRIER; true where the kernel does not say */
    char kind[NET_KIND_SIZE];       /* "vlan", "bridge", "veth"; "" for hardware */
    char slave_kind[NET_KIND_SIZE]; /* what its master is: "bridge", "bond"; "" */
};

struct net_addr {
    int link;   /* index */
    int family; /* AF_INET, AF_INET6 */
    uint8_t bytes[NET_ADDR_BYTES];
    int prefix; /* length */
};

struct net_route {
    int family;
    uint32_t table; /* RT_TABLE_MAIN, ... */
    int type;       /* RTN_UNICAST, ... */
    uint8_t dst[NET_ADDR_BYTES];
    int prefix;    /* 0: the default route */
    int link;      /* index; 0 where it has none or several (multipath) */
    size_t n_hops; /* next hops of a multipath route, else 0 */
    bool has_gateway;
    uint8_t gateway[NET_ADDR_BYTES];
    uint32_t metric;
};

struct net_state {
    struct net_link *links;
    size_t n_links;
    struct net_addr *addrs;
    size_t n_addrs;
    struct net_route *routes; /* of all tables but the local one, without cached ones */
    size_t n_routes;
};

/* Asks for everything. */
int net_state_read(struct net_state *out, struct err **e);
void net_state_release(struct net_state *s);

/* Borrowed; NULL where there is none. */
const struct net_link *net_link_named(const struct net_state *s, const char *name);
const struct net_link *net_link_indexed(const struct net_state *s, int index);

struct net_path {
    int link; /* index of the link that the packet leaves by */
    bool has_source;
    uint8_t source[NET_ADDR_BYTES];
    bool has_gateway;
    uint8_t gateway[NET_ADDR_BYTES];
    bool is_local; /* the address is one of this host's */
};

/* The way the kernel would send a packet to `dst`, policy rules included. -ENETUNREACH: none. */
int net_path_to(int family, const uint8_t *dst, struct net_path *out, struct err **e);

/* Sets or clears IFF_PROMISC of a link and reads it back. -ENODEV: there is no such link. */
int net_set_promiscuous(const char *name, bool on, struct err **e);

/* Reads "10.0.0.1" or "fe80::1" whole; returns the family, or -EINVAL. */
int net_addr_parse(const char *text, uint8_t out_bytes[NET_ADDR_BYTES]);
/* Reads "10.42.0.0/16"; host bits are allowed. Returns the family, or -EINVAL. */
int net_cidr_parse(const char *text, uint8_t out_bytes[NET_ADDR_BYTES], int *out_prefix);
/* Into `out`, which is returned. */
const char *net_addr_format(int family, const uint8_t *bytes, char out[NET_ADDR_TEXT]);
/* True if the first `prefix` bits are the same. */
bool net_prefix_equal(const uint8_t *a, const uint8_t *b, int prefix);
