#pragma once
/*
 * A server on loopback that answers request after request with the next of a list of prepared
 * texts, and keeps what it was asked. For faults that no real server can be made to show.
 */
#include "mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_MAX 32
#define SERVER_REQUEST_MAX (1u << 20)

enum reply_end {
    REPLY_KEEP,  /* the connection takes the next request */
    REPLY_CLOSE, /* it is closed */
    REPLY_STALL, /* nothing more comes until the client hangs up */
};

struct reply {
    const char *text; /* status line, headers and body, as they go over the wire */
    enum reply_end end;
    size_t len;      /* 0: that of the string */
    bool reads_head; /* answers as soon as anything came: a request that is no HTTP, or a body
                        that shall break */
};

struct server {
    int listener;
    int port;
    char name[32]; /* 127.0.0.1:PORT */
    pthread_t thread;
    struct reply replies[SERVER_MAX];
    size_t n_replies;
    char *requests[SERVER_MAX]; /* head and body */
    size_t n_requests;
    size_t n_connections;
};

static inline void server_must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

/* The bytes that a whole request has, as far as its head says; 0 while that is not complete. */
static inline size_t server_request_len(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\ncontent-length:");

    if (!end)
        return 0;
    if (strcasestr(text, "\r\ntransfer-encoding: chunked")) {
        end = strstr(end, "\r\n0\r\n\r\n");
        return end ? (size_t)(end - text) + 7 : 0;
    }
    if (!length || length > end)
        return (size_t)(end - text) + 4;
    return (size_t)(end - text) + 4 + strtoul(length + 17, NULL, 10);
}

/* False when the client hung up. */
static inline bool server_read(struct server *s, int fd, const struct reply *reply)
{
    auto_free char *text = xcalloc(SERVER_REQUEST_MAX + 1, 1);
    size_t len = 0, whole = 0;

    do {
        ssize_t n = read(fd, text + len, SERVER_REQUEST_MAX - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
        text[len] = '\0';
        whole = server_request_len(text);
    } while (!reply->reads_head && (!whole || len < whole));
    server_must(s->n_requests < SERVER_MAX, "requests");
    s->requests[s->n_requests++] = take(text);
    return true;
}

static inline void server_send(int fd, const struct reply *reply)
{
    size_t len = reply->len ? reply->len : strlen(reply->text);

    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, reply->text + at, len - at, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += (size_t)n;
    }
}

static inline void *server_run(void *arg)
{
    struct server *s = arg;

    while (s->n_requests < s->n_replies) {
        int fd = accept(s->listener, NULL, NULL);
        bool open = fd >= 0;

        if (fd < 0)
            break;
        s->n_connections++;
        while (open && s->n_requests < s->n_replies) {
            const struct reply *reply = &s->replies[s->n_requests];
            char byte;

            open = server_read(s, fd, reply);
            if (!open)
                break;
            server_send(fd, reply);
            while (reply->end == REPLY_STALL && read(fd, &byte, 1) > 0)
                ;
            open = reply->end == REPLY_KEEP;
        }
        (void)close(fd);
    }
    /* Whoever asks more than the list has answers for is refused. */
    (void)shutdown(s->listener, SHUT_RDWR);
    return NULL;
}

static inline void server_listen(struct server *s)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);

    *s = (struct server){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    server_must(s->listener >= 0, "socket");
    server_must(bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)) == 0, "bind");
    server_must(listen(s->listener, 8) == 0, "listen");
    server_must(getsockname(s->listener, (struct sockaddr *)&addr, &len) == 0, "getsockname");
    s->port = ntohs(addr.sin_port);
    (void)snprintf(s->name, sizeof(s->name), "127.0.0.1:%d", s->port);
}

/* Listens before (so that replies can hold the port), answers from here on. */
static inline void server_start(struct server *s, const struct reply *replies, size_t n)
{
    server_must(n <= SERVER_MAX, "replies");
    if (n)
        memcpy(s->replies, replies, n * sizeof(*replies));
    s->n_replies = n;
    server_must(pthread_create(&s->thread, NULL, server_run, s) == 0, "thread");
}

/* Ends it, also when not all answers were asked for. */
static inline void server_stop(struct server *s)
{
    (void)shutdown(s->listener, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->listener);
}

static inline void server_release(struct server *s)
{
    for (size_t i = 0; i < s->n_requests; i++)
        free(s->requests[i]);
    s->n_requests = 0;
}
