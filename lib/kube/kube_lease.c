/*
 * An election, one attempt after the other. An attempt asks for the record and, where that is free,
 * run out or ours, writes it; a leader writes at once, on top of what it wrote last, and asks only
 * when that was refused or its outcome is not known.
 *
 * All that decides about leadership is measured with CLOCK_BOOTTIME from the moment before a
 * request was made, which is never later than the moment at which others saw the renewal.
 */
#include "kube_lease.h"

#include "json.h"
#include "kube_internal.h"
#include "kube_lease_record.h"
#include "kube_loop.h"
#include "mem.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LEASE_MS 15000
#define RENEW_MS 10000
#define RETRY_MS 2000
#define MAX_OBJECT (1u << 20)
#define CONFLICTS_MAX 5 /* in one attempt */
#define REQUEST_MIN_MS 100

enum state {
    STANDING,
    LEADING,
    RELEASING,
    ENDED, /* lost or released */
};

struct kube_lease {
    struct kube_io *io;
    struct kube_lease_options options;
    char *ns, *name, *identity;
    char *collection, *path;
    enum state state;
    struct kube_call *call;
    struct event *next;     /* attempt */
    struct event *deadline; /* of leadership */

    cJSON *object;              /* as the server has it; NULL: to be asked for */
    struct lease_record record; /* the last that was seen, and since when */
    int64_t record_since_ms;

    int64_t attempt_ms; /* when this attempt began, */
    int64_t sent_ms;    /* and its last write */
    unsigned n_conflicts;
    int64_t renewed_ms; /* when the write went out that made or kept us leader */

    void (*released)(void *arg, int status);
    void *released_arg;
    int release_status;
};

static void attempt(void *arg);
static void get_record(struct kube_lease *l);

/* --- what was seen --- */

static bool is_ours(const struct kube_lease *l)
{
    return !strcmp(l->record.holder, l->identity);
}

static int64_t record_ends_ms(const struct kube_lease *l)
{
    int64_t duration_ms = l->record.duration_s * 1000;

    return l->record_since_ms + (duration_ms ? duration_ms : l->options.lease_ms);
}

static bool is_held_by_another(const struct kube_lease *l)
{
    return *l->record.holder && !is_ours(l) && kube_boot_ms() < record_ends_ms(l);
}

/* Keeps what an answer shows. */
static void see(struct kube_lease *l, const cJSON *object)
{
    struct lease_record record;
    bool is_new_holder;

    cJSON_Delete(l->object);
    l->object = cJSON_Duplicate(object, true);
    lease_record_read(l->options.kind, object, &record);
    if (l->record.holder && lease_record_equal(&record, &l->record)) {
        lease_record_release(&record);
        return;
    }
    is_new_holder = !l->record.holder || strcmp(record.holder, l->record.holder) != 0;
    lease_record_release(&l->record);
    l->record = record;
    l->record_since_ms = kube_boot_ms();
    if (is_new_holder && l->options.observed)
        l->options.observed(l->options.arg, l->record.holder);
}

static void forget_object(struct kube_lease *l)
{
    cJSON_Delete(l->object);
    l->object = NULL;
}

/* --- states --- */

static int64_t held_until_ms(const struct kube_lease *l)
{
    return l->renewed_ms + l->options.renew_ms;
}

static void stop(struct kube_lease *l)
{
    kube_call_cancel(l->call);
    l->call = NULL;
    kube_timer_stop(l->next);
    kube_timer_stop(l->deadline);
}

static void lose(struct kube_lease *l, const char *why)
{
    auto_err struct err *e = NULL;

    stop(l);
    l->state = ENDED;
    (void)err_set(&e, -ETIMEDOUT, "lost the lease '%s/%s': %s", l->ns, l->name, why);
    l->options.lost(l->options.arg, e);
}

static void check_deadline(void *arg)
{
    struct kube_lease *l = arg;
    int64_t left = held_until_ms(l) - kube_boot_ms();

    if (l->state != LEADING)
        return;
    if (left > 0)
        kube_timer_set(l->deadline, left);
    else
        lose(l, "it could not be renewed in time");
}

/* From the loop, since the owner may free us in it. */
static void tell_released(void *arg)
{
    struct kube_lease *l = arg;

    l->released(l->released_arg, l->release_status);
}

static void finish_release(struct kube_lease *l, int status)
{
    stop(l);
    l->state = ENDED;
    l->release_status = status;
    kube_timer_free(l->next);
    l->next = kube_timer_new(kube_io_base(l->io), tell_released, l);
    kube_timer_set(l->next, 0);
}

/*
 * The next attempt. Those who stand spread theirs by the jitter factor of 1.2, towards the early
 * side, and come back in the moment in which the record runs out; so a change of leaders takes no
 * longer than its time and one retry.
 */
static void schedule(struct kube_lease *l)
{
    int64_t now = kube_boot_ms(), wait = l->attempt_ms + l->options.retry_ms - now;

    if (l->state == STANDING) {
        int64_t left = record_ends_ms(l) - now;

        wait -= kube_random(l->options.retry_ms / 6);
        if (l->record.holder && is_held_by_another(l) && left < wait)
            wait = left;
    }
    kube_timer_set(l->next, wait);
}

static void attempt_failed(struct kube_lease *l, const struct kube_reply *reply)
{
    forget_object(l);
    if (l->state == RELEASING) {
        finish_release(l, reply->status);
        return;
    }
    schedule(l);
    if (l->options.failed)
        l->options.failed(l->options.arg, reply->err);
}

/* Somebody else has written: look again, but not for ever. */
static void conflict(struct kube_lease *l, const struct kube_reply *reply)
{
    if (++l->n_conflicts > CONFLICTS_MAX) {
        attempt_failed(l, reply);
        return;
    }
    forget_object(l);
    get_record(l);
}

/* --- requests --- */

static void send_request(struct kube_lease *l, struct kube_request *request, kube_done on_done)
{
    /* One slow request must not cost the leadership: the attempt ends before the next is due. */
    int64_t left = l->attempt_ms + l->options.retry_ms * 9 / 10 - kube_boot_ms();

    request->timeout_ms = (int)(left > REQUEST_MIN_MS ? left : REQUEST_MIN_MS);
    request->is_urgent = true;
    request->max_body = MAX_OBJECT;
    l->call = kube_io_send(l->io, request, on_done, l);
}

static void lead(struct kube_lease *l)
{
    bool is_new;

    l->renewed_ms = l->sent_ms;
    is_new = l->state == STANDING && held_until_ms(l) > kube_boot_ms();
    if (is_new)
        l->state = LEADING;
    schedule(l);
    check_deadline(l);
    if (is_new)
        l->options.started(l->options.arg, l->record.transitions);
}

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct kube_lease *l = arg;

    l->call = NULL;
    if (reply->status == -EAGAIN || reply->status == -EEXIST || reply->status == -ENOENT) {
        conflict(l, reply);
        return;
    }
    if (reply->status < 0) {
        attempt_failed(l, reply);
        return;
    }
    see(l, reply->body);
    if (l->state == RELEASING)
        finish_release(l, 0);
    else
        lead(l);
}

/* What we would have the record be. */
static void fill_record(const struct kube_lease *l, cJSON *object)
{
    struct timespec now;
    auto_free char *time = NULL;
    bool is_change = !l->record.holder || !is_ours(l);
    struct lease_record record = {.holder = l->identity,
                                  .duration_s = (l->options.lease_ms + 999) / 1000};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    time = lease_time(l->options.kind, &now);
    record.renewed = time;
    record.acquired = is_change || !*l->record.acquired ? time : l->record.acquired;
    if (l->record.holder)
        record.transitions = l->record.transitions + (is_change && l->object);
    if (l->state == RELEASING) {
        record.holder = "";
        record.duration_s = 1;
    }
    lease_record_write(l->options.kind, &record, object);
}

/* With the resourceVersion that was seen, so that it fails if anybody was faster. */
static void put_record(struct kube_lease *l)
{
    auto_json cJSON *object = l->object ? cJSON_Duplicate(l->object, true)
                                        : lease_object_new(l->options.kind, l->ns, l->name);
    struct kube_request request = {.method = l->object ? "PUT" : "POST",
                                   .path = l->object ? l->path : l->collection,
                                   .body = object};

    fill_record(l, object);
    l->sent_ms = kube_boot_ms();
    send_request(l, &request, on_written);
}

static void decide(struct kube_lease *l)
{
    if (l->state == RELEASING && !is_ours(l))
        finish_release(l, 0);
    else if (l->state == LEADING && !is_ours(l))
        lose(l, "another has taken it");
    else if (is_held_by_another(l))
        schedule(l);
    else
        put_record(l);
}

static void on_got(void *arg, const struct kube_reply *reply)
{
    struct kube_lease *l = arg;

    l->call = NULL;
    if (reply->status == -ENOENT && l->state == RELEASING) {
        finish_release(l, 0);
    } else if (reply->status == -ENOENT) {
        lease_record_release(&l->record);
        put_record(l);
    } else if (reply->status < 0) {
        attempt_failed(l, reply);
    } else {
        see(l, reply->body);
        decide(l);
    }
}

static void get_record(struct kube_lease *l)
{
    struct kube_request request = {.path = l->path};

    send_request(l, &request, on_got);
}

static void attempt(void *arg)
{
    struct kube_lease *l = arg;

    check_deadline(l);
    if (l->state == ENDED)
        return;
    kube_call_cancel(l->call);
    l->call = NULL;
    l->attempt_ms = kube_boot_ms();
    l->n_conflicts = 0;
    if (l->state == LEADING && l->object)
        put_record(l);
    else
        get_record(l);
}

/* --- public --- */

char *kube_lease_identity(void)
{
    unsigned char r[16];
    char host[65] = "";

    if (RAND_bytes(r, sizeof(r)) != 1)
        abort();
    (void)gethostname(host, sizeof(host) - 1);
    r[6] = (unsigned char)((r[6] & 0x0f) | 0x40); /* a UUID of version 4 */
    r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
    return xasprintf("%s_%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                     host, r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11],
                     r[12], r[13], r[14], r[15]);
}

static int set_times(struct kube_lease_options *o, struct err **e)
{
    o->lease_ms = o->lease_ms ? o->lease_ms : LEASE_MS;
    o->renew_ms = o->renew_ms ? o->renew_ms : RENEW_MS;
    o->retry_ms = o->retry_ms ? o->retry_ms : RETRY_MS;
    if (o->retry_ms > 0 && o->renew_ms > o->retry_ms / 5 * 6 && o->lease_ms > o->renew_ms)
        return 0;
    return err_set(e, -EINVAL,
                   "times of the lease: %d ms must be above the %d ms to renew in, and those above "
                   "1.2 times the %d ms between attempts",
                   o->lease_ms, o->renew_ms, o->retry_ms);
}

int kube_lease_new(struct kube_io *io, const struct kube_lease_options *options,
                   struct kube_lease **out, struct err **e)
{
    struct kube_lease_options o = *options;
    struct kube_lease *l;
    int r = set_times(&o, e);

    if (r < 0)
        return r;
    if (!kube_name_is_valid(o.ns) || !kube_name_is_valid(o.name) || !o.identity || !*o.identity)
        return err_set(e, -EINVAL, "the lease has no valid namespace, name and identity");
    l = xcalloc(1, sizeof(*l));
    l->io = io;
    l->options = o;
    l->ns = xstrdup(o.ns);
    l->name = xstrdup(o.name);
    l->identity = xstrdup(o.identity);
    l->collection = o.kind == KUBE_LEASE
                        ? xasprintf("/apis/coordination.k8s.io/v1/namespaces/%s/leases", o.ns)
                        : xasprintf("/api/v1/namespaces/%s/configmaps", o.ns);
    l->path = xasprintf("%s/%s", l->collection, o.name);
    l->next = kube_timer_new(kube_io_base(io), attempt, l);
    l->deadline = kube_timer_new(kube_io_base(io), check_deadline, l);
    kube_timer_set(l->next, 0);
    *out = l;
    return 0;
}

void kube_lease_free(struct kube_lease *l)
{
    if (!l)
        return;
    stop(l);
    kube_timer_free(l->next);
    kube_timer_free(l->deadline);
    forget_object(l);
    lease_record_release(&l->record);
    free(l->ns);
    free(l->name);
    free(l->identity);
    free(l->collection);
    free(l->path);
    free(l);
}

void kube_lease_release(struct kube_lease *l, void (*done)(void *arg, int status), void *arg)
{
    /* A write that is under way may have made us leader without our knowing. */
    bool may_hold = l->state == LEADING || (l->state == STANDING && l->call);

    l->released = done;
    l->released_arg = arg;
    if (!may_hold) {
        finish_release(l, 0);
        return;
    }
    stop(l);
    l->state = RELEASING;
    kube_timer_set(l->next, 0);
}

bool kube_lease_is_held_now(const struct kube_lease *l)
{
    return l->state == LEADING && kube_boot_ms() < held_until_ms(l);
}

int64_t kube_lease_age_ms(const struct kube_lease *l)
{
    return l->state == LEADING ? kube_boot_ms() - l->renewed_ms : -1;
}

const char *kube_lease_holder(const struct kube_lease *l)
{
    return l->record.holder ? l->record.holder : "";
}
