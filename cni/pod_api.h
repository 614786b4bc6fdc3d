#pragma once
/*
 * The API server for one call of the plugin: one connection, one request after the other, until a
 * time. Failures that may pass (no connection, silence, 429, 5xx) are repeated; after a 401 the
 * kubeconfig is read again, once.
 */
#include "err.h"

#include <cjson/cJSON.h>
#include <stdint.h>

struct pod_api;

struct pod_api_options {
    const char *kubeconfig; /* its path */
    const char *sessions;   /* folder for TLS sessions; NULL: none */
    int64_t until_ms;       /* on the clock of kube_now_ms */
    int request_ms;         /* most for one answer; 0: 10 s */
    /* For how long failures are repeated while the server has never answered; then it is until
     * until_ms. 0: 5 s. */
    int reach_ms;
};

/* Nothing is sent yet. -EINVAL: the kubeconfig makes no sense. -EAGAIN: it cannot be read. */
int pod_api_new(const struct pod_api_options *options, struct pod_api **out, struct err **e);
void pod_api_free(struct pod_api *api); /* NULL is fine */

void pod_api_set_until(struct pod_api *api, int64_t until_ms);
/* Milliseconds until then; 0: over. */
int64_t pod_api_left_ms(const struct pod_api *api);
/* How many requests were sent so far. */
unsigned pod_api_requests(const struct pod_api *api);

/* 0, or the numbers of kube_io.h; -ETIMEDOUT also when the time is over. */
int pod_api_get(struct pod_api *api, const char *path, cJSON **out, struct err **e);

/* 1: enough, 0: go on, or a negative errno. `object` is NULL when it was deleted. */
typedef int (*pod_api_fn)(void *arg, const cJSON *object, struct err **e);

/*
 * Lists what `path` ("...?fieldSelector=...") selects and watches it from there on, through ends of
 * watches and versions that are too old, until `fn` has enough (1), fails, or the time is over
 * (-ETIMEDOUT). The object is shown at least every 10 s, also if nobody tells of a change. Errors
 * as above.
 */
int pod_api_follow(struct pod_api *api, const char *path, pod_api_fn fn, void *arg, struct err **e);

#define auto_pod_api __attribute__((cleanup(pod_api_cleanup)))
void pod_api_cleanup(struct pod_api **api);
