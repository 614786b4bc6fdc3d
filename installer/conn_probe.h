#pragma once
/*
 * Questions to a peer that needs nothing installed there: ICMP echo with or without the
 * don't-fragment bit, and TCP connections. Both need CAP_NET_RAW or nothing, and neither changes
 * the host. IPv4 and IPv6.
 */
#include "err.h"
#include "ip.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONN_ICMP_HEADERS(family) ((family) == AF_INET ? 28u : 48u) /* IP and ICMP */

struct conn_ping {
    struct ip_addr to;
    struct ip_addr from; /* or no address: the kernel's choice */
    const char *link;    /* to leave by; NULL: the kernel's choice */
    size_t size;         /* of the whole IP packet; 0: 84, as ping(8) */
    bool dont_fragment;
    unsigned count;  /* packets, at least 1 */
    int interval_ms; /* between two of them */
    int timeout_ms;  /* for the last answer */
};

struct conn_pong {
    unsigned sent, received;
    int64_t rtt_us[3]; /* least, mean, most; 0 without an answer */
    bool is_too_big;   /* larger than the link that it would leave by */
    /* "Fragmentation needed" came back: the MTU that it tells (1 where it tells none). 0: none
     * came. */
    unsigned told_mtu;
    bool is_unreachable; /* a router, or nobody who answers ARP: "unreachable" came back */
};

/* Fails only for what is wrong here: -EPERM, -ENETUNREACH (no route), -EADDRNOTAVAIL, -ENODEV.
 * -ECANCELED: `is_cancelled` said so. */
int conn_ping(const struct conn_ping *p, bool (*is_cancelled)(void), struct conn_pong *out,
              struct err **e);

/*
 * The largest packet that is answered with the don't-fragment bit, from `low`, which is known to
 * pass, to `high`, which is known not to. Errors as those of conn_ping.
 */
int conn_find_mtu(struct conn_ping p, size_t low, size_t high, bool (*is_cancelled)(void),
                  size_t *out_mtu, struct err **e);

enum conn_tcp { CONN_TCP_OPEN, CONN_TCP_REFUSED, CONN_TCP_SILENT, CONN_TCP_UNREACHABLE };

/* Both OPEN and REFUSED show that TCP goes there and back. */
enum conn_tcp conn_tcp(struct ip_addr from, struct ip_addr to, uint16_t port, int timeout_ms);
