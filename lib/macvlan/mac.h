#pragma once
/*
 * The MACs of one segment, which is a master and a VLAN: who shares it must not share a MAC. A MAC
 * can have several holders, because pods of older versions may do so; it is taken until the last
 * one has let go.
 */
#include "ip.h"
#include "macvlan/subnet.h"

#include <stdbool.h>

struct mac_set;

struct mac_set *mac_set_new(void);
void mac_set_free(struct mac_set *m); /* NULL is fine */

void mac_hold(struct mac_set *m, struct ip_mac mac);
void mac_release(struct mac_set *m, struct ip_mac mac);
bool mac_is_held(const struct mac_set *m, struct ip_mac mac);

/*
 * A MAC for an address of the subnet: 02, then 40 bits of SHA-256 over the UID of the cluster,
 * master, VLAN and address, so that the same pod address keeps its MAC and switches need not learn
 * anew; the next such number while somebody holds it. False: passthru mode, where the pod has the
 * MAC of the master. It is not held by this.
 */
bool mac_generate(const struct mac_set *m, const char *cluster_uid, const struct subnet *s,
                  struct ip_addr addr, struct ip_mac *out);
