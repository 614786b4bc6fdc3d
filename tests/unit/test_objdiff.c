/* Objects as YAML, and the differences between two. */
#include "json.h"
#include "objdiff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include "yaml_json.h"

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
    (void)yamljson_print(tree, &out);
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
        cmocka_unit_test(it_is_written_as_kubectl_would),
        cmocka_unit_test(a_diff_shows_what_differs_with_its_surroundings),
        cmocka_unit_test(what_a_server_counts_is_not_compared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
