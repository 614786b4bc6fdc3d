/* Which addresses a subnet may give out. */
#include "macvlan/subnet.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void subnet_free(struct subnet *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_findings; i++)
        free(s->findings[i].text);
    free(s->findings);
    free(s->name);
    free(s->uid);
    free(s->resource_version);
    free(s->created);
    free(s->project);
    free(s->master);
    free(s->ranges);
    free(s->routes);
    cJSON_Delete(s->patch);
    free(s);
}

void subnet_cleanup(struct subnet **s)
{
    subnet_free(*s);
    *s = NULL;
}

/* --- one address --- */

static bool has_octet_rule(const struct subnet *s)
{
    return s->has_legacy_octets && s->cidr.addr.family == AF_INET;
}

static bool is_in_ranges(const struct subnet *s, ip_num value)
{
    size_t low = 0, high = s->n_ranges;

    /* Below `low` are the ranges that end before the value. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->ranges[middle].last < value)
            low = middle + 1;
        else
            high = middle;
    }
    return s->n_ranges == 0 || (low < s->n_ranges && s->ranges[low].first <= value);
}

static bool is_network(const struct subnet *s, ip_num value)
{
    unsigned widest = s->cidr.addr.family == AF_INET ? 30 : 126;

    if (has_octet_rule(s))
        return (value & 0xff) == 0;
    return s->cidr.prefix <= widest && value == ip_net_first(s->cidr).value;
}

static bool is_broadcast(const struct subnet *s, ip_num value)
{
    if (has_octet_rule(s))
        return (value & 0xff) == 0xff;
    return s->cidr.addr.family == AF_INET && s->cidr.prefix <= 30 &&
           value == ip_net_last(s->cidr).value;
}

enum subnet_place subnet_place(const struct subnet *s, struct ip_addr a)
{
    if (!ip_net_contains(s->cidr, a))
        return SUBNET_OUTSIDE;
    if (ip_compare(a, s->gateway) == 0)
        return SUBNET_GATEWAY;
    if (is_network(s, a.value))
        return SUBNET_NETWORK;
    if (is_broadcast(s, a.value))
        return SUBNET_BROADCAST;
    return is_in_ranges(s, a.value) ? SUBNET_USABLE : SUBNET_OUTSIDE;
}

/* --- all of them --- */

/* The addresses that are kept back wherever they are: at most three. */
static size_t kept_back(const struct subnet *s, ip_num out[3])
{
    ip_num ends[] = {ip_net_first(s->cidr).value, ip_net_last(s->cidr).value};
    size_t n = 0;

    if (s->gateway.family == s->cidr.addr.family)
        out[n++] = s->gateway.value;
    for (size_t i = 0; i < 2; i++) {
        bool is_kept = is_network(s, ends[i]) || is_broadcast(s, ends[i]);
        if (is_kept && !(n && out[0] == ends[i]))
            out[n++] = ends[i];
    }
    return n;
}

/* How many of the numbers below `end` have 0 or 255 as their last octet. */
static ip_num octets_below(ip_num end)
{
    return (end >> 8) * 2 + ((end & 0xff) > 0);
}

/* One piece of a range. */
static ip_num count_piece(const struct subnet *s, ip_num first, ip_num last)
{
    ip_num count = last - first + 1, special[3];
    size_t n = kept_back(s, special);

    if (has_octet_rule(s))
        count -= octets_below(last + 1) - octets_below(first);
    for (size_t i = 0; i < n; i++) {
        bool is_counted = special[i] >= first && special[i] <= last;
        if (is_counted &&
            !(has_octet_rule(s) && (is_network(s, special[i]) || is_broadcast(s, special[i]))))
            count--;
    }
    return count;
}

/* The i-th range, or the whole network where there are none. False: no more. */
static bool range_at(const struct subnet *s, size_t i, struct ip_range *out)
{
    if (i >= (s->n_ranges ? s->n_ranges : 1))
        return false;
    if (s->n_ranges)
        *out = s->ranges[i];
    else
        *out = (struct ip_range){ip_net_first(s->cidr).value, ip_net_last(s->cidr).value};
    return true;
}

ip_num subnet_usable_in(const struct subnet *s, ip_num first, ip_num last)
{
    struct ip_range r;
    ip_num count = 0;

    for (size_t i = 0; range_at(s, i, &r); i++) {
        ip_num from = r.first > first ? r.first : first;
        ip_num to = r.last < last ? r.last : last;
        if (from <= to)
            count += count_piece(s, from, to);
    }
    return count;
}

void subnet_fill(const struct subnet *s, struct ipset *out)
{
    struct ip_range r;
    ip_num special[3];
    size_t n = kept_back(s, special);

    for (size_t i = 0; range_at(s, i, &r); i++)
        ipset_add(out, r.first, r.last);
    for (size_t i = 0; i < n; i++)
        ipset_remove(out, special[i], special[i]);
}

/* --- two subnets --- */

/* Both are ascending. */
static const struct ip_range *common_range(const struct subnet *a, const struct subnet *b)
{
    for (size_t i = 0, j = 0; i < a->n_ranges && j < b->n_ranges;) {
        if (a->ranges[i].last < b->ranges[j].first)
            i++;
        else if (b->ranges[j].last < a->ranges[i].first)
            j++;
        else
            return &a->ranges[i];
    }
    return NULL;
}

int subnet_check_overlap(const struct subnet *a, const struct subnet *b, struct err **e)
{
    const struct ip_range *common;
    char first[IP_TEXT_SIZE], last[IP_TEXT_SIZE], net[IP_NET_TEXT_SIZE];
    int family = a->cidr.addr.family;

    if (a->vlan != b->vlan || strcmp(a->master, b->master) || !ip_net_overlaps(a->cidr, b->cidr))
        return 0;
    if (!a->n_ranges || !b->n_ranges)
        return err_set(e, -EEXIST,
                       "subnet '%s' has the same master and VLAN, and its network '%s' overlaps: "
                       "use another network, or give both subnets ranges that have no address in "
                       "common",
                       b->name, ip_net_format(b->cidr, net));
    common = common_range(a, b);
    if (!common)
        return 0;
    return err_set(e, -EEXIST,
                   "range '%s-%s' overlaps a range of subnet '%s', which has the same master and "
                   "VLAN: use ranges that have no address in common",
                   ip_format((struct ip_addr){family, common->first}, first),
                   ip_format((struct ip_addr){family, common->last}, last), b->name);
}
