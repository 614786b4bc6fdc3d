/* What a killed run left behind: read back, torn, of another plan, in use. */
#include "journal.h"

#include "fs.h"
#include "mem.h"
#include "tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PLAN "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct journal *opened(const char *plan, size_t count, int resumed)
{
    struct journal *j = NULL;
    int have = -1;

    assert_int_equal(journal_open("j", plan, count, &j, &have, NULL), 0);
    assert_int_equal(have, resumed);
    return j;
}

static void the_last_record_counts(void **state)
{
    struct journal *j = opened(PLAN, 4, 0);

    (void)state;
    assert_int_equal(journal_get(j, 0), 0);
    assert_int_equal(journal_put(j, 0, 100), 0);
    assert_int_equal(journal_put(j, 3, INT64_MAX), 0);
    assert_int_equal(journal_put(j, 0, 50), 0);
    assert_int_equal(journal_get(j, 0), 50);
    journal_free(j);
    j = opened(PLAN, 4, 1);
    assert_int_equal(journal_get(j, 0), 50);
    assert_int_equal(journal_get(j, 1), 0);
    assert_true(journal_get(j, 3) == INT64_MAX);
    journal_free(j);
    journal_free(NULL);
}

static void another_plan_starts_afresh(void **state)
{
    struct journal *j = opened(PLAN, 2, 0);

    (void)state;
    (void)journal_put(j, 1, 7);
    journal_free(j);
    j = opened(OTHER, 2, 0);
    assert_int_equal(journal_get(j, 1), 0);
    journal_free(j);
    j = opened(OTHER, 2, 1);
    journal_free(j);
    j = opened(PLAN, 2, 0);
    assert_int_equal(journal_get(j, 1), 0);
    journal_free(j);
}

static void broken_lines_do_not_count(void **state)
{
    static const char *const tails[] = {
        "1 9",
        "1 ",
        "1",
        "x 5\n",
        "1 9x\n",
        "\n",
        "1 9 9\n",
        "9 9\n",
        "-1 9\n",
        "1 -9\n",
        "1 99999999999999999999\n",
        "99999999999999999999999 1\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        auto_free char *text = xasprintf("flatnet-journal 1 %s\n1 5\n%s", PLAN, tails[i]);
        struct journal *j;

        assert_int_equal(fs_write_file("j", text, strlen(text), 0644, NULL), 0);
        j = opened(PLAN, 2, 1);
        assert_int_equal(journal_get(j, 0), 0);
        assert_int_equal(journal_get(j, 1), 5);
        /* What is written behind a torn line is read again all the same, or not at all. */
        assert_int_equal(journal_put(j, 0, 3), 0);
        journal_free(j);
        j = opened(PLAN, 2, 1);
        assert_true(journal_get(j, 0) == 3 || journal_get(j, 0) == 0);
        assert_int_equal(journal_get(j, 1), 5);
        journal_free(j);
    }
}

static void what_is_no_journal_is_replaced(void **state)
{
    static const char *const texts[] = {"", "junk", "flatnet-journal 1 " PLAN, "\n\n\n",
                                        "flatnet-journal 2 " PLAN "\n0 5\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(fs_write_file("j", texts[i], strlen(texts[i]), 0644, NULL), 0);
        journal_free(opened(PLAN, 1, 0));
        journal_free(opened(PLAN, 1, 1));
    }
}

static void one_writer_at_a_time(void **state)
{
    struct journal *j = opened(PLAN, 1, 0), *second = NULL;
    auto_err struct err *e = NULL;
    int resumed = -1;

    (void)state;
    (void)journal_put(j, 0, 9);
    assert_int_equal(journal_open("j", OTHER, 1, &second, &resumed, &e), -EBUSY);
    assert_null(second);
    assert_non_null(strstr(err_text(e), "another flatnet is writing here ('j' is locked)"));
    journal_free(j);
    j = opened(PLAN, 1, 1); /* and it was not emptied by the one that was refused */
    assert_int_equal(journal_get(j, 0), 9);
    journal_free(j);
    assert_int_equal(journal_open("absent/j", PLAN, 1, &second, &resumed, &e), -ENOENT);
}

static void *put_many(void *arg)
{
    struct journal *j = arg;

    for (int64_t i = 1; i <= 2000; i++)
        (void)journal_put(j, (size_t)i % 8, i);
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
    struct journal *j = opened(PLAN, 8, 0);
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, j), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    journal_free(j);
    j = opened(PLAN, 8, 1);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(journal_get(j, i) % 8, i);
    journal_free(j);
}

#define test(name) cmocka_unit_test_setup_teardown(name, tempdir_enter, tempdir_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(the_last_record_counts),    test(another_plan_starts_afresh),
        test(broken_lines_do_not_count), test(what_is_no_journal_is_replaced),
        test(one_writer_at_a_time),      test(threads_do_not_mix_their_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
