/* The three-way merge, and whose fields are whose. */
#include "deploy_managed.h"
#include "deploy_merge.h"
#include "json.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include "yaml_json.h"

static void fields_are_set_removed_and_kept(void **state)
{
    /* original, wanted, live, what comes of it */
    static const char *const table[][4] = {
        {"{a: 1, b: 2}", "{a: 3}", "{a: 1, b: 2, c: 4}", "{a: 3, c: 4}"},
        {"~", "{a: 3}", "{a: 1, b: 2}", "{a: 3, b: 2}"},
        {"{a: {b: 1, c: 2}}", "{a: {b: 1}}", "{a: {b: 1, c: 2, d: 3}}", "{a: {b: 1, d: 3}}"},
        {"{a: [1]}", "{a: {b: 1}}", "{a: [1]}", "{a: {b: 1}}"},
        /* what is not wanted at all: a map that others share, and a field that is one thing */
        {"{annotations: {a: x}}", "{}", "{annotations: {a: x, b: y}}", "{annotations: {b: y}}"},
        {"{annotations: {a: x}}", "{}", "{annotations: {a: x}}", "{}"},
        {"{livenessProbe: {exec: x}}", "{}", "{livenessProbe: {exec: x, period: 1}}", "{}"},
        {"{updateStrategy: {type: A, rollingUpdate: {x: 1}}}", "{updateStrategy: {type: B}}",
         "{updateStrategy: {type: A, rollingUpdate: {x: 1}}}", "{updateStrategy: {type: B}}"},
        {"~", "{strategy: {type: B}}", "{strategy: {type: A, rollingUpdate: {x: 1}}}",
         "{strategy: {type: B}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_json cJSON *original = yaml(table[i][0]), *wanted = yaml(table[i][1]);
        auto_json cJSON *live = yaml(table[i][2]);

        assert_yaml(deploy_merge(original, wanted, live), table[i][3]);
    }
}

static void lists_with_keys_are_merged_by_them(void **state)
{
    static const char *const table[][4] = {
        {"{env: [{name: OLD, value: x}, {name: A, value: x}]}", "{env: [{name: A, value: 'y'}]}",
         "{env: [{name: OLD, value: x}, {name: A, value: x}, {name: THEIRS}]}",
         "{env: [{name: A, value: 'y'}, {name: THEIRS}]}"},
        {"{env: [{name: OLD}]}", "{}", "{env: [{name: OLD}, {name: THEIRS}]}",
         "{env: [{name: THEIRS}]}"},
        /* a container that somebody has put in front stays there */
        {"{containers: [{name: c, image: x}]}", "{containers: [{name: c, image: z}]}",
         "{containers: [{name: side}, {name: c, image: x, tty: true}]}",
         "{containers: [{name: side}, {name: c, image: z, tty: true}]}"},
        /* another order is made ours */
        {"~", "{volumes: [{name: a}, {name: b}]}", "{volumes: [{name: b}, {name: t}, {name: a}]}",
         "{volumes: [{name: a}, {name: b}, {name: t}]}"},
        {"~", "{ports: [{containerPort: 1, name: x}]}",
         "{ports: [{containerPort: 1, protocol: TCP}, {containerPort: 1, protocol: UDP}]}",
         "{ports: [{containerPort: 1, protocol: TCP, name: x}, {containerPort: 1, protocol: "
         "UDP}]}"},
        {"~", "{ports: [{port: 443, name: x}]}", "{ports: [{port: 443, nodePort: 3}]}",
         "{ports: [{port: 443, nodePort: 3, name: x}]}"},
        /* no keys: as a whole, where it says something else */
        {"{args: [a]}", "{args: [b]}", "{args: [a, t]}", "{args: [b]}"},
        {"{rules: [{a: 1}]}", "{rules: [{a: 1}]}", "{rules: [{a: 1, scope: '*'}]}",
         "{rules: [{a: 1, scope: '*'}]}"},
        {"{rules: [{a: 1, b: 1}]}", "{rules: [{a: 1}]}", "{rules: [{a: 1, b: 1}]}",
         "{rules: [{a: 1}]}"},
        /* two of one name: no list with keys */
        {"~", "{env: [{name: A}]}", "{env: [{name: A}, {name: A}]}", "{env: [{name: A}]}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_json cJSON *original = yaml(table[i][0]), *wanted = yaml(table[i][1]);
        auto_json cJSON *live = yaml(table[i][2]);
        cJSON *merged = deploy_merge(original, wanted, live), *again;
        auto_free char *text = json_print(merged), *second = NULL;

        again = deploy_merge(wanted, wanted, merged);
        second = json_print(again);
        assert_string_equal(text, second);
        cJSON_Delete(again);
        assert_yaml(merged, table[i][3]);
    }
}

static void the_annotation_is_written_once(void **state)
{
    auto_json cJSON *object = yaml("{metadata: {name: n}, a: 1}");
    auto_json cJSON *wanted = yaml("{a: 1, metadata: {name: n}}"), *back = NULL;
    const char *text;

    (void)state;
    assert_null(deploy_last_applied(object));
    deploy_set_last_applied(object, wanted);
    back = deploy_last_applied(object);
    assert_true(cJSON_Compare(back, wanted, true));
    assert_true(deploy_is_client_applied(object));
    text = json_get_str(json_get_obj(json_get_obj(object, "metadata"), "annotations"),
                        DEPLOY_LAST_APPLIED);
    deploy_set_last_applied(object, wanted);
    assert_ptr_equal(text,
                     json_get_str(json_get_obj(json_get_obj(object, "metadata"), "annotations"),
                                  DEPLOY_LAST_APPLIED));
}

static const char managed[] =
    "metadata:\n"
    "  managedFields:\n"
    "  - manager: kubectl-client-side-apply\n"
    "    operation: Update\n"
    "    fieldsV1: {'f:spec': {'f:a': {}, 'f:b': {'f:x': {}}}, 'f:status': {'f:s': {}}}\n"
    "  - manager: flatnet\n"
    "    operation: Apply\n"
    "    fieldsV1: {'f:spec': {'f:b': {'f:y': {}}}}\n"
    "  - manager: admin\n"
    "    operation: Update\n"
    "    fieldsV1:\n"
    "      f:spec:\n"
    "        f:replicas: {}\n"
    "        f:labels: {.: {}, 'f:l': {}}\n"
    "        f:containers: {'k:{\"name\":\"c\"}': {.: {}, 'f:image': {}}}\n"
    "spec: {replicas: 5, labels: {l: x}, containers: [{name: other}, {name: c, image: old}]}\n";

static void what_kubectl_has_becomes_ours(void **state)
{
    auto_json cJSON *live = yaml(managed), *none = yaml("{metadata: {managedFields: []}}");
    auto_json cJSON *taken = deploy_managed_taken(live, "apps/v1");
    const cJSON *ours = cJSON_GetArrayItem(taken, 1);

    (void)state;
    assert_int_equal(cJSON_GetArraySize(taken), 2);
    assert_string_equal(json_get_str(taken->child, "manager"), "admin");
    assert_string_equal(json_get_str(ours, "manager"), "flatnet");
    assert_string_equal(json_get_str(ours, "operation"), "Apply");
    assert_string_equal(json_get_str(ours, "apiVersion"), "apps/v1");
    assert_yaml(cJSON_Duplicate(json_get_obj(ours, "fieldsV1"), true),
                "{'f:spec': {'f:a': {}, 'f:b': {'f:x': {}, 'f:y': {}}}}");
    assert_null(deploy_managed_taken(none, "apps/v1"));
}

static void fields_of_others_are_conflicts_where_the_values_differ(void **state)
{
    auto_json cJSON *live = yaml(managed);
    auto_json cJSON *other = yaml("spec: {replicas: 2, labels: {l: x}, containers: [{name: c, "
                                  "image: new}]}");
    auto_json cJSON *same = yaml("spec: {replicas: 5, a: 7}");
    auto_free char *text = deploy_managed_conflicts(live, other);

    (void)state;
    assert_string_equal(text, "\n    .spec.replicas, set by 'admin'"
                              "\n    .spec.containers[{\"name\":\"c\"}].image, set by 'admin'");
    assert_null(deploy_managed_conflicts(live, same));
}

static void times_and_versions_make_no_difference(void **state)
{
    auto_json cJSON *a = yaml("{metadata: {resourceVersion: '1', managedFields: [{manager: m, "
                              "time: t1}]}, spec: {a: 1}, status: {x: 1}}");
    auto_json cJSON *b = yaml("{metadata: {resourceVersion: '2', generation: 2, managedFields: "
                              "[{manager: m, time: t2}]}, spec: {a: 1}}");
    auto_json cJSON *c = yaml("{metadata: {managedFields: [{manager: n}]}, spec: {a: 1}}");

    (void)state;
    assert_true(deploy_is_same(a, b));
    assert_false(deploy_is_same(a, c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_set_removed_and_kept),
        cmocka_unit_test(lists_with_keys_are_merged_by_them),
        cmocka_unit_test(the_annotation_is_written_once),
        cmocka_unit_test(what_kubectl_has_becomes_ours),
        cmocka_unit_test(fields_of_others_are_conflicts_where_the_values_differ),
        cmocka_unit_test(times_and_versions_make_no_difference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
