#pragma once
/*
 * Objects that are deployed: which kinds there are, in which order they come, where the server has
 * them, and how they are called in a list. Pure.
 */
#include "err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* On every object of a rendering, so that objects are known whoever has applied them; */
#define DEPLOY_PART_KEY "app.kubernetes.io/part-of"
#define DEPLOY_PART "flatnet"
/* and on those that 'flatnet deploy' has applied. */
#define DEPLOY_MANAGER_KEY "app.kubernetes.io/managed-by"
#define DEPLOY_MANAGER "flatnet"

struct deploy_kind {
    const char *kind, *plural;
    const char *api;     /* "apps/v1" */
    const char *old_api; /* before Kubernetes 1.16, or NULL */
    bool is_namespaced;
    int rank; /* the order in which they are applied; the reverse for taking away */
};

/* All kinds, in the order of their ranks, ended by one without a name. */
const struct deploy_kind *deploy_kinds(void);
/* NULL for a kind that is never deployed. */
const struct deploy_kind *deploy_kind_find(const char *kind);

struct deploy_name {
    const struct deploy_kind *kind;
    char *ns; /* "" for what is in no namespace */
    char *name;
};

/* -EINVAL: no apiVersion, kind or name, a kind that is not known, or a name that cannot be one. */
int deploy_name_of(const cJSON *object, struct deploy_name *out, struct err **e);
/* "DaemonSet kube-system/network-cni-ds", "ClusterRole flannel". -EINVAL for anything else. */
int deploy_name_parse(const char *text, struct deploy_name *out, struct err **e);
char *deploy_name_text(const struct deploy_name *n); /* to be freed */
bool deploy_name_equal(const struct deploy_name *a, const struct deploy_name *b);
struct deploy_name deploy_name_copy(const struct deploy_name *n);
void deploy_name_release(struct deploy_name *n);
#define auto_deploy_name __attribute__((cleanup(deploy_name_release)))

/* True for what belongs to the pod network. */
bool deploy_is_flannel(const struct deploy_name *n);

/* The API of a kind in Kubernetes 1.`minor`. */
const char *deploy_api(const struct deploy_kind *kind, int minor);
/* "/apis/apps/v1/namespaces/kube-system/daemonsets/x"; `name` NULL: the list, `ns` NULL: of all
 * namespaces. To be freed. */
char *deploy_path(const struct deploy_kind *kind, int minor, const char *ns, const char *name);

/* Writes out what servers may ask for and fill in later (the protocol of ports), and who deploys
 * it. */
void deploy_complete(cJSON *object);

/* Why `live` cannot become `wanted`: the field that never changes; NULL: it can. */
const char *deploy_fixed_field(const cJSON *live, const cJSON *wanted);

/* True where a selector's matchLabels are among the labels; a selector without any fits nothing. */
bool deploy_selects(const cJSON *match_labels, const cJSON *labels);
/* A selector's matchLabels as a query: "a=b,c=d", percent-encoded; to be freed. */
char *deploy_selector_query(const cJSON *match_labels);
