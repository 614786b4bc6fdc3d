#pragma once
/* Waiting until what was applied works. */
#include "deploy_health.h"
#include "deploy_object.h"
#include "deploy_server.h"
#include "err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* Until a CRD is established, a DaemonSet ready on every node, a Deployment available. What keeps
 * it is said as it changes; -ETIMEDOUT: it is not so at the deadline, with all causes. */
int deploy_wait_ready(const struct deploy_server *s, const struct deploy_name *n,
                      int64_t deadline_ms, struct err **e);

/* Why the pods of a workload are not ready, one cause a line, indented; "" where nothing is known.
 * To be freed. NULL with *e. */
char *deploy_pods_causes(const struct deploy_server *s, const struct deploy_name *n,
                         const cJSON *workload, struct err **e);

struct deploy_leader {
    char *holder;   /* "": nobody */
    char *acquired; /* since when, as it stands there */
    bool is_fresh;  /* it renews */
};

/* Reads who leads the controllers and, if `wait_ms` is more than 0, watches for so long whether the
 * record is renewed. `lock` is "leases" or "configmaps". */
int deploy_leader_read(const struct deploy_server *s, const char *lock, int64_t wait_ms,
                       struct deploy_leader *out, struct err **e);
void deploy_leader_release(struct deploy_leader *l);
#define auto_leader __attribute__((cleanup(deploy_leader_release)))

/* Until one of the controllers leads. */
int deploy_wait_leader(const struct deploy_server *s, const char *lock, int64_t deadline_ms,
                       struct err **e);
