/* MacvlanIPs: what is kept of one, the object that is created, the digest of its network. */
#include "macvlan/macvlanip.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ' stands for ". */
static cJSON *tree_of(const char *text)
{
    auto_free char *copy = xstrdup(text);
    cJSON *tree = NULL;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    assert_int_equal(json_parse(copy, strlen(copy), &tree, NULL), 0);
    return tree;
}

static struct subnet *subnet(const char *text)
{
    auto_json cJSON *tree = tree_of(text);
    struct subnet *s = NULL;

    assert_int_equal(subnet_parse(tree, false, &s, NULL), 0);
    assert_true(s->is_valid);
    return s;
}

static void reads_everything(void **state)
{
    auto_json cJSON *tree = tree_of(
        "{'metadata':{'namespace':'ns','name':'pod-1','uid':'u-1','resourceVersion':'9',"
        "'deletionTimestamp':'2019-05-27T08:00:00Z','finalizers':['macvlan.panda.io/ipDelayReuse'],"
        "'annotations':{'macvlan.panda.io/ipDelayReuseTimestamp':'2019-05-27T08:10:00Z'},"
        "'labels':{'macvlan.panda.io/macvlanIpType':'auto'},"
        "'ownerReferences':[{'kind':'X','uid':'no'},"
        "{'kind':'StatefulSet','uid':'set-1','controller':true}]},"
        "'spec':{'subnet':'s1','podId':'p-1','cidr':'10.0.0.5/24','mac':'02:00:00:00:00:0A',"
        "'network':{'master':'eth0'}}}");
    struct macvlanip *m = NULL;
    char text[IP_MAC_TEXT_SIZE], address[IP_TEXT_SIZE];

    (void)state;
    assert_int_equal(macvlanip_parse(tree, &m, NULL), 0);
    assert_string_equal(m->namespace, "ns");
    assert_string_equal(m->name, "pod-1");
    assert_string_equal(m->uid, "u-1");
    assert_string_equal(m->resource_version, "9");
    assert_string_equal(m->pod_uid, "p-1");
    assert_string_equal(m->owner_uid, "set-1");
    assert_int_equal(m->owner, MACVLANIP_STATEFULSET);
    assert_string_equal(m->subnet, "s1");
    assert_string_equal(ip_format(m->ip, address), "10.0.0.5");
    assert_int_equal(m->prefix, 24);
    assert_true(m->has_mac && m->is_auto && m->is_deleting && m->has_delay_finalizer);
    assert_string_equal(ip_mac_format(m->mac, ':', text), "02:00:00:00:00:0a");
    assert_int_equal(m->reuse_at_s, 1558944600);
    assert_true(m->network ==
                macvlanip_digest(json_get_obj(json_get_obj(tree, "spec"), "network")));
    macvlanip_free(m);
}

/* What the controller of 2019 wrote, and worse. */
static void reads_what_others_wrote(void **state)
{
    static const struct {
        const char *text;
        enum macvlanip_owner owner;
        bool has_address;
    } table[] = {
        {"{'metadata':{'namespace':'n','name':'p','uid':'u','labels':{'subnet':'s'},"
         "'ownerReferences':[{'apiVersion':'v1','kind':'Pod','name':'p','uid':'1',"
         "'controller':true}]},'spec':{'subnet':'s','podId':'1','cidr':'10.0.0.2/24','mac':''}}",
         MACVLANIP_POD, true},
        {"{'metadata':{'namespace':'n','name':'p','uid':'u',"
         "'ownerReferences':[{'kind':'StatefulSet','uid':'1'}]},'spec':{'cidr':'fd00::1/64'}}",
         MACVLANIP_STATEFULSET, true},
        {"{'metadata':{'namespace':'n','name':'p','uid':'u','ownerReferences':[{'kind':'Job'}]}}",
         MACVLANIP_OTHER_OWNER, false},
        {"{'metadata':{'namespace':'n','name':'p','uid':'u','ownerReferences':[]},"
         "'spec':{'cidr':'10.0.0.2'}}",
         MACVLANIP_NO_OWNER, false},
        {"{'metadata':{'namespace':'n','name':'p','uid':'u','ownerReferences':7,'labels':[],"
         "'finalizers':{'a':1},'annotations':{'macvlan.panda.io/ipDelayReuseTimestamp':'soon'}},"
         "'spec':{'cidr':5,'mac':'ff:ff:ff:ff:ff:ff','network':[]}}",
         MACVLANIP_NO_OWNER, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *tree = tree_of(table[i].text);
        struct macvlanip *m = NULL;

        assert_int_equal(macvlanip_parse(tree, &m, NULL), 0);
        assert_int_equal(m->owner, table[i].owner);
        assert_int_equal(m->ip.family != AF_UNSPEC, table[i].has_address);
        assert_false(m->has_mac || m->is_auto || m->is_deleting || m->has_delay_finalizer);
        assert_true(m->network == 0 && m->reuse_at_s == 0);
        macvlanip_free(m);
    }
}

static void refuses_nameless_objects(void **state)
{
    static const char *const table[] = {
        "{}",
        "[]",
        "null",
        "{'metadata':{'namespace':'n','name':'p'}}",
        "{'metadata':{'namespace':'n','uid':'u'}}",
        "{'metadata':{'uid':'u','name':'p'}}",
        "{'metadata':{'namespace':'','uid':'u','name':'p'}}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *tree = tree_of(table[i]);
        struct macvlanip *m = NULL;

        assert_int_equal(macvlanip_parse(tree, &m, NULL), -EBADMSG);
        assert_null(m);
    }
}

#define FULL                                                                                       \
    "{'metadata':{'name':'s1','annotations':{'macvlan.panda.io/ipv6to4':'true'}},"                 \
    "'spec':{'master':'eth0','vlan':100,'cidr':'10.0.0.9/24','mtu':1400,'mode':'vepa',"            \
    "'routes':[{'dst':'10.42.1.1/16','iface':'eth0'},{'dst':'0.0.0.0/0','gw':'10.0.0.7'}],"        \
    "'podDefaultGateway':{'enable':true,'serviceCidr':'10.43.0.0/16'}}}"
#define PLAIN "{'metadata':{'name':'s1'},'spec':{'master':'eth0','cidr':'10.0.0.0/24'}}"

static void builds_the_object_of_a_pod(void **state)
{
    static const char expected[] =
        "{'apiVersion':'macvlan.cluster.cattle.io/v1','kind':'MacvlanIP','metadata':{"
        "'name':'pod-1','namespace':'ns','labels':{'subnet':'s1',"
        "'macvlan.panda.io/macvlanIpType':'specific',"
        "'macvlan.panda.io/selectedMac':'02_00_00_00_00_0a','field.cattle.io/projectId':'p-abc',"
        "'workload.user.cattle.io/workloadselector':'apps.deployment-ns-web'},"
        "'ownerReferences':[{'apiVersion':'v1','kind':'Pod','name':'pod-1','uid':'pod-uid',"
        "'controller':true}],'finalizers':['macvlan.panda.io/ipDelayReuse'],"
        "'annotations':{'macvlan.panda.io/ipv6to4':'true'}},"
        "'spec':{'subnet':'s1','podId':'pod-uid','cidr':'10.0.0.5/24','mac':'02:00:00:00:00:0a',"
        "'network':{'master':'eth0','vlan':100,'mode':'vepa','mtu':1400,'gateway':'10.0.0.1',"
        "'routes':[{'dst':'10.42.0.0/16','gw':'','iface':'eth0'},"
        "{'dst':'0.0.0.0/0','gw':'10.0.0.7','iface':''}],"
        "'podDefaultGateway':{'enable':true,'serviceCidr':'10.43.0.0/16'}}}}";
    auto_subnet struct subnet *s = subnet(FULL);
    struct ip_mac mac = {.bytes = {2, 0, 0, 0, 0, 10}};
    struct macvlanip_spec x = {.namespace = "ns",
                               .pod_name = "pod-1",
                               .pod_uid = "pod-uid",
                               .project = "p-abc",
                               .workload = "apps.deployment-ns-web",
                               .subnet = s,
                               .ip = {AF_INET, 0x0a000005},
                               .mac = &mac,
                               .is_delayed = true};
    auto_json cJSON *object = macvlanip_build(&x), *wanted = tree_of(expected);
    auto_free char *text = json_print(object), *wanted_text = json_print(wanted);

    (void)state;
    assert_string_equal(text, wanted_text);
}

static void builds_the_object_of_a_stateful_set(void **state)
{
    static const char expected[] =
        "{'apiVersion':'macvlan.cluster.cattle.io/v1','kind':'MacvlanIP','metadata':{"
        "'name':'web-0','namespace':'ns','labels':{'subnet':'s1',"
        "'macvlan.panda.io/macvlanIpType':'auto'},"
        "'ownerReferences':[{'apiVersion':'apps/v1','kind':'StatefulSet','name':'web',"
        "'uid':'set-uid','controller':true}]},"
        "'spec':{'subnet':'s1','podId':'pod-uid','cidr':'10.0.0.5/24','mac':'',"
        "'network':{'master':'eth0','vlan':0,'mode':'bridge','mtu':0,'gateway':'10.0.0.1',"
        "'routes':[],'podDefaultGateway':{'enable':false,'serviceCidr':''}}}}";
    auto_subnet struct subnet *s = subnet(PLAIN);
    struct macvlanip_spec x = {.namespace = "ns",
                               .pod_name = "web-0",
                               .pod_uid = "pod-uid",
                               .set_name = "web",
                               .set_uid = "set-uid",
                               .project = "",
                               .workload = "apps.deployment-a-name-that-is-longer-than-any-label-"
                                           "value-may-be",
                               .subnet = s,
                               .ip = {AF_INET, 0x0a000005},
                               .is_auto = true};
    auto_json cJSON *object = macvlanip_build(&x), *wanted = tree_of(expected);
    auto_free char *text = json_print(object), *wanted_text = json_print(wanted);

    (void)state;
    assert_string_equal(text, wanted_text);
    cJSON_Delete(take(object));
    x.workload = "c-1:p-1";
    object = macvlanip_build(&x);
    free(take(text));
    text = json_print(object);
    assert_string_equal(text, wanted_text);
}

/* What is built can be read again. */
static void reads_what_it_builds(void **state)
{
    auto_subnet struct subnet *s = subnet(FULL);
    auto_json cJSON *network = macvlanip_network(s);
    struct macvlanip_spec x = {.namespace = "ns",
                               .pod_name = "pod-1",
                               .pod_uid = "pod-uid",
                               .subnet = s,
                               .ip = {AF_INET, 0x0a000005},
                               .is_auto = true};
    auto_json cJSON *object = macvlanip_build(&x);
    struct macvlanip *m = NULL;

    (void)state;
    json_add_str(cJSON_GetObjectItem(object, "metadata"), "uid", "u");
    assert_int_equal(macvlanip_parse(object, &m, NULL), 0);
    assert_int_equal(m->owner, MACVLANIP_POD);
    assert_string_equal(m->owner_uid, "pod-uid");
    assert_true(m->is_auto && !m->has_mac && !m->has_delay_finalizer);
    assert_true(m->network == macvlanip_digest(network));
    macvlanip_free(m);
}

static void digests_tell_networks_apart(void **state)
{
    static const char *const same[] = {
        "{'master':'eth0','vlan':0,'mode':'bridge','mtu':0,'gateway':'','routes':[]}",
        "{'master':'eth0','mode':'bridge','podDefaultGateway':{'enable':false,'serviceCidr':''}}",
        "{'mode':'bridge','master':'eth0'}",
        "{'routes':null,'vlan':0,'mode':'bridge','master':'eth0','podDefaultGateway':{}}",
    };
    static const char *const others[] = {
        "{'master':'eth1','mode':'bridge'}",
        "{'master':'eth0','mode':'vepa'}",
        "{'master':'eth0','mode':'bridge','vlan':1}",
        "{'master':'eth0','mode':'bridge','mtu':1}",
        "{'master':'eth0','mode':'bridge','gateway':'1'}",
        "{'master':'eth0','mode':'bridge','podDefaultGateway':{'enable':true}}",
        "{'master':'eth0','mode':'bridge','podDefaultGateway':{'serviceCidr':'1'}}",
        "{'master':'eth0','mode':'bridge','routes':[{}]}",
        "{'master':'eth0','mode':'bridge','routes':[{'dst':'1'}]}",
        "{'master':'eth0','mode':'bridge','routes':[{'gw':'1'}]}",
        "{'master':'eth0','mode':'bridge','routes':[{'iface':'1'}]}",
        "{'master':'eth0','mode':'bridge','routes':[{'dst':'1'},{'dst':'2'}]}",
        "{'master':'eth0','mode':'bridge','routes':[{'dst':'2'},{'dst':'1'}]}",
        "{'master':'eth0bridge'}",
    };
    uint64_t digests[COUNT(others) + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(same); i++) {
        auto_json cJSON *tree = tree_of(same[i]);

        digests[COUNT(others)] = i ? digests[COUNT(others)] : macvlanip_digest(tree);
        assert_true(macvlanip_digest(tree) == digests[COUNT(others)]);
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        auto_json cJSON *tree = tree_of(others[i]);

        digests[i] = macvlanip_digest(tree);
    }
    for (size_t i = 0; i < COUNT(digests); i++)
        for (size_t k = 0; k < i; k++)
            assert_true(digests[i] != digests[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_everything),
        cmocka_unit_test(reads_what_others_wrote),
        cmocka_unit_test(refuses_nameless_objects),
        cmocka_unit_test(builds_the_object_of_a_pod),
        cmocka_unit_test(builds_the_object_of_a_stateful_set),
        cmocka_unit_test(reads_what_it_builds),
        cmocka_unit_test(digests_tell_networks_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
