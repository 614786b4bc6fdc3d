#pragma once
/*
 * A registry client and two servers on loopback whose every answer is prepared; the first of them
 * is the registry. For tests of installer/registry*.c: what it asks, what it never tells whom, and
 * how it takes answers that are wrong.
 */
#include "fs.h"
#include "mem.h"
#include "registry.h"
#include "scripted_server.h"
#include "tempdir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define CONTENT "0123456789"
#define DIGEST                                                                                     \
    "sha256:84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882" /* of it             \
                                                                               */
#define OTHER "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define OK(len) "HTTP/1.1 200 OK\r\nContent-Length: " len "\r\n\r\n"
#define PART(range, len)                                                                           \
    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " range "\r\nContent-Length: " len       \
    "\r\n\r\n"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define EMPTY(status) "HTTP/1.1 " status "\r\nContent-Length: 0\r\n\r\n"
#define WANTS_BASIC                                                                                \
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"lab\"\r\nContent-Length: "       \
    "0\r\n\r\n"
#define BASIC_FLAT "Authorization: Basic ZmxhdDpzM2NyZXQ=\r\n" /* flat:s3cret */

/* Two servers; the registry is the first. */
struct scene {
    struct server a, b;
    struct registry *registry;
    struct registry_conn *conn;
    struct ref ref;
    struct err *e;
    struct buf got; /* what the sink took */
};

static inline void open_scene(struct scene *s)
{
    auto_free char *image = NULL;

    *s = (struct scene){.e = NULL};
    server_listen(&s->a);
    server_listen(&s->b);
    buf_init(&s->got, 1000);
    image = xasprintf("%s/team/app:1", s->a.name);
    assert_int_equal(ref_parse(image, &s->ref, NULL), 0);
}

static inline void start_with(struct scene *s, const struct reply *a, size_t n_a,
                              const struct reply *b, size_t n_b, const char *mirror)
{
    const char *plain[] = {s->a.name, s->b.name, NULL};
    const char *mirrors[] = {mirror, NULL};
    struct registry_options o = {.plain_http = plain,
                                 .mirrors = mirrors,
                                 .retries = 2,
                                 .retry_base_ms = 1,
                                 .idle_timeout_ms = 300};

    if (access("auth.json", F_OK) == 0)
        o.authfile = "auth.json";
    server_start(&s->a, a, n_a);
    server_start(&s->b, b, n_b);
    assert_int_equal(registry_new(&o, &s->registry, NULL), 0);
    s->conn = registry_connect(s->registry);
}

static inline void start(struct scene *s, const struct reply *a, size_t n_a, const struct reply *b,
                         size_t n_b)
{
    start_with(s, a, n_a, b, n_b, NULL);
}

static inline void close_scene(struct scene *s)
{
    registry_conn_free(s->conn);
    registry_free(s->registry);
    server_stop(&s->a);
    server_stop(&s->b);
    server_release(&s->a);
    server_release(&s->b);
    ref_release(&s->ref);
    err_free(s->e);
    buf_release(&s->got);
}

static inline void put_credentials(const char *host)
{
    auto_free char *text = xasprintf("{\"auths\":{\"%s\":{\"auth\":\"ZmxhdDpzM2NyZXQ=\"}}}", host);

    assert_int_equal(fs_write_file("auth.json", text, strlen(text), 0600, NULL), 0);
}

static inline int collect(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct buf *got = arg;

    if (buf_add(got, bytes, len) < 0)
        return err_set(e, -ENOSPC, "no room");
    return 0;
}

static inline int get_blob(struct scene *s)
{
    struct descriptor d = {.digest = DIGEST, .size = (int64_t)strlen(CONTENT)};

    return registry_get_blob(s->conn, &s->ref, &d, 0, collect, &s->got, &s->e);
}

static inline void assert_asked(const struct server *s, size_t n, const char *text)
{
    assert_true(n < s->n_requests);
    if (!strstr(s->requests[n], text))
        fail_msg("request %zu lacks '%s':\n%s", n, text, s->requests[n]);
}

static inline void assert_not_asked(const struct server *s, size_t n, const char *text)
{
    assert_true(n < s->n_requests);
    if (strstr(s->requests[n], text))
        fail_msg("request %zu has '%s':\n%s", n, text, s->requests[n]);
}

static inline void assert_says(const struct scene *s, const char *text)
{
    if (!strstr(err_text(s->e), text))
        fail_msg("'%s' is not in: %s", text, err_text(s->e));
}

#define TOKEN(text, life)                                                                          \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: "                            \
    "close\r\n\r\n{\"token\":\"" text "\",\"expires_in\":" life "}"

static inline char *wants_bearer(const struct scene *s)
{
    return xasprintf("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer "
                     "realm=\"http://%s/token\",service=\"lab\",scope=\"repository:team/"
                     "app:pull\"\r\nContent-Length: 0\r\n\r\n",
                     s->b.name);
}

static inline int scene_global_init(void **state)
{
    (void)state;
    http_global_init();
    (void)unsetenv("REGISTRY_AUTH_FILE");
    return setenv("HOME", "/nonexistent", 1) || setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tempdir_enter, tempdir_leave)
