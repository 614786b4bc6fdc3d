#pragma once
/*
 * Whose the fields of an object are (metadata.managedFields), where the server applies by itself.
 * Pure.
 *
 * The server removes a field that is not named any more only when nobody else has it. What kubectl
 * applied from its side stays kubectl's, for ever, beside us. So before the first apply over such
 * an object, what kubectl had becomes ours, as kubectl itself does it in 'apply --server-side'.
 */
#include <cjson/cJSON.h>
#include <stdbool.h>

#define DEPLOY_FIELD_MANAGER "flatnet"

/* True for an object that kubectl has applied from its side. */
bool deploy_is_client_applied(const cJSON *live);

/* The managedFields under which what kubectl had is ours, to be deleted; NULL where kubectl has
 * nothing (its objects from before Kubernetes 1.18 have no managedFields). `api` is that of what
 * will be applied. */
cJSON *deploy_managed_taken(const cJSON *live, const char *api);
/* The fields that others than us and kubectl have set to something else than `wanted` has, one a
 * line: "\n    .spec.replicas, set by 'admin'"; what a take-over would run into. To be freed; NULL
 * for none. */
char *deploy_managed_conflicts(const cJSON *live, const cJSON *wanted);
/* The managedFields of an object that has none: only the annotation of kubectl is ours. */
cJSON *deploy_managed_begun(const char *api);

/* True where two states of an object differ in nothing but what the server counts or notes by
 * itself: versions, times, the status. */
bool deploy_is_same(const cJSON *a, const cJSON *b);
