#pragma once
/* What the controller keeps of each pod. */
#include "svc_pod.h"

#include <cjson/cJSON.h>
#include <stdint.h>

struct ctl_pod {
    struct svc_pod *svc;      /* names, labels, state */
    cJSON *annotations;       /* of a macvlan pod, those that are ours; else NULL */
    char *half;               /* a warning: it has only a part of what its mode needs; or NULL */
    char *set_name, *set_uid; /* of its StatefulSet, or NULL */
    char *workload;           /* Rancher's label for what it belongs to, or NULL */
    int64_t seen_us;          /* when it came up first, for the time it waits */
};

/* NULL: no pod. */
struct ctl_pod *ctl_pod_new(const cJSON *object, bool is_multus);
void ctl_pod_free(void *pod); /* NULL is fine */
/* Whether it has all labels that are strings in `labels`. */
bool ctl_pod_has_labels(const struct ctl_pod *pod, const cJSON *labels);
