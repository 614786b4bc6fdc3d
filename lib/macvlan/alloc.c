/*
 * Two sets: what is used, and what is free, which is the usable rest without marks. A mark is an
 * address that is reserved or waits; there are few of them.
 */
#include "macvlan/alloc.h"

#include "macvlan/ipset.h"
#include "mem.h"

#include <stdlib.h>

struct mark {
    RB_ENTRY(mark) by_value;
    RB_ENTRY(mark) by_time; /* only while until_ms is not 0 */
    ip_num value;
    int64_t until_ms; /* 0: does not wait */
    unsigned reservations;
};

RB_HEAD(mark_tree, mark);
RB_HEAD(mark_times, mark);

struct alloc {
    const struct subnet *subnet;
    struct ipset used;
    struct ipset free;
    struct mark_tree marks;
    struct mark_times times;
};

static int compare_values(const struct mark *a, const struct mark *b)
{
    return a->value < b->value ? -1 : a->value > b->value;
}

static int compare_times(const struct mark *a, const struct mark *b)
{
    if (a->until_ms != b->until_ms)
        return a->until_ms < b->until_ms ? -1 : 1;
    return compare_values(a, b);
}

/* The macros' plain form needs __unused, which libbsd leaves to the compiler. */
#define MAYBE_UNUSED __attribute__((unused)) static
RB_GENERATE_INTERNAL(mark_tree, mark, by_value, compare_values, MAYBE_UNUSED)
RB_GENERATE_INTERNAL(mark_times, mark, by_time, compare_times, MAYBE_UNUSED)

/* --- marks --- */

static struct mark *find_mark(const struct alloc *a, ip_num value)
{
    struct mark key = {.value = value};

    /* The macros take no const tree; a search changes nothing. */
    return RB_FIND(mark_tree, (struct mark_tree *)&a->marks, &key);
}

static struct mark *get_mark(struct alloc *a, ip_num value)
{
    struct mark *m = find_mark(a, value);

    if (m)
        return m;
    m = xcalloc(1, sizeof(*m));
    m->value = value;
    (void)RB_INSERT(mark_tree, &a->marks, m);
    return m;
}

static void set_time(struct alloc *a, struct mark *m, int64_t until_ms)
{
    if (m->until_ms)
        (void)RB_REMOVE(mark_times, &a->times, m);
    m->until_ms = until_ms;
    if (until_ms)
        (void)RB_INSERT(mark_times, &a->times, m);
}

static void drop_mark(struct alloc *a, struct mark *m)
{
    set_time(a, m, 0);
    (void)RB_REMOVE(mark_tree, &a->marks, m);
    free(m);
}

/* --- the free set --- */

static struct ip_addr address(const struct alloc *a, ip_num value)
{
    return (struct ip_addr){.family = a->subnet->cidr.addr.family, .value = value};
}

static bool is_usable(const struct alloc *a, ip_num value)
{
    return subnet_place(a->subnet, address(a, value)) == SUBNET_USABLE;
}

/* To be called when an address has lost a use or a mark. */
static void free_if_unused(struct alloc *a, ip_num value)
{
    if (is_usable(a, value) && !ipset_has(&a->used, value) && !find_mark(a, value))
        ipset_add(&a->free, value, value);
}

static void fill_free(struct alloc *a)
{
    struct mark *m;
    struct ip_range r;

    subnet_fill(a->subnet, &a->free);
    for (bool more = ipset_next(&a->used, 0, &r); more;
         more = r.last + 1 && ipset_next(&a->used, r.last + 1, &r))
        ipset_remove(&a->free, r.first, r.last);
    RB_FOREACH(m, mark_tree, &a->marks)
    {
        ipset_remove(&a->free, m->value, m->value);
    }
}

/* --- the allocator --- */

struct alloc *alloc_new(const struct subnet *s)
{
    struct alloc *a = xmalloc(sizeof(*a));

    *a = (struct alloc){.subnet = s};
    ipset_init(&a->used);
    ipset_init(&a->free);
    RB_INIT(&a->marks);
    RB_INIT(&a->times);
    fill_free(a);
    return a;
}

void alloc_free(struct alloc *a)
{
    struct mark *m;

    if (!a)
        return;
    while ((m = RB_ROOT(&a->marks)))
        drop_mark(a, m);
    ipset_release(&a->used);
    ipset_release(&a->free);
    free(a);
}

void alloc_replace(struct alloc *a, const struct subnet *s)
{
    a->subnet = s;
    ipset_release(&a->free);
    fill_free(a);
}

const struct subnet *alloc_subnet(const struct alloc *a)
{
    return a->subnet;
}

static enum alloc_verdict verdict_of(enum subnet_place place)
{
    switch (place) {
    case SUBNET_USABLE:
        return ALLOC_OK;
    case SUBNET_GATEWAY:
        return ALLOC_GATEWAY;
    case SUBNET_NETWORK:
        return ALLOC_NETWORK;
    case SUBNET_BROADCAST:
        return ALLOC_BROADCAST;
    case SUBNET_OUTSIDE:
        break;
    }
    return ALLOC_OUTSIDE;
}

enum alloc_verdict alloc_check(const struct alloc *a, struct ip_addr addr, bool may_take_reserved)
{
    enum alloc_verdict verdict = verdict_of(subnet_place(a->subnet, addr));
    const struct mark *m;

    if (verdict != ALLOC_OK)
        return verdict;
    if (ipset_has(&a->used, addr.value))
        return ALLOC_USED;
    m = find_mark(a, addr.value);
    if (m && m->reservations && !may_take_reserved)
        return ALLOC_RESERVED;
    return m && m->until_ms ? ALLOC_COOLING : ALLOC_OK;
}

static void use(struct alloc *a, ip_num value)
{
    ipset_add(&a->used, value, value);
    ipset_remove(&a->free, value, value);
}

enum alloc_verdict alloc_claim(struct alloc *a, struct ip_addr addr, bool may_take_reserved)
{
    enum alloc_verdict verdict = alloc_check(a, addr, may_take_reserved);

    if (verdict == ALLOC_OK)
        use(a, addr.value);
    return verdict;
}

bool alloc_claim_lowest(struct alloc *a, struct ip_addr *out)
{
    struct ip_range r;

    while (ipset_next(&a->free, 0, &r)) {
        if (is_usable(a, r.first)) {
            use(a, r.first);
            *out = address(a, r.first);
            return true;
        }
        /* Kept back for its last octet: met once, and never again. */
        ipset_remove(&a->free, r.first, r.first);
    }
    return false;
}

bool alloc_adopt(struct alloc *a, struct ip_addr addr)
{
    if (ipset_has(&a->used, addr.value))
        return false;
    use(a, addr.value);
    return true;
}

void alloc_release(struct alloc *a, struct ip_addr addr, int64_t cool_until_ms)
{
    if (!ipset_has(&a->used, addr.value))
        return;
    ipset_remove(&a->used, addr.value, addr.value);
    if (cool_until_ms > 0)
        set_time(a, get_mark(a, addr.value), cool_until_ms);
    else
        free_if_unused(a, addr.value);
}

int64_t alloc_expire(struct alloc *a, int64_t now_ms)
{
    struct mark *m;

    while ((m = RB_MIN(mark_times, &a->times)) && m->until_ms <= now_ms) {
        ip_num value = m->value;

        set_time(a, m, 0);
        if (m->reservations)
            continue;
        drop_mark(a, m);
        free_if_unused(a, value);
    }
    return m ? m->until_ms : 0;
}

void alloc_reserve(struct alloc *a, struct ip_addr addr)
{
    get_mark(a, addr.value)->reservations++;
    ipset_remove(&a->free, addr.value, addr.value);
}

void alloc_unreserve(struct alloc *a, struct ip_addr addr)
{
    struct mark *m = find_mark(a, addr.value);

    if (!m || !m->reservations || --m->reservations || m->until_ms)
        return;
    drop_mark(a, m);
    free_if_unused(a, addr.value);
}

/* --- counts --- */

static uint64_t bounded(ip_num n)
{
    return n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

void alloc_count(const struct alloc *a, struct alloc_counts *out)
{
    ip_num total = subnet_usable_in(a->subnet, 0, ~(ip_num)0), inside = 0, kept = 0;
    struct mark *m;
    struct ip_range r;

    *out = (struct alloc_counts){.total = bounded(total)};
    for (bool more = ipset_next(&a->used, 0, &r); more;
         more = r.last + 1 && ipset_next(&a->used, r.last + 1, &r))
        inside += subnet_usable_in(a->subnet, r.first, r.last);
    RB_FOREACH(m, mark_tree, (struct mark_tree *)&a->marks)
    {
        if (!is_usable(a, m->value) || ipset_has(&a->used, m->value))
            continue;
        kept++;
        if (m->reservations)
            out->reserved++;
        else
            out->cooling++;
    }
    out->used = bounded(ipset_count(&a->used));
    out->outside = bounded(ipset_count(&a->used) - inside);
    out->free = bounded(total - inside - kept);
}
