#pragma once
/*
 * What the leader knows of addresses: for each subnet who holds which one, by the MacvlanIPs that
 * exist and by the intents that stand in its status. No I/O, so that tests and the model of the
 * hand-over run the same code as the controller.
 *
 * An intent is a promise that is written down before anything else is: (address, pod UID), in the
 * status of the subnet, by a PUT that fails when another leader has been there. It holds the
 * address until its MacvlanIP is seen, or until its pod is gone for good.
 */
#include "ip.h"
#include "macvlan/alloc.h"
#include "macvlan/annot.h"
#include "macvlan/subnet.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger;
struct ledger_net; /* one subnet */

struct ledger_intent {
    char *pod_uid, *pod_key; /* "namespace/name" */
    struct annot_pair pair;
    struct ledger_net *net;
    bool is_written; /* in the status that the server has */
};

/* `cluster_uid` seeds the MACs. `freed` is called when an address can be had again, with the name
 * of its subnet; it must not change the ledger. */
struct ledger *ledger_new(const char *cluster_uid,
                          void (*freed)(void *arg, const char *subnet, struct ip_addr ip),
                          void *arg);
void ledger_free(struct ledger *l); /* NULL is fine */

/* --- subnets --- */

/* Adds a subnet, or gives it a new spec; takes `s`. What is held stays held. While a spec is not
 * valid the last one that was counts for what is held, and nothing is given out. */
struct ledger_net *ledger_put_subnet(struct ledger *l, struct subnet *s);
void ledger_remove_subnet(struct ledger *l, const char *name);
struct ledger_net *ledger_find_subnet(const struct ledger *l, const char *name);
/* Calls `fn` for each; it must not add or remove subnets. */
void ledger_each_subnet(const struct ledger *l, void (*fn)(void *arg, struct ledger_net *net),
                        void *arg);
const struct subnet *ledger_subnet(const struct ledger_net *net);
/* NULL: its spec was never valid. */
struct alloc *ledger_alloc(const struct ledger_net *net);
/* MacvlanIPs and intents in it, whatever its spec says. */
size_t ledger_holders(const struct ledger_net *net);
/* How many hold the address: MacvlanIPs, and intents of pods that have none yet. */
unsigned ledger_count_holders(const struct ledger_net *net, struct ip_addr ip);
/* The first other subnet that it cannot be together with, or NULL; *out_text (may be NULL) says
 * why, to be freed. Of two the older one stays, by creation time and name. */
const struct subnet *ledger_conflict(const struct ledger *l, const struct ledger_net *net,
                                     char **out_text);

/* --- MacvlanIPs --- */

struct ledger_ip {
    const char *uid; /* its own: a new object under an old name is another one */
    const char *subnet, *pod_uid;
    struct ip_addr ip;        /* AF_UNSPEC: none that could be read */
    const struct ip_mac *mac; /* NULL: none */
};

/* It exists, as it is now; the intent of its pod is fulfilled. */
void ledger_put_ip(struct ledger *l, const struct ledger_ip *ip);
/* The one with that UID is gone; `cool_until_ms` as in alloc_release. */
void ledger_remove_ip(struct ledger *l, const char *uid, int64_t cool_until_ms);

/* --- reservations --- */

/*
 * Keeps `ips` of the subnet, which may not be there yet, for pods that name them: automatic ones
 * do not get them. `owner` is who wants that, "kind/namespace/name"; what he wanted before is
 * forgotten. `n` 0: he wants nothing any more.
 */
void ledger_reserve(struct ledger *l, const char *owner, const char *subnet,
                    const struct ip_addr *ips, size_t n);

/* --- intents --- */

struct ledger_intent *ledger_find_intent(const struct ledger *l, const char *pod_uid);
/* Picks a pair and intends it for the pod, which has no intent. Errors as annot_pick. */
int ledger_pick(struct ledger *l, struct ledger_net *net, const struct annot_request *r,
                const struct ledger_intent *pod, struct annot_refusal *out_refusal);
/* Intends a pair that somebody has: an earlier leader's intent, or what a living pod has on its
 * interface. A pod that has an intent keeps it. */
struct ledger_intent *ledger_intend(struct ledger *l, struct ledger_net *net,
                                    const struct ledger_intent *intent);
void ledger_drop_intent(struct ledger *l, const char *pod_uid);

/* The intents of a subnet as they stand in its status: [{"ip", "mac", "pod", "uid"}]. */
cJSON *ledger_intents_json(const struct ledger *l, const struct ledger_net *net);
/* Those of the status that the server has; what makes no sense is passed over. */
void ledger_load_intents(struct ledger *l, struct ledger_net *net, const cJSON *intents);
/* Everything in `intents`, which the server has taken, is written. */
void ledger_mark_written(struct ledger *l, const cJSON *intents);
size_t ledger_count_intents(const struct ledger_net *net);
/* `fn` may drop the one that it is given. */
void ledger_each_intent(const struct ledger *l,
                        void (*fn)(void *arg, const struct ledger_intent *intent), void *arg);
