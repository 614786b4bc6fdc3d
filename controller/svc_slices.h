#pragma once
/*
 * The discovery EndpointSlices of a service whose endpoints are ours: one address family and one
 * set of ports each, at most 100 endpoints. An endpoint stays in the slice where it is, so that a
 * pod that comes, goes or changes costs one write.
 */
#include "svc_backends.h"
#include "svc_companion.h"

#include <cjson/cJSON.h>
#include <stddef.h>

#define SVC_SLICE_MAX 100
#define SVC_SLICE_SERVICE_KEY "kubernetes.io/service-name"
#define SVC_SLICE_MANAGER_KEY "endpointslice.kubernetes.io/managed-by"

/* v1 from Kubernetes 1.21, v1beta1 from 1.17 to 1.24. */
enum svc_slice_version { SVC_SLICE_V1BETA1, SVC_SLICE_V1 };

struct svc_slice_op {
    enum svc_action action; /* never SVC_LEAVE */
    char *name;
    char *uid;   /* of the existing one, as a precondition; NULL for SVC_CREATE */
    cJSON *body; /* SVC_CREATE: the object; SVC_PATCH: a merge-patch; else NULL */
};

struct svc_slice_plan {
    struct svc_slice_op *ops; /* creations first, deletions last: no endpoint is lost between */
    size_t count;
};

/*
 * What has to be written so that the slices of `target` say what `rows` says. `existing` are the
 * `count` slices in the service's namespace with its name in SVC_SLICE_SERVICE_KEY, all managers'.
 * Those of Kubernetes' own two controllers are deleted where the service has no selector; with one
 * they would come back at once. Those of others are left alone. The names are made of the service,
 * the ports and a number, so that a create that is repeated meets the first one.
 */
void svc_slices_plan(const struct svc_target *target, const struct svc_rows *rows,
                     enum svc_slice_version version, const cJSON *const *existing, size_t count,
                     struct svc_slice_plan *out_plan);
void svc_slice_plan_release(struct svc_slice_plan *plan);

#define auto_slice_plan __attribute__((cleanup(svc_slice_plan_release)))
