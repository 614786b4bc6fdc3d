#pragma once
/*
 * flannel's data path as the kernel has it, and whether it agrees with itself and with what the
 * nodes say: for each remote host a route by the VXLAN to the network of its pods, a neighbour for
 * the route's gateway, and one forwarding entry that leads that MAC to the host (flannel 0.10,
 * backend/vxlan). The judges are pure.
 */
#include "conn.h"
#include "flannel_nodes.h"
#include "netlink/net.h"
#include "netlink/nllink.h"
#include "netlink/nlneigh.h"

#define FLANNEL_PORT 8472 /* the kernel's own default for VXLAN */
#define FLANNEL_OVERHEAD 50

struct flannel_view {
    const struct net_state *net; /* borrowed */
    struct nllink link;
    struct nlvxlan vxlan;
    struct ip_addr vtep; /* the link's own address; or none */
    struct nlneigh *fdb, *neighs;
    size_t n_fdb, n_neighs;
    /* The link by which a packet to that host leaves; negative where there is no way. */
    int (*link_to)(struct ip_addr host);
};

/* `name` is "flannel.1". -ENODEV: there is none. -EMEDIUMTYPE: it is no VXLAN. */
int flannel_view_read(const char *name, const struct net_state *net, struct flannel_view *out,
                      struct err **e);
void flannel_view_release(struct flannel_view *v);

/* A remote host on the tunnel, from a node or from a route. */
struct flannel_remote {
    char *name;                      /* the node's, or its pods' network */
    const struct flannel_node *node; /* NULL: the cluster was not asked */
    struct ip_addr gateway;          /* of the route: the remote VTEP; or no address */
    struct ip_addr host;             /* where its MAC leads to; or no address */
    bool is_direct;                  /* routed without the tunnel */
};

struct flannel_remotes {
    struct flannel_remote *items;
    size_t count;
};

/* All nodes but `self`, which flannel runs on; with `nodes` NULL what the routes by the tunnel lead
 * to. */
void flannel_remotes_find(const struct flannel_view *v, const struct flannel_nodes *nodes,
                          const struct flannel_node *self, struct flannel_remotes *out);
void flannel_remotes_release(struct flannel_remotes *r);

/* The tunnel's own link: check "flannel". `self` may be NULL. */
void flannel_judge_link(const struct flannel_view *v, const struct flannel_node *self,
                        struct conn_report *r);
/* One remote host: check "fdb". `peers` (addresses, may be empty) is what hosts are known by when
 * the cluster was not asked. True where the three ways agree, so that probes make sense. */
bool flannel_judge_remote(const struct flannel_view *v, struct flannel_remote *remote,
                          const struct ip_addr *peers, size_t n_peers, struct conn_report *r);
/* Forwarding entries that lead to none of them: check "fdb". */
void flannel_judge_strays(const struct flannel_view *v, const struct flannel_remotes *remotes,
                          struct conn_report *r);
