#pragma once
/*
 * A set of addresses as intervals in a balanced tree: neighbours merge, so that a whole network is
 * one of them, and every operation on one address takes O(log n) of the intervals, each of which
 * takes 9 bytes, or 18 in the worst case. The numbers are those of ip.h; which family they belong
 * to is the caller's business.
 */
#include "ip.h"

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>

struct ipset_leaf;
RB_HEAD(ipset_tree, ipset_leaf);

struct ipset {
    struct ipset_tree tree;
    size_t n_spans;
    ip_num count;
};

/* Inclusive. */
struct ip_range {
    ip_num first, last;
};

void ipset_init(struct ipset *s);
void ipset_release(struct ipset *s);

/* What is there already (add) or is not there (remove) is passed over. `first` <= `last`. */
void ipset_add(struct ipset *s, ip_num first, ip_num last);
void ipset_remove(struct ipset *s, ip_num first, ip_num last);

bool ipset_has(const struct ipset *s, ip_num value);
/* How many addresses; all 2^128 count as one less. */
ip_num ipset_count(const struct ipset *s);

/*
 * The lowest interval that ends at `from` or above, whole. False: there is none. Lowest member:
 * from 0. All: go on from last + 1 until that is 0. The set must not change in between.
 */
bool ipset_next(const struct ipset *s, ip_num from, struct ip_range *out);
/* The lowest number from `first` to `last` that is not in the set. False: all are. */
bool ipset_gap(const struct ipset *s, ip_num first, ip_num last, ip_num *out);
