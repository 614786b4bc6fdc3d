#pragma once
/* Who answers for an IPv4 address on a link: every MAC that does, so that two are seen. Needs
 * CAP_NET_RAW. */
#include "err.h"
#include "ip.h"

#include <stddef.h>

#define CONN_ARP_MAX 8

/*
 * Asks as RFC 5227 probes do, from 0.0.0.0: a host answers those even where it has the asker's own
 * address. Listens for `timeout_ms`. Writes at most CONN_ARP_MAX different MACs into `out`, and
 * their number into *out_count; the link's own is never one. -ENODEV: no such link, or no Ethernet.
 */
int conn_arp(const char *link, struct ip_addr of, int timeout_ms, struct ip_mac out[CONN_ARP_MAX],
             size_t *out_count, struct err **e);
