/* Numbers and sizes in text. */
#include "num.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void parses_whole_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t max, value;
    } table[] = {
        {"0", 10, 0},   {"10", 10, 10},
        {"007", 10, 7}, {"18446744073709551615", UINT64_MAX, UINT64_MAX},
        {"0", 0, 0},    {"9223372036854775807", INT64_MAX, INT64_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        uint64_t value = 99;

        assert_int_equal(num_parse_u64(table[i].text, table[i].max, &value), 0);
        assert_true(value == table[i].value);
    }
}

static void refuses_other_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
    } table[] = {
        {"", 10},
        {"11", 10},
        {"7", 5},
        {"99", 5},
        {"1", 0},
        {"-1", 10},
        {"+1", 10},
        {" 1", 10},
        {"1 ", 10},
        {"0x1", 10},
        {"1e1", 10},
        {"18446744073709551616", UINT64_MAX},
        {"99999999999999999999999999", UINT64_MAX},
        {"9223372036854775808", INT64_MAX},
        {"36893488147419103233", 5},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        uint64_t value = 99;

        assert_int_equal(num_parse_u64(table[i].text, table[i].max, &value), -EINVAL);
        assert_true(value == 99);
    }
}

static void parses_sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } table[] = {
        {"0", 0},
        {"1", 1},
        {"512B", 512},
        {"300KB", 300000},
        {"300k", 300000},
        {"64KiB", 65536},
        {"64kib", 65536},
        {"4.7GB", 4700000000},
        {"4.7g", 4700000000},
        {"4GiB", INT64_C(4) << 30},
        {"0.5MiB", 512 << 10},
        {"1.25TB", INT64_C(1250000000000)},
        {"2TiB", INT64_C(2) << 40},
        {"0.000001MB", 1},
        {"8388606TiB", INT64_C(8388606) << 40},
        {"999999999999999", INT64_C(999999999999999)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t bytes = -1;

        assert_int_equal(num_parse_size(table[i].text, &bytes, NULL), 0);
        assert_true(bytes == table[i].bytes);
    }
}

static void refuses_other_sizes(void **state)
{
    static const char *const table[] = {
        "",           "GB",
        "-1",         "4.7",
        "4.GB",       ".5GB",
        "4,7GB",      "4GB ",
        " 4GB",       "4 GB",
        "4GBB",       "4PB",
        "4.7.1GB",    "1e3",
        "0x10",       "4.7B",
        "8388608TiB", "9999999999999999",
        "4iB",        "1.1234567KB",
        "inf",        "99999999999999999999TB",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_err struct err *e = NULL;
        int64_t bytes = -1;

        assert_int_equal(num_parse_size(table[i], &bytes, &e), -EINVAL);
        assert_true(bytes == -1);
        assert_non_null(strstr(err_text(e), "4.7GB"));
    }
}

static void formats_sizes(void **state)
{
    static const struct {
        int64_t bytes;
        const char *text;
    } table[] = {
        {0, "0 B"},
        {999, "999 B"},
        {1000, "1.0 KB"},
        {1234, "1.2 KB"},
        {99949, "99.9 KB"},
        {99950, "100 KB"},
        {999499, "999 KB"},
        {999500, "1.0 MB"},
        {4700000000, "4.7 GB"},
        {INT64_C(575000000000), "575 GB"},
        {INT64_MAX, "9.2 EB"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[NUM_SIZE_TEXT];

        assert_string_equal(num_format_size(table[i].bytes, text), table[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_whole_numbers), cmocka_unit_test(refuses_other_numbers),
        cmocka_unit_test(parses_sizes),         cmocka_unit_test(refuses_other_sizes),
        cmocka_unit_test(formats_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
