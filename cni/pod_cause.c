/* Looking for causes. */
#include "pod_cause.h"

#include "json.h"
#include "kube/kube_client.h"
#include "mem.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEASE_PATH "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/network-controller"
/* Before Kubernetes 1.14, where we have no right to leases. */
#define LOCK_PATH "/api/v1/namespaces/kube-system/configmaps/network-controller"
#define LOCK_KEY "control-plane.alpha.kubernetes.io/leader"
#define SUBNETS_PATH "/apis/macvlan.cluster.cattle.io/v1/namespaces/kube-system/macvlansubnets"
/* So long after its last renewal no other replica has taken over either; clocks may differ. */
#define LEASE_OLD_S 60

/* Seconds since 1970 of an RFC 3339 time in UTC, fractions dropped; 0: it is none. */
static time_t time_of(const char *text)
{
    struct tm tm = {.tm_year = 0};
    time_t t = text && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? timegm(&tm) : 0;

    return t > 0 ? t : 0;
}

/* What a record of the election says; NULL: all is well. */
static char *judge_record(const cJSON *record)
{
    const char *holder = json_get_str(record, "holderIdentity");
    time_t at = time_of(json_get_str(record, "renewTime"));

    if (!holder || !*holder)
        return xstrdup("network-controller is not running: its lease has no holder");
    if (at && time(NULL) - at > LEASE_OLD_S)
        return xasprintf("network-controller is not running: '%.80s' renewed its lease %lld s ago",
                         holder, (long long)(time(NULL) - at));
    return NULL;
}

char *pod_cause_of_lock(const cJSON *object)
{
    const cJSON *spec = json_get_obj(object, "spec");
    const char *text =
        json_get_str(json_get_obj(json_get_obj(object, "metadata"), "annotations"), LOCK_KEY);
    auto_json cJSON *record = NULL;

    if (spec)
        return judge_record(spec);
    if (!text || json_parse(text, strlen(text), &record, NULL) < 0)
        return NULL;
    return judge_record(record);
}

static char *ask_lease(struct pod_api *api)
{
    auto_json cJSON *object = NULL;
    int r = pod_api_get(api, LEASE_PATH, &object, NULL);

    if (r == -EKEYREJECTED)
        r = pod_api_get(api, LOCK_PATH, &object, NULL);
    if (r == -ENOENT)
        return xstrdup("network-controller has never run in this cluster");
    if (r == -EHOSTUNREACH || r == -ETIMEDOUT)
        return xstrdup("the API server does not answer any more");
    if (r < 0)
        return NULL;
    return pod_cause_of_lock(object);
}

static const char *event_time(const cJSON *event)
{
    const char *last = json_get_str(event, "lastTimestamp");
    const char *first = json_get_str(event, "eventTime");

    return last ? last : first ? first : "";
}

static bool is_refusal(const cJSON *event)
{
    const char *reason = json_get_str(event, "reason");

    return reason && (!strcmp(reason, "MacvlanIPError") || !strcmp(reason, "MacvlanSubnetError")) &&
           json_get_str(event, "message");
}

char *pod_cause_of_events(const cJSON *list)
{
    const cJSON *event, *last = NULL;

    cJSON_ArrayForEach(event, json_get_arr(list, "items"))
    {
        if (is_refusal(event) && (!last || strcmp(event_time(event), event_time(last)) >= 0))
            last = event;
    }
    if (!last)
        return NULL;
    return xasprintf("network-controller says %s: %.500s", json_get_str(last, "reason"),
                     json_get_str(last, "message"));
}

static char *ask_events(struct pod_api *api, const char *ns, const char *uid)
{
    auto_free char *path =
        xasprintf("/api/v1/namespaces/%s/events?fieldSelector=involvedObject.uid%%3D%s&limit=500",
                  ns, uid);
    auto_json cJSON *tree = NULL;

    return pod_api_get(api, path, &tree, NULL) < 0 ? NULL : pod_cause_of_events(tree);
}

static char *ask_subnet(struct pod_api *api, const cJSON *annotations)
{
    const char *subnet = json_get_str(annotations, POD_SUBNET_KEY);
    auto_free char *path = NULL;
    auto_json cJSON *tree = NULL;

    if (!json_get_str(annotations, POD_IP_KEY) || !subnet)
        return xstrdup("the pod has not both of the annotations '" POD_IP_KEY
                       "' and '" POD_SUBNET_KEY "'");
    if (!kube_name_is_valid(subnet))
        return xasprintf("'%.80s' in the pod's annotations is no name of a subnet", subnet);
    path = xasprintf(SUBNETS_PATH "/%s", subnet);
    if (pod_api_get(api, path, &tree, NULL) == -ENOENT)
        return xasprintf("subnet '%s' does not exist", subnet);
    return NULL;
}

static char *ask_pod(struct pod_api *api, const char *ns, const char *name)
{
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/pods/%s", ns, name);
    auto_json cJSON *pod = NULL;
    int r = pod_api_get(api, path, &pod, NULL);

    if (r == -ENOENT)
        return xstrdup("the pod is gone");
    if (r < 0)
        return NULL;
    return ask_subnet(api, json_get_obj(json_get_obj(pod, "metadata"), "annotations"));
}

char *pod_cause(struct pod_api *api, const char *ns, const char *name, const char *uid,
                const cJSON *annotations)
{
    char *text = ask_lease(api);

    if (!text)
        text = ask_events(api, ns, uid);
    if (!text)
        text = annotations ? ask_subnet(api, annotations) : ask_pod(api, ns, name);
    return text ? text : xstrdup("network-controller has not come to it yet");
}
