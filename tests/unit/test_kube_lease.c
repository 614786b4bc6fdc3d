/* Elections among candidates on one loop, before a server that holds one record. */
#include "kube/kube_lease.h"

#include "fake_api.h"
#include "http.h"
#include "json.h"
#include "kube/kube_config.h"
#include "kube/kube_lease_record.h"
#include "kube/kube_loop.h"

#include <errno.h>
#include <unistd.h>

struct scene {
    struct event_base *base;
    struct fake fake;
    struct kube_config config;
    struct kube_io *io;
    cJSON *object; /* the record's */
    int version;
    size_t n_puts, n_gets;
    bool holds;         /* takes requests, does what they say, and does not answer */
    bool is_down;       /* 500 */
    size_t n_conflicts; /* so many writes are refused */
};

struct candidate {
    struct scene *s;
    struct kube_lease *l;
    char name[8];
    size_t n_started, n_lost, n_failed, n_released;
    int64_t transitions;
    int release_status;
    char lost_text[200], holder[64];
};

static void keep(struct scene *s, const char *text)
{
    auto_free char *version = xasprintf("v%d", ++s->version);
    cJSON *meta;

    cJSON_Delete(s->object);
    s->object = cJSON_Parse(text);
    meta = cJSON_GetObjectItem(s->object, "metadata");
    cJSON_DeleteItemFromObject(meta, "resourceVersion");
    (void)cJSON_AddStringToObject(meta, "resourceVersion", version);
}

static const char *version_of(const cJSON *object)
{
    return json_get_str(json_get_obj(object, "metadata"), "resourceVersion");
}

static int change(struct scene *s, const struct fake_request *r)
{
    auto_json cJSON *object = cJSON_Parse(r->body);
    const char *version = version_of(object);

    s->n_puts++;
    if (s->n_conflicts) {
        s->n_conflicts--;
        return 409;
    }
    if (!strcmp(r->method, "POST")
            ? s->object != NULL
            : !s->object || !version || strcmp(version, version_of(s->object)) != 0)
        return 409;
    keep(s, r->body);
    return 200;
}

static void serve(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;
    auto_free char *text = NULL;
    int status = 200;

    if (s->is_down) {
        fake_answer(r, 500, "", "{}");
        return;
    }
    if (strcmp(r->method, "GET") != 0)
        status = change(s, r);
    else if (++s->n_gets && !s->object)
        status = 404;
    text = s->object ? json_print(s->object) : xstrdup("{}");
    if (!s->holds)
        fake_answer(r, status, "", status == 200 ? text : "{\"reason\":\"Whatever\"}");
}

static void started(void *arg, int64_t transitions)
{
    struct candidate *c = arg;

    assert_true(kube_lease_is_held_now(c->l));
    c->n_started++;
    c->transitions = transitions;
}

static void lost(void *arg, const struct err *e)
{
    struct candidate *c = arg;

    assert_false(kube_lease_is_held_now(c->l));
    c->n_lost++;
    (void)snprintf(c->lost_text, sizeof(c->lost_text), "%s", err_text(e));
}

static void observed(void *arg, const char *holder)
{
    struct candidate *c = arg;

    (void)snprintf(c->holder, sizeof(c->holder), "%s", holder);
}

static void failed(void *arg, const struct err *e)
{
    struct candidate *c = arg;

    (void)e;
    c->n_failed++;
}

static void released(void *arg, int status)
{
    struct candidate *c = arg;

    c->n_released++;
    c->release_status = status;
}

static void begin(struct scene *s)
{
    *s = (struct scene){.base = event_base_new()};
    fake_start(&s->fake, s->base, serve, s);
    s->config.server = xstrdup(s->fake.url);
    assert_int_equal(kube_io_new(s->base,
                                 &(struct kube_io_options){.config = &s->config, .user_agent = "a"},
                                 &s->io, NULL),
                     0);
}

static void end(struct scene *s)
{
    kube_io_free(s->io);
    fake_stop(&s->fake);
    kube_config_release(&s->config);
    cJSON_Delete(s->object);
    event_base_free(s->base);
}

/* 4 s without a renewal, of which a leader takes 3; attempts every 0.3 s. Long enough for a machine
 * that does much else. */
static void stand(struct scene *s, struct candidate *c, const char *name, enum kube_lease_kind kind)
{
    struct kube_lease_options options = {.kind = kind,
                                         .ns = "kube-system",
                                         .name = "net-ctl",
                                         .identity = c->name,
                                         .lease_ms = 4000,
                                         .renew_ms = 3000,
                                         .retry_ms = 300,
                                         .started = started,
                                         .lost = lost,
                                         .observed = observed,
                                         .failed = failed,
                                         .arg = c};

    *c = (struct candidate){.s = s};
    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    assert_int_equal(kube_lease_new(s->io, &options, &c->l, NULL), 0);
}

static void leads_and_hands_over(void **state)
{
    static const enum kube_lease_kind kinds[] = {KUBE_LEASE, KUBE_LEASE_CONFIGMAP};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct scene s;
        struct candidate a, b;
        int64_t began;

        begin(&s);
        stand(&s, &a, "a", kinds[i]);
        assert_false(kube_lease_is_held_now(a.l));
        assert_int_equal(kube_lease_age_ms(a.l), -1);
        loop_until(s.base, a.n_started);
        assert_int_equal(a.transitions, 0);
        assert_in_range(kube_lease_age_ms(a.l), 0, 2000);
        stand(&s, &b, "b", kinds[i]);
        loop_until(s.base, *b.holder);
        assert_string_equal(kube_lease_holder(b.l), "a");
        s.n_gets = s.n_puts = 0;
        loop_for_ms(s.base, 4500);
        assert_int_equal(b.n_started, 0);
        assert_true(kube_lease_is_held_now(a.l));
        assert_in_range(s.n_puts, 3, 20); /* a renews without asking */
        assert_in_range(s.n_gets, 3, 25);

        kube_lease_release(a.l, released, &a);
        assert_false(kube_lease_is_held_now(a.l));
        assert_int_equal(a.n_released, 0);
        began = kube_now_ms();
        loop_until(s.base, b.n_started);
        assert_true(kube_now_ms() - began < 3000);
        assert_int_equal(b.transitions, 1);
        assert_int_equal(a.n_released, 1);
        assert_int_equal(a.release_status, 0);
        assert_int_equal(a.n_lost, 0);
        kube_lease_free(a.l);
        kube_lease_free(b.l);
        end(&s);
    }
}

static void takes_over_what_has_run_out(void **state)
{
    struct scene s;
    struct candidate a, b;
    int64_t died;

    (void)state;
    begin(&s);
    stand(&s, &a, "a", KUBE_LEASE);
    loop_until(s.base, a.n_started);
    stand(&s, &b, "b", KUBE_LEASE);
    loop_until(s.base, *b.holder);
    kube_lease_free(a.l);
    died = kube_now_ms();
    loop_until(s.base, b.n_started);
    assert_in_range(kube_now_ms() - died, 3500, 12000);
    assert_int_equal(b.transitions, 1);
    kube_lease_free(b.l);
    end(&s);
}

static void loses_when_it_cannot_renew(void **state)
{
    struct scene s;
    struct candidate a;
    int64_t began;

    (void)state;
    for (int mode = 0; mode < 3; mode++) {
        begin(&s);
        stand(&s, &a, "a", KUBE_LEASE);
        loop_until(s.base, a.n_started);
        began = kube_now_ms();
        s.holds = mode == 0;
        s.is_down = mode == 1;
        if (mode == 2)
            fake_stop(&s.fake);
        loop_until(s.base, a.n_lost);
        assert_in_range(kube_now_ms() - began, 2000, 10000);
        assert_non_null(strstr(a.lost_text, "could not be renewed"));
        assert_true(a.n_failed > 1);
        assert_false(kube_lease_is_held_now(a.l));
        assert_int_equal(kube_lease_age_ms(a.l), -1);
        loop_for_ms(s.base, 300);
        assert_int_equal(a.n_started + a.n_lost, 2);
        kube_lease_free(a.l);
        end(&s);
    }
}

static void survives_short_troubles(void **state)
{
    struct scene s;
    struct candidate a;

    (void)state;
    begin(&s);
    stand(&s, &a, "a", KUBE_LEASE);
    loop_until(s.base, a.n_started);
    for (int i = 0; i < 3; i++) {
        size_t before = a.n_failed;

        s.is_down = i == 0;
        s.holds = i == 1; /* the write is done, and its answer lost */
        s.n_conflicts = i == 2 ? 2 : 0;
        if (i < 2)
            loop_until(s.base, a.n_failed == before + 2);
        s.is_down = s.holds = false;
        loop_for_ms(s.base, 1000);
        assert_true(kube_lease_is_held_now(a.l));
    }
    assert_int_equal(a.n_lost, 0);
    kube_lease_free(a.l);
    end(&s);
}

static void loses_to_another(void **state)
{
    struct scene s;
    struct candidate a;

    (void)state;
    begin(&s);
    stand(&s, &a, "a", KUBE_LEASE);
    loop_until(s.base, a.n_started);
    keep(&s, "{\"metadata\":{},\"spec\":{\"holderIdentity\":\"x\",\"leaseDurationSeconds\":1,"
             "\"renewTime\":\"2020-01-01T00:00:00.000000Z\"}}");
    loop_until(s.base, a.n_lost);
    assert_non_null(strstr(a.lost_text, "another"));
    assert_string_equal(kube_lease_holder(a.l), "x");
    kube_lease_free(a.l);
    end(&s);
}

/* A process that sleeps past its time must know before any timer has run. */
static void knows_after_a_sleep(void **state)
{
    struct scene s;
    struct candidate a;

    (void)state;
    begin(&s);
    stand(&s, &a, "a", KUBE_LEASE);
    loop_until(s.base, a.n_started);
    (void)usleep(3100000);
    assert_false(kube_lease_is_held_now(a.l));
    loop_until(s.base, a.n_lost);
    kube_lease_free(a.l);
    end(&s);
}

/* However old the time in the record is, and whatever the clock says. */
static void believes_no_clock_but_its_own(void **state)
{
    struct scene s;
    struct candidate a;
    int64_t began = kube_now_ms();

    (void)state;
    begin(&s);
    keep(&s, "{\"metadata\":{},\"spec\":{\"holderIdentity\":\"x\",\"leaseDurationSeconds\":4,"
             "\"renewTime\":\"2001-01-01T00:00:00.000000Z\",\"leaseTransitions\":4,"
             "\"other\":[1]},\"more\":true}");
    stand(&s, &a, "a", KUBE_LEASE);
    loop_until(s.base, a.n_started);
    assert_in_range(kube_now_ms() - began, 3500, 12000);
    assert_int_equal(a.transitions, 5);
    /* What it does not know stays. */
    assert_non_null(cJSON_GetObjectItem(s.object, "more"));
    assert_non_null(cJSON_GetObjectItem(cJSON_GetObjectItem(s.object, "spec"), "other"));
    kube_lease_free(a.l);
    end(&s);
}

static void releases_in_every_state(void **state)
{
    struct scene s;
    struct candidate a;

    (void)state;
    for (size_t turns = 0; turns < 25; turns++) {
        begin(&s);
        stand(&s, &a, "a", KUBE_LEASE);
        for (size_t i = 0; i < turns; i++)
            (void)event_base_loop(s.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        kube_lease_release(a.l, released, &a);
        loop_until(s.base, a.n_released);
        loop_for_ms(s.base, 20);
        assert_int_equal(a.release_status, 0);
        if (s.object)
            assert_string_equal(json_get_str(json_get_obj(s.object, "spec"), "holderIdentity"), "");
        kube_lease_free(a.l);
        end(&s);
    }
    begin(&s);
    stand(&s, &a, "a", KUBE_LEASE);
    loop_until(s.base, a.n_started);
    s.is_down = true;
    kube_lease_release(a.l, released, &a);
    loop_until(s.base, a.n_released);
    assert_int_equal(a.release_status, -EREMOTEIO);
    kube_lease_free(a.l);
    end(&s);
}

static void refuses_times_that_do_not_fit(void **state)
{
    static const struct {
        int lease, renew, retry, status;
    } table[] = {{0, 0, 0, 0},
                 {15000, 10000, 2000, 0},
                 {10000, 10000, 2000, -EINVAL},
                 {15000, 2400, 2000, -EINVAL},
                 {15000, 2405, 2000, 0},
                 {15000, 10000, -1, -EINVAL}};
    struct scene s;

    (void)state;
    begin(&s);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct kube_lease_options options = {.ns = "a",
                                             .name = "b",
                                             .identity = "c",
                                             .lease_ms = table[i].lease,
                                             .renew_ms = table[i].renew,
                                             .retry_ms = table[i].retry};
        struct kube_lease *l = NULL;

        assert_int_equal(kube_lease_new(s.io, &options, &l, NULL), table[i].status);
        kube_lease_free(l);
        options.ns = "A/b";
        assert_int_equal(kube_lease_new(s.io, &options, &l, NULL), -EINVAL);
    }
    end(&s);
}

/* As client-go has them. */
static void writes_records_as_others_do(void **state)
{
    struct timespec then = {.tv_sec = 1609459200, .tv_nsec = 1234567};
    struct lease_record record = {
        .holder = "h", .acquired = "A", .renewed = "R", .duration_s = 15, .transitions = 3};
    struct lease_record again;
    auto_json cJSON *lease = lease_object_new(KUBE_LEASE, "n", "x");
    auto_json cJSON *map = lease_object_new(KUBE_LEASE_CONFIGMAP, "n", "x");
    auto_free char *lease_text = NULL, *map_text = NULL;
    auto_free char *micro = lease_time(KUBE_LEASE, &then);
    auto_free char *second = lease_time(KUBE_LEASE_CONFIGMAP, &then);

    (void)state;
    assert_string_equal(micro, "2021-01-01T00:00:00.001234Z");
    assert_string_equal(second, "2021-01-01T00:00:00Z");
    lease_record_write(KUBE_LEASE, &record, lease);
    lease_record_write(KUBE_LEASE_CONFIGMAP, &record, map);
    lease_text = json_print(lease);
    map_text = json_print(map);
    assert_string_equal(
        lease_text, "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{"
                    "\"namespace\":\"n\",\"name\":\"x\"},\"spec\":{\"holderIdentity\":\"h\","
                    "\"leaseDurationSeconds\":15,\"acquireTime\":\"A\",\"renewTime\":\"R\","
                    "\"leaseTransitions\":3}}");
    assert_string_equal(
        map_text, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"namespace\":\"n\","
                  "\"name\":\"x\",\"annotations\":{\"control-plane.alpha.kubernetes.io/leader\":"
                  "\"{\\\"holderIdentity\\\":\\\"h\\\",\\\"leaseDurationSeconds\\\":15,"
                  "\\\"acquireTime\\\":\\\"A\\\",\\\"renewTime\\\":\\\"R\\\","
                  "\\\"leaderTransitions\\\":3}\"}}}");
    for (size_t i = 0; i < 2; i++) {
        lease_record_read(i ? KUBE_LEASE_CONFIGMAP : KUBE_LEASE, i ? map : lease, &again);
        assert_true(lease_record_equal(&record, &again));
        lease_record_release(&again);
        lease_record_read(i ? KUBE_LEASE : KUBE_LEASE_CONFIGMAP, i ? map : lease, &again);
        assert_string_equal(again.holder, "");
        lease_record_release(&again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leads_and_hands_over),
        cmocka_unit_test(takes_over_what_has_run_out),
        cmocka_unit_test(loses_when_it_cannot_renew),
        cmocka_unit_test(survives_short_troubles),
        cmocka_unit_test(loses_to_another),
        cmocka_unit_test(knows_after_a_sleep),
        cmocka_unit_test(believes_no_clock_but_its_own),
        cmocka_unit_test(releases_in_every_state),
        cmocka_unit_test(refuses_times_that_do_not_fit),
        cmocka_unit_test(writes_records_as_others_do),
    };

    http_global_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
