#pragma once
/* Why a pod has got no address, as far as the API server knows. */
#include "pod_api.h"

#define POD_IP_KEY "macvlan.pandaria.cattle.io/ip"
#define POD_SUBNET_KEY "macvlan.pandaria.cattle.io/subnet"

/*
 * A sentence, to be freed, with the likeliest cause: no controller that works (its Lease), what the
 * controller says (the pod's events), no subnet. `annotations`: the pod's, NULL where they are not
 * known. What cannot be read is left out.
 */
char *pod_cause(struct pod_api *api, const char *ns, const char *name, const char *uid,
                const cJSON *annotations);

/* --- what the answers say, for the above and for tests; NULL: nothing --- */

/* `object` is the controller's Lease, or the ConfigMap that it has in its place before 1.14. */
char *pod_cause_of_lock(const cJSON *object);
/* `list` is the pod's events, of which the last refusal counts. */
char *pod_cause_of_events(const cJSON *list);
