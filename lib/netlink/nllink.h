#pragma once
/*
 * Links and their addresses by rtnetlink, one at a time: what a CNI plugin asks for and makes. Each
 * function acts in the namespace that its socket belongs to. Errors are the kernel's own numbers
 * (-ENODEV, -EEXIST, -EPERM, ...) and words, without the subject: callers know that better.
 */
#include "../ip.h"
#include "nlreq.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define NLLINK_KIND_SIZE 16
#define NLLINK_ALIAS_SIZE 256 /* IFALIASZ of the kernel */

struct nllink {
    int index;
    char name[IFNAMSIZ];
    unsigned flags; /* IFF_UP, ... */
    unsigned mtu;
    bool has_mac;
    struct ip_mac mac;
    int master;              /* index of its bridge or bond; 0: none */
    int lower;               /* index of what it stands on; 0: nothing */
    bool is_lower_elsewhere; /* and that is in another network namespace */
    char kind[NLLINK_KIND_SIZE];
    unsigned vlan_id;       /* of a "vlan" */
    unsigned vlan_protocol; /* ETH_P_8021Q, ETH_P_8021AD; 0: the kernel does not say (3.9) */
    unsigned macvlan_mode;  /* MACVLAN_MODE_...; of a "macvlan" */
    char alias[NLLINK_ALIAS_SIZE];
};

/* -ENODEV: none of that name. */
int nllink_get(struct nl_sock *s, const char *name, struct nllink *out, struct err **e);
/* All of them, to be freed. */
int nllink_list(struct nl_sock *s, struct nllink **out_links, size_t *out_count, struct err **e);

/* -EEXIST: the name, or the tag of that lower link, is taken. */
int nllink_add_vlan(struct nl_sock *s, const char *name, int lower, unsigned id, struct err **e);

struct nllink_macvlan {
    const char *name;
    int lower;
    unsigned mode;            /* MACVLAN_MODE_... */
    unsigned mtu;             /* 0: the lower link's */
    const struct ip_mac *mac; /* NULL: the kernel's choice */
    int ns_fd;                /* the namespace to make it in; -1: the socket's */
};

/* -EEXIST: the name is taken there or, on kernels before 6.14, in the socket's namespace. */
int nllink_add_macvlan(struct nl_sock *s, const struct nllink_macvlan *m, struct err **e);

struct nllink_change {
    const char *name;  /* NULL: stays */
    const char *alias; /* NULL: stays */
    bool is_up;        /* false: stays as it is; the same for the next */
    bool is_promiscuous;
};

int nllink_set(struct nl_sock *s, int index, const struct nllink_change *c, struct err **e);
int nllink_del(struct nl_sock *s, int index, struct err **e);

/* The address with its prefix; an IPv6 one is usable at once (no DAD), an IPv4 one gets its
 * broadcast address. */
int nllink_add_addr(struct nl_sock *s, int index, struct ip_net addr, struct err **e);
/* All addresses of one link, to be freed. */
int nllink_addrs(struct nl_sock *s, int index, struct ip_net **out_addrs, size_t *out_count,
                 struct err **e);

/* A socket that gets a message for each change of a link of the namespace; for an event loop. */
int nllink_watch(struct nl_sock **out, struct err **e);

typedef void (*nllink_change_fn)(void *arg, const struct nllink *link, bool is_gone);

/* Reads all that has come so far; false: messages were lost, anything may have changed. */
bool nllink_watch_read(struct nl_sock *s, nllink_change_fn fn, void *arg);
