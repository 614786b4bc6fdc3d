/* Names and marks: what can be said without a kernel. */
#include "podif_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void names_vlan_devices(void **state)
{
    char name[IFNAMSIZ], again[IFNAMSIZ];

    (void)state;
    vlandev_name("eth0", 100, name);
    assert_string_equal(name, "eth0.100");
    vlandev_name("enp131s0f0", 4094, name);
    assert_string_equal(name, "enp131s0f0.4094");
    /* 16 bytes are one too many. What stands here is on hosts, and must never change. */
    vlandev_name("enp131s0f1p", 4094, name);
    assert_string_equal(name, "fnff14db53.4094");
    vlandev_name("enp131s0f1np1", 7, again);
    assert_string_equal(again, "enp131s0f1np1.7");
    vlandev_name("enp131s0f1np15", 7, again);
    assert_int_equal(strlen(again), 12);
    vlandev_name("enp131s0f1np16", 7, name);
    assert_string_not_equal(name, again);
}

static void marks(void **state)
{
    char alias[NLLINK_ALIAS_SIZE], many[300] = {0};

    (void)state;
    podif_alias("blue", "c1", alias);
    assert_string_equal(alias, "flatnet/blue/c1");
    assert_true(podif_alias_is_of(alias, "c1"));
    assert_false(podif_alias_is_of(alias, "c"));
    assert_false(podif_alias_is_of(alias, "1"));
    assert_false(podif_alias_is_of(alias, "blue/c1"));
    assert_true(podif_alias_is_in(alias, "blue"));
    assert_false(podif_alias_is_in(alias, "blu"));
    assert_false(podif_alias_is_in(alias, "blues"));
    assert_false(podif_alias_is_of("c1", "c1"));
    assert_false(podif_alias_is_of("", ""));
    assert_false(podif_alias_is_of("flatnet/", ""));
    assert_false(podif_alias_is_of("other/blue/c1", "c1"));
    assert_false(podif_alias_is_in("other/blue/c1", "blue"));
    /* A VLAN device's mark is nobody's. */
    assert_false(podif_alias_is_in(VLANDEV_ALIAS, "vlan"));

    memset(many, 'f', sizeof(many) - 1);
    podif_alias(many, many, alias);
    assert_true(strlen(alias) < NLLINK_ALIAS_SIZE);
    assert_true(podif_alias_is_of(alias, many));
    assert_true(podif_alias_is_in(alias, many));
    many[298] = 'e';
    assert_false(podif_alias_is_of(alias, many));
    assert_false(podif_alias_is_in(alias, many));
}

static void names_for_the_meantime(void **state)
{
    char one[IFNAMSIZ], two[IFNAMSIZ];

    (void)state;
    podif_temporary_name("c1", "eth1", one);
    assert_int_equal(strlen(one), 14);
    podif_temporary_name("c1", "eth1", two);
    assert_string_equal(one, two);
    podif_temporary_name("c1", "eth0", two);
    assert_string_not_equal(one, two);
    podif_temporary_name("c2", "eth1", two);
    assert_string_not_equal(one, two);
}

/* RFC 3056: the IPv4 address behind 2002. The prefix is that of 2019: 48 - (32 - prefix). */
static void makes_6to4(void **state)
{
    static const struct {
        const char *addr, *six;
    } table[] = {
        {"10.1.0.5/24", "2002:a01:5::/40"},
        {"192.168.255.254/32", "2002:c0a8:fffe::/48"},
        {"255.255.255.255/8", "2002:ffff:ffff::/24"},
    };
    char text[IP_NET_TEXT_SIZE];
    struct ip_net addrs[2];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct wanted w = {.is_6to4 = true};
        assert_int_equal(ip_net_parse(table[i].addr, &w.addr), 0);
        assert_int_equal(podif_addrs(&w, addrs), 2);
        assert_string_equal(ip_net_format(addrs[0], text), table[i].addr);
        assert_string_equal(ip_net_format(addrs[1], text), table[i].six);
        w.is_6to4 = false;
        assert_int_equal(podif_addrs(&w, addrs), 1);
    }
    {
        struct wanted w = {.is_6to4 = true};
        assert_int_equal(ip_net_parse("fd00::5/64", &w.addr), 0);
        assert_int_equal(podif_addrs(&w, addrs), 1);
    }
}

static void names_modes(void **state)
{
    (void)state;
    assert_string_equal(podif_mode_name(podif_kernel_mode(MACVLAN_BRIDGE)), "bridge");
    assert_string_equal(podif_mode_name(podif_kernel_mode(MACVLAN_PRIVATE)), "private");
    assert_string_equal(podif_mode_name(podif_kernel_mode(MACVLAN_VEPA)), "vepa");
    assert_string_equal(podif_mode_name(podif_kernel_mode(MACVLAN_PASSTHRU)), "passthru");
    assert_string_equal(podif_mode_name(16), "another");
}

static void opens_namespaces(void **state)
{
    auto_netns struct netns n = NETNS_NONE;
    struct err *e = NULL;

    (void)state;
    assert_int_equal(podif_open_netns("/proc/self/ns/net", false, &n, &e), -ENOTUNIQ);
    assert_string_equal(e->msg, "network namespace '/proc/self/ns/net' is the host's own");
    assert_int_equal(podif_open_netns("/nowhere/net", false, &n, &e), -ENOENT);
    assert_string_equal(e->msg, "network namespace '/nowhere/net' is gone");
    assert_int_equal(podif_open_netns("/dev/null", false, &n, &e), -ENOENT);
    assert_string_equal(e->msg, "'/dev/null' is no network namespace any more");
    assert_int_equal(podif_open_netns("/proc/self/ns/net", true, &n, &e), 0);
    assert_true(n.is_home);
    err_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_vlan_devices),
        cmocka_unit_test(marks),
        cmocka_unit_test(names_for_the_meantime),
        cmocka_unit_test(makes_6to4),
        cmocka_unit_test(names_modes),
        cmocka_unit_test(opens_namespaces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
