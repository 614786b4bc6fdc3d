#pragma once
/*
 * A queue of work by key (client-go's work queue): a key is never with two handlers at a time, is
 * queued once however often it is added, and a key that is added while a handler has it is handled
 * again afterwards. Handlers read the state of things anew, so that what was added does not matter,
 * only that it was.
 *
 * The handler is called from the loop while fewer than `workers` keys are with handlers; it begins
 * the work and says later, or at once, how it went: kube_queue_done or kube_queue_retry, exactly
 * one of them once for each call.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct kube_queue;

struct kube_queue_options {
    /* `key` is borrowed until the key is done or to be retried. */
    void (*handle)(void *arg, const char *key);
    /* For metrics, once per handled key: how long it waited, how long it was worked on. Or NULL. */
    void (*measured)(void *measured_arg, int64_t queued_us, int64_t worked_us);
    void *arg, *measured_arg;
    unsigned workers; /* keys with handlers at a time; 0: 1 */
    /* Handlers begun before the loop looks at everything else; 0: 32. One, when that takes 10 ms.
     */
    unsigned per_turn;
    /* Retries of a key wait 5 ms, doubled each time up to this; 0: 1000 s. */
    int backoff_max_ms;
    /* All retries together: so many per second, after a burst; 0: 10 and 100. */
    unsigned retries_per_s, retries_burst;
};

struct kube_queue_stats {
    size_t depth;      /* keys that wait for a handler now */
    size_t delayed;    /* keys that wait for their time */
    size_t in_process; /* keys with handlers */
    uint64_t adds;     /* keys queued since the start, retries too */
    uint64_t retries;
};

/* Keys can be added at once; nothing is handled before kube_queue_start. */
struct kube_queue *kube_queue_new(struct event_base *base,
                                  const struct kube_queue_options *options);
/* Handlers still at work must not call back afterwards. NULL is fine. Not from the handler. */
void kube_queue_free(struct kube_queue *q);

void kube_queue_start(struct kube_queue *q);
/* Begins no more handlers until the next start; what is queued stays. in_process falls to 0. */
void kube_queue_stop(struct kube_queue *q);

void kube_queue_add(struct kube_queue *q, const char *key);
/* Adds it after `ms`; of several times for one key the first counts. */
void kube_queue_add_after(struct kube_queue *q, const char *key, int64_t ms);

/* The handler is through with `key`, which begins anew with its backoff. */
void kube_queue_done(struct kube_queue *q, const char *key);
/* The handler is through with `key`, which failed: it is added again after its backoff, and not
 * before `at_least_ms` (a Retry-After; 0 for none). Returns how often it has failed in a row. */
unsigned kube_queue_retry(struct kube_queue *q, const char *key, int64_t at_least_ms);
/* How often it has failed in a row. */
unsigned kube_queue_failures(const struct kube_queue *q, const char *key);
/* The backoff of `key` begins anew; a retry that is due later stays. */
void kube_queue_forget(struct kube_queue *q, const char *key);

void kube_queue_get_stats(const struct kube_queue *q, struct kube_queue_stats *out);
