/*
 * Events. Three tables by text: what is said again and again (`series`, one Event each), how much
 * each object has said lately (`bucket`), and how many different things for one reason (`group`).
 * Each forgets what it has not used for longest once it is full.
 */
#include "kube_event.h"

#include "hash.h"
#include "json.h"
#include "kube_hash.h"
#include "kube_loop.h"
#include "mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BURST 25
#define REFILL_MS 300000
#define SIMILAR_MAX 10
#define SIMILAR_MS 600000
#define REMEMBERED 4096
#define UNDER_WAY_MAX 512
#define TEXT_MAX 1024
#define NAME_MAX_LEN 253
#define COMBINED "(combined from similar events): "

struct series {
    UT_hash_handle hh;
    struct kube_events *ev;
    struct kube_event_object object; /* copies */
    const char *type;                /* a literal */
    char *reason, *text;
    char *name; /* of the Event; NULL: the server does not have it */
    char *first;
    int64_t count;
    struct kube_call *call;
    bool is_new, has_more; /* the call makes it; it counted up in the meantime */
    char key[];
};

struct bucket {
    UT_hash_handle hh;
    unsigned tokens;
    int64_t filled_at_ms;
    char key[];
};

struct group {
    UT_hash_handle hh;
    int64_t last_ms;
    unsigned n; /* different texts; those that are counted */
    uint64_t *texts;
    char key[];
};

struct kube_events {
    struct kube_io *io;
    struct kube_events_options options;
    char *component, *host;
    struct series *series;
    struct bucket *buckets;
    struct group *groups;
    size_t n_under_way;
    struct kube_events_stats stats;
};

/* Finds an entry of a table, or adds one behind all others; takes the oldest out when it is full.
 * (uthash keeps the order in which entries were added.) */
#define FIND_OR_ADD(table, key_text, max, free_entry, out)                                         \
    do {                                                                                           \
        size_t len_ = strlen(key_text);                                                            \
        HASH_FIND(hh, table, key_text, len_, out);                                                 \
        if (out) {                                                                                 \
            HASH_DEL(table, out);                                                                  \
        } else {                                                                                   \
            if (HASH_COUNT(table) >= (max))                                                        \
                free_entry(ev, table);                                                             \
            (out) = xcalloc(1, sizeof(*(out)) + len_ + 1);                                         \
            memcpy((out)->key, key_text, len_ + 1);                                                \
        }                                                                                          \
        HASH_ADD_KEYPTR(hh, table, (out)->key, len_, out);                                         \
    } while (0)

static void free_bucket(struct kube_events *ev, struct bucket *b)
{
    HASH_DEL(ev->buckets, b);
    free(b);
}

static void free_group(struct kube_events *ev, struct group *g)
{
    HASH_DEL(ev->groups, g);
    free(g->texts);
    free(g);
}

static void free_series(struct kube_events *ev, struct series *s)
{
    HASH_DEL(ev->series, s);
    if (s->call) {
        kube_call_cancel(s->call);
        ev->n_under_way--;
    }
    free((char *)s->object.api_version);
    free((char *)s->object.kind);
    free((char *)s->object.ns);
    free((char *)s->object.name);
    free((char *)s->object.uid);
    free((char *)s->object.resource_version);
    free(s->reason);
    free(s->text);
    free(s->name);
    free(s->first);
    free(s);
}

/* --- limits --- */

static char *object_key(const struct kube_event_object *o)
{
    return xasprintf("%s/%s/%s/%s", o->kind, o->ns ? o->ns : "", o->name, o->uid ? o->uid : "");
}

static bool may_speak(struct kube_events *ev, const char *object)
{
    struct bucket *b = NULL;
    int64_t now = kube_now_ms(), refill = ev->options.refill_ms, n;

    FIND_OR_ADD(ev->buckets, object, ev->options.remembered, free_bucket, b);
    if (!b->filled_at_ms) {
        b->filled_at_ms = now;
        b->tokens = ev->options.burst;
    }
    n = (now - b->filled_at_ms) / refill;
    b->filled_at_ms += n * refill;
    b->tokens = n > ev->options.burst - b->tokens ? ev->options.burst : b->tokens + (unsigned)n;
    if (!b->tokens)
        return false;
    b->tokens--;
    return true;
}

/* True when so many different texts came for one reason that they are told as one. */
static bool is_one_of_many(struct kube_events *ev, const char *key, const char *text)
{
    struct group *g = NULL;
    uint64_t hash = hash_text(text);
    int64_t now = kube_now_ms();
    unsigned i = 0;

    FIND_OR_ADD(ev->groups, key, ev->options.remembered, free_group, g);
    if (now - g->last_ms > ev->options.similar_ms)
        g->n = 0;
    g->last_ms = now;
    if (!g->texts)
        g->texts = xcalloc(ev->options.similar_max, sizeof(*g->texts));
    while (i < g->n && g->texts[i] != hash)
        i++;
    if (i < g->n)
        return false;
    if (g->n + 1 >= ev->options.similar_max)
        return true;
    g->texts[g->n++] = hash;
    return false;
}

/* --- requests --- */

static char *time_text(void)
{
    time_t now = time(NULL);
    struct tm tm = {.tm_sec = 0};
    char text[32];

    (void)gmtime_r(&now, &tm);
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return xstrdup(text);
}

static const char *namespace_of(const struct series *s)
{
    return s->object.ns ? s->object.ns : "default";
}

/* "OBJECT.TIME", as all clients name them. */
static char *new_name(const struct series *s)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return xasprintf("%.*s.%016llx", NAME_MAX_LEN - 17, s->object.name,
                     (unsigned long long)now.tv_sec * 1000000000u +
                         (unsigned long long)now.tv_nsec);
}

static void add_object(const struct series *s, cJSON *event)
{
    cJSON *object = cJSON_AddObjectToObject(event, "involvedObject");

    json_add_str(object, "apiVersion", s->object.api_version);
    json_add_str(object, "kind", s->object.kind);
    json_add_str(object, "namespace", s->object.ns);
    json_add_str(object, "name", s->object.name);
    json_add_str(object, "uid", s->object.uid);
    json_add_str(object, "resourceVersion", s->object.resource_version);
}

static cJSON *new_event(const struct series *s, const char *now)
{
    cJSON *event = cJSON_CreateObject(), *meta, *source;

    json_add_str(event, "apiVersion", "v1");
    json_add_str(event, "kind", "Event");
    meta = cJSON_AddObjectToObject(event, "metadata");
    json_add_str(meta, "namespace", namespace_of(s));
    json_add_str(meta, "name", s->name);
    add_object(s, event);
    json_add_str(event, "type", s->type);
    json_add_str(event, "reason", s->reason);
    json_add_str(event, "message", s->text);
    source = cJSON_AddObjectToObject(event, "source");
    json_add_str(source, "component", s->ev->component);
    json_add_str(source, "host", s->ev->host);
    json_add_str(event, "reportingComponent", s->ev->component);
    json_add_str(event, "firstTimestamp", s->first);
    json_add_str(event, "lastTimestamp", now);
    json_add_int(event, "count", s->count);
    return event;
}

static void on_sent(void *arg, const struct kube_reply *reply);

static void send_series(struct series *s)
{
    struct kube_events *ev = s->ev;
    auto_free char *now = time_text();
    auto_json cJSON *body = NULL;
    auto_free char *path = NULL;
    struct kube_request request = {.method = s->name ? "PATCH" : "POST",
                                   .content = s->name ? KUBE_MERGE_PATCH : KUBE_JSON};

    s->is_new = !s->name;
    s->has_more = false;
    if (s->is_new) {
        s->name = new_name(s);
        path = xasprintf("/api/v1/namespaces/%s/events", namespace_of(s));
        body = new_event(s, now);
    } else {
        path = xasprintf("/api/v1/namespaces/%s/events/%s", namespace_of(s), s->name);
        body = cJSON_CreateObject();
        json_add_str(body, "message", s->text);
        json_add_str(body, "lastTimestamp", now);
        json_add_int(body, "count", s->count);
    }
    request.path = path;
    request.body = body;
    ev->n_under_way++;
    ev->stats.sent++;
    s->call = kube_io_send(ev->io, &request, on_sent, s);
}

static void on_sent(void *arg, const struct kube_reply *reply)
{
    struct series *s = arg;
    bool is_gone = reply->status == -ENOENT && !s->is_new;

    s->call = NULL;
    s->ev->n_under_way--;
    if (reply->status < 0) {
        s->ev->stats.failed += !is_gone;
        free(s->name);
        s->name = NULL;
    }
    /* Events live for an hour; one that has gone is made anew, once. */
    if (is_gone || (reply->status == 0 && s->has_more))
        send_series(s);
}

/* --- telling --- */

static void keep_object(struct series *s, const struct kube_event_object *o)
{
    s->object = (struct kube_event_object){
        .api_version = xstrdup(o->api_version),
        .kind = xstrdup(o->kind),
        .ns = xstrdup(o->ns),
        .name = xstrdup(o->name),
        .uid = xstrdup(o->uid),
        .resource_version = xstrdup(o->resource_version),
    };
}

static struct series *count_up(struct kube_events *ev, const char *key, const char *text)
{
    struct series *s = NULL;

    FIND_OR_ADD(ev->series, key, ev->options.remembered, free_series, s);
    s->ev = ev;
    s->count++;
    free(s->text);
    s->text = xstrdup(text);
    return s;
}

/* One that was never told is not remembered: it would push out one that is on its way. */
static bool has_room(const struct kube_events *ev, const char *key)
{
    struct series *s = NULL;

    HASH_FIND_STR(ev->series, key, s);
    return s || ev->n_under_way < UNDER_WAY_MAX;
}

struct say {
    const char *type; /* a literal */
    const char *reason;
};

static void tell(struct kube_events *ev, const struct kube_event_object *object, struct say say,
                 const char *text)
{
    auto_free char *about = object_key(object);
    auto_free char *reason_key = xasprintf("%s/%s/%s", about, say.type, say.reason);
    bool is_combined = is_one_of_many(ev, reason_key, text);
    auto_free char *key = xasprintf("%s/%s", reason_key, is_combined ? "" : text);
    auto_free char *whole = xasprintf("%s%s", is_combined ? COMBINED : "", text);
    struct series *s;

    if (!has_room(ev, key)) {
        ev->stats.dropped++;
        return;
    }
    s = count_up(ev, key, whole);
    if (!s->type) {
        keep_object(s, object);
        s->type = say.type;
        s->reason = xstrdup(say.reason);
        s->first = time_text();
    }
    if (!may_speak(ev, about) || (!s->call && ev->n_under_way >= UNDER_WAY_MAX))
        ev->stats.dropped++;
    else if (s->call)
        s->has_more = true;
    else
        send_series(s);
}

/* The server refuses a longer text. Not in the middle of a character. */
static void cut(char *text, size_t max)
{
    if (strlen(text) <= max)
        return;
    while (max && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    text[max] = '\0';
}

__attribute__((format(printf, 4, 0))) static void
tell_format(struct kube_events *ev, const struct kube_event_object *object, struct say say,
            const char *format, va_list args)
{
    auto_free char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        abort();
    cut(text, TEXT_MAX - sizeof(COMBINED));
    tell(ev, object, say, text);
}

/* --- public --- */

struct kube_events *kube_events_new(struct kube_io *io, const struct kube_events_options *options)
{
    struct kube_events *ev = xcalloc(1, sizeof(*ev));
    struct kube_events_options *o = &ev->options;

    *o = *options;
    o->burst = o->burst ? o->burst : BURST;
    o->refill_ms = o->refill_ms ? o->refill_ms : REFILL_MS;
    o->similar_max = o->similar_max ? o->similar_max : SIMILAR_MAX;
    o->similar_ms = o->similar_ms ? o->similar_ms : SIMILAR_MS;
    o->remembered = o->remembered ? o->remembered : REMEMBERED;
    ev->io = io;
    ev->component = xstrdup(options->component);
    ev->host = xstrdup(options->host);
    return ev;
}

void kube_events_free(struct kube_events *ev)
{
    if (!ev)
        return;
    while (ev->series)
        free_series(ev, ev->series);
    while (ev->buckets)
        free_bucket(ev, ev->buckets);
    while (ev->groups)
        free_group(ev, ev->groups);
    free(ev->component);
    free(ev->host);
    free(ev);
}

void kube_event_warn(struct kube_events *ev, const struct kube_event_object *object,
                     const char *reason, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell_format(ev, object, (struct say){"Warning", reason}, format, args);
    va_end(args);
}

void kube_event_note(struct kube_events *ev, const struct kube_event_object *object,
                     const char *reason, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell_format(ev, object, (struct say){"Normal", reason}, format, args);
    va_end(args);
}

void kube_events_get_stats(const struct kube_events *ev, struct kube_events_stats *out)
{
    *out = ev->stats;
}
