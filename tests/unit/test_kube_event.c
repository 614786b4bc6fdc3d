/* Events: what is sent, what counts up, what is combined and what is left out. */
#include "kube/kube_event.h"

#include "fake_api.h"
#include "http.h"
#include "json.h"
#include "kube/kube_config.h"

#include <unistd.h>

struct scene {
    struct event_base *base;
    struct fake fake;
    struct kube_config config;
    struct kube_io *io;
    struct kube_events *ev;
    size_t n_posts, n_patches;
    int patch_status;
    bool holds;
    cJSON *last; /* body */
    char path[1024], name[300];
    struct fake_request held;
};

static const struct kube_event_object pod = {.api_version = "v1",
                                             .kind = "Pod",
                                             .ns = "n",
                                             .name = "web",
                                             .uid = "u-1",
                                             .resource_version = "7"};

static void take_event(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;
    bool is_post = !strcmp(r->method, "POST");

    cJSON_Delete(s->last);
    s->last = cJSON_Parse(r->body);
    (void)snprintf(s->path, sizeof(s->path), "%s", r->path);
    s->n_posts += is_post;
    s->n_patches += !is_post;
    if (is_post)
        (void)snprintf(s->name, sizeof(s->name), "%s",
                       json_get_str(json_get_obj(s->last, "metadata"), "name"));
    else
        assert_non_null(strstr(r->head, "application/merge-patch+json"));
    s->held = *r;
    if (!s->holds)
        fake_answer(r, is_post ? 201 : s->patch_status, "", "{}");
}

static void begin(struct scene *s, struct kube_events_options options)
{
    options.component = "network-controller";
    options.host = "node-1";
    *s = (struct scene){.base = event_base_new(), .patch_status = 200};
    fake_start(&s->fake, s->base, take_event, s);
    s->config.server = xstrdup(s->fake.url);
    assert_int_equal(kube_io_new(s->base,
                                 &(struct kube_io_options){.config = &s->config, .user_agent = "a"},
                                 &s->io, NULL),
                     0);
    s->ev = kube_events_new(s->io, &options);
}

static void end(struct scene *s)
{
    kube_events_free(s->ev);
    kube_io_free(s->io);
    fake_stop(&s->fake);
    kube_config_release(&s->config);
    cJSON_Delete(s->last);
    event_base_free(s->base);
}

static void settle(struct scene *s)
{
    loop_until(s->base, kube_io_pending(s->io) == 0);
}

static int64_t count_of(const struct scene *s)
{
    int64_t count = -1;

    (void)json_get_size(s->last, "count", &count);
    return count;
}

static void writes_an_event(void **state)
{
    struct scene s;
    const cJSON *object;

    (void)state;
    begin(&s, (struct kube_events_options){.burst = 0});
    kube_event_warn(s.ev, &pod, "MacvlanIPError", "no address for '%s'", "web");
    settle(&s);
    assert_string_equal(s.path, "/api/v1/namespaces/n/events");
    assert_ptr_equal(strstr(s.name, "web."), s.name);
    assert_int_equal(strlen(s.name), 20);
    assert_string_equal(json_get_str(s.last, "type"), "Warning");
    assert_string_equal(json_get_str(s.last, "reason"), "MacvlanIPError");
    assert_string_equal(json_get_str(s.last, "message"), "no address for 'web'");
    assert_string_equal(json_get_str(json_get_obj(s.last, "source"), "component"),
                        "network-controller");
    object = json_get_obj(s.last, "involvedObject");
    assert_string_equal(json_get_str(object, "uid"), "u-1");
    assert_string_equal(json_get_str(object, "namespace"), "n");
    assert_int_equal(count_of(&s), 1);
    assert_int_equal(strlen(json_get_str(s.last, "firstTimestamp")), 20);

    kube_event_note(s.ev,
                    &(struct kube_event_object){
                        .api_version = "v1", .kind = "Namespace", .name = "x", .uid = "u-2"},
                    "Made", "it is there");
    settle(&s);
    assert_string_equal(s.path, "/api/v1/namespaces/default/events");
    assert_string_equal(json_get_str(s.last, "type"), "Normal");
    assert_null(json_get_str(json_get_obj(s.last, "involvedObject"), "namespace"));
    end(&s);
}

static void counts_up(void **state)
{
    struct scene s;
    char first[400];

    (void)state;
    begin(&s, (struct kube_events_options){.burst = 0});
    kube_event_warn(s.ev, &pod, "R", "text");
    settle(&s);
    (void)snprintf(first, sizeof(first), "/api/v1/namespaces/n/events/%s", s.name);
    kube_event_warn(s.ev, &pod, "R", "text");
    settle(&s);
    assert_string_equal(s.path, first);
    assert_int_equal(count_of(&s), 2);
    /* What comes while one is under way goes with the next. */
    for (int i = 0; i < 5; i++)
        kube_event_warn(s.ev, &pod, "R", "text");
    settle(&s);
    assert_int_equal(count_of(&s), 7);
    assert_int_equal(s.n_posts, 1);
    assert_true(s.n_patches <= 3);
    /* It is gone on the server. */
    s.patch_status = 404;
    kube_event_warn(s.ev, &pod, "R", "text");
    settle(&s);
    assert_int_equal(s.n_posts, 2);
    assert_int_equal(count_of(&s), 8);
    /* Other texts and other objects are other events. */
    kube_event_warn(s.ev, &pod, "R", "other");
    settle(&s);
    assert_int_equal(s.n_posts, 3);
    end(&s);
}

static void combines_what_is_alike(void **state)
{
    struct scene s;
    struct kube_events_stats stats;

    (void)state;
    begin(&s, (struct kube_events_options){.similar_ms = 300});
    for (int i = 1; i <= 14; i++) {
        kube_event_warn(s.ev, &pod, "R", "text %d", i);
        settle(&s);
        if (i < 10)
            assert_null(strstr(json_get_str(s.last, "message"), "combined"));
        else
            assert_ptr_equal(strstr(json_get_str(s.last, "message"),
                                    "(combined from similar events): text 1"),
                             json_get_str(s.last, "message"));
    }
    assert_int_equal(s.n_posts, 10);
    assert_int_equal(s.n_patches, 4);
    assert_int_equal(count_of(&s), 5);
    kube_event_warn(s.ev, &pod, "R", "text 3");
    settle(&s);
    assert_string_equal(json_get_str(s.last, "message"), "text 3");
    loop_for_ms(s.base, 350);
    kube_event_warn(s.ev, &pod, "R", "text 20");
    settle(&s);
    assert_string_equal(json_get_str(s.last, "message"), "text 20");
    kube_events_get_stats(s.ev, &stats);
    assert_int_equal(stats.sent, 16);
    assert_int_equal(stats.dropped, 0);
    assert_int_equal(stats.failed, 0);
    end(&s);
}

static void lets_each_object_say_so_much(void **state)
{
    struct scene s;
    struct kube_event_object other = pod;
    struct kube_events_stats stats;

    (void)state;
    begin(&s, (struct kube_events_options){.refill_ms = 400});
    for (int i = 0; i < 30; i++) {
        kube_event_warn(s.ev, &pod, "R", "text");
        settle(&s);
    }
    kube_events_get_stats(s.ev, &stats);
    assert_int_equal(stats.dropped, 5);
    assert_int_equal(s.n_posts + s.n_patches, 25);
    other.uid = "u-2";
    kube_event_warn(s.ev, &other, "R", "text");
    settle(&s);
    assert_int_equal(s.n_posts, 2);
    loop_for_ms(s.base, 450);
    kube_event_warn(s.ev, &pod, "R", "text");
    settle(&s);
    assert_int_equal(count_of(&s), 31);
    kube_event_warn(s.ev, &pod, "R", "text");
    settle(&s);
    kube_events_get_stats(s.ev, &stats);
    assert_int_equal(stats.dropped, 6);
    end(&s);
}

static void remembers_no_more_than_told(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, (struct kube_events_options){.remembered = 3});
    for (int i = 0; i < 10; i++) {
        struct kube_event_object object = pod;
        auto_free char *uid = xasprintf("u-%d", i);

        object.uid = uid;
        kube_event_warn(s.ev, &object, "R", "text");
        if (i % 2)
            settle(&s);
    }
    settle(&s);
    assert_true(s.n_posts >= 5 && s.n_posts <= 10);
    kube_event_warn(s.ev, &pod, "R", "text");
    settle(&s);
    assert_int_equal(count_of(&s), 1);
    end(&s);
}

static void cuts_long_texts(void **state)
{
    struct scene s;
    char text[3001];
    size_t len;

    (void)state;
    begin(&s, (struct kube_events_options){.burst = 0});
    for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
        memcpy(text + i, "\xe7\xbd\x91", 3);
    text[3000] = '\0';
    kube_event_warn(s.ev, &pod, "R", "%s", text);
    settle(&s);
    len = strlen(json_get_str(s.last, "message"));
    assert_in_range(len, 900, 1024);
    assert_int_equal(len % 3, 0);
    end(&s);
}

static void warn_of(struct scene *s, int n)
{
    for (int i = 0; i < n; i++) {
        struct kube_event_object object = pod;
        auto_free char *uid = xasprintf("u-%d", i);

        object.uid = uid;
        kube_event_warn(s->ev, &object, "R", "text");
    }
}

static void what_is_on_its_way_arrives(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, (struct kube_events_options){.remembered = 520});
    warn_of(&s, 600);
    settle(&s);
    assert_int_equal(s.n_posts, 512);
    warn_of(&s, 1);
    settle(&s);
    assert_int_equal(count_of(&s), 2);
    end(&s);
}

static void is_freed_with_events_under_way(void **state)
{
    struct scene s;
    struct kube_events_stats stats;

    (void)state;
    begin(&s, (struct kube_events_options){.burst = 0});
    s.holds = true;
    warn_of(&s, 600);
    kube_events_get_stats(s.ev, &stats);
    assert_int_equal(stats.sent, 512);
    assert_int_equal(stats.dropped, 88);
    loop_until(s.base, s.n_posts);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_an_event),
        cmocka_unit_test(counts_up),
        cmocka_unit_test(combines_what_is_alike),
        cmocka_unit_test(lets_each_object_say_so_much),
        cmocka_unit_test(remembers_no_more_than_told),
        cmocka_unit_test(cuts_long_texts),
        cmocka_unit_test(what_is_on_its_way_arrives),
        cmocka_unit_test(is_freed_with_events_under_way),
    };

    http_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
