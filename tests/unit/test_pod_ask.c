/* What is asked of the API server for a pod, and how often; waiting; faults. */
#include "pod_scene.h"

#include <errno.h>

static const char ready[] = MACVLANIP(UID_NOW, "50");

static void has_address(struct scene *s, int r)
{
    if (r < 0)
        fail_msg("%s\n%s", s->message, s->asked);
    assert_true(s->answer.is_ours);
    assert_string_equal(s->answer.uid, UID_NOW);
    assert_string_equal(s->answer.wanted.master, "eth0");
    assert_int_equal(s->answer.wanted.vlan, 100);
}

/* --- how much is asked --- */

static void a_uid_costs_one_request(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, plainly);
    s.ip = ready;
    has_address(&s, ask(&s));
    assert_string_equal(s.asked, "/apis/macvlan.cluster.cattle.io/v1/namespaces/shop/macvlanips/web"
                                 "?resourceVersion=0\n");
    assert_int_equal(s.answer.n_requests, 1);
    end(&s);
}

static void without_a_uid_two_on_one_connection(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, plainly);
    s.query.uid = NULL;
    s.pod = POD(UID_NOW, BOTH);
    s.ip = ready;
    has_address(&s, ask(&s));
    assert_int_equal(s.n[ASK_POD], 1);
    assert_int_equal(s.n[ASK_IP], 1);
    assert_int_equal(s.fake.n_connections, 1);
    end(&s);
}

static void a_pod_that_passes_through_costs_one_request(void **state)
{
    static const char *const pods[] = {POD(UID_NOW, ""), "{\"metadata\":{\"uid\":\"" UID_NOW "\"}}",
                                       POD(UID_NOW, "\"macvlan.pandaria.cattle.io/ip\":\"auto\"")};

    (void)state;
    for (size_t i = 0; i < sizeof(pods) / sizeof(*pods); i++) {
        struct scene s;

        begin(&s, plainly);
        s.query.is_chained = true;
        s.pod = pods[i];
        assert_int_equal(ask(&s), 0);
        assert_false(s.answer.is_ours);
        assert_int_equal(s.fake.n_requests, 1);
        end(&s);
    }
}

static void chained_with_annotations_it_is_ours(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, plainly);
    s.query.is_chained = true;
    s.pod = POD(UID_NOW, BOTH);
    s.ip = ready;
    has_address(&s, ask(&s));
    assert_int_equal(s.fake.n_requests, 2);
    end(&s);
}

/* --- whose address it is --- */

static void a_pod_that_was_replaced_gets_nothing(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, plainly);
    s.query.is_chained = true;
    s.query.uid = UID_OLD;
    s.pod = POD(UID_NOW, BOTH);
    s.ip = ready;
    assert_int_equal(ask(&s), -EAGAIN);
    assert_non_null(strstr(s.message, "another has its name"));
    assert_int_equal(s.n[ASK_IP], 0);
    end(&s);
}

static void a_static_pod_is_known_by_its_other_uid(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, plainly);
    s.query.is_chained = true;
    s.query.uid = "0123abcd";
    s.pod = POD(UID_NOW, "\"kubernetes.io/config.mirror\":\"0123abcd\"");
    assert_int_equal(ask(&s), 0);
    assert_false(s.answer.is_ours);
    end(&s);
}

static void what_cannot_get_an_address_is_told_at_once(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, plainly);
    s.query.uid = NULL;
    assert_int_equal(ask(&s), -EAGAIN);
    assert_string_equal(s.message, "pod 'shop/web' does not exist");
    end(&s);
    begin(&s, plainly);
    s.query.uid = NULL;
    s.pod = POD(UID_NOW, "");
    assert_int_equal(ask(&s), -EAGAIN);
    assert_non_null(strstr(s.message, "not both of the annotations"));
    assert_int_equal(s.n[ASK_LIST], 0);
    end(&s);
    begin(&s, plainly);
    s.query.name = NULL;
    assert_int_equal(ask(&s), -EBADR);
    end(&s);
    begin(&s, plainly);
    s.ip = "{\"spec\":{\"podId\":\"" UID_NOW "\",\"cidr\":\"x\",\"network\":{}}}";
    assert_int_equal(ask(&s), -EBADMSG);
    end(&s);
}

/* --- waiting --- */

/* The watch tells of other states first. */
static void tell_later(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;
    enum asked what = note(s, r);

    answer_plainly(s, r, what);
    if (what != ASK_WATCH)
        return;
    fake_chunk(r->conn, "{\"type\":\"ADDED\",\"object\":" MACVLANIP(UID_OLD, "71") "}\n");
    fake_chunk(r->conn, "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":"
                        "\"72\"}}}\n");
    fake_chunk(r->conn, "{\"type\":\"DELETED\",\"object\":" MACVLANIP(UID_OLD, "73") "}\n");
    fake_chunk(r->conn, "{\"type\":\"ADDED\",\"object\":{\"spec\":{\"podId\":\"" UID_NOW
                        "\",\"cidr\":\"10.0.0.5/24\"}}}\n");
    fake_chunk(r->conn, "{\"type\":\"MODIFIED\",\"object\":" MACVLANIP(UID_NOW, "75") "}\n");
}

static void waits_by_a_watch_from_the_lists_version(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, tell_later);
    has_address(&s, ask(&s));
    assert_int_equal(s.n[ASK_IP], 1);
    assert_int_equal(s.n[ASK_LIST], 1);
    assert_int_equal(s.n[ASK_WATCH], 1);
    assert_int_equal(s.fake.n_connections, 1);
    assert_non_null(strstr(s.asked, "macvlanips?fieldSelector=metadata.name%3Dweb&watch=true&"));
    assert_non_null(strstr(s.asked, "&resourceVersion=70\n"));
    end(&s);
}

/* The object is there when it is looked at again. */
static void list_finds_it(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;
    enum asked what = note(s, r);

    if (what == ASK_LIST && s->n[ASK_LIST] > 1)
        fake_answer(r, 200, "", LIST(MACVLANIP(UID_NOW, "80")));
    else if (what == ASK_WATCH && s->pod)
        fake_answer(r, 410, "", STATUS(410, "Expired"));
    else if (what == ASK_WATCH && s->lease) {
        fake_begin_stream(r);
        fake_chunk(r->conn, "{\"type\":\"ERROR\",\"object\":" STATUS(410, "Gone") "}\n");
    } else if (what == ASK_WATCH && s->events) {
        fake_begin_stream(r);
        fake_chunk(r->conn, "{\"type\":\"ADDED\",\"obj");
        fake_close(r);
    } else {
        answer_plainly(s, r, what);
        if (what == ASK_WATCH)
            fake_end_stream(r->conn);
    }
}

static void a_watch_that_ends_is_begun_again(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        struct scene s;

        begin(&s, list_finds_it);
        s.pod = way == 0 ? "" : NULL;
        s.lease = way == 1 ? "" : NULL;
        s.events = way == 2 ? "" : NULL;
        has_address(&s, ask(&s));
        assert_int_equal(s.n[ASK_LIST], 2);
        /* After a version that is too old, not another from a cache. */
        if (way < 2)
            assert_non_null(strstr(s.asked, "macvlanips?fieldSelector=metadata.name%3Dweb\n"));
        end(&s);
    }
}

/* --- causes --- */

#define LEASE(holder, renewed)                                                                     \
    "{\"spec\":{\"holderIdentity\":\"" holder "\",\"renewTime\":\"" renewed "\"}}"
#define EVENT(reason, time, text)                                                                  \
    "{\"reason\":\"" reason "\",\"lastTimestamp\":\"" time "\",\"message\":\"" text "\"}"

static void the_likely_cause_is_named(void **state)
{
    static const char alive[] = LEASE("c-0", "2999-01-01T00:00:00.000000Z");
    static const struct {
        const char *pod, *lease, *events, *subnet, *text;
    } table[] = {
        {NULL, NULL, NULL, NULL, "network-controller has never run in this cluster"},
        {NULL, LEASE("", "2999-01-01T00:00:00.000000Z"), NULL, NULL, "its lease has no holder"},
        {NULL, LEASE("c-0", "2020-01-01T00:00:00.000000Z"), NULL, NULL,
         "network-controller is not running: 'c-0' renewed its lease "},
        {NULL, alive,
         "{\"items\":[" EVENT("MacvlanIPError", "2026-01-02T00:00:00Z",
                              "last") "," EVENT("MacvlanSubnetError", "2026-01-01T00:00:00Z",
                                                "first") "," EVENT("Other", "2027", "x") "]}",
         NULL, "network-controller says MacvlanIPError: last"},
        {NULL, alive, "{\"items\":[]}", NULL, "the pod is gone"},
        {POD(UID_NOW, BOTH), alive, "{\"items\":[]}", NULL, "subnet 's' does not exist"},
        {POD(UID_NOW, BOTH), alive, "{\"items\":[]}", "{}", "has not come to it yet"},
        {POD(UID_NOW, ""), alive, NULL, "{}", "the pod has not both of the annotations"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct scene s;

        begin(&s, plainly);
        s.query.timeout_ms = 1000;
        s.pod = table[i].pod;
        s.lease = table[i].lease;
        s.events = table[i].events;
        s.subnet = table[i].subnet;
        assert_int_equal(ask(&s), -EAGAIN);
        if (!strstr(s.message, table[i].text))
            fail_msg("'%s' is not in '%s'", table[i].text, s.message);
        assert_non_null(strstr(s.message, "its MacvlanIP is not there"));
        end(&s);
    }
}

/* Before Kubernetes 1.14. */
static void the_lock_may_be_a_configmap(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, plainly);
    s.query.timeout_ms = 1000;
    s.lock = "{\"metadata\":{\"annotations\":{\"control-plane.alpha.kubernetes.io/leader\":"
             "\"{\\\"holderIdentity\\\":\\\"c-0\\\",\\\"renewTime\\\":"
             "\\\"2020-01-01T00:00:00Z\\\"}\"}}}";
    assert_int_equal(ask(&s), -EAGAIN);
    assert_non_null(strstr(s.message, "'c-0' renewed its lease "));
    end(&s);
}

static void what_it_waits_for_is_named(void **state)
{
    static const struct {
        const char *ip, *text;
    } table[] = {
        {MACVLANIP(UID_OLD, "5"), "belongs to another pod"},
        {"{\"metadata\":{\"deletionTimestamp\":\"x\"},\"spec\":{\"podId\":\"" UID_NOW "\"}}",
         "is being deleted"},
        {"{\"spec\":{\"podId\":\"" UID_NOW "\",\"cidr\":\"10.0.0.5/24\"}}",
         "is an old one that network-controller has not completed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct scene s;

        begin(&s, plainly);
        s.query.timeout_ms = 1000;
        s.ip = table[i].ip;
        assert_int_equal(ask(&s), -EAGAIN);
        assert_non_null(strstr(s.message, table[i].text));
        end(&s);
    }
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tempdir_enter, tempdir_leave)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_uid_costs_one_request),
        IN_FOLDER(without_a_uid_two_on_one_connection),
        IN_FOLDER(a_pod_that_passes_through_costs_one_request),
        IN_FOLDER(chained_with_annotations_it_is_ours),
        IN_FOLDER(a_pod_that_was_replaced_gets_nothing),
        IN_FOLDER(a_static_pod_is_known_by_its_other_uid),
        IN_FOLDER(what_cannot_get_an_address_is_told_at_once),
        IN_FOLDER(waits_by_a_watch_from_the_lists_version),
        IN_FOLDER(a_watch_that_ends_is_begun_again),
        IN_FOLDER(the_likely_cause_is_named),
        IN_FOLDER(the_lock_may_be_a_configmap),
        IN_FOLDER(what_it_waits_for_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
