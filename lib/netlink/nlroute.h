#pragma once
/*
 * Routes of the main table by rtnetlink. A route that was read keeps the kernel's own message, so
 * that it can be put back as it was, or given another destination, with everything in it (next
 * hops, metrics, flags) that we know nothing of.
 */
#include "../ip.h"
#include "nlreq.h"

#include <stdbool.h>
#include <stdint.h>

struct nlroute {
    struct ip_net dst; /* prefix 0: a default route */
    struct ip_addr gw; /* AF_UNSPEC: none, or several next hops */
    int link;          /* index; 0: none, or several */
    uint32_t metric;
    bool is_unicast;
    struct nlmsghdr *raw; /* owned; NULL in one that was not read */
};

struct nlroutes {
    struct nlroute *items;
    size_t count;
};

/* Those of the main table, both families, in the kernel's order. */
int nlroute_list(struct nl_sock *s, struct nlroutes *out, struct err **e);
void nlroutes_release(struct nlroutes *l);

enum {
    NLROUTE_ONLINK = 1,   /* the gateway need not be in a network of the link */
    NLROUTE_IN_FRONT = 2, /* IPv4: before others for that destination, which then rest */
};

/* Of `dst` only the network counts. -EEXIST: there is one for that destination, or with IN_FRONT
 * exactly this one. */
int nlroute_add(struct nl_sock *s, const struct nlroute *route, unsigned flags, struct err **e);
/* Exactly that route, which was read or is one that was added; with `dst` what nlroute_put made of
 * it. -ESRCH: there is none. */
int nlroute_del(struct nl_sock *s, const struct nlroute *route, const struct ip_net *dst,
                struct err **e);
/* Puts back a route that was read; with `dst` to there, by the same way. */
int nlroute_put(struct nl_sock *s, const struct nlroute *route, const struct ip_net *dst,
                struct err **e);

#define auto_nlroutes __attribute__((cleanup(nlroutes_release)))
