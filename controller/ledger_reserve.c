/* Addresses that are kept for workloads which name them. */
#include "ledger_internal.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

static void reserve(struct ledger_net *net, const struct reservation *r)
{
    if (!net || !net->alloc)
        return;
    for (size_t i = 0; i < r->n; i++)
        alloc_reserve(net->alloc, r->ips[i]);
}

static void unreserve(struct ledger *l, struct ledger_net *net, const struct reservation *r)
{
    if (!net || !net->alloc)
        return;
    for (size_t i = 0; i < r->n; i++) {
        alloc_unreserve(net->alloc, r->ips[i]);
        if (l->freed)
            l->freed(l->arg, r->subnet, r->ips[i]);
    }
}

static void drop(struct ledger *l, struct reservation *r)
{
    HASH_DEL(l->reservations, r);
    unreserve(l, ledger_find_subnet(l, r->subnet), r);
    free(r->owner);
    free(r->subnet);
    free(r->ips);
    free(r);
}

/* The new one counts before the old one goes, so that an address in both is never free. */
void ledger_reserve(struct ledger *l, const char *owner, const char *subnet,
                    const struct ip_addr *ips, size_t n)
{
    struct reservation *old, *r;

    HASH_FIND_STR(l->reservations, owner, old);
    if (n) {
        r = xcalloc(1, sizeof(*r));
        *r = (struct reservation){.owner = xstrdup(owner), .subnet = xstrdup(subnet), .n = n};
        r->ips = xcalloc(n, sizeof(*r->ips));
        memcpy(r->ips, ips, n * sizeof(*ips));
        reserve(ledger_find_subnet(l, subnet), r);
    }
    if (old)
        drop(l, old);
    if (n)
        HASH_ADD_KEYPTR(hh, l->reservations, r->owner, strlen(r->owner), r);
}

void ledger_reserve_in(struct ledger *l, struct ledger_net *net)
{
    for (struct reservation *r = l->reservations; r; r = r->hh.next)
        if (!strcmp(r->subnet, net->spec->name))
            reserve(net, r);
}

void ledger_drop_reservations(struct ledger *l)
{
    struct reservation *r, *next;

    HASH_ITER(hh, l->reservations, r, next)
    drop(l, r);
}
