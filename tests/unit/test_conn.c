/* Results of connectivity tests: which are taken, how they are counted and written; and what is
 * read out of the cluster's objects. */
#include "conn.h"

#include "buf.h"
#include "conn_vlan.h"
#include "flannel_nodes.h"
#include "fs.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct conn_check checks[] = {{"one", ""}, {"two", ""}, {0}};

static void takes_what_is_wanted(void **state)
{
    const char *only[] = {"two"};
    struct conn_choice choice = {.checks = checks, .only = {.items = only, .count = 1}};
    auto_conn_report struct conn_report r = {.choice = &choice};

    (void)state;
    conn_say(&r, CONN_PASS, "two", "a", "%d", 1);
    conn_say(&r, CONN_FAIL, "one", "b", "not taken");
    conn_cause(&r, "nor this");
    assert_int_equal(r.count, 1);
    assert_int_equal(r.results[0].n_causes, 0);
    assert_int_equal(conn_exit_status(&r), EXIT_OK);
    conn_say(&r, CONN_FAIL, "two", "b", "taken");
    conn_cause(&r, "first");
    conn_cause(&r, "second");
    assert_int_equal(r.results[1].n_causes, 2);
    assert_string_equal(r.results[1].causes[1], "second");
    assert_int_equal(conn_exit_status(&r), EXIT_CHECKS);
}

static void knows_its_checks(void **state)
{
    static const struct {
        const char *only, *skip;
        bool is_valid, wants_one, wants_two;
    } table[] = {
        {NULL, NULL, true, true, true},    {"one", NULL, true, true, false},
        {NULL, "one", true, false, true},  {"ONE,two", "two", true, true, false},
        {"one,", NULL, false, true, true}, {"three", NULL, false, true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *only[] = {table[i].only}, *skip[] = {table[i].skip};
        struct conn_choice c = {.checks = checks,
                                .only = {.items = only, .count = table[i].only != NULL},
                                .skip = {.items = skip, .count = table[i].skip != NULL}};

        assert_int_equal(conn_choice_check(&c, NULL), table[i].is_valid ? 0 : -EINVAL);
        if (!table[i].is_valid)
            continue;
        assert_int_equal(conn_wants(&c, "one"), table[i].wants_one);
        assert_int_equal(conn_wants(&c, "two"), table[i].wants_two);
    }
}

static void escapes_xml(void **state)
{
    auto_conn_report struct conn_report r = {.count = 0};
    auto_free char *path = xasprintf("/tmp/flatnet-test-junit.%d", getpid());
    auto_buf struct buf text;
    auto_err struct err *e = NULL;

    (void)state;
    conn_say(&r, CONN_FAIL, "one", "a<b>&\"c\"", "\x1b[0m");
    conn_cause(&r, "]]> & <x>");
    conn_say(&r, CONN_SKIP, "two", "b", "not here");
    assert_int_equal(conn_write_junit(&r, "s", path, &e), 0);
    buf_init(&text, 65536);
    assert_int_equal(fs_read_file(path, &text, NULL), 0);
    (void)unlink(path);
    assert_non_null(strstr(text.data, "name=\"a&lt;b&gt;&amp;&quot;c&quot;\""));
    assert_non_null(strstr(text.data, "message=\"?[0m\""));
    assert_non_null(strstr(text.data, "1. ]]&gt; &amp; &lt;x&gt;\n"));
    assert_non_null(strstr(text.data, "tests=\"2\" failures=\"1\" skipped=\"1\""));
}

static void reads_nodes(void **state)
{
    static const char text[] =
        "[{\"metadata\":{\"name\":\"a\",\"annotations\":{"
        "\"flannel.alpha.coreos.com/backend-type\":\"vxlan\","
        "\"flannel.alpha.coreos.com/public-ip\":\"10.77.0.1\","
        "\"flannel.alpha.coreos.com/"
        "backend-data\":\"{\\\"VtepMAC\\\":\\\"02:00:00:00:00:01\\\"}\"}},"
        "\"spec\":{\"podCIDR\":\"fd00::/64\",\"podCIDRs\":[\"fd00::/64\",\"10.42.1.0/24\"]},"
        "\"status\":{\"addresses\":[{\"type\":\"Hostname\",\"address\":\"10.9.9.9\"},"
        "{\"type\":\"InternalIP\",\"address\":\"10.77.0.9\"}]}},"
        "{\"metadata\":{\"name\":\"b\",\"annotations\":{"
        "\"flannel.alpha.coreos.com/public-ip\":\"nonsense\","
        "\"flannel.alpha.coreos.com/backend-data\":\"null\"}},\"spec\":{\"podCIDR\":\"10.42\"}},"
        "{\"metadata\":{}},3]";
    auto_json cJSON *tree = NULL;
    auto_flannel_nodes struct flannel_nodes nodes = {.count = 0};
    char ip[IP_NET_TEXT_SIZE];

    (void)state;
    assert_int_equal(json_parse(text, strlen(text), &tree, NULL), 0);
    flannel_nodes_read(tree, &nodes);
    assert_int_equal(nodes.count, 2);
    assert_string_equal(nodes.items[0].backend, "vxlan");
    assert_true(nodes.items[0].has_mac && nodes.items[0].mac.bytes[5] == 1);
    assert_string_equal(ip_net_format(nodes.items[0].pods, ip), "10.42.1.0/24");
    assert_string_equal(ip_format(nodes.items[0].public_ip, ip), "10.77.0.1");
    assert_string_equal(ip_format(nodes.items[0].internal_ip, ip), "10.77.0.9");
    assert_null(nodes.items[1].backend);
    assert_false(nodes.items[1].has_mac || nodes.items[1].has_pods);
    assert_int_equal(nodes.items[1].public_ip.family, AF_UNSPEC);
}

#define UP (IFF_UP | 0x10000)

static const struct nllink links[] = {
    {.index = 1, .name = "eth0", .flags = UP, .mtu = 1500},
    {.index = 2,
     .name = "eth0.5",
     .flags = UP,
     .mtu = 1500,
     .lower = 1,
     .kind = "vlan",
     .vlan_id = 5,
     .vlan_protocol = ETH_P_8021Q},
    {.index = 3,
     .name = "other",
     .flags = UP,
     .mtu = 1500,
     .lower = 1,
     .kind = "vlan",
     .vlan_id = 6},
    {.index = 4,
     .name = "eth0.7",
     .flags = 0,
     .mtu = 1500,
     .lower = 1,
     .kind = "vlan",
     .vlan_id = 7},
    {.index = 5,
     .name = "eth0.8",
     .flags = IFF_UP,
     .mtu = 1500,
     .lower = 1,
     .kind = "vlan",
     .vlan_id = 8},
    {.index = 6,
     .name = "eth0.9",
     .flags = UP,
     .mtu = 9000,
     .lower = 1,
     .kind = "vlan",
     .vlan_id = 9},
    {.index = 7,
     .name = "eth0.10",
     .flags = UP,
     .mtu = 1500,
     .lower = 1,
     .kind = "vlan",
     .vlan_id = 11},
    {.index = 8,
     .name = "qinq",
     .flags = UP,
     .mtu = 1500,
     .lower = 1,
     .kind = "vlan",
     .vlan_id = 12,
     .vlan_protocol = ETH_P_8021AD},
};

static void judges_vlan_devices(void **state)
{
    static const struct {
        unsigned vlan;
        enum conn_level level;
        const char *seen;
    } table[] = {
        {0, CONN_PASS, "eth0 itself"},     {5, CONN_PASS, "eth0.5 is VLAN 5 of eth0"},
        {6, CONN_PASS, "other is VLAN 6"}, {7, CONN_FAIL, "is down"},
        {8, CONN_FAIL, "no carrier"},      {9, CONN_FAIL, "MTU of 9000"},
        {10, CONN_FAIL, "is not VLAN 10"}, {12, CONN_SKIP, "no eth0.12 yet"},
    };
    char *masters[] = {(char *)"eth0"};
    auto_conn_report struct conn_report own = {.count = 0};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct conn_subnet one = {.name = (char *)"s",
                                  .master = (char *)"eth0",
                                  .vlan = table[i].vlan};
        struct conn_subnets subnets = {.items = &one, .count = 1};
        auto_conn_report struct conn_report r = {.count = 0};

        conn_judge_vlans(links, sizeof(links) / sizeof(links[0]), &subnets, NULL, 0, &r);
        assert_int_equal(r.count, 1);
        assert_int_equal(r.results[0].level, table[i].level);
        assert_non_null(strstr(r.results[0].seen, table[i].seen));
    }
    conn_judge_vlans(links, sizeof(links) / sizeof(links[0]), NULL, masters, 1, &own);
    assert_int_equal(own.count, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_wanted), cmocka_unit_test(knows_its_checks),
        cmocka_unit_test(escapes_xml),          cmocka_unit_test(reads_nodes),
        cmocka_unit_test(judges_vlan_devices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
