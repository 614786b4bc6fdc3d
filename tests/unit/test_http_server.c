/* The server, asked over real connections: it runs in a child, the test asks. */
#include "http_server.h"

#include "http.h"
#include "mem.h"
#include "webhook_cert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define MAX_BODY 1000

struct scene {
    struct event_base *base;
    struct http_server *server;
    struct webhook_cert first, second; /* of a TLS server: before and after /rotate */
    pid_t child;
    uint16_t port;
};

static void on_health(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    (void)arg;
    (void)body;
    reply->status = len ? 500 : 200;
    (void)buf_addstr(&reply->body, "ok\n");
}

static void on_echo(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    reply->content_type = "application/json";
    (void)buf_add(&reply->body, body, len);
    (void)arg;
}

static void on_down(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    (void)arg;
    (void)body;
    (void)len;
    reply->status = 503;
    (void)buf_addstr(&reply->body, "not synced\n");
}

static void on_quit(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    const struct scene *s = arg;
    struct timeval soon = {.tv_usec = 1000};

    (void)body;
    (void)len;
    (void)buf_addstr(&reply->body, "bye\n");
    (void)event_base_loopexit(s->base, &soon);
}

static void on_rotate(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    const struct scene *s = arg;
    auto_err struct err *e = NULL;

    (void)body;
    (void)len;
    /* A pair that does not fit leaves the one before in place. */
    if (http_server_set_certificate(s->server, s->second.cert_pem, s->first.key_pem, &e) !=
            -EINVAL ||
        http_server_set_certificate(s->server, s->second.cert_pem, s->second.key_pem, NULL) < 0)
        reply->status = 500;
}

static void run_child(struct scene *s)
{
    if (event_reinit(s->base) < 0 || event_base_dispatch(s->base) < 0)
        _exit(1);
    http_server_free(s->server);
    event_base_free(s->base);
    webhook_cert_release(&s->first);
    webhook_cert_release(&s->second);
    free(s);
    exit(0);
}

static int start_with(void **state, bool has_tls, int timeout_s)
{
    struct scene *s = xcalloc(1, sizeof(*s));
    struct http_server_options options = {.listen = "127.0.0.1:0",
                                          .max_body = MAX_BODY,
                                          .timeout_s = timeout_s};

    http_global_init();
    s->base = options.base = event_base_new();
    if (has_tls) {
        assert_int_equal(webhook_cert_make("hook", "kube-system", time(NULL), &s->first, NULL), 0);
        assert_int_equal(webhook_cert_make("hook", "kube-system", time(NULL), &s->second, NULL), 0);
        options.cert_pem = s->first.cert_pem;
        options.key_pem = s->first.key_pem;
    }
    assert_int_equal(http_server_new(&options, &s->server, NULL), 0);
    http_server_route(s->server, HTTP_GET, "/healthz", on_health, NULL);
    http_server_route(s->server, HTTP_GET, "/readyz", on_down, NULL);
    http_server_route(s->server, HTTP_POST, "/validate", on_echo, NULL);
    http_server_route(s->server, HTTP_POST, "/rotate", on_rotate, s);
    http_server_route(s->server, HTTP_POST, "/quit", on_quit, s);
    s->port = http_server_port(s->server);
    assert_int_not_equal(s->port, 0);
    *state = s;
    s->child = fork();
    assert_true(s->child >= 0);
    if (!s->child)
        run_child(s);
    return 0;
}

static int setup_plain(void **state)
{
    return start_with(state, false, 0);
}

static int setup_tls(void **state)
{
    return start_with(state, true, 0);
}

static int setup_hasty(void **state)
{
    return start_with(state, false, 1);
}

static int setup_hasty_tls(void **state)
{
    return start_with(state, true, 1);
}

struct question {
    const char *method;
    const char *path;
    const char *body;
    size_t body_len;
};

/* Returns the status, or the error; `ca` NULL asks in plain HTTP. */
static int ask_as(const struct scene *s, struct question q, const char *ca,
                  struct http_response *resp)
{
    struct http *h = http_new();
    struct buf ca_pem;
    struct http_tls tls = {.ca_pem = &ca_pem};
    auto_free char *url = xasprintf("%s://hook.kube-system.svc%s", ca ? "https" : "http", q.path);
    auto_free char *peer = xasprintf("127.0.0.1:%u", s->port);
    struct http_request req = {.method = q.method,
                               .url = url,
                               .tls = ca ? &tls : NULL,
                               .no_proxy = true,
                               .connect_to = peer,
                               .body = q.body,
                               .body_len = (int64_t)q.body_len,
                               .idle_timeout_ms = 20000};
    int r;

    buf_init(&ca_pem, 1 << 16);
    (void)buf_addstr(&ca_pem, ca ? ca : "");
    r = http_do(h, &req, resp, NULL);
    buf_release(&ca_pem);
    http_free(h);
    return r < 0 ? r : resp->status;
}

static int ask(const struct scene *s, const char *method, const char *path,
               struct http_response *resp)
{
    return ask_as(s, (struct question){.method = method, .path = path}, s->first.ca_pem, resp);
}

/* The child says by its exit status whether a sanitizer found something. */
static int teardown(void **state)
{
    struct scene *s = *state;
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    const char *ca = s->first.ca_pem;
    int status;

    if (ask_as(s, (struct question){.method = "POST", .path = "/quit"}, ca, &resp) < 0 && ca)
        (void)ask_as(s, (struct question){.method = "POST", .path = "/quit"}, s->second.ca_pem,
                     &resp);
    if (resp.status != 200)
        (void)kill(s->child, SIGKILL);
    assert_int_equal(waitpid(s->child, &status, 0), s->child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    http_server_free(s->server);
    event_base_free(s->base);
    webhook_cert_release(&s->first);
    webhook_cert_release(&s->second);
    free(s);
    return 0;
}

static void answers_what_is_registered(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
        const char *body;
    } table[] = {
        {"GET", "/healthz", 200, "ok\n"},
        {"GET", "/healthz?verbose=1", 200, "ok\n"},
        {"GET", "/readyz", 503, "not synced\n"},
        {"HEAD", "/healthz", 200, ""},
        {"HEAD", "/nothing", 404, ""},
        {"GET", "/", 404, "not found\n"},
        {"GET", "/healthz/", 404, "not found\n"},
        {"GET", "/%68ealthz", 404, "not found\n"},
        {"POST", "/healthz", 405, "method not allowed\n"},
        {"DELETE", "/healthz", 405, "method not allowed\n"},
        {"PATCH", "/healthz", 405, "method not allowed\n"},
        {"GET", "/validate", 405, "method not allowed\n"},
        {"HEAD", "/validate", 405, ""},
        {"POST", "/validate", 200, ""},
    };
    struct scene *s = *state;

    for (size_t i = 0; i < COUNT(table); i++) {
        auto_response struct http_response resp = HTTP_RESPONSE_INIT;

        assert_int_equal(ask(s, table[i].method, table[i].path, &resp), table[i].status);
        assert_string_equal(resp.body.data, table[i].body);
    }
}

static void assert_header(const struct http_response *resp, const char *name, const char *value)
{
    auto_free char *has = http_header(resp, name);

    assert_string_equal(has ? has : "(none)", value);
}

static void headers_say_what_comes(void **state)
{
    struct scene *s = *state;
    auto_response struct http_response get = HTTP_RESPONSE_INIT, head = HTTP_RESPONSE_INIT;
    auto_response struct http_response other = HTTP_RESPONSE_INIT, post = HTTP_RESPONSE_INIT;

    (void)ask(s, "GET", "/healthz", &get);
    assert_header(&get, "Content-Type", "text/plain; charset=utf-8");
    assert_header(&get, "Content-Length", "3");
    assert_header(&get, "Cache-Control", "no-store");
    (void)ask(s, "HEAD", "/healthz", &head);
    assert_header(&head, "Content-Length", "3");
    (void)ask(s, "PUT", "/healthz", &other);
    assert_header(&other, "Allow", "GET, HEAD");
    (void)ask(s, "GET", "/validate", &post);
    assert_header(&post, "Allow", "POST");
}

static void bodies_are_bounded(void **state)
{
    struct scene *s = *state;
    char body[MAX_BODY + 1];
    auto_response struct http_response fits = HTTP_RESPONSE_INIT, large = HTTP_RESPONSE_INIT;
    auto_response struct http_response after = HTTP_RESPONSE_INIT;
    struct question q = {.method = "POST", .path = "/validate", .body = body};
    int status;

    memset(body, 'x', sizeof(body));
    q.body_len = MAX_BODY;
    assert_int_equal(ask_as(s, q, s->first.ca_pem, &fits), 200);
    assert_int_equal(fits.body.len, MAX_BODY);
    q.body_len = MAX_BODY + 1;
    status = ask_as(s, q, s->first.ca_pem, &large);
    assert_int_equal(status, 413);
    assert_int_equal(ask(s, "GET", "/healthz", &after), 200);
}

/* Sends bytes as they are. */
static int dial(const struct scene *s, const char *text)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&peer, sizeof(peer)), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
    return fd;
}

/* What comes until the other side closes. */
static char *hear(int fd)
{
    char bytes[4096];
    struct buf all;
    ssize_t n;

    buf_init(&all, 1 << 20);
    while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        (void)buf_add(&all, bytes, (size_t)n);
    assert_true(n == 0 || errno == ECONNRESET);
    (void)close(fd);
    return buf_steal(&all);
}

static void what_is_no_http_is_ended(void **state)
{
    static const struct {
        const char *text;
        const char *expected; /* how the answer begins; "" for none */
    } table[] = {
        {"\x16\x03\x01\x02\x01\r\n\r\n", ""},
        {"BREW /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 501"},
        {"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200"},
        {"GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 200"},
        {"GET /../../etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 404"},
        {"POST /validate HTTP/1.1\r\nContent-Length: -1\r\nConnection: close\r\n\r\n", ""},
        {"POST /validate HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n"
         "Connection: close\r\n\r\n",
         ""},
    };
    struct scene *s = *state;
    auto_response struct http_response after = HTTP_RESPONSE_INIT;

    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *reply = hear(dial(s, table[i].text));
        const char *expected = *table[i].expected ? table[i].expected : "HTTP/1.1 4";

        /* Broken requests are refused, or the connection is closed. */
        if ((*reply || *table[i].expected) && strncmp(reply, expected, strlen(expected)) != 0)
            fail_msg("request %zu was answered '%s'", i, reply);
        if (!strncmp(table[i].text, "HEAD", 4))
            assert_null(strstr(reply, "ok\n"));
    }
    assert_int_equal(ask(s, "GET", "/healthz", &after), 200);
}

static void headers_are_bounded(void **state)
{
    struct scene *s = *state;
    auto_buf struct buf request;
    auto_free char *reply = NULL;
    auto_response struct http_response after = HTTP_RESPONSE_INIT;

    buf_init(&request, 1 << 20);
    (void)buf_addstr(&request, "GET /healthz HTTP/1.1\r\n");
    while (request.len <= 2 * HTTP_SERVER_MAX_HEADERS)
        (void)buf_addf(&request, "X-%zu: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", request.len);
    (void)buf_addstr(&request, "Connection: close\r\n\r\n");
    reply = hear(dial(s, request.data));
    assert_true(!*reply || !strncmp(reply, "HTTP/1.1 4", 10));
    assert_int_equal(ask(s, "GET", "/healthz", &after), 200);
}

static void the_silent_are_hung_up_on(void **state)
{
    static const char *const beginnings[] = {
        "",
        "GET /healthz HTT",
        "GET /healthz HTTP/1.1\r\nHost: x\r\n",
        "POST /validate HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf",
    };
    struct scene *s = *state;
    int fds[COUNT(beginnings)];

    for (size_t i = 0; i < COUNT(beginnings); i++)
        fds[i] = dial(s, beginnings[i]);
    for (size_t i = 0; i < COUNT(beginnings); i++) {
        auto_free char *reply = hear(fds[i]);

        assert_null(strstr(reply, "200 OK"));
    }
}

static void certificates_change_while_it_runs(void **state)
{
    struct scene *s = *state;
    auto_response struct http_response before = HTTP_RESPONSE_INIT, after = HTTP_RESPONSE_INIT;
    auto_response struct http_response old = HTTP_RESPONSE_INIT, rotate = HTTP_RESPONSE_INIT;
    auto_response struct http_response plain = HTTP_RESPONSE_INIT;
    struct question get = {.method = "GET", .path = "/healthz"};
    struct question post = {.method = "POST", .path = "/rotate"};

    assert_int_equal(ask_as(s, get, s->first.ca_pem, &before), 200);
    assert_string_equal(before.body.data, "ok\n");
    assert_int_equal(ask_as(s, get, NULL, &plain), -EHOSTUNREACH);
    assert_int_equal(ask_as(s, post, s->first.ca_pem, &rotate), 200);
    assert_int_equal(ask_as(s, get, s->second.ca_pem, &after), 200);
    assert_int_equal(ask_as(s, get, s->first.ca_pem, &old), -EHOSTUNREACH);
    assert_int_equal(old.fault, HTTP_TLS_UNTRUSTED);
}

static int listen_on(const char *text, uint16_t *port, struct err **e)
{
    struct event_base *base = event_base_new();
    struct http_server_options options = {.base = base, .listen = text};
    struct http_server *server = NULL;
    int r = http_server_new(&options, &server, e);

    *port = r < 0 ? 0 : http_server_port(server);
    http_server_free(server);
    event_base_free(base);
    return r;
}

static void listens_where_it_is_told(void **state)
{
    static const struct {
        const char *text;
        int result;
    } table[] = {
        {":0", 0},           {"0.0.0.0:0", 0},  {"127.0.0.1:0", 0},        {"[::]:0", 0},
        {"[::1]:0", 0},      {"", -EINVAL},     {"9480", -EINVAL},         {"localhost:0", -EINVAL},
        {"::1:0", -EINVAL},  {"[]:0", -EINVAL}, {"[::1:0", -EINVAL},       {":", -EINVAL},
        {":65536", -EINVAL}, {":-1", -EINVAL},  {"127.0.0.1:0x", -EINVAL},
    };
    uint16_t port;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_err struct err *e = NULL;

        assert_int_equal(listen_on(table[i].text, &port, &e), table[i].result);
        assert_int_equal(port != 0, table[i].result == 0);
        if (table[i].result < 0)
            assert_non_null(strstr(err_text(e), "is no address to listen on"));
    }
}

static void says_when_a_port_is_taken(void **state)
{
    struct scene *s = *state;
    auto_free char *text = xasprintf("127.0.0.1:%u", s->port);
    auto_err struct err *e = NULL;
    uint16_t port;

    assert_int_equal(listen_on(text, &port, &e), -EADDRINUSE);
    assert_non_null(strstr(err_text(e), "cannot listen on '127.0.0.1:"));
}

#define WITH_PLAIN(test) cmocka_unit_test_setup_teardown(test, setup_plain, teardown)
#define WITH_TLS(test) cmocka_unit_test_setup_teardown(test, setup_tls, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLAIN(answers_what_is_registered),
        WITH_TLS(answers_what_is_registered),
        WITH_PLAIN(headers_say_what_comes),
        WITH_TLS(headers_say_what_comes),
        WITH_PLAIN(bodies_are_bounded),
        WITH_TLS(bodies_are_bounded),
        WITH_PLAIN(what_is_no_http_is_ended),
        WITH_PLAIN(headers_are_bounded),
        cmocka_unit_test_setup_teardown(the_silent_are_hung_up_on, setup_hasty, teardown),
        cmocka_unit_test_setup_teardown(the_silent_are_hung_up_on, setup_hasty_tls, teardown),
        WITH_TLS(certificates_change_while_it_runs),
        WITH_PLAIN(says_when_a_port_is_taken),
        cmocka_unit_test(listens_where_it_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
