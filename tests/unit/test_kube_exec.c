/* pods/exec with a server whose every byte is prepared: streams, how it ends, hostile servers. */
#include "kube/kube_exec.h"

#include "http.h"
#include "kube/ws_conn.h"
#include "mem.h"
#include "scripted_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define WIRE(text) text, sizeof(text) - 1
#define SUCCESS "\x82\x15\x03{\"status\":\"Success\"}"
#define BYE "\x88\x02\x03\xe8"

/* One connection: an answer to the upgrade, then frames once enough has come. */
struct peer {
    struct server server;
    const char *head; /* "%s" is the right Sec-WebSocket-Accept */
    const char *frames;
    size_t n_frames;
    size_t input; /* bytes that the client sends before the frames go */
    bool stalls;  /* until the client hangs up */
    char request[4096];
    struct buf received; /* behind the request, as it came */
};

#define HEAD(protocol)                                                                             \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: " protocol "\r\n\r\n"
#define HEAD_V4 HEAD("v4.channel.k8s.io")
#define HEAD_V5 HEAD("v5.channel.k8s.io")

static void read_request(struct peer *p, int fd)
{
    size_t len = 0;

    while (!strstr(p->request, "\r\n\r\n")) {
        ssize_t n = read(fd, p->request + len, 1);

        if (n <= 0)
            return;
        len += (size_t)n;
        server_must(len < sizeof(p->request) - 1, "request");
    }
}

static void receive_all(struct peer *p, int fd, size_t until)
{
    char bytes[4096];
    ssize_t n;

    while (p->received.len < until && (n = read(fd, bytes, sizeof(bytes))) > 0)
        (void)buf_add(&p->received, bytes, (size_t)n);
}

static void *serve(void *arg)
{
    struct peer *p = arg;
    int fd = accept(p->server.listener, NULL, NULL);
    char accept_text[WS_ACCEPT_SIZE], key[WS_KEY_SIZE];
    struct reply frames = {.text = p->frames, .len = p->n_frames};
    auto_free char *head = NULL;
    const char *line;

    server_must(fd >= 0, "accept");
    read_request(p, fd);
    line = strstr(p->request, "Sec-WebSocket-Key: ");
    server_must(line != NULL, "key");
    (void)snprintf(key, sizeof(key), "%.24s", line + 19);
    ws_accept(key, accept_text);
    head = xasprintf("%.*s%s%s", (int)(strcspn(p->head, "%")), p->head,
                     strchr(p->head, '%') ? accept_text : "",
                     strchr(p->head, '%') ? strchr(p->head, '%') + 2 : "");
    server_send(fd, &(struct reply){.text = head});
    receive_all(p, fd, p->input);
    if (p->n_frames)
        server_send(fd, &frames);
    (void)(p->stalls ? 0 : shutdown(fd, SHUT_WR));
    receive_all(p, fd, SIZE_MAX);
    (void)close(fd);
    return NULL;
}

static int run(struct peer *p, struct kube_exec *x, struct buf *out, struct err **e)
{
    static const char *const argv[] = {"sh", "-c", "a b&c", NULL};
    struct kube_config config = {.server = NULL};
    struct kube_client *c = NULL;
    int r;

    server_listen(&p->server);
    config.server = xasprintf("http://%s", p->server.name);
    buf_init(&p->received, 1 << 20);
    buf_init(out, 1000);
    server_must(pthread_create(&p->server.thread, NULL, serve, p) == 0, "thread");
    assert_int_equal(kube_client_new(&config, &c, NULL), 0);
    x->namespace = "ns";
    x->pod = "pod";
    x->container = "main";
    x->argv = argv;
    r = kube_exec(c, x, out, e);
    kube_client_free(c);
    (void)pthread_join(p->server.thread, NULL);
    (void)close(p->server.listener);
    free(config.server);
    return r;
}

/* --- without input --- */

static const struct {
    const char *head;
    const char *frames;
    size_t n_frames;
    int status;
    const char *text; /* standard output, or the message */
} endings[] = {
    {HEAD_V4, WIRE("\x82\x03\x01he\x82\x04\x01llo" SUCCESS BYE), 0, "hello"},
    {HEAD_V5, WIRE("\x82\x06\x01hello" SUCCESS BYE), 0, "hello"},
    /* In fragments with a ping between them, empty messages, v5's end of a stream. */
    {HEAD_V5,
     WIRE("\x02\x02\x01h\x89\x02hi\x80\x04"
          "ello\x82\x00\x82\x01\x01\x82\x02\xff\x01" SUCCESS BYE),
     0, "hello"},
    /* A server that takes no leave. */
    {HEAD_V4, WIRE("\x82\x06\x01hello" SUCCESS), 0, "hello"},
    {HEAD_V4,
     WIRE("\x82\x10\x02one\nsh: no tar\n"
          "\x82\x6d\x03{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":"
          "{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"127\"}]}}" BYE),
     -EREMOTEIO, "'sh' ended with status 127: sh: no tar"},
    /* docker's word for a program that is not there. */
    {HEAD_V4,
     WIRE("\x82\x0b\x01not found\n"
          "\x82\x6d\x03{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":"
          "{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"126\"}]}}" BYE),
     -EREMOTEIO, "'sh' ended with status 126: not found"},
    {HEAD_V4, WIRE("\x82\x2e\x03{\"status\":\"Failure\",\"message\":\"no such file\"}" BYE),
     -EREMOTEIO, "'sh' cannot be run: no such file"},
    {HEAD_V4, WIRE("\x82\x04\x03{}x" BYE), -EPROTO, "status is no JSON"},
    {HEAD_V4, WIRE("\x82\x06\x01hello" BYE), -EPROTO, "before the command ended"},
    {HEAD_V4, WIRE("\x82\x06\x01hello"), -EHOSTUNREACH, "closed the connection early"},
    {HEAD_V4, WIRE("\x82\x06\x07hello" SUCCESS BYE), -EPROTO, "unknown number 7"},
    {HEAD_V4, WIRE("\x82\x86\x00\x00\x00\x00\x01hello" SUCCESS BYE), -EPROTO, "nobody agreed on"},
    {HEAD_V4, WIRE("\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00"), -EPROTO, "a message above"},
    /* The upgrade. */
    {"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
     "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n",
     WIRE(SUCCESS BYE), -EPROTO, "agreed to an upgrade that nobody asked for"},
    {"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: %s\r\n\r\n", WIRE(SUCCESS BYE), -EPROTO,
     "agreed to an upgrade that nobody asked for"},
    {HEAD("v9.channel.k8s.io"), WIRE(SUCCESS BYE), -EPROTO, "chose none of the protocols"},
    {HEAD("v4.channel.k8s.i"), WIRE(SUCCESS BYE), -EPROTO, "chose none of the protocols"},
    {HEAD(""), WIRE(SUCCESS BYE), -EPROTO, "chose none of the protocols"},
    {"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", WIRE(SUCCESS BYE),
     -EPROTO, "chose none of the protocols"},
    {"HTTP/1.0 200 OK\r\n\r\n", WIRE(""), -EPROTO, "no HTTP"},
    {"SSH-2.0-x\r\n\r\n", WIRE(""), -EPROTO, "no HTTP"},
    {"", WIRE(""), -EHOSTUNREACH, "without an answer"},
    {"HTTP/1.1 403 Forbidden\r\nContent-Length: 46\r\n\r\n"
     "{\"reason\":\"Forbidden\",\"message\":\"not for you\"}",
     WIRE(""), -EKEYREJECTED, "answered 403 Forbidden: not for you"},
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 99999999999\r\n\r\nx", WIRE(""), -ENOENT,
     "answered 404"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", WIRE(""), -EREMOTEIO,
     "answered 200"},
};

static void ends_in_every_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        struct peer p = {.head = endings[i].head,
                         .frames = endings[i].frames,
                         .n_frames = endings[i].n_frames};
        struct kube_exec x = {.input_len = 0};
        auto_err struct err *e = NULL;
        auto_buf struct buf out;
        int r = run(&p, &x, &out, &e);
        const char *text = r < 0 ? err_text(e) : out.data;

        if (r != endings[i].status || !strstr(text, endings[i].text))
            fail_msg("%zu: %d '%s', expected %d '%s'", i, r, text, endings[i].status,
                     endings[i].text);
        assert_non_null(strstr(p.request, "GET /api/v1/namespaces/ns/pods/pod/exec?container=main"
                                          "&stdin=false&stdout=true&stderr=true&command=sh"
                                          "&command=-c&command=a%20b%26c HTTP/1.1\r\nHost: 127."));
        buf_release(&p.received);
    }
}

static void writes_too_much(void **state)
{
    static const char frames[] = "\x82\x7e\x03\xe9\x01";
    auto_free char *wire = xcalloc(1 + 4 + 1001, 1);
    struct peer p = {.head = HEAD_V4, .frames = wire, .n_frames = 4 + 1001};
    struct kube_exec x = {.input_len = 0};
    auto_err struct err *e = NULL;
    auto_buf struct buf out;

    (void)state;
    memset(wire, 'x', 4 + 1001);
    memcpy(wire, frames, sizeof(frames) - 1);
    /* 1000 bytes fit, and then one more does not. */
    assert_int_equal(run(&p, &x, &out, &e), -EHOSTUNREACH);
    assert_int_equal(out.len, 1000);
    buf_release(&p.received);
    wire[3] = '\xea';
    p = (struct peer){.head = HEAD_V4, .frames = wire, .n_frames = 4 + 1002};
    wire = xreallocarray(wire, 4 + 1002, 1);
    wire[4 + 1001] = 'x';
    p.frames = wire;
    buf_release(&out);
    err_free(take(e));
    assert_int_equal(run(&p, &x, &out, &e), -EFBIG);
    buf_release(&p.received);
}

/* --- with input --- */

/* Unmasks what the client sent and joins the bytes of channel 0; counts v5's ends and pongs. */
static void decode(const struct buf *wire, struct buf *input, size_t *n_ends, size_t *n_pongs)
{
    const uint8_t *p = (const uint8_t *)wire->data, *end = p + wire->len;

    while (p < end) {
        size_t len = p[1] & 0x7f, header = len == 126 ? 4 : 2;
        const uint8_t *mask = p + header;

        assert_true(p[1] & 0x80);
        len = len == 126 ? (size_t)p[2] << 8 | p[3] : len;
        for (size_t i = p[0] == 0x82; i < len && (mask[0] ^ mask[4]) == 0; i++)
            (void)buf_addch(input, (char)(mask[4 + i] ^ mask[i % 4]));
        *n_ends += p[0] == 0x82 && (mask[0] ^ mask[4]) == 255;
        *n_pongs += p[0] == 0x8a;
        p = mask + 4 + len;
    }
}

static void sends_its_input(void **state)
{
    static const struct {
        const char *head;
        size_t size, wire;
        size_t n_ends;
    } table[] = {
        /* Frames of 32 KiB: 4 bytes of header, 4 of mask, 1 of channel. */
        {HEAD_V4, 10, 10 + 7, 0},
        {HEAD_V4, 100000, 100000 + 4 * 9, 0},
        {HEAD_V5, 100000, 100000 + 4 * 9 + 8, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_free char *bytes = xmalloc(table[i].size);
        struct peer p = {.head = table[i].head, .input = table[i].wire, .frames = SUCCESS BYE};
        struct kube_exec x = {.input = bytes, .input_len = table[i].size};
        auto_buf struct buf out, input;
        size_t n_ends = 0, n_pongs = 0;

        buf_init(&input, 1 << 20);
        p.n_frames = sizeof(SUCCESS BYE) - 1;
        for (size_t k = 0; k < table[i].size; k++)
            bytes[k] = (char)(k * 7);
        assert_int_equal(run(&p, &x, &out, NULL), 0);
        assert_non_null(strstr(p.request, "&stdin=true&"));
        decode(&p.received, &input, &n_ends, &n_pongs);
        assert_int_equal(input.len, table[i].size);
        assert_memory_equal(input.data, bytes, table[i].size);
        assert_int_equal(n_ends, table[i].n_ends);
        buf_release(&p.received);
    }
}

/* A command that ends early gets no more input, and its status counts. */
static void ends_before_its_input(void **state)
{
    auto_free char *bytes = xcalloc(1, 900000);
    struct peer p = {.head = HEAD_V4, .frames = SUCCESS BYE, .n_frames = sizeof(SUCCESS BYE) - 1};
    struct kube_exec x = {.input = bytes, .input_len = 900000};
    auto_buf struct buf out;

    (void)state;
    assert_int_equal(run(&p, &x, &out, NULL), 0);
    buf_release(&p.received);
}

static void answers_pings(void **state)
{
    struct peer p = {.head = HEAD_V4, .input = 8};
    struct ws_request req = {.headers = "Host: x\r\n",
                             .protocols = "v5.channel.k8s.io, v4.channel.k8s.io",
                             .max_message = 1000};
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    struct ws_message m;
    struct ws *w = NULL;
    auto_free char *url = NULL;
    auto_buf struct buf input;
    size_t n_ends = 0, n_pongs = 0;

    (void)state;
    buf_init(&input, 100);
    buf_init(&p.received, 1000);
    server_listen(&p.server);
    p.frames = "\x82\x01x" BYE;
    p.n_frames = 3 + 4;
    p.head = HEAD_V4 "\x89\x02hi"; /* the ping comes in one piece with the head */
    url = xasprintf("http://%s/", p.server.name);
    req.http.url = url;
    server_must(pthread_create(&p.server.thread, NULL, serve, &p) == 0, "thread");
    assert_int_equal(ws_open(&req, &w, &resp, NULL), 0);
    assert_string_equal(ws_protocol(w), "v4.channel.k8s.io");
    assert_int_equal(ws_step(w, &m, NULL), 0); /* the pong is sent */
    assert_int_equal(ws_step(w, &m, NULL), 1);
    assert_int_equal(m.opcode, WS_BINARY);
    assert_int_equal(ws_step(w, &m, NULL), 1);
    assert_int_equal(m.opcode, WS_CLOSE);
    ws_close(w);
    (void)pthread_join(p.server.thread, NULL);
    (void)close(p.server.listener);
    decode(&p.received, &input, &n_ends, &n_pongs);
    assert_int_equal(n_pongs, 1);
    buf_release(&p.received);
}

static void waits_no_longer_than_asked(void **state)
{
    struct peer p = {.head = HEAD_V4, .stalls = true};
    struct ws_request req = {.headers = "Host: x\r\n",
                             .protocols = "v4.channel.k8s.io",
                             .max_message = 1000,
                             .idle_timeout_ms = 100};
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_err struct err *e = NULL;
    struct ws_message m;
    struct ws *w = NULL;
    auto_free char *url = NULL;

    (void)state;
    buf_init(&p.received, 1000);
    server_listen(&p.server);
    url = xasprintf("http://%s/", p.server.name);
    req.http.url = url;
    server_must(pthread_create(&p.server.thread, NULL, serve, &p) == 0, "thread");
    assert_int_equal(ws_open(&req, &w, &resp, NULL), 0);
    assert_int_equal(ws_step(w, &m, &e), -EHOSTUNREACH);
    assert_non_null(strstr(err_text(e), "fell silent"));
    ws_close(w);
    (void)pthread_join(p.server.thread, NULL);
    (void)close(p.server.listener);
    buf_release(&p.received);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_in_every_way), cmocka_unit_test(writes_too_much),
        cmocka_unit_test(sends_its_input),   cmocka_unit_test(ends_before_its_input),
        cmocka_unit_test(answers_pings),     cmocka_unit_test(waits_no_longer_than_asked),
    };

    http_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
