/*
 * Requests that wait, run and end. Nothing here touches libcurl's multi handle from the functions
 * that the owner calls, because those may be called from inside libcurl, by a sink: they only
 * leave marks for `pump`, which the loop runs.
 */
#include "kube_io.h"

#include "json.h"
#include "kube_creds.h"
#include "kube_io_internal.h"
#include "kube_loop.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#define MAX_REQUESTS 16
#define RELOAD_MS 60000
#define TIMEOUT_MS 30000

/* --- running --- */

static bool is_counted(const struct kube_call *call)
{
    return !call->request.sink && !call->request.is_urgent;
}

static struct kube_call **waiting_list(struct kube_call *call)
{
    return is_counted(call) ? &call->io->waiting : &call->io->express;
}

static void wake(struct kube_io *io)
{
    kube_timer_wake(io->pump);
}

static void left_running(struct kube_call *call)
{
    struct kube_io *io = call->io;

    DL_DELETE(io->running, call);
    if (is_counted(call))
        io->n_running--;
    (void)curl_multi_remove_handle(io->multi, call->http->curl);
    wake(io);
}

void kube_io_ended(struct kube_call *call, CURLcode code)
{
    struct kube_io *io = call->io;

    left_running(call);
    call->state = CALL_ENDED;
    if (!call->request.sink)
        io->n_pending--;
    if (!kube_call_finish(call, code))
        return;
    if (!call->request.sink)
        io->n_pending++;
    call->state = CALL_WAITING;
    DL_PREPEND(*waiting_list(call), call);
}

static void start(struct kube_call *call)
{
    struct kube_io *io = call->io;

    DL_DELETE(*waiting_list(call), call);
    if (call->until_ms && call->until_ms <= kube_now_ms()) {
        call->state = CALL_ENDED;
        io->n_pending -= !call->request.sink;
        kube_call_fail(call, -ETIMEDOUT, "it was not its turn in time");
        return;
    }
    call->http = io->n_idle ? io->idle[--io->n_idle] : http_new();
    kube_call_prepare(call);
    if (curl_multi_add_handle(io->multi, call->http->curl) != CURLM_OK)
        abort();
    call->state = CALL_RUNNING;
    DL_APPEND(io->running, call);
    if (is_counted(call))
        io->n_running++;
}

static void clear_cancelled(struct kube_io *io)
{
    struct kube_call *call, *next;

    DL_FOREACH_SAFE(io->running, call, next)
    if (call->is_cancelled)
        kube_io_ended(call, CURLE_ABORTED_BY_CALLBACK);
}

static void pump(void *arg)
{
    struct kube_io *io = arg;

    clear_cancelled(io);
    while (io->express)
        start(io->express);
    while (io->waiting && io->n_running < io->options.max_requests)
        start(io->waiting);
}

/* --- credentials --- */

void kube_io_authorize(struct kube_io *io)
{
    const struct buf *token = &io->options.config->token.bytes;

    free(io->authorization);
    io->authorization = token->len ? xasprintf("Authorization: Bearer %s", token->data) : NULL;
    io->tls = kube_config_tls(io->options.config);
    io->tls.session = io->options.session;
}

void kube_io_refresh(struct kube_io *io)
{
    if (!kube_creds_refresh(io->options.config))
        return;
    io->options.session = NULL;
    kube_io_authorize(io);
}

static void on_reload(void *arg)
{
    struct kube_io *io = arg;

    kube_io_refresh(io);
    kube_timer_set(io->reload, io->options.reload_ms);
}

/* --- public --- */

int kube_io_new(struct event_base *base, const struct kube_io_options *options,
                struct kube_io **out, struct err **e)
{
    struct kube_server server;
    struct kube_io *io;
    int r = kube_server_find(options->config, &server, e);

    if (r < 0)
        return r;
    io = xcalloc(1, sizeof(*io));
    io->base = base;
    io->options = *options;
    io->server = server;
    io->user_agent = xstrdup(options->user_agent);
    if (!io->options.max_requests)
        io->options.max_requests = MAX_REQUESTS;
    if (!io->options.reload_ms)
        io->options.reload_ms = RELOAD_MS;
    io->idle = xcalloc(io->options.max_requests, sizeof(struct http *));
    io->pump = kube_timer_new(base, pump, io);
    io->reload = kube_timer_new(base, on_reload, io);
    kube_timer_set(io->reload, io->options.reload_ms);
    kube_multi_init(io);
    kube_io_authorize(io);
    *out = io;
    return 0;
}

static void drop(struct kube_call **list)
{
    struct kube_call *call, *next;

    DL_FOREACH_SAFE(*list, call, next)
    {
        DL_DELETE(*list, call);
        kube_call_free(call);
    }
}

void kube_io_free(struct kube_io *io)
{
    if (!io)
        return;
    while (io->running) {
        io->running->is_cancelled = true;
        kube_io_ended(io->running, CURLE_ABORTED_BY_CALLBACK);
    }
    drop(&io->waiting);
    drop(&io->express);
    while (io->n_idle)
        http_free(io->idle[--io->n_idle]);
    kube_multi_release(io);
    kube_timer_free(io->pump);
    kube_timer_free(io->reload);
    kube_server_release(&io->server);
    free(io->idle);
    free(io->authorization);
    free(io->user_agent);
    free(io);
}

struct event_base *kube_io_base(const struct kube_io *io)
{
    return io->base;
}

size_t kube_io_pending(const struct kube_io *io)
{
    return io->n_pending;
}

struct kube_call *kube_io_send(struct kube_io *io, const struct kube_request *request,
                               kube_done on_done, void *arg)
{
    struct kube_call *call = xcalloc(1, sizeof(*call));

    call->io = io;
    call->request = *request;
    call->request.path = call->request.text = NULL;
    call->request.body = NULL;
    if (!request->method)
        call->request.method = "GET";
    if (!request->timeout_ms && !request->sink)
        call->request.timeout_ms = TIMEOUT_MS;
    if (call->request.timeout_ms)
        call->until_ms = kube_now_ms() + call->request.timeout_ms;
    call->path = xstrdup(request->path);
    call->body = request->body ? json_print(request->body) : xstrdup(request->text);
    call->on_done = on_done;
    call->arg = arg;
    DL_APPEND(*waiting_list(call), call);
    io->n_pending += !call->request.sink;
    wake(io);
    return call;
}

void kube_call_cancel(struct kube_call *call)
{
    if (!call || call->state == CALL_ENDED || call->is_cancelled)
        return;
    call->is_cancelled = true;
    if (call->state == CALL_RUNNING) {
        wake(call->io);
        return;
    }
    DL_DELETE(*waiting_list(call), call);
    call->io->n_pending -= !call->request.sink;
    kube_call_free(call);
}
