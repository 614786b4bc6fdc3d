#pragma once
/* Whether an object does what it is there for, from what the server says of it. Pure. */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct deploy_health {
    bool is_ready;
    char *text; /* "2 of 3 nodes ready"; NULL for what is ready by being there */
};

/* A CustomResourceDefinition, DaemonSet or Deployment; all else is ready. */
void deploy_health_of(const cJSON *object, struct deploy_health *out);
void deploy_health_release(struct deploy_health *h);
#define auto_health __attribute__((cleanup(deploy_health_release)))

/* Why a pod is not ready, as "node 'n': pod 'p': image 'i': ImagePullBackOff: ...", to be freed;
 * NULL for a ready one. *out_speaks is the container whose last words in the log may say more
 * (borrowed from the pod), or NULL; `out_speaks` may be NULL. */
char *deploy_pod_cause(const cJSON *pod, const char **out_speaks);

/* True for a pod that has the condition Ready. */
bool deploy_pod_is_ready(const cJSON *pod);
