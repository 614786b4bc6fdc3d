/* Endpoints: what stands in them, and when they are written. */
#include "svc_endpoints.h"

#include "svc_scene.h"

#include <stdio.h>

#define SERVICE                                                                                    \
    "{'metadata':{'name':'web-macvlan','namespace':'shop','uid':'c-1'},'spec':{'clusterIP':"       \
    "'None','ports':[{'name':'http','port':80,'targetPort':'web'},{'name':'dns','protocol':"       \
    "'UDP','port':53}]}}"

static struct svc_pod *make_pod(const char *uid, const char *facts)
{
    auto_free char *text =
        xasprintf("{'metadata':{'namespace':'shop','name':'p-%s','uid':'%s'},'spec':{"
                  "'nodeName':'n1','hostname':'h-%s','subdomain':'web','containers':[{'ports':[{"
                  "'name':'web','containerPort':8080}]}]},'status':{'conditions':[{'type':'Ready',"
                  "'status':'True'}]}}",
                  uid, uid, uid);
    auto_json cJSON *tree = quoted_json(text), *patch = quoted_json(facts);

    merge_patch(tree, patch);
    return svc_pod_new(tree);
}

static cJSON *build(const char *service, const struct svc_backend *backends, size_t count)
{
    auto_json cJSON *tree = quoted_json(service);
    auto_rows struct svc_rows rows = {.items = NULL};
    struct svc_target target;

    assert_true(svc_target_from(tree, "web", &target));
    svc_rows_build(&target, backends, count, &rows);
    return svc_endpoints_build(&target, &rows);
}

static void stand_as_the_pods_do(void **state)
{
    auto_svc_pod struct svc_pod *a = make_pod("a", "{}");
    auto_svc_pod struct svc_pod *b = make_pod("b", "{'spec':{'subdomain':'other'}}");
    auto_svc_pod struct svc_pod *c = make_pod("c", "{'status':null}");
    struct svc_backend backends[] = {{c, "10.0.0.3"},  {b, "10.0.0.20"}, {a, "10.0.0.3"},
                                     {a, "fd00::0:1"}, {a, "10.0.0.3"},  {a, "127.0.0.1"}};
    auto_json cJSON *endpoints = build(SERVICE, backends, COUNT(backends));

    (void)state;
    assert_json_equal(
        endpoints,
        "{'apiVersion':'v1','kind':'Endpoints','metadata':{'name':'web-macvlan','namespace':'shop',"
        "'labels':{'endpointslice.kubernetes.io/skip-mirror':'true',"
        "'macvlan.panda.io/managed-by':'network-controller.flatnet',"
        "'service.kubernetes.io/headless':''},'ownerReferences':[{'apiVersion':'v1','kind':"
        "'Service','name':'web-macvlan','uid':'c-1'}]},'subsets':[{'addresses':["
        "{'ip':'10.0.0.3','hostname':'h-a','nodeName':'n1','targetRef':{'kind':'Pod','namespace':"
        "'shop','name':'p-a','uid':'a'}},"
        "{'ip':'10.0.0.20','nodeName':'n1','targetRef':{'kind':'Pod','namespace':'shop','name':"
        "'p-b','uid':'b'}},"
        "{'ip':'fd00::1','hostname':'h-a','nodeName':'n1','targetRef':{'kind':'Pod','namespace':"
        "'shop','name':'p-a','uid':'a'}}],"
        "'notReadyAddresses':[{'ip':'10.0.0.3','hostname':'h-c','nodeName':'n1','targetRef':{"
        "'kind':'Pod','namespace':'shop','name':'p-c','uid':'c'}}],"
        "'ports':[{'name':'http','protocol':'TCP','port':8080},{'name':'dns','protocol':'UDP',"
        "'port':53}]}]}");
}

static void the_dead_are_out(void **state)
{
    static const char *const facts[] = {
        "{'metadata':{'deletionTimestamp':'x'}}",
        "{'status':{'phase':'Succeeded'}}",
        "{'status':{'phase':'Failed'}}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(facts); i++) {
        auto_svc_pod struct svc_pod *p = make_pod("a", facts[i]);
        struct svc_backend backend = {p, "10.0.0.3"};
        auto_json cJSON *endpoints = build(SERVICE, &backend, 1);

        assert_json_equal(json_at(endpoints, "subsets"), "[]");
    }
}

static void the_unready_are_published_where_the_service_wants_it(void **state)
{
    static const char *const services[] = {
        "{'metadata':{'name':'w','namespace':'shop','uid':'c'},'spec':{"
        "'publishNotReadyAddresses':true}}",
        "{'metadata':{'name':'w','namespace':'shop','uid':'c','annotations':{"
        "'service.alpha.kubernetes.io/tolerate-unready-endpoints':'true'}},'spec':{}}",
    };
    auto_svc_pod struct svc_pod *p = make_pod("a", "{'status':null}");
    struct svc_backend backend = {p, "10.0.0.3"};

    (void)state;
    for (size_t i = 0; i < COUNT(services); i++) {
        auto_json cJSON *endpoints = build(services[i], &backend, 1);

        assert_json_equal(json_at(endpoints, "subsets.0.addresses.0.ip"), "'10.0.0.3'");
        assert_null(json_at(endpoints, "subsets.0.notReadyAddresses"));
        /* A service without ports has endpoints without ports. */
        assert_null(json_at(endpoints, "subsets.0.ports"));
    }
}

static void pods_that_resolve_a_port_otherwise_have_a_subset(void **state)
{
    auto_svc_pod struct svc_pod *a = make_pod("a", "{}");
    auto_svc_pod struct svc_pod *b =
        make_pod("b", "{'spec':{'containers':[{'ports':[{'name':'web','containerPort':9090}]}]}}");
    auto_svc_pod struct svc_pod *c = make_pod("c", "{'spec':{'containers':[]}}");
    struct svc_backend backends[] = {{a, "10.0.0.1"}, {b, "10.0.0.2"}, {c, "10.0.0.3"}};
    auto_json cJSON *both = build(SERVICE, backends, 3);
    auto_json cJSON *named = build("{'metadata':{'name':'w','namespace':'shop','uid':'c'},'spec':{"
                                   "'ports':[{'port':80,'targetPort':'web'}]}}",
                                   backends, 3);

    (void)state;
    assert_int_equal(cJSON_GetArraySize(json_at(both, "subsets")), 3);
    /* A pod that has none of the ports is no endpoint. */
    assert_int_equal(cJSON_GetArraySize(json_at(named, "subsets")), 2);
    assert_json_equal(json_at(named, "subsets.0.ports"),
                      "[{'name':'','protocol':'TCP','port':8080}]");
    assert_json_equal(json_at(named, "subsets.1.ports"),
                      "[{'name':'','protocol':'TCP','port':9090}]");
}

static void numbers_of_ports_are_checked(void **state)
{
    static const struct {
        const char *port;
        int number; /* 0: no endpoint */
    } table[] = {
        {"{'port':80}", 80},
        {"{'port':80,'targetPort':8080}", 8080},
        {"{'port':80,'targetPort':0}", 80},
        {"{'port':80,'targetPort':''}", 80},
        {"{'port':70000}", 0},
        {"{'port':80,'protocol':'ICMP'}", 0},
        {"{}", 0},
    };
    auto_svc_pod struct svc_pod *p = make_pod("a", "{}");
    struct svc_backend backend = {p, "10.0.0.3"};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *service =
            xasprintf("{'metadata':{'name':'w','namespace':'s','uid':'c'},'spec':{'ports':[%s]}}",
                      table[i].port);
        auto_json cJSON *endpoints = build(service, &backend, 1);
        const cJSON *number = json_at(endpoints, "subsets.0.ports.0.port");

        assert_int_equal(number ? number->valueint : 0, table[i].number);
    }
}

static void equal_input_gives_equal_bytes(void **state)
{
    auto_svc_pod struct svc_pod *a = make_pod("a", "{}"), *b = make_pod("b", "{}");
    struct svc_backend one[] = {{a, "10.0.0.1"}, {b, "10.0.0.2"}, {a, "fd00::1"}};
    struct svc_backend two[] = {{a, "fd00:0::1"},
                                {b, "10.0.0.2"},
                                {b, "10.0.0.2"},
                                {a, "10.0.0.1"}};
    auto_json cJSON *x = build(SERVICE, one, COUNT(one)), *y = build(SERVICE, two, COUNT(two));
    auto_free char *x_text = json_print(x), *y_text = json_print(y);

    (void)state;
    assert_string_equal(x_text, y_text);
}

static bool say_the_same(const cJSON *a, const cJSON *b)
{
    char x[DIGEST_SIZE], y[DIGEST_SIZE];

    svc_endpoints_digest(a, x);
    svc_endpoints_digest(b, y);
    return !strcmp(x, y);
}

/* As the API server gives it: regrouped, in another order, with what others wrote. */
static void the_digest_is_of_what_it_says(void **state)
{
    auto_svc_pod struct svc_pod *a = make_pod("a", "{}"), *b = make_pod("b", "{}");
    struct svc_backend backends[] = {{a, "10.0.0.1"}, {b, "10.0.0.2"}};
    auto_json cJSON *desired = build(SERVICE, backends, 2);
    auto_json cJSON *existing = cJSON_Duplicate(desired, true);
    auto_json cJSON *extra = quoted_json("{'metadata':{'resourceVersion':'7','labels':{'x':'y'},"
                                         "'annotations':{'theirs':'1'}}}");
    cJSON *subsets = cJSON_GetObjectItemCaseSensitive(existing, "subsets");
    cJSON *second = cJSON_Duplicate(subsets->child, true);
    cJSON *ports = cJSON_GetObjectItemCaseSensitive(subsets->child, "ports");

    (void)state;
    merge_patch(existing, extra);
    cJSON_DeleteItemFromArray(cJSON_GetObjectItemCaseSensitive(subsets->child, "addresses"), 0);
    cJSON_DeleteItemFromArray(cJSON_GetObjectItemCaseSensitive(second, "addresses"), 1);
    (void)cJSON_AddItemToArray(subsets, second);
    (void)cJSON_AddItemToArray(ports, cJSON_DetachItemFromArray(ports, 0));
    assert_true(say_the_same(existing, desired));
}

/* Whatever was edited, the patch mends it and leaves what is not ours. */
static void the_patch_mends_what_differs(void **state)
{
    static const char *const edits[] = {
        "{'metadata':{'labels':null}}",
        "{'metadata':{'labels':{'macvlan.panda.io/managed-by':'other'}}}",
        "{'metadata':{'labels':{'service.kubernetes.io/headless':null}}}",
        "{'metadata':{'ownerReferences':null}}",
        "{'metadata':{'ownerReferences':[{'uid':'c-1'},{'uid':'c-2'}]}}",
        "{'metadata':{'annotations':{'endpoints.kubernetes.io/over-capacity':'truncated'}}}",
        "{'subsets':null}",
        "{'subsets':[]}",
        "{'subsets':[{'notReadyAddresses':[{'ip':'10.0.0.1'}]}]}",
    };
    auto_svc_pod struct svc_pod *a = make_pod("a", "{}"), *b = make_pod("a", "{'status':null}");
    struct svc_backend backend = {a, "10.0.0.1"}, unready = {b, "10.0.0.1"};
    auto_json cJSON *desired = build(SERVICE, &backend, 1), *other = build(SERVICE, &unready, 1);
    auto_json cJSON *patch = svc_endpoints_patch(desired);

    (void)state;
    assert_false(say_the_same(other, desired));
    for (size_t i = 0; i < COUNT(edits); i++) {
        auto_json cJSON *existing = cJSON_Duplicate(desired, true);
        auto_json cJSON *edit = quoted_json(edits[i]);
        auto_json cJSON *theirs = quoted_json("{'metadata':{'annotations':{'theirs':'1'}}}");

        merge_patch(existing, edit);
        merge_patch(existing, theirs);
        assert_false(say_the_same(existing, desired));
        merge_patch(existing, patch);
        assert_true(say_the_same(existing, desired));
        assert_non_null(json_at(existing, "metadata.annotations.theirs"));
    }
}

static void a_service_that_is_not_headless_any_more_loses_the_label(void **state)
{
    auto_json cJSON *before = build(SERVICE, NULL, 0);
    auto_json cJSON *now = build("{'metadata':{'name':'web-macvlan','namespace':'shop','uid':'c-1'}"
                                 ",'spec':{'clusterIP':'10.43.0.1'}}",
                                 NULL, 0);
    auto_json cJSON *patch = svc_endpoints_patch(now);

    (void)state;
    assert_false(say_the_same(before, now));
    merge_patch(before, patch);
    assert_true(say_the_same(before, now));
}

static void a_thousand_fit_the_ready_first(void **state)
{
    auto_svc_pod struct svc_pod *ready = make_pod("a", "{}");
    auto_svc_pod struct svc_pod *unready = make_pod("b", "{'status':null}");
    struct svc_backend *backends = xcalloc(1200, sizeof(*backends));
    char(*texts)[SVC_ADDRESS_SIZE] = xcalloc(1200, sizeof(*texts));
    auto_json cJSON *endpoints = NULL, *few = NULL, *patch = NULL, *back = NULL;

    (void)state;
    for (int i = 0; i < 1200; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "10.0.%d.%d", i / 200, i % 200);
        backends[i] = (struct svc_backend){i < 300 ? unready : ready, texts[i]};
    }
    endpoints = build(SERVICE, backends, 1200);
    few = build(SERVICE, backends, 900);
    free(backends);
    free(texts);
    assert_int_equal(cJSON_GetArraySize(json_at(endpoints, "subsets.0.addresses")), 900);
    assert_int_equal(cJSON_GetArraySize(json_at(endpoints, "subsets.0.notReadyAddresses")), 100);
    assert_json_equal(json_at(endpoints, "metadata.annotations"),
                      "{'endpoints.kubernetes.io/over-capacity':'truncated'}");
    patch = svc_endpoints_patch(few);
    back = svc_endpoints_patch(endpoints);
    merge_patch(endpoints, patch);
    assert_true(say_the_same(endpoints, few));
    merge_patch(endpoints, back);
    assert_false(say_the_same(endpoints, few));
}

static void a_service_without_a_uid_is_no_target(void **state)
{
    auto_json cJSON *service = quoted_json("{'metadata':{'name':'a','namespace':'b'}}");
    struct svc_target target;

    (void)state;
    assert_false(svc_target_from(service, NULL, &target));
}

static void addresses_come_from_macvlanips_or_the_status(void **state)
{
    static const struct {
        const char *namespace, *network; /* network NULL: a companion */
        const char *macvlan_ip;
        const char *expected; /* NULL: none */
    } table[] = {
        {NULL, NULL, "10.0.0.1", "10.0.0.1"},
        {NULL, NULL, NULL, "10.0.0.2"},
        {NULL, "static-macvlan-cni-attach", "10.0.0.1", "10.0.0.1"},
        {"shop", "static-macvlan-cni-attach", "10.0.0.1", "10.0.0.1"},
        {"other", "static-macvlan-cni-attach", "10.0.0.1", NULL},
        {NULL, "storage", "10.0.0.1", "10.9.0.1"},
        {NULL, "absent", "10.0.0.1", NULL},
    };
    auto_svc_pod struct svc_pod *pod = make_pod(
        "a",
        "{'metadata':{'annotations':{'k8s.v1.cni.cncf.io/network-status':"
        "'[{\\u0022name\\u0022:\\u0022shop/static-macvlan-cni-attach\\u0022,"
        "\\u0022ips\\u0022:[\\u002210.0.0.2\\u0022]},{\\u0022name\\u0022:\\u0022storage\\u0022,"
        "\\u0022ips\\u0022:[\\u002210.9.0.1\\u0022]}]'}}}");

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_network struct svc_network n = {.namespace = xstrdup(table[i].namespace),
                                             .name = xstrdup(table[i].network)};
        struct svc_backends list = {.items = NULL};

        svc_backends_add(&list, pod, table[i].network ? &n : NULL, table[i].macvlan_ip);
        assert_int_equal(list.count, table[i].expected ? 1 : 0);
        if (list.count)
            assert_string_equal(list.items[0].address, table[i].expected);
        free(list.items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stand_as_the_pods_do),
        cmocka_unit_test(the_dead_are_out),
        cmocka_unit_test(the_unready_are_published_where_the_service_wants_it),
        cmocka_unit_test(pods_that_resolve_a_port_otherwise_have_a_subset),
        cmocka_unit_test(numbers_of_ports_are_checked),
        cmocka_unit_test(equal_input_gives_equal_bytes),
        cmocka_unit_test(the_digest_is_of_what_it_says),
        cmocka_unit_test(the_patch_mends_what_differs),
        cmocka_unit_test(a_service_that_is_not_headless_any_more_loses_the_label),
        cmocka_unit_test(a_thousand_fit_the_ready_first),
        cmocka_unit_test(addresses_come_from_macvlanips_or_the_status),
        cmocka_unit_test(a_service_without_a_uid_is_no_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
