#pragma once
/* The VLAN devices of a host against the subnets of the cluster. Pure. */
#include "conn.h"
#include "netlink/nllink.h"

#include <cjson/cJSON.h>

/* What of a MacvlanSubnet concerns a host. */
struct conn_subnet {
    char *name, *master;
    unsigned vlan; /* 0: none, pods stand on the master itself */
};

struct conn_subnets {
    struct conn_subnet *items;
    size_t count;
};

/* From the items of a list of MacvlanSubnets, as the API gives them. What makes no sense is left
 * out. */
void conn_subnets_read(const cJSON *items, struct conn_subnets *out);
void conn_subnets_release(struct conn_subnets *s);
#define auto_conn_subnets __attribute__((cleanup(conn_subnets_release)))

/* Check "vlan": one result for each subnet; with `subnets` NULL one for each VLAN device of the
 * `n_masters` masters. */
void conn_judge_vlans(const struct nllink *links, size_t n_links,
                      const struct conn_subnets *subnets, char *const *masters, size_t n_masters,
                      struct conn_report *r);
