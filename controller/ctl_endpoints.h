#pragma once
/*
 * Shared by the files about Endpoints and EndpointSlices only: ctl_endpoints.c decides, ctl_job.c
 * writes, ctl_slices.c knows which slices there are.
 */
#include "ctl_services.h"
#include "svc_slices.h"

struct job;

struct ctl_endpoints {
    struct ctl *c;
    struct kube_informer *informer; /* of Endpoints that bear our label */
    struct kube_queue *queue;       /* of services that may be ours to serve */
    struct ctl_slices *slices;
    struct job *jobs;
};

/* --- ctl_job.c --- */

struct request {
    const char *method;
    char *path; /* POST: of the collection */
    char *name; /* POST: of the object; else NULL */
    char *uid;  /* DELETE: of the object that is meant */
    cJSON *body;
};

/* What is to be done about one service: requests, one after another. The first that fails ends it,
 * and the service is tried again. */
struct job {
    struct ctl_endpoints *e;
    char *key;
    struct request *requests;
    size_t count, at, n_writes;
    void (*listed)(struct job *j, const cJSON *list);
    bool is_listing, has_deletion;
    struct kube_call *call;
    struct job *prev, *next;
};

struct job *job_new(struct ctl_endpoints *e, const char *key);
void job_free(struct job *j);
/* Adds a request; `path` is that of the collection, `body` is taken. A POST that meets an object of
 * that name becomes a PATCH with the same body. With a `uid` it concerns no other object that bears
 * the name by then. */
void job_add(struct job *j, const char *method, const char *path, const char *name, cJSON *body,
             const char *uid);
/* Gets a list and calls back, from where more can be added. */
void job_list(struct job *j, const char *path, void (*listed)(struct job *j, const cJSON *list));
/* Goes on only if nothing is there. */
void job_expect_none(struct job *j, const char *path);
/* Begins; the queue has the key back in the end, and the job frees itself. */
void job_run(struct job *j);

/* --- ctl_slices.c --- */

struct ctl_slices;

enum slices_state {
    SLICES_WAIT, /* not known yet */
    SLICES_NONE, /* the server has none, or none for us */
    SLICES_READY,
};

/* `changed` is called with the key of a service whose slices have changed, and with NULL when the
 * state has. */
struct ctl_slices *slices_new(struct ctl *c, void (*changed)(void *arg, const char *key),
                              void *arg);
void slices_free(struct ctl_slices *s);
enum slices_state slices_state(const struct ctl_slices *s);
enum svc_slice_version slices_version(const struct ctl_slices *s);
/* Where they are: "/apis/discovery.k8s.io/v1". */
const char *slices_api(const struct ctl_slices *s);
/* Ours of one service as trees in an array; NULL where there is none. To be deleted. */
cJSON *slices_of(const struct ctl_slices *s, const char *key);
/* The server may have become another one. */
void slices_detect(struct ctl_slices *s);
