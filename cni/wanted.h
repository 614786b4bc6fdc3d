#pragma once
/*
 * What a pod's interface must be: read from its MacvlanIP (wanted_parse), made, checked and removed
 * by the parts that speak to the kernel, told to the runtime in a result.
 */
#include "err.h"
#include "ip.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum wanted_mode { MACVLAN_BRIDGE, MACVLAN_PRIVATE, MACVLAN_VEPA, MACVLAN_PASSTHRU };

struct wanted_route {
    struct ip_net dst;
    struct ip_addr gw; /* AF_UNSPEC: the subnet's gateway on our interface, on-link on another */
    char *iface;       /* "eth0"; NULL: our interface */
};

struct wanted {
    char *master;  /* the host's NIC */
    unsigned vlan; /* 0: none */
    enum wanted_mode mode;
    unsigned mtu; /* 0: that of what it stands on */
    bool has_mac; /* false: the kernel's choice */
    struct ip_mac mac;
    struct ip_net addr; /* host address and prefix */
    bool is_6to4;       /* also 2002:A.B.C.D::/48 - (32 - prefix) (2019: ipv6to4) */
    struct ip_addr gateway;
    struct wanted_route *routes;
    size_t n_routes;
    bool has_default_route;     /* the pod's default route goes by our gateway, */
    struct ip_net service_cidr; /* and this by the old one; family 0: none */
    char *subnet;               /* for messages */
};

/*
 * From a MacvlanIP as the API server gave it. -EBADMSG: a member is missing or makes no sense; the
 * message names it. -EAGAIN: spec.network is not there yet (an object of an older controller that
 * ours has still to adopt).
 */
int wanted_parse(const cJSON *macvlanip, struct wanted *out, struct err **e);
void wanted_release(struct wanted *w);

#define auto_wanted __attribute__((cleanup(wanted_release)))
