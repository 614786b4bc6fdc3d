#pragma once
/* What the controller keeps of each pod. */
#include "ip.h"
#include "macvlan/annot.h"
#include "svc_pod.h"

#include <cjson/cJSON.h>
#include <stdint.h>

struct ctl_pod {
    struct svc_pod *svc;      /* names, labels, state */
    char *annotations;        /* of a macvlan pod, those that are ours, as JSON; else NULL */
    char *half;               /* a warning: it has only a part of what its mode needs; or NULL */
    char *set_name, *set_uid; /* of its StatefulSet, or NULL */
    /* Of a macvlan pod: its controller, for a ReplicaSet with a Deployment that; or NULL. */
    char *owner_kind, *owner_name;
    char *workload;              /* Rancher's label for what it belongs to, or NULL */
    struct ip_addr labelled;     /* by us, which the watch has not shown yet; or none */
    int64_t seen_us;             /* when it came up first, for the time it waits */
    struct ctl_pod *prev, *next; /* in its namespace: ctl_services.c */
};

/* NULL: no pod. */
struct ctl_pod *ctl_pod_new(const cJSON *object, bool is_multus);
void ctl_pod_free(void *pod); /* NULL is fine */
/* What it asks for; as annot_parse. */
int ctl_pod_request(const struct ctl_pod *pod, struct annot_request *out,
                    struct annot_refusal *out_refusal);
/* Whether it has all labels that are strings in `labels`. */
bool ctl_pod_has_labels(const struct ctl_pod *pod, const cJSON *labels);
/* Whether a macvlan pod comes from that workload of its namespace, or (kind "Pod") is it itself. A
 * CronJob's is known by the name that Kubernetes gives its Jobs. */
bool ctl_pod_is_of(const struct ctl_pod *pod, const char *kind, const char *name);
/* Whether `name` is "STEM-DIGITS", as the pods of a StatefulSet and the Jobs of a CronJob have it.
 */
bool ctl_pod_is_numbered(const char *name, const char *stem);
