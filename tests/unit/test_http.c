/* HTTP requests against a server whose every byte is prepared. */
#include "http.h"
#include "mem.h"
#include "scripted_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static bool yes(void)
{
    return true;
}

/* What a request came to. */
struct outcome {
    int result;
    struct err *e;
    struct http_response resp;
    struct server server;
};

static void outcome_release(struct outcome *o)
{
    err_free(o->e);
    http_response_release(&o->resp);
    server_release(&o->server);
}
#define auto_outcome __attribute__((cleanup(outcome_release)))

/* One request (its URL is filled in where it has none) to a server with one answer. */
static void request_with(struct outcome *o, const struct reply *reply, struct http_request *req)
{
    struct http *h = http_new();
    auto_free char *url = NULL;

    server_listen(&o->server);
    url = xasprintf("http://%s/some/path?secret=1", o->server.name);
    if (!req->url)
        req->url = url;
    server_start(&o->server, reply, 1);
    o->result = http_do(h, req, &o->resp, &o->e);
    req->url = NULL;
    http_free(h);
    server_stop(&o->server);
}

static void request(struct outcome *o, const char *text, enum reply_end end)
{
    struct reply reply = {.text = text, .end = end};
    struct http_request req = {.idle_timeout_ms = 300};

    request_with(o, &reply, &req);
}

static void keeps_body_and_headers(void **state)
{
    auto_outcome struct outcome o = {0};
    auto_free char *type = NULL, *second = NULL;

    (void)state;
    request(
        &o,
        "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-A:  one \r\ncontent-TYPE: text/plain\r\n"
        "x-a: two\r\n\r\ngone",
        REPLY_KEEP);
    assert_int_equal(o.result, 0);
    assert_int_equal(o.resp.status, 404);
    assert_string_equal(o.resp.body.data, "gone");
    type = http_header(&o.resp, "Content-Type");
    assert_string_equal(type, "text/plain");
    second = http_header_nth(&o.resp, "x-a", 1);
    assert_string_equal(second, "two");
    assert_null(http_header_nth(&o.resp, "x-a", 2));
    assert_null(http_header(&o.resp, "X"));
}

static void sends_only_what_it_must(void **state)
{
    static const char *const unwanted[] = {"Accept-Encoding", "Expect", "Authorization",
                                           "Content-Type", "Cookie"};
    auto_outcome struct outcome o = {0};

    (void)state;
    request(&o, HELLO, REPLY_KEEP);
    assert_int_equal(o.result, 0);
    assert_non_null(strstr(o.server.requests[0], "GET /some/path?secret=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(o.server.requests[0], "User-Agent: flatnet/"));
    for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
        assert_null(strcasestr(o.server.requests[0], unwanted[i]));
}

static void only_the_last_answer_counts(void **state)
{
    auto_outcome struct outcome o = {0};
    auto_free char *late = NULL;

    (void)state;
    request(
        &o,
        "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
        "Transfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n5\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n",
        REPLY_KEEP);
    assert_int_equal(o.result, 0);
    assert_int_equal(o.resp.status, 200);
    assert_string_equal(o.resp.body.data, "hello");
    assert_null(http_header(&o.resp, "X-Early"));
    late = http_header(&o.resp, "X-Late");
    assert_null(late);
}

static void follows_no_redirect(void **state)
{
    auto_outcome struct outcome o = {0};

    (void)state;
    request(&o, "HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n", REPLY_KEEP);
    assert_int_equal(o.result, 0);
    assert_int_equal(o.resp.status, 302);
    assert_int_equal(o.server.n_requests, 1);
}

static void bounds_what_it_keeps(void **state)
{
    auto_outcome struct outcome body = {0};
    auto_outcome struct outcome headers = {0};
    struct http_request req = {.max_body = 4};
    struct reply reply = {.text = HELLO, .end = REPLY_KEEP};
    auto_free char *text = xcalloc(400000, 1);
    size_t len = (size_t)snprintf(text, 100, "HTTP/1.1 200 OK\r\n");

    (void)state;
    request_with(&body, &reply, &req);
    assert_int_equal(body.result, -EFBIG);
    for (int i = 0; i < 300; i++)
        len += (size_t)snprintf(text + len, 1100, "X-Long: %01000d\r\n", i);
    (void)snprintf(text + len, 100, "Content-Length: 0\r\n\r\n");
    request(&headers, text, REPLY_KEEP);
    assert_int_equal(headers.result, -EFBIG);
    assert_non_null(strstr(err_text(headers.e), "headers"));
}

static void sees_broken_bodies(void **state)
{
    auto_outcome struct outcome o = {0};
    auto_outcome struct outcome chunked = {0};

    (void)state;
    request(&o, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", REPLY_CLOSE);
    assert_int_equal(o.result, -EHOSTUNREACH);
    assert_int_equal(o.resp.fault, HTTP_BROKEN);
    assert_int_equal(o.resp.status, 200);
    assert_string_equal(o.resp.body.data, "hello");
    request(&chunked, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            REPLY_CLOSE);
    assert_int_equal(chunked.result, -EHOSTUNREACH);
}

static void gives_up_on_silence(void **state)
{
    auto_outcome struct outcome before = {0};
    auto_outcome struct outcome inside = {0};

    (void)state;
    request(&before, "", REPLY_STALL);
    assert_int_equal(before.result, -EHOSTUNREACH);
    assert_int_equal(before.resp.fault, HTTP_BROKEN);
    assert_non_null(strstr(err_text(before.e), "silent"));
    request(&inside, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", REPLY_STALL);
    assert_int_equal(inside.result, -EHOSTUNREACH);
    assert_non_null(strstr(err_text(inside.e), "silent"));
    assert_string_equal(inside.resp.body.data, "hello");
}

static void can_be_cancelled(void **state)
{
    auto_outcome struct outcome o = {0};
    struct http_request req = {.is_cancelled = yes};
    struct reply reply = {.text = "", .end = REPLY_STALL};

    (void)state;
    request_with(&o, &reply, &req);
    assert_int_equal(o.result, -ECANCELED);
}

static void names_the_peer_and_no_more(void **state)
{
    auto_outcome struct outcome o = {0};
    struct http_request req = {.url = NULL};
    auto_free char *url = NULL;
    struct server closed;

    (void)state;
    server_listen(&closed);
    (void)close(closed.listener);
    url = xasprintf("http://%s/path?secret=1", closed.name);
    req.url = url;
    request_with(&o, &(struct reply){.text = HELLO, .end = REPLY_KEEP}, &req);
    assert_int_equal(o.result, -EHOSTUNREACH);
    assert_int_equal(o.resp.fault, HTTP_NOT_REACHED);
    assert_non_null(strstr(err_text(o.e), closed.name));
    assert_non_null(strstr(err_text(o.e), "refused"));
    assert_null(strstr(err_text(o.e), "secret"));
}

static void tells_protocols_apart(void **state)
{
    auto_outcome struct outcome none = {0};
    auto_outcome struct outcome plain = {0};
    struct http_request req = {.url = NULL};
    struct reply reply = {.text = "HTTP/1.0 400 Bad Request\r\n\r\n",
                          .end = REPLY_CLOSE,
                          .reads_head = true};
    struct server s;
    struct http *h = http_new();
    auto_free char *url = NULL;

    (void)state;
    request(&none, "220 mail.example ready\r\n", REPLY_CLOSE);
    assert_int_equal(none.result, -EPROTO);
    server_listen(&s);
    url = xasprintf("https://%s/", s.name);
    req.url = url;
    server_start(&s, &reply, 1);
    plain.result = http_do(h, &req, &plain.resp, &plain.e);
    server_stop(&s);
    server_release(&s);
    http_free(h);
    assert_int_equal(plain.result, -EHOSTUNREACH);
    assert_int_equal(plain.resp.fault, HTTP_TLS_ABSENT);
}

static void decodes_gzip(void **state)
{
    /* "hello" by gzip -n */
    static const char text[] =
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 25\r\n\r\n"
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00"
        "\x86\xa6\x10\x36\x05\x00\x00\x00";
    struct reply reply = {.text = text, .len = sizeof(text) - 1, .end = REPLY_KEEP};
    struct reply cut = {.text = text, .len = sizeof(text) - 11, .end = REPLY_CLOSE};
    struct http_request req = {.url = NULL};
    auto_outcome struct outcome o = {0};
    auto_outcome struct outcome broken = {0};

    (void)state;
    request_with(&o, &reply, &req);
    assert_int_equal(o.result, 0);
    assert_string_equal(o.resp.body.data, "hello");
    request_with(&broken, &cut, &req);
    assert_int_equal(broken.result, -EHOSTUNREACH);
}

/* --- sinks and sources --- */

struct collector {
    struct buf bytes;
    const struct http_response *resp;
    int status_seen;
    int fails_with;
};

static int collect(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct collector *c = arg;

    c->status_seen = c->resp->status;
    if (c->fails_with)
        return err_set(e, c->fails_with, "the sink is full");
    return buf_add(&c->bytes, bytes, len);
}

static void sinks_take_bodies_of_success(void **state)
{
    static const struct {
        const char *text;
        const char *sunk, *kept;
        int fails_with, result;
    } table[] = {
        {HELLO, "hello", "", 0, 0},
        {"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\nlo", "lo", "", 0, 0},
        {"HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nwhy?", "", "why?", 0, 0},
        {"HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nno", "", "no", 0, 0},
        {HELLO, "", "", -ENOSPC, -ENOSPC},
        {HELLO, "", "", -EBADMSG, -EBADMSG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_outcome struct outcome o = {0};
        struct collector c = {.resp = &o.resp, .fails_with = table[i].fails_with};
        struct http_request req = {.sink = collect, .sink_arg = &c};
        struct reply reply = {.text = table[i].text, .end = REPLY_KEEP};

        buf_init(&c.bytes, 100);
        request_with(&o, &reply, &req);
        assert_int_equal(o.result, table[i].result);
        assert_string_equal(c.bytes.data, table[i].sunk);
        assert_string_equal(o.resp.body.data, table[i].kept);
        assert_int_equal(o.resp.sunk, strlen(table[i].sunk));
        if (*table[i].sunk)
            assert_int_equal(c.status_seen, o.resp.status);
        buf_release(&c.bytes);
    }
}

struct giver {
    const char *text;
    size_t at;
    int fails_with; /* after the text */
};

static ssize_t give(void *arg, void *bytes, size_t size, struct err **e)
{
    struct giver *g = arg;
    size_t left = strlen(g->text) - g->at;

    if (!left && g->fails_with)
        return err_set(e, g->fails_with, "the source is broken");
    if (size > left)
        size = left;
    memcpy(bytes, g->text + g->at, size);
    g->at += size;
    return (ssize_t)size;
}

static void sources_give_bodies(void **state)
{
    static const struct {
        int64_t body_len;
        int fails_with, result;
        const char *request_holds;
    } table[] = {
        {5, 0, 0, "Content-Length: 5\r\n"},
        {3, 0, 0, "Content-Length: 3\r\n"},
        {0, 0, 0, "Content-Length: 0\r\n"},
        {-1, 0, 0, "Transfer-Encoding: chunked\r\n"},
        {9, 0, -EIO, NULL},
        {9, -EBADMSG, -EBADMSG, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_outcome struct outcome o = {0};
        struct giver g = {.text = "bytes", .fails_with = table[i].fails_with};
        struct http_request req = {.method = "PUT",
                                   .source = give,
                                   .source_arg = &g,
                                   .body_len = table[i].body_len};
        struct reply reply = {.text = HELLO, .end = REPLY_KEEP};

        request_with(&o, &reply, &req);
        assert_int_equal(o.result, table[i].result);
        if (!table[i].request_holds)
            continue;
        assert_non_null(strstr(o.server.requests[0], "PUT /some/path"));
        assert_non_null(strstr(o.server.requests[0], table[i].request_holds));
    }
}

static void sends_bodies_from_memory(void **state)
{
    static const char *const headers[] = {"Content-Type: text/x", "X-Y: z", NULL};
    static const struct {
        const char *method, *body;
        const char *holds;
    } table[] = {
        {"POST", "abc", "\r\nContent-Length: 3\r\n"},
        {"PUT", "abc", "\r\n\r\nabc"},
        {"POST", NULL, "\r\nContent-Length: 0\r\n"},
        {"PATCH", "", "\r\nContent-Length: 0\r\n"},
        {"DELETE", NULL, "DELETE /"},
        {"HEAD", NULL, "HEAD /"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_outcome struct outcome o = {0};
        struct http_request req = {.method = table[i].method,
                                   .body = table[i].body,
                                   .headers = headers,
                                   .body_len = table[i].body ? (int64_t)strlen(table[i].body) : 0};
        struct reply reply = {.text = "HTTP/1.1 204 No\r\n\r\n", .end = REPLY_KEEP};

        request_with(&o, &reply, &req);
        assert_int_equal(o.result, 0);
        assert_int_equal(o.resp.status, 204);
        assert_non_null(strstr(o.server.requests[0], table[i].holds));
        assert_non_null(strstr(o.server.requests[0], "\r\nContent-Type: text/x\r\nX-Y: z\r\n"));
    }
}

static void keeps_connections(void **state)
{
    static const struct reply replies[] = {{.text = HELLO}, {.text = HELLO}, {.text = HELLO}};
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    struct http_request req = {.url = NULL};
    struct http *h = http_new();
    auto_free char *url = NULL;
    struct server s;

    (void)state;
    server_listen(&s);
    server_start(&s, replies, 3);
    url = xasprintf("http://%s/", s.name);
    req.url = url;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(http_do(h, &req, &resp, NULL), 0);
        assert_string_equal(resp.body.data, "hello");
    }
    http_free(h);
    server_stop(&s);
    assert_int_equal(s.n_connections, 1);
    server_release(&s);
}

static void uses_proxies_but_not_for_loopback(void **state)
{
    static const struct {
        const char *variable, *url;
        bool no_proxy, used;
    } table[] = {
        {"http_proxy", "http://registry.invalid/x", false, true},
        {"HTTP_PROXY", "http://registry.invalid/x", false, true},
        {"all_proxy", "http://registry.invalid/x", false, true},
        {"http_proxy", "http://registry.invalid/x", true, false},
        {"http_proxy", "http://127.0.0.1:1/x", false, false},
        {"http_proxy", "http://localhost:1/x", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_response struct http_response resp = HTTP_RESPONSE_INIT;
        struct http_request req = {.url = table[i].url, .no_proxy = table[i].no_proxy};
        struct reply reply = {.text = HELLO, .end = REPLY_KEEP};
        struct http *h = http_new();
        auto_free char *proxy = NULL;
        struct server s;
        int r;

        server_listen(&s);
        server_start(&s, &reply, 1);
        proxy = xasprintf("http://%s", s.name);
        assert_int_equal(setenv(table[i].variable, proxy, 1), 0);
        r = http_do(h, &req, &resp, NULL);
        (void)unsetenv(table[i].variable);
        http_free(h);
        server_stop(&s);
        assert_int_equal(r, table[i].used ? 0 : -EHOSTUNREACH);
        if (table[i].used)
            assert_non_null(strstr(s.requests[0], "GET http://registry.invalid/x HTTP/1.1"));
        server_release(&s);
    }
}

static int global_init(void **state)
{
    (void)state;
    http_global_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_body_and_headers),
        cmocka_unit_test(sends_only_what_it_must),
        cmocka_unit_test(only_the_last_answer_counts),
        cmocka_unit_test(follows_no_redirect),
        cmocka_unit_test(bounds_what_it_keeps),
        cmocka_unit_test(sees_broken_bodies),
        cmocka_unit_test(gives_up_on_silence),
        cmocka_unit_test(can_be_cancelled),
        cmocka_unit_test(names_the_peer_and_no_more),
        cmocka_unit_test(tells_protocols_apart),
        cmocka_unit_test(decodes_gzip),
        cmocka_unit_test(sinks_take_bodies_of_success),
        cmocka_unit_test(sources_give_bodies),
        cmocka_unit_test(sends_bodies_from_memory),
        cmocka_unit_test(keeps_connections),
        cmocka_unit_test(uses_proxies_but_not_for_loopback),
    };

    return cmocka_run_group_tests(tests, global_init, NULL);
}
