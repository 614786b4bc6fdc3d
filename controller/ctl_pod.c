/* A pod, cut down to what is needed. */
#include "ctl_pod.h"

#include "macvlan/annot.h"
#include "macvlan/macvlanip.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

/* As text, which takes a fifth of the memory of a tree. */
static char *our_annotations(const cJSON *annotations)
{
    static const char *const keys[] = {ANNOT_IP, ANNOT_SUBNET, ANNOT_MAC};
    auto_json cJSON *copy = cJSON_CreateObject();

    for (size_t i = 0; i < 3; i++)
        json_add_str(copy, keys[i], json_get_str(annotations, keys[i]));
    return json_print(copy);
}

int ctl_pod_request(const struct ctl_pod *pod, struct annot_request *out,
                    struct annot_refusal *out_refusal)
{
    auto_json cJSON *annotations = pod->annotations ? cJSON_Parse(pod->annotations) : NULL;

    return annot_parse(annotations, out, out_refusal);
}

static const cJSON *find_controller(const cJSON *meta)
{
    const cJSON *owner;

    cJSON_ArrayForEach(owner, json_get_arr(meta, "ownerReferences"))
    {
        if (json_get_str(owner, "kind") && json_get_str(owner, "name") &&
            cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(owner, "controller")))
            return owner;
    }
    return NULL;
}

/* How long the name of a ReplicaSet's Deployment is; 0: it has none. */
static size_t deployment_len(const char *set, const char *hash)
{
    size_t len = strlen(set), hash_len = hash ? strlen(hash) : 0;

    if (!hash_len || len < hash_len + 2 || strcmp(set + len - hash_len, hash) ||
        set[len - hash_len - 1] != '-')
        return 0;
    return len - hash_len - 1;
}

static void take_owner(struct ctl_pod *pod, const cJSON *meta)
{
    const cJSON *owner = find_controller(meta);
    const char *kind = json_get_str(owner, "kind"), *name = json_get_str(owner, "name");
    size_t len;

    if (!owner)
        return;
    if (!strcmp(kind, "StatefulSet")) {
        pod->set_name = xstrdup(name);
        pod->set_uid = xstrdup(json_get_str(owner, "uid"));
    }
    len =
        strcmp(kind, "ReplicaSet")
            ? 0
            : deployment_len(name, json_get_str(json_get_obj(meta, "labels"), "pod-template-hash"));
    pod->owner_kind = xstrdup(len ? "Deployment" : kind);
    pod->owner_name = xstrndup(name, len ? len : strlen(name));
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
    take_owner(pod, meta);
    return pod;
}

void ctl_pod_free(void *value)
{
    struct ctl_pod *pod = value;

    if (!pod)
        return;
    svc_pod_free(pod->svc);
    free(pod->annotations);
    free(pod->half);
    free(pod->set_name);
    free(pod->set_uid);
    free(pod->owner_kind);
    free(pod->owner_name);
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

bool ctl_pod_is_numbered(const char *name, const char *stem)
{
    size_t len = strlen(stem);

    return !strncmp(name, stem, len) && name[len] == '-' && name[len + 1] &&
           !name[len + 1 + strspn(name + len + 1, "0123456789")];
}

bool ctl_pod_is_of(const struct ctl_pod *pod, const char *kind, const char *name)
{
    if (!pod->owner_kind)
        return !strcmp(kind, "Pod") && !strcmp(pod->svc->name, name);
    if (!strcmp(kind, "CronJob"))
        return !strcmp(pod->owner_kind, "Job") && ctl_pod_is_numbered(pod->owner_name, name);
    return !strcmp(pod->owner_kind, kind) && !strcmp(pod->owner_name, name);
}
