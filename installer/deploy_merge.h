#pragma once
/*
 * What an object is to become, when the server cannot apply by itself: the three-way merge of
 * kubectl. Pure.
 *
 * `original` is what was applied last (NULL: nobody knows), `wanted` what is to hold now, `live`
 * what the server has. A field that `wanted` has is set; one that `original` has and `wanted` has
 * not is removed; every other field of `live` stays, whoever wrote it. Lists whose members have a
 * key are merged by it: containers, initContainers, volumes, env, imagePullSecrets and webhooks by
 * name, volumeMounts by mountPath, a container's ports by containerPort and protocol, a Service's
 * by port and protocol, versions of a CRD by name. Any other list is taken as a whole, and left as
 * it is where it says all that is wanted and nothing that was applied before differs. A list with a
 * key, and a map of labels, annotations, data or a nodeSelector, that is not wanted any more keeps
 * what others have put into it; any other field goes as a whole. An update
 * strategy of another type replaces the one that is there, with its parameters.
 */
#include <cjson/cJSON.h>
#include <stdbool.h>

/* The annotation in which kubectl keeps what it applied. */
#define DEPLOY_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

/* A new tree, to be deleted. */
cJSON *deploy_merge(const cJSON *original, const cJSON *wanted, const cJSON *live);

/* True where `live` says all that `wanted` says. */
bool deploy_covers(const cJSON *live, const cJSON *wanted);

/* What was applied last according to the annotation of the object; NULL where there is none that
 * can be read. To be deleted. */
cJSON *deploy_last_applied(const cJSON *live);
/* Puts `wanted` (without that annotation) into the annotation of `object`, as kubectl would. What
 * stands there already and means the same stays. */
void deploy_set_last_applied(cJSON *object, const cJSON *wanted);
