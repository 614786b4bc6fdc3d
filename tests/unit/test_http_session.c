/* Sessions in files: what counts, and what real connections do with it. The server runs in a child.
 */
#include "http_session.h"

#include "buf.h"
#include "fs.h"
#include "http.h"
#include "http_server.h"
#include "log.h"
#include "mem.h"
#include "tempdir.h"
#include "webhook_cert.h"

#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define NAME "hook.kube-system.svc"
#define FOLDER "keep/tls"

static char ours[DIGEST_SIZE], other[DIGEST_SIZE];

/* --- the bytes --- */

static void use_pair(SSL_CTX *ctx, const struct webhook_cert *pair)
{
    BIO *cert = BIO_new_mem_buf(pair->cert_pem, -1), *key = BIO_new_mem_buf(pair->key_pem, -1);
    X509 *x = PEM_read_bio_X509(cert, NULL, NULL, NULL);
    EVP_PKEY *k = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);

    assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, k), 1);
    X509_free(x);
    EVP_PKEY_free(k);
    BIO_free(cert);
    BIO_free(key);
}

/* What a client has after a handshake with whoever holds the pair. */
static SSL_SESSION *session_with(const struct webhook_cert *pair)
{
    SSL_CTX *ctxs[] = {SSL_CTX_new(TLS_client_method()), SSL_CTX_new(TLS_server_method())};
    SSL *client = SSL_new(ctxs[0]), *server;
    BIO *near, *far;
    SSL_SESSION *session;
    char byte;

    use_pair(ctxs[1], pair);
    server = SSL_new(ctxs[1]);
    assert_int_equal(BIO_new_bio_pair(&near, 0, &far, 0), 1);
    SSL_set_bio(client, near, near);
    SSL_set_bio(server, far, far);
    for (int i = 0; i < 10; i++) {
        (void)SSL_connect(client);
        (void)SSL_accept(server);
    }
    (void)SSL_read(client, &byte, 1); /* takes in the tickets */
    session = SSL_get1_session(client);
    assert_true(SSL_SESSION_is_resumable(session));
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(ctxs[0]);
    SSL_CTX_free(ctxs[1]);
    return session;
}

static bool counts(SSL_SESSION *session, const char *identity)
{
    auto_buf struct buf bytes;
    SSL_SESSION *parsed;

    buf_init(&bytes, HTTP_SESSION_MAX);
    assert_int_equal(http_session_print(session, ours, &bytes), 0);
    parsed = http_session_parse(bytes.data, bytes.len, identity);
    SSL_SESSION_free(parsed);
    return parsed != NULL;
}

static void what_counts(void **state)
{
    auto_webhook_cert struct webhook_cert pair, old;
    long now = (long)time(NULL);
    SSL_SESSION *session;

    (void)state;
    assert_int_equal(webhook_cert_make("hook", "kube-system", now, &pair, NULL), 0);
    assert_int_equal(webhook_cert_make("hook", "kube-system", now - 400 * 86400, &old, NULL), 0);
    session = session_with(&pair);
    assert_true(counts(session, ours));
    assert_false(counts(session, other));
    (void)SSL_SESSION_set_time(session, now - 3000);
    assert_true(counts(session, ours));
    (void)SSL_SESSION_set_time(session, now - 3601);
    assert_false(counts(session, ours));
    (void)SSL_SESSION_set_time(session, now + 600);
    assert_false(counts(session, ours));
    (void)SSL_SESSION_set_time(session, now - 1000);
    (void)SSL_SESSION_set_timeout(session, 900);
    assert_false(counts(session, ours));
    SSL_SESSION_free(session);
    session = session_with(&old);
    assert_false(counts(session, ours));
    SSL_SESSION_free(session);
}

static void each_byte_counts(void **state)
{
    auto_webhook_cert struct webhook_cert pair;
    auto_buf struct buf bytes;
    SSL_SESSION *session;

    (void)state;
    assert_int_equal(webhook_cert_make("hook", "kube-system", time(NULL), &pair, NULL), 0);
    session = session_with(&pair);
    buf_init(&bytes, HTTP_SESSION_MAX);
    assert_int_equal(http_session_print(session, ours, &bytes), 0);
    SSL_SESSION_free(session);
    for (size_t i = 0; i < bytes.len; i++) {
        assert_null(http_session_parse(bytes.data, i, ours));
        bytes.data[i] ^= 1;
        assert_null(http_session_parse(bytes.data, bytes.len, ours));
        bytes.data[i] ^= 1;
    }
}

/* --- connections --- */

struct scene {
    struct event_base *base;
    struct http_server *server;
    struct webhook_cert first, second;
    pid_t child;
    uint16_t port;
    char kept[128]; /* the file */
};

static void change(const struct scene *s, const struct webhook_cert *pair)
{
    assert_int_equal(http_server_set_certificate(s->server, pair->cert_pem, pair->key_pem, NULL),
                     0);
}

/* The same certificate, but the server cannot read the tickets that it gave before. */
static void on_forget(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    const struct scene *s = arg;

    (void)body;
    (void)len;
    (void)reply;
    change(s, &s->first);
}

/* Somebody else is there now, with a certificate of another CA. */
static void on_other(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    const struct scene *s = arg;

    (void)body;
    (void)len;
    (void)reply;
    change(s, &s->second);
}

static int setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof(*s));
    struct http_server_options options = {.listen = "127.0.0.1:0"};

    assert_int_equal(tempdir_enter(state), 0);
    http_global_init();
    assert_int_equal(webhook_cert_make("hook", "kube-system", time(NULL), &s->first, NULL), 0);
    assert_int_equal(webhook_cert_make("hook", "kube-system", time(NULL), &s->second, NULL), 0);
    s->base = options.base = event_base_new();
    options.cert_pem = s->first.cert_pem;
    options.key_pem = s->first.key_pem;
    assert_int_equal(http_server_new(&options, &s->server, NULL), 0);
    http_server_route(s->server, HTTP_GET, "/", http_server_ok, NULL);
    http_server_route(s->server, HTTP_GET, "/forget", on_forget, s);
    http_server_route(s->server, HTTP_GET, "/other", on_other, s);
    s->port = http_server_port(s->server);
    (void)snprintf(s->kept, sizeof(s->kept), FOLDER "/%s", digest_hex(ours));
    s->child = fork();
    if (!s->child) {
        (void)event_reinit(s->base);
        (void)event_base_dispatch(s->base);
        _exit(1);
    }
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    (void)kill(s->child, SIGKILL);
    (void)waitpid(s->child, NULL, 0);
    http_server_free(s->server);
    event_base_free(s->base);
    webhook_cert_release(&s->first);
    webhook_cert_release(&s->second);
    free(s);
    return tempdir_leave(state);
}

static int last_resumed;

static void on_line(enum log_level level, const char *text)
{
    const char *at = strstr(text, "resumed=");

    (void)level;
    if (at)
        last_resumed = at[8] - '0';
}

/* One program's request: 1 it began with a session, 0 it made one, or the network's fault, below 0.
 */
static int ask_as(const struct scene *s, const char *path, const char *ca, const char *identity)
{
    struct http_session *session = http_session_new(FOLDER, identity);
    auto_buf struct buf pem;
    struct http_tls tls = {.ca_pem = &pem, .session = session};
    auto_free char *url = xasprintf("https://" NAME "%s", path);
    auto_free char *peer = xasprintf("127.0.0.1:%u", s->port);
    struct http_request req = {.url = url, .connect_to = peer, .tls = &tls};
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    struct http *h = http_new();
    int r;

    buf_init(&pem, 1 << 16);
    (void)buf_addstr(&pem, ca);
    last_resumed = -100;
    log_set_level(LOG_DEBUG);
    log_set_sink(on_line);
    r = http_do(h, &req, &resp, NULL);
    log_set_sink(NULL);
    log_set_level(LOG_INFO);
    http_free(h);
    http_session_free(session);
    if (r < 0)
        return -(int)resp.fault;
    assert_int_equal(resp.status, 200);
    return last_resumed;
}

static int ask(const struct scene *s, const char *path)
{
    return ask_as(s, path, s->first.ca_pem, ours);
}

static void the_next_program_resumes(void **state)
{
    const struct scene *s = *state;
    struct stat before, after, folder;

    assert_int_equal(ask(s, "/"), 0);
    assert_int_equal(stat(s->kept, &before), 0);
    assert_int_equal(before.st_mode & 07777, 0600);
    assert_int_equal(stat(FOLDER, &folder), 0);
    assert_int_equal(folder.st_mode & 07777, 0700);
    assert_int_equal(ask(s, "/"), 1);
    assert_int_equal(ask(s, "/"), 1);
    assert_int_equal(ask_as(s, "/", s->first.ca_pem, other), 0);
    /* A resumed connection prolongs nothing. */
    assert_int_equal(stat(s->kept, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void make_public(const struct scene *s)
{
    assert_int_equal(chmod(s->kept, 0640), 0);
}

static void make_foreign(const struct scene *s)
{
    assert_int_equal(chown(s->kept, 12345, (gid_t)-1), 0);
}

static void make_link(const struct scene *s)
{
    assert_int_equal(rename(s->kept, "elsewhere"), 0);
    assert_int_equal(symlink("../../elsewhere", s->kept), 0);
}

static void make_fifo(const struct scene *s)
{
    assert_int_equal(unlink(s->kept), 0);
    assert_int_equal(mkfifo(s->kept, 0600), 0);
}

static void make_long(const struct scene *s)
{
    assert_int_equal(truncate(s->kept, 1 << 20), 0);
}

static void make_of_another(const struct scene *s)
{
    auto_free char *path = xasprintf(FOLDER "/%s", digest_hex(other));

    assert_int_equal(ask_as(s, "/", s->first.ca_pem, other), 0);
    assert_int_equal(rename(path, s->kept), 0);
}

static void a_file_that_is_not_right_does_not_count(void **state)
{
    static void (*const damages[])(const struct scene *s) = {make_public,     make_link,
                                                             make_fifo,       make_long,
                                                             make_of_another, make_foreign};
    const struct scene *s = *state;
    size_t n = sizeof(damages) / sizeof(*damages) - (geteuid() != 0);
    struct stat st;

    for (size_t i = 0; i < n; i++) {
        assert_true(ask(s, "/") >= 0);
        assert_int_equal(ask(s, "/"), 1);
        damages[i](s);
        assert_int_equal(ask(s, "/"), 0);
        assert_int_equal(lstat(s->kept, &st), 0);
        assert_true(S_ISREG(st.st_mode));
    }
}

static void a_folder_that_others_may_use_does_not_count(void **state)
{
    const struct scene *s = *state;
    struct stat before, after;

    assert_int_equal(ask(s, "/"), 0);
    assert_int_equal(stat(s->kept, &before), 0);
    assert_int_equal(chmod(FOLDER, 0755), 0);
    assert_int_equal(ask(s, "/"), 0);
    assert_int_equal(stat(s->kept, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void a_session_that_the_server_does_not_take(void **state)
{
    const struct scene *s = *state;

    assert_int_equal(ask(s, "/forget"), 0);
    assert_int_equal(ask(s, "/"), 0);
    assert_int_equal(ask(s, "/"), 1);
}

static void a_session_vouches_for_nobody_else(void **state)
{
    const struct scene *s = *state;

    assert_int_equal(ask(s, "/other"), 0);
    assert_int_equal(ask(s, "/"), -HTTP_TLS_UNTRUSTED);
    assert_int_equal(ask(s, "/"), -HTTP_TLS_UNTRUSTED);
    assert_int_equal(ask_as(s, "/", s->second.ca_pem, other), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_counts),
        cmocka_unit_test(each_byte_counts),
        cmocka_unit_test_setup_teardown(the_next_program_resumes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_not_right_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_others_may_use_does_not_count, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_session_that_the_server_does_not_take, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_vouches_for_nobody_else, setup, teardown),
    };

    hash_digest("ours", 4, ours);
    hash_digest("other", 5, other);
    return cmocka_run_group_tests_name("http_session", tests, NULL, NULL);
}
