/* MacvlanIPs by address and by MAC. */
#include "holders.h"

#include "kube/kube_hash.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

struct bucket {
    ip_num key;
    const struct macvlanip **items;
    size_t n;
    UT_hash_handle hh;
};

struct holders {
    struct bucket *ips, *macs;
};

struct holders *holders_new(void)
{
    return xcalloc(1, sizeof(struct holders));
}

static struct bucket *find(struct bucket *table, ip_num key)
{
    struct bucket *b;

    HASH_FIND(hh, table, &key, sizeof(key), b);
    return b;
}

static void add(struct bucket **table, ip_num key, const struct macvlanip *ip)
{
    struct bucket *b = find(*table, key);

    if (!b) {
        b = xcalloc(1, sizeof(*b));
        b->key = key;
        HASH_ADD(hh, *table, key, sizeof(b->key), b);
    }
    array_grow(b->items, b->n);
    b->items[b->n++] = ip;
}

static void drop(struct bucket **table, struct bucket *b)
{
    HASH_DEL(*table, b);
    free(b->items);
    free(b);
}

static void forget(struct bucket **table, ip_num key, const struct macvlanip *ip)
{
    struct bucket *b = find(*table, key);
    size_t at = 0;

    while (b && at < b->n && b->items[at] != ip)
        at++;
    if (!b || at == b->n)
        return;
    b->items[at] = b->items[--b->n];
    if (!b->n)
        drop(table, b);
}

static void drop_all(struct bucket **table)
{
    struct bucket *b, *next;

    HASH_ITER(hh, *table, b, next)
    drop(table, b);
}

void holders_free(struct holders *h)
{
    if (!h)
        return;
    drop_all(&h->ips);
    drop_all(&h->macs);
    free(h);
}

void holders_add(struct holders *h, const struct macvlanip *ip)
{
    if (ip->ip.family)
        add(&h->ips, ip->ip.value, ip);
    if (ip->has_mac)
        add(&h->macs, ip_mac_value(ip->mac), ip);
}

void holders_remove(struct holders *h, const struct macvlanip *ip)
{
    if (ip->ip.family)
        forget(&h->ips, ip->ip.value, ip);
    if (ip->has_mac)
        forget(&h->macs, ip_mac_value(ip->mac), ip);
}

static const struct macvlanip *const *items_of(const struct bucket *b, size_t *out_n)
{
    *out_n = b ? b->n : 0;
    return b ? b->items : NULL;
}

const struct macvlanip *const *holders_of_ip(const struct holders *h, struct ip_addr ip,
                                             size_t *out_n)
{
    return items_of(find(h->ips, ip.value), out_n);
}

const struct macvlanip *const *holders_of_mac(const struct holders *h, struct ip_mac mac,
                                              size_t *out_n)
{
    return items_of(find(h->macs, ip_mac_value(mac)), out_n);
}
