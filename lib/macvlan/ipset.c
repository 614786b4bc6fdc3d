/*
 * Intervals in leaves of a red-black tree, by their ends. A leaf has up to LEAF_MAX intervals as
 * distances of 32 bits from its base; what is longer than that has a leaf of its own.
 */
#include "macvlan/ipset.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define LEAF_MAX 62
#define LEAF_FEW 15 /* a leaf with fewer is joined with its neighbour, where they fit */

struct span {
    uint32_t first, last; /* from the base of the leaf */
};

struct ipset_leaf {
    RB_ENTRY(ipset_leaf) entry;
    ip_num base, end; /* end: of the last interval */
    unsigned n;
    struct span spans[]; /* none: one interval from base to end */
};

struct place {
    struct ipset_leaf *leaf; /* NULL: behind everything */
    unsigned i;
};

static int compare_ends(const struct ipset_leaf *a, const struct ipset_leaf *b)
{
    return a->end < b->end ? -1 : a->end > b->end;
}

/* RB_GENERATE_STATIC needs __unused, which libbsd leaves to the compiler. */
RB_GENERATE_INTERNAL(ipset_tree, ipset_leaf, entry, compare_ends, __attribute__((unused)) static)

void ipset_init(struct ipset *s)
{
    *s = (struct ipset){.tree = RB_INITIALIZER(&s->tree)};
}

/* --- leaves --- */

static struct ipset_leaf *add_leaf(struct ipset *s, bool is_long, ip_num base, ip_num end)
{
    size_t spans = is_long ? 0 : LEAF_MAX * sizeof(struct span);
    struct ipset_leaf *leaf = xmalloc(sizeof(*leaf) + spans);

    *leaf = (struct ipset_leaf){.base = base, .end = end};
    (void)RB_INSERT(ipset_tree, &s->tree, leaf);
    return leaf;
}

static void drop_leaf(struct ipset *s, struct ipset_leaf *leaf)
{
    (void)RB_REMOVE(ipset_tree, &s->tree, leaf);
    free(leaf);
}

void ipset_release(struct ipset *s)
{
    struct ipset_leaf *leaf;

    while ((leaf = RB_ROOT(&s->tree)))
        drop_leaf(s, leaf);
    ipset_init(s);
}

static bool is_long(const struct ipset_leaf *leaf)
{
    return leaf->n == 0;
}

static bool is_short(ip_num first, ip_num last)
{
    return last - first <= UINT32_MAX;
}

static struct ip_range range_of(struct place p)
{
    const struct ipset_leaf *leaf = p.leaf;

    if (is_long(leaf))
        return (struct ip_range){leaf->base, leaf->end};
    return (struct ip_range){leaf->base + leaf->spans[p.i].first,
                             leaf->base + leaf->spans[p.i].last};
}

/* All distances from another base, that is not above the first interval. */
static void rebase(struct ipset_leaf *leaf, ip_num base)
{
    uint32_t by = (uint32_t)(leaf->base - base);

    for (unsigned i = 0; i < leaf->n; i++) {
        leaf->spans[i].first += by;
        leaf->spans[i].last += by;
    }
    leaf->base = base;
}

static void set_end(struct ipset_leaf *leaf)
{
    leaf->end = leaf->base + leaf->spans[leaf->n - 1].last;
}

/* The intervals from `i` on become a leaf of their own. */
static void split(struct ipset *s, struct ipset_leaf *leaf, unsigned i)
{
    ip_num end = leaf->end;
    struct ipset_leaf *upper;

    /* The lower one first, so that no two have the same end. */
    upper = xmalloc(sizeof(*upper) + LEAF_MAX * sizeof(struct span));
    *upper = (struct ipset_leaf){.base = leaf->base, .end = end, .n = leaf->n - i};
    memcpy(upper->spans, leaf->spans + i, upper->n * sizeof(struct span));
    rebase(upper, upper->base + upper->spans[0].first);
    leaf->n = i;
    set_end(leaf);
    (void)RB_INSERT(ipset_tree, &s->tree, upper);
}

/* Takes in the next leaf, where both are small. */
static void join_next(struct ipset *s, struct ipset_leaf *leaf)
{
    struct ipset_leaf *next = RB_NEXT(ipset_tree, &s->tree, leaf);
    ip_num end;

    if (!next || is_long(leaf) || is_long(next) || leaf->n + next->n > LEAF_MAX / 2 ||
        !is_short(leaf->base, next->end))
        return;
    rebase(next, leaf->base);
    memcpy(leaf->spans + leaf->n, next->spans, next->n * sizeof(struct span));
    leaf->n += next->n;
    end = next->end;
    drop_leaf(s, next);
    leaf->end = end;
}

/* --- intervals --- */

/* The lowest that ends at `from` or above. */
static struct place find(const struct ipset *s, ip_num from)
{
    struct ipset_leaf key = {.end = from};
    /* The macros take no const tree; a search changes nothing. */
    struct ipset_leaf *leaf = RB_NFIND(ipset_tree, (struct ipset_tree *)&s->tree, &key);
    unsigned low = 0, high = leaf && leaf->n ? leaf->n - 1 : 0;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (leaf->base + leaf->spans[middle].last < from)
            low = middle + 1;
        else
            high = middle;
    }
    return (struct place){leaf, low};
}

static struct place next_of(struct place p)
{
    if (p.i + 1 < p.leaf->n)
        return (struct place){p.leaf, p.i + 1};
    return (struct place){RB_NEXT(ipset_tree, NULL, p.leaf), 0};
}

static void drop(struct ipset *s, struct place p)
{
    struct ipset_leaf *leaf = p.leaf;
    struct ip_range r = range_of(p);

    s->n_spans--;
    s->count -= r.last - r.first + 1;
    if (leaf->n <= 1) {
        drop_leaf(s, leaf);
        return;
    }
    leaf->n--;
    memmove(leaf->spans + p.i, leaf->spans + p.i + 1, (leaf->n - p.i) * sizeof(struct span));
    set_end(leaf);
    if (leaf->n < LEAF_FEW)
        join_next(s, leaf);
}

/* Where a short interval goes that meets no other: into the leaf that goes on behind it, at the end
 * of the one before, or into a new one (NULL). */
static struct place place_for(struct ipset *s, ip_num first, ip_num last)
{
    struct place p = find(s, last);
    struct ipset_leaf *before;

    if (p.leaf && p.i > 0)
        return p;
    before = p.leaf ? RB_PREV(ipset_tree, &s->tree, p.leaf) : RB_MAX(ipset_tree, &s->tree);
    if (before && !is_long(before) && is_short(before->base, last) &&
        (before->n < LEAF_MAX || !p.leaf || is_long(p.leaf) || p.leaf->n == LEAF_MAX))
        return (struct place){before, before->n};
    if (p.leaf && !is_long(p.leaf) && is_short(first, p.leaf->end))
        return p;
    return (struct place){.leaf = NULL};
}

/* A full leaf makes room: whoever adds in order leaves full ones behind. */
static struct place make_room(struct ipset *s, struct place p)
{
    unsigned at = p.i < LEAF_MAX / 8 ? p.i : p.i > LEAF_MAX - LEAF_MAX / 8 ? p.i : LEAF_MAX / 2;

    if (p.leaf->n < LEAF_MAX)
        return p;
    if (at == 0 || at == LEAF_MAX)
        return (struct place){.leaf = NULL};
    split(s, p.leaf, at);
    return p.i <= at ? p : (struct place){RB_NEXT(ipset_tree, &s->tree, p.leaf), p.i - at};
}

static void insert(struct ipset *s, ip_num first, ip_num last)
{
    struct place p = {.leaf = NULL};
    struct ipset_leaf *leaf;

    s->n_spans++;
    s->count += last - first + 1;
    if (!is_short(first, last)) {
        (void)add_leaf(s, true, first, last);
        return;
    }
    p = place_for(s, first, last);
    if (p.leaf)
        p = make_room(s, p);
    leaf = p.leaf ? p.leaf : add_leaf(s, false, first, last);
    if (first < leaf->base)
        rebase(leaf, first);
    memmove(leaf->spans + p.i + 1, leaf->spans + p.i, (leaf->n - p.i) * sizeof(struct span));
    leaf->spans[p.i] = (struct span){(uint32_t)(first - leaf->base), (uint32_t)(last - leaf->base)};
    leaf->n++;
    set_end(leaf);
}

/* The interval gets other ends that keep its place in the order. */
static void resize(struct ipset *s, struct place p, ip_num first, ip_num last)
{
    struct ipset_leaf *leaf = p.leaf;
    struct ip_range old = range_of(p);

    if (is_long(leaf) || first < leaf->base || !is_short(leaf->base, last)) {
        drop(s, p);
        insert(s, first, last);
        return;
    }
    s->count += (last - first) - (old.last - old.first);
    leaf->spans[p.i] = (struct span){(uint32_t)(first - leaf->base), (uint32_t)(last - leaf->base)};
    set_end(leaf);
}

/* --- public --- */

void ipset_add(struct ipset *s, ip_num first, ip_num last)
{
    /* One that ends just before `first` is a neighbour, too. */
    struct place p = find(s, first ? first - 1 : 0), next;
    struct ip_range r;

    if (p.leaf)
        r = range_of(p);
    if (!p.leaf || (r.first > last && r.first - 1 > last)) {
        insert(s, first, last);
        return;
    }
    first = r.first < first ? r.first : first;
    last = r.last > last ? r.last : last;
    for (;;) {
        next = next_of(p);
        if (!next.leaf || range_of(next).first - 1 > last)
            break;
        last = range_of(next).last > last ? range_of(next).last : last;
        drop(s, next); /* what joins there stands behind p */
    }
    resize(s, p, first, last);
}

void ipset_remove(struct ipset *s, ip_num first, ip_num last)
{
    struct place p;

    while ((p = find(s, first)).leaf && range_of(p).first <= last) {
        struct ip_range old = range_of(p);

        if (old.first >= first && old.last <= last) {
            drop(s, p);
        } else if (old.first >= first) {
            resize(s, p, last + 1, old.last);
        } else {
            resize(s, p, old.first, first - 1);
            if (old.last > last)
                insert(s, last + 1, old.last);
        }
    }
}

bool ipset_has(const struct ipset *s, ip_num value)
{
    struct place p = find(s, value);

    return p.leaf && range_of(p).first <= value;
}

ip_num ipset_count(const struct ipset *s)
{
    /* 2^128 comes out as 0. */
    return s->count || !s->n_spans ? s->count : ~(ip_num)0;
}

bool ipset_next(const struct ipset *s, ip_num from, struct ip_range *out)
{
    struct place p = find(s, from);

    if (!p.leaf)
        return false;
    *out = range_of(p);
    return true;
}

bool ipset_gap(const struct ipset *s, ip_num first, ip_num last, ip_num *out)
{
    struct place p = find(s, first);
    struct ip_range r;

    if (p.leaf && (r = range_of(p)).first <= first) {
        if (r.last >= last)
            return false;
        first = r.last + 1;
    }
    *out = first;
    return true;
}
