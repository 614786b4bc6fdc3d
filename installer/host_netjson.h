#pragma once
/* A host's network as JSON, as `flatnet host iface --format json` prints it and --from-hosts reads
 * it: what flannel's choice depends on, in the kernel's order. */
#include "json.h"
#include "netlink/net.h"

/* {"interfaces":[{"index":2,"name":"eth0","mtu":1500,"addresses":["10.0.0.5/24"]}],
 *  "defaultRoutes":[{"interface":2}]}; interface 0: none or several. Adds to `obj`. */
void netjson_add(cJSON *obj, const struct net_state *s);
/* -EBADMSG */
int netjson_read(const cJSON *obj, struct net_state *out, struct err **e);
