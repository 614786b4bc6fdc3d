#pragma once
/* Shared by the files about pods only: ctl_pods.c decides, ctl_give.c gives, ctl_gone.c takes. */
#include "ctl.h"
#include "ctl_pod.h"
#include "macvlan/macvlanip.h"

#include "kube/kube_hash.h"

/* One pod on its way through requests. Whatever it needs is looked up anew at each step. */
struct work {
    struct ctl_pods *p;
    char *key;
    char *pod_uid;        /* "" when the pod is gone */
    char *ip_uid;         /* of the MacvlanIP that is to be deleted */
    bool is_set_asked;    /* whether it goes on with the MacvlanIP; else the pod is */
    bool is_orphan;       /* its StatefulSet is gone: the MacvlanIP is the pod's own */
    struct ip_addr label; /* what its labels are about to say */
    struct kube_call *call;
    struct work *prev, *next;
};

/* What people are told of a pod: one text of each, as long as it stays the same. */
enum told { TOLD_HALF, TOLD_LIST, TOLD_REFUSAL, TOLD_COUNT };

/* What they were told, and what the pod waits for. */
struct note {
    char *key, *uid, *subnet;
    uint64_t texts[TOLD_COUNT]; /* hash_text; 0: none */
    bool is_waiting, is_auto;
    bool is_woken; /* for one address that was freed; who does not take it wakes the next */
    UT_hash_handle hh;
};

struct ctl_pods {
    struct ctl *c;
    struct kube_informer *informer;
    struct kube_queue *queue;
    struct work *works;
    struct note *notes;
    struct event *expiry;
};

struct work *work_new(struct ctl_pods *p, const char *key, const char *pod_uid);
/* The last word on it. */
void work_done(struct work *w);
void work_retry(struct work *w, const char *what, const struct kube_reply *reply);
void work_retry_after(struct work *w, int64_t ms);
/* The pod as long as it is the same one and alive, else NULL. */
const struct ctl_pod *work_pod(const struct work *w);

/* Where its MacvlanIP is, to be freed. */
char *work_ip_path(const struct work *w);
/* Deletes the MacvlanIP as it was seen: whoever has handed it on meanwhile keeps it. */
void work_delete_ip(struct work *w, const struct macvlanip *ip, kube_done on_done);

/* Tells people, if it is something new. */
void pods_warn(struct ctl_pods *p, const struct ctl_pod *pod, enum told what, const char *reason,
               const char *text);
/* The pod waits until something changes about the subnet. */
void pods_wait(struct ctl_pods *p, const struct ctl_pod *pod, const struct annot_request *r);

/* Gives an address to a pod that has none; begins with `w` fresh. */
void give_begin(struct work *w);
/* The intent stands in the ledger: write it, then make the MacvlanIP and the labels. */
void give_intended(struct work *w);
/* Sees to the labels of a pod that has its MacvlanIP. */
void give_labels(struct work *w, struct ip_addr ip, const struct ip_mac *mac);

/* Deletes a MacvlanIP whose pod is gone, after a look at the server itself; or lets its time of
 * rest pass. */
void gone_begin(struct work *w, const struct macvlanip *ip);
/* Drops promises to earlier pods of this name, after a look at the server itself. */
void gone_promises(struct work *w);
/* Whether there are such promises; `pod_uid` is the pod that is there now, "" for none. */
bool gone_has_promises(const struct ctl_pods *p, const char *key, const char *pod_uid);
