/* The admission webhook: what it knows of the cluster, and its server. */
#include "ctl_webhook.h"

#include "admission.h"
#include "ctl_pod.h"
#include "holders.h"
#include "http_server.h"
#include "macvlan/macvlanip.h"
#include "webhook_cert.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The API server keeps a connection without a request for 90 s; were we to close it first, a
 * review that is just being sent would be lost. */
#define IDLE_S 120

struct ctl_webhook {
    struct ctl *c;
    struct http_server *server;
    struct holders *holders;
    struct keeper *keeper;
};

/* --- whose an address is --- */

static bool is_pod_of(const struct ctl *c, const char *key, const char *uid,
                      const struct admission_owner *owner)
{
    const struct ctl_pod *pod = ctl_pods_get(c->pods, key);

    return pod && !strcmp(pod->svc->uid, uid) && !strcmp(pod->svc->namespace, owner->namespace) &&
           ctl_pod_is_of(pod, owner->kind, owner->name);
}

static bool is_ip_of(const struct ctl *c, const struct macvlanip *ip,
                     const struct admission_owner *owner)
{
    auto_free char *key = NULL;

    if (strcmp(ip->namespace, owner->namespace) != 0)
        return false;
    key = xasprintf("%s/%s", ip->namespace, ip->name);
    if (is_pod_of(c, key, ip->pod_uid, owner))
        return true;
    /* A StatefulSet keeps it while its pod is away. */
    return ip->owner == MACVLANIP_STATEFULSET && !strcmp(owner->kind, "StatefulSet") &&
           ctl_pod_is_numbered(ip->name, owner->name);
}

/* What is promised and not made yet; there are as many as there are requests under way. */
struct promises {
    const struct ctl *c;
    const struct subnet *s;
    const struct admission_owner *owner;
    struct ip_addr ip;        /* AF_UNSPEC: asked for the MAC */
    const struct ip_mac *mac; /* NULL: asked for the address */
    size_t n_own, n_others;
};

static bool same_segment(const struct subnet *a, const struct subnet *b)
{
    return a->is_valid && b->is_valid && !strcmp(a->master, b->master) && a->vlan == b->vlan;
}

static void look_at(void *arg, const struct ledger_intent *intent)
{
    struct promises *p = arg;
    const struct subnet *s = ledger_subnet(intent->net);
    const struct annot_pair *pair = &intent->pair;

    if (p->mac ? !pair->has_mac || ip_mac_value(pair->mac) != ip_mac_value(*p->mac) ||
                     !same_segment(s, p->s)
               : s != p->s || ip_compare(pair->ip, p->ip) != 0)
        return;
    if (is_pod_of(p->c, intent->pod_key, intent->pod_uid, p->owner))
        p->n_own++;
    else
        p->n_others++;
}

static bool is_address_of(const struct ctl_webhook *w, const struct subnet *s, struct ip_addr ip,
                          const struct admission_owner *owner)
{
    struct promises p = {.c = w->c, .s = s, .owner = owner, .ip = ip};
    size_t n, n_own = 0;
    const struct macvlanip *const *holders = holders_of_ip(w->holders, ip, &n);

    for (size_t i = 0; i < n; i++) {
        if (strcmp(holders[i]->subnet, s->name) != 0)
            continue;
        if (!is_ip_of(w->c, holders[i], owner))
            return false;
        n_own++;
    }
    ledger_each_intent(w->c->ledger, look_at, &p);
    return !p.n_others && n_own + p.n_own > 0;
}

/* --- what a review asks --- */

static const struct subnet *find_subnet(void *arg, const char *name)
{
    const struct ctl_webhook *w = arg;
    const struct ledger_net *net = ledger_find_subnet(w->c->ledger, name);

    return net ? ledger_subnet(net) : NULL;
}

struct overlap {
    const struct subnet *s;
    struct err **e;
    int status;
};

static void look_for_overlap(void *arg, struct ledger_net *net)
{
    struct overlap *o = arg;
    const struct subnet *other = ledger_subnet(net);

    if (o->status == 0 && other->is_valid && strcmp(other->name, o->s->name) != 0)
        o->status = subnet_check_overlap(o->s, other, o->e);
}

static int check_overlap(void *arg, const struct subnet *s, struct err **e)
{
    const struct ctl_webhook *w = arg;
    struct overlap o = {.s = s, .e = e};

    ledger_each_subnet(w->c->ledger, look_for_overlap, &o);
    return o.status;
}

static size_t count_used(void *arg, const char *subnet)
{
    const struct ctl_webhook *w = arg;
    const struct ledger_net *net = ledger_find_subnet(w->c->ledger, subnet);

    return net ? ledger_holders(net) : 0;
}

static int check_ip(void *arg, const struct subnet *s, struct ip_addr ip,
                    const struct admission_owner *owner, struct annot_refusal *out_refusal)
{
    const struct ctl_webhook *w = arg;
    const struct ledger_net *net = ledger_find_subnet(w->c->ledger, s->name);
    /* Two templates may name one address: of a workload that is stopped while the other runs. */
    struct annot_source from = {.alloc = ledger_alloc(net), .may_take_reserved = true};

    if (alloc_check(from.alloc, ip, from.may_take_reserved) == ALLOC_USED &&
        is_address_of(w, s, ip, owner))
        return 0;
    return annot_check_ip(ip, &from, out_refusal);
}

static bool is_mac_used(void *arg, const struct subnet *s, struct ip_mac mac,
                        const struct admission_owner *owner)
{
    const struct ctl_webhook *w = arg;
    struct promises p = {.c = w->c, .s = s, .owner = owner, .mac = &mac};
    size_t n;
    const struct macvlanip *const *holders = holders_of_mac(w->holders, mac, &n);

    for (size_t i = 0; i < n; i++) {
        const struct ledger_net *net = ledger_find_subnet(w->c->ledger, holders[i]->subnet);

        if (net && same_segment(ledger_subnet(net), s) && !is_ip_of(w->c, holders[i], owner))
            return true;
    }
    ledger_each_intent(w->c->ledger, look_at, &p);
    return p.n_others > 0;
}

static const char *project_of(void *arg, const char *namespace)
{
    const struct ctl_webhook *w = arg;

    return ctl_spaces_project(w->c->spaces, namespace);
}

/* --- the server --- */

static void count(struct ctl_webhook *w, const char *result)
{
    metrics_add(w->c->metrics, METRIC_REVIEWS, result, NULL, 1);
}

static void on_review(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    struct ctl_webhook *w = arg;
    struct admission_lookup lookup = {.arg = w,
                                      .subnet = find_subnet,
                                      .check_overlap = check_overlap,
                                      .count_used = count_used,
                                      .check_ip = check_ip,
                                      .is_mac_used = is_mac_used,
                                      .project = project_of,
                                      .is_multus = w->c->options->is_multus,
                                      .legacy_octets = w->c->options->legacy_octets};
    auto_err struct err *e = NULL;
    int r;

    if (!ctl_has_synced(w->c)) {
        count(w, "unready");
        reply->status = 503;
        (void)buf_addstr(&reply->body, "the stores are not complete yet\n");
        return;
    }
    r = admission_review(&lookup, body, len, &reply->body, &e);
    count(w, r < 0 ? "error" : r ? "refused" : "allowed");
    if (r >= 0) {
        reply->content_type = "application/json";
        return;
    }
    log_warn("a review cannot be answered: %s", err_text(e));
    reply->status = 400;
    buf_clear(&reply->body);
    (void)buf_addf(&reply->body, "%s\n", err_text(e));
}

int ctl_webhook_new(struct ctl *c, struct err **e)
{
    const struct ctl_options *o = c->options;
    auto_webhook_cert struct webhook_cert nobodys = {.ca_pem = NULL};
    struct http_server_options options = {.base = c->base,
                                          .listen = o->webhook_listen,
                                          .max_body = ADMISSION_MAX_BODY,
                                          .timeout_s = IDLE_S};
    struct http_server *server = NULL;
    int r = webhook_cert_make(o->webhook_service, o->webhook_ns, time(NULL), &nobodys, e);

    options.cert_pem = nobodys.cert_pem;
    options.key_pem = nobodys.key_pem;
    if (r == 0)
        r = http_server_new(&options, &server, e);
    if (r < 0)
        return r;
    c->webhook = xcalloc(1, sizeof(*c->webhook));
    *c->webhook = (struct ctl_webhook){c, server, holders_new(), keeper_new(c, server)};
    http_server_route(server, HTTP_POST, "/validate", on_review, c->webhook);
    log_info("webhook port=%u", http_server_port(server));
    return 0;
}

void ctl_webhook_free(struct ctl_webhook *w)
{
    if (!w)
        return;
    keeper_free(w->keeper);
    http_server_free(w->server);
    holders_free(w->holders);
    free(w);
}

bool ctl_webhook_has_synced(const struct ctl_webhook *w)
{
    return keeper_has_synced(w->keeper);
}

void ctl_webhook_start(struct ctl_webhook *w)
{
    keeper_start(w->keeper);
}

void ctl_webhook_stop(struct ctl_webhook *w)
{
    keeper_stop(w->keeper);
}

void ctl_webhook_ip_changed(struct ctl_webhook *w, const struct macvlanip *before,
                            const struct macvlanip *now)
{
    if (before)
        holders_remove(w->holders, before);
    if (now)
        holders_add(w->holders, now);
}
