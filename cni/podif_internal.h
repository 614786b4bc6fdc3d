#pragma once
/* What the parts of podif share. */
#include "netlink/netns.h"
#include "netlink/nllink.h"
#include "netlink/nlroute.h"
#include "podif.h"
#include "vlandev.h"

/* One change of a route, to be taken back. */
struct podif_change {
    struct nlroute route; /* .raw is borrowed from podif_job.before */
    bool has_dst;
    struct ip_net dst; /* where it leads instead */
    bool was_removed;
};

struct podif_job {
    const struct podif_id *id;
    const struct wanted *w;
    const struct podif_options *o;
    struct netns ns;
    struct nl_sock *host, *pod;
    struct vlandev parent;
    struct nllink link; /* the macvlan; index 0: not made yet */
    struct nlroutes before;
    struct podif_change *changes;
    size_t n_changes;
};

/* "flatnet/NETWORK/CONTAINER"; a part that is too long becomes its hash. */
void podif_alias(const char *network, const char *container, char out[NLLINK_ALIAS_SIZE]);
/* True if a link with that alias is the container's, whatever the network is called now. */
bool podif_alias_is_of(const char *alias, const char *container);
bool podif_alias_is_in(const char *alias, const char *network);
/* The name before the final one, where the kernel mixes up the namespaces' names. */
void podif_temporary_name(const char *container, const char *ifname, char out[IFNAMSIZ]);

/* -ENOENT, -ENOTUNIQ. */
int podif_open_netns(const char *path, bool may_be_host, struct netns *out, struct err **e);

unsigned podif_kernel_mode(enum wanted_mode mode);
const char *podif_mode_name(unsigned kernel_mode);

/* The route that one of the wanted ones comes to: gateway and link filled in. 0: it does not apply
 * here; 1: it does. */
int podif_route(struct nl_sock *pod, const struct podif_id *id, const struct wanted *w,
                int own_link, const struct wanted_route *wanted, struct nlroute *out,
                struct err **e);
struct nlroute podif_default_route(const struct wanted *w, int own_link);
bool podif_has_route(const struct nlroutes *l, const struct nlroute *route);
/* "10.42.0.0/16 via 10.42.0.1" */
#define PODIF_ROUTE_TEXT (IP_NET_TEXT_SIZE + IP_TEXT_SIZE + 8)
const char *podif_route_text(const struct nlroute *route, char out[PODIF_ROUTE_TEXT]);

int podif_add_routes(struct podif_job *j, struct err **e);
/* In reverse; errors are dropped, since the namespace may be gone. */
void podif_undo_routes(struct podif_job *j);
