#pragma once
/*
 * What a pod's interface must be, asked from the API server: the pod itself (only where its UID is
 * not known, or it may have no need of us), then its MacvlanIP, which is waited for. One
 * connection.
 */
#include "err.h"
#include "wanted.h"

#include <stdbool.h>

struct pod_query {
    const char *kubeconfig; /* from the configuration; NULL: where it is found */
    const char *root;       /* a folder that stands for / in that search, or NULL */
    const char *namespace, *name;
    const char *uid; /* from CNI_ARGS, or NULL */
    bool is_chained; /* a pod without both annotations passes through */
    int timeout_ms;  /* for all of it, but for 3 s in which the cause of a failure is looked for */
    int request_ms, reach_ms; /* see pod_api.h; 0 */
};

struct pod_answer {
    bool is_ours; /* false: the pod passes through, and `wanted` is empty */
    char *uid;    /* the pod's */
    struct wanted wanted;
    unsigned n_requests;
};

/*
 * -EBADR: `namespace` or `name` is NULL. -EAGAIN: there is no address (yet); the message says what
 * has been waiting for what, and the likely cause. -EHOSTUNREACH, -ETIMEDOUT, -EKEYREJECTED, ...:
 * the API server. -EBADMSG: the MacvlanIP makes no sense. -EINVAL: the kubeconfig does not.
 */
int pod_ask(const struct pod_query *q, struct pod_answer *out, struct err **e);
void pod_answer_release(struct pod_answer *a);

#define auto_pod_answer __attribute__((cleanup(pod_answer_release)))
