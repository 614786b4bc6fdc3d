/* The upgrade, and messages in both directions over one connection that never blocks for long. */
#include "ws_conn.h"

#include "mem.h"
#include "num.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX (64u << 10)
#define BODY_MAX (64u << 10)
#define IDLE_TIMEOUT_MS 60000
#define SEND_MAX (1u << 20)

struct ws {
    struct http *http;
    char *peer; /* for messages */
    char *protocol;
    int idle_timeout_ms;
    struct ws_reader reader;
    struct buf out; /* being sent, from `sent` on; left alone until all of it is */
    size_t sent;
    struct buf pong; /* goes next, where has_pong */
    bool has_pong;
};

/* --- bytes --- */

bool ws_is_sending(const struct ws *w)
{
    return w->sent < w->out.len;
}

static void queue(struct ws *w, enum ws_opcode opcode, const void *bytes, size_t len)
{
    uint8_t mask[4];

    if (RAND_bytes(mask, sizeof(mask)) != 1)
        abort();
    buf_clear(&w->out);
    w->sent = 0;
    ws_frame_write(&w->out, opcode, mask, bytes, len);
}

/* 1 when bytes moved, 0 when none can now. */
static int push(struct ws *w, struct err **e)
{
    ssize_t n;

    if (w->sent == w->out.len)
        return 0;
    n = http_send(w->http, w->out.data + w->sent, w->out.len - w->sent, e);
    if (n == -EAGAIN)
        return 0;
    if (n < 0)
        return (int)n;
    w->sent += (size_t)n;
    return 1;
}

static int pull(struct ws *w, struct err **e)
{
    char bytes[WS_FEED_MAX];
    ssize_t n = http_receive(w->http, bytes, sizeof(bytes), e);

    if (n == -EAGAIN)
        return 0;
    if (n == 0)
        return err_set(e, -EHOSTUNREACH, "'%s' closed the connection early", w->peer);
    if (n < 0)
        return (int)n;
    ws_reader_feed(&w->reader, bytes, (size_t)n);
    return 1;
}

static int wait_for(struct ws *w, struct err **e)
{
    int r = http_wait(w->http, w->sent < w->out.len, w->idle_timeout_ms, e);

    return r ? r : err_set(e, -EHOSTUNREACH, "connection to '%s' fell silent", w->peer);
}

/* --- the upgrade --- */

/* Sends what is in w->out, all of it. */
static int push_all(struct ws *w, struct err **e)
{
    int r = 0;

    while (r >= 0 && ws_is_sending(w)) {
        r = push(w, e);
        if (r == 0)
            r = wait_for(w, e);
    }
    return r < 0 ? r : 0;
}

/* Adds to `in` what comes; 1 or an error. */
static int read_more(struct ws *w, struct buf *in, struct err **e)
{
    char bytes[4096];
    ssize_t n;

    while ((n = http_receive(w->http, bytes, sizeof(bytes), e)) == -EAGAIN) {
        int r = wait_for(w, e);

        if (r < 0)
            return r;
    }
    if (n == 0)
        return err_set(e, -EHOSTUNREACH, "'%s' closed the connection without an answer", w->peer);
    if (n < 0)
        return (int)n;
    return buf_add(in, bytes, (size_t)n) == 0
               ? 1
               : err_set(e, -EPROTO, "'%s' answered an upgrade with too much", w->peer);
}

/* Reads status and headers into *resp and leaves in `in` what follows them. */
static int read_head(struct ws *w, struct buf *in, struct http_response *resp, struct err **e)
{
    uint64_t status = 0;
    char *end, digits[4];
    size_t len;

    while (!(end = strstr(in->data, "\r\n\r\n"))) {
        int r = strlen(in->data) < in->len ? -EPROTO : read_more(w, in, e);

        if (r == -EPROTO)
            return err_set(e, -EPROTO, "'%s' answered something that is no HTTP", w->peer);
        if (r < 0)
            return r;
    }
    len = (size_t)(end - in->data) + 4;
    (void)snprintf(digits, sizeof(digits), "%.3s", len > 12 ? in->data + 9 : "");
    if (strncmp(in->data, "HTTP/1.1 ", 9) != 0 || num_parse_u64(digits, 599, &status) < 0 ||
        status < 100)
        return err_set(e, -EPROTO, "'%s' answered something that is no HTTP", w->peer);
    if (buf_add(&resp->headers, in->data, len) < 0)
        return err_set(e, -EPROTO, "'%s' answered an upgrade with too much", w->peer);
    resp->status = (int)status;
    memmove(in->data, in->data + len, in->len - len + 1);
    in->len -= len;
    return 0;
}

/* The body of a refusal, where its length is known and small. */
static int read_body(struct ws *w, struct buf *in, struct http_response *resp, struct err **e)
{
    auto_free char *text = http_header(resp, "Content-Length");
    uint64_t len = 0;

    if (!text || num_parse_u64(text, BODY_MAX, &len) < 0)
        return 0;
    while (in->len < len) {
        int r = read_more(w, in, e);

        if (r < 0)
            return r;
    }
    return buf_add(&resp->body, in->data, (size_t)len);
}

static bool is_offered(const char *protocols, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = protocols; *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (len && strcspn(p, ", ") == len && !strncmp(p, name, len))
            return true;
    return false;
}

static int check_upgrade(struct ws *w, const char *key, const char *protocols,
                         const struct http_response *resp, struct err **e)
{
    auto_free char *upgrade = http_header(resp, "Upgrade");
    auto_free char *accept = http_header(resp, "Sec-WebSocket-Accept");
    auto_free char *protocol = http_header(resp, "Sec-WebSocket-Protocol");
    char expected[WS_ACCEPT_SIZE];

    ws_accept(key, expected);
    if (!upgrade || strcasecmp(upgrade, "websocket") != 0 || !accept ||
        strcmp(accept, expected) != 0)
        return err_set(e, -EPROTO, "'%s' agreed to an upgrade that nobody asked for", w->peer);
    if (!protocol || !is_offered(protocols, protocol))
        return err_set(e, -EPROTO, "'%s' chose none of the protocols %s", w->peer, protocols);
    w->protocol = take(protocol);
    return 0;
}

/* GET with the headers of section 4.1. */
static int ask(struct ws *w, const struct ws_request *req, const char *key, struct err **e)
{
    const char *authority = strstr(req->http.url, "://");
    const char *path = authority ? strchr(authority + 3, '/') : NULL;

    (void)buf_addf(&w->out,
                   "GET %s HTTP/1.1\r\n%sUser-Agent: " HTTP_USER_AGENT "\r\n"
                   "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
                   path ? path : "/", req->headers, key, req->protocols);
    return push_all(w, e);
}

static int upgrade(struct ws *w, const struct ws_request *req, struct http_response *resp,
                   struct err **e)
{
    unsigned char random[16];
    char key[WS_KEY_SIZE];
    auto_buf struct buf in;
    int r;

    buf_init(&in, HEAD_MAX + BODY_MAX);
    if (RAND_bytes(random, sizeof(random)) != 1)
        abort();
    (void)EVP_EncodeBlock((unsigned char *)key, random, sizeof(random));
    r = ask(w, req, key, e);
    if (r == 0)
        r = read_head(w, &in, resp, e);
    if (r < 0)
        return r;
    if (resp->status != 101) {
        r = read_body(w, &in, resp, e);
        return r < 0 ? r : 1;
    }
    ws_reader_feed(&w->reader, in.data, in.len); /* less than read_more takes at once */
    return check_upgrade(w, key, req->protocols, resp, e);
}

int ws_open(const struct ws_request *req, struct ws **out, struct http_response *out_resp,
            struct err **e)
{
    struct ws *w = xcalloc(1, sizeof(*w));
    int r;

    w->http = http_new();
    w->peer = req->http.connect_to ? xstrdup(req->http.connect_to) : http_origin(req->http.url);
    w->idle_timeout_ms = req->idle_timeout_ms ? req->idle_timeout_ms : IDLE_TIMEOUT_MS;
    ws_reader_init(&w->reader, req->max_message);
    buf_init(&w->out, SEND_MAX);
    buf_init(&w->pong, WS_CONTROL_MAX);
    http_response_release(out_resp);
    buf_init(&out_resp->headers, HEAD_MAX);
    buf_init(&out_resp->body, BODY_MAX);
    r = http_connect(w->http, &req->http, e);
    if (r == 0)
        r = upgrade(w, req, out_resp, e);
    if (r == 0)
        *out = w;
    else
        ws_close(w);
    return r;
}

void ws_close(struct ws *w)
{
    if (!w)
        return;
    http_free(w->http);
    ws_reader_release(&w->reader);
    buf_release(&w->out);
    buf_release(&w->pong);
    free(w->peer);
    free(w->protocol);
    free(w);
}

/* --- messages --- */

const char *ws_protocol(const struct ws *w)
{
    return w->protocol;
}

void ws_send(struct ws *w, const void *bytes, size_t len)
{
    queue(w, WS_BINARY, bytes, len);
}

/* The next message for the caller. Of several pings the last is answered, as section 5.5.3 allows.
 */
static int next_message(struct ws *w, struct ws_message *out, struct err **e)
{
    int r;

    while ((r = ws_reader_next(&w->reader, out, e)) > 0) {
        if (out->opcode == WS_PING) {
            buf_clear(&w->pong);
            (void)buf_add(&w->pong, out->bytes, out->len);
            w->has_pong = true;
        } else if (out->opcode != WS_PONG) {
            return 1;
        }
    }
    return r;
}

int ws_step(struct ws *w, struct ws_message *out, struct err **e)
{
    for (;;) {
        int sent, received, r = next_message(w, out, e);

        if (r != 0)
            return r;
        if (w->has_pong && !ws_is_sending(w)) {
            w->has_pong = false;
            queue(w, WS_PONG, w->pong.data, w->pong.len);
        }
        sent = push(w, e);
        if (sent < 0)
            return sent;
        if (sent && !ws_is_sending(w))
            return 0;
        received = pull(w, e);
        if (received == 0 && sent == 0)
            received = wait_for(w, e);
        if (received < 0)
            return received;
    }
}
