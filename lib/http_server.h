#pragma once
/*
 * HTTP on the caller's event loop, for health, metrics and the webhook: evhttp, with TLS by OpenSSL
 * where it is asked for. Bounded in headers, body and time; answers whole requests only.
 */
#include "buf.h"
#include "err.h"

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_SERVER_MAX_BODY (1 << 20) /* the default */
#define HTTP_SERVER_MAX_HEADERS (16 << 10)
#define HTTP_SERVER_MAX_ANSWER (64 << 20)
#define HTTP_SERVER_TIMEOUT_S 30

struct http_server;

struct http_server_options {
    struct event_base *base;
    /* "ADDRESS:PORT", IPv6 in brackets; without an address all of the host; port 0 takes any. */
    const char *listen;
    size_t max_body;      /* 0: HTTP_SERVER_MAX_BODY; what is larger gets 413 */
    int timeout_s;        /* without a byte, also between requests; 0: HTTP_SERVER_TIMEOUT_S */
    const char *cert_pem; /* the leaf first, then its chain; NULL: plain HTTP */
    const char *key_pem;
};

/* What a handler fills. */
struct http_reply {
    int status;               /* 200 at first */
    const char *content_type; /* text/plain at first */
    struct buf body;
};

/* Answers one request; the body is empty for GET, and is borrowed. */
typedef void (*http_handler)(void *arg, const void *body, size_t len, struct http_reply *reply);

/* -EINVAL: `listen` is no such address, or http_server_set_certificate refuses the pair. Another
 * errno: it cannot be bound. */
int http_server_new(const struct http_server_options *options, struct http_server **out_server,
                    struct err **e);
/* Closes all connections. NULL is fine. */
void http_server_free(struct http_server *s);

enum http_verb { HTTP_GET, HTTP_POST }; /* GET answers HEAD too */

/*
 * `path` (borrowed) is compared with that of the request as it is, without the query. Other paths
 * get 404, other methods 405.
 */
void http_server_route(struct http_server *s, enum http_verb verb, const char *path,
                       http_handler handler, void *arg);

/* A handler for /healthz: whoever can answer this is well. */
void http_server_ok(void *arg, const void *body, size_t len, struct http_reply *reply);

/* Where it listens, which matters after port 0. */
uint16_t http_server_port(const struct http_server *s);

/* For the new connections of a server with TLS; those that are open keep theirs. -EINVAL: not PEM,
 * or the key does not belong to the certificate; the one before then stays. */
int http_server_set_certificate(struct http_server *s, const char *cert_pem, const char *key_pem,
                                struct err **e);
