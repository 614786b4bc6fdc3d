/* Pods: who needs what now. */
#include "ctl_work.h"

#include "hash.h"
#include "kube/kube_loop.h"
#include "log.h"
#include "macvlan/alloc.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define WORKERS 256    /* pods between two answers: what comes together shares an intent's PUT */
#define EXPIRY_MS 1000 /* how exactly the time of rest of an address is kept */

/* --- works --- */

struct work *work_new(struct ctl_pods *p, const char *key, const char *pod_uid)
{
    struct work *w = xcalloc(1, sizeof(*w));

    w->p = p;
    w->key = xstrdup(key);
    w->pod_uid = xstrdup(pod_uid);
    DL_APPEND(p->works, w);
    return w;
}

static void work_free(struct work *w)
{
    kube_call_cancel(w->call);
    DL_DELETE(w->p->works, w);
    free(w->key);
    free(w->pod_uid);
    free(w->ip_uid);
    free(w);
}

void work_done(struct work *w)
{
    kube_queue_done(w->p->queue, w->key);
    work_free(w);
}

void work_retry(struct work *w, const char *what, const struct kube_reply *reply)
{
    ctl_retry(w->p->queue, w->key, what, reply);
    work_free(w);
}

void work_retry_after(struct work *w, int64_t ms)
{
    kube_queue_add_after(w->p->queue, w->key, ms);
    work_done(w);
}

const struct ctl_pod *work_pod(const struct work *w)
{
    const struct ctl_pod *pod = kube_informer_get(w->p->informer, w->key);

    return pod && !pod->svc->is_terminated && !strcmp(pod->svc->uid, w->pod_uid) ? pod : NULL;
}

char *work_ip_path(const struct work *w)
{
    auto_free char *ns = NULL;
    const char *name = ctl_split(w->key, &ns);

    return xasprintf("/apis/macvlan.cluster.cattle.io/v1/namespaces/%s/macvlanips/%s", ns, name);
}

void work_delete_ip(struct work *w, const struct macvlanip *ip, kube_done on_done)
{
    auto_free char *path = work_ip_path(w);

    if (ctl_may_write(w->p->c))
        w->call = ctl_send(w->p->c, "DELETE", path,
                           ctl_delete_options(ip->uid, ip->resource_version), on_done, w);
}

/* --- what people are told --- */

static struct note *find_note(const struct ctl_pods *p, const char *key)
{
    struct note *n;

    HASH_FIND_STR(p->notes, key, n);
    return n;
}

static void drop_note(struct ctl_pods *p, struct note *n)
{
    HASH_DEL(p->notes, n);
    free(n->key);
    free(n->uid);
    free(n->subnet);
    free(n);
}

static struct note *get_note(struct ctl_pods *p, const char *key, const char *uid)
{
    struct note *n = find_note(p, key);

    if (n && strcmp(n->uid, uid)) {
        drop_note(p, n);
        n = NULL;
    }
    if (n)
        return n;
    n = xcalloc(1, sizeof(*n));
    n->key = xstrdup(key);
    n->uid = xstrdup(uid);
    HASH_ADD_KEYPTR(hh, p->notes, n->key, strlen(n->key), n);
    return n;
}

void pods_warn(struct ctl_pods *p, const struct ctl_pod *pod, enum told what, const char *reason,
               const char *text)
{
    const struct svc_pod *svc = pod->svc;
    auto_free char *key = xasprintf("%s/%s", svc->namespace, svc->name);
    struct note *n = get_note(p, key, svc->uid);
    struct kube_event_object object = {"v1", "Pod", svc->namespace, svc->name, svc->uid, NULL};

    if (n->texts[what] == hash_text(text))
        return;
    n->texts[what] = hash_text(text);
    log_info("%s: %s", key, text);
    kube_event_warn(p->c->events, &object, reason, "%s", text);
}

void pods_wait(struct ctl_pods *p, const struct ctl_pod *pod, const struct annot_request *r)
{
    auto_free char *key = xasprintf("%s/%s", pod->svc->namespace, pod->svc->name);
    struct note *n = get_note(p, key, pod->svc->uid);

    free(n->subnet);
    n->subnet = xstrdup(r->subnet);
    n->is_auto = r->n_ips == 0;
    n->is_waiting = true;
}

static void wake(struct ctl_pods *p, const char *subnet, bool all)
{
    bool has_auto = false;

    for (struct note *n = p->notes; n; n = n->hh.next) {
        if (!n->is_waiting || strcmp(n->subnet, subnet) || (n->is_auto && has_auto && !all))
            continue;
        has_auto |= n->is_auto;
        n->is_waiting = false;
        n->is_woken = n->is_auto;
        kube_queue_add(p->queue, n->key);
    }
}

void ctl_pods_wake(struct ctl_pods *p, const char *subnet)
{
    wake(p, subnet, true);
}

void ctl_pods_wake_one(struct ctl_pods *p, const char *subnet)
{
    wake(p, subnet, false);
}

/* --- one key --- */

static void handle_living(struct ctl_pods *p, const char *key, const struct ctl_pod *pod,
                          const struct macvlanip *ip)
{
    struct work *w;

    if (pod->half)
        pods_warn(p, pod, TOLD_HALF, ANNOT_IP_ERROR, pod->half);
    if (!pod->svc->is_macvlan) {
        kube_queue_done(p->queue, key);
        return;
    }
    if (pod->svc->is_deleted && (!ip || strcmp(ip->pod_uid, pod->svc->uid) != 0)) {
        kube_queue_done(p->queue, key); /* its network is not set up any more */
        return;
    }
    w = work_new(p, key, pod->svc->uid);
    if (ip && !strcmp(ip->pod_uid, pod->svc->uid))
        give_labels(w, ip->ip, ip->has_mac ? &ip->mac : NULL);
    else
        give_begin(w);
}

/* The one that was woken for an address may be gone by now, or have another one. */
static void pass_on(struct ctl_pods *p, const char *key, const struct ctl_pod *pod,
                    const struct macvlanip *ip)
{
    struct note *n = find_note(p, key);
    bool takes = pod && n && !pod->svc->is_terminated && !pod->svc->is_deleted &&
                 !strcmp(pod->svc->uid, n->uid) && (!ip || strcmp(ip->pod_uid, n->uid) != 0) &&
                 !ctl_ips_is_made(p->c->ips, n->uid);

    if (!n || !n->is_woken)
        return;
    n->is_woken = false;
    if (!takes)
        ctl_pods_wake_one(p, n->subnet);
}

static void handle(void *arg, const char *key)
{
    struct ctl_pods *p = arg;
    const struct ctl_pod *pod = kube_informer_get(p->informer, key);
    const struct macvlanip *ip = ctl_ips_get(p->c->ips, key);
    const char *uid = pod && !pod->svc->is_terminated ? pod->svc->uid : "";
    struct note *n;

    if (!ctl_may_write(p->c))
        return;
    pass_on(p, key, pod, ip);
    if (gone_has_promises(p, key, uid)) {
        gone_promises(work_new(p, key, uid));
        return;
    }
    if (pod && !pod->svc->is_terminated) {
        handle_living(p, key, pod, ip);
        return;
    }
    n = find_note(p, key);
    if (n)
        drop_note(p, n);
    if (ip)
        gone_begin(work_new(p, key, pod ? pod->svc->uid : ""), ip);
    else
        kube_queue_done(p->queue, key);
}

/* --- what is watched --- */

static void *parse(void *arg, const cJSON *object)
{
    struct ctl_pods *p = arg;

    return ctl_pod_new(object, p->c->options->is_multus);
}

static bool concerns_us(const struct ctl_pod *pod)
{
    return pod && (pod->svc->is_macvlan || pod->half);
}

static void on_changed(void *arg, const char *key, const void *before, const void *now)
{
    struct ctl_pods *p = arg;
    const struct ctl_pod *was = before, *is = now;

    if (was && is)
        ((struct ctl_pod *)(uintptr_t)is)->seen_us = was->seen_us;
    ctl_services_pod(p->c->services, (struct ctl_pod *)(uintptr_t)was,
                     (struct ctl_pod *)(uintptr_t)is);
    if (concerns_us(was) || concerns_us(is))
        kube_queue_add(p->queue, key);
}

static void expire_one(void *arg, struct ledger_net *net)
{
    struct ctl_pods *p = arg;
    struct alloc *alloc = ledger_alloc(net);
    int64_t now = kube_now_ms(), next = alloc ? alloc_expire(alloc, 0) : 0;

    if (!next || next > now)
        return;
    (void)alloc_expire(alloc, now);
    ctl_pods_wake(p, ledger_subnet(net)->name);
    ctl_subnets_touch(p->c->subnets, ledger_subnet(net)->name);
}

static void on_expiry(void *arg)
{
    struct ctl_pods *p = arg;

    ledger_each_subnet(p->c->ledger, expire_one, p);
    kube_timer_set(p->expiry, EXPIRY_MS);
}

/* --- the part --- */

struct ctl_pods *ctl_pods_new(struct ctl *c)
{
    static const struct kube_informer_ops ops = {.parse = parse,
                                                 .free_value = ctl_pod_free,
                                                 .changed = on_changed,
                                                 .synced = ctl_on_synced,
                                                 .failed = ctl_on_list_failed};
    struct ctl_pods *p = xcalloc(1, sizeof(*p));

    p->c = c;
    p->queue = ctl_queue(c, "pods", WORKERS, handle, p);
    p->informer = ctl_informer(c, "/api/v1/pods", NULL, &ops, p);
    p->expiry = kube_timer_new(c->base, on_expiry, p);
    kube_timer_set(p->expiry, EXPIRY_MS);
    return p;
}

void ctl_pods_free(struct ctl_pods *p)
{
    struct work *w, *next;
    struct note *n, *next_note;

    if (!p)
        return;
    DL_FOREACH_SAFE(p->works, w, next)
    work_free(w);
    HASH_ITER(hh, p->notes, n, next_note)
    drop_note(p, n);
    kube_timer_free(p->expiry);
    kube_informer_free(p->informer);
    ctl_queue_free(p->c, p->queue);
    free(p);
}

void ctl_pods_start(struct ctl_pods *p)
{
    kube_queue_start(p->queue);
}

void ctl_pods_stop(struct ctl_pods *p)
{
    kube_queue_stop(p->queue);
}

bool ctl_pods_has_synced(const struct ctl_pods *p)
{
    return kube_informer_has_synced(p->informer);
}

void ctl_pods_add(struct ctl_pods *p, const char *key)
{
    kube_queue_add(p->queue, key);
}

const struct ctl_pod *ctl_pods_get(const struct ctl_pods *p, const char *key)
{
    return kube_informer_get(p->informer, key);
}

bool ctl_pods_lives(const struct ctl_pods *p, const char *key, const char *uid)
{
    const struct ctl_pod *pod = kube_informer_get(p->informer, key);

    return pod && !pod->svc->is_terminated && !strcmp(pod->svc->uid, uid);
}

static void check_promise(void *arg, const struct ledger_intent *intent)
{
    ctl_pods_add(arg, intent->pod_key);
}

void ctl_pods_check_promises(struct ctl_pods *p)
{
    ledger_each_intent(p->c->ledger, check_promise, p);
}
