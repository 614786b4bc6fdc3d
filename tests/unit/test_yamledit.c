/* Changes to text: what is named changes, every other byte stays. */
#include "mem.h"
#include "yamledit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void applies_changes(void **state)
{
    auto_yamledit struct yamledit ed;
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 100);
    yamledit_init(&ed, "0123456789", 10);
    yamledit_replace(&ed, 10, 10, "end");
    yamledit_replace(&ed, 2, 4, "xyz");
    yamledit_replace(&ed, 4, 4, "<");
    yamledit_replace(&ed, 4, 4, ">");
    yamledit_replace(&ed, 0, 1, "");
    assert_int_equal(yamledit_apply(&ed, &out, NULL), 0);
    assert_string_equal(out.data, "1xyz<>456789end");
}

static void refuses_overlaps_and_too_much(void **state)
{
    static const size_t table[][4] = {{1, 3, 2, 4}, {2, 1, 5, 5}, {0, 1, 5, 11}, {0, 5, 0, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_yamledit struct yamledit ed;
        auto_buf struct buf out;

        buf_init(&out, 100);
        yamledit_init(&ed, "0123456789", 10);
        yamledit_replace(&ed, table[i][0], table[i][1], "");
        yamledit_replace(&ed, table[i][2], table[i][3], "");
        assert_int_equal(yamledit_apply(&ed, &out, NULL), -EINVAL);
    }
    {
        auto_yamledit struct yamledit ed;
        auto_buf struct buf out;

        buf_init(&out, 5);
        yamledit_init(&ed, "0123456789", 10);
        assert_int_equal(yamledit_apply(&ed, &out, NULL), -EFBIG);
    }
}

static void sets_scalars(void **state)
{
    static const struct {
        const char *text, *value, *result; /* no result: not supported */
    } table[] = {
        {"a: b # c\n", "x", "a: x # c\n"},
        {"a: b\r\n", "x y", "a: 'x y'\r\n"},
        {"a: 'b'\n", "it's", "a: 'it''s'\n"},
        {"a: \"b\" \n", "say \"\\\"", "a: \"say \\\"\\\\\\\"\" \n"},
        {"a: &x !!str b\n", "c", NULL},
        {"a: &x b\n", "c", "a: &x c\n"},
        {"{a: b}", "h.example:5000/x:1", "{a: h.example:5000/x:1}"},
        {"a: b", "", "a: ''"},
        {"a: b", "x:", "a: 'x:'"},
        {"a: b", "---", "a: '---'"},
        {"a: b", "-", "a: '-'"},
        {"a: b", "...", "a: '...'"},
        {"a: |\n  b\n", "c", NULL},
        {"a: b\n  c\n", "c", NULL},
        {"a: [b]\n", "c", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_yamltree struct yamltree t = {.n_documents = 0};
        auto_yamledit struct yamledit ed;
        auto_buf struct buf out;
        int r;

        buf_init(&out, 100);
        assert_int_equal(yamltree_parse(table[i].text, strlen(table[i].text), &t, NULL), 0);
        yamledit_init(&ed, table[i].text, strlen(table[i].text));
        r = yamledit_set(&ed, yamlnode_get(t.documents[0], "a"), table[i].value);
        assert_int_equal(r, table[i].result ? 0 : -ENOTSUP);
        assert_int_equal(yamledit_apply(&ed, &out, NULL), 0);
        assert_string_equal(out.data, table[i].result ? table[i].result : table[i].text);
    }
}

/* Every scalar that is made reads back as its value. */
static void makes_scalars_that_read_back(void **state)
{
    static const char *const values[] = {
        "a",  "a b", "a: b",         "#", "a #b", "'", "\"", "\\", "-",   "- a", "{a}",   "[",
        "*a", "&a",  "!a",           "%", "@",    "`", "a:", ":a", "a:1", "---", "--- a", "...",
        "?",  "? a", "\xe4\xb8\xad", "|"};
    static const enum yamlnode_style styles[] = {YAMLNODE_PLAIN, YAMLNODE_SINGLE, YAMLNODE_DOUBLE};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        for (size_t j = 0; j < 3; j++) {
            auto_free char *scalar = yamledit_scalar(values[i], styles[j]);
            auto_free char *text = xasprintf("- x\n- %s\n", scalar);
            auto_yamltree struct yamltree t = {.n_documents = 0};

            if (yamltree_parse(text, strlen(text), &t, NULL) < 0 || t.documents[0]->n_items != 2)
                fail_msg("%s", text);
            assert_string_equal(yamlnode_str(t.documents[0]->items[1]), values[i]);
        }
}

static void knows_lines(void **state)
{
    struct yamledit unix_text, dos, last;

    (void)state;
    yamledit_init(&unix_text, "ab\ncd\n", 6);
    yamledit_init(&dos, "ab\r\ncd\r\n", 8);
    yamledit_init(&last, "ab", 2);
    assert_string_equal(yamledit_newline(&unix_text), "\n");
    assert_string_equal(yamledit_newline(&dos), "\r\n");
    assert_string_equal(yamledit_newline(&last), "\n");
    assert_int_equal(yamledit_line_start(&unix_text, 4), 3);
    assert_int_equal(yamledit_line_end(&unix_text, 4), 5);
    assert_int_equal(yamledit_next_line(&unix_text, 4), 6);
    assert_int_equal(yamledit_line_end(&dos, 1), 2);
    assert_int_equal(yamledit_next_line(&dos, 1), 4);
    assert_int_equal(yamledit_line_end(&last, 0), 2);
    assert_int_equal(yamledit_next_line(&last, 0), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(applies_changes), cmocka_unit_test(refuses_overlaps_and_too_much),
        cmocka_unit_test(sets_scalars),    cmocka_unit_test(makes_scalars_that_read_back),
        cmocka_unit_test(knows_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
