#pragma once
/* Shared by the files of kube_io*.c only. */
#include "http_internal.h"
#include "kube_internal.h"
#include "kube_io.h"

#include <stdbool.h>
#include <stdint.h>

struct event;

enum call_state {
    CALL_WAITING,
    CALL_RUNNING, /* libcurl has it */
    CALL_ENDED,
};

struct kube_call {
    struct kube_io *io;
    struct kube_call *prev, *next; /* in the list of its state */
    enum call_state state;
    struct kube_request request; /* `path`, `body` and `text` are NULL */
    char *path, *body;
    kube_done on_done;
    void *arg;
    int64_t until_ms; /* 0: for ever */
    bool is_cancelled, has_retried;

    /* While it runs. */
    struct http *http;
    struct http_request http_request;
    struct http_response resp;
    struct http_transfer transfer;
    const char *headers[6];
    char *url;
    struct err *e;
    struct event *idle; /* of a stream with idle_timeout_ms */
};

struct kube_io {
    struct event_base *base;
    struct kube_io_options options;
    char *user_agent;
    struct kube_server server;
    struct http_tls tls;
    char *authorization; /* a header, or NULL */
    CURLM *multi;
    struct event *timer;  /* when libcurl wants to be called */
    struct event *pump;   /* something can be begun or cleared away */
    struct event *reload; /* of the credentials */
    struct kube_call *waiting, *express, *running;
    struct http **idle; /* handles for the next requests */
    unsigned n_running; /* of those that max_requests counts */
    unsigned n_idle;
    size_t n_pending;
};

/* libcurl on the loop. */
void kube_multi_init(struct kube_io *io);
void kube_multi_release(struct kube_io *io);

/* One call: its options, so that libcurl can have it; then its answer to whoever asked. The second
 * takes everything back and frees the call, or leaves it waiting once more (returns true). */
void kube_call_prepare(struct kube_call *call);
bool kube_call_finish(struct kube_call *call, CURLcode code);
/* What kept it from being sent. */
void kube_call_fail(struct kube_call *call, int status, const char *text);
void kube_call_free(struct kube_call *call);

/* libcurl is through with it. */
void kube_io_ended(struct kube_call *call, CURLcode code);
/* The header with the token of the configuration. */
void kube_io_authorize(struct kube_io *io);
/* Takes what has changed in the files of the configuration. */
void kube_io_refresh(struct kube_io *io);
