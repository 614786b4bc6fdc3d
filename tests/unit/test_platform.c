/* Platforms: what is taken, what it becomes, what matches what. */
#include "platform.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void parses_and_normalises(void **state)
{
    static const char *const table[][2] = {
        {"linux/amd64", "linux/amd64"},       {"Linux/X86_64", "linux/amd64"},
        {"linux/x86-64", "linux/amd64"},      {"linux/amd64/v1", "linux/amd64"},
        {"linux/amd64/v3", "linux/amd64/v3"}, {"linux/i386", "linux/386"},
        {"linux/aarch64", "linux/arm64"},     {"linux/arm64/v8", "linux/arm64"},
        {"linux/aarch64/8", "linux/arm64"},   {"linux/arm64/v9", "linux/arm64/v9"},
        {"linux/arm", "linux/arm/v7"},        {"linux/armhf", "linux/arm/v7"},
        {"linux/armel", "linux/arm/v6"},      {"linux/arm/6", "linux/arm/v6"},
        {"linux/arm/v5", "linux/arm/v5"},     {"linux/s390x", "linux/s390x"},
        {"macos/arm64", "darwin/arm64"},      {"windows/amd64", "windows/amd64"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct platform p;
        char text[PLATFORM_TEXT];

        assert_int_equal(platform_parse(table[i][0], &p, NULL), 0);
        assert_string_equal(platform_format(&p, text), table[i][1]);
    }
}

static void refuses_other_forms(void **state)
{
    static const char *const table[] = {
        "",
        "linux",
        "amd64",
        "/amd64",
        "linux/",
        "linux//v7",
        "linux/arm/",
        "linux/arm/v7/x",
        "/",
        "linux/am d64",
        "linux/amd64 ",
        "windows(10.0)/amd64",
        "l\n/x",
        "linux/\xc3\xa9",
        "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct platform p = {.os = "kept"};
        auto_err struct err *e = NULL;

        assert_int_equal(platform_parse(table[i], &p, &e), -EINVAL);
        assert_non_null(strstr(err_text(e), "linux/amd64"));
        assert_string_equal(p.os, "kept");
    }
}

static void takes_fields(void **state)
{
    struct platform p;
    char text[PLATFORM_TEXT];
    auto_err struct err *e = NULL;

    (void)state;
    assert_int_equal(platform_from_fields("linux", "arm64", "v8", &p, &e), 0);
    assert_string_equal(platform_format(&p, text), "linux/arm64");
    assert_int_equal(platform_from_fields("linux", "arm", NULL, &p, &e), 0);
    assert_string_equal(platform_format(&p, text), "linux/arm");
    assert_int_equal(platform_from_fields(NULL, "arm", "", &p, &e), -EINVAL);
    assert_string_equal(err_text(e), "the platform has no os");
    assert_int_equal(platform_from_fields("linux", "", "", &p, &e), -EINVAL);
    assert_string_equal(err_text(e), "the platform has no architecture");
    assert_int_equal(platform_from_fields("linux", "a/b", "", &p, &e), -EINVAL);
}

static void matches(void **state)
{
    static const struct {
        const char *wanted, *arch, *variant;
        int match;
    } table[] = {
        {"linux/amd64", "amd64", "", 1},    {"linux/amd64", "amd64", "v3", 1},
        {"linux/amd64/v3", "amd64", "", 0}, {"linux/amd64", "x86_64", "", 1},
        {"linux/amd64", "arm64", "", 0},    {"linux/arm64", "arm64", "v8", 1},
        {"linux/arm64/v8", "arm64", "", 1}, {"linux/arm/v7", "arm", "v7", 1},
        {"linux/arm/v7", "arm", "v6", 0},   {"linux/arm", "arm", "v6", 0},
        {"linux/arm/v6", "arm", "", 1},     {"linux/arm", "arm", "", 1},
        {"windows/amd64", "amd64", "", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct platform wanted, have;

        assert_int_equal(platform_parse(table[i].wanted, &wanted, NULL), 0);
        assert_int_equal(platform_from_fields("linux", table[i].arch, table[i].variant, &have,
                                              NULL),
                         0);
        assert_int_equal(platform_matches(&wanted, &have), table[i].match);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_normalises),
        cmocka_unit_test(refuses_other_forms),
        cmocka_unit_test(takes_fields),
        cmocka_unit_test(matches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
