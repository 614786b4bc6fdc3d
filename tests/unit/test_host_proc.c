/* Facts out of the text of /proc and of a modules' folder. */
#include "host_proc.h"

#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_swaps(void **state)
{
    struct proc_swaps swaps;

    (void)state;
    proc_swaps_parse("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
                     "/dev/dm-1                               partition\t2097148\t12\t-2\n"
                     "/my\\040swap                             file\t\t65532\t0\t5\n"
                     "/gone\\040(deleted)                      file\t\t1\t0\t-3\n"
                     "/dev/short partition 5\n"
                     "relative file 1 0 1\n"
                     "/dev/big partition 99999999999999999999 0 1\n"
                     "/dev/prio partition 5 0 99999\n",
                     &swaps);
    assert_int_equal(swaps.count, 3);
    assert_string_equal(swaps.rows[0].path, "/dev/dm-1");
    assert_int_equal(swaps.rows[0].kib, 2097148);
    assert_int_equal(swaps.rows[0].used_kib, 12);
    assert_int_equal(swaps.rows[0].priority, -2);
    assert_string_equal(swaps.rows[1].path, "/my swap");
    assert_int_equal(swaps.rows[1].priority, 5);
    assert_false(swaps.rows[1].is_gone);
    assert_string_equal(swaps.rows[2].path, "/gone");
    assert_true(swaps.rows[2].is_gone);
    proc_swaps_release(&swaps);
}

static void test_config(void **state)
{
    static const char text[] = "# Automatically generated\n"
                               "CONFIG_MACVLAN=m\n"
                               "CONFIG_MACVLAN_EXTRA=y\n"
                               "# CONFIG_VLAN_8021Q is not set\n"
                               "CONFIG_VXLAN=y\n"
                               "CONFIG_LOG_SHIFT=17\n"
                               "# CONFIG_VETH\n"
                               "CONFIG_BRIDGE=";

    (void)state;
    assert_int_equal(proc_config(text, "MACVLAN"), 'm');
    assert_int_equal(proc_config(text, "VLAN_8021Q"), 'n');
    assert_int_equal(proc_config(text, "VXLAN"), 'y');
    assert_int_equal(proc_config(text, "LOG_SHIFT"), 'n');
    assert_int_equal(proc_config(text, "VETH"), '\0');
    assert_int_equal(proc_config(text, "BRIDGE"), '\0');
    assert_int_equal(proc_config(text, "MAC"), '\0');
    assert_int_equal(proc_config("", "MACVLAN"), '\0');
}

static void test_modules(void **state)
{
    static const char loaded[] = "br_netfilter 32768 0 - Live 0x0000000000000000\n"
                                 "bridge 311296 1 br_netfilter, Live 0x0\n";
    static const char builtin[] = "kernel/net/8021q/8021q.ko\nkernel/drivers/net/macvlan.ko\n";
    static const char dep[] =
        "kernel/drivers/net/vxlan/vxlan.ko.xz: kernel/net/ipv6/ip6_udp_tunnel.ko.xz "
        "kernel/net/ipv4/udp_tunnel.ko.xz\n"
        "kernel/net/bridge/br-netfilter.ko: kernel/net/bridge/bridge.ko\n"
        "kernel/fs/overlayfs/overlay.ko.zst:\n";
    size_t len;
    const char *line;
    auto_free char *name = NULL;

    (void)state;
    assert_true(proc_has_module(loaded, "br-netfilter"));
    assert_true(proc_has_module(loaded, "bridge"));
    assert_false(proc_has_module(loaded, "br"));
    assert_false(proc_has_module("", "bridge"));
    assert_true(proc_is_builtin(builtin, "8021q"));
    assert_true(proc_is_builtin(builtin, "macvlan"));
    assert_false(proc_is_builtin(builtin, "vlan"));
    line = proc_module_line(dep, "br_netfilter", &len);
    assert_non_null(line);
    assert_int_equal(len, strlen("kernel/net/bridge/br-netfilter.ko: kernel/net/bridge/bridge.ko"));
    name = proc_module_name(line, strcspn(line, ":"));
    assert_string_equal(name, "br_netfilter");
    assert_non_null(proc_module_line(dep, "overlay", &len));
    assert_null(proc_module_line(dep, "udp_tunnel", &len));
}

static void test_lists(void **state)
{
    static const char text[] = "# macvlan\n  br_netfilter  \n; vxlan\n8021q\nover lay\n";

    (void)state;
    assert_true(proc_lists_module(text, "br-netfilter"));
    assert_true(proc_lists_module(text, "8021q"));
    assert_false(proc_lists_module(text, "macvlan"));
    assert_false(proc_lists_module(text, "vxlan"));
    assert_false(proc_lists_module(text, "lay"));
}

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(proc_kernel_version("3.10.0-957.el7.x86_64"), 310);
    assert_int_equal(proc_kernel_version("6.1.176"), 601);
    assert_int_equal(proc_kernel_version("2.6.32"), 206);
    assert_int_equal(proc_kernel_version("5.4"), 504);
    assert_int_equal(proc_kernel_version("5"), -EINVAL);
    assert_int_equal(proc_kernel_version("five.4"), -EINVAL);
    assert_int_equal(proc_kernel_version(""), -EINVAL);
    assert_int_equal(proc_kernel_version("99999999999.1"), -EINVAL);
}

static void test_ports(void **state)
{
    static const char tcp[] =
        "  sl  local_address rem_address   st tx_queue rx_queue\n"
        "   0: 0100007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n"
        "   1: 0100007F:0016 0100007F:C001 01 00000000:00000000 00:00000000 00000000\n"
        "   2: 00000000000000000000000000000000:280A 00000000000000000000000000000000:0000 0A 0\n"
        "   3: nonsense 0 0A\n"
        "   4: 0100007F:XYZ1 00000000:0000 0A 0\n";
    static const char udp[] = "  10: 00000000:2118 00000000:0000 07 00000000:00000000\n";
    struct proc_ports ports = {.ports = NULL};

    (void)state;
    proc_ports_add(tcp, false, &ports);
    assert_int_equal(ports.count, 2);
    assert_true(proc_ports_have(&ports, 6443));
    assert_true(proc_ports_have(&ports, 10250));
    assert_false(proc_ports_have(&ports, 22));
    proc_ports_add(udp, true, &ports);
    assert_true(proc_ports_have(&ports, 8472));
    proc_ports_release(&ports);
}

static void test_settings(void **state)
{
    static const char text[] = "# ENABLED=no\nENABLED=yes\n net.ipv4.ip_forward = 0\n"
                               "net.ipv4.ip_forward=1\nNAME=\"a b\"\n;x=1\n";
    auto_free char *enabled = proc_setting(text, "ENABLED");
    auto_free char *forward = proc_setting(text, "net.ipv4.ip_forward");
    auto_free char *name = proc_setting(text, "NAME");

    (void)state;
    assert_string_equal(enabled, "yes");
    assert_string_equal(forward, "1");
    assert_string_equal(name, "a b");
    assert_null(proc_setting(text, "x"));
    assert_null(proc_setting(text, "NAM"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_swaps),    cmocka_unit_test(test_config),
        cmocka_unit_test(test_modules),  cmocka_unit_test(test_lists),
        cmocka_unit_test(test_versions), cmocka_unit_test(test_ports),
        cmocka_unit_test(test_settings),
    };

    return cmocka_run_group_tests_name("host_proc", tests, NULL, NULL);
}
