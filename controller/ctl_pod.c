/* A pod, cut down to what is needed. */
#include "ctl_pod.h"

#include "annot.h"
#include "macvlanip.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static cJSON *our_annotations(const cJSON *annotations)
{
    static const char *const keys[] = {ANNOT_IP, ANNOT_SUBNET, ANNOT_MAC};
    cJSON *copy = cJSON_CreateObject();

    for (size_t i = 0; i < 3; i++)
        json_add_str(copy, keys[i], json_get_str(annotations, keys[i]));
    return copy;
}

static void take_set(struct ctl_pod *pod, const cJSON *meta)
{
    const cJSON *owner;

    cJSON_ArrayForEach(owner, json_get_arr(meta, "ownerReferences"))
    {
        const char *kind = json_get_str(owner, "kind");

        if (!kind || strcmp(kind, "StatefulSet") ||
            !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(owner, "controller")))
            continue;
        pod->set_name = xstrdup(json_get_str(owner, "name"));
        pod->set_uid = xstrdup(json_get_str(owner, "uid"));
        return;
    }
}

struct ctl_pod *ctl_pod_new(const cJSON *object, bool is_multus)
{
    const cJSON *meta = json_get_obj(object, "metadata");
    const cJSON *annotations = json_get_obj(meta, "annotations");
    struct svc_pod *svc = svc_pod_new(object);
    struct ctl_pod *pod;

    if (!svc || !svc->namespace || !svc->name || !svc->uid) {
        svc_pod_free(svc);
        return NULL;
    }
    pod = xcalloc(1, sizeof(*pod));
    pod->svc = svc;
    pod->half = annot_half(annotations, is_multus);
    pod->seen_us = kube_now_us();
    if (!svc->is_macvlan)
        return pod;
    pod->annotations = our_annotations(annotations);
    pod->workload = xstrdup(json_get_str(json_get_obj(meta, "labels"), MACVLANIP_WORKLOAD_LABEL));
    take_set(pod, meta);
    return pod;
}

void ctl_pod_free(void *value)
{
    struct ctl_pod *pod = value;

    if (!pod)
        return;
    svc_pod_free(pod->svc);
    cJSON_Delete(pod->annotations);
    free(pod->half);
    free(pod->set_name);
    free(pod->set_uid);
    free(pod->workload);
    free(pod);
}

static const char *label_of(const struct ctl_pod *pod, const char *key)
{
    for (size_t i = 0; i < pod->svc->label_count; i++)
        if (!strcmp(pod->svc->labels[i].key, key))
            return pod->svc->labels[i].value ? pod->svc->labels[i].value : "";
    return NULL;
}

bool ctl_pod_has_labels(const struct ctl_pod *pod, const cJSON *labels)
{
    const cJSON *label;

    cJSON_ArrayForEach(label, labels)
    {
        const char *value = label_of(pod, label->string);

        if (cJSON_IsString(label) && (!value || strcmp(value, label->valuestring)))
            return false;
    }
    return true;
}
