/* Probe pods planned, their pings planned, and what the results mean. */
#include "conn_pairs.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SUBNETS                                                                                    \
    "[{\"metadata\":{\"name\":\"a\",\"labels\":{\"project\":\"c-1:p-1\"}},\"spec\":{"              \
    "\"master\":\"eth0\",\"vlan\":100,\"gateway\":\"10.1.0.1\"}},"                                 \
    "{\"metadata\":{\"name\":\"b\"},\"spec\":{\"master\":\"eth0\",\"vlan\":200,"                   \
    "\"podDefaultGateway\":{\"enable\":true}}},"                                                   \
    "{\"metadata\":{\"name\":\"gone\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"},"            \
    "\"spec\":{\"master\":\"eth0\"}},{\"metadata\":{}},1]"

static void read_nets(struct testpods *t, const char *const *only, int expected)
{
    auto_json cJSON *tree = NULL;

    t->run = xstrdup("r");
    assert_int_equal(json_parse(SUBNETS, strlen(SUBNETS), &tree, NULL), 0);
    assert_int_equal(testnets_read(tree, only, t, NULL), expected);
}

static void reads_subnets(void **state)
{
    const char *const none[] = {"nowhere", NULL}, *const one[] = {"b", NULL};
    struct testpods t = {.n_nets = 0};

    (void)state;
    read_nets(&t, NULL, 0);
    assert_int_equal(t.n_nets, 2);
    assert_string_equal(t.nets[0].project, "c-1:p-1");
    assert_string_equal(t.nets[0].spaces[0], "flatnet-test-r-0");
    assert_string_equal(t.nets[0].spaces[1], "flatnet-test-r-0-b");
    assert_true(t.nets[1].is_default_route && t.nets[1].vlan == 200);
    testpods_release(&t);
    read_nets(&t, one, 0);
    assert_int_equal(t.n_nets, 1);
    testpods_release(&t);
    read_nets(&t, none, -ENOENT);
    testpods_release(&t);
}

/* Both subnets on two nodes, all pods ready. */
static void plan_all(struct testpods *t)
{
    char *nodes[] = {(char *)"n1", (char *)"n2"};

    read_nets(t, NULL, 0);
    testpods_plan(t, nodes, 2);
    for (size_t i = 0; i < t->n_pods; i++) {
        struct testpod *pod = &t->pods[i];
        auto_free char *address = xasprintf("10.%d.0.%zu/24", pod->net == t->nets ? 1 : 2, i + 10);
        auto_free char *overlay = xasprintf("10.42.%s.%zu", pod->node + 1, i + 10);

        assert_int_equal(ip_net_parse(address, &pod->address), 0);
        assert_int_equal(ip_parse(overlay, &pod->overlay), 0);
        pod->is_ready = true;
    }
}

static size_t count_of(const struct conn_pairs *p, const char *check)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count; i++)
        n += !strcmp(p->items[i].check, check);
    return n;
}

static void plans_pods_and_pairs(void **state)
{
    unsigned mtu[8] = {1500, 1500, 1500, 1500};
    struct testpods t = {.n_nets = 0};
    struct conn_pairs p = {.n_pings = 3}, routed = {.n_pings = 1};

    (void)state;
    plan_all(&t);
    assert_int_equal(t.n_pods, 8);
    assert_string_equal(t.pods[0].name, "a1");
    assert_string_equal(t.pods[1].name, "a2");
    assert_string_equal(t.pods[2].name, "b1");
    assert_string_equal(t.pods[3].name, "c2");
    assert_ptr_equal(t.pods[3].space, t.nets[0].spaces[1]);
    conn_pairs_plan(&t, false, mtu, &p);
    assert_int_equal(count_of(&p, "same-node"), 2 * 2);  /* a1, b1 */
    assert_int_equal(count_of(&p, "cross-node"), 2 * 4); /* a2 with a1 and b1 */
    assert_int_equal(count_of(&p, "namespace"), 2 * 6);  /* c2 with all three */
    assert_int_equal(count_of(&p, "isolation"), 2 * 16);
    assert_int_equal(count_of(&p, "routed"), 0);
    assert_int_equal(count_of(&p, "gateway"), 4);
    assert_int_equal(count_of(&p, "mtu"), 4); /* the second subnet's MTU is not known */
    assert_int_equal(count_of(&p, "overlay"), 8 * 4);
    conn_pairs_plan(&t, true, mtu, &routed);
    assert_int_equal(count_of(&routed, "routed"), 2 * 16);
    assert_int_equal(count_of(&routed, "isolation"), 0);
    conn_pairs_release(&p);
    conn_pairs_release(&routed);
    testpods_release(&t);
}

static void plans_what_is_chosen(void **state)
{
    static const struct conn_check checks[] = {
        {"same-node", ""}, {"cross-node", ""}, {"namespace", ""},
        {"isolation", ""}, {"routed", ""},     {"gateway", ""},
        {"overlay", ""},   {"mtu", ""},        {0}};
    const char *namespace[] = {"namespace"}, *overlay[] = {"overlay"};
    struct conn_choice choice = {.checks = checks, .only = {.items = namespace, .count = 1}};
    unsigned mtu[8] = {1500};
    struct testpods t = {.n_nets = 0};
    struct conn_pairs p = {.choice = &choice}, q = {.choice = &choice};

    (void)state;
    plan_all(&t);
    conn_pairs_plan(&t, false, mtu, &p);
    assert_int_equal(p.count, count_of(&p, "namespace") + count_of(&p, "cross-node") +
                                  count_of(&p, "gateway"));
    assert_true(count_of(&p, "namespace") && count_of(&p, "cross-node") && count_of(&p, "gateway"));
    conn_pairs_release(&p);
    choice.only.items = overlay;
    conn_pairs_plan(&t, false, mtu, &q);
    assert_true(q.count && q.count == count_of(&q, "overlay"));
    conn_pairs_release(&q);
    testpods_release(&t);
}

static void expects_nothing_of_one_segment(void **state)
{
    unsigned mtu[8] = {0};
    struct testpods t = {.n_nets = 0};
    struct conn_pairs p = {.n_pings = 1};

    (void)state;
    plan_all(&t);
    t.nets[1].vlan = 100;
    conn_pairs_plan(&t, false, mtu, &p);
    assert_int_equal(count_of(&p, "isolation"), 0);
    conn_pairs_release(&p);
    testpods_release(&t);
}

/* Answers the question of each pod; `reaches` says what has an answer. */
static void answer_all(struct conn_pairs *p, const struct testpods *t,
                       bool (*reaches)(const struct conn_pair *pair))
{
    for (size_t i = 0; i < t->n_pods; i++) {
        auto_json cJSON *question = conn_pairs_question(p, &t->pods[i], "eth1", 1000);
        auto_json cJSON *answer = cJSON_CreateObject();
        cJSON *list = cJSON_AddArrayToObject(answer, "pings");
        int n = 0;

        for (size_t k = 0; k < p->count; k++) {
            cJSON *result;

            if (p->items[k].from != &t->pods[i])
                continue;
            result = cJSON_CreateObject();
            json_add_int(result, "sent", p->n_pings);
            json_add_int(result, "received", reaches(&p->items[k]) ? p->n_pings : 0);
            json_add_int(result, "rttMicroseconds", reaches(&p->items[k]) ? 400 : 0);
            cJSON_AddItemToArray(list, result);
            n++;
        }
        assert_int_equal(cJSON_GetArraySize(json_get_arr(question, "pings")), n);
        assert_int_equal(conn_pairs_answer(p, &t->pods[i], answer, NULL), 0);
    }
}

static bool as_expected(const struct conn_pair *pair)
{
    return pair->must_reach;
}

/* The switch port of n2 does not carry VLAN 100. */
static bool without_n2(const struct conn_pair *pair)
{
    bool from_n2 = !strcmp(pair->from->node, "n2");
    bool to_n2 = pair->to && !strcmp(pair->to->node, "n2");

    if (!strcmp(pair->check, "overlay") || pair->from->net->vlan != 100)
        return pair->must_reach;
    if (!pair->to)
        return !from_n2;
    return pair->must_reach && from_n2 == to_n2;
}

/* The virtual switch below n2 drops the pods' MACs. */
static bool own_mac_at_n2(const struct conn_pair *pair)
{
    bool from_n2 = !strcmp(pair->from->node, "n2");

    if (!strcmp(pair->check, "overlay"))
        return true;
    return pair->must_reach && (pair->to ? from_n2 == !strcmp(pair->to->node, "n2") : !from_n2);
}

static bool without_overlay(const struct conn_pair *pair)
{
    return pair->must_reach && strcmp(pair->check, "overlay") != 0;
}

static bool leaking(const struct conn_pair *pair)
{
    (void)pair;
    return true;
}

static const struct conn_result *first_fail(const struct conn_report *r, const char *check)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->results[i].level == CONN_FAIL && !strcmp(r->results[i].check, check))
            return &r->results[i];
    return NULL;
}

/* flannel of n2 stands on a NIC that has the same address on each host. */
#define NODES                                                                                      \
    "[{\"metadata\":{\"name\":\"n1\",\"annotations\":{"                                            \
    "\"flannel.alpha.coreos.com/public-ip\":\"10.0.0.11\"}},"                                      \
    "\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.11\"}]}},"           \
    "{\"metadata\":{\"name\":\"n2\",\"annotations\":{"                                             \
    "\"flannel.alpha.coreos.com/public-ip\":\"10.0.2.15\"}},"                                      \
    "\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.12\"}]}}]"

static void read_nodes(struct flannel_nodes *nodes)
{
    auto_json cJSON *tree = NULL;

    assert_int_equal(json_parse(NODES, strlen(NODES), &tree, NULL), 0);
    flannel_nodes_read(tree, nodes);
}

static void judge(bool (*reaches)(const struct conn_pair *pair), struct conn_report *r)
{
    unsigned mtu[8] = {1500, 1500, 1500, 1500};
    struct testpods t = {.n_nets = 0};
    struct conn_pairs p = {.n_pings = 3};

    plan_all(&t);
    read_nodes(&p.nodes);
    conn_pairs_plan(&t, false, mtu, &p);
    answer_all(&p, &t, reaches);
    conn_pairs_judge(&p, &t, r);
    conn_pairs_release(&p);
    testpods_release(&t);
}

static void judges(void **state)
{
    auto_conn_report struct conn_report good = {.count = 0}, lonely = {.count = 0},
                                        leak = {.count = 0};
    const struct conn_result *result;

    (void)state;
    judge(as_expected, &good);
    assert_int_equal(good.n[CONN_FAIL] + good.n[CONN_WARN], 0);
    assert_int_equal(good.n[CONN_PASS], 12); /* six checks of each subnet, gateway and mtu of one */
    judge(without_n2, &lonely);
    assert_null(first_fail(&lonely, "same-node"));
    assert_null(first_fail(&lonely, "isolation"));
    result = first_fail(&lonely, "cross-node");
    assert_non_null(result);
    assert_non_null(strstr(result->causes[0], "on n2 does not carry VLAN 100"));
    judge(leaking, &leak);
    result = first_fail(&leak, "isolation");
    assert_non_null(result);
    assert_non_null(strstr(result->seen, "of subnet 'b' answers on VLAN 100 of 'a'"));
    assert_null(first_fail(&leak, "cross-node"));
}

static void names_switches_that_know_one_mac(void **state)
{
    auto_conn_report struct conn_report r = {.count = 0};
    const struct conn_result *result;

    (void)state;
    judge(own_mac_at_n2, &r);
    result = first_fail(&r, "cross-node");
    assert_non_null(result);
    assert_non_null(strstr(result->causes[0], "below n2 drops the frames of foreign MACs"));
    assert_non_null(strstr(result->causes[1], "on n2 does not carry VLAN 100"));
    result = first_fail(&r, "gateway");
    assert_non_null(result);
    assert_non_null(strstr(result->causes[0], "below n2 drops the frames of foreign MACs"));
}

static void names_the_interface_of_flannel(void **state)
{
    auto_conn_report struct conn_report r = {.count = 0};
    const struct conn_result *result;

    (void)state;
    judge(without_overlay, &r);
    assert_null(first_fail(&r, "cross-node"));
    result = first_fail(&r, "overlay");
    assert_non_null(result);
    assert_non_null(strstr(result->causes[0], "flannel on n2 has taken another interface"));
    assert_non_null(strstr(result->causes[0], "10.0.2.15, the node's own address is 10.0.0.12"));
    assert_non_null(strstr(result->causes[0], "--peer 10.0.0.11"));
    assert_non_null(strstr(result->causes[1], "between n1 and n2 is broken"));
}

static void refuses_answers(void **state)
{
    static const char *const answers[] = {
        "{}", "{\"pings\":[]}", "{\"pings\":[{\"sent\":3}]}",
        "{\"pings\":[{\"sent\":1,\"received\":2,\"rttMicroseconds\":1}]}", "[]"};
    unsigned mtu[8] = {0};
    struct testpods t = {.n_nets = 0};
    struct conn_pairs p = {.n_pings = 3};

    (void)state;
    plan_all(&t);
    conn_pairs_plan(&t, false, mtu, &p);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        auto_json cJSON *answer = NULL;

        assert_int_equal(json_parse(answers[i], strlen(answers[i]), &answer, NULL), 0);
        assert_int_equal(conn_pairs_answer(&p, &t.pods[0], answer, NULL), -EPROTO);
    }
    conn_pairs_release(&p);
    testpods_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_subnets),
        cmocka_unit_test(plans_pods_and_pairs),
        cmocka_unit_test(plans_what_is_chosen),
        cmocka_unit_test(expects_nothing_of_one_segment),
        cmocka_unit_test(judges),
        cmocka_unit_test(names_switches_that_know_one_mac),
        cmocka_unit_test(names_the_interface_of_flannel),
        cmocka_unit_test(refuses_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
