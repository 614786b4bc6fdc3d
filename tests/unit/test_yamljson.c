/* YAML as JSON: types as Kubernetes' tools see them, and YAML written from JSON reads back. */
#include "json.h"
#include "objdiff.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include "yaml_json.h"

static void scalars_have_the_types_of_yaml_1_1(void **state)
{
    static const char *const table[][2] = {
        {"[null, ~, Null, '', x: ]", "[null,null,null,\"\",{\"x\":null}]"},
        {"[true, yes, On, Y, off, n, 'true', trUe]",
         "[true,true,true,true,false,false,\"true\",\"trUe\"]"},
        {"[7, -7, +7, 0x1F, 0o17, 017, 0b11, 0, \"7\"]", "[7,-7,7,31,15,15,3,0,\"7\"]"},
        {"[1.5, .5, 1e3, -2.5e-1, 08]", "[1.5,0.5,1000,-0.25,8]"},
        {"[1.2.3, 1e, 0x, 0xg, 1_000, 10m, v1, 2026-11-28, .inf, -, 0b2]",
         "[\"1.2.3\",\"1e\",\"0x\",\"0xg\",\"1_000\",\"10m\",\"v1\",\"2026-11-28\",\".inf\",\"-\","
         "\"0b2\"]"},
        {"!!str 7", "\"7\""},
        {"a: &x [1]\nb: *x\n", "{\"a\":[1],\"b\":[1]}"},
        {"---\n", "null"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        cJSON *tree = yaml(table[i][0]);
        char *text = json_print(tree);

        assert_string_equal(text, table[i][1]);
        free(text);
        cJSON_Delete(tree);
    }
}

static void what_cannot_be_kept_is_refused(void **state)
{
    static const char *const table[][2] = {
        {"a: 1\nb: 2\na: 3\n", "line 3: the key 'a' is there twice"},
        {"x: &x {a: 1}\ny:\n  <<: *x\n", "line 3: merge keys"},
        {"? [a]\n: 1\n", "line 1: a key that is no plain text"},
        {"a: 9007199254740993000\n", "line 1: the number is too large"},
        {"a: &a\n- *a\n", "line 2: an alias inside of what it stands for"},
        {"a: \"x\\0y\"\n", "line 1: the text holds a NUL"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_yamltree struct yamltree t = {.n_documents = 0};
        auto_err struct err *e = NULL;
        cJSON *tree = NULL;

        assert_int_equal(yamltree_parse(table[i][0], strlen(table[i][0]), &t, &e), 0);
        assert_int_equal(yamljson_make(t.documents[0], &tree, &e), -EINVAL);
        if (!strstr(err_text(e), table[i][1]))
            fail_msg("got '%s', expected '%s'", err_text(e), table[i][1]);
    }
}

/* Nine lists of nine of each other: small as text, half a billion when written out. */
static void aliases_cannot_blow_it_up(void **state)
{
    static const char text[] = "a: &a [x, x, x, x, x, x, x, x, x]\n"
                               "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
                               "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
                               "d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n"
                               "e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\n";
    auto_yamltree struct yamltree t = {.n_documents = 0};
    cJSON *tree = NULL;

    (void)state;
    assert_int_equal(yamltree_parse(text, strlen(text), &t, NULL), 0);
    assert_int_equal(yamljson_make(t.documents[0], &tree, NULL), -EINVAL);
}

static void it_is_written_as_kubectl_would(void **state)
{
    static const char text[] =
        "a: b c\nlist:\n- name: x\n  port: 80\n- - 1\n  - \"true\"\nmore:\n"
        "  conf: |\n    {\n\n      \"a\": 1\n    }\n  empty: {}\n  none: []\n"
        "  null: null\n";
    static const char expected[] =
        "a: \"b c\"\nlist:\n- name: x\n  port: 80\n- - 1\n  - \"true\"\nmore:\n  conf: |\n    {\n\n"
        "      \"a\": 1\n    }\n  empty: {}\n  none: []\n  \"null\": null\n";
    auto_json cJSON *tree = yaml(text);
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 4096);
    objdiff_yaml(tree, &out);
    assert_string_equal(out.data, expected);
    assert_yaml(cJSON_Duplicate(tree, true), out.data);
}

static void a_diff_shows_what_differs_with_its_surroundings(void **state)
{
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 4096);
    objdiff_text("a", "1\n2\n3\n", "b", "1\n2\n3\n", &out);
    assert_string_equal(out.data, "");
    objdiff_text("a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "b", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n",
                 &out);
    assert_string_equal(out.data, "--- a\n+++ b\n@@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n"
                                  " 8\n 9\n+10\n");
    buf_clear(&out);
    objdiff_text("a", "x\n1\n2\n3\n4\n5\n6\n7\n8\ny\n", "b", "1\n2\n3\n4\n5\n6\n7\n8\n", &out);
    assert_string_equal(out.data, "--- a\n+++ b\n@@ -1,4 +1,3 @@\n-x\n 1\n 2\n 3\n@@ -7,4 +6,3 @@\n"
                                  " 6\n 7\n 8\n-y\n");
    buf_clear(&out);
    objdiff_text("a", "", "b", "1\n", &out);
    assert_string_equal(out.data, "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+1\n");
}

static void what_a_server_counts_is_not_compared(void **state)
{
    auto_json cJSON *a = yaml("{kind: X, metadata: {name: x, resourceVersion: '1', generation: 1, "
                              "uid: u, managedFields: [{}], annotations: "
                              "{kubectl.kubernetes.io/last-applied-configuration: z}}, "
                              "status: {a: 1}}");
    auto_json cJSON *b = yaml("{kind: X, metadata: {name: x, resourceVersion: '2'}}");
    auto_json cJSON *c = yaml("{kind: X, metadata: {name: x, labels: {a: b}}}");
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 4096);
    objdiff_objects("X n", a, b, &out);
    assert_string_equal(out.data, "");
    objdiff_objects("X n", a, c, &out);
    assert_string_equal(out.data, "--- X n (live)\n+++ X n (to be)\n@@ -1,3 +1,5 @@\n kind: X\n"
                                  " metadata:\n+  labels:\n+    a: b\n   name: x\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_have_the_types_of_yaml_1_1),
        cmocka_unit_test(what_cannot_be_kept_is_refused),
        cmocka_unit_test(aliases_cannot_blow_it_up),
        cmocka_unit_test(it_is_written_as_kubectl_would),
        cmocka_unit_test(a_diff_shows_what_differs_with_its_surroundings),
        cmocka_unit_test(what_a_server_counts_is_not_compared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
