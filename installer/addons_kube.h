#pragma once
/* What Kubernetes of a version serves, and where its objects keep things. Pure. */
#include "yamltree.h"

#include <stdbool.h>

struct addons_api {
    const char *api;  /* "extensions/v1beta1" */
    const char *kind; /* NULL: all kinds of it */
    int since,
        until; /* minors of Kubernetes 1: served from `since`, gone with `until`; 0: no end */
    const char *instead;
};

/* What stands against the use of a kind in 1.`minor`; NULL: nothing, or a kind that is not known
 * (one of somebody's CRDs). */
const struct addons_api *addons_api_fault(const char *api, const char *kind, int minor);

/* The pod's spec inside of a workload, or NULL. */
const struct yamlnode *addons_pod_spec(const struct yamlnode *object);

/* Group, kind, namespace (never NULL) and name as one text, the same for every version of the API
 * under which an object can be reached; to be freed. */
char *addons_identity(const char *api, const char *kind, const char *namespace, const char *name);
