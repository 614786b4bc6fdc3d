/* Intervals in a red-black tree, by their ends. */
#include "ipset.h"

#include "mem.h"

#include <stdlib.h>

struct ipset_span {
    RB_ENTRY(ipset_span) entry;
    struct ip_range range;
};

static int compare_ends(const struct ipset_span *a, const struct ipset_span *b)
{
    return a->range.last < b->range.last ? -1 : a->range.last > b->range.last;
}

/* RB_GENERATE_STATIC needs __unused, which libbsd leaves to the compiler. */
RB_GENERATE_INTERNAL(ipset_tree, ipset_span, entry, compare_ends, __attribute__((unused)) static)

void ipset_init(struct ipset *s)
{
    *s = (struct ipset){.tree = RB_INITIALIZER(&s->tree)};
}

static void drop(struct ipset *s, struct ipset_span *span)
{
    RB_REMOVE(ipset_tree, &s->tree, span);
    s->n_spans--;
    s->count -= span->range.last - span->range.first + 1;
    free(span);
}

static void insert(struct ipset *s, ip_num first, ip_num last)
{
    struct ipset_span *span = xmalloc(sizeof(*span));

    *span = (struct ipset_span){.range = {.first = first, .last = last}};
    (void)RB_INSERT(ipset_tree, &s->tree, span);
    s->n_spans++;
    s->count += last - first + 1;
}

void ipset_release(struct ipset *s)
{
    struct ipset_span *span;

    while ((span = RB_ROOT(&s->tree)))
        drop(s, span);
}

/* The lowest that ends at `from` or above. */
static struct ipset_span *find(const struct ipset *s, ip_num from)
{
    struct ipset_span key = {.range = {.last = from}};

    /* The macros take no const tree; a search changes nothing. */
    return RB_NFIND(ipset_tree, (struct ipset_tree *)&s->tree, &key);
}

/* `span` gets other ends that keep its place in the order. */
static void resize(struct ipset *s, struct ipset_span *span, ip_num first, ip_num last)
{
    s->count += (last - first) - (span->range.last - span->range.first);
    span->range = (struct ip_range){.first = first, .last = last};
}

void ipset_add(struct ipset *s, ip_num first, ip_num last)
{
    /* One that ends just before `first` is a neighbour, too. */
    struct ipset_span *span = find(s, first ? first - 1 : 0), *next;

    if (!span || (span->range.first > last && span->range.first - 1 > last)) {
        insert(s, first, last);
        return;
    }
    if (span->range.first < first)
        first = span->range.first;
    while ((next = RB_NEXT(ipset_tree, &s->tree, span)) && next->range.first - 1 <= last) {
        last = next->range.last > last ? next->range.last : last;
        drop(s, next);
    }
    resize(s, span, first, span->range.last > last ? span->range.last : last);
}

void ipset_remove(struct ipset *s, ip_num first, ip_num last)
{
    struct ipset_span *span;

    while ((span = find(s, first)) && span->range.first <= last) {
        struct ip_range old = span->range;

        if (old.first >= first && old.last <= last) {
            drop(s, span);
        } else if (old.first >= first) {
            resize(s, span, last + 1, old.last);
        } else {
            resize(s, span, old.first, first - 1);
            if (old.last > last)
                insert(s, last + 1, old.last);
        }
    }
}

bool ipset_has(const struct ipset *s, ip_num value)
{
    const struct ipset_span *span = find(s, value);

    return span && span->range.first <= value;
}

ip_num ipset_count(const struct ipset *s)
{
    /* 2^128 comes out as 0. */
    return s->count || !s->n_spans ? s->count : ~(ip_num)0;
}

bool ipset_next(const struct ipset *s, ip_num from, struct ip_range *out)
{
    const struct ipset_span *span = find(s, from);

    if (!span)
        return false;
    *out = span->range;
    return true;
}

bool ipset_gap(const struct ipset *s, ip_num first, ip_num last, ip_num *out)
{
    const struct ipset_span *span = find(s, first);

    if (span && span->range.first <= first) {
        if (span->range.last >= last)
            return false;
        first = span->range.last + 1;
    }
    *out = first;
    return true;
}
