/* What a MacvlanIP says, as the controller writes it, and what is refused. */
#include "wanted.h"

#include "json.h"
#include "macvlan/macvlanip.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, struct wanted *w, char message[256])
{
    auto_json cJSON *tree = NULL;
    auto_err struct err *e = NULL;
    int r;

    assert_int_equal(json_parse(text, strlen(text), &tree, NULL), 0);
    r = wanted_parse(tree, w, &e);
    (void)snprintf(message, 256, "%s", e ? e->msg : "");
    return r;
}

/* With these members of spec.network, and of spec. */
static int parse_network(const char *network, const char *spec, struct wanted *w, char message[256])
{
    auto_free char *text = xasprintf("{\"spec\": {\"cidr\": \"10.0.0.5/24\", \"network\": "
                                     "{\"master\": \"eth0\"%s%s}%s%s}}",
                                     *network ? "," : "", network, *spec ? "," : "", spec);

    return parse(text, w, message);
}

static void reads_all(void **state)
{
    auto_wanted struct wanted w = {.master = NULL};
    char message[256], text[IP_NET_TEXT_SIZE], mac[IP_MAC_TEXT_SIZE];

    (void)state;
    assert_int_equal(
        parse("{\"metadata\": {\"annotations\": {\"macvlan.panda.io/ipv6to4\": \"true\"}}, "
              "\"spec\": {\"subnet\": \"s\", \"podId\": \"u\", \"cidr\": \"10.0.0.5/24\", \"mac\": "
              "\"02:00:00:00:00:0A\", \"network\": {\"master\": \"eth0\", \"vlan\": 100, \"mode\": "
              "\"vepa\", \"mtu\": 1400, \"gateway\": \"10.0.0.1\", \"routes\": [{\"dst\": "
              "\"10.1.0.0/16\", \"gw\": \"\", \"iface\": \"\"}, {\"dst\": \"10.2.0.0/16\", \"gw\": "
              "\"10.0.0.9\", \"iface\": \"eth1\"}, {\"dst\": \"10.42.0.0/16\", \"gw\": "
              "\"10.42.0.1\", \"iface\": \"eth0\"}], \"podDefaultGateway\": {\"enable\": true, "
              "\"serviceCidr\": \"10.43.0.0/16\"}}}}",
              &w, message),
        0);
    assert_string_equal(w.master, "eth0");
    assert_string_equal(w.subnet, "s");
    assert_int_equal(w.vlan, 100);
    assert_int_equal(w.mode, MACVLAN_VEPA);
    assert_int_equal(w.mtu, 1400);
    assert_true(w.has_mac);
    assert_string_equal(ip_mac_format(w.mac, ':', mac), "02:00:00:00:00:0a");
    assert_string_equal(ip_net_format(w.addr, text), "10.0.0.5/24");
    assert_true(w.is_6to4);
    assert_string_equal(ip_format(w.gateway, text), "10.0.0.1");
    assert_int_equal(w.n_routes, 3);
    assert_int_equal(w.routes[0].gw.family, AF_UNSPEC);
    assert_null(w.routes[0].iface);
    assert_string_equal(ip_format(w.routes[1].gw, text), "10.0.0.9");
    assert_null(w.routes[1].iface);
    assert_string_equal(w.routes[2].iface, "eth0");
    assert_true(w.has_default_route);
    assert_string_equal(ip_net_format(w.service_cidr, text), "10.43.0.0/16");
}

static void what_is_empty_has_its_default(void **state)
{
    auto_wanted struct wanted w = {.master = NULL};
    char message[256];

    (void)state;
    assert_int_equal(parse_network("\"mode\": \"\", \"gateway\": \"\", \"podDefaultGateway\": "
                                   "{\"enable\": false, \"serviceCidr\": \"\"}",
                                   "\"mac\": \"\"", &w, message),
                     0);
    assert_int_equal(w.mode, MACVLAN_BRIDGE);
    assert_int_equal(w.gateway.family, AF_UNSPEC);
    assert_false(w.has_mac);
    assert_false(w.has_default_route);
    assert_int_equal(w.service_cidr.addr.family, AF_UNSPEC);
    assert_false(w.is_6to4);
    assert_string_equal(w.subnet, "");
}

/* The controller's own writer, so that neither changes alone. */
static void reads_what_the_controller_writes(void **state)
{
    static const char spec[] =
        "{\"metadata\": {\"name\": \"s\"}, \"spec\": {\"master\": \"bond0\", \"vlan\": 7, "
        "\"mode\": "
        "\"private\", \"cidr\": \"fd00::/64\", \"gateway\": \"fd00::1\", \"routes\": [{\"dst\": "
        "\"fd01::/64\", \"gw\": \"fd00::9\"}, {\"dst\": \"10.42.0.0/16\", \"gw\": \"10.42.0.1\", "
        "\"iface\": \"eth0\"}], \"podDefaultGateway\": {\"enable\": true, \"serviceCidr\": "
        "\"fd43::/112\"}}}";
    auto_subnet struct subnet *s = NULL;
    auto_json cJSON *tree = NULL, *object = NULL;
    auto_wanted struct wanted w = {.master = NULL};
    struct macvlanip_spec x = {.namespace = "shop", .pod_name = "web", .pod_uid = "u"};
    char text[IP_NET_TEXT_SIZE];

    (void)state;
    assert_int_equal(json_parse(spec, strlen(spec), &tree, NULL), 0);
    assert_int_equal(subnet_parse(tree, false, &s, NULL), 0);
    assert_true(s->is_valid);
    x.subnet = s;
    assert_int_equal(ip_parse("fd00::5", &x.ip), 0);
    object = macvlanip_build(&x);
    assert_int_equal(wanted_parse(object, &w, NULL), 0);
    assert_string_equal(w.master, "bond0");
    assert_string_equal(w.subnet, "s");
    assert_int_equal(w.vlan, 7);
    assert_int_equal(w.mode, MACVLAN_PRIVATE);
    assert_string_equal(ip_net_format(w.addr, text), "fd00::5/64");
    assert_int_equal(w.n_routes, 2);
    assert_string_equal(w.routes[1].iface, "eth0");
    assert_true(w.has_default_route);
}

static void an_old_object_is_still_to_come(void **state)
{
    struct wanted w = {.master = NULL};
    char message[256];

    (void)state;
    assert_int_equal(parse("{\"spec\": {\"subnet\": \"s\", \"cidr\": \"10.0.0.5/24\"}}", &w,
                           message),
                     -EAGAIN);
}

static void names_what_makes_no_sense(void **state)
{
    static const struct {
        const char *network, *spec, *message;
    } table[] = {
        {"\"vlan\": 4095", "", "the MacvlanIP: 'vlan' is no number from 0 to 4094"},
        {"\"vlan\": \"1\"", "", "the MacvlanIP: 'vlan' is no number from 0 to 4094"},
        {"\"mtu\": -1", "", "the MacvlanIP: 'mtu' is no number from 0 to 65535"},
        {"\"mode\": \"l2\"", "", "the MacvlanIP: 'mode' is not known: 'l2'"},
        {"\"gateway\": \"<nil>\"", "", "the MacvlanIP: 'gateway' is no address: '<nil>'"},
        {"\"gateway\": \"fd00::1\"", "",
         "the MacvlanIP: 'gateway' has not the family of the address: 'fd00::1'"},
        {"\"routes\": [{}]", "", "the MacvlanIP: a route has no 'dst'"},
        {"\"routes\": [{\"dst\": \"10.0.0.0/8\", \"gw\": \"fd00::1\"}]", "",
         "the MacvlanIP: a route to '10.0.0.0/8' has a 'gw' of the other family"},
        {"\"routes\": [{\"dst\": \"10.0.0.0/8\", \"iface\": \"a b\"}]", "",
         "the MacvlanIP: 'iface' of a route is no interface: 'a b'"},
        {"\"podDefaultGateway\": {\"enable\": true}", "",
         "the MacvlanIP: 'podDefaultGateway' is on, and there is no 'gateway'"},
        {"", "\"mac\": \"x\"", "the MacvlanIP: 'mac': "},
    };
    char message[256];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct wanted w = {.master = NULL};

        assert_int_equal(parse_network(table[i].network, table[i].spec, &w, message), -EBADMSG);
        if (strncmp(message, table[i].message, strlen(table[i].message)) != 0)
            fail_msg("'%s', not '%s'", message, table[i].message);
    }
    {
        struct wanted w = {.master = NULL};

        assert_int_equal(parse("{\"spec\": {\"cidr\": \"x\", \"network\": {\"master\": \"e\"}}}",
                               &w, message),
                         -EBADMSG);
        assert_int_equal(parse("{\"spec\": {\"network\": {\"master\": \"e\"}}}", &w, message),
                         -EBADMSG);
        assert_string_equal(message, "the MacvlanIP: 'cidr' is missing");
        assert_int_equal(parse("{\"spec\": {\"cidr\": \"10.0.0.5/24\", \"network\": {}}}", &w,
                               message),
                         -EBADMSG);
        assert_string_equal(message, "the MacvlanIP: 'master' is no interface: ''");
        assert_int_equal(parse("{}", &w, message), -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all),
        cmocka_unit_test(what_is_empty_has_its_default),
        cmocka_unit_test(reads_what_the_controller_writes),
        cmocka_unit_test(an_old_object_is_still_to_come),
        cmocka_unit_test(names_what_makes_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
