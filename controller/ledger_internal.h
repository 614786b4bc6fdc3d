#pragma once
/* Shared by the files of the ledger only. */
#include "ledger.h"
#include "macvlan/mac.h"

#include "kube/kube_hash.h"

struct segment {
    char *key; /* "MASTER VLAN" */
    struct mac_set *macs;
    UT_hash_handle hh;
};

/* How many hold an address: two while an intent becomes a MacvlanIP, and for ever where an older
 * system has given it twice. */
struct hold {
    ip_num ip;
    unsigned count;
    UT_hash_handle hh;
};

struct ledger_net {
    struct subnet *spec;       /* as it is now */
    struct subnet *last_valid; /* what `alloc` borrows, where that is not spec */
    struct alloc *alloc;
    struct segment *segment; /* of the last valid spec */
    struct hold *holds;
    size_t n_ips, n_intents;
    UT_hash_handle hh;
};

struct ip_record {
    struct ip_addr ip;
    struct ip_mac mac;
    bool has_mac;
    struct ledger_net *net; /* NULL: there is no such subnet */
    const char *subnet;     /* behind uid */
    UT_hash_handle hh;
    char uid[];
};

struct intent_record {
    struct ledger_intent intent;
    UT_hash_handle hh;
};

struct reservation {
    char *owner, *subnet;
    struct ip_addr *ips;
    size_t n;
    UT_hash_handle hh;
};

struct ledger {
    char *cluster_uid;
    struct ledger_net *nets;
    struct segment *segments;
    struct ip_record *ips;
    struct intent_record *intents; /* by the pod's UID */
    struct reservation *reservations;
    void (*freed)(void *arg, const char *subnet, struct ip_addr ip);
    void *arg;
};

/* One more, or one less, that holds the address and, not NULL, the MAC. */
void ledger_hold(struct ledger_net *net, struct ip_addr ip, const struct ip_mac *mac);
void ledger_let_go(struct ledger *l, struct ledger_net *net, struct ip_addr ip,
                   const struct ip_mac *mac, int64_t cool_until_ms);
void ledger_drop_intents_of(struct ledger *l, struct ledger_net *net);
/* Has a subnet that just got its allocator know what is reserved in it. */
void ledger_reserve_in(struct ledger *l, struct ledger_net *net);
void ledger_drop_reservations(struct ledger *l);
