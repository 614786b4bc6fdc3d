/* Questions about the objects of a cluster. */
#include "netview.h"

#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);

    return text ? text : "";
}

static const cJSON *meta_of(const cJSON *object)
{
    return json_get_obj(object, "metadata");
}

const char *netview_name(const cJSON *object)
{
    return text_of(meta_of(object), "name");
}

const char *netview_namespace(const cJSON *object)
{
    return text_of(meta_of(object), "namespace");
}

const char *netview_uid(const cJSON *object)
{
    return text_of(meta_of(object), "uid");
}

const char *netview_label(const cJSON *object, const char *key)
{
    return text_of(json_get_obj(meta_of(object), "labels"), key);
}

const cJSON *netview_annotations(const cJSON *object)
{
    return json_get_obj(meta_of(object), "annotations");
}

bool netview_is_deleting(const cJSON *object)
{
    return json_get_str(meta_of(object), "deletionTimestamp") != NULL;
}

const cJSON *netview_find(const cJSON *list, const char *namespace, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (!strcmp(netview_name(item), name) &&
            (!namespace || !strcmp(netview_namespace(item), namespace)))
            return item;
    }
    return NULL;
}

static int compare_entries(const void *a, const void *b)
{
    const struct netview_entry *x = a, *y = b;

    return strcmp(x->key, y->key);
}

void netview_index_init(struct netview_index *x, const cJSON *list)
{
    const cJSON *item;

    *x = (struct netview_index){.n = 0};
    cJSON_ArrayForEach(item, list)
    {
        array_grow(x->entries, x->n);
        x->entries[x->n++] =
            (struct netview_entry){xasprintf("%s/%s", netview_namespace(item), netview_name(item)),
                                   item};
    }
    if (x->n)
        qsort(x->entries, x->n, sizeof(*x->entries), compare_entries);
}

void netview_index_release(struct netview_index *x)
{
    for (size_t i = 0; i < x->n; i++)
        free(x->entries[i].key);
    free(x->entries);
    *x = (struct netview_index){.n = 0};
}

const cJSON *netview_index_find(const struct netview_index *x, const char *namespace,
                                const char *name)
{
    auto_free char *key = xasprintf("%s/%s", namespace, name);
    struct netview_entry wanted = {.key = key};
    const struct netview_entry *found =
        x->n ? bsearch(&wanted, x->entries, x->n, sizeof(wanted), compare_entries) : NULL;

    return found ? found->object : NULL;
}

const cJSON *netview_owner(const cJSON *object)
{
    const cJSON *owner;

    cJSON_ArrayForEach(owner, json_get_arr(meta_of(object), "ownerReferences"))
    {
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(owner, "controller")))
            return owner;
    }
    return NULL;
}

/* --- workloads --- */

const cJSON *netview_template(const struct netview_kind *kind, const cJSON *workload)
{
    const cJSON *spec = json_get_obj(workload, "spec");

    if (!strcmp(kind->kind, "CronJob"))
        spec = json_get_obj(json_get_obj(spec, "jobTemplate"), "spec");
    return json_get_obj(spec, "template");
}

static bool has_condition(const cJSON *object, const char *type)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get_arr(json_get_obj(object, "status"), "conditions"))
    {
        if (!strcmp(text_of(item, "type"), type))
            return !strcmp(text_of(item, "status"), "True");
    }
    return false;
}

bool netview_has_ended(const cJSON *workload)
{
    return has_condition(workload, "Complete") || has_condition(workload, "Failed");
}

/* --- pods --- */

const char *netview_phase(const cJSON *pod)
{
    return text_of(json_get_obj(pod, "status"), "phase");
}

bool netview_pod_has_ended(const cJSON *pod)
{
    return !strcmp(netview_phase(pod), "Succeeded") || !strcmp(netview_phase(pod), "Failed");
}

bool netview_pod_is_ready(const cJSON *pod)
{
    return has_condition(pod, "Ready");
}

const char *netview_node(const cJSON *pod)
{
    return text_of(json_get_obj(pod, "spec"), "nodeName");
}

/* A ReplicaSet is called DEPLOYMENT-HASH, and its pods have the hash as a label. */
static char *deployment_of(const cJSON *pod, const char *set)
{
    const char *hash = netview_label(pod, "pod-template-hash");
    size_t len = strlen(set), end = strlen(hash) + 1;

    if (*hash && len > end && set[len - end] == '-' && !strcmp(set + len - end + 1, hash))
        return xasprintf("deployment/%.*s", (int)(len - end), set);
    return xasprintf("replicaset/%s", set);
}

char *netview_workload_of(const cJSON *pod, const cJSON *jobs)
{
    const cJSON *owner = netview_owner(pod), *job;
    const char *kind = text_of(owner, "kind"), *name = text_of(owner, "name");

    if (!owner)
        return xstrdup("");
    if (!strcmp(kind, "ReplicaSet"))
        return deployment_of(pod, name);
    if (!strcmp(kind, "Job")) {
        job = netview_find(jobs, netview_namespace(pod), name);
        owner = netview_owner(job);
        if (owner && !strcmp(text_of(owner, "kind"), "CronJob"))
            return xasprintf("cronjob/%s", text_of(owner, "name"));
    }
    for (size_t i = 0; i < NETVIEW_KINDS; i++)
        if (!strcmp(kind, netview_kinds[i].kind))
            return xasprintf("%s/%s", netview_kinds[i].word, name);
    return xasprintf("%s/%s", kind, name);
}

/* When an event was seen last; older and newer events have it in different fields. All are RFC 3339
 * in UTC, so that texts compare as times. */
static const char *time_of(const cJSON *event)
{
    static const char *const fields[] = {"lastTimestamp", "eventTime", "firstTimestamp"};

    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        if (json_get_str(event, fields[i]))
            return json_get_str(event, fields[i]);
    return "";
}

const char *netview_warning(const struct netview *v, const cJSON *pod, const char *prefix)
{
    const char *uid = netview_uid(pod), *found = NULL, *when = "";
    const cJSON *event;

    cJSON_ArrayForEach(event, v->events)
    {
        const cJSON *about = json_get_obj(event, "involvedObject");

        if (strcmp(text_of(about, "uid"), uid) != 0 ||
            strncmp(text_of(event, "reason"), prefix, strlen(prefix)) != 0 ||
            strcmp(time_of(event), when) < 0)
            continue;
        when = time_of(event);
        found = text_of(event, "message");
    }
    return found;
}

struct subnet *netview_subnet(const struct netview *v, const char *name)
{
    const cJSON *object = netview_find(v->subnets, NULL, name);
    struct subnet *s = NULL;

    if (!object || subnet_parse(object, v->has_legacy_octets, &s, NULL) < 0)
        return NULL;
    return s;
}
