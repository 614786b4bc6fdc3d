/*
 * Keys and what is to be done with them. One entry holds all that is known of a key; it lives while
 * the key is queued, with a handler, waiting for its time, or has failed lately.
 */
#include "kube_queue.h"

#include "kube_hash.h"
#include "kube_loop.h"
#include "mem.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define WORKERS 1
#define PER_TURN 32
#define TURN_US 10000
#define BACKOFF_MS 5
#define BACKOFF_MAX_MS 1000000
#define RETRIES_PER_S 10
#define RETRIES_BURST 100

struct entry {
    UT_hash_handle hh;
    struct entry *prev, *next; /* while it is queued */
    struct kube_queue *q;
    struct event *timer;  /* NULL: it waits for no time */
    int64_t due_ms;       /* of the timer */
    int64_t queued_at_us; /* when it became dirty */
    int64_t begun_at_us;  /* with a handler since, */
    int64_t waited_us;    /* for which it had waited so long */
    unsigned failures;
    bool is_dirty;      /* to be handled, or handled again */
    bool is_in_process; /* with a handler */
    char key[];
};

struct kube_queue {
    struct event_base *base;
    struct kube_queue_options options;
    struct entry *entries; /* by key */
    struct entry *first;   /* queued: dirty and not in process */
    struct event *turn;
    bool is_running;
    struct kube_queue_stats stats;
    /* Retries that may go at once, in thousandths, as of then. Negative: owed to those that wait.
     */
    int64_t tokens, tokens_at_ms;
};

/* --- entries --- */

static struct entry *find(const struct kube_queue *q, const char *key)
{
    struct entry *entry = NULL;

    HASH_FIND_STR(q->entries, key, entry);
    return entry;
}

static struct entry *find_or_add(struct kube_queue *q, const char *key)
{
    struct entry *entry = find(q, key);
    size_t len = strlen(key);

    if (entry)
        return entry;
    entry = xcalloc(1, sizeof(*entry) + len + 1);
    memcpy(entry->key, key, len + 1);
    entry->q = q;
    HASH_ADD_KEYPTR(hh, q->entries, entry->key, len, entry);
    return entry;
}

static void stop_timer(struct entry *entry)
{
    if (!entry->timer)
        return;
    kube_timer_free(entry->timer);
    entry->timer = NULL;
    entry->q->stats.delayed--;
}

static void free_entry(struct entry *entry)
{
    HASH_DEL(entry->q->entries, entry);
    stop_timer(entry);
    free(entry);
}

static void free_if_idle(struct entry *entry)
{
    if (!entry->is_dirty && !entry->is_in_process && !entry->timer && !entry->failures)
        free_entry(entry);
}

/* --- handling --- */

static void wake(struct kube_queue *q)
{
    if (q->is_running && q->first && q->stats.in_process < q->options.workers)
        kube_timer_set(q->turn, 0);
}

static void enqueue(struct entry *entry)
{
    struct kube_queue *q = entry->q;

    DL_APPEND(q->first, entry);
    q->stats.depth++;
    wake(q);
}

/* The handler may end its work at once, after which the entry is gone. */
static void handle(struct entry *entry)
{
    struct kube_queue *q = entry->q;

    DL_DELETE(q->first, entry);
    q->stats.depth--;
    q->stats.in_process++;
    entry->is_dirty = false;
    entry->is_in_process = true;
    entry->begun_at_us = kube_now_us();
    entry->waited_us = entry->begun_at_us - entry->queued_at_us;
    q->options.handle(q->options.arg, entry->key);
}

/* On a busy machine, too, the loop comes back to everything else soon: to the renewal of a lease.
 */
static void on_turn(void *arg)
{
    struct kube_queue *q = arg;
    int64_t until_us = kube_now_us() + TURN_US;

    for (unsigned i = 0; i < q->options.per_turn; i++) {
        if (!q->is_running || !q->first || q->stats.in_process >= q->options.workers)
            break;
        handle(q->first);
        if (kube_now_us() >= until_us)
            break;
    }
    wake(q);
}

static void mark_dirty(struct entry *entry)
{
    if (entry->is_dirty)
        return;
    entry->is_dirty = true;
    entry->queued_at_us = kube_now_us();
    entry->q->stats.adds++;
    if (!entry->is_in_process)
        enqueue(entry);
}

static void on_time(void *arg)
{
    struct entry *entry = arg;

    stop_timer(entry);
    mark_dirty(entry);
}

static void delay(struct entry *entry, int64_t ms)
{
    int64_t due_ms = kube_now_ms() + ms;

    if (entry->timer && entry->due_ms <= due_ms)
        return;
    if (!entry->timer) {
        entry->timer = kube_timer_new(entry->q->base, on_time, entry);
        entry->q->stats.delayed++;
    }
    entry->due_ms = due_ms;
    kube_timer_set(entry->timer, ms);
}

/* The handler gives it back. NULL: it did not have it. */
static struct entry *end_work(struct kube_queue *q, const char *key)
{
    struct entry *entry = find(q, key);

    if (!entry || !entry->is_in_process)
        return NULL;
    entry->is_in_process = false;
    q->stats.in_process--;
    if (q->options.measured)
        q->options.measured(q->options.measured_arg, entry->waited_us,
                            kube_now_us() - entry->begun_at_us);
    if (entry->is_dirty)
        enqueue(entry);
    wake(q);
    return entry;
}

/* --- retries --- */

static int64_t own_backoff_ms(const struct kube_queue *q, unsigned failures)
{
    int64_t ms = BACKOFF_MS;

    for (unsigned i = 1; i < failures && ms < q->options.backoff_max_ms; i++)
        ms *= 2;
    return ms < q->options.backoff_max_ms ? ms : q->options.backoff_max_ms;
}

/* Takes one retry from the bucket that all keys share; returns the time until it is there. */
static int64_t shared_backoff_ms(struct kube_queue *q)
{
    int64_t now = kube_now_ms(), rate = q->options.retries_per_s;
    int64_t full = (int64_t)q->options.retries_burst * 1000;

    q->tokens += (now - q->tokens_at_ms) * rate;
    if (q->tokens > full)
        q->tokens = full;
    q->tokens_at_ms = now;
    q->tokens -= 1000;
    return q->tokens < 0 ? -q->tokens / rate : 0;
}

unsigned kube_queue_retry(struct kube_queue *q, const char *key, int64_t at_least_ms)
{
    struct entry *entry = end_work(q, key);
    int64_t own, shared;

    if (!entry)
        return 0;
    q->stats.retries++;
    own = own_backoff_ms(q, ++entry->failures);
    shared = shared_backoff_ms(q);
    if (own < shared)
        own = shared;
    delay(entry, own > at_least_ms ? own : at_least_ms);
    return entry->failures;
}

/* --- public --- */

struct kube_queue *kube_queue_new(struct event_base *base, const struct kube_queue_options *options)
{
    struct kube_queue *q = xcalloc(1, sizeof(*q));
    struct kube_queue_options *o = &q->options;

    *o = *options;
    o->workers = o->workers ? o->workers : WORKERS;
    o->per_turn = o->per_turn ? o->per_turn : PER_TURN;
    o->backoff_max_ms = o->backoff_max_ms ? o->backoff_max_ms : BACKOFF_MAX_MS;
    o->retries_per_s = o->retries_per_s ? o->retries_per_s : RETRIES_PER_S;
    o->retries_burst = o->retries_burst ? o->retries_burst : RETRIES_BURST;
    q->base = base;
    q->turn = kube_timer_new(base, on_turn, q);
    q->tokens = (int64_t)o->retries_burst * 1000;
    q->tokens_at_ms = kube_now_ms();
    return q;
}

void kube_queue_free(struct kube_queue *q)
{
    if (!q)
        return;
    while (q->entries)
        free_entry(q->entries);
    kube_timer_free(q->turn);
    free(q);
}

void kube_queue_start(struct kube_queue *q)
{
    q->is_running = true;
    wake(q);
}

void kube_queue_stop(struct kube_queue *q)
{
    q->is_running = false;
}

void kube_queue_add(struct kube_queue *q, const char *key)
{
    mark_dirty(find_or_add(q, key));
}

void kube_queue_add_after(struct kube_queue *q, const char *key, int64_t ms)
{
    struct entry *entry = find_or_add(q, key);

    if (ms > 0)
        delay(entry, ms);
    else
        mark_dirty(entry);
}

void kube_queue_done(struct kube_queue *q, const char *key)
{
    struct entry *entry = end_work(q, key);

    if (!entry)
        return;
    entry->failures = 0;
    free_if_idle(entry);
}

unsigned kube_queue_failures(const struct kube_queue *q, const char *key)
{
    const struct entry *entry = find(q, key);

    return entry ? entry->failures : 0;
}

void kube_queue_forget(struct kube_queue *q, const char *key)
{
    struct entry *entry = find(q, key);

    if (!entry)
        return;
    entry->failures = 0;
    free_if_idle(entry);
}

void kube_queue_get_stats(const struct kube_queue *q, struct kube_queue_stats *out)
{
    *out = q->stats;
}
