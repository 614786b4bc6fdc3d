/* Probe pods through the API server. */
#include "testpods.h"

#include "agent.h"
#include "interrupt.h"
#include "json.h"
#include "kube/kube_exec.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANNOTATION "macvlan.pandaria.cattle.io/"
#define NETWORKS "[{\"name\":\"static-macvlan-cni-attach\",\"interface\":\"eth1\"}]"
#define IPS "/apis/macvlan.cluster.cattle.io/v1/namespaces/%s/macvlanips"
#define PROJECT "field.cattle.io/projectId"
#define CONTAINER "agent"
#define LOOK_MS 500
#define ANSWER_MAX (4u << 20)

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int submit(struct testpods *t, const char *method, const char *path, const cJSON *body,
                  struct err **e)
{
    struct kube_request request = {.method = method, .path = path, .body = body};

    return kube_do(t->kube, &request, NULL, e);
}

/* --- objects --- */

static cJSON *object(const char *kind, const char *name, const char *run)
{
    cJSON *obj = cJSON_CreateObject(), *meta;

    json_add_str(obj, "apiVersion", "v1");
    json_add_str(obj, "kind", kind);
    meta = cJSON_AddObjectToObject(obj, "metadata");
    json_add_str(meta, "name", name);
    json_add_str(cJSON_AddObjectToObject(meta, "labels"), TESTPODS_LABEL, run);
    return obj;
}

static cJSON *meta_of(cJSON *obj)
{
    return cJSON_GetObjectItemCaseSensitive(obj, "metadata");
}

static int open_space(struct testpods *t, const struct testnet *net, const char *name,
                      struct err **e)
{
    auto_json cJSON *space = object("Namespace", name, t->run);

    if (net->project)
        json_add_str(cJSON_AddObjectToObject(meta_of(space), "annotations"), PROJECT, net->project);
    return submit(t, "POST", "/api/v1/namespaces", space, e);
}

int testpods_open(struct testpods *t, struct err **e)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < t->n_nets; i++)
        for (int k = 0; r == 0 && k < 2; k++)
            r = open_space(t, &t->nets[i], t->nets[i].spaces[k], e);
    return r;
}

static void add_container(cJSON *spec, const struct testpods *t)
{
    cJSON *list = cJSON_AddArrayToObject(spec, "containers"), *c = cJSON_CreateObject(), *caps;
    cJSON *security = cJSON_AddObjectToObject(c, "securityContext");
    const char *const args[] = {"agent", "serve"};
    const char *const wanted[] = {"NET_RAW"}, *const unwanted[] = {"ALL"};

    json_add_str(c, "name", CONTAINER);
    json_add_str(c, "image", t->image);
    json_add_str(c, "imagePullPolicy", "IfNotPresent");
    (void)cJSON_AddItemToObject(c, "args", cJSON_CreateStringArray(args, 2));
    (void)cJSON_AddBoolToObject(security, "readOnlyRootFilesystem", true);
    /* Raw sockets are for root only where capabilities are not ambient. */
    json_add_int(security, "runAsUser", 0);
    caps = cJSON_AddObjectToObject(security, "capabilities");
    (void)cJSON_AddItemToObject(caps, "drop", cJSON_CreateStringArray(unwanted, 1));
    (void)cJSON_AddItemToObject(caps, "add", cJSON_CreateStringArray(wanted, 1));
    cJSON_AddItemToArray(list, c);
}

static void add_spec(cJSON *obj, const struct testpods *t, const struct testpod *pod)
{
    cJSON *spec = cJSON_AddObjectToObject(obj, "spec"), *secret;
    cJSON *taints = cJSON_AddArrayToObject(spec, "tolerations"), *all = cJSON_CreateObject();

    /* The node is given, so that the scheduler has no say; taints that evict are tolerated. */
    json_add_str(spec, "nodeName", pod->node);
    json_add_str(all, "operator", "Exists");
    cJSON_AddItemToArray(taints, all);
    json_add_str(spec, "restartPolicy", "Always");
    (void)cJSON_AddBoolToObject(spec, "automountServiceAccountToken", false);
    (void)cJSON_AddNumberToObject(spec, "terminationGracePeriodSeconds", 1);
    if (t->pull_secret) {
        secret = cJSON_CreateObject();
        json_add_str(secret, "name", t->pull_secret);
        cJSON_AddItemToArray(cJSON_AddArrayToObject(spec, "imagePullSecrets"), secret);
    }
    add_container(spec, t);
}

int testpods_create(struct testpods *t, const struct testpod *pod, struct err **e)
{
    auto_json cJSON *obj = object("Pod", pod->name, t->run);
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/pods", pod->space);
    cJSON *notes = cJSON_AddObjectToObject(meta_of(obj), "annotations");

    json_add_str(cJSON_GetObjectItemCaseSensitive(meta_of(obj), "labels"), TESTPODS_SUBNET_LABEL,
                 pod->net->name);
    json_add_str(notes, ANNOTATION "ip", pod->wanted_ip ? pod->wanted_ip : "auto");
    json_add_str(notes, ANNOTATION "subnet", pod->net->name);
    if (pod->wanted_mac)
        json_add_str(notes, ANNOTATION "mac", pod->wanted_mac);
    json_add_str(notes, "k8s.v1.cni.cncf.io/networks", NETWORKS);
    add_spec(obj, t, pod);
    return submit(t, "POST", path, obj, e);
}

/* --- waiting --- */

static int pause_for(int ms, struct err **e)
{
    (void)poll(NULL, 0, ms);
    return interrupt_check(e);
}

static bool is_running(const cJSON *object)
{
    const cJSON *status = json_get_obj(object, "status"), *condition;

    cJSON_ArrayForEach(condition, json_get_arr(status, "conditions"))
    {
        const char *type = json_get_str(condition, "type");
        const char *value = json_get_str(condition, "status");

        if (type && value && !strcmp(type, "Ready") && !strcmp(value, "True"))
            return true;
    }
    return false;
}

/* Why a container waits, in kubelet's words. */
static void note_why(const cJSON *object, struct testpod *pod)
{
    const cJSON *status = json_get_obj(object, "status");
    const cJSON *waiting =
        json_get_obj(json_get_obj(cJSON_GetArrayItem(json_get_arr(status, "containerStatuses"), 0),
                                  "state"),
                     "waiting");
    const char *reason = json_get_str(waiting, "reason");
    const char *message = json_get_str(waiting, "message");
    const char *phase = json_get_str(status, "phase");

    free(pod->why);
    pod->why = reason ? xasprintf("%s%s%s", reason, message ? ": " : "", message ? message : "")
                      : xstrdup(phase ? phase : "it was not taken by a kubelet");
}

/* What a kubelet says of many pods that start all the same. */
static bool is_harmless(const cJSON *event)
{
    const char *reason = json_get_str(event, "reason");

    return reason && (!strcmp(reason, "MissingClusterDNS") || !strcmp(reason, "DNSConfigForming"));
}

/* The pod's last warning says more than the state of its container. */
static int read_warning(struct testpods *t, struct testpod *pod, struct err **e)
{
    auto_free char *path =
        xasprintf("/api/v1/namespaces/%s/events?fieldSelector=involvedObject.name=%s,type=Warning",
                  pod->space, pod->name);
    auto_json cJSON *events = NULL;
    const cJSON *event, *last = NULL;
    int r = kube_list(t->kube, path, &events, e);

    if (r < 0)
        return r;
    cJSON_ArrayForEach(event, events)
    {
        const char *a = json_get_str(event, "lastTimestamp");
        const char *b = json_get_str(last, "lastTimestamp");

        if (!is_harmless(event) && (!last || !b || (a && strcmp(a, b) >= 0)))
            last = event;
    }
    if (json_get_str(last, "message")) {
        free(pod->why);
        pod->why =
            xasprintf("%s: %s", json_get_str(last, "reason") ? json_get_str(last, "reason") : "-",
                      json_get_str(last, "message"));
    }
    return 0;
}

static int read_pod(struct testpods *t, struct testpod *pod, struct err **e)
{
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/pods/%s", pod->space, pod->name);
    auto_free char *ip_path = xasprintf(IPS "/%s", pod->space, pod->name);
    auto_json cJSON *object = NULL, *ip = NULL;
    const char *cidr, *mac, *overlay;
    auto_err struct err *none = NULL;
    int r = kube_get(t->kube, path, &object, e);

    if (r < 0)
        return r;
    if (!is_running(object)) {
        note_why(object, pod);
        return 0;
    }
    r = kube_get(t->kube, ip_path, &ip, &none);
    if (r < 0 && r != -ENOENT)
        return err_set(e, r, "%s", err_text(none));
    cidr = json_get_str(json_get_obj(ip, "spec"), "cidr");
    mac = json_get_str(json_get_obj(ip, "spec"), "mac");
    if (!cidr || ip_net_parse(cidr, &pod->address) < 0 || !mac ||
        ip_mac_parse(mac, &pod->mac, NULL) < 0) {
        free(pod->why);
        pod->why = xstrdup("it runs without a MacvlanIP: the plugin was not called for it");
        return 0;
    }
    overlay = json_get_str(json_get_obj(object, "status"), "podIP");
    if (overlay && ip_parse(overlay, &pod->overlay) == 0 &&
        ip_compare(pod->overlay, pod->address.addr) == 0)
        pod->overlay = (struct ip_addr){.family = AF_UNSPEC};
    pod->is_ready = true;
    return 0;
}

int testpods_wait(struct testpods *t, struct testpod *const *pods, size_t n, int timeout_s,
                  struct err **e)
{
    int64_t until = now_ms() + (int64_t)timeout_s * 1000;
    size_t missing = n;
    int r = 0;

    while (r == 0 && missing && now_ms() < until) {
        r = pause_for(LOOK_MS, e);
        missing = 0;
        for (size_t i = 0; r == 0 && i < n; i++) {
            if (!pods[i]->is_ready)
                r = read_pod(t, pods[i], e);
            missing += !pods[i]->is_ready;
        }
    }
    for (size_t i = 0; r == 0 && i < n; i++)
        if (!pods[i]->is_ready)
            r = read_warning(t, pods[i], e);
    return r;
}

/* --- the rest --- */

static int wait_gone(struct testpods *t, const char *path, int64_t until, struct err **e)
{
    for (;;) {
        auto_json cJSON *object = NULL;
        auto_err struct err *why = NULL;
        int r = kube_get(t->kube, path, &object, &why);

        if (r == -ENOENT)
            return 0;
        if (r < 0)
            return err_set(e, r, "%s", err_text(why));
        if (now_ms() > until)
            return err_set(e, -ETIMEDOUT, "'%s' is still there", path);
        (void)poll(NULL, 0, LOOK_MS);
    }
}

int testpods_delete(struct testpods *t, struct testpod *const *pods, size_t n, int timeout_s,
                    struct err **e)
{
    int64_t until = now_ms() + (int64_t)timeout_s * 1000;
    int r = 0;

    for (int round = 0; round < 2; round++)
        for (size_t i = 0; r == 0 && i < n; i++) {
            auto_free char *path =
                xasprintf("/api/v1/namespaces/%s/pods/%s", pods[i]->space, pods[i]->name);
            auto_free char *ip = xasprintf(IPS "/%s", pods[i]->space, pods[i]->name);

            pods[i]->is_ready = false;
            r = round ? wait_gone(t, path, until, e) : submit(t, "DELETE", path, NULL, e);
            if (r == 0 && round)
                r = wait_gone(t, ip, until, e);
        }
    return r;
}

int testpods_ask(struct testpods *t, const struct testpod *pod, const cJSON *question, cJSON **out,
                 struct err **e)
{
    auto_free char *text = json_print(question);
    const char *const argv[] = {"/bin/flatnet", "agent", "probe", text, NULL};
    struct kube_exec x = {.namespace = pod->space,
                          .pod = pod->name,
                          .container = CONTAINER,
                          .argv = argv};
    auto_buf struct buf answer;
    int r;

    buf_init(&answer, ANSWER_MAX);
    r = kube_exec(t->kube, &x, &answer, e);
    if (r == 0)
        r = json_parse(answer.data, answer.len, out, e);
    return r < 0 ? err_wrap(e, "pod %s/%s", pod->space, pod->name) : 0;
}

/* Ends with the time, too: what then is left is seen when the namespaces do not go. */
static int wait_empty(struct testpods *t, const char *path, int64_t until, struct err **e)
{
    while (now_ms() < until) {
        auto_json cJSON *list = NULL;
        int r = kube_get(t->kube, path, &list, e);

        if (r < 0)
            return r;
        if (!cJSON_GetArraySize(json_get_arr(list, "items")))
            return 0;
        (void)poll(NULL, 0, LOOK_MS);
    }
    return 0;
}

/* The steps of closing. A namespace with pods in it would be looked at again after 5, 10, 20, 40 s.
 */
enum { DELETE_PODS, AWAIT_PODS, DELETE_SPACES, AWAIT_SPACES, N_STEPS };

static int close_space(struct testpods *t, int step, const char *space, int64_t until,
                       struct err **e)
{
    auto_free char *path = xasprintf("/api/v1/namespaces/%s", space);
    auto_free char *pods = xasprintf("%s/pods", path);

    switch (step) {
    case DELETE_PODS:
        return submit(t, "DELETE", pods, NULL, e);
    case AWAIT_PODS:
        return wait_empty(t, pods, until, e);
    case DELETE_SPACES:
        return submit(t, "DELETE", path, NULL, e);
    default:
        return wait_gone(t, path, until, e);
    }
}

int testpods_close(struct testpods *t, int timeout_s, struct err **e)
{
    int64_t until = now_ms() + (int64_t)timeout_s * 1000;
    int r = 0;

    for (int step = timeout_s ? DELETE_PODS : DELETE_SPACES;
         step < (timeout_s ? N_STEPS : AWAIT_SPACES); step++)
        for (size_t i = 0; i < t->n_nets; i++)
            for (int k = 0; k < 2; k++) {
                const char *space = t->nets[i].spaces[k];
                auto_err struct err *why = NULL;
                int s = close_space(t, step, space, until, &why);

                if (s < 0 && s != -ENOENT && r == 0)
                    r = err_set(e, s, "namespace '%s' was not removed: %s", space, err_text(why));
            }
    return r;
}
