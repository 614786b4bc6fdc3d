/*
 * List, watch, and what to do when either ends. Two versions matter: `version`, from which a watch
 * goes on, and the one of the list that is being read. Versions are opaque: compared for equality
 * and never as numbers.
 */
#include "kube_informer.h"

#include "http.h"
#include "json.h"
#include "kube_internal.h"
#include "kube_loop.h"
#include "kube_store.h"
#include "kube_stream.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE 500
#define WATCH_MIN_S 300
#define WATCH_SLACK_S 30
#define BACKOFF_MS 800
#define BACKOFF_MAX_MS 30000
#define BACKOFF_RESET_MS 120000
#define SHORT_WATCH_MS 1000
#define LIST_SILENCE_MS 60000
/* Servers from 1.18 on send a bookmark about once a minute; where they do, silence means that
 * something between the server and us is dead. Older ones send one just before the end. */
#define BOOKMARK_MS 90000
#define SILENCE_MS 180000
#define PATH_MAX_LEN (64u << 10)

/* What comes next. */
enum next { NEXT_LIST, NEXT_WATCH };

struct kube_informer {
    struct kube_io *io;
    struct kube_informer_options options;
    char *path, *other_path, *query;
    struct kube_store store;
    struct kube_call *call; /* list or watch under way */
    struct event *timer;    /* for the next of them */
    enum next next;
    bool has_synced;

    char *version;       /* of the last list or event; NULL before the first list */
    bool is_version_bad; /* the server does not have it any more */
    char *list_version;  /* of the first page of the list that is being read */
    char *continue_token;
    bool no_pages; /* a page came too late; all at once then */
    struct kube_list_reader list;

    struct kube_watch_reader watch;
    int64_t watch_began_ms, last_bookmark_ms;
    uint64_t n_watch_events;
    bool has_bookmarks; /* they come often enough for silence to mean something */

    int64_t backoff_ms, backed_off_at_ms; /* the next, and when the last was taken */
    unsigned n_expired;                   /* watches that were refused as too old, in a row */
    unsigned path_changes;                /* since the last complete list */
    struct kube_informer_stats stats;
};

static void list(struct kube_informer *inf);
static void watch(struct kube_informer *inf);

static void set(char **text, const char *value)
{
    char *copy = xstrdup(value);

    free(*text);
    *text = copy;
}

/* --- when --- */

static void on_time(void *arg)
{
    struct kube_informer *inf = arg;

    if (inf->next == NEXT_LIST)
        list(inf);
    else
        watch(inf);
}

static void at_once(struct kube_informer *inf, enum next next)
{
    inf->next = next;
    kube_timer_set(inf->timer, 0);
}

/* After a failure: not before `at_least_ms` either, which the server may have asked for. */
static void later(struct kube_informer *inf, enum next next, int64_t at_least_ms)
{
    const struct kube_informer_options *o = &inf->options;
    int64_t now = kube_now_ms(), wait;

    if (!inf->backoff_ms || now - inf->backed_off_at_ms > o->backoff_reset_ms)
        inf->backoff_ms = o->backoff_ms;
    wait = inf->backoff_ms + kube_random(inf->backoff_ms);
    if (wait < at_least_ms)
        wait = at_least_ms;
    inf->backoff_ms *= 2;
    if (inf->backoff_ms > o->backoff_max_ms)
        inf->backoff_ms = o->backoff_max_ms;
    inf->backed_off_at_ms = now;
    inf->next = next;
    kube_timer_set(inf->timer, wait);
}

static void tell_failure(struct kube_informer *inf, const struct err *e)
{
    inf->stats.failures++;
    if (inf->options.ops->failed)
        inf->options.ops->failed(inf->options.arg, e);
}

/* --- list --- */

static int on_item(void *arg, const cJSON *object, struct err **e)
{
    struct kube_informer *inf = arg;

    return kube_store_put(&inf->store, object, e);
}

static int on_list_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct kube_informer *inf = arg;

    return kube_list_reader_feed(&inf->list, bytes, len, e);
}

/* The list begins anew. */
static void forget_pages(struct kube_informer *inf)
{
    free(inf->continue_token);
    free(inf->list_version);
    inf->continue_token = inf->list_version = NULL;
}

static void complete_list(struct kube_informer *inf)
{
    set(&inf->version, inf->list_version);
    inf->is_version_bad = inf->no_pages = false;
    inf->path_changes = 0;
    forget_pages(inf);
    kube_store_sweep(&inf->store);
    inf->stats.lists++;
    if (!inf->has_synced) {
        inf->has_synced = true;
        if (inf->options.ops->synced)
            inf->options.ops->synced(inf->options.arg);
    }
    at_once(inf, NEXT_WATCH);
}

static void page_done(struct kube_informer *inf)
{
    auto_err struct err *e = NULL;

    if (kube_list_reader_end(&inf->list, &e) < 0) {
        tell_failure(inf, e);
        forget_pages(inf);
        later(inf, NEXT_LIST, 0);
        return;
    }
    if (!inf->list_version)
        set(&inf->list_version, inf->list.resource_version);
    set(&inf->continue_token, inf->list.continue_token);
    if (inf->continue_token)
        at_once(inf, NEXT_LIST);
    else
        complete_list(inf);
}

/* A continue token lives about 5 minutes, a version in the server's cache about as long. The first
 * thing to do is to ask in another way. */
static bool can_ask_otherwise(struct kube_informer *inf)
{
    if (inf->continue_token && !inf->no_pages)
        inf->no_pages = true;
    else if (!inf->is_version_bad)
        inf->is_version_bad = true;
    else
        return false;
    return true;
}

/* A server that has neither is asked for one and the other in turn. */
static bool change_path(struct kube_informer *inf)
{
    char *other = inf->other_path;
    bool is_first = inf->path_changes++ == 0;

    if (!other)
        return false;
    inf->other_path = inf->path;
    inf->path = other;
    return is_first;
}

/* Whether to ask in another way at once. */
static bool adapt(struct kube_informer *inf, const struct kube_reply *reply)
{
    if (reply->status == -ENOENT)
        return change_path(inf);
    return kube_is_version_refused(reply) && can_ask_otherwise(inf);
}

static void on_list_done(void *arg, const struct kube_reply *reply)
{
    struct kube_informer *inf = arg;

    inf->call = NULL;
    if (reply->status == 0) {
        page_done(inf);
    } else {
        bool is_otherwise = adapt(inf, reply);

        if (!is_otherwise || reply->status != -ENOENT)
            tell_failure(inf, reply->err);
        forget_pages(inf);
        if (is_otherwise)
            at_once(inf, NEXT_LIST);
        else
            later(inf, NEXT_LIST, reply->retry_after_ms);
    }
    kube_list_reader_release(&inf->list);
}

static void add_selectors(const struct kube_informer *inf, struct buf *url)
{
    if (inf->query)
        (void)buf_addf(url, "&%s", inf->query);
}

/*
 * The first list takes what the server's cache has ("0"); later ones must not go back behind what
 * was seen, and come from the cache too when they ask for no pages; without a version the list
 * comes from etcd.
 */
static char *list_url(const struct kube_informer *inf)
{
    const char *version = inf->is_version_bad ? "" : inf->version ? inf->version : "0";
    bool has_pages = !inf->no_pages && (!*version || !strcmp(version, "0"));
    struct buf url;

    buf_init(&url, PATH_MAX_LEN);
    (void)buf_addf(&url, "%s?", inf->path);
    if (has_pages)
        (void)buf_addf(&url, "limit=%u&", inf->options.page_size);
    if (inf->continue_token) {
        (void)buf_addstr(&url, "continue=");
        http_url_encode(&url, inf->continue_token);
    } else {
        (void)buf_addstr(&url, "resourceVersion=");
        http_url_encode(&url, version);
    }
    add_selectors(inf, &url);
    return buf_steal(&url);
}

static void list(struct kube_informer *inf)
{
    auto_free char *url = list_url(inf);
    struct kube_request request = {.path = url, .sink = on_list_bytes, .sink_arg = inf};

    if (!inf->continue_token)
        inf->store.generation++;
    request.idle_timeout_ms = LIST_SILENCE_MS;
    kube_list_reader_init(&inf->list, on_item, inf);
    inf->call = kube_io_send(inf->io, &request, on_list_done, inf);
}

/* --- watch --- */

/* An ERROR event has what would have been the answer's status. */
static int on_error_event(const cJSON *status, struct err **e)
{
    const char *reason = json_get_str(status, "reason"), *message = json_get_str(status, "message");
    auto_free char *text = kube_clean_text(message ? message : "", message ? strlen(message) : 0);
    int64_t code = 0;

    (void)json_get_size(status, "code", &code);
    if (reason && (!strcmp(reason, "Expired") || !strcmp(reason, "Gone")))
        code = 410;
    return err_set(e, kube_status_number((int)code, reason), "the watch was ended with %d%s%s",
                   (int)code, *text ? ": " : "", text);
}

static int advance(struct kube_informer *inf, const cJSON *object, struct err **e)
{
    const char *version = json_get_str(json_get_obj(object, "metadata"), "resourceVersion");

    if (!version || !*version)
        return err_set(e, -EBADMSG, "an event has no resourceVersion");
    set(&inf->version, version);
    return 0;
}

static void see_bookmark(struct kube_informer *inf)
{
    int64_t now = kube_now_ms();

    inf->has_bookmarks = now - inf->last_bookmark_ms < BOOKMARK_MS;
    inf->last_bookmark_ms = now;
}

static int on_event(void *arg, enum kube_event_type type, const cJSON *object, struct err **e)
{
    struct kube_informer *inf = arg;
    int r = 0;

    inf->stats.events++;
    if (type == KUBE_UNKNOWN)
        return 0;
    if (type == KUBE_ERROR)
        return on_error_event(object, e);
    inf->n_watch_events++;
    if (type == KUBE_BOOKMARK)
        see_bookmark(inf);
    else if (type == KUBE_DELETED)
        r = kube_store_delete(&inf->store, object, e);
    else
        r = kube_store_put(&inf->store, object, e);
    return r < 0 ? r : advance(inf, object, e);
}

static int on_watch_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct kube_informer *inf = arg;

    return kube_watch_reader_feed(&inf->watch, bytes, len, e);
}

/* What to do after a watch that ended with `status`; `was_useful`: it lasted or gave something. */
static void after_watch(struct kube_informer *inf, const struct kube_reply *reply, bool was_useful)
{
    switch (reply->status) {
    case 0:
    case -EHOSTUNREACH:
    case -ETIMEDOUT:
        if (was_useful)
            at_once(inf, NEXT_WATCH);
        else
            later(inf, NEXT_WATCH, 0);
        break;
    case -EBUSY:
        later(inf, NEXT_WATCH, reply->retry_after_ms);
        break;
    case -ESTALE:
        if (inf->n_expired++ == 0)
            at_once(inf, NEXT_LIST);
        else
            later(inf, NEXT_LIST, 0);
        break;
    default:
        later(inf, NEXT_LIST, reply->retry_after_ms);
    }
}

static void on_watch_done(void *arg, const struct kube_reply *reply)
{
    struct kube_informer *inf = arg;
    bool was_useful = inf->n_watch_events || kube_now_ms() - inf->watch_began_ms >= SHORT_WATCH_MS;
    auto_err struct err *e = NULL;

    inf->call = NULL;
    if (was_useful)
        inf->n_expired = 0;
    if (reply->status < 0) {
        tell_failure(inf, reply->err);
    } else if (kube_watch_reader_end(&inf->watch, &e) < 0) {
        tell_failure(inf, e);
    } else if (!was_useful) {
        (void)err_set(&e, -EPROTO, "the server ended a watch at once");
        tell_failure(inf, e);
    }
    kube_watch_reader_release(&inf->watch);
    after_watch(inf, reply, was_useful);
}

static int watch_seconds(const struct kube_informer *inf)
{
    int given = inf->options.watch_timeout_s;

    return given ? given : WATCH_MIN_S + (int)kube_random(WATCH_MIN_S);
}

static void watch(struct kube_informer *inf)
{
    int seconds = watch_seconds(inf);
    struct kube_request request = {.sink = on_watch_bytes, .sink_arg = inf};
    struct buf url;

    buf_init(&url, PATH_MAX_LEN);
    (void)buf_addf(&url,
                   "%s?watch=true&allowWatchBookmarks=true&timeoutSeconds=%d"
                   "&resourceVersion=",
                   inf->path, seconds);
    http_url_encode(&url, inf->version);
    add_selectors(inf, &url);
    request.path = url.data;
    request.timeout_ms = (seconds + WATCH_SLACK_S) * 1000;
    request.idle_timeout_ms = inf->has_bookmarks ? SILENCE_MS : 0;
    inf->has_bookmarks = false;
    inf->watch_began_ms = inf->last_bookmark_ms = kube_now_ms();
    inf->n_watch_events = 0;
    inf->stats.watches++;
    kube_watch_reader_init(&inf->watch, on_event, inf);
    inf->call = kube_io_send(inf->io, &request, on_watch_done, inf);
    buf_release(&url);
}

/* --- public --- */

static void set_defaults(struct kube_informer_options *o)
{
    if (!o->page_size)
        o->page_size = PAGE_SIZE;
    if (!o->backoff_ms)
        o->backoff_ms = BACKOFF_MS;
    if (!o->backoff_max_ms)
        o->backoff_max_ms = BACKOFF_MAX_MS;
    if (!o->backoff_reset_ms)
        o->backoff_reset_ms = BACKOFF_RESET_MS;
}

struct kube_informer *kube_informer_new(struct kube_io *io,
                                        const struct kube_informer_options *options)
{
    struct kube_informer *inf = xcalloc(1, sizeof(*inf));

    inf->io = io;
    inf->options = *options;
    set_defaults(&inf->options);
    inf->path = xstrdup(options->path);
    inf->other_path = xstrdup(options->other_path);
    inf->query = xstrdup(options->query);
    inf->store = (struct kube_store){.ops = options->ops, .arg = options->arg};
    inf->timer = kube_timer_new(kube_io_base(io), on_time, inf);
    at_once(inf, NEXT_LIST);
    return inf;
}

void kube_informer_free(struct kube_informer *inf)
{
    if (!inf)
        return;
    kube_call_cancel(inf->call);
    kube_timer_free(inf->timer);
    kube_list_reader_release(&inf->list);
    kube_watch_reader_release(&inf->watch);
    kube_store_release(&inf->store);
    forget_pages(inf);
    free(inf->version);
    free(inf->path);
    free(inf->other_path);
    free(inf->query);
    free(inf);
}

bool kube_informer_has_synced(const struct kube_informer *inf)
{
    return inf->has_synced;
}

const void *kube_informer_get(const struct kube_informer *inf, const char *key)
{
    return kube_store_get(&inf->store, key);
}

size_t kube_informer_count(const struct kube_informer *inf)
{
    return kube_store_count(&inf->store);
}

void kube_informer_each(const struct kube_informer *inf,
                        bool (*fn)(void *arg, const char *key, const void *value), void *arg)
{
    kube_store_each(&inf->store, fn, arg);
}

void kube_informer_get_stats(const struct kube_informer *inf, struct kube_informer_stats *out)
{
    *out = inf->stats;
}
