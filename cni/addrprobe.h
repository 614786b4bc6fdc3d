#pragma once
/*
 * Is an address taken already, and who is where: ARP as RFC 5227 has it, IPv6 as RFC 4862 (DAD) and
 * RFC 4861 (unsolicited advertisement) have it. All of it happens in the namespace that the thread
 * is in, on a link that is up.
 */
#include "err.h"
#include "ip.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addrprobe {
    int link; /* index */
    struct ip_mac mac;
    struct ip_addr addr;
    unsigned count;       /* questions; RFC 5227 has 3 */
    unsigned interval_ms; /* how long each waits for an answer */
};

/* Asks who has the address, before the link has it. -EADDRINUSE: the message names the MAC. */
int addrprobe_run(const struct addrprobe *p, struct err **e);

/* Tells all neighbours that p->addr, which the link has, is at p->mac: a gratuitous ARP request, or
 * an unsolicited neighbour advertisement. */
int addrprobe_announce(const struct addrprobe *p, struct err **e);

/* --- frames, for the above and for tests --- */

#define ADDRPROBE_FRAME_SIZE 128

/* The question, with its Ethernet header: ARP request from 0.0.0.0, or neighbour solicitation from
 * ::. */
size_t addrprobe_question(const struct addrprobe *p, uint8_t out[ADDRPROBE_FRAME_SIZE]);
/* True if the frame says that another than p->mac has the address, or is about to take it. */
bool addrprobe_is_conflict(const struct addrprobe *p, const uint8_t *frame, size_t len,
                           struct ip_mac *out_other);
