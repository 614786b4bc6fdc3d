/* The template language: conditions, variables, lists, and what is refused. */
#include "addons_template.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const one[] = {"1", NULL}, *const two[] = {"x", "y", NULL},
                         *const none[] = {NULL};
static const struct addons_variable variables[] = {{"ONE", one},
                                                   {"TWO", two},
                                                   {"NONE", none},
                                                   {NULL, NULL}};
static const char *const flags[] = {"on", "also", NULL};

static int render(const char *text, struct buf *out, struct err **e)
{
    struct addons_template t = {
        .name = "t", .text = text, .len = strlen(text), .variables = variables, .flags = flags};

    return addons_template_render(&t, out, e);
}

static void renders(void **state)
{
    static const char *const table[][2] = {
        {"", ""},
        {"a\n# b\n", "a\n# b\n"},
        {"a", "a\n"},
        {"v: @ONE@@ONE@, mail@example, @one@, @\n", "v: 11, mail@example, @one@, @\n"},
        {"  - @TWO@ of @ONE@\nz\n", "  - x of 1\n  - y of 1\nz\n"},
        {"a\n  - @NONE@ @ONE@\nb\n", "a\nb\n"},
        {"#@ if on\na\n#@ else\nb\n#@ end\nc\n", "a\nc\n"},
        {"#@ if off\na\n#@ else\nb\n#@ end\nc\n", "b\nc\n"},
        {"#@ if !off\na\n#@ end\n", "a\n"},
        {"#@ if !on\n@UNKNOWN@\n#@ end\n", ""},
        {"#@ if on\n  #@ if off\na\n  #@ else\nb\n  #@ end\n#@ else\n#@ if also\nc\n#@ end\n#@ "
         "end\n",
         "b\n"},
        {"#@if on\n", "#@if on\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_err struct err *e = NULL;
        auto_buf struct buf out;

        buf_init(&out, 1024);
        if (render(table[i][0], &out, &e) < 0)
            fail_msg("%zu: %s", i, err_text(e));
        assert_string_equal(out.data, table[i][1]);
    }
}

static void refuses(void **state)
{
    static const char *const table[][2] = {
        {"a\n@UNKNOWN@\n", "template 't', line 2: unknown variable 'UNKNOWN'"},
        {"@ONE@ @NONE@ @X@\n@X@\n", "line 2: unknown variable 'X'"},
        {"@TWO@ @NONE@\n", "line 1: a second list in one line: 'NONE'"},
        {"#@ if on\n", "template 't' ends inside of an 'if'"},
        {"#@ end\n", "line 1: no 'if' is open at 'end'"},
        {"#@ if on\n#@ else\n#@ else\n#@ end\n", "line 3: not a directive here: 'else'"},
        {"#@ if on\n#@ elsif\n", "line 2: not a directive here: 'elsif'"},
        {"#@ if on off\n", "line 1: one flag is needed, not 'on off'"},
        {"#@ if !\n", "one flag is needed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_err struct err *e = NULL;
        auto_buf struct buf out;

        buf_init(&out, 1024);
        assert_int_equal(render(table[i][0], &out, &e), -EINVAL);
        if (!strstr(err_text(e), table[i][1]))
            fail_msg("%zu: %s", i, err_text(e));
    }
}

static void is_bounded(void **state)
{
    auto_err struct err *e = NULL;
    auto_buf struct buf out, deep;

    (void)state;
    buf_init(&out, 4);
    assert_int_equal(render("abcdef\n", &out, &e), -EFBIG);
    buf_init(&deep, 1024);
    for (int i = 0; i < 9; i++)
        (void)buf_addstr(&deep, "#@ if on\n");
    buf_clear(&out);
    assert_int_equal(render(deep.data, &out, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "nested too deep"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders),
        cmocka_unit_test(refuses),
        cmocka_unit_test(is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
