/* Images by pattern, platforms by host. */
#include "selection.h"

#include "machine.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct bundle_image images[] = {
    {.reference = (char *)"docker.io/library/nginx:1.19"},
    {.reference = (char *)"docker.io/rancher/pause:3.1"},
    {.reference = (char *)"quay.io/a/b:2"},
};
static const struct bundle_index bundle = {.images = images, .n_images = 3};

static void patterns_match_full_and_short_names(void **state)
{
    static const struct {
        const char *patterns[3];
        bool chosen[3];
    } table[] = {
        {{NULL}, {true, true, true}},           {{"*"}, {true, true, true}},
        {{"nginx:1.19"}, {true, false, false}}, {{"nginx:*"}, {true, false, false}},
        {{"docker.io/*"}, {true, true, false}}, {{"rancher/*"}, {false, true, false}},
        {{"*:[23]*"}, {false, true, true}},     {{"quay.io/a/b:2", "nginx*"}, {true, false, true}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_free bool *chosen = NULL;

        assert_int_equal(selection_match(&bundle, table[i].patterns, &chosen, NULL), 0);
        assert_memory_equal(chosen, table[i].chosen, sizeof(table[i].chosen));
        for (size_t j = 0; j < 3; j++)
            assert_int_equal(selection_matches(table[i].patterns, images[j].reference),
                             table[i].chosen[j]);
    }
}

static void a_pattern_without_match_is_an_error(void **state)
{
    static const struct {
        const char *patterns[3];
        const char *message;
    } table[] = {
        {{"nginx:1.18"}, "did you mean 'nginx:1.19'?"},
        {{"*", "nothing/like/this:0"}, "'flatnet bundle ls' lists them"},
        {{"library/nginx:1.19"}, "no image"},
        {{"NGINX:*"}, "no image"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_err struct err *e = NULL;
        bool *chosen = NULL;

        assert_int_equal(selection_match(&bundle, table[i].patterns, &chosen, &e), -EINVAL);
        assert_non_null(strstr(err_text(e), table[i].message));
        assert_null(chosen);
    }
}

static void the_nearest_platform_is_taken(void **state)
{
    struct bundle_platform platforms[] = {
        {.platform = {"linux", "amd64", "v3"}},
        {.platform = {"linux", "amd64", ""}},
        {.platform = {"linux", "arm", "v6"}},
        {.platform = {"linux", "arm", "v7"}},
    };
    const struct bundle_image image = {.platforms = platforms, .n_platforms = 4};
    static const struct {
        const char *wanted;
        int index;
    } table[] = {
        {"linux/amd64", 1},  {"linux/amd64/v3", 0}, {"linux/arm/v7", 3},
        {"linux/arm/v6", 2}, {"linux/arm64", -1},   {"windows/amd64", -1},
    };
    auto_free char *text = selection_platforms(&image);

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct platform wanted;

        assert_int_equal(platform_parse(table[i].wanted, &wanted, NULL), 0);
        assert_ptr_equal(selection_platform(&image, &wanted),
                         table[i].index < 0 ? NULL : &platforms[table[i].index]);
    }
    assert_string_equal(text, "linux/amd64/v3, linux/amd64, linux/arm/v6, linux/arm/v7");
}

static void machines_have_platforms(void **state)
{
    static const char *const table[][2] = {
        {"x86_64", "linux/amd64"},    {"amd64", "linux/amd64"},   {"aarch64", "linux/arm64"},
        {"armv7l", "linux/arm/v7"},   {"armv6l", "linux/arm/v6"}, {"i686", "linux/386"},
        {"ppc64le", "linux/ppc64le"}, {"s390x", "linux/s390x"},   {"riscv64", "linux/riscv64"},
    };
    struct platform p;
    char text[PLATFORM_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(platform_of_machine("linux", table[i][0], &p, NULL), 0);
        assert_string_equal(platform_format(&p, text), table[i][1]);
    }
    assert_int_equal(platform_of_machine("linux", NULL, &p, NULL), -EINVAL);
    assert_int_equal(platform_of_machine(NULL, "armv7l", &p, NULL), -EINVAL);
    assert_int_equal(platform_of_host(&p, NULL), 0);
    assert_string_equal(p.os, "linux");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_full_and_short_names),
        cmocka_unit_test(a_pattern_without_match_is_an_error),
        cmocka_unit_test(the_nearest_platform_is_taken),
        cmocka_unit_test(machines_have_platforms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
