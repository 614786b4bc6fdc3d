#pragma once
/* Shared by ctl_subnets.c and ctl_status.c only. */
#include "ctl.h"

#include "kube/kube_hash.h"

struct waiter {
    void (*done)(void *arg, int status);
    void *arg;
};

struct waiters {
    struct waiter *items;
    size_t count;
};

/* The status of one subnet as this leader writes it: one PUT at a time, and everything that comes
 * up in the meantime goes into the next one. */
struct writer {
    struct ctl_subnets *all;
    char *name, *path;
    char *resource_version; /* of the last answer */
    int64_t epoch;          /* which this leader has written; 0: none yet */
    struct kube_call *call;
    struct waiters sent, waiting;
    int64_t due_ms;                 /* how long they wait at most */
    char *sent_text, *written_text; /* statuses */
    bool is_taking, is_dirty;
    bool had_epoch;  /* another leader has written one */
    bool is_reading; /* the MacvlanIPs, after that */
    struct event *timer;
    int64_t told_generation; /* whose findings there are events of */
    UT_hash_handle hh;
};

struct ctl_subnets {
    struct ctl *c;
    struct kube_informer *informer;
    struct kube_queue *queue;
    struct writer *writers;
    size_t n_taking;
    void (*taken_over)(struct ctl *c);
    bool is_stopped;
};

struct writer *writer_get(struct ctl_subnets *s, const char *name);
void writer_free(struct writer *w);
/* Begins to make the status this leader's. */
void writer_take(struct writer *w);
/* The take-over of one has ended, well or not. */
void subnets_taken(struct ctl_subnets *s, struct writer *w);
