#pragma once
/*
 * The `<name>-macvlan` companion of a Service (macvlan-system 3.2): headless, without a selector,
 * so that nobody else writes its endpoints; they are the macvlan addresses of the pods that the
 * source service selects. Decides only; nothing is written here.
 *
 * A service has a companion while a macvlan pod that it selects wants one: both annotations are
 * there and `macvlan.panda.io/macvlanService` does not say disable or disabled. The 2019 controller
 * went by a service named like the workload; Rancher makes those for each workload, so that the
 * selector finds the same ones. When pods are selected and none wants one any more, it goes. When
 * no pod is selected at all it stays as it is: a workload with fixed addresses stops its last pod
 * before the next one starts, and a workload at scale 0 is still the same workload.
 *
 * No companion have: services without a selector, ExternalName, those that carry the networks
 * annotation themselves, and companions.
 *
 * Ports are those of the source. For a headless source `port` and a numeric `targetPort` are one
 * higher, as Rancher's placeholder 42 became 43; a port that has no next number is left out.
 */
#include "svc_pod.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define SVC_COMPANION_SUFFIX "-macvlan"
#define SVC_MAX_NAME 63 /* of a Service: a DNS label */
/* Label on each companion that we made or adopted; the value also stands on EndpointSlices. */
#define SVC_MANAGER_KEY "macvlan.panda.io/managed-by"
#define SVC_MANAGER "network-controller.flatnet"
/* What published addresses before they were ready until Kubernetes 1.11. */
#define SVC_TOLERATE_KEY "service.alpha.kubernetes.io/tolerate-unready-endpoints"

/* How many pods of a service want what. Zeroed at first. */
struct svc_demand {
    size_t selected;
    size_t wanting; /* selected macvlan pods that do not refuse a companion */
};

/* Counts `pod` when `source` selects it and it has not ended. A workload's template may be counted
 * as a pod too (svc_pod_new). */
void svc_demand_add(struct svc_demand *d, const cJSON *source, const struct svc_pod *pod);

enum svc_action { SVC_LEAVE, SVC_CREATE, SVC_PATCH, SVC_DELETE };

struct svc_companion {
    enum svc_action action;
    /* SVC_CREATE: the Service. SVC_PATCH: an application/merge-patch+json that touches nothing but
     * what is ours. Else NULL. */
    cJSON *body;
    /* The companion is, or will be after this action, ours, and its endpoints are to be written. */
    bool is_served;
    const char *why; /* static text for the log, never NULL */
    char *warning;   /* text for an event on the source, or NULL */
};

/*
 * What has to be done about the companion of `source` (a Service as the API gave it). `existing` is
 * the Service that bears the companion's name in its namespace, or NULL. It is ours by our label,
 * or one of the 2019 controller: clusterIP None, the annotation for static-macvlan-cni-attach, and
 * owned by the source or by what owns the source (that controller copied the references); where
 * nobody owns the source, one without owners that has the source's selector, which is adopted but
 * never deleted. Any other is left alone with a warning. One that is being deleted is waited for.
 * *out_plan is always filled, and to be released.
 */
void svc_companion_plan(const cJSON *source, const cJSON *existing, const struct svc_demand *demand,
                        struct svc_companion *out_plan);
void svc_companion_release(struct svc_companion *plan);

/* "<name>-macvlan", to be freed. */
char *svc_companion_name(const char *source_name);
/* The length of the source's name when `name` ends as a companion's does, else 0. */
size_t svc_companion_source_len(const char *name);
/* Whether a service is a companion that we manage. */
bool svc_companion_is_ours(const cJSON *service);

/* By spec.publishNotReadyAddresses or the annotation before it. */
bool svc_publishes_not_ready(const cJSON *service);
/* clusterIP None. */
bool svc_is_headless(const cJSON *service);
/* The ownerReferences of an object that goes with a service: one, without `controller`. */
cJSON *svc_owners_new(const char *name, const char *uid);

#define auto_companion __attribute__((cleanup(svc_companion_release)))
