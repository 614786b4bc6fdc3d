/* pods/exec: four streams in one WebSocket, and the Status that ends them. */
#include "kube_exec.h"

#include "json.h"
#include "kube_internal.h"
#include "mem.h"
#include "ws_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROTOCOL_CLOSING "v5.channel.k8s.io" /* Kubernetes 1.29 and later */
#define PROTOCOLS PROTOCOL_CLOSING ", v4.channel.k8s.io"

#define MESSAGE_MAX (1u << 20)
#define INPUT_CHUNK (32u << 10)
#define COMPLAINT_KEPT (16u << 10)
#define STATUS_MAX (64u << 10)
#define URL_MAX (64u << 10)

enum channel {
    CHANNEL_STDIN = 0,
    CHANNEL_STDOUT = 1,
    CHANNEL_STDERR = 2,
    CHANNEL_STATUS = 3,
    CHANNEL_CLOSE = 255, /* v5: the next byte is the channel that ends */
};

struct session {
    const struct kube_exec *x;
    struct ws *ws;
    size_t input_sent;
    bool ends_input; /* an end of standard input is still to be sent */
    struct buf *out;
    struct buf complaint; /* the last of its standard error */
    struct buf status;
};

/* --- asking --- */

static char *exec_url(const struct kube_client *c, const struct kube_exec *x)
{
    struct buf url;

    buf_init(&url, URL_MAX);
    (void)buf_addf(&url, "%s/api/v1/namespaces/", c->server.url);
    http_url_encode(&url, x->namespace);
    (void)buf_addstr(&url, "/pods/");
    http_url_encode(&url, x->pod);
    (void)buf_addstr(&url, "/exec?container=");
    http_url_encode(&url, x->container);
    (void)buf_addf(&url, "&stdin=%s&stdout=true&stderr=true", x->input_len ? "true" : "false");
    for (const char *const *arg = x->argv; *arg; arg++) {
        (void)buf_addstr(&url, "&command=");
        http_url_encode(&url, *arg);
    }
    return buf_steal(&url);
}

static int open_session(struct kube_client *c, struct session *s, struct err **e)
{
    auto_free char *url = exec_url(c, s->x);
    auto_free char *headers =
        xasprintf("%s\r\n%s%s", c->server.host, c->authorization ? c->authorization : "",
                  c->authorization ? "\r\n" : "");
    struct ws_request req = {.http = {.url = url},
                             .headers = headers,
                             .protocols = PROTOCOLS,
                             .max_message = MESSAGE_MAX};
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    int r;

    kube_client_address(c, &req.http);
    r = ws_open(&req, &s->ws, &resp, e);
    if (r == 0)
        s->ends_input = s->x->input_len && !strcmp(ws_protocol(s->ws), PROTOCOL_CLOSING);
    return r > 0 ? kube_refused(c, &resp, e) : r;
}

/* --- streams --- */

/* Queues the next piece of standard input, or its end. A command that has ended gets no more. */
static void feed(struct session *s)
{
    static const unsigned char end[] = {CHANNEL_CLOSE, CHANNEL_STDIN};
    size_t left = s->x->input_len - s->input_sent;
    size_t len = left < INPUT_CHUNK ? left : INPUT_CHUNK;
    char message[1 + INPUT_CHUNK];

    if (ws_is_sending(s->ws) || s->status.len)
        return;
    if (len) {
        message[0] = CHANNEL_STDIN;
        memcpy(message + 1, (const char *)s->x->input + s->input_sent, len);
        s->input_sent += len;
        ws_send(s->ws, message, len + 1);
    } else if (s->ends_input) {
        s->ends_input = false;
        ws_send(s->ws, end, sizeof(end));
    }
}

static int take_message(struct session *s, const struct ws_message *m, struct err **e)
{
    const uint8_t *bytes = m->bytes + 1;
    size_t len = m->len ? m->len - 1 : 0;

    if (!m->len)
        return 0;
    switch (m->bytes[0]) {
    case CHANNEL_STDOUT:
        if (buf_add(s->out, bytes, len) < 0)
            return err_set(e, -EFBIG, "the command writes more than the %zu bytes allowed",
                           s->out->max);
        return 0;
    case CHANNEL_STDERR:
        if (buf_add(&s->complaint, bytes, len) < 0) {
            buf_clear(&s->complaint);
            (void)buf_add(&s->complaint, bytes, len < COMPLAINT_KEPT ? len : COMPLAINT_KEPT);
        }
        return 0;
    case CHANNEL_STATUS:
        return buf_add(&s->status, bytes, len) == 0
                   ? 0
                   : err_set(e, -EPROTO, "the server's status is too long");
    case CHANNEL_CLOSE:
        return 0;
    default:
        return err_set(e, -EPROTO, "the server sent a stream of unknown number %d", m->bytes[0]);
    }
}

/* Until the server closes, which it does after the status. */
static int converse(struct session *s, struct err **e)
{
    struct ws_message m = {.opcode = WS_CONTINUATION};

    while (m.opcode != WS_CLOSE) {
        int r;

        feed(s);
        r = ws_step(s->ws, &m, e);
        if (r > 0 && m.opcode == WS_BINARY)
            r = take_message(s, &m, e);
        /* Not every server takes its leave once it has sent the status. */
        if (r == -EHOSTUNREACH && s->status.len)
            return 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- how it ended --- */

/* May be "". */
static char *last_line(const struct buf *text)
{
    size_t len = text->len, start;

    while (len && (unsigned char)text->data[len - 1] <= ' ')
        len--;
    for (start = len; start && text->data[start - 1] != '\n'; start--)
        ;
    return kube_clean_text(text->data + start, len - start);
}

static const char *exit_code(const cJSON *status)
{
    const cJSON *cause;

    cJSON_ArrayForEach(cause, json_get_arr(json_get_obj(status, "details"), "causes"))
    {
        const char *reason = json_get_str(cause, "reason");

        if (reason && !strcmp(reason, "ExitCode"))
            return json_get_str(cause, "message");
    }
    return NULL;
}

static int judge(struct session *s, struct err **e)
{
    auto_json cJSON *status = NULL;
    auto_free char *line = NULL, *text = NULL;
    const char *verdict, *message, *code;

    if (!s->status.len)
        return err_set(e, -EPROTO, "the server closed the connection before the command ended");
    if (json_parse(s->status.data, s->status.len, &status, NULL) < 0)
        return err_set(e, -EPROTO, "the server's status is no JSON");
    verdict = json_get_str(status, "status");
    if (verdict && !strcmp(verdict, "Success"))
        return 0;
    message = json_get_str(status, "message");
    text = kube_clean_text(message ? message : "", message ? strlen(message) : 0);
    code = exit_code(status);
    if (!code)
        return err_set(e, -EREMOTEIO, "'%s' cannot be run: %s", s->x->argv[0], text);
    /* With 126 it was never started, and docker says why on standard output. */
    line = last_line(!s->complaint.len && !strcmp(code, "126") ? s->out : &s->complaint);
    return err_set(e, -EREMOTEIO, "'%s' ended with status %.3s%s%s", s->x->argv[0], code,
                   *line ? ": " : "", line);
}

int kube_exec(struct kube_client *c, const struct kube_exec *x, struct buf *out, struct err **e)
{
    struct session s = {.x = x, .out = out};
    int r;

    buf_init(&s.complaint, COMPLAINT_KEPT);
    buf_init(&s.status, STATUS_MAX);
    r = open_session(c, &s, e);
    if (r == 0)
        r = converse(&s, e);
    if (r == 0)
        r = judge(&s, e);
    ws_close(s.ws);
    buf_release(&s.complaint);
    buf_release(&s.status);
    return r;
}
