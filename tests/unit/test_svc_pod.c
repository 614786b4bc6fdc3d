/* Pods as services see them. */
#include "svc_pod.h"

#include "macvlan/svc_networks.h"
#include "svc_scene.h"

static struct svc_pod *pod_from(const char *text)
{
    auto_json cJSON *tree = quoted_json(text);
    return svc_pod_new(tree);
}

static void keeps_what_is_needed(void **state)
{
    auto_svc_pod struct svc_pod *p = pod_from(
        "{'metadata':{'namespace':'shop','name':'web-0','uid':'u-1',"
        "'labels':{'app':'web','tier':'','bad':7},'annotations':{"
        "'macvlan.pandaria.cattle.io/ip':'auto','macvlan.pandaria.cattle.io/subnet':''}},"
        "'spec':{'nodeName':'n1','hostname':'web-0','subdomain':'web',"
        "'initContainers':[{'ports':[{'name':'early','containerPort':1}]},"
        "{'restartPolicy':'Always','ports':[{'name':'side','containerPort':9000}]}],"
        "'containers':[{'ports':[{'containerPort':80},{'name':'http','containerPort':8080},"
        "{'name':'dns','containerPort':53,'protocol':'UDP'},{'name':'odd','containerPort':70000},"
        "{'name':'what','containerPort':1,'protocol':'ICMP'}]}]},"
        "'status':{'phase':'Running','conditions':[{'type':'Initialized','status':'True'},"
        "{'type':'Ready','status':'True'}]}}");

    (void)state;
    assert_string_equal(p->namespace, "shop");
    assert_string_equal(p->name, "web-0");
    assert_string_equal(p->uid, "u-1");
    assert_string_equal(p->node, "n1");
    assert_string_equal(p->hostname, "web-0");
    assert_string_equal(p->subdomain, "web");
    assert_int_equal(p->label_count, 2);
    assert_true(p->is_macvlan && p->is_ready && svc_pod_is_alive(p));
    assert_false(p->is_unserved || p->is_deleted || p->is_terminated);
    assert_int_equal(p->port_count, 3);
    assert_int_equal(svc_pod_port(p, "http", SVC_TCP), 8080);
    assert_int_equal(svc_pod_port(p, "http", SVC_UDP), 0);
    assert_int_equal(svc_pod_port(p, "dns", SVC_UDP), 53);
    assert_int_equal(svc_pod_port(p, "side", SVC_TCP), 9000);
    assert_int_equal(svc_pod_port(p, "early", SVC_TCP), 0);
    assert_int_equal(svc_pod_port(p, "odd", SVC_TCP), 0);
}

static void facts_follow_their_fields(void **state)
{
    static const struct {
        const char *text;
        bool is_macvlan, is_unserved, is_ready, is_alive;
    } table[] = {
        {"{}", false, false, false, true},
        {"{'metadata':7,'spec':[],'status':'x'}", false, false, false, true},
        {"{'metadata':{'annotations':{'macvlan.pandaria.cattle.io/ip':'auto'}}}", false, false,
         false, true},
        {"{'metadata':{'annotations':{'macvlan.pandaria.cattle.io/ip':'',"
         "'macvlan.pandaria.cattle.io/subnet':'s','macvlan.panda.io/macvlanService':'disable'}}}",
         true, true, false, true},
        {"{'metadata':{'annotations':{'macvlan.panda.io/macvlanService':'disabled'}}}", false, true,
         false, true},
        {"{'metadata':{'annotations':{'macvlan.panda.io/macvlanService':'enabled'}}}", false, false,
         false, true},
        {"{'metadata':{'deletionTimestamp':'2024-01-01T00:00:00Z'}}", false, false, false, false},
        {"{'status':{'phase':'Succeeded'}}", false, false, false, false},
        {"{'status':{'phase':'Failed','conditions':[{'type':'Ready','status':'True'}]}}", false,
         false, true, false},
        {"{'status':{'conditions':[{'type':'Ready','status':'False'}]}}", false, false, false,
         true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_svc_pod struct svc_pod *p = pod_from(table[i].text);

        assert_int_equal(p->is_macvlan, table[i].is_macvlan);
        assert_int_equal(p->is_unserved, table[i].is_unserved);
        assert_int_equal(p->is_ready, table[i].is_ready);
        assert_int_equal(svc_pod_is_alive(p), table[i].is_alive);
        assert_null(p->node);
    }
    assert_null(svc_pod_new(NULL));
}

static void selectors_match_whole_labels(void **state)
{
    static const struct {
        const char *selector;
        bool is_selected;
    } table[] = {
        {"{'app':'web'}", true},
        {"{'app':'web','tier':''}", true},
        {"{'app':'web','tier':'x'}", false},
        {"{'app':'we'}", false},
        {"{'ap':'web'}", false},
        {"{'other':''}", false},
        {"{'app':7}", false},
        {"{}", false},
    };
    auto_svc_pod struct svc_pod *p =
        pod_from("{'metadata':{'labels':{'app':'web','tier':'','more':'1'}}}");

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *selector = quoted_json(table[i].selector);

        assert_int_equal(svc_pod_is_selected(p, selector), table[i].is_selected);
    }
    assert_false(svc_pod_is_selected(p, NULL));
}

static const char *ip_on(const struct svc_pod *p, const char *namespace, const char *name, size_t n)
{
    auto_network struct svc_network network = {.namespace = xstrdup(namespace),
                                               .name = xstrdup(name)};
    return svc_pod_network_ip(p, &network, n);
}

/* The annotation's quotes are inside a JSON string. */
static struct svc_pod *pod_with_status(const char *key, const char *status)
{
    auto_json cJSON *tree = quoted_json("{'metadata':{'namespace':'shop'}}");
    auto_json cJSON *list = quoted_json(status);
    auto_free char *text = json_print(list);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(tree, "metadata");

    json_add_str(cJSON_AddObjectToObject(metadata, "annotations"), key, text);
    return svc_pod_new(tree);
}

static void has_the_addresses_of_a_network(void **state)
{
    static const char *const keys[] = {SVC_STATUS_KEY, SVC_STATUS_OLD_KEY};

    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        auto_svc_pod struct svc_pod *p = pod_with_status(
            keys[i], "[{'name':'cbr0','ips':['10.42.0.9']},"
                     "{'name':'bare','ips':['10.1.0.1','fd00::1']},"
                     "{'name':'shop/own','ips':['10.2.0.1']},"
                     "{'name':'other/far','ips':['10.3.0.1']},{'name':'bare','ips':['10.1.0.2']}]");

        assert_string_equal(ip_on(p, NULL, "bare", 0), "10.1.0.1");
        assert_string_equal(ip_on(p, NULL, "bare", 1), "fd00::1");
        assert_string_equal(ip_on(p, "other", "bare", 2), "10.1.0.2");
        assert_null(ip_on(p, NULL, "bare", 3));
        assert_string_equal(ip_on(p, NULL, "own", 0), "10.2.0.1");
        assert_null(ip_on(p, "other", "own", 0));
        assert_null(ip_on(p, NULL, "far", 0));
        assert_string_equal(ip_on(p, "other", "far", 0), "10.3.0.1");
        assert_null(ip_on(p, NULL, "absent", 0));
    }
}

static void a_broken_status_is_an_empty_one(void **state)
{
    auto_svc_pod struct svc_pod *p =
        pod_from("{'metadata':{'annotations':{'k8s.v1.cni.cncf.io/network-status':'[{'}}}");

    (void)state;
    assert_int_equal(p->network_ip_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_is_needed),
        cmocka_unit_test(facts_follow_their_fields),
        cmocka_unit_test(selectors_match_whole_labels),
        cmocka_unit_test(has_the_addresses_of_a_network),
        cmocka_unit_test(a_broken_status_is_an_empty_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
