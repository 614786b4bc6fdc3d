/* Subnets: defaults, labels, the finalizer, events of what is wrong with them. */
#include "ctl_subnets.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define TAKE_AGAIN_MS 10000 /* a subnet whose status the server has refused */

/* --- what is watched --- */

/* The ledger takes the subnet out of the store, which only keeps that it is there. */
struct seen {
    struct subnet *subnet;
    int64_t generation;
    bool is_deleting, is_valid;
    char *project;
};

static void *parse(void *arg, const cJSON *object)
{
    struct ctl_subnets *s = arg;
    auto_err struct err *e = NULL;
    struct seen *seen;
    struct subnet *subnet;

    if (subnet_parse(object, s->c->options->legacy_octets, &subnet, &e) < 0) {
        log_warn("a MacvlanSubnet cannot be used: %s", err_text(e));
        return NULL;
    }
    seen = xcalloc(1, sizeof(*seen));
    *seen = (struct seen){subnet, subnet->generation, subnet->is_deleting, subnet->is_valid,
                          xstrdup(subnet->project)};
    return seen;
}

static void free_seen(void *value)
{
    struct seen *seen = value;

    subnet_free(seen->subnet);
    free(seen->project);
    free(seen);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

/* Whether pods that wait may be helped: not by a status of our own. */
static bool matters(const struct seen *a, const struct seen *b)
{
    return a->generation != b->generation || a->is_deleting != b->is_deleting ||
           a->is_valid != b->is_valid || !same_text(a->project, b->project);
}

/* Another subnet may be in the way of this one no longer. */
static void queue_one(void *arg, struct ledger_net *net)
{
    struct ctl_subnets *s = arg;

    kube_queue_add(s->queue, ledger_subnet(net)->name);
}

static void on_changed(void *arg, const char *key, const void *before, const void *now)
{
    struct ctl_subnets *s = arg;
    struct ctl *c = s->c;
    auto_free char *ns = NULL;
    const char *name = ctl_split(key, &ns);
    struct seen *seen = (struct seen *)(uintptr_t)now;

    if (now)
        (void)ledger_put_subnet(c->ledger, take(seen->subnet));
    else
        ledger_remove_subnet(c->ledger, name);
    if (!now || !before || matters(before, now)) {
        ledger_each_subnet(c->ledger, queue_one, s);
        if (c->pods)
            ctl_pods_wake(c->pods, name);
        if (ctl_is_leading(c))
            ctl_copies_check(c->copies, name);
    }
    kube_queue_add(s->queue, name);
}

/* --- the finalizer --- */

static bool wants_finalizer(const struct ledger_net *net)
{
    return ledger_holders(net) > 0;
}

static void on_read_finalizers(void *arg, const char *name, const struct kube_reply *reply)
{
    struct ctl_subnets *s = arg;
    struct ctl *c = s->c;
    struct ledger_net *net = ledger_find_subnet(c->ledger, name);
    auto_free char *path = xasprintf(CTL_SUBNETS "/%s", name);

    if (!net || !ctl_may_write(c)) {
        kube_queue_done(s->queue, name);
        return;
    }
    ctl_step(c, s->queue, name,
             &(struct ctl_request){.what = "write its finalizers",
                                   .method = "PATCH",
                                   .path = path,
                                   .body = ctl_finalizer_patch(reply->body, SUBNET_FINALIZER,
                                                               wants_finalizer(net))});
}

/* --- one subnet --- */

static void tell_findings(struct ctl_subnets *s, const struct subnet *subnet)
{
    struct writer *w = writer_get(s, subnet->name);
    struct kube_event_object object = {"macvlan.cluster.cattle.io/v1",
                                       "MacvlanSubnet",
                                       CTL_SUBNET_NS,
                                       subnet->name,
                                       subnet->uid,
                                       NULL};

    if (w->told_generation == subnet->generation)
        return;
    w->told_generation = subnet->generation;
    for (size_t i = 0; i < subnet->n_findings; i++)
        kube_event_warn(s->c->events, &object, ANNOT_SUBNET_ERROR, "%s", subnet->findings[i].text);
}

static void handle(void *arg, const char *key)
{
    struct ctl_subnets *s = arg;
    struct ctl *c = s->c;
    struct ledger_net *net = ledger_find_subnet(c->ledger, key);
    const struct subnet *subnet = net ? ledger_subnet(net) : NULL;
    auto_free char *path = xasprintf(CTL_SUBNETS "/%s", key);
    struct writer *w;

    if (!net) {
        metrics_forget(c->metrics, METRIC_SUBNET_ADDRESSES, key);
        kube_queue_done(s->queue, key);
        return;
    }
    w = writer_get(s, key);
    if (!w->epoch && !w->is_taking)
        writer_take(w);
    tell_findings(s, subnet);
    ctl_subnets_touch(s, key);
    if (subnet->has_finalizer != wants_finalizer(net)) {
        ctl_step(c, s->queue, key,
                 &(struct ctl_request){.what = "read its finalizers",
                                       .method = "GET",
                                       .path = path,
                                       .then = on_read_finalizers,
                                       .arg = s});
        return;
    }
    if (subnet->is_valid && subnet->patch && !subnet->is_deleting && ctl_may_write(c)) {
        ctl_step(c, s->queue, key,
                 &(struct ctl_request){.what = "write its defaults",
                                       .method = "PATCH",
                                       .path = path,
                                       .body = cJSON_Duplicate(subnet->patch, 1)});
        return;
    }
    kube_queue_done(s->queue, key);
}

/* --- taking over --- */

static void on_read_ips(struct ctl *c, const struct err *e)
{
    if (e) {
        ctl_fail(c, "cannot read the MacvlanIPs: %s", err_text(e));
        return;
    }
    for (struct writer *w = c->subnets->writers; w; w = w->hh.next) {
        if (!w->is_reading)
            continue;
        w->is_reading = false;
        ctl_pods_wake(c->pods, w->name);
    }
    ctl_pods_check_promises(c->pods);
}

void subnets_taken(struct ctl_subnets *s, struct writer *w)
{
    if (s->n_taking) {
        if (--s->n_taking == 0)
            s->taken_over(s->c);
        return;
    }
    if (!w->epoch) {
        log_warn("no addresses are given out of subnet '%s'; its status cannot be written",
                 w->name);
        kube_queue_add_after(s->queue, w->name, TAKE_AGAIN_MS);
        return;
    }
    /* It came to us after the take-over, but another leader has used it before. */
    w->is_reading = w->had_epoch;
    if (w->is_reading)
        ctl_ips_read_all(s->c->ips, on_read_ips);
    else
        ctl_pods_wake(s->c->pods, w->name);
}

bool ctl_subnets_is_ready(const struct ctl_subnets *s, const char *subnet)
{
    const struct writer *w;

    HASH_FIND_STR(s->writers, subnet, w);
    return w && w->epoch && !w->is_taking && !w->is_reading;
}

static void take_one(void *arg, struct ledger_net *net)
{
    struct ctl_subnets *s = arg;

    s->n_taking++;
    writer_take(writer_get(s, ledger_subnet(net)->name));
}

void ctl_subnets_take_over(struct ctl_subnets *s, void (*done)(struct ctl *c))
{
    s->taken_over = done;
    ledger_each_subnet(s->c->ledger, take_one, s);
    if (!s->n_taking)
        done(s->c);
}

/* --- the part --- */

struct ctl_subnets *ctl_subnets_new(struct ctl *c)
{
    static const struct kube_informer_ops ops = {.parse = parse,
                                                 .free_value = free_seen,
                                                 .changed = on_changed,
                                                 .synced = ctl_on_synced,
                                                 .failed = ctl_on_list_failed};
    struct ctl_subnets *s = xcalloc(1, sizeof(*s));

    s->c = c;
    s->queue = ctl_queue(c, "subnets", 4, handle, s);
    s->informer = ctl_informer(c, CTL_SUBNETS, NULL, &ops, s);
    return s;
}

void ctl_subnets_free(struct ctl_subnets *s)
{
    struct writer *w, *next;

    if (!s)
        return;
    kube_informer_free(s->informer);
    ctl_queue_free(s->c, s->queue);
    HASH_ITER(hh, s->writers, w, next)
    {
        HASH_DEL(s->writers, w);
        writer_free(w);
    }
    free(s);
}

void ctl_subnets_start(struct ctl_subnets *s)
{
    kube_queue_start(s->queue);
}

void ctl_subnets_stop(struct ctl_subnets *s)
{
    s->is_stopped = true;
    kube_queue_stop(s->queue);
}

bool ctl_subnets_has_synced(const struct ctl_subnets *s)
{
    return kube_informer_has_synced(s->informer);
}
