/* The YAML tree: what hangs where, and at which bytes of the text. */
#include "buf.h"
#include "yamltree.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Each scalar as "LINE:COLUMN[bytes]", collections in brackets. */
static void show(const char *text, const struct yamlnode *n, struct buf *out)
{
    if (n->kind == YAMLNODE_SCALAR || n->kind == YAMLNODE_ALIAS) {
        (void)buf_addf(out, "%zu:%zu<%.*s>", n->line, n->column, (int)(n->end - n->start),
                       text + n->start);
        return;
    }
    (void)buf_addch(out, n->kind == YAMLNODE_LIST ? '[' : '{');
    for (size_t i = 0; i < n->n_items; i++) {
        (void)buf_addstr(out, i ? " " : "");
        show(text, n->items[i], out);
    }
    (void)buf_addch(out, n->kind == YAMLNODE_LIST ? ']' : '}');
}

static void knows_where_everything_is(void **state)
{
    static const char *const table[][2] = {
        {"", ""},
        {"---\n---\n", "2:1<>|3:1<>|"},
        {"a: 1\nb: 'x'  # c\nc: \"y\"\n", "{1:1<a> 1:4<1> 2:1<b> 2:4<'x'> 3:1<c> 3:4<\"y\">}|"},
        {"a:\n- x\n- y # z\nb: [p, q]\n", "{1:1<a> [2:3<x> 3:3<y>] 4:1<b> [4:5<p> 4:8<q>]}|"},
        {"a: &x 1\nb: !!str 2\nc: *x\n", "{1:1<a> 1:4<1> 2:1<b> 2:4<2> 3:1<c> 3:4<*x>}|"},
        {"a: \xc3\xa4\nb: \xe4\xb8\xad # \xf0\x9f\x98\x80\nc: d\n",
         "{1:1<a> 1:4<\xc3\xa4> 2:1<b> 2:4<\xe4\xb8\xad> 3:1<c> 3:4<d>}|"},
        {"\xef\xbb\xbf"
         "a: \xc3\xa4\r\nb: c\r\n",
         "{1:1<a> 1:4<\xc3\xa4> 2:1<b> 2:4<c>}|"},
        {"a: |\n  x\n  y\nb: c\n", "{1:1<a> 1:4<|\n  x\n  y\n> 4:1<b> 4:4<c>}|"},
        {"{a: b, c: {d: e}}", "{1:2<a> 1:5<b> 1:8<c> {1:12<d> 1:15<e>}}|"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_yamltree struct yamltree t = {.n_documents = 0};
        auto_err struct err *e = NULL;
        auto_buf struct buf out;

        buf_init(&out, 4096);
        if (yamltree_parse(table[i][0], strlen(table[i][0]), &t, &e) < 0)
            fail_msg("%zu: %s", i, err_text(e));
        for (size_t d = 0; d < t.n_documents; d++) {
            show(table[i][0], t.documents[d], &out);
            (void)buf_addch(&out, '|');
        }
        assert_string_equal(out.data, table[i][1]);
    }
}

/* The bytes of a flow collection are exactly its brackets and what is between. */
static void knows_where_flow_collections_end(void **state)
{
    static const char text[] = "a: [x, {y: z}]  # c\nb: 1\n";
    auto_yamltree struct yamltree t = {.n_documents = 0};
    const struct yamlnode *list;

    (void)state;
    assert_int_equal(yamltree_parse(text, strlen(text), &t, NULL), 0);
    list = yamlnode_get(t.documents[0], "a");
    assert_int_equal(list->start, 3);
    assert_int_equal(list->end, 14);
    assert_int_equal(list->style, YAMLNODE_FLOW);
}

static void finds_values(void **state)
{
    static const char text[] = "x: &m {p: 1, 'q': ~}\ny: *m\n? [k]\n: v\nz: 'null'\n";
    static const char *const path[] = {"y", "p", NULL}, *const missing[] = {"y", "r", "s", NULL};
    auto_yamltree struct yamltree t = {.n_documents = 0};
    const struct yamlnode *top;

    (void)state;
    assert_int_equal(yamltree_parse(text, strlen(text), &t, NULL), 0);
    top = t.documents[0];
    assert_string_equal(yamlnode_str(yamlnode_path(top, path)), "1");
    assert_null(yamlnode_path(top, missing));
    assert_non_null(yamlnode_get(yamlnode_get(top, "x"), "q"));
    assert_null(yamlnode_str(yamlnode_get(yamlnode_get(top, "x"), "q")));
    assert_string_equal(yamlnode_str(yamlnode_get(top, "z")), "null");
    assert_null(yamlnode_str(top));
    assert_null(yamlnode_get(NULL, "x"));
    assert_null(yamlnode_get(yamlnode_get(top, "z"), "x"));
}

static void breaks_circles(void **state)
{
    static const char text[] = "a: &a\n  b: *a\n";
    static const char *const path[] = {"a", "b", NULL};
    auto_yamltree struct yamltree t = {.n_documents = 0};

    (void)state;
    assert_int_equal(yamltree_parse(text, strlen(text), &t, NULL), 0);
    assert_null(yamlnode_path(t.documents[0], path));
}

static void refuses(void **state)
{
    static const char *const table[][2] = {
        {"a: [", "line 2: not valid YAML"},
        {"a: *x\n", "line 1: alias 'x' has no anchor before it"},
        {"a: &x 1\n---\nb: *x\n", "line 3: alias 'x' has no anchor before it"},
        {"a:\n\tb: 1\n", "line 2: not valid YAML"},
        {"a: \xff\n", "YAML must be UTF-8 text"},
    };
    char deep[YAMLTREE_MAX_DEPTH + 2];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct yamltree t;
        auto_err struct err *e = NULL;

        assert_int_equal(yamltree_parse(table[i][0], strlen(table[i][0]), &t, &e), -EINVAL);
        if (!strstr(err_text(e), table[i][1]))
            fail_msg("%zu: %s", i, err_text(e));
    }
    memset(deep, '[', sizeof(deep));
    assert_int_equal(yamltree_parse(deep, sizeof(deep), &(struct yamltree){0}, NULL), -EINVAL);
}

static void refuses_what_is_too_large(void **state)
{
    struct yamltree t;
    struct buf text;

    (void)state;
    buf_init(&text, YAMLTREE_MAX_SIZE + 1);
    for (size_t i = 0; i < YAMLTREE_MAX_NODES; i++)
        (void)buf_addstr(&text, "- x\n");
    assert_int_equal(yamltree_parse(text.data, text.len, &t, NULL), -EINVAL);
    while (text.len <= YAMLTREE_MAX_SIZE)
        (void)buf_addch(&text, '\n');
    assert_int_equal(yamltree_parse(text.data, text.len, &t, NULL), -EINVAL);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_where_everything_is),
        cmocka_unit_test(knows_where_flow_collections_end),
        cmocka_unit_test(finds_values),
        cmocka_unit_test(breaks_circles),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_what_is_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
