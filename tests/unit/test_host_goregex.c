/* Go's regular expressions: what matches, and what is refused. */
#include "host_goregex.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_matches(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"eth1", "eth10", true}, /* unanchored, flannel's trap */
        {"eth1", "veth1", true},
        {"^eth1$", "eth10", false},
        {"^eth1$", "eth1", true},
        {"10.0.0.", "10.0.0.5", true},
        {"10.0.0.", "10x0y0z", true},
        {"^10\\.0\\.0\\.", "10.0.0.5", true},
        {"^10\\.0\\.0\\.", "110.0.0.5", false},
        {"\\d+", "ens4", true},
        {"^\\D+$", "ens4", false},
        {"^ens\\d$", "ens4", true},
        {"^[a-z]+[\\d]+$", "ens4", true},
        {"^[\\w.]+$", "ens4.100", true},
        {"^[^\\d]+$", "lo", true},
        {"^e(ns|th)\\d+$", "eth3", true},
        {"^(?:ens|eth)\\d+$", "bond0", false},
        {"(?i)^ETH0$", "eth0", true},
        {"ETH0", "eth0", false},
        {"(?i)", "anything", true},
        {"^a{2,3}?$", "aaa", true},
        {"^a{2}$", "aaa", false},
        {"a*?b", "aab", true},
        {"^[[:alpha:]]+$", "eth", true},
        {"^[\\-x]+$", "x-", true},
        {"^\\A10\\.\\d\\z", "10.5", true},
        {"\\beth0\\b", "an eth0 here", true},
        {"\\beth0\\b", "veth0", false},
        {"192.168.(1|2)\\.", "192.168.2.9", true},
        {"]", "a]b", true},
        {"}", "a}b", true},
        {"^[]a]+$", "]a", true},
        {"\\/", "a/b", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_goregex struct goregex *g = NULL;
        auto_err struct err *e = NULL;

        if (goregex_new(cases[i].pattern, &g, &e) < 0)
            fail_msg("'%s' is refused: %s", cases[i].pattern, err_text(e));
        if (goregex_matches(g, cases[i].text) != cases[i].matches)
            fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].text);
    }
}

static void test_refused(void **state)
{
    static const char *const patterns[] = {
        "",     "*",   "+a",     "a**",     "a+*",    "(",       ")",         "a)",    "(a", "[a",
        "[",    "a{1", "a{x}",   "a{1001}", "\\p{L}", "\\Qa\\E", "(?P<n>a)",  "(?m)a", "a|", "|a",
        "(|a)", "\\",  "[\\pL]", "\\x41",   "^*",     "a{2}{3}", "[[:foo:]]", "[a[b]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        auto_goregex struct goregex *g = NULL;
        auto_err struct err *e = NULL;
        int r = goregex_new(patterns[i], &g, &e);

        if (r != -EINVAL)
            fail_msg("'%s' is not refused", patterns[i]);
        assert_non_null(e);
    }
}

static void test_too_long(void **state)
{
    auto_goregex struct goregex *g = NULL;
    char pattern[GOREGEX_MAX + 2];

    (void)state;
    memset(pattern, 'a', sizeof(pattern));
    pattern[GOREGEX_MAX + 1] = '\0';
    assert_int_equal(goregex_new(pattern, &g, NULL), -EINVAL);
    pattern[GOREGEX_MAX] = '\0';
    assert_int_equal(goregex_new(pattern, &g, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_long),
    };

    return cmocka_run_group_tests_name("host_goregex", tests, NULL, NULL);
}
