/* The registry client, reading: blobs that break off or lie, manifests, sizes. */
#include "registry_scene.h"

/* --- blobs --- */

/* gzip -n of CONTENT, 30 bytes */
#define GZIP                                                                                       \
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x33\x30\x34\x32\x36\x31\x35\x33\xb7\xb0\x04\x00\xc6" \
    "\xc7\x84\xa6\x0a\x00\x00\x00"
#define GZIP_HEAD "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 30\r\n\r\n"

struct blob_case {
    const char *name;
    struct reply replies[8];
    const char *ranges[8]; /* of each request; NULL: none */
    size_t n_requests;
    int result;
    const char *got;
};

static const struct blob_case blob_cases[] = {
    {"whole", {{.text = OK("10") CONTENT}}, {NULL}, 1, 0, CONTENT},
    {"chunked", {{.text = CHUNKED "4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n"}}, {NULL}, 1, 0, CONTENT},
    {"cut, goes on by Range",
     {{.text = OK("10") "0123", .end = REPLY_CLOSE}, {.text = PART("4-9/10", "6") "456789"}},
     {NULL, "bytes=4-"},
     2,
     0,
     CONTENT},
    {"cut, and the server ignores Range",
     {{.text = OK("10") "0123", .end = REPLY_CLOSE}, {.text = OK("10") CONTENT}},
     {NULL, "bytes=4-"},
     2,
     0,
     CONTENT},
    {"cut, then other bytes than asked for",
     {{.text = OK("10") "0123", .end = REPLY_CLOSE}, {.text = PART("5-9/10", "5") "56789"}},
     {NULL, "bytes=4-"},
     2,
     -EPROTO,
     "0123"},
    {"cut, then a part that does not say which",
     {{.text = OK("10") "0123", .end = REPLY_CLOSE},
      {.text = "HTTP/1.1 206 Partial Content\r\nContent-Length: 6\r\n\r\n456789"}},
     {NULL, "bytes=4-"},
     2,
     -EPROTO,
     "0123"},
    {"cut, and there is no more",
     {{.text = OK("10") "0123", .end = REPLY_CLOSE}, {.text = EMPTY("416 Range Not Satisfiable")}},
     {NULL, "bytes=4-"},
     2,
     -EBADMSG,
     "0123"},
    {"cut again and again, with a byte each time",
     {{.text = OK("10") "01", .end = REPLY_CLOSE},
      {.text = PART("2-9/10", "8") "2", .end = REPLY_CLOSE},
      {.text = PART("3-9/10", "7") "3", .end = REPLY_CLOSE},
      {.text = PART("4-9/10", "6") "4", .end = REPLY_CLOSE},
      {.text = PART("5-9/10", "5") "5", .end = REPLY_CLOSE},
      {.text = PART("6-9/10", "4") "6789"}},
     {NULL, "bytes=2-", "bytes=3-", "bytes=4-", "bytes=5-", "bytes=6-"},
     6,
     0,
     CONTENT},
    {"cut again and again, without",
     {{.text = OK("10") "01", .end = REPLY_CLOSE},
      {.text = PART("2-9/10", "8"), .end = REPLY_CLOSE},
      {.text = PART("2-9/10", "8"), .end = REPLY_CLOSE},
      {.text = PART("2-9/10", "8") "23456789"}},
     {NULL, "bytes=2-", "bytes=2-"},
     3,
     -EHOSTUNREACH,
     "01"},
    {"falls silent",
     {{.text = OK("10") "0123", .end = REPLY_STALL}, {.text = PART("4-9/10", "6") "456789"}},
     {NULL, "bytes=4-"},
     2,
     0,
     CONTENT},
    {"all there when it breaks",
     {{.text = CHUNKED "a\r\n" CONTENT "\r\n", .end = REPLY_CLOSE}},
     {NULL},
     1,
     0,
     CONTENT},
    {"says it is shorter", {{.text = OK("9") "012345678"}}, {NULL}, 1, -EBADMSG, ""},
    {"says it is longer", {{.text = OK("11") CONTENT "x"}}, {NULL}, 1, -EBADMSG, ""},
    {"is empty", {{.text = OK("0")}}, {NULL}, 1, -EBADMSG, ""},
    {"is longer",
     {{.text = CHUNKED "4\r\n0123\r\n8\r\n456789xx\r\n0\r\n\r\n"}},
     {NULL},
     1,
     -EBADMSG,
     NULL},
    {"ends early without a length, which may be a cut",
     {{.text = CHUNKED "4\r\n0123\r\n0\r\n\r\n"}, {.text = PART("4-9/10", "6") "456789"}},
     {NULL, "bytes=4-"},
     2,
     0,
     CONTENT},
    {"ends early every time",
     {{.text = CHUNKED "4\r\n0123\r\n0\r\n\r\n"}, {.text = CHUNKED "4\r\n0123\r\n0\r\n\r\n"}},
     {NULL, "bytes=4-"},
     2,
     -EBADMSG,
     "0123"},
    {"a part that nobody asked for",
     {{.text = PART("0-9/10", "10") CONTENT}},
     {NULL},
     1,
     -EPROTO,
     ""},
    {"gzip that was not asked for", {{.text = GZIP_HEAD GZIP, .len = 88}}, {NULL}, 1, 0, CONTENT},
    {"gzip, cut: starts over, since parts cannot be decoded",
     {{.text = GZIP_HEAD GZIP, .len = 70, .end = REPLY_CLOSE}, {.text = GZIP_HEAD GZIP, .len = 88}},
     {NULL, NULL},
     2,
     0,
     CONTENT},
    {"busy",
     {{.text = "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"},
      {.text = "HTTP/1.1 429 Slow\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: "
               "0\r\n\r\n"},
      {.text = OK("10") CONTENT}},
     {NULL, NULL, NULL},
     3,
     0,
     CONTENT},
    {"always busy",
     {{.text = EMPTY("500 No")}, {.text = EMPTY("502 No")}, {.text = EMPTY("408 No")}},
     {NULL, NULL, NULL},
     3,
     -EHOSTUNREACH,
     ""},
    {"asks for an hour",
     {{.text = "HTTP/1.1 429 Slow\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"}},
     {NULL},
     1,
     -EHOSTUNREACH,
     ""},
    {"is not there", {{.text = EMPTY("404 Not Found")}}, {NULL}, 1, -ENOENT, ""},
    {"is forbidden", {{.text = EMPTY("403 Forbidden")}}, {NULL}, 1, -EKEYREJECTED, ""},
    {"is refused", {{.text = EMPTY("400 Bad Request")}}, {NULL}, 1, -EPROTO, ""},
    {"is elsewhere, without saying where",
     {{.text = EMPTY("307 Temporary")}},
     {NULL},
     1,
     -EPROTO,
     ""},
};

static void reads_blobs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(blob_cases); i++) {
        const struct blob_case *b = &blob_cases[i];
        struct scene s;
        int r;

        open_scene(&s);
        start(&s, b->replies, b->n_requests, NULL, 0);
        r = get_blob(&s);
        if (r != b->result)
            fail_msg("%s: %d, %s", b->name, r, err_text(s.e));
        assert_true((r < 0) == (s.e != NULL));
        if (b->got)
            assert_string_equal(s.got.data, b->got);
        assert_int_equal(s.a.n_requests, b->n_requests);
        for (size_t j = 0; j < b->n_requests; j++) {
            auto_free char *line =
                b->ranges[j] ? xasprintf("\r\nRange: %s\r\n", b->ranges[j]) : NULL;

            assert_asked(&s.a, j, "GET /v2/team/app/blobs/" DIGEST " HTTP/1.1\r\n");
            if (line)
                assert_asked(&s.a, j, line);
            else
                assert_not_asked(&s.a, j, "Range:");
        }
        close_scene(&s);
    }
}

static int refuse(void *arg, const void *bytes, size_t len, struct err **e)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return err_set(e, -EHOSTUNREACH, "of the sink");
}

static void a_failing_sink_is_final(void **state)
{
    static const struct reply replies[] = {{.text = OK("10") CONTENT}, {.text = OK("10") CONTENT}};
    struct descriptor d = {.digest = DIGEST, .size = 10};
    struct scene s;

    (void)state;
    open_scene(&s);
    start(&s, replies, COUNT(replies), NULL, 0);
    assert_int_equal(registry_get_blob(s.conn, &s.ref, &d, 0, refuse, NULL, &s.e), -EHOSTUNREACH);
    assert_int_equal(s.a.n_requests, 1);
    assert_string_equal(err_text(s.e), "of the sink");
    close_scene(&s);
}

static void starts_where_it_is_told(void **state)
{
    static const struct reply replies[] = {{.text = PART("7-9/10", "3") "789"}};
    struct descriptor d = {.digest = DIGEST, .size = 10};
    struct scene s;

    (void)state;
    open_scene(&s);
    start(&s, replies, COUNT(replies), NULL, 0);
    assert_int_equal(registry_get_blob(s.conn, &s.ref, &d, 10, collect, &s.got, &s.e), 0);
    assert_int_equal(registry_get_blob(s.conn, &s.ref, &d, 7, collect, &s.got, &s.e), 0);
    assert_string_equal(s.got.data, "789");
    assert_asked(&s.a, 0, "Range: bytes=7-\r\n");
    close_scene(&s);
}

static void reads_sizes(void **state)
{
    static const struct {
        const char *text;
        int result;
        int64_t size;
    } table[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 12345678901\r\n\r\n", 0, 12345678901},
        {"HTTP/1.1 200 OK\r\n\r\n", -EPROTO, 0},
        {"HTTP/1.1 404 No\r\n\r\n", -ENOENT, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct reply reply = {.text = table[i].text};
        struct scene s;
        int64_t size = 0;

        open_scene(&s);
        start(&s, &reply, 1, NULL, 0);
        assert_int_equal(registry_blob_size(s.conn, &s.ref, DIGEST, &size, &s.e), table[i].result);
        assert_int_equal(size, table[i].size);
        assert_asked(&s.a, 0, "HEAD /v2/team/app/blobs/" DIGEST);
        close_scene(&s);
    }
}

/* --- manifests --- */

static void reads_manifests(void **state)
{
    static const struct {
        const char *selector, *text;
        int result;
    } table[] = {
        {"1", "HTTP/1.1 200 OK\r\nContent-Type: a/b; c=d\r\nContent-Length: 10\r\n\r\n" CONTENT, 0},
        {DIGEST, "HTTP/1.1 200 OK\r\nContent-Type: a/b; c=d\r\nContent-Length: 10\r\n\r\n" CONTENT,
         0},
        {OTHER, "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 10\r\n\r\n" CONTENT,
         -EBADMSG},
        /* What the registry says of the digest is never trusted. */
        {OTHER,
         "HTTP/1.1 200 OK\r\nDocker-Content-Digest: " OTHER
         "\r\nContent-Length: 10\r\n\r\n" CONTENT,
         -EBADMSG},
        {OTHER,
         "HTTP/1.1 200 OK\r\nContent-Type: " MT_DOCKER_SCHEMA1_SIGNED
         "\r\nContent-Length: 10\r\n\r\n" CONTENT,
         -EBADMSG},
        {"1", "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n", -EHOSTUNREACH},
        {"1", EMPTY("404 Not Found"), -ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct reply replies[3];
        auto_free char *type = NULL;
        char digest[DIGEST_SIZE] = "";
        struct scene s;

        for (size_t j = 0; j < COUNT(replies); j++)
            replies[j] = (struct reply){.text = table[i].text, .end = REPLY_CLOSE};
        open_scene(&s);
        start(&s, replies, COUNT(replies), NULL, 0);
        assert_int_equal(registry_get_manifest(s.conn, &s.ref, table[i].selector, &s.got, &type,
                                               digest, &s.e),
                         table[i].result);
        assert_asked(&s.a, 0,
                     "Accept: " MT_DOCKER_MANIFEST ", " MT_DOCKER_LIST ", " MT_OCI_MANIFEST
                     ", " MT_OCI_INDEX);
        if (table[i].result == 0) {
            assert_string_equal(s.got.data, CONTENT);
            assert_string_equal(type, "a/b; c=d");
            assert_string_equal(digest, DIGEST);
        }
        close_scene(&s);
    }
}

static void bounds_manifests(void **state)
{
    const size_t size = MANIFEST_MAX_SIZE + 1;
    auto_free char *text = xcalloc(size + 100, 1);
    int head = snprintf(text, 100, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
    struct reply reply = {.text = text, .len = size + (size_t)head, .end = REPLY_CLOSE};
    auto_free char *type = NULL;
    char digest[DIGEST_SIZE];
    struct scene s;

    (void)state;
    open_scene(&s);
    start(&s, &reply, 1, NULL, 0);
    assert_int_equal(registry_get_manifest(s.conn, &s.ref, "1", &s.got, &type, digest, &s.e),
                     -EBADMSG);
    assert_says(&s, "4 MiB");
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_blobs), TEST(a_failing_sink_is_final), TEST(starts_where_it_is_told),
        TEST(reads_sizes), TEST(reads_manifests),         TEST(bounds_manifests),
    };

    return cmocka_run_group_tests(tests, scene_global_init, NULL);
}
