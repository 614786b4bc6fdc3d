/* The informer against a server that keeps to a script: each request is expected, each answer given
 * word for word. */
#include "kube/kube_informer.h"

#include "fake_api.h"
#include "http.h"
#include "json.h"
#include "kube/kube_config.h"

#include <errno.h>
#include <malloc.h>

#define LOG_MAX 8192

enum step_end { STEP_WHOLE, STEP_OPEN, STEP_END, STEP_CUT };

/* A request whose path has this in it gets this. */
struct step {
    const char *path;
    int status; /* 0: a stream of `body` */
    const char *headers;
    const char *body;
    enum step_end end; /* of the stream: it stays open, ends well, breaks */
};

struct scene {
    struct event_base *base;
    struct fake fake;
    struct kube_config config;
    struct kube_io *io;
    struct kube_informer *inf;
    const struct step *steps;
    size_t n_steps, n_failed, n_synced;
    struct bufferevent *open; /* of the last stream */
    struct buf log;
    char failure[300];
};

static void play(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;
    const struct step *step = &s->steps[r->nth];

    if (r->nth >= s->n_steps)
        fail_msg("nobody expected %s", r->path);
    if (!strstr(r->path, step->path))
        fail_msg("request %zu is for '%s' and not '%s'", r->nth, r->path, step->path);
    if (step->status) {
        fake_answer(r, step->status, step->headers, step->body);
        return;
    }
    fake_begin_stream(r);
    if (*step->body)
        fake_chunk(r->conn, step->body);
    s->open = r->conn;
    if (step->end == STEP_END)
        fake_end_stream(r->conn);
    if (step->end == STEP_CUT)
        fake_close(r);
}

/* --- what the informer calls --- */

/* Objects are worth their "v"; those without are not interesting. */
static void *parse(void *arg, const cJSON *object)
{
    (void)arg;
    return xstrdup(json_get_str(object, "v"));
}

static void changed(void *arg, const char *key, const void *before, const void *now)
{
    struct scene *s = arg;
    const char *stored = kube_informer_get(s->inf, key);

    assert_true(now ? stored && !strcmp(stored, now) : !stored);
    (void)buf_addf(&s->log, "%s %s>%s;", key, before ? (const char *)before : "",
                   now ? (const char *)now : "");
}

static void synced(void *arg)
{
    struct scene *s = arg;

    assert_true(kube_informer_has_synced(s->inf));
    s->n_synced++;
    (void)buf_addstr(&s->log, "synced;");
}

static void failed(void *arg, const struct err *e)
{
    struct scene *s = arg;

    s->n_failed++;
    (void)snprintf(s->failure, sizeof(s->failure), "%s", err_text(e));
}

static const struct kube_informer_ops ops = {.parse = parse,
                                             .changed = changed,
                                             .synced = synced,
                                             .failed = failed};

static void begin_without(struct scene *s, const struct step *steps, size_t n)
{
    *s = (struct scene){.base = event_base_new(), .steps = steps, .n_steps = n};
    fake_start(&s->fake, s->base, play, s);
    s->config.server = xstrdup(s->fake.url);
    buf_init(&s->log, LOG_MAX);
    assert_int_equal(kube_io_new(s->base,
                                 &(struct kube_io_options){.config = &s->config, .user_agent = "a"},
                                 &s->io, NULL),
                     0);
}

static void begin(struct scene *s, const struct step *steps, size_t n)
{
    begin_without(s, steps, n);
    s->inf = kube_informer_new(s->io, &(struct kube_informer_options){.path = "/api/v1/things",
                                                                      .query = "labelSelector=a",
                                                                      .ops = &ops,
                                                                      .arg = s,
                                                                      .page_size = 2,
                                                                      .watch_timeout_s = 7,
                                                                      .backoff_ms = 20,
                                                                      .backoff_max_ms = 50});
}

static void end(struct scene *s)
{
    kube_informer_free(s->inf);
    kube_io_free(s->io);
    fake_stop(&s->fake);
    kube_config_release(&s->config);
    buf_release(&s->log);
    event_base_free(s->base);
}

/* Waits until the log is this. */
static void expect(struct scene *s, const char *log)
{
    loop_until(s->base, s->log.len >= strlen(log));
    assert_string_equal(s->log.data, log);
    buf_clear(&s->log);
}

#define ANSWER_WITH(p, s, h, b)                                                                    \
    {                                                                                              \
        .path = p, .status = s, .headers = h, .body = b                                            \
    }
#define ANSWER(p, s, b) ANSWER_WITH(p, s, "", b)
#define STREAM(p, b, e)                                                                            \
    {                                                                                              \
        .path = p, .body = b, .end = e                                                             \
    }

#define STEPS(...)                                                                                 \
    static const struct step steps[] = {__VA_ARGS__};                                              \
    struct scene s;                                                                                \
    (void)state;                                                                                   \
    begin(&s, steps, sizeof(steps) / sizeof(steps[0]))

#define OBJECT(name, uid, version, v)                                                              \
    "{\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"uid\":\"" uid                      \
    "\",\"resourceVersion\":\"" version "\"},\"v\":\"" v "\"}"
#define LIST(version, items)                                                                       \
    "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"
#define PAGE(version, next, items)                                                                 \
    "{\"metadata\":{\"resourceVersion\":\"" version "\",\"continue\":\"" next                      \
    "\"},\"items\":[" items "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define BOOKMARK(version) EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" version "\"}}")
#define EXPIRED "{\"kind\":\"Status\",\"reason\":\"Expired\",\"code\":410}"
#define FIRST "things?limit=2&resourceVersion=0&labelSelector=a"

/* --- list and watch --- */

static void reads_pages_and_follows(void **state)
{
    STEPS(ANSWER(FIRST, 200,
                 PAGE("5", "t/1", OBJECT("a", "A", "1", "1") "," OBJECT("b", "B", "2", "1"))),
          ANSWER("things?limit=2&continue=t%2F1&labelSelector=a", 200,
                 LIST("5", "{\"metadata\":{\"name\":\"c\",\"uid\":\"C\",\"resourceVersion\":\"3\"},"
                           "\"v\":\"1\"}")),
          STREAM("things?watch=true&allowWatchBookmarks=true&timeoutSeconds=7&resourceVersion=5&"
                 "labelSelector=a",
                 "", STEP_OPEN),
          STREAM("&resourceVersion=9&", "", STEP_OPEN));

    assert_false(kube_informer_has_synced(s.inf));
    expect(&s, "n/a >1;n/b >1;c >1;synced;");
    assert_int_equal(kube_informer_count(s.inf), 3);
    loop_until(s.base, s.open);
    fake_chunk(s.open, EVENT("MODIFIED", OBJECT("a", "A", "6", "2"))
                           EVENT("ADDED", OBJECT("d", "D", "7", "1")));
    expect(&s, "n/a 1>2;n/d >1;");
    fake_chunk(s.open, EVENT("DELETED", OBJECT("b", "B", "8", "1")) EVENT("LATER", "{}"));
    expect(&s, "n/b 1>;");
    fake_chunk(s.open, BOOKMARK("9"));
    fake_end_stream(s.open);
    loop_until(s.base, s.fake.n_requests == 4);
    assert_null(kube_informer_get(s.inf, "n/b"));
    assert_string_equal(kube_informer_get(s.inf, "c"), "1");
    assert_int_equal(s.n_failed, 0);
    end(&s);
}

static void tells_a_new_object_of_the_same_name(void **state)
{
    STEPS(ANSWER(FIRST, 200, LIST("5", OBJECT("a", "A", "1", "1") "," OBJECT("b", "B", "2", "1"))),
          STREAM("&resourceVersion=5&",
                 EVENT("MODIFIED", OBJECT("a", "A2", "6", "2")) EVENT("ERROR", EXPIRED), STEP_END),
          ANSWER("things?resourceVersion=6&labelSelector=a", 200,
                 LIST("9", OBJECT("a", "A2", "6", "2") "," OBJECT("b", "B2", "8", "1"))),
          STREAM("&resourceVersion=9&",
                 EVENT("DELETED", OBJECT("b", "B", "10", "1")) BOOKMARK("11"), STEP_END),
          STREAM("&resourceVersion=11&", "", STEP_OPEN));

    expect(&s, "n/a >1;n/b >1;synced;n/a 1>;n/a >2;n/b 1>;n/b >1;");
    loop_until(s.base, s.fake.n_requests == 5);
    assert_int_equal(s.log.len, 0);
    assert_int_equal(kube_informer_count(s.inf), 2);
    end(&s);
}

static void takes_what_is_not_interesting_for_absent(void **state)
{
    static const char plain[] = "{\"metadata\":{\"namespace\":\"n\",\"name\":\"a\",\"uid\":\"A\","
                                "\"resourceVersion\":\"7\"}}";
    auto_free char *event = xasprintf("{\"type\":\"MODIFIED\",\"object\":%s}\n", plain);

    STEPS(ANSWER(FIRST, 200, LIST("5", OBJECT("a", "A", "1", "1"))),
          STREAM("&resourceVersion=5&", "", STEP_OPEN));

    loop_until(s.base, s.open);
    fake_chunk(s.open, event);
    expect(&s, "n/a >1;synced;n/a 1>;");
    fake_chunk(s.open, event);
    fake_chunk(s.open, EVENT("MODIFIED", OBJECT("a", "A", "8", "3")));
    expect(&s, "n/a >3;");
    end(&s);
}

static void tells_what_vanished(void **state)
{
    STEPS(ANSWER(FIRST, 200, LIST("5", OBJECT("a", "A", "1", "1") "," OBJECT("b", "B", "2", "1"))),
          ANSWER("&resourceVersion=5&", 410, EXPIRED),
          ANSWER("things?resourceVersion=5&labelSelector=a", 410, EXPIRED),
          ANSWER("things?limit=2&resourceVersion=&labelSelector=a", 200,
                 PAGE("30", "x", OBJECT("b", "B", "2", "1"))),
          ANSWER("continue=x", 200, LIST("30", OBJECT("c", "C", "29", "1"))),
          STREAM("&resourceVersion=30&", "", STEP_OPEN));

    expect(&s, "n/a >1;n/b >1;synced;n/c >1;n/a 1>;");
    loop_until(s.base, s.fake.n_requests == 6);
    assert_int_equal(s.n_synced, 1);
    end(&s);
}

static void asks_etcd_where_the_cache_lags_behind(void **state)
{
    STEPS(ANSWER(FIRST, 200, LIST("5", "")), ANSWER("&resourceVersion=5&", 410, EXPIRED),
          ANSWER("things?resourceVersion=5&", 504,
                 "{\"reason\":\"Timeout\",\"details\":{\"causes\":[{\"reason\":"
                 "\"ResourceVersionTooLarge\"}]}}"),
          ANSWER("things?limit=2&resourceVersion=&", 200, LIST("6", "")),
          STREAM("&resourceVersion=6&", "", STEP_OPEN));

    loop_until(s.base, s.fake.n_requests == 5);
    end(&s);
}

/* Before and after an upgrade of the server. */
static void goes_over_to_the_other_version(void **state)
{
    static const struct step steps[] = {ANSWER("/v2/things?", 404, "{}"),
                                        ANSWER("/v1/things?", 200,
                                               LIST("5", OBJECT("a", "A", "1", "1"))),
                                        ANSWER("/v1/things?watch=true", 404, "{}"),
                                        ANSWER("/v1/things?", 404, "{}"),
                                        ANSWER("/v2/things?", 200,
                                               LIST("8", OBJECT("a", "A", "7", "2"))),
                                        STREAM("/v2/things?watch=true", "", STEP_OPEN)};
    struct scene s;

    (void)state;
    begin_without(&s, steps, sizeof(steps) / sizeof(steps[0]));
    s.inf = kube_informer_new(s.io, &(struct kube_informer_options){.path = "/api/v2/things",
                                                                    .other_path = "/api/v1/things",
                                                                    .ops = &ops,
                                                                    .arg = &s,
                                                                    .backoff_ms = 1});
    expect(&s, "n/a >1;synced;n/a 1>2;");
    loop_until(s.base, s.open);
    assert_int_equal(s.n_failed, 1);
    end(&s);
}

static void reads_all_at_once_after_a_late_page(void **state)
{
    STEPS(ANSWER(FIRST, 200, PAGE("5", "t", OBJECT("a", "A", "1", "1"))),
          ANSWER("continue=t", 410, EXPIRED),
          ANSWER("things?resourceVersion=0&labelSelector=a", 200,
                 LIST("8", OBJECT("b", "B", "6", "1") "," OBJECT("c", "C", "7", "1"))),
          STREAM("&resourceVersion=8&", EVENT("ERROR", EXPIRED), STEP_END),
          ANSWER("things?resourceVersion=8&", 200, LIST("8", "")),
          STREAM("&resourceVersion=8&", "", STEP_OPEN));

    expect(&s, "n/a >1;n/b >1;n/c >1;n/a 1>;synced;n/b 1>;n/c 1>;");
    loop_until(s.base, s.fake.n_requests == 6);
    end(&s);
}

/* --- failures --- */

static void keeps_its_version_through_failures(void **state)
{
    STEPS(ANSWER(FIRST, 500, "{}"), ANSWER(FIRST, 200, LIST("5", OBJECT("a", "A", "1", "1"))),
          ANSWER_WITH("&resourceVersion=5&", 429, "Retry-After: 1\r\n", "{}"),
          ANSWER("&resourceVersion=5&", 503, "{}"),
          STREAM("&resourceVersion=5&",
                 EVENT("MODIFIED", OBJECT("a", "A", "6", "2")) "{\"type\":", STEP_CUT),
          STREAM("&resourceVersion=6&", EVENT("ERROR", "{\"code\":429}"), STEP_END),
          STREAM("&resourceVersion=6&", "", STEP_END),
          STREAM("&resourceVersion=6&", "", STEP_OPEN));

    loop_until(s.base, s.n_failed == 2);
    assert_non_null(strstr(s.failure, "429"));
    loop_for_ms(s.base, 500);
    assert_int_equal(s.fake.n_requests, 3);
    loop_until(s.base, s.fake.n_requests == 8);
    assert_int_equal(s.n_failed, 6);
    assert_non_null(strstr(s.failure, "at once"));
    expect(&s, "n/a >1;synced;n/a 1>2;");
    end(&s);
}

static void comes_back_after_a_restart(void **state)
{
    STEPS(ANSWER(FIRST, 200, LIST("5", "")), STREAM("&resourceVersion=5&", "", STEP_OPEN),
          STREAM("&resourceVersion=5&", EVENT("ADDED", OBJECT("a", "A", "6", "1")), STEP_OPEN));

    loop_until(s.base, s.open);
    fake_stop(&s.fake);
    loop_until(s.base, s.n_failed >= 3);
    assert_non_null(strstr(s.failure, "cannot connect"));
    fake_listen(&s.fake, s.fake.port);
    expect(&s, "synced;n/a >1;");
    end(&s);
}

static void lists_again_after_nonsense(void **state)
{
    STEPS(ANSWER(FIRST, 200, "<html>"), ANSWER(FIRST, 200, LIST("5", "{}")),
          ANSWER(FIRST, 200, "{\"items\":["),
          ANSWER(FIRST, 200, LIST("5", OBJECT("a", "A", "1", "1"))),
          STREAM("&resourceVersion=5&", "garbage\n", STEP_OPEN),
          ANSWER("things?resourceVersion=5&", 200, LIST("6", OBJECT("a", "A", "1", "1"))),
          STREAM("&resourceVersion=6&", EVENT("ADDED", "{}"), STEP_OPEN),
          ANSWER("things?resourceVersion=6&", 200, LIST("7", "")),
          STREAM("&resourceVersion=7&", "", STEP_OPEN));

    loop_until(s.base, s.fake.n_requests == 9);
    expect(&s, "n/a >1;synced;n/a 1>;");
    assert_int_equal(s.n_failed, 5);
    end(&s);
}

static void is_freed_at_any_time(void **state)
{
    static const struct step steps[] = {
        ANSWER(FIRST, 200, PAGE("5", "t", OBJECT("a", "A", "1", "1"))),
        ANSWER("continue=t", 200, LIST("5", OBJECT("b", "B", "1", "1"))),
        STREAM("&resourceVersion=5&", "{\"type", STEP_OPEN),
    };

    (void)state;
    for (size_t turns = 0; turns < 40; turns++) {
        struct scene s;

        begin(&s, steps, sizeof(steps) / sizeof(steps[0]));
        for (size_t i = 0; i < turns; i++)
            (void)event_base_loop(s.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        end(&s);
    }
}

/* --- memory --- */

#define N_PODS 10000
#define FILLER 3000

static void send_many(struct fake *f, struct fake_request *r)
{
    static char filler[FILLER];
    struct scene *s = f->arg;

    fake_begin_stream(r);
    s->open = r->conn;
    if (strstr(r->path, "watch"))
        return;
    memset(filler, 'x', sizeof(filler) - 1);
    fake_chunk(r->conn, "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[");
    for (size_t i = 0; i < N_PODS; i++) {
        auto_free char *item =
            xasprintf("%s{\"metadata\":{\"namespace\":\"default\",\"name\":\"web-5d8c7b9f4-%05zu\","
                      "\"uid\":\"0f2a7d8e-0000-4000-8000-%012zu\",\"resourceVersion\":\"%zu\"},"
                      "\"v\":\"1\",\"filler\":\"%s\"}",
                      i ? "," : "", i, i, i, filler);

        fake_chunk(r->conn, item);
    }
    fake_chunk(r->conn, "]}");
    fake_end_stream(r->conn);
}

static void costs_little(void **state)
{
    static const struct kube_informer_ops quiet = {.parse = parse};
    struct scene s;
    size_t before, each;

    (void)state;
    begin_without(&s, NULL, 0);
    s.fake.handle = send_many;
    before = mallinfo2().uordblks;
    s.inf = kube_informer_new(s.io, &(struct kube_informer_options){.path = "/api/v1/things",
                                                                    .ops = &quiet});
    loop_until(s.base, kube_informer_has_synced(s.inf));
    loop_until(s.base, s.fake.n_requests == 2);
    each = (mallinfo2().uordblks - before) / N_PODS;
    print_message("%zu bytes for each object\n", each);
    assert_int_equal(kube_informer_count(s.inf), N_PODS);
    assert_true(each < 260);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_pages_and_follows),
        cmocka_unit_test(tells_a_new_object_of_the_same_name),
        cmocka_unit_test(takes_what_is_not_interesting_for_absent),
        cmocka_unit_test(tells_what_vanished),
        cmocka_unit_test(asks_etcd_where_the_cache_lags_behind),
        cmocka_unit_test(goes_over_to_the_other_version),
        cmocka_unit_test(reads_all_at_once_after_a_late_page),
        cmocka_unit_test(keeps_its_version_through_failures),
        cmocka_unit_test(comes_back_after_a_restart),
        cmocka_unit_test(lists_again_after_nonsense),
        cmocka_unit_test(is_freed_at_any_time),
        cmocka_unit_test(costs_little),
    };

    http_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
