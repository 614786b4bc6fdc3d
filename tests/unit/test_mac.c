/* MACs of a segment: holders, and new ones. */
#include "macvlan/mac.h"

#include "json.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct subnet *subnet(const char *master, int vlan, const char *mode)
{
    auto_json cJSON *tree = cJSON_CreateObject();
    cJSON *spec = cJSON_AddObjectToObject(tree, "spec");
    struct subnet *s = NULL;

    json_add_str(cJSON_AddObjectToObject(tree, "metadata"), "name", "s");
    json_add_str(spec, "master", master);
    json_add_int(spec, "vlan", vlan);
    json_add_str(spec, "mode", mode);
    json_add_str(spec, "cidr", "10.0.0.0/24");
    assert_int_equal(subnet_parse(tree, false, &s, NULL), 0);
    return s;
}

static struct ip_mac mac(const char *text)
{
    struct ip_mac m;

    assert_int_equal(ip_mac_parse(text, &m, NULL), 0);
    return m;
}

static struct ip_addr addr(const char *text)
{
    struct ip_addr a = {.family = AF_UNSPEC};

    assert_int_equal(ip_parse(text, &a), 0);
    return a;
}

static void counts_holders(void **state)
{
    struct mac_set *m = mac_set_new();

    (void)state;
    assert_false(mac_is_held(m, mac("02:00:00:00:00:01")));
    mac_hold(m, mac("02:00:00:00:00:01"));
    mac_hold(m, mac("02:00:00:00:00:01"));
    mac_hold(m, mac("02:00:00:00:00:02"));
    mac_release(m, mac("02:00:00:00:00:01"));
    assert_true(mac_is_held(m, mac("02:00:00:00:00:01")));
    mac_release(m, mac("02:00:00:00:00:01"));
    assert_false(mac_is_held(m, mac("02:00:00:00:00:01")));
    mac_release(m, mac("02:00:00:00:00:01"));
    assert_true(mac_is_held(m, mac("02:00:00:00:00:02")));
    mac_set_free(m);
}

/* The value for one set of inputs, so that an upgrade does not change the MACs of a cluster. */
static void generates_from_what_it_is_for(void **state)
{
    static const struct {
        const char *uid, *master;
        int vlan;
        const char *address, *mac;
    } table[] = {
        {"uid-1", "eth0", 100, "10.0.0.2", "02:0d:52:08:86:40"},
        {"uid-2", "eth0", 100, "10.0.0.2", "02:a0:82:f7:2b:06"},
        {"uid-1", "eth1", 100, "10.0.0.2", "02:e1:56:5d:d1:ee"},
        {"uid-1", "eth0", 101, "10.0.0.2", "02:6a:24:8f:d3:0a"},
        {"uid-1", "eth0", 100, "10.0.0.3", "02:6c:34:61:16:03"},
        {"uid-1", "eth0", 100, "fd00::2", "02:34:da:b8:cd:0e"},
    };
    struct mac_set *m = mac_set_new();

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        auto_subnet struct subnet *s = subnet(table[i].master, table[i].vlan, "bridge");
        struct ip_mac got = {.bytes = {0}};
        char text[IP_MAC_TEXT_SIZE];

        assert_true(mac_generate(m, table[i].uid, s, addr(table[i].address), &got));
        assert_string_equal(ip_mac_format(got, ':', text), table[i].mac);
    }
    mac_set_free(m);
}

static void avoids_held_ones(void **state)
{
    auto_subnet struct subnet *s = subnet("eth0", 0, "bridge");
    struct mac_set *m = mac_set_new();
    struct ip_mac got, again;

    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_true(mac_generate(m, "uid", s, addr("10.0.0.2"), &got));
        assert_true(mac_generate(m, "uid", s, addr("10.0.0.2"), &again));
        assert_memory_equal(&got, &again, sizeof(got));
        assert_int_equal(got.bytes[0], 2);
        assert_false(mac_is_held(m, got));
        mac_hold(m, got);
    }
    mac_set_free(m);
}

static void none_in_passthru_mode(void **state)
{
    auto_subnet struct subnet *s = subnet("eth0", 0, "passthru");
    struct mac_set *m = mac_set_new();
    struct ip_mac got;

    (void)state;
    assert_false(mac_generate(m, "uid", s, addr("10.0.0.2"), &got));
    mac_set_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_holders),
        cmocka_unit_test(generates_from_what_it_is_for),
        cmocka_unit_test(avoids_held_ones),
        cmocka_unit_test(none_in_passthru_mode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
