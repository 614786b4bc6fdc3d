#pragma once
/*
 * A server on loopback in the loop of the test itself, for many connections at a time. Each whole
 * request goes to the test's function, which answers at once, later, in pieces, wrongly or not at
 * all.
 */
#include "mem.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define FAKE_CONNS 64

struct fake;

struct fake_request {
    struct fake *fake;
    struct bufferevent *conn;
    char method[8];
    char path[1024]; /* with the query */
    const char *head;
    const char *body;
    size_t nth; /* from 0, over all connections */
};

struct fake {
    struct event_base *base;
    struct evconnlistener *listener;
    struct bufferevent *conns[FAKE_CONNS]; /* open ones; NULL where none is */
    void (*handle)(struct fake *f, struct fake_request *r);
    void *arg;
    int port;
    char url[64];
    size_t n_connections, n_requests;
};

static inline void fake_forget(struct fake *f, struct bufferevent *conn)
{
    for (size_t i = 0; i < FAKE_CONNS; i++)
        if (f->conns[i] == conn)
            f->conns[i] = NULL;
    bufferevent_free(conn);
}

static inline void fake_on_event(struct bufferevent *conn, short what, void *arg)
{
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        fake_forget(arg, conn);
}

/* Takes one request out of `in`; NULL while it is not whole. */
static inline char *fake_take(struct evbuffer *in)
{
    size_t len = evbuffer_get_length(in), whole;
    auto_free char *text = xcalloc(len + 1, 1);
    const char *end, *length;

    (void)evbuffer_copyout(in, text, len);
    end = strstr(text, "\r\n\r\n");
    if (!end)
        return NULL;
    length = strcasestr(text, "\r\ncontent-length:");
    whole = (size_t)(end - text) + 4;
    if (length && length < end)
        whole += strtoul(length + 17, NULL, 10);
    if (len < whole)
        return NULL;
    (void)evbuffer_drain(in, whole);
    text[whole] = '\0';
    return take(text);
}

static inline void fake_on_bytes(struct bufferevent *conn, void *arg)
{
    struct fake *f = arg;
    char *text;

    while ((text = fake_take(bufferevent_get_input(conn)))) {
        struct fake_request r = {.fake = f, .conn = conn, .head = text, .nth = f->n_requests++};
        size_t method_len = strcspn(text, " ");
        const char *path = text + method_len + 1;

        (void)snprintf(r.method, sizeof(r.method), "%.*s", (int)method_len, text);
        (void)snprintf(r.path, sizeof(r.path), "%.*s", (int)strcspn(path, " "), path);
        r.body = strstr(text, "\r\n\r\n") + 4;
        f->handle(f, &r);
        free(text);
    }
}

static inline void fake_on_accept(struct evconnlistener *listener, evutil_socket_t fd,
                                  struct sockaddr *addr, int len, void *arg)
{
    struct fake *f = arg;
    struct bufferevent *conn = bufferevent_socket_new(f->base, fd, BEV_OPT_CLOSE_ON_FREE);
    size_t i = 0;

    (void)listener;
    (void)addr;
    (void)len;
    while (i < FAKE_CONNS && f->conns[i])
        i++;
    assert_true(i < FAKE_CONNS);
    f->conns[i] = conn;
    f->n_connections++;
    bufferevent_setcb(conn, fake_on_bytes, NULL, fake_on_event, f);
    (void)bufferevent_enable(conn, EV_READ | EV_WRITE);
}

/* Listens on `port`; 0: on any. */
static inline void fake_listen(struct fake *f, int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                               .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof(addr);

    f->listener = evconnlistener_new_bind(f->base, fake_on_accept, f,
                                          LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 64,
                                          (struct sockaddr *)&addr, sizeof(addr));
    assert_non_null(f->listener);
    assert_int_equal(getsockname(evconnlistener_get_fd(f->listener), (struct sockaddr *)&addr,
                                 &len),
                     0);
    f->port = ntohs(addr.sin_port);
    (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", f->port);
}

static inline void fake_hang_up(struct fake *f)
{
    for (size_t i = 0; i < FAKE_CONNS; i++)
        if (f->conns[i])
            fake_forget(f, f->conns[i]);
}

/* Whoever connects is refused until it listens again. */
static inline void fake_stop(struct fake *f)
{
    fake_hang_up(f);
    if (f->listener)
        evconnlistener_free(f->listener);
    f->listener = NULL;
}

static inline void fake_start(struct fake *f, struct event_base *base,
                              void (*handle)(struct fake *f, struct fake_request *r), void *arg)
{
    *f = (struct fake){.base = base, .handle = handle, .arg = arg};
    fake_listen(f, 0);
}

/* --- answers --- */

static inline void fake_raw(const struct fake_request *r, const char *text)
{
    (void)bufferevent_write(r->conn, text, strlen(text));
}

/* `headers`: "" or whole lines. */
static inline void fake_answer(const struct fake_request *r, int status, const char *headers,
                               const char *body)
{
    auto_free char *text =
        xasprintf("HTTP/1.1 %d Word\r\nContent-Type: application/json\r\n%sContent-Length: "
                  "%zu\r\n\r\n%s",
                  status, headers, strlen(body), body);

    fake_raw(r, text);
}

static inline void fake_begin_stream(const struct fake_request *r)
{
    fake_raw(r, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static inline void fake_chunk(struct bufferevent *conn, const char *text)
{
    auto_free char *chunk = xasprintf("%zx\r\n%s\r\n", strlen(text), text);

    (void)bufferevent_write(conn, chunk, strlen(chunk));
}

static inline void fake_end_stream(struct bufferevent *conn)
{
    (void)bufferevent_write(conn, "0\r\n\r\n", 5);
}

static inline void fake_on_flushed(struct bufferevent *conn, void *arg)
{
    fake_forget(arg, conn);
}

/* Hangs up once everything is sent. */
static inline void fake_close(const struct fake_request *r)
{
    if (evbuffer_get_length(bufferevent_get_output(r->conn)))
        bufferevent_setcb(r->conn, NULL, fake_on_flushed, fake_on_event, r->fake);
    else
        fake_forget(r->fake, r->conn);
}

/* --- the loop of a test --- */

static inline void fake_too_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    *(bool *)arg = true;
}

/* Runs the loop until the condition holds; a test fails that waits for 20 s. */
#define loop_until(base, condition)                                                                \
    do {                                                                                           \
        bool late_ = false;                                                                        \
        struct timeval limit_ = {.tv_sec = 20};                                                    \
        struct event *timer_ = evtimer_new((base), fake_too_late, &late_);                         \
        (void)evtimer_add(timer_, &limit_);                                                        \
        while (!(condition) && !late_)                                                             \
            (void)event_base_loop((base), EVLOOP_ONCE);                                            \
        event_free(timer_);                                                                        \
        if (late_)                                                                                 \
            fail_msg("waited in vain for: %s", #condition);                                        \
    } while (0)

/* Runs the loop for so long, for what must not happen. */
static inline void loop_for_ms(struct event_base *base, int ms)
{
    struct timeval time = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    (void)event_base_loopexit(base, &time);
    (void)event_base_dispatch(base);
}
