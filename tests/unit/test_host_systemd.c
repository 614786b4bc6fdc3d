/* Unit names as systemd-escape(1) gives them. */
#include "host_systemd.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_escape(void **state)
{
    static const struct {
        const char *text, *escaped;
    } cases[] = {
        {"eth0", "eth0"},
        {"br-lan", "br\\x2dlan"},
        {"eth0.100", "eth0.100"},
        {".hidden", "\\x2ehidden"},
        {"a/b", "a-b"},
        {"a b", "a\\x20b"},
        {"\xc3\xa4", "\\xc3\\xa4"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *got = systemd_escape(cases[i].text);

        assert_string_equal(got, cases[i].escaped);
    }
}

static void test_paths(void **state)
{
    static const struct {
        const char *path, *unit;
    } cases[] = {
        {"/dev/sda2", "dev-sda2.swap"},
        {"/swapfile", "swapfile.swap"},
        {"/dev/mapper/vg-swap", "dev-mapper-vg\\x2dswap.swap"},
        {"/dev/sda2/", "dev-sda2.swap"},
        {"/", "-.swap"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_free char *got = systemd_path_unit(cases[i].path, "swap");

        assert_string_equal(got, cases[i].unit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests_name("host_systemd", tests, NULL, NULL);
}
