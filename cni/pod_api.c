/* Requests one after the other on a loop of their own. */
#include "pod_api.h"

#include "buf.h"
#include "http.h"
#include "http_session.h"
#include "json.h"
#include "kube/kube_config.h"
#include "kube/kube_io.h"
#include "kube/kube_loop.h"
#include "kube/kube_stream.h"
#include "mem.h"
#include "pod_session.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define USER_AGENT "static-macvlan-cni/" FLATNET_VERSION
#define REQUEST_MS 10000
#define REACH_MS 5000
#define PAUSE_MS 100
#define PAUSE_MAX_MS 1000
/* A connection that died without a word is not trusted for longer. */
#define WATCH_MS 10000
#define WATCH_SLACK_MS 2000
#define SHORT_WATCH_MS 1000

struct pod_api {
    struct pod_api_options options;
    char *path; /* of the kubeconfig */
    struct event_base *base;
    struct kube_config *config;
    struct kube_io *io;
    struct http_session *session;
    bool has_reloaded, was_answered;
    unsigned n_requests;
    int64_t failing_since_ms; /* 0: the last request was answered */
    int64_t pause_ms;
};

/* One request and its answer. */
struct exchange {
    struct event_base *base;
    bool is_done;
    int status, http_status;
    int64_t retry_after_ms;
    cJSON *body;
    struct err *e;
};

static void free_config(struct kube_config *config)
{
    if (config)
        kube_config_release(config);
    free(config);
}

static void close_connection(struct pod_api *api)
{
    kube_io_free(api->io);
    http_session_free(api->session);
    free_config(api->config);
}

/* What was there stays when the file cannot be used. */
static int connect_anew(struct pod_api *api, struct err **e)
{
    struct kube_config *config = xcalloc(1, sizeof(*config));
    struct kube_io_options options = {.config = config,
                                      .user_agent = USER_AGENT,
                                      .max_requests = 1};
    struct http_session *session = NULL;
    struct kube_io *io = NULL;
    auto_err struct err *why = NULL;
    int r = kube_config_load(api->path, NULL, config, &why);

    /* The environment is the runtime's, and its proxies are for images. */
    config->no_proxy = true;
    if (r < 0)
        r = err_set(e, r == -EINVAL ? r : -EAGAIN, "kubeconfig: %s", why->msg);
    else
        options.session = session = pod_session_new(api->options.sessions, api->path, config);
    if (r == 0)
        r = kube_io_new(api->base, &options, &io, e);
    if (r < 0) {
        http_session_free(session);
        free_config(config);
        return r;
    }
    close_connection(api);
    api->session = session;
    api->io = io;
    api->config = config;
    return 0;
}

int pod_api_new(const struct pod_api_options *options, struct pod_api **out, struct err **e)
{
    struct pod_api *api = xcalloc(1, sizeof(*api));
    int r;

    http_global_init_short();
    api->options = *options;
    api->path = xstrdup(options->kubeconfig);
    api->base = event_base_new();
    if (!api->base)
        abort();
    if (!api->options.request_ms)
        api->options.request_ms = REQUEST_MS;
    if (!api->options.reach_ms)
        api->options.reach_ms = REACH_MS;
    r = connect_anew(api, e);
    if (r < 0)
        pod_api_free(api);
    else
        *out = api;
    return r;
}

void pod_api_free(struct pod_api *api)
{
    if (!api)
        return;
    close_connection(api);
    event_base_free(api->base);
    free(api->path);
    free(api);
}

void pod_api_cleanup(struct pod_api **api)
{
    pod_api_free(*api);
    *api = NULL;
}

void pod_api_set_until(struct pod_api *api, int64_t until_ms)
{
    api->options.until_ms = until_ms;
}

int64_t pod_api_left_ms(const struct pod_api *api)
{
    int64_t left = api->options.until_ms - kube_now_ms();

    return left > 0 ? left : 0;
}

unsigned pod_api_requests(const struct pod_api *api)
{
    return api->n_requests;
}

/* --- one request --- */

static void on_done(void *arg, const struct kube_reply *reply)
{
    struct exchange *x = arg;

    x->is_done = true;
    x->status = reply->status;
    x->http_status = reply->http_status;
    x->retry_after_ms = reply->retry_after_ms;
    x->body = reply->body ? cJSON_Duplicate(reply->body, true) : NULL;
    x->e = err_copy(reply->err);
}

static void exchange_release(struct exchange *x)
{
    cJSON_Delete(x->body);
    err_free(x->e);
    *x = (struct exchange){.body = NULL};
}

#define auto_exchange __attribute__((cleanup(exchange_release)))

static void ask_once(struct pod_api *api, const struct kube_request *request, struct exchange *x)
{
    (void)kube_io_send(api->io, request, on_done, x);
    api->n_requests++;
    while (!x->is_done)
        (void)event_base_loop(api->base, EVLOOP_ONCE);
}

static void rest(struct pod_api *api, int64_t ms)
{
    struct timeval time;
    int64_t left = pod_api_left_ms(api);

    if (ms > left)
        ms = left;
    time = (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    (void)event_base_loopexit(api->base, &time);
    (void)event_base_dispatch(api->base);
}

static bool may_pass(const struct exchange *x)
{
    return x->status == -EHOSTUNREACH || x->status == -ETIMEDOUT || x->status == -EBUSY ||
           x->status == -EPROTO || x->http_status >= 500;
}

/* A server that has been there comes back, within the time that there is for all. */
static int64_t repeat_until(const struct pod_api *api)
{
    int64_t until = api->failing_since_ms + api->options.reach_ms;

    return api->was_answered || until > api->options.until_ms ? api->options.until_ms : until;
}

/* Whether to ask once more, after a pause where there is need of one. */
static bool shall_repeat(struct pod_api *api, const struct exchange *x)
{
    int64_t now = kube_now_ms(), pause;

    if (x->http_status == 401 && !api->has_reloaded) {
        api->has_reloaded = true;
        return connect_anew(api, NULL) == 0;
    }
    if (!may_pass(x)) {
        api->failing_since_ms = 0;
        return false;
    }
    if (!api->failing_since_ms) {
        api->failing_since_ms = now;
        api->pause_ms = PAUSE_MS;
    }
    pause = x->retry_after_ms > api->pause_ms ? x->retry_after_ms : api->pause_ms;
    if (now + pause > repeat_until(api))
        return false;
    rest(api, pause);
    api->pause_ms = api->pause_ms * 2 < PAUSE_MAX_MS ? api->pause_ms * 2 : PAUSE_MAX_MS;
    return true;
}

static int over(struct err **e)
{
    return err_set(e, -ETIMEDOUT, "the time is over");
}

int pod_api_get(struct pod_api *api, const char *path, cJSON **out, struct err **e)
{
    for (;;) {
        auto_exchange struct exchange x = {.body = NULL};
        struct kube_request request = {.path = path, .timeout_ms = api->options.request_ms};
        int64_t left = pod_api_left_ms(api);

        if (!left)
            return over(e);
        if (left < request.timeout_ms)
            request.timeout_ms = (int)left;
        ask_once(api, &request, &x);
        api->was_answered |= !may_pass(&x);
        if (x.status == 0) {
            api->failing_since_ms = 0;
            *out = take(x.body);
            return 0;
        }
        if (!shall_repeat(api, &x))
            return err_set(e, x.status, "%s", err_text(x.e));
    }
}

/* --- following one object --- */

struct follow {
    struct pod_api *api;
    const char *path; /* with a query */
    pod_api_fn fn;
    void *arg;
    struct kube_watch_reader reader;
    bool is_enough;
    bool has_listed;
    int64_t refused_since_ms; /* 0: it is not */
    bool is_stale; /* the version that we came from is too old: do not take another from a cache */
};

static int show(struct follow *f, const cJSON *object, struct err **e)
{
    int r = f->fn(f->arg, object, e);

    f->is_enough = r == 1;
    return r;
}

/* A watch that the server ends with an error is looked at by the next list. */
static int on_event(void *arg, enum kube_event_type type, const cJSON *object, struct err **e)
{
    struct follow *f = arg;
    int r = 0;

    if (type == KUBE_ERROR) {
        f->is_stale = true;
        return err_set(e, -ESTALE, "the watch was ended");
    }
    if (type == KUBE_ADDED || type == KUBE_MODIFIED || type == KUBE_DELETED)
        r = show(f, type == KUBE_DELETED ? NULL : object, e);
    return r == 1 ? err_set(e, -ECANCELED, "enough") : r;
}

static int on_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    return kube_watch_reader_feed(&((struct follow *)arg)->reader, bytes, len, e);
}

/* 1, 0 with *out_version, or an error. */
static int list(struct follow *f, char **out_version, struct err **e)
{
    auto_free char *path = xasprintf("%s%s", f->path, f->is_stale ? "" : "&resourceVersion=0");
    auto_json cJSON *tree = NULL;
    const cJSON *items;
    const char *version;
    int r = pod_api_get(f->api, path, &tree, e);

    if (r < 0)
        return r;
    f->is_stale = false;
    f->has_listed = true;
    f->refused_since_ms = 0;
    items = json_get_arr(tree, "items");
    version = json_get_str(json_get_obj(tree, "metadata"), "resourceVersion");
    if (!items || !version || !*version)
        return err_set(e, -EPROTO, "the API server answered with something that is no list");
    r = show(f, items->child, e);
    if (r == 0)
        *out_version = xstrdup(version);
    return r;
}

static char *watch_path(const struct follow *f, const char *version, int64_t ms)
{
    struct buf path;

    buf_init(&path, 64u << 10);
    (void)buf_addf(&path, "%s&watch=true&allowWatchBookmarks=true&timeoutSeconds=%lld", f->path,
                   (long long)(ms + 999) / 1000);
    (void)buf_addstr(&path, "&resourceVersion=");
    http_url_encode(&path, version);
    return buf_steal(&path);
}

/* 1, 0 when the watch is over for any reason that another list can mend, or an error. */
static int watch(struct follow *f, const char *version, struct err **e)
{
    auto_exchange struct exchange x = {.body = NULL};
    struct kube_request request = {.sink = on_bytes, .sink_arg = f};
    auto_free char *path = NULL;
    int64_t began = kube_now_ms(), left = pod_api_left_ms(f->api);

    if (!left)
        return over(e);
    if (left > WATCH_MS)
        left = WATCH_MS;
    path = watch_path(f, version, left);
    request.path = path;
    request.timeout_ms = (int)left + (left == WATCH_MS ? WATCH_SLACK_MS : 0);
    kube_watch_reader_init(&f->reader, on_event, f);
    ask_once(f->api, &request, &x);
    kube_watch_reader_release(&f->reader);
    if (f->is_enough)
        return 1;
    if (x.status == -ESTALE)
        f->is_stale = true;
    else if (x.status < 0 && !may_pass(&x) && x.status != -EBADMSG && x.status != -EFBIG)
        return err_set(e, x.status, "%s", err_text(x.e));
    if (kube_now_ms() - began < SHORT_WATCH_MS)
        rest(f->api, x.retry_after_ms > PAUSE_MS ? x.retry_after_ms : PAUSE_MS);
    return 0;
}

/* A server that has just started refuses what it has not yet read the roles of, and a new token may
 * be on its way into the kubeconfig. */
static bool may_be_let_in(struct follow *f)
{
    int64_t now = kube_now_ms();

    if (!f->has_listed)
        return false;
    if (!f->refused_since_ms)
        f->refused_since_ms = now;
    if (now - f->refused_since_ms > f->api->options.reach_ms)
        return false;
    f->api->has_reloaded = false;
    rest(f->api, PAUSE_MAX_MS / 2);
    return true;
}

int pod_api_follow(struct pod_api *api, const char *path, pod_api_fn fn, void *arg, struct err **e)
{
    struct follow f = {.api = api, .path = path, .fn = fn, .arg = arg};

    for (;;) {
        auto_free char *version = NULL;
        auto_err struct err *why = NULL;
        int r = list(&f, &version, &why);

        if (r == 0)
            r = watch(&f, version, &why);
        if (r == -EKEYREJECTED && may_be_let_in(&f))
            continue;
        if (r < 0)
            return err_set(e, r, "%s", err_text(why));
        if (r == 1)
            return 1;
    }
}
