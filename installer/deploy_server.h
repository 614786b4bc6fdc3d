#pragma once
/* The requests of deploy, undeploy and status. Each error names the object. Errors are those of
 * kube_do. */
#include "cluster.h"
#include "deploy_object.h"
#include "err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#define DEPLOY_NS "kube-system"

struct deploy_server {
    struct kube_client *kube; /* borrowed */
    int minor;                /* of its Kubernetes 1.x */
    bool has_apply;           /* server-side apply; asked for by deploy_server_ask */
    bool has_dry_run;         /* all that writes can be tried */
    bool is_dry;              /* only try */
    bool forces_conflicts;    /* apply takes the fields of others */
};

void deploy_server_init(const struct cluster *c, struct deploy_server *out);
/* Finds out by an apply that is only tried. */
int deploy_server_ask(struct deploy_server *s, struct err **e);

/* *out is NULL for what is not there. To be deleted. */
int deploy_get(const struct deploy_server *s, const struct deploy_name *n, cJSON **out,
               struct err **e);
/* What is not there, or cannot be (404 for the kind), gives an empty list. `query` is one of
 * kube_list's paths behind '?', or NULL. */
int deploy_list(const struct deploy_server *s, const char *path, const char *query, cJSON **out,
                struct err **e);
/* Server-side apply as the field manager flatnet. -EAGAIN: others have some of the fields. */
int deploy_apply(const struct deploy_server *s, const struct deploy_name *n, const cJSON *wanted,
                 cJSON **out, struct err **e);
int deploy_create(const struct deploy_server *s, const struct deploy_name *n, const cJSON *object,
                  cJSON **out, struct err **e);
/* With the resourceVersion that `object` has. -EAGAIN: it has changed since. */
int deploy_replace(const struct deploy_server *s, const struct deploy_name *n, const cJSON *object,
                   cJSON **out, struct err **e);
int deploy_patch(const struct deploy_server *s, const struct deploy_name *n, const cJSON *patch,
                 enum kube_content content, struct err **e);
/* 0 also when it was gone already. `policy` is "Background", "Foreground" or "Orphan". */
int deploy_delete(const struct deploy_server *s, const struct deploy_name *n, const char *policy,
                  struct err **e);
/* The same for any path. */
int deploy_delete_path(const struct deploy_server *s, const char *path, const char *policy,
                       struct err **e);

/* --- time --- */

int64_t deploy_now_ms(void); /* CLOCK_MONOTONIC */
/* Waits a moment. -ECANCELED: interrupted. */
int deploy_pause(struct err **e);
/* True for an error that may be gone at the next attempt. */
bool deploy_is_passing(int status);
