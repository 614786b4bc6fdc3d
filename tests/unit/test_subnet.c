/* MacvlanSubnets: reading, every finding, usable addresses, overlap. */
#include "macvlan/subnet.h"

#include "buf.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct subnet *parse_object(const char *text, bool legacy)
{
    auto_json cJSON *tree = NULL;
    struct subnet *s = NULL;

    assert_int_equal(json_parse(text, strlen(text), &tree, NULL), 0);
    assert_int_equal(subnet_parse(tree, legacy, &s, NULL), 0);
    return s;
}

/* `spec` are members behind master eth0; ' stands for ". */
static struct subnet *parse(const char *spec, bool legacy)
{
    auto_free char *text =
        xasprintf("{\"metadata\":{\"name\":\"s1\"},\"spec\":{\"master\":\"eth0\"%s%s}}",
                  *spec ? "," : "", spec);

    for (char *p = text; *p; p++)
        if (*p == '\'')
            *p = '"';
    return parse_object(text, legacy);
}

static struct ip_addr addr(const char *text)
{
    struct ip_addr a = {.family = AF_UNSPEC};

    assert_int_equal(ip_parse(text, &a), 0);
    return a;
}

static char *all_findings(const struct subnet *s)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < s->n_findings; i++)
        (void)buf_addf(&b, "%c:%s\n", s->findings[i].is_error ? 'E' : 'W', s->findings[i].text);
    return buf_steal(&b);
}

static void reads_everything(void **state)
{
    static const char text[] =
        "{\"metadata\":{\"name\":\"vlan100\",\"uid\":\"u-1\",\"resourceVersion\":\"77\","
        "\"creationTimestamp\":\"2019-05-27T08:00:00Z\",\"generation\":3,"
        "\"deletionTimestamp\":\"2019-06-01T00:00:00Z\",\"finalizers\":[\"x\",\"" SUBNET_FINALIZER
        "\"],\"labels\":{\"project\":\"c-abc-p-def\",\"master\":\"bond0\",\"vlan\":\"100\","
        "\"mode\":\"private\"},\"annotations\":{\"macvlan.panda.io/ipv6to4\":\"true\"}},"
        "\"spec\":{\"master\":\"bond0\",\"vlan\":100,\"cidr\":\"10.1.2.3/16\",\"mode\":\"private\","
        "\"gateway\":\"10.1.0.254\",\"mtu\":1400,\"ipDelayReuse\":600,"
        "\"ranges\":[{\"rangeStart\":\"10.1.9.1\",\"rangeEnd\":\"10.1.9.9\"},"
        "{\"rangeStart\":\"10.1.2.1\",\"rangeEnd\":\"10.1.2.9\"}],"
        "\"routes\":[{\"dst\":\"10.9.8.7/16\",\"gw\":\"10.1.0.7\",\"iface\":\"eth1\"},"
        "{\"dst\":\"10.42.0.0/16\",\"iface\":\"eth0\"},{\"dst\":\"0.0.0.0/0\"}],"
        "\"podDefaultGateway\":{\"enable\":true,\"serviceCidr\":\"10.43.0.0/16\"}}}";
    auto_subnet struct subnet *s = parse_object(text, false);
    char net[IP_NET_TEXT_SIZE];

    (void)state;
    assert_true(s->is_valid);
    assert_int_equal(s->n_findings, 0);
    assert_string_equal(s->name, "vlan100");
    assert_string_equal(s->uid, "u-1");
    assert_string_equal(s->resource_version, "77");
    assert_string_equal(s->created, "2019-05-27T08:00:00Z");
    assert_int_equal(s->generation, 3);
    assert_true(s->is_deleting && s->has_finalizer && s->is_ipv6to4);
    assert_string_equal(s->project, "c-abc-p-def");
    assert_string_equal(s->master, "bond0");
    assert_int_equal(s->vlan, 100);
    assert_string_equal(s->mode, "private");
    assert_int_equal(s->mtu, 1400);
    assert_string_equal(ip_net_format(s->cidr, net), "10.1.2.3/16");
    assert_int_equal(ip_compare(s->gateway, addr("10.1.0.254")), 0);
    assert_int_equal(s->delay_reuse_ms, 600000);
    assert_int_equal(s->n_ranges, 2);
    assert_true(s->ranges[0].first == addr("10.1.2.1").value);
    assert_true(s->ranges[1].last == addr("10.1.9.9").value);
    assert_int_equal(s->n_routes, 3);
    assert_string_equal(ip_net_format(s->routes[0].dst, net), "10.9.0.0/16");
    assert_int_equal(ip_compare(s->routes[0].gw, addr("10.1.0.7")), 0);
    assert_string_equal(s->routes[0].iface, "eth1");
    assert_int_equal(s->routes[1].gw.family, AF_UNSPEC);
    assert_string_equal(s->routes[1].iface, "eth0");
    assert_string_equal(s->routes[2].iface, "");
    assert_true(s->has_default_route);
    assert_string_equal(ip_net_format(s->service_cidr, net), "10.43.0.0/16");
    assert_null(s->patch);
}

static void fills_in_defaults(void **state)
{
    static const struct {
        const char *spec, *patch;
    } table[] = {
        {"'cidr':'192.168.1.7/24'",
         "{\"metadata\":{\"labels\":{\"master\":\"eth0\",\"vlan\":\"0\",\"mode\":\"bridge\"}},"
         "\"spec\":{\"mode\":\"bridge\",\"gateway\":\"192.168.1.1\"}}"},
        {"'cidr':'10.0.0.0/8','vlan':10,'mode':'','gateway':''",
         "{\"metadata\":{\"labels\":{\"master\":\"eth0\",\"vlan\":\"10\",\"mode\":\"bridge\"}},"
         "\"spec\":{\"mode\":\"bridge\",\"gateway\":\"10.0.0.1\"}}"},
        {"'cidr':'10.0.0.4/31','gateway':'<nil>','mode':'vepa'",
         "{\"metadata\":{\"labels\":{\"master\":\"eth0\",\"vlan\":\"0\",\"mode\":\"vepa\"}},"
         "\"spec\":{\"gateway\":\"10.0.0.5\"}}"},
        {"'cidr':'10.0.0.4/32','mode':'vepa','gateway':null,'vlan':null,'ranges':null",
         "{\"metadata\":{\"labels\":{\"master\":\"eth0\",\"vlan\":\"0\",\"mode\":\"vepa\"}},"
         "\"spec\":{}}"},
        {"'cidr':'fd00:1::9/64','mode':'bridge'",
         "{\"metadata\":{\"labels\":{\"master\":\"eth0\",\"vlan\":\"0\",\"mode\":\"bridge\"}},"
         "\"spec\":{\"gateway\":\"fd00:1::1\"}}"},
        {"'cidr':'fd00:1::/64','mode':'bridge','gateway':'fe80::1',"
         "'routes':[{'dst':'::/0','gw':'fe80::1'}]",
         "{\"metadata\":{\"labels\":{\"master\":\"eth0\",\"vlan\":\"0\",\"mode\":\"bridge\"}},"
         "\"spec\":{}}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_subnet struct subnet *s = parse(table[i].spec, false);
        auto_free char *patch = json_print(s->patch);

        assert_int_equal(s->n_findings, 0);
        assert_string_equal(patch, table[i].patch);
    }
}

#define NET "'cidr':'10.0.0.0/24',"

static void finds_what_is_wrong(void **state)
{
    static const struct {
        const char *spec, *finding; /* the only one */
    } table[] = {
        {"", "E:invalid CIDR address: ; set"},
        {"'cidr':'10.0.0.0'", "E:invalid CIDR address: 10.0.0.0; set"},
        {"'cidr':'10.0.0.0/33'", "E:invalid CIDR address: 10.0.0.0/33; set"},
        {"'cidr':'0.0.0.0/0'", "E:'spec.cidr' is '0.0.0.0/0', which has addresses of '0.0.0.0/8'"},
        {"'cidr':'127.0.0.0/24'", "of '127.0.0.0/8' that no pod can have"},
        {"'cidr':'239.0.0.0/24'", "of '224.0.0.0/3' that"},
        {"'cidr':'128.0.0.0/1'", "of '224.0.0.0/3' that"},
        {"'cidr':'::ffff:10.0.0.0/120'", "of '::/8' that"},
        {"'cidr':'fe80::/64'", "of 'fe80::/10' that"},
        {"'cidr':'ff02::/64'", "of 'ff00::/8' that"},
        {NET "'vlan':4095", "E:'spec.vlan' is not a whole number from 0 to 4094"},
        {NET "'vlan':-1", "E:'spec.vlan' is not"},
        {NET "'vlan':1.5", "E:'spec.vlan' is not"},
        {NET "'vlan':'10'", "E:'spec.vlan' is not"},
        {NET "'ipDelayReuse':-1",
         "E:'spec.ipDelayReuse' is not a whole number from 0 to 315360000"},
        {NET "'ipDelayReuse':315360001", "E:'spec.ipDelayReuse' is not"},
        {NET "'mode':'ipvlan'", "E:'spec.mode' is 'ipvlan': use bridge, private, vepa or passthru"},
        {NET "'mode':1", "E:'mode' is not a text"},
        {NET "'mtu':67", "E:'spec.mtu' is 67, but IPv4 needs 68"},
        {"'cidr':'fd00::/64','mtu':1279", "E:'spec.mtu' is 1279, but IPv6 needs 1280"},
        {NET "'mtu':65536", "E:'spec.mtu' is not"},
        {NET "'gateway':'10.0.0.1/24'",
         "E:'spec.gateway' is '10.0.0.1/24': use an address without"},
        {NET "'gateway':'fd00::1'", "E:gateway 'fd00::1' is not of the same family as network"},
        {NET "'gateway':'10.0.1.1'", "W:gateway '10.0.1.1' is not in network '10.0.0.0/24'"},
        {NET "'gateway':'10.0.0.0'", "W:gateway '10.0.0.0' is the network or broadcast address"},
        {NET "'gateway':'10.0.0.255'", "W:gateway '10.0.0.255' is the network or broadcast"},
        {NET "'ranges':{}", "E:'spec.ranges' is not a list of at most 1024 members"},
        {NET "'ranges':[{'rangeStart':'10.0.0.5'}]", "E:range '10.0.0.5-' does not have two"},
        {NET "'ranges':[{'rangeStart':'10.0.0.5','rangeEnd':'10.0.0.x'}]", "does not have two"},
        {NET "'ranges':[{'rangeStart':'10.0.0.5','rangeEnd':'10.0.0.4'}]",
         "E:range '10.0.0.5-10.0.0.4' ends before it starts"},
        {NET "'ranges':[{'rangeStart':'10.0.0.5','rangeEnd':'10.0.1.4'}]",
         "E:range '10.0.0.5-10.0.1.4' is not in network '10.0.0.0/24'"},
        {NET "'ranges':[{'rangeStart':'fd00::1','rangeEnd':'fd00::2'}]", "is not in network"},
        {NET "'ranges':[{'rangeStart':'10.0.0.5','rangeEnd':'10.0.0.9'},"
             "{'rangeStart':'10.0.0.9','rangeEnd':'10.0.0.9'}]",
         "W:two ranges have address '10.0.0.9' in common and count as one"},
        {NET "'ranges':[{'rangeStart':'10.0.0.5','rangeEnd':'10.0.0.9'},{}]",
         "W:range 2 is empty and left out"},
        {NET "'ranges':[{'rangeStart':'10.0.0.1','rangeEnd':'10.0.0.1'}]", "W:no address is left"},
        {"'cidr':'10.0.0.4/31','gateway':'10.0.0.4','ranges':[{'rangeStart':'10.0.0.4',"
         "'rangeEnd':'10.0.0.4'}]",
         "W:no address is left"},
        {NET "'routes':[{'gw':'10.0.0.2'}]", "E:invalid CIDR address: ; set 'dst' of the route"},
        {NET "'routes':[{'dst':'10.1.0.0'}]", "E:invalid CIDR address: 10.1.0.0; set 'dst'"},
        {NET "'routes':[{'dst':'10.1.0.0/16','gw':'10.0.1.1'}]",
         "E:invalid gateway ip '10.0.1.1' is not in network '10.0.0.0/24'"},
        {NET "'routes':[{'dst':'10.1.0.0/16','gw':'10.0.1.1','iface':'eth1'}]",
         "E:invalid gateway ip '10.0.1.1' is not in network '10.0.0.0/24'"},
        {NET "'routes':[{'dst':'10.1.0.0/16','gw':'fe80::1'}]", "E:invalid gateway ip 'fe80::1'"},
        {NET "'routes':[{'dst':'10.1.0.0/16','gw':'x','iface':'eth0'}]",
         "E:invalid gateway ip 'x'"},
        {NET "'routes':[{'dst':'10.1.0.0/16','gw':'fd00::1','iface':'eth0'}]",
         "E:gateway 'fd00::1' of a route is not of the same family as its destination"},
        {NET "'routes':[{'dst':'10.1.0.0/16','iface':'eth2'}]", "is 'eth2': use eth0, eth1"},
        {NET "'routes':[{'dst':'fd00::/64'}]", "E:the route to 'fd00::/64' is not of the family"},
        {NET "'podDefaultGateway':{'enable':true}", "W:'podDefaultGateway' is on without"},
        {NET "'podDefaultGateway':{'serviceCidr':'10.43'}", "E:invalid CIDR address: 10.43; set"},
        {NET "'podDefaultGateway':{'enable':true,'serviceCidr':'fd00::/64'}",
         "E:'serviceCidr' is 'fd00::/64', which is not of the family"},
        {"'cidr':'10.0.0.4/32','podDefaultGateway':{'enable':true,'serviceCidr':'10.43.0.0/16'}",
         "E:'podDefaultGateway' is on, but there is no gateway"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_subnet struct subnet *s = parse(table[i].spec, false);
        auto_free char *findings = all_findings(s);

        if (s->n_findings != 1 || !strstr(findings, table[i].finding))
            fail_msg("%s gives\n%s", table[i].spec, findings);
        assert_int_equal(s->is_valid, !s->findings[0].is_error);
        assert_true(!s->is_valid == !s->patch);
    }
}

/* The sample of 2019 had them. */
static void warns_of_other_keys_in_ranges(void **state)
{
    auto_subnet struct subnet *s =
        parse(NET "'ranges':[{'start':'10.0.0.5','end':'10.0.0.9'}]", false);
    auto_free char *findings = all_findings(s);

    (void)state;
    assert_true(s->is_valid);
    assert_int_equal(s->n_ranges, 0);
    assert_non_null(strstr(findings, "W:range 1: 'start' is not read, write 'rangeStart'"));
    assert_non_null(strstr(findings, "W:range 1: 'end' is not read"));
    assert_non_null(strstr(findings, "W:no range is left, so that the whole network"));
}

static void checks_names(void **state)
{
    static const struct {
        const char *master;
        bool is_valid;
    } table[] = {
        {"eth0", true},      {"enp129s0f0np0", true},
        {"bond0.100", true}, {"a234567890abcde", true},
        {"", false},         {"a234567890abcdef", false},
        {"eth 0", false},    {"eth/0", false},
        {"eth0:1", false},   {"..", false},
        {"-eth", false},     {"eth0\\u00e9", false},
    };
    auto_json cJSON *nameless = cJSON_CreateObject();
    auto_err struct err *e = NULL;
    struct subnet *none = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *text =
            xasprintf("{\"metadata\":{\"name\":\"s\"},\"spec\":{\"master\":\"%s\","
                      "\"cidr\":\"10.0.0.0/24\"}}",
                      table[i].master);
        auto_subnet struct subnet *s = parse_object(text, false);

        assert_int_equal(s->is_valid, table[i].is_valid);
    }
    assert_int_equal(subnet_parse(nameless, false, &none, &e), -EBADMSG);
    assert_null(none);
}

static void refuses_long_names(void **state)
{
    static const char name[] = "a23456789012345678901234567890123456789012345678901234567890123";

    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        auto_free char *text = xasprintf("{\"metadata\":{\"name\":\"%s%s\"},\"spec\":{\"master\":"
                                         "\"eth0\",\"cidr\":\"10.0.0.0/24\"}}",
                                         name, extra ? "x" : "");
        auto_subnet struct subnet *s = parse_object(text, false);

        assert_int_equal(s->is_valid, !extra);
    }
}

static void bounds_what_it_notes(void **state)
{
    auto_buf struct buf spec;
    struct subnet *s;

    (void)state;
    buf_init(&spec, 1 << 20);
    (void)buf_addstr(&spec, NET "'ranges':[{}");
    for (int i = 0; i < 500; i++)
        (void)buf_addstr(&spec, ",{'start':'x','rangeStart':'x'}");
    (void)buf_addstr(&spec, "]");
    s = parse(spec.data, false);
    assert_false(s->is_valid);
    assert_in_range(s->n_findings, 10, 100);
    subnet_free(s);
}

static void knows_places(void **state)
{
    static const struct {
        const char *spec, *address;
        bool legacy;
        enum subnet_place place;
    } table[] = {
        {"'cidr':'10.0.0.9/24'", "10.0.0.2", false, SUBNET_USABLE},
        {"'cidr':'10.0.0.9/24'", "10.0.0.254", false, SUBNET_USABLE},
        {"'cidr':'10.0.0.9/24'", "10.0.0.1", false, SUBNET_GATEWAY},
        {"'cidr':'10.0.0.9/24'", "10.0.0.0", false, SUBNET_NETWORK},
        {"'cidr':'10.0.0.9/24'", "10.0.0.255", false, SUBNET_BROADCAST},
        {"'cidr':'10.0.0.9/24'", "10.0.1.1", false, SUBNET_OUTSIDE},
        {"'cidr':'10.0.0.9/24'", "fd00::1", false, SUBNET_OUTSIDE},
        {"'cidr':'10.0.0.9/24','gateway':'10.0.1.1'", "10.0.0.1", false, SUBNET_USABLE},
        {"'cidr':'10.0.0.64/26'", "10.0.0.64", false, SUBNET_NETWORK},
        {"'cidr':'10.0.0.64/26'", "10.0.0.127", false, SUBNET_BROADCAST},
        {"'cidr':'10.0.0.64/26'", "10.0.0.64", true, SUBNET_USABLE},
        {"'cidr':'10.0.0.64/26'", "10.0.0.127", true, SUBNET_USABLE},
        {"'cidr':'10.0.0.0/16'", "10.0.7.0", false, SUBNET_USABLE},
        {"'cidr':'10.0.0.0/16'", "10.0.7.255", false, SUBNET_USABLE},
        {"'cidr':'10.0.0.0/16'", "10.0.7.0", true, SUBNET_NETWORK},
        {"'cidr':'10.0.0.0/16'", "10.0.7.255", true, SUBNET_BROADCAST},
        {"'cidr':'10.0.0.0/30'", "10.0.0.3", false, SUBNET_BROADCAST},
        {"'cidr':'10.0.0.0/30'", "10.0.0.3", true, SUBNET_USABLE},
        {"'cidr':'10.0.0.4/31'", "10.0.0.4", false, SUBNET_USABLE},
        {"'cidr':'10.0.0.4/31'", "10.0.0.5", false, SUBNET_GATEWAY},
        {"'cidr':'10.0.0.4/32'", "10.0.0.4", false, SUBNET_USABLE},
        {"'cidr':'fd00::/64'", "fd00::", false, SUBNET_NETWORK},
        {"'cidr':'fd00::/64'", "fd00::1", false, SUBNET_GATEWAY},
        {"'cidr':'fd00::/64'", "fd00::ff", true, SUBNET_USABLE},
        {"'cidr':'fd00::/64'", "fd00::ffff:ffff:ffff:ffff", false, SUBNET_USABLE},
        {"'cidr':'fd00::/127','gateway':'fd01::1'", "fd00::", false, SUBNET_USABLE},
        {NET "'ranges':[{'rangeStart':'10.0.0.0','rangeEnd':'10.0.0.9'},"
             "{'rangeStart':'10.0.0.20','rangeEnd':'10.0.0.29'}]",
         "10.0.0.10", false, SUBNET_OUTSIDE},
        {NET "'ranges':[{'rangeStart':'10.0.0.0','rangeEnd':'10.0.0.9'},"
             "{'rangeStart':'10.0.0.20','rangeEnd':'10.0.0.29'}]",
         "10.0.0.29", false, SUBNET_USABLE},
        {NET "'ranges':[{'rangeStart':'10.0.0.0','rangeEnd':'10.0.0.9'}]", "10.0.0.0", false,
         SUBNET_NETWORK},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_subnet struct subnet *s = parse(table[i].spec, table[i].legacy);

        if (subnet_place(s, addr(table[i].address)) != table[i].place)
            fail_msg("'%s' in %s", table[i].address, table[i].spec);
    }
}

/* What can be counted one by one agrees with the arithmetic. */
static void counts_agree_with_places(void **state)
{
    static const char *const specs[] = {
        "'cidr':'10.0.0.9/24'",
        "'cidr':'10.0.0.0/22'",
        "'cidr':'10.0.0.64/26'",
        "'cidr':'10.0.0.252/30'",
        "'cidr':'10.0.0.4/31'",
        "'cidr':'10.0.0.0/32'",
        "'cidr':'10.0.0.0/22','gateway':'10.0.1.255'",
        "'cidr':'10.0.0.0/22','gateway':'10.0.0.0'",
        "'cidr':'10.0.0.0/22','gateway':'10.9.0.0'",
        "'cidr':'10.0.0.0/22','ranges':[{'rangeStart':'10.0.0.0','rangeEnd':'10.0.1.5'},"
        "{'rangeStart':'10.0.1.255','rangeEnd':'10.0.2.0'},"
        "{'rangeStart':'10.0.3.250','rangeEnd':'10.0.3.255'}]",
    };

    (void)state;
    for (size_t i = 0; i < 2 * COUNT(specs); i++) {
        auto_subnet struct subnet *s = parse(specs[i / 2], i % 2);
        struct ip_addr a = ip_net_first(s->cidr), last = ip_net_last(s->cidr);
        ip_num first = a.value, expected = 0;
        struct ipset filled;

        ipset_init(&filled);
        subnet_fill(s, &filled);
        for (; a.value <= last.value; a.value++) {
            bool is_usable = subnet_place(s, a) == SUBNET_USABLE;

            expected += is_usable;
            assert_true(subnet_usable_in(s, first, a.value) == expected);
            assert_true(subnet_usable_in(s, a.value, a.value) == is_usable);
            assert_true(ipset_has(&filled, a.value) || !is_usable);
            assert_true(!ipset_has(&filled, a.value) || is_usable || i % 2);
        }
        ipset_release(&filled);
    }
}

static void counts_large_networks_at_once(void **state)
{
    static const struct {
        const char *spec;
        bool legacy;
        ip_num count;
    } table[] = {
        {"'cidr':'10.0.0.0/8'", false, (1 << 24) - 3},
        {"'cidr':'10.0.0.0/8'", true, (1 << 24) - 2 * (1 << 16) - 1},
        {"'cidr':'fd00::/64'", true, ((ip_num)1 << 64) - 2},
        {"'cidr':'fc00::/7'", false, ((ip_num)1 << 121) - 2},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_subnet struct subnet *s = parse(table[i].spec, table[i].legacy);
        struct ipset filled;

        assert_true(subnet_usable_in(s, 0, ~(ip_num)0) == table[i].count);
        ipset_init(&filled);
        subnet_fill(s, &filled);
        assert_in_range(filled.n_spans, 1, 2);
        ipset_release(&filled);
    }
}

#define RANGE(first, last)                                                                         \
    "'ranges':[{'rangeStart':'10.0.0." first "','rangeEnd':'10.0.0." last "'}]"

static void refuses_overlap(void **state)
{
    static const struct {
        const char *a, *b, *message; /* NULL: they can be there together */
    } table[] = {
        {NET RANGE("10", "20"), NET RANGE("10", "20"), "range '10.0.0.10-10.0.0.20' overlaps"},
        {NET RANGE("15", "20"), NET RANGE("10", "20"), "overlaps"},
        {NET RANGE("15", "25"), NET RANGE("10", "20"), "overlaps"},
        {NET RANGE("5", "10"), NET RANGE("10", "20"), "overlaps"},
        {NET RANGE("20", "25"), NET RANGE("10", "20"), "overlaps"},
        {NET RANGE("5", "25"), NET RANGE("10", "20"), "overlaps"},
        {NET RANGE("13", "16"), NET RANGE("10", "20"), "overlaps"},
        {NET RANGE("100", "200"), NET RANGE("10", "20"), NULL},
        {NET RANGE("0", "9"), NET RANGE("10", "20"), NULL},
        {NET RANGE("10", "20") ",'vlan':2", NET RANGE("10", "20"), NULL},
        {"'cidr':'10.0.0.0/24'", NET RANGE("10", "20"), "its network '10.0.0.0/24' overlaps"},
        {NET RANGE("10", "20"), "'cidr':'10.0.0.0/24'", "its network"},
        {"'cidr':'10.0.0.0/24'", "'cidr':'10.0.0.0/24'", "its network"},
        {"'cidr':'10.0.0.0/24'", "'cidr':'10.0.0.0/24','vlan':2", NULL},
        {"'cidr':'10.0.0.0/24'", "'cidr':'10.0.0.128/25'", "its network"},
        {"'cidr':'10.0.0.0/24'", "'cidr':'10.0.1.0/24'", NULL},
        {"'cidr':'fd00::/64'", "'cidr':'10.0.1.0/24'", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_subnet struct subnet *a = parse(table[i].a, false), *b = parse(table[i].b, false);
        auto_err struct err *e = NULL;
        int r = subnet_check_overlap(a, b, &e);

        assert_int_equal(r, table[i].message ? -EEXIST : 0);
        assert_int_equal(subnet_check_overlap(b, a, NULL), r);
        if (table[i].message)
            assert_non_null(strstr(err_text(e), table[i].message));
    }
}

static void other_masters_do_not_overlap(void **state)
{
    auto_subnet struct subnet *a = parse("'cidr':'10.0.0.0/24'", false);
    auto_subnet struct subnet *b =
        parse_object("{\"metadata\":{\"name\":\"b\"},\"spec\":{\"master\":\"eth1\","
                     "\"cidr\":\"10.0.0.0/24\"}}",
                     false);

    (void)state;
    assert_int_equal(subnet_check_overlap(a, b, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_everything),
        cmocka_unit_test(fills_in_defaults),
        cmocka_unit_test(finds_what_is_wrong),
        cmocka_unit_test(warns_of_other_keys_in_ranges),
        cmocka_unit_test(checks_names),
        cmocka_unit_test(refuses_long_names),
        cmocka_unit_test(bounds_what_it_notes),
        cmocka_unit_test(knows_places),
        cmocka_unit_test(counts_agree_with_places),
        cmocka_unit_test(counts_large_networks_at_once),
        cmocka_unit_test(refuses_overlap),
        cmocka_unit_test(other_masters_do_not_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
