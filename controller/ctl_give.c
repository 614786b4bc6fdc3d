/* A pod gets its address: intent, MacvlanIP, labels. */
#include "ctl_work.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BEHIND_MS 1000    /* between looks while the watch has not told of what there is */
#define NOT_READY_MS 1000 /* a subnet that is being taken over wakes its pods earlier */

static void count(struct work *w, const char *result)
{
    metrics_add(w->p->c->metrics, METRIC_ALLOCATIONS, result, NULL, 1);
}

/* --- labels: the last step --- */

static void on_labelled(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    const struct ctl_pod *pod = work_pod(w);

    w->call = NULL;
    if (pod && reply->status == 0)
        ((struct ctl_pod *)(uintptr_t)pod)->labelled = w->label;
    /* The pod is gone, or another one bears its name by now. */
    if (reply->status == 0 || reply->status == -ENOENT || !pod)
        work_done(w);
    else
        work_retry(w, "write its labels", reply);
}

void give_labels(struct work *w, struct ip_addr ip, const struct ip_mac *mac)
{
    const struct ctl_pod *pod = work_pod(w);
    auto_annot_request struct annot_request request = {.subnet = NULL};
    auto_annot_refusal struct annot_refusal refusal = {.text = NULL};
    auto_json cJSON *patch = cJSON_CreateObject();
    auto_free char *path = NULL;
    cJSON *meta, *labels;

    if (!pod || ctl_pod_request(pod, &request, &refusal) != 1) {
        work_done(w);
        return;
    }
    labels = annot_labels(&request, ip, mac);
    meta = cJSON_AddObjectToObject(patch, "metadata");
    cJSON_AddItemToObject(meta, "labels", labels);
    if (ctl_pod_has_labels(pod, labels) || ip_compare(pod->labelled, ip) == 0 ||
        !ctl_may_write(w->p->c)) {
        work_done(w);
        return;
    }
    w->label = ip;
    json_add_str(meta, "uid", w->pod_uid);
    path = xasprintf("/api/v1/namespaces/%s/pods/%s", pod->svc->namespace, pod->svc->name);
    w->call = ctl_send(w->p->c, "PATCH", path, take(patch), on_labelled, w);
}

/* --- the MacvlanIP --- */

/* One of that name is there: our own, of an answer that got lost, or that of an earlier pod. */
static void on_existing(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    const char *uid = json_get_str(json_get_obj(reply->body, "spec"), "podId");

    w->call = NULL;
    if (reply->status == 0 && uid && !strcmp(uid, w->pod_uid))
        ctl_ips_put(w->p->c->ips, reply->body);
    if (reply->status < 0)
        work_retry(w, "make its MacvlanIP", reply);
    else
        work_retry_after(w, BEHIND_MS);
}

static void on_created(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    const struct ctl_pod *pod = work_pod(w);
    const struct ledger_intent *intent = ledger_find_intent(w->p->c->ledger, w->pod_uid);
    struct annot_pair pair;

    w->call = NULL;
    if (reply->status == -EEXIST) {
        auto_free char *path = work_ip_path(w);
        w->call = ctl_send(w->p->c, "GET", path, NULL, on_existing, w);
        return;
    }
    if (reply->status < 0) {
        count(w, "error");
        work_retry(w, "make its MacvlanIP", reply);
        return;
    }
    count(w, "success");
    if (!pod || !intent) {
        work_done(w);
        return;
    }
    metrics_observe(w->p->c->metrics, METRIC_ALLOCATION_DURATION, NULL, NULL,
                    (double)(kube_now_us() - pod->seen_us) / 1e6);
    pair = intent->pair;
    /* What was made counts from now on; the watch will say the same. */
    ctl_ips_put(w->p->c->ips, reply->body);
    give_labels(w, pair.ip, pair.has_mac ? &pair.mac : NULL);
}

static cJSON *make_ip(const struct work *w, const struct ctl_pod *pod, const struct ledger_net *net,
                      const struct annot_pair *pair, const struct annot_request *request)
{
    const struct subnet *subnet = ledger_subnet(net);
    struct macvlanip_spec spec = {.namespace = pod->svc->namespace,
                                  .pod_name = pod->svc->name,
                                  .pod_uid = pod->svc->uid,
                                  .set_name = w->is_orphan ? NULL : pod->set_name,
                                  .set_uid = w->is_orphan ? NULL : pod->set_uid,
                                  .project =
                                      ctl_spaces_project(w->p->c->spaces, pod->svc->namespace),
                                  .workload = pod->workload,
                                  .subnet = subnet,
                                  .ip = pair->ip,
                                  .mac = pair->has_mac ? &pair->mac : NULL,
                                  .is_auto = request->n_ips == 0,
                                  .is_delayed = request->n_ips == 0 && !pod->set_uid &&
                                                subnet->delay_reuse_ms > 0};

    return macvlanip_build(&spec);
}

static void create(struct work *w)
{
    struct ctl *c = w->p->c;
    const struct ctl_pod *pod = work_pod(w);
    const struct ledger_intent *intent = ledger_find_intent(c->ledger, w->pod_uid);
    auto_annot_request struct annot_request request = {.subnet = NULL};
    auto_annot_refusal struct annot_refusal refusal = {.text = NULL};
    auto_free char *path = NULL;

    /* What has changed meanwhile has queued the key already. */
    if (!pod || !intent || ctl_pod_request(pod, &request, &refusal) != 1 || !ctl_may_write(c)) {
        work_done(w);
        return;
    }
    path = xasprintf("/apis/macvlan.cluster.cattle.io/v1/namespaces/%s/macvlanips",
                     pod->svc->namespace);
    w->call = ctl_send(c, "POST", path, make_ip(w, pod, intent->net, &intent->pair, &request),
                       on_created, w);
}

/* --- the MacvlanIP of an earlier pod of this name --- */

static void on_replaced(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;

    w->call = NULL;
    if (reply->status < 0 && reply->status != -ENOENT)
        work_retry(w, "delete the MacvlanIP of the pod before", reply);
    else
        work_done(w); /* its end queues the key */
}

static void on_intended(void *arg, int status)
{
    struct work *w = arg;

    if (status < 0)
        work_retry_after(w, 100);
    else
        create(w);
}

void give_intended(struct work *w)
{
    struct ledger_intent *intent = ledger_find_intent(w->p->c->ledger, w->pod_uid);

    if (intent->is_written)
        on_intended(w, 0);
    else
        ctl_subnets_write(w->p->c->subnets, ledger_subnet(intent->net)->name, on_intended, w);
}

/* A pod of a StatefulSet goes on with what the one before had, if that is what it asks for. */
static bool may_inherit(const struct ctl_pod *pod, const struct macvlanip *ip,
                        const struct annot_request *r)
{
    if (ip->owner != MACVLANIP_STATEFULSET || !pod->set_uid ||
        strcmp(ip->owner_uid, pod->set_uid) || strcmp(ip->subnet, r->subnet) || !ip->ip.family)
        return false;
    for (size_t i = 0; i < r->n_ips; i++)
        if (ip_compare(r->ips[i], ip->ip) == 0)
            return true;
    return r->n_ips == 0;
}

/* --- who else has the address of that MacvlanIP --- */

struct rivals {
    struct ctl *c;
    const struct macvlanip *ip;
    const char *pod_uid; /* of the heir */
    bool has_living;
};

static bool meet_ip(void *arg, const char *key, const void *value)
{
    struct rivals *r = arg;
    const struct macvlanip *other = value;

    if (!strcmp(other->uid, r->ip->uid) || strcmp(other->subnet, r->ip->subnet) ||
        ip_compare(other->ip, r->ip->ip) != 0)
        return true;
    r->has_living |= ctl_pods_lives(r->c->pods, key, other->pod_uid);
    ctl_pods_add(r->c->pods, key);
    return true;
}

static void meet_intent(void *arg, const struct ledger_intent *intent)
{
    struct rivals *r = arg;

    if (strcmp(intent->pod_uid, r->pod_uid) != 0 && ip_compare(intent->pair.ip, r->ip->ip) == 0)
        ctl_pods_add(r->c->pods, intent->pod_key);
}

static bool is_shared(const struct work *w, const struct macvlanip *ip,
                      const struct ledger_net *net)
{
    const struct ledger_intent *own = ledger_find_intent(w->p->c->ledger, w->pod_uid);
    unsigned mine = own && own->net == net && ip_compare(own->pair.ip, ip->ip) == 0 ? 2 : 1;

    return ledger_count_holders(net, ip->ip) > mine;
}

/* A living pod that has it too got it while the set had no pod: the set has never had it then. A
 * promise may be to a pod that is gone, without this leader having seen it go: nothing is deleted
 * for that; whoever it is is looked at. */
static bool has_rival(const struct work *w, const struct macvlanip *ip)
{
    struct rivals r = {.c = w->p->c, .ip = ip, .pod_uid = w->pod_uid};

    ctl_ips_each(r.c->ips, meet_ip, &r);
    ledger_each_intent(r.c->ledger, meet_intent, &r);
    return r.has_living;
}

static void on_handed_on(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    struct macvlanip *ip;

    w->call = NULL;
    if (reply->status < 0 || macvlanip_parse(reply->body, &ip, NULL) < 0) {
        work_retry(w, "hand its MacvlanIP on", reply);
        return;
    }
    count(w, "success");
    ctl_ips_put(w->p->c->ips, reply->body);
    give_labels(w, ip->ip, ip->has_mac ? &ip->mac : NULL);
    macvlanip_free(ip);
}

/* In one write, so that there is no moment in which the set has no address; with the version that
 * was seen, so that it fails where anybody else has been. */
static void hand_on(struct work *w, const struct ctl_pod *pod, const struct macvlanip *ip,
                    const struct ledger_net *net, const struct annot_request *r)
{
    struct annot_pair pair = {ip->ip, ip->mac, ip->has_mac};
    cJSON *patch = make_ip(w, pod, net, &pair, r);
    cJSON *meta = cJSON_GetObjectItemCaseSensitive(patch, "metadata");
    auto_free char *path = work_ip_path(w);

    json_add_str(meta, "uid", ip->uid);
    json_add_str(meta, "resourceVersion", ip->resource_version);
    if (ctl_may_write(w->p->c))
        w->call = ctl_send(w->p->c, "PATCH", path, patch, on_handed_on, w);
}

static void take_place(struct work *w, const struct ctl_pod *pod, const struct macvlanip *ip,
                       const struct annot_request *r)
{
    const struct ledger_net *net = ledger_find_subnet(w->p->c->ledger, r->subnet);
    bool is_heir = net && may_inherit(pod, ip, r), is_alone = is_heir && !is_shared(w, ip, net);

    if (is_alone) {
        hand_on(w, pod, ip, net, r);
    } else if (is_heir && !has_rival(w, ip)) {
        work_retry_after(w, BEHIND_MS);
    } else {
        work_delete_ip(w, ip, on_replaced);
    }
}

/* The pod that the store shows may be older than the MacvlanIP. */
static void on_confirmed(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    const struct ctl_pod *pod = work_pod(w);
    const struct macvlanip *ip = ctl_ips_get(w->p->c->ips, w->key);
    const char *uid = json_get_str(json_get_obj(reply->body, "metadata"), "uid");
    auto_annot_request struct annot_request request = {.subnet = NULL};
    auto_annot_refusal struct annot_refusal refusal = {.text = NULL};

    w->call = NULL;
    if (reply->status < 0 && reply->status != -ENOENT)
        work_retry(w, "look at the pod", reply);
    else if (reply->status < 0 || !uid || strcmp(uid, w->pod_uid) || !pod || !ip ||
             ctl_pod_request(pod, &request, &refusal) != 1)
        work_done(w); /* an event is on its way */
    else
        take_place(w, pod, ip, &request);
}

/* --- the address --- */

static void refuse(struct work *w, const struct ctl_pod *pod, const struct annot_request *r,
                   const struct annot_refusal *refusal)
{
    count(w, "refused");
    pods_warn(w->p, pod, TOLD_REFUSAL, refusal->reason, refusal->text);
    if (r->subnet)
        pods_wait(w->p, pod, r);
    work_done(w);
}

/* Conflicting subnets would give the same address twice. */
static int check_conflict(struct ctl *c, const struct ledger_net *net,
                          struct annot_refusal *out_refusal)
{
    auto_free char *why = NULL;

    if (!ledger_conflict(c->ledger, net, &why))
        return 0;
    out_refusal->reason = ANNOT_SUBNET_ERROR;
    out_refusal->text = xasprintf("%s; give them ranges that do not meet", why);
    return -EAGAIN;
}

static int pick(struct work *w, const struct ctl_pod *pod, const struct annot_request *r,
                struct annot_refusal *out_refusal)
{
    struct ctl *c = w->p->c;
    struct ledger_net *net = ledger_find_subnet(c->ledger, r->subnet);
    struct ledger_intent who = {.pod_uid = w->pod_uid, .pod_key = w->key};
    int e = annot_check_subnet(r->subnet, net ? ledger_subnet(net) : NULL, out_refusal);

    if (e == 0)
        e = annot_check_project(ledger_subnet(net), pod->svc->name,
                                ctl_spaces_project(c->spaces, pod->svc->namespace), out_refusal);
    if (e == 0)
        e = check_conflict(c, net, out_refusal);
    return e == 0 ? ledger_pick(c->ledger, net, r, &who, out_refusal) : e;
}

static void on_set(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    const struct ctl_pod *pod = work_pod(w);
    const char *uid = json_get_str(json_get_obj(reply->body, "metadata"), "uid");

    w->call = NULL;
    if (reply->status < 0 && reply->status != -ENOENT) {
        work_retry(w, "look at its StatefulSet", reply);
        return;
    }
    if (!pod || !ledger_find_intent(w->p->c->ledger, w->pod_uid)) {
        work_done(w);
        return;
    }
    w->is_orphan = reply->status < 0 || !uid || strcmp(uid, pod->set_uid) != 0;
    give_intended(w);
}

/* It may have lost its MacvlanIP because its set is gone; what belongs to that would go again. */
static void look_at_set(struct work *w, const struct ctl_pod *pod)
{
    auto_free char *path = xasprintf("/apis/apps/v1/namespaces/%s/statefulsets/%s",
                                     pod->svc->namespace, pod->set_name);

    w->call = ctl_send(w->p->c, "GET", path, NULL, on_set, w);
}

/* An address that was promised before may be somebody else's by now, if the pod has gone since. */
static void on_alive(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    const struct ctl_pod *pod = work_pod(w);
    const char *uid = json_get_str(json_get_obj(reply->body, "metadata"), "uid");

    w->call = NULL;
    if (reply->status < 0 && reply->status != -ENOENT)
        work_retry(w, "look at the pod", reply);
    else if (!pod || !ledger_find_intent(w->p->c->ledger, w->pod_uid))
        work_done(w);
    else if (reply->status < 0 || !uid || strcmp(uid, w->pod_uid) != 0)
        work_retry_after(w, BEHIND_MS); /* the watch will tell */
    else if (pod->set_uid)
        look_at_set(w, pod);
    else
        give_intended(w);
}

static void look_at_pod(struct work *w, const struct ctl_pod *pod, kube_done done)
{
    auto_free char *path =
        xasprintf("/api/v1/namespaces/%s/pods/%s", pod->svc->namespace, pod->svc->name);

    w->call = ctl_send(w->p->c, "GET", path, NULL, done, w);
}

static void give(struct work *w, const struct ctl_pod *pod, const struct annot_request *r)
{
    auto_annot_refusal struct annot_refusal refusal = {.text = NULL};
    auto_free char *warning = annot_long_list(r);

    if (warning)
        pods_warn(w->p, pod, TOLD_LIST, ANNOT_IP_ERROR, warning);
    if (!ledger_find_intent(w->p->c->ledger, w->pod_uid)) {
        if (ledger_find_subnet(w->p->c->ledger, r->subnet) &&
            !ctl_subnets_is_ready(w->p->c->subnets, r->subnet)) {
            pods_wait(w->p, pod, r);
            work_retry_after(w, NOT_READY_MS);
            return;
        }
        if (pick(w, pod, r, &refusal) < 0) {
            refuse(w, pod, r, &refusal);
            return;
        }
    } else {
        look_at_pod(w, pod, on_alive);
        return;
    }
    give_intended(w);
}

void give_begin(struct work *w)
{
    const struct ctl_pod *pod = work_pod(w);
    const struct macvlanip *ip = ctl_ips_get(w->p->c->ips, w->key);
    auto_annot_request struct annot_request request = {.subnet = NULL};
    auto_annot_refusal struct annot_refusal refusal = {.text = NULL};

    if (ctl_pod_request(pod, &request, &refusal) != 1) {
        refuse(w, pod, &request, &refusal);
    } else if (ip && ip->is_deleting) {
        gone_begin(w, ip);
    } else if (ip) {
        look_at_pod(w, pod, on_confirmed);
    } else if (ctl_ips_is_made(w->p->c->ips, w->pod_uid)) {
        work_done(w); /* the watch will tell, or ctl_ips that it is gone */
    } else {
        give(w, pod, &request);
    }
}
