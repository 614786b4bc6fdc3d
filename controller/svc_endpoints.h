#pragma once
/*
 * The core/v1 Endpoints of a service whose endpoints are ours. Equal input gives equal bytes, in
 * any order of the backends. What is not ours in an existing object (other labels, annotations) is
 * neither looked at nor touched.
 */
#include "hash.h"
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
 * Equal for two Endpoints (as the API gave them or as built) that say the same about all that is
 * ours. The API server regroups subsets, so that only what they mean counts.
 */
void svc_endpoints_digest(const cJSON *endpoints, char out_digest[DIGEST_SIZE]);
/* The application/merge-patch+json that makes any Endpoints of that name say what `desired` (of
 * svc_endpoints_build) does. */
cJSON *svc_endpoints_patch(const cJSON *desired);
