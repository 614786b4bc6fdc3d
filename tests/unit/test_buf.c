/* The growable buffer: its ceiling, its failure, what it hands over. */
#include "buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void grows_up_to_its_ceiling(void **state)
{
    auto_buf struct buf b;

    (void)state;
    buf_init(&b, 1000);
    assert_string_equal(b.data, "");
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(buf_addch(&b, (char)('a' + i % 26)), 0);
        assert_int_equal(b.len, i + 1);
        assert_int_equal(b.data[b.len], '\0');
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(b.data[i], 'a' + (int)(i % 26));
    assert_false(b.overflowed);
}

static void a_write_past_the_ceiling_changes_nothing_and_stays_failed(void **state)
{
    auto_buf struct buf b;

    (void)state;
    buf_init(&b, 5);
    assert_int_equal(buf_addstr(&b, "abcd"), 0);
    assert_int_equal(buf_addstr(&b, "ef"), -EFBIG);
    assert_string_equal(b.data, "abcd");
    assert_int_equal(b.len, 4);
    assert_int_equal(buf_addch(&b, 'e'), -EFBIG);
    assert_int_equal(buf_add(&b, "", 0), -EFBIG);
    assert_string_equal(b.data, "abcd");
    buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    assert_int_equal(buf_addstr(&b, "12345"), 0);
    assert_string_equal(b.data, "12345");
}

static void takes_every_kind_of_bytes(void **state)
{
    auto_buf struct buf b;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(buf_add(&b, "a\0b", 3), 0);
    assert_int_equal(buf_add(&b, NULL, 0), 0);
    assert_int_equal(buf_addf(&b, "%s-%d", "x", 7), 0);
    assert_int_equal(b.len, 6);
    assert_memory_equal(b.data, "a\0bx-7", 7);
    assert_int_equal(buf_addf(&b, "%0200d", 1), -EFBIG);
    assert_int_equal(b.len, 6);
}

static void a_ceiling_of_nothing_holds_nothing(void **state)
{
    auto_buf struct buf b;

    (void)state;
    buf_init(&b, 0);
    assert_int_equal(buf_add(&b, "", 0), 0);
    assert_int_equal(buf_addch(&b, 'x'), -EFBIG);
    assert_string_equal(b.data, "");
}

static void hands_over_its_bytes(void **state)
{
    struct buf b;
    char *text;

    (void)state;
    buf_init(&b, 100);
    (void)buf_addstr(&b, "mine");
    text = buf_steal(&b);
    assert_string_equal(text, "mine");
    free(text);
    assert_string_equal(b.data, "");
    assert_int_equal(b.len, 0);
    /* Also of one that never held anything, and the rest of a released one is harmless. */
    buf_init(&b, 100);
    text = buf_steal(&b);
    assert_string_equal(text, "");
    free(text);
    buf_release(&b);
    buf_release(&b);
    assert_int_equal(buf_addch(&b, 'x'), -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_up_to_its_ceiling),
        cmocka_unit_test(a_write_past_the_ceiling_changes_nothing_and_stays_failed),
        cmocka_unit_test(takes_every_kind_of_bytes),
        cmocka_unit_test(a_ceiling_of_nothing_holds_nothing),
        cmocka_unit_test(hands_over_its_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
