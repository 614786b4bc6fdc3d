#pragma once
/*
 * The controller: what its parts share. One thread, one event loop. Each part watches collections
 * and has a queue of keys; a handler reads what is there now, does one thing about it, and says
 * whether it is done. Everybody watches; only the leader's queues run.
 */
#include "ledger.h"
#include "metrics.h"

#include "err.h"
#include "kube/kube_event.h"
#include "kube/kube_informer.h"
#include "kube/kube_io.h"
#include "kube/kube_lease.h"
#include "kube/kube_queue.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#define CTL_NAME "network-controller"
#define CTL_SUBNET_NS "kube-system"
#define CTL_SUBNETS "/apis/macvlan.cluster.cattle.io/v1/namespaces/" CTL_SUBNET_NS "/macvlansubnets"

struct event;
struct event_base;
struct ctl_pods;
struct ctl_ips;
struct ctl_subnets;
struct ctl_spaces;
struct ctl_workloads;
struct ctl_copies;
struct ctl_queue_figures;
struct ctl_step;
struct ctl_services;
struct ctl_endpoints;
struct ctl_pod;
struct ctl_lead;
struct ctl_webhook;
struct http_server;
struct macvlanip;

struct ctl_options {
    const char *kubeconfig; /* NULL: the pod's service account */
    const char *lease_ns, *lease_name;
    const char *listen; /* health and metrics */
    enum kube_lease_kind lock;
    bool is_multus; /* else chained */
    bool legacy_octets;
    bool has_webhook;
    const char *webhook_listen;
    const char *webhook_service, *webhook_ns; /* what the API server calls it by */
    int lease_ms, renew_ms, retry_ms;         /* 0: 15, 10 and 2 s */
};

struct ctl {
    const struct ctl_options *options;
    struct event_base *base;
    struct kube_io *io;
    struct kube_events *events;
    struct ledger *ledger;
    struct metrics *metrics;
    struct http_server *server;
    struct ctl_pods *pods;
    struct ctl_ips *ips;
    struct ctl_subnets *subnets;
    struct ctl_spaces *spaces;
    struct ctl_workloads *workloads;
    struct ctl_copies *copies;
    struct ctl_queue_figures *queues;
    struct ctl_step *steps;
    struct ctl_services *services;
    struct ctl_endpoints *endpoints;
    struct ctl_lead *lead;
    struct ctl_webhook *webhook; /* NULL: none */
    int exit_status;
};

/* --- ctl.c --- */

/* Runs until it is told to stop; the exit status of the program. */
int ctl_run(const struct ctl_options *options);
/* Ends the loop: what happened cannot be mended from inside. Leadership runs out by itself. */
void ctl_fail(struct ctl *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A request of the controller; `path` is a finished text, `body` is deleted. */
struct kube_call *ctl_send(struct ctl *c, const char *method, const char *path, cJSON *body,
                           kube_done on_done, void *arg);
/* DELETE of one object, and of no other that bears its name now. */
struct kube_call *ctl_delete(struct ctl *c, const char *path, const char *uid, kube_done on_done,
                             void *arg);
/* The body of a DELETE of an object that still is as it was seen; `version` NULL: however it is.
 * Servers before 1.14 pass over the version. */
cJSON *ctl_delete_options(const char *uid, const char *version);
/* The merge-patch of an object that was just read: the finalizers of others, which a merge-patch
 * replaces as one list, and ours when it is wanted. */
cJSON *ctl_finalizer_patch(const cJSON *object, const char *finalizer, bool is_wanted);
/* "a/b" into its two words, which are borrowed from *out_ns (to be freed). */
const char *ctl_split(const char *key, char **out_ns);
/* An informer of this collection; its failures are logged. */
struct kube_informer *ctl_informer(struct ctl *c, const char *path, const char *query,
                                   const struct kube_informer_ops *ops, void *arg);
/* Members of their ops. Their `arg` is a struct whose first member is the struct ctl *. */
void ctl_on_list_failed(void *arg, const struct err *e);
void ctl_on_synced(void *arg);

/* --- ctl_queue.c: the queues of the parts, and their figures --- */

/* A queue of `workers` keys at a time, that tries again within a minute. `name` is a static word
 * for metrics. */
struct kube_queue *ctl_queue(struct ctl *c, const char *name, unsigned workers,
                             void (*handle)(void *arg, const char *key), void *arg);
void ctl_queue_free(struct ctl *c, struct kube_queue *q);
/* How a request that failed goes on: logs it and has the key tried again. */
void ctl_retry(struct kube_queue *q, const char *key, const char *what,
               const struct kube_reply *reply);
struct ctl_request {
    const char *what; /* static words for the log: "cannot WHAT" */
    const char *method, *path;
    cJSON *body; /* is deleted */
    /* Goes on with the key after an answer that is no failure; NULL: the key is done then. */
    void (*then)(void *arg, const char *key, const struct kube_reply *reply);
    void *arg;
};

/* Sends a request about a key that is with its handler. When it has failed the key is tried again;
 * when the object is gone it is done. */
void ctl_step(struct ctl *c, struct kube_queue *q, const char *key,
              const struct ctl_request *request);
/* Forgets all that are under way; before the queues go. */
void ctl_steps_free(struct ctl *c);
/* Brings the metrics of all queues up to now. */
void ctl_queues_show(struct ctl *c);

/* --- ctl_lead.c: leadership, from election to the first hand-out --- */

struct ctl_lead *ctl_lead_new(struct ctl *c, struct err **e);
void ctl_lead_free(struct ctl_lead *l);
/* Something is complete that leading waits for. */
void ctl_lead_go_on(struct ctl_lead *l);
/* Lets go of leadership, then ends the loop. */
void ctl_lead_stop(struct ctl_lead *l);
/* True while this process may write. Otherwise it ends here and now: it has been frozen, and
 * another may lead. Asked before each write of the leader. */
bool ctl_may_write(struct ctl *c);
bool ctl_is_leading(const struct ctl *c);
/* False: this process holds the lease and has not been able to renew it for far too long. */
bool ctl_lead_is_live(const struct ctl *c);

/* True when all stores are complete. */
bool ctl_has_synced(const struct ctl *c);

/* --- ctl_surface.c: /healthz, /readyz, /livez, /metrics --- */

/* Errors as http_server_new. */
int ctl_surface_new(struct ctl *c, struct err **e);

/* --- ctl_pods.c: each macvlan pod gets its MacvlanIP and labels --- */

struct ctl_pods *ctl_pods_new(struct ctl *c);
void ctl_pods_free(struct ctl_pods *p);
void ctl_pods_start(struct ctl_pods *p);
void ctl_pods_stop(struct ctl_pods *p);
bool ctl_pods_has_synced(const struct ctl_pods *p);
void ctl_pods_add(struct ctl_pods *p, const char *key);
/* NULL where it is not there. Borrowed until back in the loop. */
const struct ctl_pod *ctl_pods_get(const struct ctl_pods *p, const char *key);
/* The pod with that UID is there, and has not ended. */
bool ctl_pods_lives(const struct ctl_pods *p, const char *key, const char *uid);
/* Has each pod looked at that an intent stands for. */
void ctl_pods_check_promises(struct ctl_pods *p);
/* Pods that wait for something of this subnet are looked at again: all of them, or those that an
 * address can help that was freed. */
void ctl_pods_wake(struct ctl_pods *p, const char *subnet);
void ctl_pods_wake_one(struct ctl_pods *p, const char *subnet);

/* --- ctl_ips.c: MacvlanIPs that are there --- */

struct ctl_ips *ctl_ips_new(struct ctl *c);
void ctl_ips_free(struct ctl_ips *p);
bool ctl_ips_has_synced(const struct ctl_ips *p);
const struct macvlanip *ctl_ips_get(const struct ctl_ips *p, const char *key);
/* One that the server has just shown: it counts before the watch tells of it. */
void ctl_ips_put(struct ctl_ips *p, const cJSON *object);
/* The pod with that UID has one that the watch has not told of yet. */
bool ctl_ips_is_made(const struct ctl_ips *p, const char *pod_uid);
/* Reads all of them from the server itself, not from its cache, into the ledger. */
void ctl_ips_read_all(struct ctl_ips *p, void (*done)(struct ctl *c, const struct err *e));
/* Calls `fn` with each struct macvlanip until it returns false; it must change none. */
void ctl_ips_each(const struct ctl_ips *p,
                  bool (*fn)(void *arg, const char *key, const void *value), void *arg);
/* Has each of them looked at by ctl_pods. */
void ctl_ips_check_all(struct ctl_ips *p);

/* --- ctl_subnets.c, ctl_status.c: subnets, their status, and the intents in it --- */

struct ctl_subnets *ctl_subnets_new(struct ctl *c);
void ctl_subnets_free(struct ctl_subnets *s);
void ctl_subnets_start(struct ctl_subnets *s);
void ctl_subnets_stop(struct ctl_subnets *s);
bool ctl_subnets_has_synced(const struct ctl_subnets *s);
/* Makes the status of each subnet this leader's and reads the intents in it. */
void ctl_subnets_take_over(struct ctl_subnets *s, void (*done)(struct ctl *c));
/* False as long as nothing may be given out of it. ctl_pods_wake follows. */
bool ctl_subnets_is_ready(const struct ctl_subnets *s, const char *subnet);
/* Calls back when all intents that the ledger has of the subnet now stand in its status; `status`
 * is negative when they may not. Never called from inside, nor after ctl_subnets_free. */
void ctl_subnets_write(struct ctl_subnets *s, const char *subnet,
                       void (*done)(void *arg, int status), void *arg);
/* Its figures have changed; they are written within a second. */
void ctl_subnets_touch(struct ctl_subnets *s, const char *subnet);

/* --- ctl_spaces.c: the network of each namespace --- */

struct ctl_spaces *ctl_spaces_new(struct ctl *c);
void ctl_spaces_free(struct ctl_spaces *s);
void ctl_spaces_start(struct ctl_spaces *s);
void ctl_spaces_stop(struct ctl_spaces *s);
bool ctl_spaces_has_synced(const struct ctl_spaces *s);
/* Annotation field.cattle.io/projectId of a namespace, or NULL; borrowed until back in the loop. */
const char *ctl_spaces_project(const struct ctl_spaces *s, const char *ns);
/* True while the namespace is on its way out: nothing can be made in it any more. */
bool ctl_spaces_is_deleting(const struct ctl_spaces *s, const char *ns);

/* --- ctl_workloads.c: addresses that pod templates name --- */

struct ctl_workloads *ctl_workloads_new(struct ctl *c);
void ctl_workloads_free(struct ctl_workloads *p);
bool ctl_workloads_has_synced(const struct ctl_workloads *p);

/* --- ctl_copies.c: what MacvlanIPs hold of their subnets --- */

struct ctl_copies *ctl_copies_new(struct ctl *c);
void ctl_copies_free(struct ctl_copies *p);
void ctl_copies_start(struct ctl_copies *p);
void ctl_copies_stop(struct ctl_copies *p);
/* Has those of the subnet written anew that are out of date; NULL: of all subnets. */
void ctl_copies_check(struct ctl_copies *p, const char *subnet);

/* --- ctl_webhook.c: the admission webhook; ctl_webhook_cert.c: its certificate --- */

/*
 * All replicas answer, by their stores. Until those are complete the answer is HTTP 503: then the
 * failurePolicy decides, which is the operator's word on what may pass unchecked; an answer of ours
 * that allows would overrule Fail, and be in no statistics of the API server. Before the first
 * Secret is seen, and where it is none, the certificate is one that nobody knows: the same.
 *
 * Sets c->webhook. -EINVAL: an address, or names, that cannot be. Another errno: as
 * http_server_new.
 */
int ctl_webhook_new(struct ctl *c, struct err **e);
void ctl_webhook_free(struct ctl_webhook *w); /* NULL is fine */
/* False: it may serve a certificate that nobody knows, though there is one. Leading does not wait
 * for that, nor for there being one: on an update that brings the webhook, the old leader makes
 * none, and new replicas must become ready beside it. */
bool ctl_webhook_has_synced(const struct ctl_webhook *w);
void ctl_webhook_start(struct ctl_webhook *w);
void ctl_webhook_stop(struct ctl_webhook *w);
/* As `changed` of an informer; `now` stays there until it is `before`. */
void ctl_webhook_ip_changed(struct ctl_webhook *w, const struct macvlanip *before,
                            const struct macvlanip *now);

/* --- ctl_services.c: services by namespace; ctl_companions.c: their companions --- */

struct ctl_services *ctl_services_new(struct ctl *c);
void ctl_services_free(struct ctl_services *s);
void ctl_services_start(struct ctl_services *s);
void ctl_services_stop(struct ctl_services *s);
bool ctl_services_has_synced(const struct ctl_services *s);
/* Told of every pod: `before` NULL: it is new, `now` NULL: it is gone. `now` stays there until it
 * is `before`. */
void ctl_services_pod(struct ctl_services *s, struct ctl_pod *before, struct ctl_pod *now);
/* The MacvlanIP of the pod of that key has changed. */
void ctl_services_ip(struct ctl_services *s, const char *key);

/* --- ctl_endpoints.c, ctl_slices.c: Endpoints and EndpointSlices of services --- */

struct ctl_endpoints *ctl_endpoints_new(struct ctl *c);
void ctl_endpoints_free(struct ctl_endpoints *e);
void ctl_endpoints_start(struct ctl_endpoints *e);
void ctl_endpoints_stop(struct ctl_endpoints *e);
bool ctl_endpoints_has_synced(const struct ctl_endpoints *e);
