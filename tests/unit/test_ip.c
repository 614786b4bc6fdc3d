/* Addresses, networks and MACs in text, and the arithmetic on them. */
#include "ip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NUM(high, low) ((ip_num)(high) << 64 | (low))

static struct ip_addr addr(const char *text)
{
    struct ip_addr a = {.family = AF_UNSPEC};

    assert_int_equal(ip_parse(text, &a), 0);
    return a;
}

static struct ip_net net(const char *text)
{
    struct ip_net n = {.prefix = 0};

    assert_int_equal(ip_net_parse(text, &n), 0);
    return n;
}

static void parses_and_formats(void **state)
{
    static const struct {
        const char *text, *printed;
        int family;
        uint64_t high, low;
    } table[] = {
        {"0.0.0.0", "0.0.0.0", AF_INET, 0, 0},
        {"10.0.0.1", "10.0.0.1", AF_INET, 0, 0x0a000001},
        {"255.255.255.255", "255.255.255.255", AF_INET, 0, 0xffffffff},
        {"::", "::", AF_INET6, 0, 0},
        {"FD00:0:0:0:0:0:00A:1", "fd00::a:1", AF_INET6, UINT64_C(0xfd00) << 48, 0xa0001},
        {"2001:db8::", "2001:db8::", AF_INET6, UINT64_C(0x20010db8) << 32, 0},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.1", AF_INET6, 0, 0xffff0a000001},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         AF_INET6, UINT64_MAX, UINT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct ip_addr a = addr(table[i].text);
        char text[IP_TEXT_SIZE];

        assert_int_equal(a.family, table[i].family);
        assert_true(a.value == NUM(table[i].high, table[i].low));
        assert_string_equal(ip_format(a, text), table[i].printed);
    }
}

static void refuses_other_addresses(void **state)
{
    static const char *const table[] = {
        "",
        "auto",
        "10.0.0",
        "10.0.0.0.1",
        "10.0.0.01",
        "010.0.0.1",
        "10.0.0.",
        ".10.0.0",
        "10.0.0.256",
        "10.0.0.-1",
        " 10.0.0.1",
        "10.0.0.1 ",
        "10.0.0.1/",
        "0xa.0.0.1",
        "167772161",
        "10.0.0.1\n",
        "fd00::1%eth0",
        "fd00:::1",
        "fd00::1::",
        "12345::",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7",
        "fd00::g",
        ":",
        "[fd00::1]",
        "10.0.0.1-10.0.0.2",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct ip_addr a = {.family = 99};

        assert_int_equal(ip_parse(table[i], &a), -EINVAL);
        assert_int_equal(a.family, 99);
    }
}

static void formats_labels(void **state)
{
    char label[IP_LABEL_SIZE], text[IP_TEXT_SIZE];

    (void)state;
    assert_string_equal(ip_label(addr("10.0.255.1"), label), "10.0.255.1");
    assert_string_equal(ip_label(addr("fd00::1:ab"), label),
                        "fd00_0000_0000_0000_0000_0000_0001_00ab");
    assert_string_equal(ip_format((struct ip_addr){.family = AF_UNSPEC}, text), "");
}

static void gives_bytes_in_network_order(void **state)
{
    static const uint8_t v6[16] = {0xfd, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4};
    uint8_t bytes[16];

    (void)state;
    assert_int_equal(ip_bytes(addr("10.1.2.3"), bytes), 4);
    assert_memory_equal(bytes, "\x0a\x01\x02\x03", 4);
    assert_int_equal(ip_bytes(addr("fd00:102::304"), bytes), 16);
    assert_memory_equal(bytes, v6, 16);
    assert_int_equal(ip_compare(ip_from_bytes(AF_INET6, bytes), addr("fd00:102::304")), 0);
    assert_int_equal(ip_compare(ip_from_bytes(AF_INET, (const uint8_t *)"\x0a\x01\x02\x03"),
                                addr("10.1.2.3")),
                     0);
}

static void compares_and_adds(void **state)
{
    struct ip_addr a;
    char text[IP_TEXT_SIZE];

    (void)state;
    assert_true(ip_compare(addr("10.0.0.2"), addr("10.0.0.10")) < 0);
    assert_true(ip_compare(addr("10.0.0.10"), addr("10.0.0.2")) > 0);
    assert_int_equal(ip_compare(addr("fd00::1"), addr("fd00:0::1")), 0);
    assert_true(ip_compare(addr("255.255.255.255"), addr("::")) < 0);
    assert_true(ip_compare(addr("::"), addr("10.0.0.1")) > 0);

    assert_int_equal(ip_add(addr("192.168.1.255"), 1, &a), 0);
    assert_string_equal(ip_format(a, text), "192.168.2.0");
    assert_int_equal(ip_add(addr("fd00::ffff:ffff:ffff:ffff"), 2, &a), 0);
    assert_string_equal(ip_format(a, text), "fd00:0:0:1::1");
    assert_int_equal(ip_add(addr("255.255.255.255"), 1, &a), -ERANGE);
    assert_int_equal(ip_add(addr("255.255.255.255"), 0, &a), 0);
    assert_int_equal(ip_add(addr("::1"), ~(ip_num)0, &a), -ERANGE);
    assert_int_equal(ip_add(addr("::"), ~(ip_num)0, &a), 0);
}

static void knows_networks(void **state)
{
    static const struct {
        const char *text, *first, *last;
    } table[] = {
        {"192.168.1.0/24", "192.168.1.0", "192.168.1.255"},
        {"192.168.1.77/24", "192.168.1.0", "192.168.1.255"},
        {"192.168.1.100/30", "192.168.1.100", "192.168.1.103"},
        {"192.168.1.255/30", "192.168.1.252", "192.168.1.255"},
        {"10.1.2.3/8", "10.0.0.0", "10.255.255.255"},
        {"10.1.2.3/31", "10.1.2.2", "10.1.2.3"},
        {"10.1.2.3/32", "10.1.2.3", "10.1.2.3"},
        {"10.1.2.3/0", "0.0.0.0", "255.255.255.255"},
        {"fd00::5/64", "fd00::", "fd00::ffff:ffff:ffff:ffff"},
        {"fd00::5/128", "fd00::5", "fd00::5"},
        {"fd00::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    char text[IP_NET_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct ip_net n = net(table[i].text);

        assert_string_equal(ip_net_format(n, text), table[i].text);
        assert_string_equal(ip_format(ip_net_first(n), text), table[i].first);
        assert_string_equal(ip_format(ip_net_last(n), text), table[i].last);
    }
    assert_true(ip_net_mask(net("10.0.0.0/20")) == 0xfffff000);
    assert_true(ip_net_mask(net("10.0.0.0/0")) == 0);
    assert_true(ip_net_mask(net("::/127")) == ~(ip_num)1);
}

static void refuses_other_networks(void **state)
{
    static const char *const table[] = {
        "",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/024",
        "10.0.0.0/00",
        "10.0.0.0/+8",
        "10.0.0.0/-1",
        "10.0.0.0/8 ",
        "10.0.0.0/8/8",
        "10.0.0/8",
        "/8",
        "fd00::/129",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/18446744073709551624",
        "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/64",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct ip_net n = {.prefix = 99};

        assert_int_equal(ip_net_parse(table[i], &n), -EINVAL);
        assert_int_equal(n.prefix, 99);
    }
}

static void contains_and_overlaps(void **state)
{
    (void)state;
    assert_true(ip_net_contains(net("10.0.0.9/30"), addr("10.0.0.11")));
    assert_false(ip_net_contains(net("10.0.0.9/30"), addr("10.0.0.12")));
    assert_false(ip_net_contains(net("::/0"), addr("10.0.0.12")));
    assert_true(ip_net_contains(net("::/0"), addr("ffff::")));

    assert_true(ip_net_overlaps(net("10.0.0.0/8"), net("10.9.0.0/16")));
    assert_true(ip_net_overlaps(net("10.9.0.0/16"), net("10.0.0.0/8")));
    assert_true(ip_net_overlaps(net("10.9.0.1/24"), net("10.9.0.2/24")));
    assert_false(ip_net_overlaps(net("10.9.0.0/24"), net("10.9.1.0/24")));
    assert_false(ip_net_overlaps(net("0.0.0.0/0"), net("::/0")));
}

static void parses_macs(void **state)
{
    struct ip_mac m;
    char text[IP_MAC_TEXT_SIZE];

    (void)state;
    assert_int_equal(ip_mac_parse("f2:E6:d8:33:EB:2a", &m, NULL), 0);
    assert_string_equal(ip_mac_format(m, ':', text), "f2:e6:d8:33:eb:2a");
    assert_string_equal(ip_mac_format(m, '_', text), "f2_e6_d8_33_eb_2a");
    assert_true(ip_mac_value(m) == UINT64_C(0xf2e6d833eb2a));
}

static void refuses_other_macs(void **state)
{
    static const struct {
        const char *text, *message;
    } table[] = {
        {"", "no MAC address"},
        {"02", "no MAC address"},
        {"02:", "no MAC address"},
        {"02:00:5e:10:00", "no MAC address"},
        {"02:00:5e:10:00:", "no MAC address"},
        {"02:00:5e:10:00:0", "no MAC address"},
        {"02:00:5e:10:00:0g", "no MAC address"},
        {"02:00:5e:10:00:01:02", "no MAC address"},
        {"02:00:5e:10:00:01 ", "no MAC address"},
        {" 02:00:5e:10:00:01", "no MAC address"},
        {"02-00-5e-10-00-01", "no MAC address"},
        {"02005e100001", "no MAC address"},
        {"2:0:5e:10:0:1", "no MAC address"},
        {"01:00:5e:10:00:01", "multicast"},
        {"ff:ff:ff:ff:ff:ff", "multicast"},
        {"00:00:00:00:00:00", "all zero"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_err struct err *e = NULL;
        struct ip_mac m;

        assert_int_equal(ip_mac_parse(table[i].text, &m, &e), -EINVAL);
        assert_non_null(strstr(err_text(e), table[i].message));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_formats),
        cmocka_unit_test(refuses_other_addresses),
        cmocka_unit_test(formats_labels),
        cmocka_unit_test(gives_bytes_in_network_order),
        cmocka_unit_test(compares_and_adds),
        cmocka_unit_test(knows_networks),
        cmocka_unit_test(refuses_other_networks),
        cmocka_unit_test(contains_and_overlaps),
        cmocka_unit_test(parses_macs),
        cmocka_unit_test(refuses_other_macs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
