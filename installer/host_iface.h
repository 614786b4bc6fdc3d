#pragma once
/*
 * Which interface flannel takes, by its own rules, from the network state of a host. Pure: the
 * state may be that of the running kernel or come from another host's JSON.
 *
 * The rules are those of flannel 0.10 (its pkg/ip and main): values of --iface in their order (an
 * address: the link that has it; else a link's exact name), then those of --iface-regex, each tried
 * on the first IPv4 address of every link and then on every name; without either flag the link of
 * the first default route in the main table. The address is the link's first global unicast IPv4
 * one, else a link-local one. A value that finds nothing, or a link without an address, is passed
 * over. Since 0.20 a regular expression is tried on all addresses of a link.
 */
#include "cli.h"
#include "err.h"
#include "host_goregex.h"
#include "netlink/net.h"

#include <stdbool.h>
#include <stddef.h>

struct flannel_flags {
    const char *const *ifaces; /* --iface, in their order */
    size_t n_ifaces;
    struct goregex *const *regexes; /* --iface-regex */
    const char *const *patterns;    /* their texts */
    size_t n_regexes;
    bool all_addrs; /* 0.20 and later */
};

struct flannel_choice {
    const struct net_link *link;
    uint8_t addr[NET_ADDR_BYTES]; /* IPv4 */
    char *rule;                   /* which rule it was, in words; to be freed */
};

/* -ENOENT: flannel would end with an error; the message says why. */
int flannel_choose(const struct net_state *s, const struct flannel_flags *flags,
                   struct flannel_choice *out, struct err **e);
void flannel_choice_release(struct flannel_choice *c);

/* The address that flannel would take of a link. -ENOENT: it has none. */
int flannel_addr_of(const struct net_state *s, const struct net_link *link,
                    uint8_t out_addr[NET_ADDR_BYTES]);

/* One value of --iface or one --iface-regex by itself. NULL: flannel passes it over. */
const struct net_link *flannel_match_iface(const struct net_state *s, const char *value,
                                           uint8_t out_addr[NET_ADDR_BYTES]);
const struct net_link *flannel_match_regex(const struct net_state *s, const struct goregex *g,
                                           bool all_addrs, uint8_t out_addr[NET_ADDR_BYTES]);
/* The link of the default route. -ENOENT */
int flannel_match_default(const struct net_state *s, const struct net_link **out_link,
                          uint8_t out_addr[NET_ADDR_BYTES], struct err **e);
