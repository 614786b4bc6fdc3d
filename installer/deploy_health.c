/* Verdicts about objects and pods. */
#include "deploy_health.h"

#include "json.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int64_t number(const cJSON *obj, const char *name)
{
    int64_t value = 0;

    return json_get_size(obj, name, &value) == 0 ? value : 0;
}

static const cJSON *condition(const cJSON *object, const char *type)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get_arr(json_get_obj(object, "status"), "conditions"))
    {
        const char *is = json_get_str(item, "type");

        if (is && !strcmp(is, type))
            return item;
    }
    return NULL;
}

static bool holds(const cJSON *object, const char *type)
{
    const char *status = json_get_str(condition(object, type), "status");

    return status && !strcmp(status, "True");
}

static bool is_observed(const cJSON *object)
{
    return number(json_get_obj(object, "status"), "observedGeneration") >=
           number(json_get_obj(object, "metadata"), "generation");
}

static void judge_crd(const cJSON *crd, struct deploy_health *out)
{
    const char *why = json_get_str(condition(crd, "NamesAccepted"), "message");

    out->is_ready = holds(crd, "Established");
    if (!out->is_ready)
        out->text = xasprintf("not established%s%s", why ? ": " : "", why ? why : "");
}

/* What 'kubectl rollout status' waits for. */
static void judge_daemonset(const cJSON *ds, struct deploy_health *out)
{
    const cJSON *status = json_get_obj(ds, "status");
    long long nodes = number(status, "desiredNumberScheduled");
    long long updated = number(status, "updatedNumberScheduled");
    long long available = number(status, "numberAvailable");

    out->is_ready = is_observed(ds) && updated >= nodes && available >= nodes;
    if (!is_observed(ds))
        out->text = xstrdup("not yet seen by the controller-manager");
    else if (updated < nodes && available >= nodes)
        out->text = xasprintf("%lld of %lld nodes updated", updated, nodes);
    else
        out->text = xasprintf("%lld of %lld nodes ready", available, nodes);
}

static void judge_deployment(const cJSON *deployment, struct deploy_health *out)
{
    const cJSON *status = json_get_obj(deployment, "status");
    int64_t wanted = 1, updated = number(status, "updatedReplicas");
    long long available = number(status, "availableReplicas");

    (void)json_get_size(json_get_obj(deployment, "spec"), "replicas", &wanted);
    out->is_ready = is_observed(deployment) && updated >= wanted &&
                    number(status, "replicas") <= updated && available >= wanted;
    if (!is_observed(deployment))
        out->text = xstrdup("not yet seen by the controller-manager");
    else if (updated < wanted)
        out->text = xasprintf("%lld of %lld pods updated", (long long)updated, (long long)wanted);
    else if (number(status, "replicas") > updated)
        out->text = xasprintf("%lld old pods are still there",
                              (long long)(number(status, "replicas") - updated));
    else
        out->text = xasprintf("%lld of %lld pods ready", available, (long long)wanted);
}

void deploy_health_of(const cJSON *object, struct deploy_health *out)
{
    const char *kind = json_get_str(object, "kind");

    *out = (struct deploy_health){.is_ready = true};
    if (!kind)
        return;
    if (!strcmp(kind, "CustomResourceDefinition"))
        judge_crd(object, out);
    else if (!strcmp(kind, "DaemonSet"))
        judge_daemonset(object, out);
    else if (!strcmp(kind, "Deployment"))
        judge_deployment(object, out);
}

void deploy_health_release(struct deploy_health *h)
{
    free(h->text);
    *h = (struct deploy_health){.text = NULL};
}

/* --- pods --- */

bool deploy_pod_is_ready(const cJSON *pod)
{
    return holds(pod, "Ready");
}

/* How a container ended: "exit status 1", "OOMKilled". */
static char *end_of(const cJSON *terminated)
{
    const char *reason = json_get_str(terminated, "reason");
    const char *message = json_get_str(terminated, "message");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(terminated, "exitCode");

    return xasprintf("exit status %d%s%s%s%s%s", cJSON_IsNumber(code) ? code->valueint : -1,
                     reason ? " (" : "", reason ? reason : "", reason ? ")" : "",
                     message ? ": " : "", message ? message : "");
}

/* What is wrong with one container; NULL: nothing. */
static char *container_cause(const cJSON *status, bool is_init, const char **out_speaks)
{
    const char *name = json_get_str(status, "name"), *image = json_get_str(status, "image");
    const cJSON *state = json_get_obj(status, "state");
    const cJSON *waiting = json_get_obj(state, "waiting"),
                *ended = json_get_obj(state, "terminated");
    const cJSON *last = json_get_obj(json_get_obj(status, "lastState"), "terminated");
    const char *reason = json_get_str(waiting, "reason");
    const char *message = json_get_str(waiting, "message");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(ended, "exitCode");
    auto_free char *end = last || ended ? end_of(ended ? ended : last) : NULL;

    if (ended && is_init && cJSON_IsNumber(code) && code->valueint == 0)
        return NULL;
    if (waiting && reason && !strcmp(reason, "PodInitializing"))
        return NULL;
    if (end && (ended || waiting)) {
        *out_speaks = name;
        return xasprintf("container '%s': %s%s%s", name ? name : "", reason ? reason : "",
                         reason ? ", " : "", end);
    }
    if (waiting)
        return xasprintf("image '%s': %s%s%s", image ? image : "",
                         reason ? reason : "the container waits", message ? ": " : "",
                         message ? message : "");
    if (!is_init && !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(status, "ready"))) {
        *out_speaks = name;
        return xasprintf("container '%s' runs but is not ready", name ? name : "");
    }
    if (is_init && !ended)
        return xasprintf("init container '%s' still runs", name ? name : "");
    return NULL;
}

static char *containers_cause(const cJSON *pod, const char **out_speaks)
{
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    const cJSON *status = json_get_obj(pod, "status"), *item;

    for (size_t i = 0; i < 2; i++)
        cJSON_ArrayForEach(item, json_get_arr(status, lists[i]))
        {
            char *cause = container_cause(item, i == 0, out_speaks);

            if (cause)
                return cause;
        }
    return NULL;
}

char *deploy_pod_cause(const cJSON *pod, const char **out_speaks)
{
    const cJSON *meta = json_get_obj(pod, "metadata");
    const char *name = json_get_str(meta, "name");
    const char *node = json_get_str(json_get_obj(pod, "spec"), "nodeName");
    const char *unscheduled = json_get_str(condition(pod, "PodScheduled"), "message");
    const char *phase = json_get_str(json_get_obj(pod, "status"), "phase");
    const char *speaks = NULL;
    auto_free char *cause = NULL;

    if (deploy_pod_is_ready(pod))
        return NULL;
    /* Its containers end, one way or another. */
    if (json_get_str(meta, "deletionTimestamp"))
        cause = xstrdup("is being deleted");
    else
        cause = containers_cause(pod, &speaks);
    if (out_speaks)
        *out_speaks = speaks;
    if (!cause && unscheduled && *unscheduled)
        cause = xasprintf("not scheduled: %s", unscheduled);
    if (!cause)
        cause = xasprintf("not ready (%s); has its kubelet seen it?", phase ? phase : "no phase");
    return xasprintf("%s%s%spod '%s': %s", node ? "node '" : "", node ? node : "",
                     node ? "': " : "", name ? name : "", cause);
}
