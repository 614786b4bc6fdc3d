/* Intents: addresses that are promised to pods. */
#include "ledger_internal.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UID_MAX 253

static struct intent_record *find(const struct ledger *l, const char *pod_uid)
{
    struct intent_record *r;

    HASH_FIND_STR(l->intents, pod_uid, r);
    return r;
}

struct ledger_intent *ledger_find_intent(const struct ledger *l, const char *pod_uid)
{
    struct intent_record *r = find(l, pod_uid);

    return r ? &r->intent : NULL;
}

/* The address counts as held once more; its MAC is held by the caller. */
static struct ledger_intent *add(struct ledger *l, struct ledger_net *net, const char *pod_uid,
                                 const char *pod_key, const struct annot_pair *pair)
{
    struct intent_record *r = xcalloc(1, sizeof(*r));

    r->intent = (struct ledger_intent){.pod_uid = xstrdup(pod_uid),
                                       .pod_key = xstrdup(pod_key),
                                       .pair = *pair,
                                       .net = net};
    HASH_ADD_KEYPTR(hh, l->intents, r->intent.pod_uid, strlen(r->intent.pod_uid), r);
    net->n_intents++;
    ledger_hold(net, pair->ip, NULL);
    return &r->intent;
}

int ledger_pick(struct ledger *l, struct ledger_net *net, const struct annot_request *r,
                const struct ledger_intent *pod, struct annot_refusal *out_refusal)
{
    struct annot_source from = {.alloc = net->alloc,
                                .macs = net->segment ? net->segment->macs : NULL,
                                .cluster_uid = l->cluster_uid,
                                .may_take_reserved = r->n_ips > 0};
    struct annot_pair pair;
    int e = annot_pick(r, &from, &pair, out_refusal);

    if (e < 0)
        return e;
    (void)add(l, net, pod->pod_uid, pod->pod_key, &pair);
    return 0;
}

struct ledger_intent *ledger_intend(struct ledger *l, struct ledger_net *net,
                                    const struct ledger_intent *intent)
{
    struct ledger_intent *known = ledger_find_intent(l, intent->pod_uid);

    if (known)
        return known;
    if (intent->pair.has_mac && net->segment)
        mac_hold(net->segment->macs, intent->pair.mac);
    return add(l, net, intent->pod_uid, intent->pod_key, &intent->pair);
}

static void drop(struct ledger *l, struct intent_record *r)
{
    struct ledger_intent *i = &r->intent;

    HASH_DEL(l->intents, r);
    i->net->n_intents--;
    ledger_let_go(l, i->net, i->pair.ip, i->pair.has_mac ? &i->pair.mac : NULL, 0);
    free(i->pod_uid);
    free(i->pod_key);
    free(r);
}

void ledger_drop_intent(struct ledger *l, const char *pod_uid)
{
    struct intent_record *r = find(l, pod_uid);

    if (r)
        drop(l, r);
}

void ledger_drop_intents_of(struct ledger *l, struct ledger_net *net)
{
    struct intent_record *r, *next;

    HASH_ITER(hh, l->intents, r, next)
    if (r->intent.net == net)
        drop(l, r);
}

cJSON *ledger_intents_json(const struct ledger *l, const struct ledger_net *net)
{
    cJSON *array = cJSON_CreateArray();

    for (const struct intent_record *r = l->intents; r; r = r->hh.next) {
        const struct ledger_intent *i = &r->intent;
        char ip[IP_TEXT_SIZE], mac[IP_MAC_TEXT_SIZE];
        cJSON *item;

        if (i->net != net)
            continue;
        item = cJSON_CreateObject();
        json_add_str(item, "ip", ip_format(i->pair.ip, ip));
        json_add_str(item, "mac", i->pair.has_mac ? ip_mac_format(i->pair.mac, ':', mac) : NULL);
        json_add_str(item, "pod", i->pod_key);
        json_add_str(item, "uid", i->pod_uid);
        cJSON_AddItemToArray(array, item);
    }
    return array;
}

static void load_one(struct ledger *l, struct ledger_net *net, const cJSON *item)
{
    const char *ip = json_get_str(item, "ip"), *mac = json_get_str(item, "mac");
    const char *pod = json_get_str(item, "pod"), *uid = json_get_str(item, "uid");
    struct ledger_intent intent = {.pod_uid = (char *)uid, .pod_key = (char *)pod};

    if (!ip || ip_parse(ip, &intent.pair.ip) < 0 || !pod || !strchr(pod, '/') || !uid || !*uid ||
        strlen(uid) > UID_MAX)
        return;
    intent.pair.has_mac = mac && ip_mac_parse(mac, &intent.pair.mac, NULL) == 0;
    ledger_intend(l, net, &intent)->is_written = true;
}

void ledger_load_intents(struct ledger *l, struct ledger_net *net, const cJSON *intents)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, intents) load_one(l, net, item);
}

void ledger_mark_written(struct ledger *l, const cJSON *intents)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, intents)
    {
        const char *uid = json_get_str(item, "uid");
        struct ledger_intent *i = uid ? ledger_find_intent(l, uid) : NULL;

        if (i)
            i->is_written = true;
    }
}

size_t ledger_count_intents(const struct ledger_net *net)
{
    return net->n_intents;
}

void ledger_each_intent(const struct ledger *l,
                        void (*fn)(void *arg, const struct ledger_intent *intent), void *arg)
{
    struct intent_record *r, *next;

    HASH_ITER(hh, l->intents, r, next)
    fn(arg, &r->intent);
}
