#pragma once
/*
 * Follows a collection by list and watch, for a checker that wants to know versions and gaps. It is
 * no kube_informer, so that what that may do wrong does not hide itself.
 */
#include "json.h"
#include "kube/kube_loop.h"
#include "kube/kube_stream.h"
#include "kube_tool.h"
#include "mem.h"
#include "num.h"

#include <errno.h>

#define FOLLOW_AGAIN_MS 200

struct follow {
    const char *path;
    void *arg;
    /* The object is like that from this version on. */
    void (*see)(void *arg, const cJSON *object, int64_t version);
    /* It went with this version; `is_cut`: nobody saw it go, and this is the last that was seen. */
    void (*gone)(void *arg, const char *uid, int64_t version, bool is_cut);
    /* After a list: what has another `generation` than the list is gone since `version`. */
    void (*sweep)(void *arg, unsigned generation, int64_t version);
    /* `is_gap`: the server had forgotten the version to go on from. */
    void (*listed)(void *arg, const char *path, bool is_gap, int64_t version);

    struct kube_io *io;
    struct event *timer;
    struct kube_list_reader list;
    struct kube_watch_reader watch;
    char *token; /* of the next page */
    bool has_list;
    int64_t version, event_ms;
    unsigned generation; /* counted up when a list begins */
    unsigned n_lists, n_events;
};

static inline const char *follow_meta(const cJSON *object, const char *name)
{
    const char *text = json_get_str(json_get_obj(object, "metadata"), name);

    return text ? text : "";
}

static inline int64_t follow_version(const char *text)
{
    uint64_t version = 0;

    (void)num_parse_u64(text, INT64_MAX, &version);
    return (int64_t)version;
}

/* --- list: without a version, so that it comes from etcd --- */

static int follow_on_item(void *arg, const cJSON *object, struct err **e)
{
    struct follow *f = arg;

    (void)e;
    f->see(f->arg, object, follow_version(follow_meta(object, "resourceVersion")));
    return 0;
}

static int follow_on_list_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    return kube_list_reader_feed(&((struct follow *)arg)->list, bytes, len, e);
}

static void follow_on_listed(void *arg, const struct kube_reply *reply)
{
    struct follow *f = arg;
    auto_err struct err *e = NULL;
    bool is_read = reply->status == 0 && kube_list_reader_end(&f->list, &e) == 0;

    free(f->token);
    f->token = is_read ? xstrdup(f->list.continue_token) : NULL;
    if (is_read && !f->token) {
        int64_t version = follow_version(f->list.resource_version);

        f->listed(f->arg, f->path, f->n_lists++ > 0, version);
        f->sweep(f->arg, f->generation, f->version);
        f->version = version;
        f->has_list = true;
    }
    kube_timer_set(f->timer, is_read ? 0 : FOLLOW_AGAIN_MS);
    kube_list_reader_release(&f->list);
}

static inline void follow_list(struct follow *f)
{
    auto_free char *path = xasprintf("%s?limit=500%s%s", f->path, f->token ? "&continue=" : "",
                                     f->token ? f->token : "");
    struct kube_request request = {.path = path, .sink = follow_on_list_bytes, .sink_arg = f};

    if (!f->token)
        f->generation++;
    request.timeout_ms = 30000;
    kube_list_reader_init(&f->list, follow_on_item, f);
    (void)kube_io_send(f->io, &request, follow_on_listed, f);
}

/* --- watch --- */

static int follow_on_event(void *arg, enum kube_event_type type, const cJSON *object,
                           struct err **e)
{
    struct follow *f = arg;
    int64_t version = follow_version(follow_meta(object, "resourceVersion"));

    if (type == KUBE_ERROR)
        return err_set(e, -ESTALE, "the version is gone");
    if (type == KUBE_ADDED || type == KUBE_MODIFIED)
        f->see(f->arg, object, version);
    else if (type == KUBE_DELETED)
        f->gone(f->arg, follow_meta(object, "uid"), version, false);
    f->version = version;
    if (type == KUBE_BOOKMARK)
        return 0;
    f->n_events++;
    f->event_ms = kube_now_ms();
    return 0;
}

static int follow_on_watch_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    return kube_watch_reader_feed(&((struct follow *)arg)->watch, bytes, len, e);
}

/* Anything but the end of its time, or of the connection, means that the version is too old. */
static void follow_on_watched(void *arg, const struct kube_reply *reply)
{
    struct follow *f = arg;

    f->has_list = reply->status != -ESTALE && reply->status != -EREMOTEIO;
    kube_watch_reader_release(&f->watch);
    kube_timer_set(f->timer, reply->status == 0 ? 0 : FOLLOW_AGAIN_MS);
}

static inline void follow_watch(struct follow *f)
{
    auto_free char *path =
        xasprintf("%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=600&resourceVersion=%lld",
                  f->path, (long long)f->version);
    struct kube_request request = {.path = path, .sink = follow_on_watch_bytes, .sink_arg = f};

    kube_watch_reader_init(&f->watch, follow_on_event, f);
    (void)kube_io_send(f->io, &request, follow_on_watched, f);
}

/* --- */

static void follow_on_timer(void *arg)
{
    struct follow *f = arg;

    if (f->has_list)
        follow_watch(f);
    else
        follow_list(f);
}

static inline void follow_begin(struct follow *f, const struct kube_tool *tool)
{
    f->io = tool->io;
    f->timer = kube_timer_new(tool->base, follow_on_timer, f);
    kube_timer_set(f->timer, 0);
}

static inline void follow_end(struct follow *f)
{
    kube_timer_free(f->timer);
    kube_list_reader_release(&f->list);
    kube_watch_reader_release(&f->watch);
    free(f->token);
}
