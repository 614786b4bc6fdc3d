#pragma once
/* A WebSocket connection of a client (RFC 6455) over lib/http's connections. */
#include "err.h"
#include "http.h"
#include "ws_frame.h"

#include <stdbool.h>

struct ws; /* one connection */

struct ws_request {
    struct http_request http; /* where to connect; "https://..." */
    const char *headers;      /* "Name: value\r\n" lines, Host first */
    const char *protocols;    /* "v5.channel.k8s.io, v4.channel.k8s.io" */
    size_t max_message;       /* bytes */
    int idle_timeout_ms;      /* without a byte; 0: 60 s */
};

/*
 * Asks for the upgrade. 0: *out is the connection, to be closed. 1: the server gave another answer,
 * whose status and (where it says its length, up to 64 KiB) body are in *out_resp. Errors are those
 * of http_connect; -EPROTO: the answer breaks the protocol, or chooses none of ours.
 */
int ws_open(const struct ws_request *req, struct ws **out, struct http_response *out_resp,
            struct err **e);
void ws_close(struct ws *w); /* without ceremony; NULL is fine */

/* Which of the protocols the server chose. */
const char *ws_protocol(const struct ws *w);

/* Queues one binary message; only while nothing is queued. */
void ws_send(struct ws *w, const void *bytes, size_t len);
bool ws_is_sending(const struct ws *w);

/*
 * Goes on until a message came (1, *out is valid until the next call) or all that was queued is
 * sent (0). Pings are answered on the way, pongs dropped. WS_CLOSE is the last message.
 * -EHOSTUNREACH: the connection broke, fell silent, or ended without WS_CLOSE.
 */
int ws_step(struct ws *w, struct ws_message *out, struct err **e);
