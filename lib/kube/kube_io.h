#pragma once
/*
 * Requests to the API server from an event loop: many at a time, none of which blocks. Everything
 * belongs to the thread of the loop.
 *
 * HTTP/1.1 with connections that are kept. At most `max_requests` requests are under way, the
 * others wait their turn; streams and urgent requests come on top. Nothing is repeated here, except
 * once after a 401 that may be due to a token file that has changed. No callback runs inside a
 * function of this header: all come from the loop. They may call any function of this header but
 * kube_io_free.
 */
#include "err.h"
#include "kube_config.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct http_session;
struct kube_io;
struct kube_call;

struct kube_io_options {
    /* Where and as whom. Borrowed until kube_io_free; the bytes of parts that have files are
     * replaced when the files change. */
    struct kube_config *config;
    const char *user_agent; /* "network-controller/0.1.0" */
    unsigned max_requests;  /* at one time; 0: 16 */
    /* For the first connection, of the identity of `config`; borrowed until kube_io_free; dropped
     * when the files change. Or NULL. */
    struct http_session *session;
    int reload_ms; /* how often the files of `config` are read again; 0: 60 s */
    /* Each answer, for metrics; `http_status` 0: there was none. Or NULL. */
    void (*counted)(void *arg, const char *method, int http_status);
    void *arg;
};

/* -EINVAL: the server or token of the configuration cannot be used. Nothing is sent yet. */
int kube_io_new(struct event_base *base, const struct kube_io_options *options,
                struct kube_io **out, struct err **e);
/* Ends all requests without calling back. NULL is fine. Not from a callback. */
void kube_io_free(struct kube_io *io);
struct event_base *kube_io_base(const struct kube_io *io);
/* Requests that wait or are under way, without streams. */
size_t kube_io_pending(const struct kube_io *io);

enum kube_content {
    KUBE_JSON,        /* application/json */
    KUBE_MERGE_PATCH, /* application/merge-patch+json: the patch that custom resources take, too */
    KUBE_JSON_PATCH,  /* application/json-patch+json */
    KUBE_APPLY, /* application/apply-patch+yaml, server-side apply; the query has fieldManager */
};

/* Takes bytes of a streamed body. A negative errno (with *e filled) ends the request with it. */
typedef int (*kube_sink)(void *arg, const void *bytes, size_t len, struct err **e);

struct kube_request {
    const char *method; /* a literal; NULL: GET */
    const char *path;   /* percent-encoded, with the query: "/api/v1/pods?limit=500" */
    const cJSON *body;  /* printed inside kube_io_send; or */
    const char *text;   /* the same as JSON text; both NULL: no body */
    enum kube_content content;
    int timeout_ms; /* from kube_io_send to the end of the answer; 0: 30 s; for a stream: none */
    /* A stream without a byte for so long is dead; 0: only TCP keepalive watches over it. It must
     * be more than the time between two bookmarks, which is a minute. */
    int idle_timeout_ms;
    kube_sink sink; /* gets the body of a 200 answer: a watch, or a list read as it comes */
    void *sink_arg;
    bool is_urgent;  /* does not wait behind others: leadership */
    size_t max_body; /* bytes of an answer that is not streamed; 0: 8 MiB */
};

/*
 * What became of a request. `status` is 0 for an answer 2xx that was read to its end, or
 *   -ENOENT        404                        -EKEYREJECTED  401, 403
 *   -EEXIST        409 AlreadyExists          -EAGAIN        409 otherwise: somebody was faster
 *   -ESTALE        410, the version is gone   -EBUSY         429, 503: see retry_after_ms
 *   -ENOTSUP       415: no such kind of patch there
 *   -EREMOTEIO     any other refusal          -EPROTO        no HTTP, or no JSON
 *   -ETIMEDOUT     no answer in timeout_ms, or 504: it may have been done all the same
 *   -EHOSTUNREACH  not connected, or broken on the way (then it may have been done, too)
 *   -EFBIG         an answer above the limit  or what the sink returned.
 */
struct kube_reply {
    int status;
    int http_status;        /* 0: no answer came */
    const cJSON *body;      /* of any answer that is JSON and not streamed; NULL otherwise */
    const char *reason;     /* of a refusal, from its Status object: "AlreadyExists"; else "" */
    int64_t retry_after_ms; /* what the server asked for, at most 1 h; -1: nothing */
    const struct err *err;  /* NULL when status is 0 */
};

/* Everything in *reply is valid until this returns. The call is gone then. */
typedef void (*kube_done)(void *arg, const struct kube_reply *reply);

/* Sends a request; all of *request is copied. Never fails: what goes wrong comes to on_done, always
 * and once, unless it is cancelled. The handle is valid until then. */
struct kube_call *kube_io_send(struct kube_io *io, const struct kube_request *request,
                               kube_done on_done, void *arg);
/* The request ends and nothing is called any more, also from its own sink. NULL is fine. A write
 * that was under way may have been done. */
void kube_call_cancel(struct kube_call *call);
