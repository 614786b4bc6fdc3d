#pragma once
/*
 * A MacvlanSubnet as the controller needs it: read and checked once, then asked which addresses it
 * may give out. Nothing here depends on how large the network is.
 */
#include "err.h"
#include "ip.h"
#include "macvlan/ipset.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SUBNET_NAME_MAX 63 /* it becomes the value of a label */
#define SUBNET_RANGES_MAX 1024
#define SUBNET_ROUTES_MAX 256
#define SUBNET_FINALIZER "macvlan.cluster.cattle.io/in-use"

struct subnet_route {
    struct ip_net dst; /* without host bits */
    struct ip_addr gw; /* AF_UNSPEC: none */
    const char *iface; /* "", "eth0" or "eth1" */
};

/* Something to tell the user; an error makes the subnet unusable. */
struct subnet_finding {
    bool is_error;
    char *text;
};

struct subnet {
    char *name;
    char *uid, *resource_version, *created; /* "" where the object has none yet */
    int64_t generation;
    bool is_deleting;
    bool has_finalizer; /* SUBNET_FINALIZER */
    char *project;      /* label: NULL is absent, "" all projects, else "c-xxxxx-p-yyyyy" */
    bool is_ipv6to4;    /* annotation macvlan.panda.io/ipv6to4 */

    struct subnet_finding *findings;
    size_t n_findings;
    bool is_valid; /* no finding is an error; only then count the members below */

    char *master;
    unsigned vlan;    /* 0: untagged */
    const char *mode; /* "bridge", "private", "vepa" or "passthru" */
    unsigned mtu;     /* 0: that of the master */
    struct ip_net cidr;
    struct ip_addr gateway;  /* AF_UNSPEC: none, where the network has no room for one */
    struct ip_range *ranges; /* ascending, disjoint; none: the whole network */
    size_t n_ranges;
    struct subnet_route *routes;
    size_t n_routes;
    bool has_default_route;     /* podDefaultGateway.enable */
    struct ip_net service_cidr; /* podDefaultGateway.serviceCidr; AF_UNSPEC: none */
    int64_t delay_reuse_ms;     /* 0: none */
    bool has_legacy_octets;

    cJSON *patch; /* merge-patch that writes defaults and labels; NULL: they are there */
};

/*
 * `legacy_octets`: as in 2019, every IPv4 address that ends in .0 or .255 is kept back, and no
 * other network or broadcast address is. -EBADMSG: the object has no name. All that is wrong with
 * its spec stands in the findings.
 */
int subnet_parse(const cJSON *object, bool legacy_octets, struct subnet **out, struct err **e);
void subnet_free(struct subnet *s); /* NULL is fine */

#define auto_subnet __attribute__((cleanup(subnet_cleanup)))
void subnet_cleanup(struct subnet **s);

enum subnet_place {
    SUBNET_USABLE,
    SUBNET_OUTSIDE, /* of the network, or of all ranges */
    SUBNET_GATEWAY,
    SUBNET_NETWORK, /* IPv6: the anycast address of the routers (RFC 4291, 2.6.1) */
    SUBNET_BROADCAST,
};

/*
 * What an address is to the subnet. Network and broadcast address are kept back from /30 down in
 * IPv4, the routers' from /126 down in IPv6; smaller networks are links between two, where both
 * ends count (RFC 3021, RFC 6164).
 */
enum subnet_place subnet_place(const struct subnet *s, struct ip_addr a);

/* How many usable addresses there are from `first` to `last`. */
ip_num subnet_usable_in(const struct subnet *s, ip_num first, ip_num last);

/* Adds the usable addresses to *out, and with legacy_octets those that subnet_place would keep back
 * for their last octet: they are too many to be taken out one by one. */
void subnet_fill(const struct subnet *s, struct ipset *out);

/*
 * Whether two subnets can be there together. -EEXIST: they share master and VLAN, their networks
 * overlap, and it is not so that both have ranges without a common address.
 */
int subnet_check_overlap(const struct subnet *a, const struct subnet *b, struct err **e);
