#pragma once
/*
 * The core/v1 Endpoints of a service whose endpoints are ours. Equal input gives equal bytes, in
 * any order of the backends. What is not ours in an existing object (other labels, annotations) is
 * neither looked at nor touched.
 */
#include "svc_backends.h"

#include <cjson/cJSON.h>
#include <stddef.h>

/* Most addresses in one Endpoints object, those that are ready first (Kubernetes 1.22 truncates
 * there too, and says so in this annotation). */
#define SVC_ENDPOINTS_MAX 1000
#define SVC_CAPACITY_KEY "endpoints.kubernetes.io/over-capacity"
#define SVC_SKIP_MIRROR_KEY "endpointslice.kubernetes.io/skip-mirror"
/* kube-proxy leaves alone what bears it. */
#define SVC_HEADLESS_KEY "service.kubernetes.io/headless"

/* The whole Endpoints object, for a create. */
cJSON *svc_endpoints_build(const struct svc_target *target, const struct svc_rows *rows);

/*
 * NULL when `existing` (Endpoints as the API gave it) says the same as `desired` (of
 * svc_endpoints_build); else the application/merge-patch+json that makes it so. The API server
 * regroups subsets, so that only what they mean is compared.
 */
cJSON *svc_endpoints_patch(const cJSON *existing, const cJSON *desired);
