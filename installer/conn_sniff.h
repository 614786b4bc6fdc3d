#pragma once
/* Counts the UDP packets that a link sends to and gets from one host: whether a tunnel's packets
 * leave, and whether any come. Needs CAP_NET_RAW. IPv4. */
#include "err.h"
#include "ip.h"

#include <stdint.h>

struct conn_sniff {
    int fd; /* -1: closed */
    struct ip_addr peer;
    unsigned n_out, n_in;
};
#define CONN_SNIFF_NONE                                                                            \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* Listens from now on for packets to the UDP port `port` of either side. */
int conn_sniff_open(int link, struct ip_addr peer, uint16_t port, struct conn_sniff *out,
                    struct err **e);
/* Counts what has passed by now. */
void conn_sniff_count(struct conn_sniff *s);
void conn_sniff_close(struct conn_sniff *s);
#define auto_sniff __attribute__((cleanup(conn_sniff_close)))
