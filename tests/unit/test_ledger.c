/* Who holds which address: MacvlanIPs, intents, and what becomes of them when subnets change. */
#include "json.h"
#include "ledger.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned freed;

static void on_freed(void *arg, const char *subnet, struct ip_addr ip)
{
    (void)arg;
    (void)ip;
    assert_string_equal(subnet, "s1");
    freed++;
}

static struct ledger_net *put_subnet(struct ledger *l, const char *name, const char *master,
                                     const char *cidr)
{
    auto_free char *text =
        xasprintf("{\"metadata\":{\"name\":\"%s\",\"namespace\":\"kube-system\",\"uid\":\"u\","
                  "\"creationTimestamp\":\"2026-01-01T00:00:00Z\"},\"spec\":{\"master\":\"%s\","
                  "\"vlan\":10,\"cidr\":\"%s\",\"mode\":\"bridge\"}}",
                  name, master, cidr);
    auto_json cJSON *object = NULL;
    struct subnet *s;

    assert_int_equal(json_parse(text, strlen(text), &object, NULL), 0);
    assert_int_equal(subnet_parse(object, false, &s, NULL), 0);
    return ledger_put_subnet(l, s);
}

static struct ip_addr address(const char *text)
{
    struct ip_addr a;

    assert_int_equal(ip_parse(text, &a), 0);
    return a;
}

static void put_ip(struct ledger *l, const char *uid, const char *pod_uid, const char *ip)
{
    struct ledger_ip entry = {
        .uid = uid, .subnet = "s1", .pod_uid = pod_uid, .ip = address(ip), .mac = NULL};

    ledger_put_ip(l, &entry);
}

/* Picks for a pod; the address, or "" when there is none. */
static const char *pick(struct ledger *l, struct ledger_net *net, const char *uid,
                        char out[IP_TEXT_SIZE])
{
    struct annot_request any = {.subnet = (char *)"s1", .ip_text = (char *)"auto"};
    struct ledger_intent who = {.pod_uid = (char *)uid, .pod_key = (char *)"ns/pod"};
    auto_annot_refusal struct annot_refusal refusal = {.text = NULL};

    out[0] = '\0';
    if (ledger_pick(l, net, &any, &who, &refusal) == 0)
        (void)ip_format(ledger_find_intent(l, uid)->pair.ip, out);
    return out;
}

static void an_intent_holds_until_its_ip_is_seen_and_gone(void **state)
{
    struct ledger *l = ledger_new("cluster", on_freed, NULL);
    struct ledger_net *net = put_subnet(l, "s1", "eth0", "10.0.0.0/29");
    char ip[IP_TEXT_SIZE];

    (void)state;
    freed = 0;
    assert_string_equal(pick(l, net, "pod-1", ip), "10.0.0.2");
    assert_string_equal(pick(l, net, "pod-2", ip), "10.0.0.3");
    put_ip(l, "ip-1", "pod-1", "10.0.0.2");
    assert_null(ledger_find_intent(l, "pod-1"));
    assert_int_equal(freed, 0);
    assert_int_equal(ledger_holders(net), 2);
    assert_string_equal(pick(l, net, "pod-3", ip), "10.0.0.4");
    ledger_remove_ip(l, "ip-1", 0);
    assert_int_equal(freed, 1);
    assert_string_equal(pick(l, net, "pod-4", ip), "10.0.0.2");
    ledger_drop_intent(l, "pod-2");
    assert_int_equal(freed, 2);
    ledger_free(l);
}

/* As an older controller may have left it: the address is free when the last one has let go. */
static void of_two_holders_both_must_go(void **state)
{
    struct ledger *l = ledger_new("cluster", on_freed, NULL);
    struct ledger_net *net = put_subnet(l, "s1", "eth0", "10.0.0.0/30");
    char ip[IP_TEXT_SIZE];

    (void)state;
    freed = 0;
    put_ip(l, "ip-1", "pod-1", "10.0.0.2");
    assert_int_equal(ledger_count_holders(net, address("10.0.0.2")), 1);
    put_ip(l, "ip-2", "pod-2", "10.0.0.2");
    assert_int_equal(ledger_count_holders(net, address("10.0.0.2")), 2);
    ledger_remove_ip(l, "ip-1", 0);
    assert_int_equal(freed, 0);
    assert_int_equal(ledger_count_holders(net, address("10.0.0.2")), 1);
    assert_string_equal(pick(l, net, "pod-3", ip), "");
    ledger_remove_ip(l, "ip-2", 0);
    assert_string_equal(pick(l, net, "pod-3", ip), "10.0.0.2");
    ledger_free(l);
}

/* A store that is behind tells of an old object of that name after a newer one was read. */
static void an_old_object_takes_nothing_from_a_new_one(void **state)
{
    struct ledger *l = ledger_new("cluster", on_freed, NULL);
    struct ledger_net *net = put_subnet(l, "s1", "eth0", "10.0.0.0/29");
    char ip[IP_TEXT_SIZE];

    (void)state;
    put_ip(l, "new", "pod-2", "10.0.0.2");
    put_ip(l, "old", "pod-1", "10.0.0.2");
    ledger_remove_ip(l, "old", 0);
    assert_string_equal(pick(l, net, "pod-3", ip), "10.0.0.3");
    ledger_free(l);
}

static void a_subnet_that_comes_later_knows_its_holders(void **state)
{
    struct ledger *l = ledger_new("cluster", on_freed, NULL);
    struct ledger_net *net;
    char ip[IP_TEXT_SIZE];

    (void)state;
    put_ip(l, "ip-1", "pod-1", "10.0.0.2");
    net = put_subnet(l, "s1", "eth0", "not a network");
    assert_null(ledger_alloc(net));
    assert_int_equal(ledger_holders(net), 1);
    net = put_subnet(l, "s1", "eth0", "10.0.0.0/29");
    assert_string_equal(pick(l, net, "pod-2", ip), "10.0.0.3");
    net = put_subnet(l, "s1", "eth1", "10.0.0.0/29");
    assert_string_equal(pick(l, net, "pod-3", ip), "10.0.0.4");
    net = put_subnet(l, "s1", "eth1", "broken again");
    assert_non_null(ledger_alloc(net));
    ledger_remove_subnet(l, "s1");
    assert_null(ledger_find_intent(l, "pod-2"));
    net = put_subnet(l, "s1", "eth0", "10.0.0.0/29");
    assert_string_equal(pick(l, net, "pod-4", ip), "10.0.0.3");
    ledger_free(l);
}

static void what_workloads_name_is_not_given_to_others(void **state)
{
    struct ledger *l = ledger_new("cluster", on_freed, NULL);
    struct ip_addr ips[] = {address("10.0.0.2"), address("10.0.0.4")};
    struct ledger_net *net;
    char ip[IP_TEXT_SIZE];

    (void)state;
    freed = 0;
    ledger_reserve(l, "deployments/ns/one", "s1", ips, 2);
    ledger_reserve(l, "jobs/ns/other", "s1", ips, 1);
    net = put_subnet(l, "s1", "eth0", "10.0.0.0/29");
    assert_string_equal(pick(l, net, "pod-1", ip), "10.0.0.3");
    assert_string_equal(pick(l, net, "pod-2", ip), "10.0.0.5");
    /* Another spec, and another list, in which one of them stays. */
    net = put_subnet(l, "s1", "eth0", "10.0.0.0/28");
    ledger_reserve(l, "deployments/ns/one", "s1", &ips[0], 1);
    assert_int_equal(freed, 2);
    assert_string_equal(pick(l, net, "pod-3", ip), "10.0.0.4");
    ledger_reserve(l, "deployments/ns/one", NULL, NULL, 0);
    assert_string_equal(pick(l, net, "pod-4", ip), "10.0.0.6");
    ledger_reserve(l, "jobs/ns/other", NULL, NULL, 0);
    assert_string_equal(pick(l, net, "pod-5", ip), "10.0.0.2");
    ledger_reserve(l, "jobs/ns/third", "elsewhere", ips, 2);
    ledger_free(l);
}

static void intents_go_through_json(void **state)
{
    static const char *const bad[] = {"{}", "{\"ip\":\"10.0.0.5\"}",
                                      "{\"ip\":\"x\",\"pod\":\"a/b\",\"uid\":\"u\"}",
                                      "{\"ip\":\"10.0.0.5\",\"pod\":\"ab\",\"uid\":\"u\"}", "7"};
    struct ledger *l = ledger_new("cluster", on_freed, NULL), *next;
    struct ledger_net *net = put_subnet(l, "s1", "eth0", "10.0.0.0/29");
    auto_json cJSON *intents = NULL;
    char ip[IP_TEXT_SIZE];

    (void)state;
    (void)pick(l, net, "pod-1", ip);
    (void)pick(l, net, "pod-2", ip);
    assert_false(ledger_find_intent(l, "pod-1")->is_written);
    intents = ledger_intents_json(l, net);
    ledger_mark_written(l, intents);
    assert_true(ledger_find_intent(l, "pod-1")->is_written);
    ledger_free(l);

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cJSON_AddItemToArray(intents, cJSON_Parse(bad[i]));
    next = ledger_new("cluster", on_freed, NULL);
    net = put_subnet(next, "s1", "eth0", "10.0.0.0/29");
    ledger_load_intents(next, net, intents);
    assert_int_equal(ledger_count_intents(net), 2);
    assert_true(ledger_find_intent(next, "pod-2")->is_written);
    assert_true(ledger_find_intent(next, "pod-2")->pair.has_mac);
    assert_string_equal(pick(next, net, "pod-3", ip), "10.0.0.4");
    ledger_free(next);
}

static void of_two_that_overlap_the_older_one_stays(void **state)
{
    struct ledger *l = ledger_new("cluster", on_freed, NULL);
    struct ledger_net *a = put_subnet(l, "a", "eth0", "10.0.0.0/24");
    struct ledger_net *b = put_subnet(l, "b", "eth0", "10.0.0.128/25");
    struct ledger_net *c = put_subnet(l, "c", "eth1", "10.0.0.0/24");
    auto_free char *why = NULL;

    (void)state;
    assert_null(ledger_conflict(l, a, NULL));
    assert_ptr_equal(ledger_conflict(l, b, &why), ledger_subnet(a));
    assert_non_null(strstr(why, "'a'"));
    assert_null(ledger_conflict(l, c, NULL));
    ledger_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_intent_holds_until_its_ip_is_seen_and_gone),
        cmocka_unit_test(of_two_holders_both_must_go),
        cmocka_unit_test(an_old_object_takes_nothing_from_a_new_one),
        cmocka_unit_test(a_subnet_that_comes_later_knows_its_holders),
        cmocka_unit_test(what_workloads_name_is_not_given_to_others),
        cmocka_unit_test(intents_go_through_json),
        cmocka_unit_test(of_two_that_overlap_the_older_one_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
