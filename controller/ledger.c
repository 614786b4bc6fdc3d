/* Subnets and who holds their addresses. */
#include "ledger_internal.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

struct ledger *ledger_new(const char *cluster_uid,
                          void (*freed)(void *arg, const char *subnet, struct ip_addr ip),
                          void *arg)
{
    struct ledger *l = xcalloc(1, sizeof(*l));

    l->cluster_uid = xstrdup(cluster_uid);
    l->freed = freed;
    l->arg = arg;
    return l;
}

/* --- segments: a master and a VLAN --- */

static struct segment *segment_of(struct ledger *l, const struct subnet *s)
{
    auto_free char *key = xasprintf("%s %u", s->master, s->vlan);
    struct segment *seg;

    HASH_FIND_STR(l->segments, key, seg);
    if (seg)
        return seg;
    seg = xcalloc(1, sizeof(*seg));
    seg->key = take(key);
    seg->macs = mac_set_new();
    HASH_ADD_KEYPTR(hh, l->segments, seg->key, strlen(seg->key), seg);
    return seg;
}

static void free_segments(struct ledger *l)
{
    struct segment *seg, *next;

    HASH_ITER(hh, l->segments, seg, next)
    {
        HASH_DEL(l->segments, seg);
        mac_set_free(seg->macs);
        free(seg->key);
        free(seg);
    }
}

/* --- holds --- */

static struct hold *find_hold(const struct ledger_net *net, struct ip_addr ip)
{
    struct hold *h;

    HASH_FIND(hh, net->holds, &ip.value, sizeof(ip.value), h);
    return h;
}

void ledger_hold(struct ledger_net *net, struct ip_addr ip, const struct ip_mac *mac)
{
    struct hold *h = find_hold(net, ip);

    if (mac && net->segment)
        mac_hold(net->segment->macs, *mac);
    if (h) {
        h->count++;
        return;
    }
    h = xcalloc(1, sizeof(*h));
    h->ip = ip.value;
    h->count = 1;
    HASH_ADD(hh, net->holds, ip, sizeof(h->ip), h);
    if (net->alloc)
        (void)alloc_adopt(net->alloc, ip);
}

void ledger_let_go(struct ledger *l, struct ledger_net *net, struct ip_addr ip,
                   const struct ip_mac *mac, int64_t cool_until_ms)
{
    struct hold *h = find_hold(net, ip);

    if (mac && net->segment)
        mac_release(net->segment->macs, *mac);
    if (!h || --h->count > 0)
        return;
    HASH_DEL(net->holds, h);
    free(h);
    if (net->alloc)
        alloc_release(net->alloc, ip, cool_until_ms);
    if (l->freed && !cool_until_ms)
        l->freed(l->arg, net->spec->name, ip);
}

/* --- MacvlanIPs --- */

static void attach(struct ip_record *r, struct ledger_net *net)
{
    r->net = net;
    if (!net)
        return;
    net->n_ips++;
    if (r->ip.family)
        ledger_hold(net, r->ip, r->has_mac ? &r->mac : NULL);
}

static void detach(struct ledger *l, struct ip_record *r, int64_t cool_until_ms)
{
    struct ledger_net *net = r->net;

    r->net = NULL;
    if (!net)
        return;
    net->n_ips--;
    if (r->ip.family)
        ledger_let_go(l, net, r->ip, r->has_mac ? &r->mac : NULL, cool_until_ms);
}

/* One block of memory, since there are many. */
static struct ip_record *new_record(const struct ledger_ip *ip)
{
    size_t uid_size = strlen(ip->uid) + 1, subnet_size = strlen(ip->subnet) + 1;
    struct ip_record *r = xcalloc(1, sizeof(*r) + uid_size + subnet_size);

    memcpy(r->uid, ip->uid, uid_size);
    r->subnet = memcpy(r->uid + uid_size, ip->subnet, subnet_size);
    r->ip = ip->ip;
    r->has_mac = ip->mac != NULL;
    if (ip->mac)
        r->mac = *ip->mac;
    return r;
}

/* The new state is held before the old one is let go, so that an address that stays is never free
 * in between. */
void ledger_put_ip(struct ledger *l, const struct ledger_ip *ip)
{
    struct ip_record *old, *r = new_record(ip);
    struct ledger_intent *intent = ledger_find_intent(l, ip->pod_uid);

    attach(r, ledger_find_subnet(l, ip->subnet));
    HASH_FIND_STR(l->ips, ip->uid, old);
    if (old) {
        HASH_DEL(l->ips, old);
        detach(l, old, 0);
        free(old);
    }
    HASH_ADD_KEYPTR(hh, l->ips, r->uid, strlen(r->uid), r);
    if (intent)
        ledger_drop_intent(l, ip->pod_uid);
}

void ledger_remove_ip(struct ledger *l, const char *uid, int64_t cool_until_ms)
{
    struct ip_record *r;

    HASH_FIND_STR(l->ips, uid, r);
    if (!r)
        return;
    HASH_DEL(l->ips, r);
    detach(l, r, cool_until_ms);
    free(r);
}

/* --- subnets --- */

struct ledger_net *ledger_find_subnet(const struct ledger *l, const char *name)
{
    struct ledger_net *net;

    HASH_FIND_STR(l->nets, name, net);
    return net;
}

static void move_macs(struct ledger *l, struct ledger_net *net, struct segment *to)
{
    struct ledger_intent *intent;
    struct ip_record *r;

    if (net->segment == to)
        return;
    for (r = l->ips; r; r = r->hh.next) {
        if (r->net != net || !r->has_mac)
            continue;
        mac_hold(to->macs, r->mac);
        if (net->segment)
            mac_release(net->segment->macs, r->mac);
    }
    for (struct intent_record *i = l->intents; i; i = i->hh.next) {
        intent = &i->intent;
        if (intent->net != net || !intent->pair.has_mac)
            continue;
        mac_hold(to->macs, intent->pair.mac);
        if (net->segment)
            mac_release(net->segment->macs, intent->pair.mac);
    }
    net->segment = to;
}

static void use_spec(struct ledger *l, struct ledger_net *net)
{
    struct subnet *s = net->spec;

    if (!s->is_valid)
        return;
    move_macs(l, net, segment_of(l, s));
    if (net->alloc) {
        alloc_replace(net->alloc, s);
        return;
    }
    net->alloc = alloc_new(s);
    for (struct hold *h = net->holds; h; h = h->hh.next)
        (void)alloc_adopt(net->alloc, (struct ip_addr){s->cidr.addr.family, h->ip});
    ledger_reserve_in(l, net);
}

struct ledger_net *ledger_put_subnet(struct ledger *l, struct subnet *s)
{
    struct ledger_net *net = ledger_find_subnet(l, s->name);
    struct subnet *old = NULL;

    if (!net) {
        net = xcalloc(1, sizeof(*net));
        net->spec = s;
        HASH_ADD_KEYPTR(hh, l->nets, net->spec->name, strlen(net->spec->name), net);
        for (struct ip_record *r = l->ips; r; r = r->hh.next)
            if (!r->net && !strcmp(r->subnet, s->name))
                attach(r, net);
    } else {
        old = net->spec;
        HASH_DEL(l->nets, net);
        net->spec = s;
        HASH_ADD_KEYPTR(hh, l->nets, net->spec->name, strlen(net->spec->name), net);
    }
    use_spec(l, net);
    /* The allocator borrows the last valid one. */
    if (old && net->alloc && alloc_subnet(net->alloc) == old)
        net->last_valid = old;
    else
        subnet_free(old);
    if (net->last_valid && (!net->alloc || alloc_subnet(net->alloc) != net->last_valid)) {
        subnet_free(net->last_valid);
        net->last_valid = NULL;
    }
    return net;
}

static void free_net(struct ledger_net *net)
{
    struct hold *h, *next;

    HASH_ITER(hh, net->holds, h, next)
    {
        HASH_DEL(net->holds, h);
        free(h);
    }
    alloc_free(net->alloc);
    subnet_free(net->last_valid);
    subnet_free(net->spec);
    free(net);
}

void ledger_remove_subnet(struct ledger *l, const char *name)
{
    struct ledger_net *net = ledger_find_subnet(l, name);

    if (!net)
        return;
    ledger_drop_intents_of(l, net);
    for (struct ip_record *r = l->ips; r; r = r->hh.next)
        if (r->net == net)
            detach(l, r, 0);
    HASH_DEL(l->nets, net);
    free_net(net);
}

void ledger_each_subnet(const struct ledger *l, void (*fn)(void *arg, struct ledger_net *net),
                        void *arg)
{
    struct ledger_net *net, *next;

    HASH_ITER(hh, l->nets, net, next)
    fn(arg, net);
}

const struct subnet *ledger_subnet(const struct ledger_net *net)
{
    return net->spec;
}

struct alloc *ledger_alloc(const struct ledger_net *net)
{
    return net->alloc;
}

size_t ledger_holders(const struct ledger_net *net)
{
    return net->n_ips + net->n_intents;
}

unsigned ledger_count_holders(const struct ledger_net *net, struct ip_addr ip)
{
    const struct hold *h = find_hold(net, ip);

    return h ? h->count : 0;
}

static bool is_older(const struct subnet *a, const struct subnet *b)
{
    int order = strcmp(a->created, b->created);

    return order ? order < 0 : strcmp(a->name, b->name) < 0;
}

const struct subnet *ledger_conflict(const struct ledger *l, const struct ledger_net *net,
                                     char **out_text)
{
    for (const struct ledger_net *other = l->nets; other; other = other->hh.next) {
        auto_err struct err *e = NULL;

        if (other == net || !other->spec->is_valid || !is_older(other->spec, net->spec) ||
            subnet_check_overlap(net->spec, other->spec, &e) == 0)
            continue;
        if (out_text)
            *out_text = xstrdup(err_text(e));
        return other->spec;
    }
    return NULL;
}

void ledger_free(struct ledger *l)
{
    struct ledger_net *net, *next_net;
    struct ip_record *r, *next;

    if (!l)
        return;
    l->freed = NULL;
    ledger_drop_reservations(l);
    HASH_ITER(hh, l->nets, net, next_net)
    ledger_remove_subnet(l, net->spec->name);
    HASH_ITER(hh, l->ips, r, next)
    {
        HASH_DEL(l->ips, r);
        free(r);
    }
    free_segments(l);
    free(l->cluster_uid);
    free(l);
}
