/* Pairs of probe pods: planned, asked about, and what came of it. */
#include "conn_pairs.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the plan --- */

/* Whose link is broken, and how, is seen from the gateway and across the nodes. */
static bool is_needed(const struct conn_choice *choice, const char *check)
{
    if (!choice || conn_wants(choice, check))
        return true;
    return (!strcmp(check, "gateway") || !strcmp(check, "cross-node")) &&
           (conn_wants(choice, "gateway") || conn_wants(choice, "cross-node") ||
            conn_wants(choice, "namespace"));
}

static void add(struct conn_pairs *p, struct conn_pair pair)
{
    if (!is_needed(p->choice, pair.check))
        return;
    array_grow(p->items, p->count);
    p->items[p->count++] = pair;
}

static bool is_one_segment(const struct testnet *a, const struct testnet *b)
{
    return a == b || (a->vlan == b->vlan && !strcmp(a->master, b->master));
}

static bool is_same_node(const struct testpod *a, const struct testpod *b)
{
    return !strcmp(a->node, b->node);
}

static void add_macvlan(struct conn_pairs *p, const struct testpod *from, const struct testpod *to,
                        bool is_routed)
{
    struct conn_pair pair = {.from = from,
                             .to = to,
                             .target = to->address.addr,
                             .must_reach = true,
                             .check = from->space != to->space ? "namespace"
                                      : is_same_node(from, to) ? "same-node"
                                                               : "cross-node"};

    if (from->address.addr.family != to->address.addr.family)
        return;
    if (from->net != to->net && is_routed) {
        pair.check = "routed";
    } else if (from->net != to->net) {
        /* Two subnets of one VLAN are one segment: nothing is expected of them. */
        if (is_one_segment(from->net, to->net))
            return;
        pair.check = "isolation";
        pair.must_reach = false;
        pair.is_on_link = true;
    }
    add(p, pair);
}

static void add_overlay(struct conn_pairs *p, const struct testpod *from, const struct testpod *to)
{
    if (from->overlay.family && from->overlay.family == to->overlay.family &&
        !is_same_node(from, to))
        add(p, (struct conn_pair){.from = from,
                                  .to = to,
                                  .check = "overlay",
                                  .target = to->overlay,
                                  .must_reach = true});
}

static void add_gateway(struct conn_pairs *p, const struct testpod *from)
{
    if (from->net->gateway.family)
        add(p, (struct conn_pair){.from = from,
                                  .check = "gateway",
                                  .target = from->net->gateway,
                                  .must_reach = true});
}

static void add_mtu(struct conn_pairs *p, const struct testpod *from, const struct testpod *to,
                    unsigned mtu)
{
    if (mtu && from->net == to->net && !is_same_node(from, to) && from->space == to->space)
        add(p, (struct conn_pair){.from = from,
                                  .to = to,
                                  .check = "mtu",
                                  .target = to->address.addr,
                                  .must_reach = true,
                                  .size = mtu});
}

void conn_pairs_plan(const struct testpods *t, bool is_routed, const unsigned *mtu,
                     struct conn_pairs *out)
{
    for (size_t i = 0; i < t->n_pods; i++) {
        const struct testpod *from = &t->pods[i];

        if (!from->is_ready)
            continue;
        add_gateway(out, from);
        for (size_t k = 0; k < t->n_pods; k++) {
            const struct testpod *to = &t->pods[k];

            if (i == k || !to->is_ready)
                continue;
            add_macvlan(out, from, to, is_routed);
            add_overlay(out, from, to);
            add_mtu(out, from, to, mtu[i]);
        }
    }
}

void conn_pairs_release(struct conn_pairs *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->items[i].error);
    free(p->items);
    flannel_nodes_release(&p->nodes);
    *p = (struct conn_pairs){.count = 0};
}

/* --- asking --- */

static cJSON *ping_of(const struct conn_pairs *p, const struct conn_pair *pair, const char *link)
{
    cJSON *obj = cJSON_CreateObject();
    bool is_overlay = !strcmp(pair->check, "overlay");
    char text[IP_TEXT_SIZE];

    json_add_str(obj, "to", ip_format(pair->target, text));
    json_add_str(obj, "from",
                 ip_format(is_overlay ? pair->from->overlay : pair->from->address.addr, text));
    json_add_str(obj, "link", pair->is_on_link ? link : NULL);
    json_add_int(obj, "count", p->n_pings);
    if (pair->size)
        json_add_int(obj, "size", (int64_t)pair->size);
    return obj;
}

cJSON *conn_pairs_question(const struct conn_pairs *p, const struct testpod *from, const char *link,
                           int timeout_ms)
{
    cJSON *question = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(question, "pings");

    json_add_int(question, "timeoutMs", timeout_ms);
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].from == from)
            cJSON_AddItemToArray(list, ping_of(p, &p->items[i], link));
    return question;
}

static bool take_result(struct conn_pair *pair, const cJSON *result)
{
    int64_t sent, received, rtt;

    if (json_get_size(result, "sent", &sent) < 0 ||
        json_get_size(result, "received", &received) < 0 ||
        json_get_size(result, "rttMicroseconds", &rtt) < 0 || received > sent || sent > UINT16_MAX)
        return false;
    pair->sent = (unsigned)sent;
    pair->received = (unsigned)received;
    pair->rtt_us = rtt;
    free(pair->error);
    pair->error = xstrdup(json_get_str(result, "error"));
    pair->is_done = true;
    return true;
}

int conn_pairs_answer(struct conn_pairs *p, const struct testpod *from, const cJSON *answer,
                      struct err **e)
{
    const cJSON *results = json_get_arr(answer, "pings");
    const cJSON *result = results ? results->child : NULL;

    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i].from != from)
            continue;
        if (!take_result(&p->items[i], result))
            return err_set(e, -EPROTO, "the agent in pod '%s' gave no result for a ping",
                           from->name);
        result = result->next;
    }
    return 0;
}

/* --- showing --- */

void conn_pairs_add_json(cJSON *root, const struct conn_pairs *p)
{
    cJSON *list = cJSON_AddArrayToObject(root, "pairs");

    for (size_t i = 0; i < p->count; i++) {
        const struct conn_pair *pair = &p->items[i];
        cJSON *obj = cJSON_CreateObject();
        char text[IP_TEXT_SIZE];

        json_add_str(obj, "check", pair->check);
        json_add_str(obj, "subnet", pair->from->net->name);
        json_add_str(obj, "from", pair->from->name);
        json_add_str(obj, "to", pair->to ? pair->to->name : "gateway");
        json_add_str(obj, "toSubnet", pair->to ? pair->to->net->name : NULL);
        json_add_str(obj, "address", ip_format(pair->target, text));
        (void)cJSON_AddBoolToObject(obj, "mustReach", pair->must_reach);
        (void)cJSON_AddBoolToObject(obj, "reached", pair->received > 0);
        json_add_int(obj, "sent", pair->sent);
        json_add_int(obj, "received", pair->received);
        json_add_int(obj, "rttMicroseconds", pair->rtt_us);
        json_add_str(obj, "error", pair->error);
        cJSON_AddItemToArray(list, obj);
    }
}

static const struct conn_pair *macvlan_pair(const struct conn_pairs *p, const struct testpod *from,
                                            const struct testpod *to)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct conn_pair *pair = &p->items[i];

        if (pair->from == from && pair->to == to && !pair->size &&
            strcmp(pair->check, "overlay") != 0)
            return pair;
    }
    return NULL;
}

/* "0.4" ms where it answers, "x" where it does not, "!" in front where that is not as expected. */
static void print_cell(const struct conn_pair *pair, int width)
{
    char text[16] = ".";

    if (pair && pair->received)
        (void)snprintf(text, sizeof(text), "%s%.1f", pair->must_reach ? "" : "!",
                       (double)pair->rtt_us / 1000);
    else if (pair && pair->is_done)
        (void)snprintf(text, sizeof(text), "%sx", pair->must_reach ? "!" : "");
    (void)printf("  %*s", width, text);
}

void conn_pairs_print(const struct conn_pairs *p, const struct testpods *t)
{
    enum { WIDTH = 7 };
    char address[IP_TEXT_SIZE];

    (void)printf(
        "rows ping columns: ms where it answers, x where not, ! where not as expected\n\n");
    (void)printf("%-15s %-12s %-12s %-15s", "SUBNET", "NODE", "POD", "ADDRESS");
    for (size_t i = 0; i < t->n_pods; i++)
        (void)printf("  %*zu", WIDTH, i + 1);
    (void)printf("\n");
    for (size_t i = 0; i < t->n_pods; i++) {
        const struct testpod *pod = &t->pods[i];
        auto_free char *name = xasprintf("%zu %s", i + 1, pod->name);

        (void)printf("%-15s %-12s %-12s %-15s", pod->net->name, pod->node, name,
                     pod->is_ready ? ip_format(pod->address.addr, address) : "-");
        for (size_t k = 0; k < t->n_pods; k++)
            print_cell(macvlan_pair(p, pod, &t->pods[k]), WIDTH);
        (void)printf("\n");
    }
    (void)printf("\n");
}
