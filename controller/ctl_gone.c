/* MacvlanIPs whose pod is gone, and promises to such pods. */
#include "ctl_work.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BEHIND_MS 100 /* between looks at a pod that the store does not show yet */

static void on_step(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;

    w->call = NULL;
    if (reply->status < 0 && reply->status != -ENOENT)
        work_retry(w, "let go of its address", reply);
    else
        work_done(w);
}

/* --- the time of rest: ipDelayReuse --- */

/* Until when its address rests, written down so that the next leader knows. */
static void begin_rest(struct work *w, const struct macvlanip *ip, int64_t delay_ms)
{
    auto_free char *path = work_ip_path(w);
    cJSON *patch = cJSON_CreateObject(), *meta = cJSON_AddObjectToObject(patch, "metadata");
    time_t until = time(NULL) + (time_t)((delay_ms + 999) / 1000);
    struct tm tm;
    char text[32];

    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&until, &tm));
    json_add_str(meta, "uid", ip->uid);
    json_add_str(cJSON_AddObjectToObject(meta, "annotations"), MACVLANIP_DELAY_KEY, text);
    w->call = ctl_send(w->p->c, "PATCH", path, patch, on_step, w);
}

static void on_rested(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    const char *uid = json_get_str(json_get_obj(reply->body, "metadata"), "uid");
    auto_free char *path = work_ip_path(w);

    w->call = NULL;
    if (reply->status < 0)
        on_step(w, reply);
    else if (!uid || strcmp(uid, w->ip_uid) != 0)
        work_done(w); /* another one by now */
    else if (ctl_may_write(w->p->c))
        w->call = ctl_send(w->p->c, "PATCH", path,
                           ctl_finalizer_patch(reply->body, MACVLANIP_DELAY_FINALIZER, false),
                           on_step, w);
}

static void end_rest(struct work *w, const struct macvlanip *ip)
{
    auto_free char *path = work_ip_path(w);

    w->ip_uid = xstrdup(ip->uid);
    w->call = ctl_send(w->p->c, "GET", path, NULL, on_rested, w);
}

/* A pod of the same name cannot wait for the object; its address rests in the ledger then. */
static void rest(struct work *w, const struct macvlanip *ip)
{
    const struct ledger_net *net = ledger_find_subnet(w->p->c->ledger, ip->subnet);
    int64_t delay_ms = net ? ledger_subnet(net)->delay_reuse_ms : 0;
    int64_t left_s = ip->reuse_at_s - time(NULL);

    if (!ip->has_delay_finalizer)
        work_done(w);
    else if (!ip->reuse_at_s && delay_ms)
        begin_rest(w, ip, delay_ms);
    else if (ip->reuse_at_s && left_s > 0 && net && !work_pod(w))
        work_retry_after(w, left_s * 1000);
    else
        end_rest(w, ip);
}

/* --- is it gone? --- */

static char *pod_path(const struct work *w)
{
    auto_free char *ns = NULL;
    const char *name = ctl_split(w->key, &ns);

    return xasprintf("/api/v1/namespaces/%s/pods/%s", ns, name);
}

/* NULL: it belongs to none. The pods of a StatefulSet are called SET-NUMBER. */
static char *set_path(const struct work *w, const struct macvlanip *ip)
{
    auto_free char *ns = NULL;
    const char *name = ctl_split(w->key, &ns), *dash = strrchr(name, '-');

    if (ip->owner != MACVLANIP_STATEFULSET || !dash)
        return NULL;
    return xasprintf("/apis/apps/v1/namespaces/%s/statefulsets/%.*s", ns, (int)(dash - name), name);
}

static bool has_ended(const cJSON *pod)
{
    const char *phase = json_get_str(json_get_obj(pod, "status"), "phase");

    return phase && (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"));
}

/* `owner` is the pod, or the StatefulSet whose address it is. */
static bool still_holds(const struct work *w, const struct macvlanip *ip, const cJSON *owner)
{
    const char *uid = json_get_str(json_get_obj(owner, "metadata"), "uid");

    return uid && !strcmp(uid, w->is_set_asked ? ip->owner_uid : ip->pod_uid) && !has_ended(owner);
}

static void on_looked(void *arg, const struct kube_reply *reply);

static void drop_ip(struct work *w, const struct macvlanip *ip, const struct kube_reply *reply)
{
    if (reply->status == 0 && still_holds(w, ip, reply->body)) {
        work_done(w); /* the store is behind, or the set goes on with it */
    } else if (w->is_set_asked) {
        /* The set is gone, its last pods may not be. */
        auto_free char *path = pod_path(w);

        w->is_set_asked = false;
        w->call = ctl_send(w->p->c, "GET", path, NULL, on_looked, w);
    } else {
        work_delete_ip(w, ip, on_step);
    }
}

static void on_looked(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    const struct macvlanip *ip = ctl_ips_get(w->p->c->ips, w->key);

    w->call = NULL;
    if (reply->status < 0 && reply->status != -ENOENT)
        work_retry(w, "look whether it is gone", reply);
    else if (!ip || ip->is_deleting || !w->ip_uid || strcmp(ip->uid, w->ip_uid))
        work_done(w); /* its change has queued the key */
    else
        drop_ip(w, ip, reply);
}

/* --- promises to pods that have gone, or that were an earlier leader's --- */

struct search {
    struct ctl *c;
    const char *key, *pod_uid;
    bool is_drop, has_any;
};

static void search_one(void *arg, const struct ledger_intent *intent)
{
    struct search *s = arg;

    if (strcmp(intent->pod_key, s->key) != 0 || !strcmp(intent->pod_uid, s->pod_uid))
        return;
    s->has_any = true;
    if (!s->is_drop)
        return;
    ctl_subnets_touch(s->c->subnets, ledger_subnet(intent->net)->name);
    ledger_drop_intent(s->c->ledger, intent->pod_uid);
}

bool gone_has_promises(const struct ctl_pods *p, const char *key, const char *pod_uid)
{
    struct search s = {.c = p->c, .key = key, .pod_uid = pod_uid};

    ledger_each_intent(p->c->ledger, search_one, &s);
    return s.has_any;
}

static void on_promised(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    const char *uid = json_get_str(json_get_obj(reply->body, "metadata"), "uid");
    bool is_there = reply->status == 0 && uid && !has_ended(reply->body);
    struct search s = {.c = w->p->c,
                       .key = w->key,
                       .pod_uid = is_there ? uid : "",
                       .is_drop = true};

    w->call = NULL;
    if (reply->status < 0 && reply->status != -ENOENT) {
        work_retry(w, "look whether it is gone", reply);
        return;
    }
    ledger_each_intent(s.c->ledger, search_one, &s);
    work_retry_after(w, BEHIND_MS);
}

/* What was made for it holds the address from now on: an answer may have got lost, and the watch be
 * behind. A StatefulSet goes on with it. */
static void on_made(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    auto_free char *path = pod_path(w);

    w->call = NULL;
    if (reply->status < 0 && reply->status != -ENOENT) {
        work_retry(w, "look whether its MacvlanIP was made", reply);
        return;
    }
    if (reply->status == 0)
        ctl_ips_put(w->p->c->ips, reply->body);
    w->call = ctl_send(w->p->c, "GET", path, NULL, on_promised, w);
}

void gone_promises(struct work *w)
{
    auto_free char *path = work_ip_path(w);

    w->call = ctl_send(w->p->c, "GET", path, NULL, on_made, w);
}

void gone_begin(struct work *w, const struct macvlanip *ip)
{
    auto_free char *path = NULL;

    if (ip->is_deleting) {
        rest(w, ip);
        return;
    }
    path = set_path(w, ip);
    w->is_set_asked = path != NULL;
    if (!path)
        path = pod_path(w);
    w->ip_uid = xstrdup(ip->uid);
    w->call = ctl_send(w->p->c, "GET", path, NULL, on_looked, w);
}
