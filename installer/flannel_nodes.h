#pragma once
/*
 * What the nodes of a cluster say of flannel's tunnel: the annotations flannel.alpha.coreos.com/...
 * that flannel's subnet manager keeps (0.10: kube-subnet-mgr; backend-data is JSON of the vxlan
 * backend). Pure.
 */
#include "conn.h"
#include "ip.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct flannel_node {
    char *name;
    char *backend;            /* "vxlan", "host-gw", ...; NULL: flannel never ran there */
    struct ip_addr public_ip; /* where others send to; or no address */
    struct ip_addr internal_ip;
    bool has_mac;
    struct ip_mac mac; /* of its flannel.1 */
    bool has_pods;
    struct ip_net pods; /* podCIDR, of IPv4 */
};

struct flannel_nodes {
    struct flannel_node *items;
    size_t count;
};

/* From the items of a list of nodes, as the API gives them. What makes no sense is left out. */
void flannel_nodes_read(const cJSON *items, struct flannel_nodes *out);
void flannel_nodes_release(struct flannel_nodes *n);
/* NULL: there is none of that name. */
const struct flannel_node *flannel_nodes_find(const struct flannel_nodes *n, const char *name);
#define auto_flannel_nodes __attribute__((cleanup(flannel_nodes_release)))

/* A cause of silence, where others send to another address than the node's own. A host that ought
 * to reach that node is `peer`. */
void flannel_cause_elsewhere(const struct flannel_node *n, struct ip_addr peer,
                             struct conn_report *r);
