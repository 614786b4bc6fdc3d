#pragma once
/*
 * Which MacvlanIPs hold an address or a MAC: found without a walk over all of them. The ledger
 * knows only how many there are; whose they are is asked by the webhook alone.
 */
#include "ip.h"
#include "macvlan/macvlanip.h"

#include <stddef.h>

struct holders;

struct holders *holders_new(void);
void holders_free(struct holders *h); /* NULL is fine */

/* `ip` is borrowed until it is removed, and must not change until then. */
void holders_add(struct holders *h, const struct macvlanip *ip);
void holders_remove(struct holders *h, const struct macvlanip *ip);

/* Those with that address, whatever their subnet, or with that MAC, whatever their segment; *out_n
 * of them, borrowed until the next change. */
const struct macvlanip *const *holders_of_ip(const struct holders *h, struct ip_addr ip,
                                             size_t *out_n);
const struct macvlanip *const *holders_of_mac(const struct holders *h, struct ip_mac mac,
                                              size_t *out_n);
