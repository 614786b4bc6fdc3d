/* What a ping that is not as expected means. */
#include "conn_pairs.h"

#include "mem.h"

#include <stdio.h>
#include <string.h>

struct judge {
    const struct conn_pairs *p;
    struct conn_report *r;
};

static bool is_as_expected(const struct conn_pair *pair)
{
    return (pair->received > 0) == pair->must_reach;
}

/* 1: a pod of that subnet on that node reached the gateway, 0: one tried, -1: nobody tried. */
static int gateway_from(const struct judge *j, const struct testpod *of)
{
    int best = -1;

    for (size_t i = 0; i < j->p->count; i++) {
        const struct conn_pair *pair = &j->p->items[i];

        if (!strcmp(pair->check, "gateway") && pair->from->net == of->net &&
            !strcmp(pair->from->node, of->node) && (pair->received || best < 0))
            best = pair->received > 0;
    }
    return best;
}

static bool is_at(const struct conn_pair *pair, const char *node)
{
    return !strcmp(pair->from->node, node) || (pair->to && !strcmp(pair->to->node, node));
}

/* Does another VLAN of the same NIC come to one of the two nodes (`b` may be NULL) from outside?
 * 1: it does, 0: none does, -1: there is none. */
static int other_vlan_at(const struct judge *j, const struct testnet *net, const char *a,
                         const char *b)
{
    int best = -1;

    for (size_t i = 0; i < j->p->count; i++) {
        const struct conn_pair *pair = &j->p->items[i];

        if (pair->from->net->vlan == net->vlan || strcmp(pair->from->net->master, net->master) ||
            (strcmp(pair->check, "gateway") != 0 && strcmp(pair->check, "cross-node") != 0))
            continue;
        if (pair->is_done && (is_at(pair, a) || (b && is_at(pair, b))) &&
            (pair->received || best < 0))
            best = pair->received > 0;
    }
    return best;
}

static bool reaches_gateway(const struct judge *j, const struct testnet *net)
{
    for (size_t i = 0; i < j->p->count; i++)
        if (!strcmp(j->p->items[i].check, "gateway") && j->p->items[i].from->net == net &&
            j->p->items[i].received)
            return true;
    return false;
}

/* The node whose link to the VLAN is broken, where the gateway tells; or NULL. */
static const char *lonely_node(const struct judge *j, const struct conn_pair *pair)
{
    int a = gateway_from(j, pair->from), b = gateway_from(j, pair->to);

    if (a == 1 && b == 0)
        return pair->to->node;
    return a == 0 && b == 1 ? pair->from->node : NULL;
}

static void cause_of_trunk(const struct judge *j, const struct testnet *net, const char *where)
{
    if (net->vlan)
        conn_cause(j->r,
                   "the switch port of '%s' on %s does not carry VLAN %u: make it a trunk "
                   "that lets it through",
                   net->master, where, net->vlan);
}

/* On `node`, or on one of two where that is NULL. A switch that drops the pods' MACs drops them on
 * all VLANs. */
static void causes_of_the_wire(const struct judge *j, const struct conn_pair *pair,
                               const char *node)
{
    const struct testnet *net = pair->from->net;
    const char *where = node ? node : "one of the two nodes";
    int other = node ? other_vlan_at(j, net, node, NULL)
                     : other_vlan_at(j, net, pair->from->node, pair->to->node);

    if (other != 0)
        cause_of_trunk(j, net, where);
    conn_cause(j->r,
               "the virtual switch below %s drops the frames of foreign MACs: allow "
               "promiscuous mode, MAC changes and forged transmits (VMware), MAC spoofing "
               "(Hyper-V), or port security off (OpenStack)",
               where);
    if (other == 0)
        cause_of_trunk(j, net, where);
    conn_cause(j->r,
               "'%s' is not promiscuous there, or its VLAN device is not what it should be: "
               "run 'flatnet test node' on %s",
               net->master, where);
}

static void causes_of_overlay(const struct judge *j, const struct conn_pair *pair)
{
    const struct flannel_node *from = flannel_nodes_find(&j->p->nodes, pair->from->node);
    const struct flannel_node *to = flannel_nodes_find(&j->p->nodes, pair->to->node);

    if (from && to) {
        flannel_cause_elsewhere(from, to->internal_ip, j->r);
        flannel_cause_elsewhere(to, from->internal_ip, j->r);
    }
    conn_cause(j->r,
               "the pods' network between %s and %s is broken: run 'flatnet test node' on both",
               pair->from->node, pair->to->node);
}

static void causes_of_silence(const struct judge *j, const struct conn_pair *pair)
{
    const struct testnet *net = pair->from->net;

    if (!strcmp(pair->check, "overlay")) {
        causes_of_overlay(j, pair);
    } else if (!strcmp(pair->check, "mtu")) {
        conn_cause(j->r,
                   "a switch between %s and %s has a smaller MTU: raise it, or set the "
                   "subnet's mtu",
                   pair->from->node, pair->to->node);
    } else if (!strcmp(pair->check, "gateway")) {
        if (!reaches_gateway(j, net))
            conn_cause(j->r,
                       "nothing on VLAN %u has the gateway's address: see the subnet's gateway "
                       "and the router",
                       net->vlan);
        causes_of_the_wire(j, pair, pair->from->node);
    } else if (!strcmp(pair->check, "routed")) {
        conn_cause(j->r, "the router between the VLANs has no route, or filters");
        conn_cause(j->r, "the pods have no route by their VLAN: give the subnets routes, or "
                         "podDefaultGateway");
    } else if (!strcmp(pair->from->node, pair->to->node)) {
        conn_cause(j->r, "the subnet's mode is private or vepa: pods of one host do not reach each "
                         "other then");
        conn_cause(j->r, "the two stand on different VLAN devices: run 'flatnet test node' on %s",
                   pair->from->node);
    } else {
        causes_of_the_wire(j, pair, lonely_node(j, pair));
    }
}

static void causes_of_leaking(const struct judge *j, const struct conn_pair *pair)
{
    conn_cause(j->r,
               "the switch port of '%s' on %s or %s is an access port, or its native VLAN is "
               "%u or %u: both VLANs end up in one",
               pair->from->net->master, pair->from->node, pair->to->node, pair->from->net->vlan,
               pair->to->net->vlan);
    conn_cause(j->r, "a router answers ARP for others (proxy ARP), or a bridge joins the VLANs");
}

static void judge_bad(const struct judge *j, const struct conn_pair *pair)
{
    auto_free char *subject = xasprintf("%s: %s > %s", pair->from->net->name, pair->from->name,
                                        pair->to ? pair->to->name : "gateway");
    char address[IP_TEXT_SIZE];

    (void)ip_format(pair->target, address);
    if (pair->must_reach) {
        conn_say(j->r, CONN_FAIL, pair->check, subject, "%s does not answer %s%s%s", address,
                 pair->size ? "packets of full size" : "pings", pair->error ? ": " : "",
                 pair->error ? pair->error : "");
        causes_of_silence(j, pair);
    } else {
        conn_say(j->r, CONN_FAIL, pair->check, subject,
                 "%s of subnet '%s' answers on VLAN %u of '%s'", address, pair->to->net->name,
                 pair->from->net->vlan, pair->from->net->name);
        causes_of_leaking(j, pair);
    }
}

static void judge_loss(const struct judge *j, const struct conn_pair *pair)
{
    auto_free char *subject = xasprintf("%s: %s > %s", pair->from->net->name, pair->from->name,
                                        pair->to ? pair->to->name : "gateway");

    conn_say(j->r, CONN_WARN, pair->check, subject, "%u of %u pings have an answer", pair->received,
             pair->sent);
    conn_cause(j->r, "a link that is full or flaps, or two hosts with one MAC or address: see "
                     "check 'duplicate'");
}

static void say_good(const struct judge *j, const char *check, const struct testnet *net, size_t n,
                     int64_t least, int64_t most)
{
    bool is_isolation = !strcmp(check, "isolation");

    if (is_isolation)
        conn_say(j->r, CONN_PASS, check, net->name, "%zu pings into other VLANs have no answer", n);
    else
        conn_say(j->r, CONN_PASS, check, net->name, "%zu of %zu, %.1f to %.1f ms", n, n,
                 (double)least / 1000, (double)most / 1000);
}

static void judge_check(const struct judge *j, const char *check, const struct testnet *net)
{
    size_t n = 0, bad = 0;
    int64_t least = INT64_MAX, most = 0;

    for (size_t i = 0; i < j->p->count; i++) {
        const struct conn_pair *pair = &j->p->items[i];

        if (!pair->is_done || pair->from->net != net || strcmp(pair->check, check) != 0)
            continue;
        n++;
        if (!is_as_expected(pair)) {
            bad++;
            judge_bad(j, pair);
        } else if (pair->must_reach && pair->received < pair->sent) {
            bad++;
            judge_loss(j, pair);
        }
        least = pair->rtt_us < least ? pair->rtt_us : least;
        most = pair->rtt_us > most ? pair->rtt_us : most;
    }
    if (n && !bad)
        say_good(j, check, net, n, least, most);
}

void conn_pairs_judge(const struct conn_pairs *p, const struct testpods *t, struct conn_report *r)
{
    static const char *const checks[] = {"same-node", "cross-node", "namespace", "isolation",
                                         "routed",    "gateway",    "overlay",   "mtu"};
    struct judge j = {.p = p, .r = r};

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        for (size_t k = 0; k < t->n_nets; k++)
            judge_check(&j, checks[i], &t->nets[k]);
}
