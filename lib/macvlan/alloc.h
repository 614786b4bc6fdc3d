#pragma once
/*
 * The addresses of one subnet: which are used, which are kept for somebody, which one is next.
 * Each call takes O(log n) of what is used, whatever the size of the network. The numbers of both
 * families share one space without meeting, since no subnet may have an address in ::/8.
 *
 * Who holds an address is the caller's to know, and so are times: milliseconds on a clock of its
 * own that only goes forward, greater than 0.
 */
#include "ip.h"
#include "macvlan/subnet.h"

#include <stdbool.h>
#include <stdint.h>

struct alloc;

enum alloc_verdict {
    ALLOC_OK,
    ALLOC_OUTSIDE, /* of the network, or of all ranges */
    ALLOC_GATEWAY,
    ALLOC_NETWORK,
    ALLOC_BROADCAST,
    ALLOC_USED,
    ALLOC_RESERVED,
    ALLOC_COOLING,
};

/* `s` is valid; it is borrowed until alloc_replace or alloc_free. Nothing is used at first. */
struct alloc *alloc_new(const struct subnet *s);
void alloc_free(struct alloc *a); /* NULL is fine */

/* Another spec for the same subnet. What is used, reserved or cooling stays so, also where it is
 * not usable any more. */
void alloc_replace(struct alloc *a, const struct subnet *s);
const struct subnet *alloc_subnet(const struct alloc *a);

/* Whether an address can be claimed; `may_take_reserved`: the pod comes from a workload that has
 * reserved it. */
enum alloc_verdict alloc_check(const struct alloc *a, struct ip_addr addr, bool may_take_reserved);
/* The same; after ALLOC_OK the address is used. */
enum alloc_verdict alloc_claim(struct alloc *a, struct ip_addr addr, bool may_take_reserved);
/* The lowest address that is free. False: none is. */
bool alloc_claim_lowest(struct alloc *a, struct ip_addr *out);
/* Makes an address used that somebody has already, whatever it is. False: it was used. */
bool alloc_adopt(struct alloc *a, struct ip_addr addr);

/* Nobody uses it any more. `cool_until_ms` > 0: nobody gets it before that time. */
void alloc_release(struct alloc *a, struct ip_addr addr, int64_t cool_until_ms);
/* Ends the waiting of addresses whose time has come. The time at which to call again, or 0. */
int64_t alloc_expire(struct alloc *a, int64_t now_ms);

/* Keeps an address from those that did not reserve it. Counts: each call needs its alloc_unreserve.
 */
void alloc_reserve(struct alloc *a, struct ip_addr addr);
void alloc_unreserve(struct alloc *a, struct ip_addr addr);

/* total = used - outside + free + reserved + cooling, as long as none is more than UINT64_MAX,
 * which then stands for it. An address that is used counts only as that, a reserved one not as
 * cooling. */
struct alloc_counts {
    uint64_t total;    /* usable addresses */
    uint64_t used;     /* all, outside included */
    uint64_t free;     /* to be had by everybody now */
    uint64_t reserved; /* usable, not used */
    uint64_t cooling;
    uint64_t outside; /* used, but not usable by the spec */
};

/* Walks over what is used and kept. */
void alloc_count(const struct alloc *a, struct alloc_counts *out);
