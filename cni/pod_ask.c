/* From a pod's name to what its interface must be. */
#include "pod_ask.h"

#include "cni_env.h"
#include "cni_log.h"
#include "json.h"
#include "kube/kube_client.h"
#include "kube/kube_loop.h"
#include "mem.h"
#include "pod_api.h"
#include "pod_cause.h"
#include "pod_kubeconfig.h"
#include "pod_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COLLECTION "/apis/macvlan.cluster.cattle.io/v1/namespaces/%s/macvlanips"
#define MIRROR_KEY "kubernetes.io/config.mirror"
#define CAUSE_MS 3000

struct ask {
    const struct pod_query *q;
    struct pod_api *api;
    struct pod_answer answer;
    cJSON *pod;        /* or NULL: it was not asked for */
    const char *state; /* of the MacvlanIP, while it is of no use */
};

/* --- the pod --- */

static const cJSON *annotations_of(const cJSON *pod)
{
    return json_get_obj(json_get_obj(pod, "metadata"), "annotations");
}

/* Both keys, whatever their values: the rule of 2019. */
static bool asks_for_macvlan(const cJSON *pod)
{
    const cJSON *annotations = annotations_of(pod);

    return json_get_str(annotations, POD_IP_KEY) && json_get_str(annotations, POD_SUBNET_KEY);
}

/* A static pod is known to the runtime by another UID than the server's object has. */
static bool is_named(const cJSON *pod, const char *uid, const char *asked)
{
    const char *mirror = json_get_str(annotations_of(pod), MIRROR_KEY);

    return !asked || !strcmp(uid, asked) || (mirror && !strcmp(mirror, asked));
}

static int read_pod(struct ask *a, struct err **e)
{
    const struct pod_query *q = a->q;
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/pods/%s", q->namespace, q->name);
    const char *uid;
    int r = pod_api_get(a->api, path, &a->pod, e);

    cni_log_step("pod '%s/%s' read", q->namespace, q->name);
    if (r == -ENOENT)
        return err_set(e, -EAGAIN, "pod '%s/%s' does not exist", q->namespace, q->name);
    if (r < 0)
        return err_wrap(e, "pod '%s/%s'", q->namespace, q->name);
    uid = json_get_str(json_get_obj(a->pod, "metadata"), "uid");
    if (!uid || !cni_name_is_valid(uid))
        return err_set(e, -EPROTO, "pod '%s/%s' has no UID", q->namespace, q->name);
    if (!is_named(a->pod, uid, q->uid))
        return err_set(e, -EAGAIN, "pod '%s/%s' (UID %s) is gone, another has its name (UID %s)",
                       q->namespace, q->name, q->uid, uid);
    a->answer.uid = xstrdup(uid);
    return 0;
}

/* --- its MacvlanIP --- */

/* 1: this is it, 0: not yet. */
static int look_at(void *arg, const cJSON *object, struct err **e)
{
    struct ask *a = arg;
    const cJSON *meta = json_get_obj(object, "metadata");
    const char *pod = json_get_str(json_get_obj(object, "spec"), "podId");
    int r;

    if (!object)
        a->state = "is not there";
    else if (!pod || strcmp(pod, a->answer.uid) != 0)
        a->state = "belongs to another pod, an earlier one of its name";
    else if (json_get_str(meta, "deletionTimestamp"))
        a->state = "is being deleted";
    else
        a->state = NULL;
    if (a->state)
        return 0;
    r = wanted_parse(object, &a->answer.wanted, e);
    if (r == -EAGAIN)
        a->state = "is an old one that network-controller has not completed";
    return r == -EAGAIN ? 0 : r < 0 ? r : 1;
}

/* Any version will do, also one from a cache: what it says was decided for this very pod. */
static int read_once(struct ask *a, struct err **e)
{
    auto_free char *path =
        xasprintf(COLLECTION "/%s?resourceVersion=0", a->q->namespace, a->q->name);
    auto_json cJSON *object = NULL;
    int r = pod_api_get(a->api, path, &object, e);

    cni_log_step("MacvlanIP read");
    return r < 0 && r != -ENOENT ? r : look_at(a, object, e);
}

static int wait_for(struct ask *a, struct err **e)
{
    auto_free char *path =
        xasprintf(COLLECTION "?fieldSelector=metadata.name%%3D%s", a->q->namespace, a->q->name);
    int r = pod_api_follow(a->api, path, look_at, a, e);

    cni_log_step("MacvlanIP waited for");
    return r;
}

/* A static pod is called by the UID of its file, and its MacvlanIP by that of the server's object.
 */
static void learn_uid(struct ask *a)
{
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/pods/%s", a->q->namespace, a->q->name);
    auto_json cJSON *pod = NULL;
    const char *mirror, *uid;

    if (pod_api_get(a->api, path, &pod, NULL) < 0)
        return;
    mirror = json_get_str(annotations_of(pod), MIRROR_KEY);
    uid = json_get_str(json_get_obj(pod, "metadata"), "uid");
    if (!mirror || strcmp(mirror, a->answer.uid) != 0 || !uid || !cni_name_is_valid(uid))
        return;
    free(a->answer.uid);
    a->answer.uid = xstrdup(uid);
}

/* The time is over, with a server that answers. */
static int say_why(struct ask *a, struct err **e)
{
    const struct pod_query *q = a->q;
    auto_free char *cause = NULL;

    pod_api_set_until(a->api, kube_now_ms() + CAUSE_MS);
    cause = pod_cause(a->api, q->namespace, q->name, a->answer.uid,
                      a->pod ? annotations_of(a->pod) : NULL);
    cni_log_step("cause looked for");
    return err_set(e, -EAGAIN, "pod '%s/%s' has no address after %d s: its MacvlanIP %s; %s",
                   q->namespace, q->name, q->timeout_ms / 1000, a->state ? a->state : "is unknown",
                   cause);
}

static int find_macvlanip(struct ask *a, struct err **e)
{
    auto_err struct err *why = NULL;
    int r = read_once(a, &why);

    if (r == 0 && a->pod && !asks_for_macvlan(a->pod))
        return err_set(
            e, -EAGAIN,
            "pod '%s/%s' has no MacvlanIP, and not both of the annotations '%s' and '%s'",
            a->q->namespace, a->q->name, POD_IP_KEY, POD_SUBNET_KEY);
    if (r == 0 && !a->pod)
        learn_uid(a);
    if (r == 0)
        r = wait_for(a, &why);
    if (r == -ETIMEDOUT && a->state && !pod_api_left_ms(a->api))
        return say_why(a, e);
    if (r < 0)
        return err_set(e, r, "MacvlanIP of pod '%s/%s': %s", a->q->namespace, a->q->name, why->msg);
    a->answer.is_ours = true;
    return 0;
}

/* --- public --- */

static int ask(struct ask *a, struct err **e)
{
    const struct pod_query *q = a->q;

    if (!q->uid || q->is_chained) {
        int r = read_pod(a, e);

        if (r < 0 || (q->is_chained && !asks_for_macvlan(a->pod)))
            return r;
    } else {
        a->answer.uid = xstrdup(q->uid);
    }
    return find_macvlanip(a, e);
}

int pod_ask(const struct pod_query *q, struct pod_answer *out, struct err **e)
{
    struct pod_api_options options = {.until_ms = kube_now_ms() + q->timeout_ms,
                                      .request_ms = q->request_ms,
                                      .reach_ms = q->reach_ms};
    auto_free char *sessions = xasprintf("%s" POD_SESSIONS, q->root ? q->root : "");
    auto_free char *path = NULL;
    struct ask a = {.q = q};
    int r;

    if (!q->namespace || !q->name)
        return err_set(e, -EBADR,
                       "CNI_ARGS does not say which pod of Kubernetes this is for: "
                       "K8S_POD_NAMESPACE and K8S_POD_NAME are needed");
    r = pod_kubeconfig_find(q->kubeconfig, q->root, &path, e);
    if (r < 0)
        return r;
    options.kubeconfig = path;
    options.sessions = sessions;
    r = pod_api_new(&options, &a.api, e);
    cni_log_step("kubeconfig '%s' read", path);
    if (r == 0)
        r = ask(&a, e);
    if (r == 0) {
        a.answer.n_requests = pod_api_requests(a.api);
        *out = a.answer;
    } else {
        pod_answer_release(&a.answer);
    }
    cJSON_Delete(a.pod);
    pod_api_free(a.api);
    return r;
}

void pod_answer_release(struct pod_answer *a)
{
    free(a->uid);
    wanted_release(&a->wanted);
    *a = (struct pod_answer){.uid = NULL};
}
