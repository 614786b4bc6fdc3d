/* One HTTP request over a libcurl easy handle: options, callbacks, verdict. */
#include "http.h"

#include "http_internal.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEADERS_MAX (256u << 10)
#define BODY_MAX_DEFAULT (64u << 10)
#define IDLE_TIMEOUT_MS 60000
#define BUFFER_SIZE (256l << 10)

void http_global_init(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)sigaction(SIGPIPE, &ignore, NULL);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
    http_find_system_ca();
}

void http_global_init_short(void)
{
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
                                  OPENSSL_INIT_NO_ADD_ALL_DIGESTS,
                              NULL);
    /* Those of certificates' signatures are looked up by their old names. */
    (void)EVP_add_digest(EVP_sha1());
    (void)EVP_add_digest(EVP_sha224());
    (void)EVP_add_digest(EVP_sha256());
    (void)EVP_add_digest(EVP_sha384());
    (void)EVP_add_digest(EVP_sha512());
    http_global_init();
}

struct http *http_new(void)
{
    struct http *h = xcalloc(1, sizeof(*h));

    h->curl = curl_easy_init();
    if (!h->curl)
        abort();
    return h;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    curl_easy_cleanup(h->curl);
    free(h);
}

static int64_t now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- what libcurl calls --- */

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    struct buf *headers = &t->resp->headers;
    size_t len = size * count;

    /* A status line starts the headers over: what came before was a 1xx. */
    if (len >= 5 && !memcmp(line, "HTTP/", 5)) {
        buf_clear(headers);
        t->headers_done = false;
    }
    if (t->headers_done) /* a trailer */
        return len;
    if (buf_add(headers, line, len) < 0) {
        t->failed =
            err_set(t->e, -EFBIG, "the headers of the answer are above %u KiB", HEADERS_MAX >> 10);
        return CURL_WRITEFUNC_ERROR;
    }
    t->headers_done = len <= 2;
    return len;
}

static void begin_body(struct http_transfer *t)
{
    long status = 0;

    t->body_begun = true;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    t->resp->status = (int)status;
    t->to_sink = t->req->sink && (status == 200 || status == 206);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    size_t len = size * count;

    if (!t->body_begun)
        begin_body(t);
    if (t->to_sink) {
        t->failed = t->req->sink(t->req->sink_arg, bytes, len, t->e);
        t->resp->sunk += t->failed < 0 ? 0 : (int64_t)len;
    } else if (buf_add(&t->resp->body, bytes, len) < 0) {
        t->failed = err_set(t->e, -EFBIG, "the answer is larger than the %zu bytes allowed",
                            t->resp->body.max);
    }
    return t->failed < 0 ? CURL_WRITEFUNC_ERROR : len;
}

static size_t on_source(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    int64_t left = t->req->body_len < 0 ? INT64_MAX : t->req->body_len - t->sent;
    size_t room = size * count;
    ssize_t n;

    if (left == 0)
        return 0;
    if ((int64_t)room > left)
        room = (size_t)left;
    n = t->req->source(t->req->source_arg, bytes, room, t->e);
    if (n == 0 && t->req->body_len >= 0)
        n = err_set(t->e, -EIO, "the data to send ended %lld bytes early", (long long)left);
    if (n < 0) {
        t->failed = (int)n;
        return CURL_READFUNC_ABORT;
    }
    t->sent += n;
    return (size_t)n;
}

/* Ends a transfer in which nothing moves. Connecting has its own limit. */
static int on_progress(void *arg, curl_off_t total_down, curl_off_t down, curl_off_t total_up,
                       curl_off_t up)
{
    struct http_transfer *t = arg;
    int64_t limit = t->req->idle_timeout_ms ? t->req->idle_timeout_ms : IDLE_TIMEOUT_MS;
    int64_t now = now_ms();
    curl_off_t connected_us = 0;

    (void)total_down;
    (void)total_up;
    (void)curl_easy_getinfo(t->curl, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    if (!connected_us || down + up != t->moved) {
        t->moved = down + up;
        t->moved_at_ms = now;
    }
    t->idle = now - t->moved_at_ms >= limit;
    if (t->req->is_cancelled && t->req->is_cancelled())
        t->failed = err_set(t->e, -ECANCELED, "interrupted");
    return t->idle || t->failed < 0;
}

/* --- options --- */

static bool has_header(const struct http_request *req, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; req->headers && req->headers[i]; i++)
        if (!strncasecmp(req->headers[i], name, len) && req->headers[i][len] == ':')
            return true;
    return false;
}

static struct curl_slist *append(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);

    if (!longer)
        abort();
    return longer;
}

/* A name without value removes what libcurl would send by itself. */
static struct curl_slist *header_list(const struct http_request *req)
{
    struct curl_slist *list = append(NULL, "Expect:");

    list = append(list, "Accept-Encoding:");
    if (!has_header(req, "Content-Type"))
        list = append(list, "Content-Type:");
    for (size_t i = 0; req->headers && req->headers[i]; i++)
        list = append(list, req->headers[i]);
    return list;
}

static void set_method(struct http_transfer *t)
{
    const struct http_request *req = t->req;
    const char *method = req->method ? req->method : "GET";
    bool may_have_body =
        !strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH");

    if (!strcmp(method, "HEAD")) {
        (void)curl_easy_setopt(t->curl, CURLOPT_NOBODY, 1L);
        return;
    }
    if (req->source) {
        (void)curl_easy_setopt(t->curl, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(t->curl, CURLOPT_READFUNCTION, on_source);
        (void)curl_easy_setopt(t->curl, CURLOPT_READDATA, t);
        (void)curl_easy_setopt(t->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body_len);
        (void)curl_easy_setopt(t->curl, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_SIZE);
    } else if (req->body || may_have_body) {
        (void)curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, req->body ? req->body : "");
        (void)curl_easy_setopt(t->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)(req->body ? req->body_len : 0));
    }
    (void)curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, method);
}

static void set_callbacks(struct http_transfer *t)
{
    (void)curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(t->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(t->curl, CURLOPT_XFERINFODATA, t);
    (void)curl_easy_setopt(t->curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(t->curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static void set_options(struct http_transfer *t)
{
    (void)curl_easy_setopt(t->curl, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(t->curl, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
    (void)curl_easy_setopt(t->curl, CURLOPT_USERAGENT, HTTP_USER_AGENT);
    /* This switches decoding on; the header that it would send is taken out by header_list. */
    (void)curl_easy_setopt(t->curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    set_method(t);
    set_callbacks(t);
}

static void response_start(struct http_response *resp, const struct http_request *req)
{
    http_response_release(resp);
    buf_init(&resp->headers, HEADERS_MAX);
    buf_init(&resp->body, req->max_body ? req->max_body : BODY_MAX_DEFAULT);
}

void http_transfer_set(struct http *h, struct http_transfer *t)
{
    t->curl = h->curl;
    t->curl_text = h->text;
    t->moved_at_ms = now_ms();
    response_start(t->resp, t->req);
    t->headers = header_list(t->req);
    t->connection = http_set_connection(h, t->req);
    (void)curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
    set_options(t);
}

int http_transfer_end(struct http_transfer *t, CURLcode code, struct err **e)
{
    const struct http_request *req = t->req;
    long status = 0;

    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->connection);
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    t->resp->status = (int)status;
    log_debug("http method=%s url=%.*s status=%ld result=%d", req->method ? req->method : "GET",
              (int)strcspn(req->url, "?"), req->url, status, (int)code);
    if (t->failed < 0)
        return t->failed;
    return code == CURLE_OK ? 0 : http_transfer_error(t, code, e);
}

int http_do(struct http *h, const struct http_request *req, struct http_response *out_resp,
            struct err **e)
{
    struct http_transfer t = {.req = req, .resp = out_resp, .e = e};

    http_transfer_set(h, &t);
    return http_transfer_end(&t, curl_easy_perform(h->curl), e);
}

void http_response_release(struct http_response *resp)
{
    buf_release(&resp->headers);
    buf_release(&resp->body);
    *resp = (struct http_response)HTTP_RESPONSE_INIT;
}
