/* libcurl's multi interface on a libevent loop: its sockets and its one timer. */
#include "kube_io_internal.h"
#include "kube_loop.h"
#include "log.h"

#include <event2/event.h>
#include <stdlib.h>

/* Connections of streams that are kept besides those of requests. */
#define STREAMS 32

static void read_results(struct kube_io *io)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(io->multi, &left))) {
        struct kube_call *call = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        kube_io_ended(call, message->data.result);
    }
}

static void act(struct kube_io *io, curl_socket_t fd, int what)
{
    int n_running;
    CURLMcode code = curl_multi_socket_action(io->multi, fd, what, &n_running);

    if (code != CURLM_OK)
        log_debug("libcurl failed: %s", curl_multi_strerror(code));
    read_results(io);
}

static void on_fd(evutil_socket_t fd, short events, void *arg)
{
    act(arg, fd,
        (events & EV_READ ? CURL_CSELECT_IN : 0) | (events & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl wants to know of these events on this socket. `of_socket` is its event, once it has one.
 */
static int on_want(CURL *curl, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    struct kube_io *io = arg;
    struct event *event = of_socket;
    int events =
        EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0);

    (void)curl;
    if (event)
        event_free(event);
    event = NULL;
    if (what != CURL_POLL_REMOVE) {
        event = event_new(io->base, fd, (short)events, on_fd, io);
        if (!event || event_add(event, NULL) < 0)
            abort();
    }
    (void)curl_multi_assign(io->multi, fd, event);
    return 0;
}

static int on_want_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct kube_io *io = arg;

    (void)multi;
    if (timeout_ms < 0)
        kube_timer_stop(io->timer);
    else
        kube_timer_set(io->timer, timeout_ms);
    return 0;
}

void kube_multi_init(struct kube_io *io)
{
    io->multi = curl_multi_init();
    io->timer = kube_timer_new(io->base, on_timer, io);
    if (!io->multi)
        abort();
    (void)curl_multi_setopt(io->multi, CURLMOPT_SOCKETFUNCTION, on_want);
    (void)curl_multi_setopt(io->multi, CURLMOPT_SOCKETDATA, io);
    (void)curl_multi_setopt(io->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
    (void)curl_multi_setopt(io->multi, CURLMOPT_TIMERDATA, io);
    (void)curl_multi_setopt(io->multi, CURLMOPT_MAXCONNECTS,
                            (long)io->options.max_requests + STREAMS);
}

void kube_multi_release(struct kube_io *io)
{
    (void)curl_multi_cleanup(io->multi);
    kube_timer_free(io->timer);
}
