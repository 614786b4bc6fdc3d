/*
 * The status of a subnet: what people read there, and what makes the hand-out safe: an epoch that
 * each leader counts up before its first hand-out, and intents. Every PUT carries the
 * resourceVersion of the one before, so that nothing that an earlier leader sends can get in
 * afterwards (docs/hand-over.md).
 */
#include "ctl_subnets.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TOUCH_MS 500                  /* from a change to its figures in the status */
#define TAKE_RETRY_MS 500             /* between attempts to take a subnet over */
#define FIGURE_MAX (INT64_C(1) << 53) /* what JSON numbers hold exactly */

/* A PUT with many intents takes longer than one with few, but not by much. So it waits, for as long
 * as other requests keep the server busy anyway, and then overtakes what is left of them. */
#define GATHER_MS 2 /* what comes up together */
#define BUSY 48     /* requests that wait or are under way */
#define WAIT_MAX_MS 250

static void send_status(struct writer *w);
static void send_when_due(struct writer *w);
static void read_to_take(struct writer *w);

static void on_timer(void *arg)
{
    struct writer *w = arg;

    if (w->is_taking && !w->call)
        read_to_take(w);
    else
        send_when_due(w);
}

struct writer *writer_get(struct ctl_subnets *s, const char *name)
{
    struct writer *w;

    HASH_FIND_STR(s->writers, name, w);
    if (w)
        return w;
    w = xcalloc(1, sizeof(*w));
    w->all = s;
    w->name = xstrdup(name);
    w->path = xasprintf(CTL_SUBNETS "/%s", name);
    w->timer = kube_timer_new(s->c->base, on_timer, w);
    HASH_ADD_KEYPTR(hh, s->writers, w->name, strlen(w->name), w);
    return w;
}

/* Tells and forgets a batch. */
static void tell(struct waiters *batch, int status)
{
    struct waiters told = *batch;

    *batch = (struct waiters){.items = NULL};
    for (size_t i = 0; i < told.count; i++)
        told.items[i].done(told.items[i].arg, status);
    free(told.items);
}

void writer_free(struct writer *w)
{
    kube_call_cancel(w->call);
    kube_timer_free(w->timer);
    free(w->sent.items);
    free(w->waiting.items);
    free(w->sent_text);
    free(w->written_text);
    free(w->resource_version);
    free(w->path);
    free(w->name);
    free(w);
}

/* --- what it says --- */

static void add_figure(cJSON *status, const char *name, uint64_t n)
{
    json_add_int(status, name, n > FIGURE_MAX ? FIGURE_MAX : (int64_t)n);
}

static void add_figures(struct writer *w, cJSON *status, const struct ledger_net *net)
{
    static const char *const names[] = {"total", "used", "free", "reserved", "cooling", "outside"};
    struct alloc_counts n = {0};
    uint64_t figures[6];

    if (ledger_alloc(net))
        alloc_count(ledger_alloc(net), &n);
    memcpy(figures, (uint64_t[]){n.total, n.used, n.free, n.reserved, n.cooling, n.outside},
           sizeof(figures));
    for (size_t i = 0; i < 6; i++) {
        add_figure(status, names[i], figures[i]);
        metrics_set(w->all->c->metrics, METRIC_SUBNET_ADDRESSES, w->name, names[i],
                    (double)figures[i]);
    }
}

static const char *phase_of(const struct ledger *ledger, const struct ledger_net *net,
                            char **out_message)
{
    const struct subnet *s = ledger_subnet(net);

    for (size_t i = 0; i < s->n_findings; i++)
        if (s->findings[i].is_error || !*out_message) {
            free(*out_message);
            *out_message = xstrdup(s->findings[i].text);
            if (s->findings[i].is_error)
                return "Failed";
        }
    if (s->is_deleting)
        return "Terminating";
    if (ledger_conflict(ledger, net, NULL)) {
        free(*out_message);
        *out_message = NULL;
        (void)ledger_conflict(ledger, net, out_message);
        return "Failed";
    }
    return "Active";
}

static cJSON *make_status(struct writer *w, const struct ledger_net *net)
{
    const struct ledger *ledger = w->all->c->ledger;
    cJSON *status = cJSON_CreateObject();
    auto_free char *message = NULL;
    const char *phase = phase_of(ledger, net, &message);

    json_add_str(status, "phase", phase);
    json_add_str(status, "message", message ? message : "");
    json_add_int(status, "observedGeneration", ledger_subnet(net)->generation);
    add_figures(w, status, net);
    json_add_int(status, "epoch", w->epoch);
    cJSON_AddItemToObject(status, "intents", ledger_intents_json(ledger, net));
    return status;
}

static cJSON *make_object(const struct writer *w, cJSON *status)
{
    cJSON *object = cJSON_CreateObject(), *meta;

    json_add_str(object, "apiVersion", "macvlan.cluster.cattle.io/v1");
    json_add_str(object, "kind", "MacvlanSubnet");
    meta = cJSON_AddObjectToObject(object, "metadata");
    json_add_str(meta, "name", w->name);
    json_add_str(meta, "namespace", CTL_SUBNET_NS);
    json_add_str(meta, "resourceVersion", w->resource_version);
    cJSON_AddItemToObject(object, "status", status);
    return object;
}

/* --- writing --- */

static void remember(struct writer *w, const cJSON *object)
{
    const char *version = json_get_str(json_get_obj(object, "metadata"), "resourceVersion");

    if (!version)
        return;
    free(w->resource_version);
    w->resource_version = xstrdup(version);
}

static int64_t epoch_of(const cJSON *object)
{
    int64_t epoch;

    return json_get_size(json_get_obj(object, "status"), "epoch", &epoch) == 0 ? epoch : 0;
}

static void go_on(struct writer *w)
{
    if (w->waiting.count || w->is_dirty)
        send_when_due(w);
}

/* What could not be written still has to be, also where nobody waits for it. */
static void write_failed(struct writer *w, const struct kube_reply *reply)
{
    log_warn("cannot write the status of subnet '%s': %s", w->name, err_text(reply->err));
    w->is_dirty = true;
    kube_timer_set(w->timer, reply->retry_after_ms > 0 ? reply->retry_after_ms : TOUCH_MS);
    tell(&w->sent, reply->status);
}

/* Somebody else has written the object. The user may, an own earlier PUT without an answer may
 * have; another leader is the end. */
static void on_read_again(void *arg, const struct kube_reply *reply)
{
    struct writer *w = arg;

    w->call = NULL;
    if (reply->status == 0 && epoch_of(reply->body) != w->epoch) {
        ctl_fail(w->all->c, "another leader has written the status of subnet '%s'", w->name);
        return;
    }
    if (reply->status < 0) {
        write_failed(w, reply);
        return;
    }
    remember(w, reply->body);
    send_status(w);
}

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct writer *w = arg;

    w->call = NULL;
    if (reply->status == -EAGAIN) {
        w->call = ctl_send(w->all->c, "GET", w->path, NULL, on_read_again, w);
        return;
    }
    if (reply->status < 0) {
        write_failed(w, reply);
        return;
    }
    remember(w, reply->body);
    free(w->written_text);
    w->written_text = take(w->sent_text);
    ledger_mark_written(w->all->c->ledger,
                        json_get_arr(json_get_obj(reply->body, "status"), "intents"));
    tell(&w->sent, 0);
    if (!w->call)
        go_on(w);
}

static void join(struct waiters *to, struct waiters *from)
{
    for (size_t i = 0; i < from->count; i++) {
        array_grow(to->items, to->count);
        to->items[to->count++] = from->items[i];
    }
    free(from->items);
    *from = (struct waiters){.items = NULL};
}

static void put(struct writer *w, cJSON *status, kube_done done)
{
    auto_free char *path = xasprintf("%s/status", w->path);
    auto_json cJSON *object = make_object(w, status);
    struct kube_request request = {.method = "PUT",
                                   .path = path,
                                   .body = object,
                                   .is_urgent = true};

    w->call = kube_io_send(w->all->c->io, &request, done, w);
}

static void send_when_due(struct writer *w)
{
    bool is_busy = kube_io_pending(w->all->c->io) >= BUSY;

    if (is_busy && kube_now_ms() < w->due_ms)
        kube_timer_set(w->timer, GATHER_MS);
    else
        send_status(w);
}

static void send_status(struct writer *w)
{
    struct ctl *c = w->all->c;
    struct ledger_net *net = ledger_find_subnet(c->ledger, w->name);
    cJSON *status;

    if (w->call || w->is_taking || !w->epoch || w->all->is_stopped || !ctl_may_write(c))
        return;
    if (!net) {
        tell(&w->waiting, -ENOENT);
        return;
    }
    w->is_dirty = false;
    join(&w->sent, &w->waiting);
    status = make_status(w, net);
    free(w->sent_text);
    w->sent_text = json_print(status);
    if (!w->sent.count && w->written_text && !strcmp(w->sent_text, w->written_text)) {
        cJSON_Delete(status);
        return;
    }
    put(w, status, on_written);
}

void ctl_subnets_write(struct ctl_subnets *s, const char *subnet,
                       void (*done)(void *arg, int status), void *arg)
{
    struct writer *w = writer_get(s, subnet);

    if (!w->waiting.count)
        w->due_ms = kube_now_ms() + WAIT_MAX_MS;
    array_grow(w->waiting.items, w->waiting.count);
    w->waiting.items[w->waiting.count++] = (struct waiter){done, arg};
    w->is_dirty = true;
    if (w->waiting.count == 1)
        kube_timer_set(w->timer, GATHER_MS);
}

void ctl_subnets_touch(struct ctl_subnets *s, const char *subnet)
{
    struct writer *w;

    HASH_FIND_STR(s->writers, subnet, w);
    if (!w || w->is_dirty || !w->epoch)
        return;
    w->is_dirty = true;
    kube_timer_set(w->timer, TOUCH_MS);
}

/* --- taking over --- */

/* What a later attempt at the same may find otherwise. */
static bool is_passing(const struct kube_reply *reply)
{
    return reply->status == -EHOSTUNREACH || reply->status == -ETIMEDOUT ||
           reply->status == -EBUSY || reply->status == -EPROTO || reply->http_status >= 500;
}

static void on_taken(void *arg, const struct kube_reply *reply)
{
    struct writer *w = arg;

    w->call = NULL;
    if (reply->status == -EAGAIN) {
        read_to_take(w);
        return;
    }
    if (reply->status < 0)
        w->epoch = 0;
    if (reply->status < 0 && ledger_find_subnet(w->all->c->ledger, w->name))
        log_warn("cannot take over subnet '%s': %s", w->name, err_text(reply->err));
    if (is_passing(reply)) {
        kube_timer_set(w->timer, reply->retry_after_ms > 0 ? reply->retry_after_ms : TAKE_RETRY_MS);
        return;
    }
    if (reply->status == 0) {
        remember(w, reply->body);
        free(w->written_text);
        w->written_text = take(w->sent_text);
    }
    w->is_taking = false;
    subnets_taken(w->all, w);
    if (!w->call)
        go_on(w);
}

static void on_read(void *arg, const struct kube_reply *reply)
{
    struct writer *w = arg;
    struct ctl *c = w->all->c;
    struct ledger_net *net = ledger_find_subnet(c->ledger, w->name);
    cJSON *status;

    w->call = NULL;
    if (reply->status < 0 || !net) {
        on_taken(w, reply);
        return;
    }
    remember(w, reply->body);
    ledger_load_intents(c->ledger, net,
                        json_get_arr(json_get_obj(reply->body, "status"), "intents"));
    w->had_epoch = epoch_of(reply->body) > 0;
    w->epoch = epoch_of(reply->body) + 1;
    status = make_status(w, net);
    free(w->sent_text);
    w->sent_text = json_print(status);
    if (ctl_may_write(c))
        put(w, status, on_taken);
}

static void read_to_take(struct writer *w)
{
    w->call = ctl_send(w->all->c, "GET", w->path, NULL, on_read, w);
}

void writer_take(struct writer *w)
{
    w->is_taking = true;
    read_to_take(w);
}
