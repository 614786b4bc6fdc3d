/* Requests on a loop: what is asked, what answers mean, limits, streams, and giving up. */
#include "kube/kube_io.h"

#include "fake_api.h"
#include "http.h"
#include "json.h"
#include "kube/kube_config.h"

#include <errno.h>
#include <unistd.h>

/* One server, one io, and what came back last. */
struct scene {
    struct event_base *base;
    struct fake fake;
    struct kube_config config;
    struct kube_io *io;
    size_t n_done, n_counted;
    int status, http_status;
    int64_t retry_after_ms;
    char reason[64], text[512], body[512];
    char sunk[256];
    /* What the server is to say. */
    const char *answer;
    bool closes;
    struct bufferevent *held[FAKE_CONNS];
    size_t n_held;
    char asked[4096]; /* the last request */
};

static void on_counted(void *arg, const char *method, int http_status)
{
    struct scene *s = arg;

    (void)method;
    (void)http_status;
    s->n_counted++;
}

static void on_done(void *arg, const struct kube_reply *reply)
{
    struct scene *s = arg;
    auto_free char *body = reply->body ? cJSON_PrintUnformatted(reply->body) : NULL;

    s->n_done++;
    s->status = reply->status;
    s->http_status = reply->http_status;
    s->retry_after_ms = reply->retry_after_ms;
    assert_int_equal(reply->err ? reply->err->status : 0, reply->status);
    (void)snprintf(s->reason, sizeof(s->reason), "%s", reply->reason);
    (void)snprintf(s->text, sizeof(s->text), "%s", reply->err ? reply->err->msg : "");
    (void)snprintf(s->body, sizeof(s->body), "%s", body ? body : "");
}

static void say(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;

    (void)snprintf(s->asked, sizeof(s->asked), "%s", r->head);
    fake_raw(r, s->answer);
    if (s->closes)
        fake_close(r);
}

static void hold(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;

    (void)snprintf(s->asked, sizeof(s->asked), "%s", r->head);
    s->held[s->n_held++] = r->conn;
}

static void begin(struct scene *s, void (*handle)(struct fake *f, struct fake_request *r),
                  unsigned max_requests)
{
    struct kube_io_options options = {.config = &s->config,
                                      .user_agent = "a-program/1",
                                      .max_requests = max_requests,
                                      .counted = on_counted,
                                      .arg = s};

    *s = (struct scene){.base = event_base_new()};
    fake_start(&s->fake, s->base, handle, s);
    s->config.server = xasprintf("%s/prefix/", s->fake.url);
    buf_init(&s->config.token.bytes, 1000);
    (void)buf_addstr(&s->config.token.bytes, "the-token");
    assert_int_equal(kube_io_new(s->base, &options, &s->io, NULL), 0);
}

static void end(struct scene *s)
{
    kube_io_free(s->io);
    fake_stop(&s->fake);
    kube_config_release(&s->config);
    event_base_free(s->base);
}

static void ask(struct scene *s, const struct kube_request *request)
{
    size_t before = s->n_done;

    (void)kube_io_send(s->io, request, on_done, s);
    assert_int_equal(s->n_done, before);
    loop_until(s->base, s->n_done == before + 1);
}

static void asks_as_told(void **state)
{
    static const struct {
        enum kube_content content;
        const char *header;
    } table[] = {
        {KUBE_JSON, "\r\nContent-Type: application/json\r\n"},
        {KUBE_MERGE_PATCH, "\r\nContent-Type: application/merge-patch+json\r\n"},
        {KUBE_JSON_PATCH, "\r\nContent-Type: application/json-patch+json\r\n"},
        {KUBE_APPLY, "\r\nContent-Type: application/apply-patch+yaml\r\n"},
    };
    struct scene s;
    auto_json cJSON *body = cJSON_Parse("{\"a\":[1]}");

    (void)state;
    begin(&s, say, 0);
    s.answer = "HTTP/1.1 201 Created\r\nContent-Length: 7\r\n\r\n{\"b\":2}";
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct kube_request r = {.method = "PATCH",
                                 .path = "/x/y?z=%20",
                                 .body = body,
                                 .content = table[i].content};

        ask(&s, &r);
        assert_int_equal(s.status, 0);
        assert_int_equal(s.http_status, 201);
        assert_string_equal(s.body, "{\"b\":2}");
        assert_int_equal(s.retry_after_ms, -1);
        assert_ptr_equal(strstr(s.asked, "PATCH /prefix/x/y?z=%20 HTTP/1.1\r\n"), s.asked);
        assert_non_null(strstr(s.asked, table[i].header));
        assert_non_null(strstr(s.asked, "\r\nAuthorization: Bearer the-token\r\n"));
        assert_non_null(strstr(s.asked, "\r\nUser-Agent: a-program/1\r\n"));
        assert_non_null(strstr(s.asked, "\r\n\r\n{\"a\":[1]}"));
    }
    ask(&s, &(struct kube_request){.method = "DELETE", .path = "/x", .text = "{\"c\":3}"});
    assert_ptr_equal(strstr(s.asked, "DELETE /prefix/x HTTP/1.1\r\n"), s.asked);
    assert_non_null(strstr(s.asked, "\r\n\r\n{\"c\":3}"));
    ask(&s, &(struct kube_request){.path = "/x"});
    assert_ptr_equal(strstr(s.asked, "GET /prefix/x HTTP/1.1\r\n"), s.asked);
    assert_null(strstr(s.asked, "Content-Type"));
    assert_int_equal(s.fake.n_connections, 1);
    assert_int_equal(s.n_counted, 6);
    end(&s);
}

static void says_what_answers_mean(void **state)
{
    static const struct {
        const char *answer;
        int status;
        const char *reason, *text;
        int64_t retry_after_ms;
    } table[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, "", "", -1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"a\":\"\\u0000\"}", 0, "", "", -1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", -EPROTO, "", "no JSON", -1},
        {"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", -EKEYREJECTED, "", "answered 401", -1},
        {"HTTP/1.1 403 No\r\nContent-Length: 22\r\n\r\n{\"reason\":\"Forbidden\"}", -EKEYREJECTED,
         "Forbidden", "answered 403 Forbidden", -1},
        {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", -ENOENT, "", "answered 404", -1},
        {"HTTP/1.1 409 No\r\nContent-Length: 26\r\n\r\n{\"reason\":\"AlreadyExists\"}", -EEXIST,
         "AlreadyExists", "answered 409 AlreadyExists", -1},
        {"HTTP/1.1 409 No\r\nContent-Length: 21\r\n\r\n{\"reason\":\"Conflict\"}", -EAGAIN,
         "Conflict", "answered 409 Conflict", -1},
        {"HTTP/1.1 410 No\r\nContent-Length: 0\r\n\r\n", -ESTALE, "", "answered 410", -1},
        {"HTTP/1.1 429 No\r\nRetry-After: 3\r\nContent-Length: 5\r\n\r\nslow\n", -EBUSY, "",
         "answered 429: slow", 3000},
        {"HTTP/1.1 503 No\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n", -EBUSY, "",
         "answered 503", 3600000},
        {"HTTP/1.1 503 No\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", -EBUSY, "",
         "answered 503", -1},
        {"HTTP/1.1 504 No\r\nContent-Length: 0\r\n\r\n", -ETIMEDOUT, "", "answered 504", -1},
        {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", -EREMOTEIO, "", "answered 500", -1},
        {"HTTP/1.1 302 No\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", -EREMOTEIO, "",
         "answered 302", -1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"a\":", -EHOSTUNREACH, "", "broke", -1},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":", -EHOSTUNREACH, "",
         "broke", -1},
        {"garbage\r\n", -EPROTO, "", "no HTTP", -1},
        {"", -EHOSTUNREACH, "", "broke", -1},
    };
    struct scene s;

    (void)state;
    begin(&s, say, 0);
    s.closes = true;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        s.answer = table[i].answer;
        ask(&s, &(struct kube_request){.path = "/x"});
        if (s.status != table[i].status || !strstr(s.text, table[i].text))
            fail_msg("%zu: %d '%s'", i, s.status, s.text);
        assert_string_equal(s.reason, table[i].reason);
        assert_int_equal(s.retry_after_ms, table[i].retry_after_ms);
        assert_null(strstr(s.text, "the-token"));
    }
    s.answer = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789";
    ask(&s, &(struct kube_request){.path = "/x", .max_body = 19});
    assert_int_equal(s.status, -EFBIG);
    ask(&s, &(struct kube_request){.path = "no path\n"});
    assert_int_equal(s.status, -EINVAL);
    fake_stop(&s.fake);
    ask(&s, &(struct kube_request){.path = "/x"});
    assert_int_equal(s.status, -EHOSTUNREACH);
    assert_int_equal(s.http_status, 0);
    end(&s);
}

static void waits_no_longer_than_asked(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, hold, 1);
    ask(&s, &(struct kube_request){.path = "/x", .timeout_ms = 100});
    assert_int_equal(s.status, -ETIMEDOUT);
    assert_non_null(strstr(s.text, "did not answer in 100 ms"));
    /* The second is not sent before its time is over, since only one may be under way. */
    (void)kube_io_send(s.io, &(struct kube_request){.path = "/x", .timeout_ms = 200}, on_done, &s);
    (void)kube_io_send(s.io, &(struct kube_request){.path = "/y", .timeout_ms = 100}, on_done, &s);
    assert_int_equal(kube_io_pending(s.io), 2);
    loop_until(s.base, s.n_done == 3);
    assert_int_equal(s.status, -ETIMEDOUT);
    assert_non_null(strstr(s.text, "was not asked"));
    assert_int_equal(s.fake.n_requests, 2);
    assert_int_equal(kube_io_pending(s.io), 0);
    end(&s);
}

static void bounds_what_is_under_way(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, hold, 4);
    for (size_t i = 0; i < 20; i++)
        (void)kube_io_send(s.io, &(struct kube_request){.path = "/x"}, on_done, &s);
    loop_until(s.base, s.n_held == 4);
    loop_for_ms(s.base, 50);
    assert_int_equal(s.n_held, 4);
    (void)kube_io_send(s.io, &(struct kube_request){.path = "/urgent", .is_urgent = true}, on_done,
                       &s);
    loop_until(s.base, s.n_held == 5);
    assert_non_null(strstr(s.asked, "/urgent"));
    assert_int_equal(kube_io_pending(s.io), 21);
    for (size_t i = 0; i < 21; i++) {
        static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

        loop_until(s.base, s.n_held > i);
        (void)bufferevent_write(s.held[i], ok, sizeof(ok) - 1);
        loop_until(s.base, s.n_done == i + 1);
        assert_int_equal(s.status, 0);
    }
    assert_int_equal(s.fake.n_connections, 5);
    end(&s);
}

/* --- tokens --- */

static void refuse_the_old(struct fake *f, struct fake_request *r)
{
    bool is_new = strstr(r->head, "Bearer new-token\r\n");

    (void)f;
    fake_answer(r, is_new ? 200 : 401, "", is_new ? "{}" : "{\"reason\":\"Unauthorized\"}");
}

static void write_token(const char *path, const char *token)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    (void)fprintf(file, "%s\n", token);
    (void)fclose(file);
}

static void reads_a_token_again_after_401(void **state)
{
    char path[] = "/tmp/flatnet-token.XXXXXX";
    int fd = mkstemp(path);
    struct scene s;

    (void)state;
    begin(&s, refuse_the_old, 0);
    s.config.token.file = xstrdup(path);
    write_token(path, "other-token");
    ask(&s, &(struct kube_request){.path = "/x"});
    assert_int_equal(s.status, -EKEYREJECTED);
    assert_int_equal(s.fake.n_requests, 2);
    write_token(path, "new-token");
    ask(&s, &(struct kube_request){.path = "/x", .method = "POST", .text = "{}"});
    assert_int_equal(s.status, 0);
    ask(&s, &(struct kube_request){.path = "/x"});
    assert_int_equal(s.status, 0);
    assert_int_equal(s.fake.n_requests, 5);
    end(&s);
    (void)close(fd);
    (void)unlink(path);
}

static void reads_a_token_again_in_time(void **state)
{
    char path[] = "/tmp/flatnet-token.XXXXXX";
    int fd = mkstemp(path);
    struct scene s;
    struct kube_io_options options = {.config = &s.config, .user_agent = "a", .reload_ms = 20};

    (void)state;
    begin(&s, refuse_the_old, 0);
    kube_io_free(s.io);
    s.config.token.file = xstrdup(path);
    write_token(path, "new-token");
    assert_int_equal(kube_io_new(s.base, &options, &s.io, NULL), 0);
    loop_until(s.base, strstr(s.config.token.bytes.data, "new-token"));
    ask(&s, &(struct kube_request){.path = "/x"});
    assert_int_equal(s.status, 0);
    assert_int_equal(s.fake.n_requests, 1);
    end(&s);
    (void)close(fd);
    (void)unlink(path);
}

/* --- streams --- */

static int sink(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct scene *s = arg;
    size_t have = strlen(s->sunk);

    if (memchr(bytes, '!', len))
        return err_set(e, -EBADMSG, "not liked");
    (void)snprintf(s->sunk + have, sizeof(s->sunk) - have, "%.*s", (int)len, (const char *)bytes);
    return 0;
}

static void stream(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;

    fake_begin_stream(r);
    s->held[s->n_held++] = r->conn;
}

static void gives_a_stream_as_it_comes(void **state)
{
    struct kube_request request = {.path = "/watch", .sink = sink};
    struct scene s;

    (void)state;
    begin(&s, stream, 1);
    request.sink_arg = &s;
    (void)kube_io_send(s.io, &request, on_done, &s);
    loop_until(s.base, s.n_held == 1);
    fake_chunk(s.held[0], "one ");
    loop_until(s.base, !strcmp(s.sunk, "one "));
    fake_chunk(s.held[0], "two");
    loop_until(s.base, !strcmp(s.sunk, "one two"));
    fake_end_stream(s.held[0]);
    loop_until(s.base, s.n_done == 1);
    assert_int_equal(s.status, 0);

    (void)kube_io_send(s.io, &request, on_done, &s);
    loop_until(s.base, s.n_held == 2);
    fake_chunk(s.held[1], "three!");
    loop_until(s.base, s.n_done == 2);
    assert_int_equal(s.status, -EBADMSG);
    assert_string_equal(s.text, "not liked");

    request.idle_timeout_ms = 500;
    (void)kube_io_send(s.io, &request, on_done, &s);
    loop_until(s.base, s.n_held == 3);
    loop_for_ms(s.base, 300);
    fake_chunk(s.held[2], "four");
    loop_for_ms(s.base, 300);
    assert_int_equal(s.n_done, 2);
    loop_until(s.base, s.n_done == 3);
    assert_int_equal(s.status, -EHOSTUNREACH);
    assert_non_null(strstr(s.text, "fell silent"));

    request.idle_timeout_ms = 0;
    request.timeout_ms = 100;
    (void)kube_io_send(s.io, &request, on_done, &s);
    loop_until(s.base, s.n_done == 4);
    assert_int_equal(s.status, -ETIMEDOUT);
    end(&s);
}

static void does_not_stream_a_refusal(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, say, 0);
    s.answer = "HTTP/1.1 410 Gone\r\nContent-Length: 20\r\n\r\n{\"reason\":\"Expired\"}";
    ask(&s, &(struct kube_request){.path = "/watch", .sink = sink, .sink_arg = &s});
    assert_int_equal(s.status, -ESTALE);
    assert_string_equal(s.reason, "Expired");
    assert_string_equal(s.sunk, "");
    end(&s);
}

/* --- giving up --- */

static struct kube_call *own_call;

static int sink_that_cancels(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct scene *s = arg;

    (void)bytes;
    (void)len;
    (void)e;
    s->sunk[0] = 'x';
    kube_call_cancel(own_call);
    (void)kube_io_send(s->io, &(struct kube_request){.path = "/next"}, on_done, s);
    return 0;
}

static void stream_or_answer(struct fake *f, struct fake_request *r)
{
    if (strstr(r->path, "/next"))
        fake_answer(r, 200, "", "{}");
    else
        stream(f, r);
}

static void cancels_from_anywhere(void **state)
{
    struct scene s;
    struct kube_call *waiting, *running;

    (void)state;
    begin(&s, stream_or_answer, 1);
    running = kube_io_send(s.io, &(struct kube_request){.path = "/x"}, on_done, &s);
    waiting = kube_io_send(s.io, &(struct kube_request){.path = "/y"}, on_done, &s);
    loop_until(s.base, s.n_held == 1);
    kube_call_cancel(waiting);
    kube_call_cancel(running);
    kube_call_cancel(running);
    kube_call_cancel(NULL);
    loop_until(s.base, kube_io_pending(s.io) == 0);

    own_call = kube_io_send(
        s.io, &(struct kube_request){.path = "/w", .sink = sink_that_cancels, .sink_arg = &s},
        on_done, &s);
    loop_until(s.base, s.n_held == 2);
    fake_chunk(s.held[1], "a");
    fake_chunk(s.held[1], "b");
    loop_until(s.base, s.n_done == 1);
    assert_int_equal(s.status, 0);
    assert_int_equal(s.sunk[0], 'x');
    loop_for_ms(s.base, 20);
    assert_int_equal(s.n_done, 1);
    end(&s);
}

static void is_freed_in_the_middle(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, stream, 2);
    for (size_t i = 0; i < 5; i++)
        (void)kube_io_send(s.io, &(struct kube_request){.path = "/x", .text = "{}"}, on_done, &s);
    (void)kube_io_send(s.io, &(struct kube_request){.path = "/w", .sink = sink, .sink_arg = &s},
                       on_done, &s);
    loop_until(s.base, s.n_held == 3);
    end(&s);
    assert_int_equal(s.n_done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_as_told),
        cmocka_unit_test(says_what_answers_mean),
        cmocka_unit_test(waits_no_longer_than_asked),
        cmocka_unit_test(bounds_what_is_under_way),
        cmocka_unit_test(reads_a_token_again_after_401),
        cmocka_unit_test(reads_a_token_again_in_time),
        cmocka_unit_test(gives_a_stream_as_it_comes),
        cmocka_unit_test(does_not_stream_a_refusal),
        cmocka_unit_test(cancels_from_anywhere),
        cmocka_unit_test(is_freed_in_the_middle),
    };

    http_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
