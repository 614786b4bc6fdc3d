/* Command lines: what options do, what is refused and how, and the nearest word. */
#include "cli.h"

#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define MOST_ARGS 8

static struct {
    bool flag, tri;
    const char *text;
    struct cli_list list;
    int number;
} got;

static const struct cli_option options[] = {
    {"flag", 'F', CLI_FLAG, NULL, &got.flag, "a flag"},
    {"text", 't', CLI_STRING, "TEXT", &got.text, "a text"},
    {"list", 'l', CLI_LIST, "ITEM", &got.list, "a list"},
    {"number", 'n', CLI_INT, "N", &got.number, "a number"},
    {"verify", 0, CLI_TRI, NULL, &got.tri, "a choice"},
    {0},
};

static const struct cli_verb verb = {
    .path = "thing do",
    .args = "A [B]",
    .summary = "Does it.",
    .options = options,
    .min_args = 1,
    .max_args = 2,
};

static int setup(void **state)
{
    (void)state;
    cli_list_release(&got.list);
    memset(&got, 0, sizeof(got));
    got.tri = true;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cli_list_release(&got.list);
    return 0;
}

/* Parses words ended by NULL; the arguments that are left land in *out_args. */
static int parse(const char *const *words, char *argv[MOST_ARGS + 2], char ***out_args, int *out_n,
                 struct err **e)
{
    int argc = 1;

    argv[0] = (char *)"do";
    for (; *words; words++)
        argv[argc++] = (char *)*words;
    argv[argc] = NULL;
    return cli_parse(&verb, argc, argv, out_args, out_n, e);
}

static void options_stand_anywhere(void **state)
{
    static const char *const table[][MOST_ARGS + 1] = {
        {"--flag", "--text", "x", "--list", "1", "--list=2", "a", "b"},
        {"a", "-F", "-tx", "b", "-l1", "-l", "2"},
        {"a", "b", "-Ftx", "-l1", "--list", "2"},
        {"-Ft", "x", "-l", "1", "-l2", "--", "a", "b"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char *argv[MOST_ARGS + 2], **args;
        int n = 0;

        assert_int_equal(setup(NULL), 0);
        assert_int_equal(parse(table[i], argv, &args, &n, NULL), 0);
        assert_int_equal(n, 2);
        assert_string_equal(args[0], "a");
        assert_string_equal(args[1], "b");
        assert_null(args[2]);
        assert_true(got.flag);
        assert_string_equal(got.text, "x");
        assert_int_equal(got.list.count, 2);
        assert_string_equal(got.list.items[0], "1");
        assert_string_equal(got.list.items[1], "2");
        assert_null(got.list.items[2]);
    }
}

static void values_may_look_like_options(void **state)
{
    static const char *const words[] = {"--text", "--flag", "-n0", "--", "-F", "-", NULL};
    char *argv[MOST_ARGS + 2], **args;
    int n = 0;

    (void)state;
    assert_int_equal(parse(words, argv, &args, &n, NULL), 0);
    assert_string_equal(got.text, "--flag");
    assert_false(got.flag);
    assert_int_equal(n, 2);
    assert_string_equal(args[0], "-F");
    assert_string_equal(args[1], "-");
}

static void the_last_text_wins_and_an_empty_one_counts(void **state)
{
    static const char *const words[] = {"a", "--text=1=2", "--number=2147483647", "--verify=false",
                                        NULL};
    static const char *const again[] = {"a", "--text", "1", "--text=", "--verify", NULL};
    char *argv[MOST_ARGS + 2], **args;
    int n = 0;

    (void)state;
    assert_int_equal(parse(words, argv, &args, &n, NULL), 0);
    assert_string_equal(got.text, "1=2");
    assert_int_equal(got.number, 2147483647);
    assert_false(got.tri);
    assert_int_equal(parse(again, argv, &args, &n, NULL), 0);
    assert_string_equal(got.text, "");
    assert_true(got.tri);
}

static void refuses_the_rest_and_says_how(void **state)
{
    static const struct {
        const char *words[MOST_ARGS + 1];
        const char *message;
    } table[] = {
        {{"a", "--flg"}, "unknown option '--flg'; did you mean '--flag'?"},
        {{"a", "--txet=1"}, "unknown option '--txet'; did you mean '--text'?"},
        {{"a", "--foramt", "json"}, "did you mean '--format'?"},
        {{"a", "--completely-else"}, "unknown option '--completely-else'"},
        {{"a", "-x"}, "unknown option '-x'"},
        {{"a", "-Fx"}, "unknown option '-x'"},
        {{"a", "--flag=yes"}, "'--flag' takes no value"},
        {{"a", "--text"}, "'--text' needs a value (TEXT)"},
        {{"a", "-t"}, "'-t' needs a value (TEXT)"},
        {{"a", "--number", "x"}, "'--number' takes a whole number, not 'x'"},
        {{"a", "--number=-1"}, "'--number' takes a whole number, not '-1'"},
        {{"a", "-n", "2147483648"}, "'--number' takes a whole number"},
        {{"a", "--number="}, "'--number' takes a whole number, not ''"},
        {{"a", "--verify=maybe"}, "'--verify' takes true or false, not 'maybe'"},
        {{"--flag"}, "'thing do' needs more: flatnet thing do A [B]"},
        {{"a", "b", "c"}, "'thing do' takes no more than 2 arguments"},
        {{"a", "--format", "xml"}, "'--format' takes text or json, not 'xml'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char *argv[MOST_ARGS + 2], **args = NULL;
        auto_err struct err *e = NULL;
        int n = 0;

        assert_int_equal(parse(table[i].words, argv, &args, &n, &e), -EINVAL);
        assert_non_null(strstr(err_text(e), table[i].message));
        assert_null(args);
    }
}

static void common_options_are_known_to_all(void **state)
{
    static const char *const words[] = {"a", "--format=json", "-q", "--no-progress", NULL};
    static const char *const again[] = {"a", "--format", "text", NULL};
    char *argv[MOST_ARGS + 2], **args;
    int n = 0;

    (void)state;
    assert_int_equal(parse(words, argv, &args, &n, NULL), 0);
    assert_true(cli_common.json && cli_common.quiet && cli_common.no_progress);
    assert_int_equal(parse(again, argv, &args, &n, NULL), 0);
    assert_false(cli_common.json);
}

/* At most a third of the word may be wrong, but always one letter. */
static void finds_the_nearest_word(void **state)
{
    static const char *const words[] = {"create", "verify", "ls", "diff", "split", "extract", NULL};
    static const char *const table[][2] = {
        {"create", "create"},
        {"crate", "create"},
        {"cerate", "create"},
        {"creat", "create"},
        {"verfy", "verify"},
        {"veryfi", "verify"},
        {"l", "ls"},
        {"sl", "ls"},
        {"dif", "diff"},
        {"spilt", "split"},
        {"xetract", "extract"},
        {"extarct", "extract"},
        {"xtrct", NULL},
        {"list", NULL},
        {"d", NULL},
        {"", NULL},
        {"cat", NULL},
        {"verification", NULL},
        {"ex", NULL},
        {"a-word-that-is-much-longer-than-all-the-others", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        const char *nearest = cli_nearest(table[i][0], words);

        assert_string_equal(nearest ? nearest : "(none)", table[i][1] ? table[i][1] : "(none)");
    }
}

static void errors_become_exit_statuses(void **state)
{
    auto_err struct err *e = NULL;

    (void)state;
    (void)err_set(&e, -EBADMSG, "it is damaged");
    assert_int_equal(cli_fail(&verb, e), EXIT_VERIFY);
    assert_int_equal(cli_fail(NULL, NULL), EXIT_FAILED);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(options_stand_anywhere),
        test(values_may_look_like_options),
        test(the_last_text_wins_and_an_empty_one_counts),
        test(refuses_the_rest_and_says_how),
        test(common_options_are_known_to_all),
        test(finds_the_nearest_word),
        test(errors_become_exit_statuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
