#pragma once
/*
 * The controller's metrics, in the text format 0.0.4 of Prometheus. The families are a fixed table;
 * names are those that other components of Kubernetes use where the meaning is the same
 * (cni-and-kubernetes 6.7). Names of pods and addresses are never labels. One thread.
 */
#include "buf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* Most series in one family; what would come on top is dropped. */
#define METRICS_MAX_SERIES 10000

enum metric {
    /* Gauges; in brackets the labels. */
    METRIC_BUILD_INFO,       /* version; always 1 */
    METRIC_LEADER,           /* name of the lease; 1 while this replica leads */
    METRIC_SUBNET_ADDRESSES, /* subnet, state */
    METRIC_QUEUE_DEPTH,      /* name of the queue */
    /* Counters. */
    METRIC_ALLOCATIONS,   /* result */
    METRIC_QUEUE_ADDS,    /* name */
    METRIC_QUEUE_RETRIES, /* name */
    METRIC_REQUESTS,      /* code, method */
    METRIC_REVIEWS,       /* result */
    /* Histograms, in seconds. */
    METRIC_ALLOCATION_DURATION, /* from pod seen to MacvlanIP written */
    METRIC_QUEUE_DURATION,      /* name; how long a key waits */
    METRIC_WORK_DURATION,       /* name; how long it is worked on */
    METRIC_COUNT,
};

struct metrics;

/* With METRIC_BUILD_INFO set, and zeroes for what has no labels. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m); /* NULL is fine */

/*
 * `a` and `b` are the values of the family's labels in the order above, NULL where it has fewer.
 * They are copied, and are valid UTF-8.
 */
/* Adds to a counter (a negative amount is ignored) or a gauge. */
void metrics_add(struct metrics *m, enum metric id, const char *a, const char *b, double amount);
/* Sets a gauge. */
void metrics_set(struct metrics *m, enum metric id, const char *a, const char *b, double value);
/* Counts one value in a histogram. */
void metrics_observe(struct metrics *m, enum metric id, const char *a, const char *b,
                     double seconds);
/* Forgets all series of that family whose first label is `a`: of a subnet that is gone. */
void metrics_forget(struct metrics *m, enum metric id, const char *a);

/* Appends everything. 0, or -EFBIG when `out` has no room. */
int metrics_write(const struct metrics *m, struct buf *out);
