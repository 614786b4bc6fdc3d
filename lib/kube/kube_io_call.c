/* One request: what libcurl is told, and what its answer means. */
#include "json.h"
#include "kube_creds.h"
#include "kube_io_internal.h"
#include "kube_loop.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER_SIZE (32l << 10) /* TLS gives 16 KiB at a time */
#define CONNECT_TIMEOUT_MS 10000
#define MAX_BODY (8u << 20)
#define RETRY_AFTER_MAX_S 3600

/* A peer that does not answer is gone after about half a minute, whether or not bytes are on the
 * way to it. */
#define KEEPALIVE_IDLE_S 15l
#define KEEPALIVE_INTERVAL_S 5l
#define KEEPALIVE_PROBES 3
#define UNACKNOWLEDGED_MS 30000

/* --- sending --- */

static int on_socket(void *arg, curl_socket_t fd, curlsocktype type)
{
    int probes = KEEPALIVE_PROBES;
    unsigned unacknowledged_ms = UNACKNOWLEDGED_MS;

    (void)arg;
    (void)type;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms,
                     sizeof(unacknowledged_ms));
    return CURL_SOCKOPT_OK;
}

static void on_idle(void *arg)
{
    struct kube_call *call = arg;

    call->transfer.idle = true;
    kube_io_ended(call, CURLE_OPERATION_TIMEDOUT);
}

static void watch_silence(struct kube_call *call)
{
    if (!call->idle)
        call->idle = kube_timer_new(call->io->base, on_idle, call);
    kube_timer_set(call->idle, call->request.idle_timeout_ms);
}

static int on_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct kube_call *call = arg;

    if (call->is_cancelled)
        return -ECANCELED;
    if (call->idle)
        watch_silence(call);
    return call->request.sink(call->request.sink_arg, bytes, len, e);
}

const char *kube_content_header(enum kube_content content)
{
    switch (content) {
    case KUBE_MERGE_PATCH:
        return "Content-Type: application/merge-patch+json";
    case KUBE_JSON_PATCH:
        return "Content-Type: application/json-patch+json";
    case KUBE_APPLY:
        return "Content-Type: application/apply-patch+yaml";
    default:
        return "Content-Type: application/json";
    }
}

static void set_headers(struct kube_call *call)
{
    size_t n = 0;

    call->headers[n++] = "Accept: application/json";
    call->headers[n++] = call->io->server.host;
    if (call->body)
        call->headers[n++] = kube_content_header(call->request.content);
    call->headers[n++] = call->io->authorization;
    call->headers[n] = NULL;
}

static void set_request(struct kube_call *call)
{
    const struct kube_io *io = call->io;

    set_headers(call);
    call->url = xasprintf("%s%s", io->server.url, call->path);
    call->http_request = (struct http_request){
        .method = call->request.method,
        .url = call->url,
        .tls = &io->tls,
        .headers = call->headers,
        .no_proxy = io->options.config->no_proxy,
        .proxy = io->options.config->proxy,
        .connect_to = io->server.connect_to,
        .body = call->body,
        .body_len = call->body ? (int64_t)strlen(call->body) : 0,
        .sink = call->request.sink ? on_bytes : NULL,
        .sink_arg = call,
        .max_body = call->request.max_body ? call->request.max_body : MAX_BODY,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
    };
}

/* At least 1: libcurl takes 0 for no limit. */
static long time_left_ms(const struct kube_call *call)
{
    int64_t left = call->until_ms - kube_now_ms();

    return left > 0 ? (long)left : 1;
}

void kube_call_prepare(struct kube_call *call)
{
    CURL *curl = call->http->curl;

    set_request(call);
    call->transfer =
        (struct http_transfer){.req = &call->http_request, .resp = &call->resp, .e = &call->e};
    http_transfer_set(call->http, &call->transfer);
    (void)curl_easy_setopt(curl, CURLOPT_PRIVATE, call);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, call->io->user_agent);
    (void)curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    (void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    (void)curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, on_socket);
    if (call->until_ms)
        (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, time_left_ms(call));
    if (call->request.idle_timeout_ms)
        watch_silence(call);
}

/* --- the answer --- */

static bool is_success(int http_status)
{
    return http_status >= 200 && http_status < 300;
}

/* Out of time after the request went out; before, it is a connection that could not be made. */
static bool is_late(const struct kube_call *call, CURLcode code)
{
    curl_off_t sent_us = 0;

    (void)curl_easy_getinfo(call->http->curl, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
    return code == CURLE_OPERATION_TIMEDOUT && !call->transfer.idle && sent_us > 0;
}

static int judge(struct kube_call *call, CURLcode code)
{
    int r;

    if (is_late(call, code) && call->transfer.failed == 0)
        call->transfer.failed = err_set(&call->e, -ETIMEDOUT, "'%s' did not answer in %d ms",
                                        call->io->options.config->server, call->request.timeout_ms);
    r = http_transfer_end(&call->transfer, code, &call->e);
    if (r < 0 && !call->e)
        return err_set(&call->e, r, "the request was given up");
    return r;
}

/* 0, or a negative errno with call->e: what the answer's body says. */
static int read_body(struct kube_call *call, cJSON **out)
{
    struct buf *body = &call->resp.body;
    int r = 0;

    if (body->len) {
        kube_mend_nul(body->data, body->len);
        r = json_parse(body->data, body->len, out, &call->e);
    }
    if (!is_success(call->resp.status)) {
        return kube_status_refused(call->io->options.config->server, call->resp.status, *out, body,
                                   &call->e);
    }
    return r < 0 ? err_set(&call->e, -EPROTO, "'%s' answered something that is no JSON",
                           call->io->options.config->server)
                 : 0;
}

static int64_t retry_after_ms(const struct http_response *resp)
{
    auto_free char *text = http_header(resp, "Retry-After");
    uint64_t seconds = 0;

    if (!text || num_parse_u64(text, UINT32_MAX, &seconds) < 0)
        return -1;
    return 1000 * (int64_t)(seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S);
}

/* What belongs to one attempt; the handle may serve another call. */
static void take_back(struct kube_call *call)
{
    struct kube_io *io = call->io;

    kube_timer_free(call->idle);
    call->idle = NULL;
    if (call->http) {
        if (io->n_idle < io->options.max_requests)
            io->idle[io->n_idle++] = call->http;
        else
            http_free(call->http);
    }
    call->http = NULL;
    http_response_release(&call->resp);
    err_free(call->e);
    call->e = NULL;
    free(call->url);
    call->url = NULL;
}

void kube_call_free(struct kube_call *call)
{
    take_back(call);
    free(call->path);
    free(call->body);
    free(call);
}

/* A token may have run out since its file was read. */
static bool may_retry(struct kube_call *call)
{
    if (call->resp.status != 401 || call->has_retried || !call->io->options.config->token.file)
        return false;
    call->has_retried = true;
    kube_io_refresh(call->io);
    return true;
}

static void answer(struct kube_call *call, int status, const cJSON *body)
{
    const char *reason = status < 0 ? json_get_str(body, "reason") : NULL;
    struct kube_reply reply = {.status = status,
                               .http_status = call->resp.status,
                               .body = body,
                               .reason = reason ? reason : "",
                               .retry_after_ms = retry_after_ms(&call->resp),
                               .err = call->e};

    call->on_done(call->arg, &reply);
}

static void count(const struct kube_call *call)
{
    const struct kube_io_options *o = &call->io->options;

    if (o->counted)
        o->counted(o->arg, call->request.method, call->resp.status);
}

bool kube_call_finish(struct kube_call *call, CURLcode code)
{
    auto_json cJSON *body = NULL;
    int r = judge(call, code);

    if (!call->is_cancelled) {
        count(call);
        if (r == 0 && may_retry(call)) {
            take_back(call);
            return true;
        }
        if (r == 0)
            r = read_body(call, &body);
    }
    if (!call->is_cancelled)
        answer(call, r, body);
    kube_call_free(call);
    return false;
}

void kube_call_fail(struct kube_call *call, int status, const char *text)
{
    (void)err_set(&call->e, status, "'%s' was not asked: %s", call->io->options.config->server,
                  text);
    answer(call, status, NULL);
    kube_call_free(call);
}
