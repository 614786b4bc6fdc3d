/* Checks of addon YAML: each fault is found, with its place, and what is right is let pass. */
#include "addons_kube.h"
#include "addons_lint.h"
#include "buf.h"
#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CM(name) "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " name "\n"
#define LIST(item) "apiVersion: v1\nkind: List\nitems:\n- " item "\n"
#define DS(name, labels)                                                                           \
    "apiVersion: extensions/v1beta1\nkind: DaemonSet\nmetadata:\n  name: " name                    \
    "\nspec:\n  template:\n    metadata:\n      labels: " labels "\n"
#define POD(container)                                                                             \
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - " container "\n"

static void lint(const char *text, size_t len, int minor, struct findings *f)
{
    auto_addons_lint struct addons_lint l = {.kube_minor = minor, .f = f};

    addons_lint_file(&l, "f", text, len);
}

/* One finding each: its level and the beginning of its text. */
static void finds_faults(void **state)
{
    static const struct {
        const char *text;
        int minor;
        enum finding_level level;
        const char *finding;
    } table[] = {
        {"a: [", 13, FINDING_ERROR, "f: line 2: not valid YAML"},
        {"a: {{ .X }}\nb: {{\n", 13, FINDING_ERROR, "f: line 3: not valid YAML"},
        {"", 13, FINDING_WARNING, "f: no object is in it"},
        {"# nothing\n---\n---\n", 13, FINDING_WARNING, "f: no object is in it"},
        {"just text\n", 13, FINDING_ERROR, "f:1: this document is no Kubernetes object"},
        {CM("a") "---\n- x\n", 13, FINDING_ERROR, "f:6: this document is no Kubernetes object"},
        {"kind: ConfigMap\nmetadata: {name: a}\n", 13, FINDING_ERROR, "f:1: no apiVersion"},
        {CM("a") "---\napiVersion: v1\nmetadata: {name: a}\n", 13, FINDING_ERROR, "f:6: no kind"},
        {"apiVersion: v1\nkind: ConfigMap\n", 13, FINDING_ERROR,
         "f:1: no metadata.name in this ConfigMap"},
        {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name:\n", 13, FINDING_ERROR,
         "f:1: no metadata.name"},
        {"apiVersion: v1\nkind: List\nitems:\n- kind: ConfigMap\n  metadata: {name: x}\n", 13,
         FINDING_ERROR, "f:4: no apiVersion"},
        {CM("a") "data:\n  x: 1\n  y: 2\n  x: 3\n", 13, FINDING_ERROR,
         "f:8: the key 'x' stands here again, after line 6"},
        {CM("a") "---\n" CM("a"), 13, FINDING_ERROR,
         "f:6: ConfigMap 'a' is there twice, first at f:1"},
        {"apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: x, namespace: n}\n---\n"
         "apiVersion: extensions/v1beta1\nkind: DaemonSet\nmetadata: {name: x, namespace: n}\n",
         13, FINDING_ERROR, "f:5: DaemonSet 'x' is there twice, first at f:1"},
        {DS("a", "{x: y}"), 16, FINDING_ERROR,
         "f:1: DaemonSet of extensions/v1beta1 is gone in Kubernetes 1.16"},
        {"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
         "metadata: {name: x}\n",
         15, FINDING_ERROR,
         "f:1: CustomResourceDefinition of apiextensions.k8s.io/v1 is not yet in Kubernetes 1.15"},
        {DS("a", "{x: y, z: w}") "---\n" DS("b", "{z: w, x: y}"), 13, FINDING_WARNING,
         "f:10: DaemonSet 'b' selects the same pods (x=y,z=w) as the one at f:1"},
        {POD("{image: 'a:1', imagePullPolicy: Always}"), 13, FINDING_ERROR,
         "f:6: imagePullPolicy Always"},
        {POD("{image: a}"), 13, FINDING_ERROR, "f:6: 'a' is a 'latest'"},
        {POD("{image: 'a:latest'}"), 13, FINDING_ERROR, "f:6: 'a:latest' is a 'latest'"},
        {"apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: c}\nspec: {jobTemplate: "
         "{spec: "
         "{template: {spec: {initContainers: [{image: a}]}}}}}\n",
         13, FINDING_ERROR, "f:4: 'a' is a 'latest'"},
        {"a: 1\n \t\nkind: x\n", 13, FINDING_WARNING, "f:2: a tab indents this line"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_findings struct findings f = {.n_items = 0};
        bool found = false;

        lint(table[i].text, strlen(table[i].text), table[i].minor, &f);
        for (size_t j = 0; j < f.n_items; j++)
            found = found || (f.items[j].level == table[i].level &&
                              strstr(f.items[j].text, table[i].finding) == f.items[j].text);
        if (!found)
            fail_msg("%zu: %s", i, f.n_items ? f.items[0].text : "nothing found");
    }
}

static void names_tabs_where_yaml_fails(void **state)
{
    static const char text[] = CM("a") "data:\n\tx: 1\n";
    auto_findings struct findings f = {.n_items = 0};

    (void)state;
    lint(text, strlen(text), 13, &f);
    assert_int_equal(f.count[FINDING_ERROR], 2);
    assert_string_equal(f.items[1].text, "f:6: a tab indents this line; YAML takes blanks only");
}

static void lets_pass_what_is_right(void **state)
{
    static const char *const table[] = {
        CM("a") "---\n" CM("b"),
        CM("a") "---\n---\n# only a comment\n---\n" CM("b") "---",
        CM("a") "  namespace: x\n---\n" CM("a") "  namespace: y\n",
        CM("a") "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n",
        CM("a") "data:\n  x: |\n    a text\n    \twith a tab\n",
        CM("a") "data: {x: {k: 1}, y: {k: 2}}\n",
        DS("a", "{x: y}") "---\n" DS("b", "{x: z}"),
        DS("a", "{x: y}") "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"
                          "spec: {selector: {matchLabels: {x: y}}}\n",
        POD("{image: 'a:latest', imagePullPolicy: IfNotPresent}"),
        POD("{image: 'r.example/a@sha256:"
            "0123456789012345678901234567890123456789012345678901234567890123'}"),
        LIST("{apiVersion: v1, kind: Secret, metadata: {name: x}}"),
        "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: x}\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_findings struct findings f = {.n_items = 0};

        lint(table[i], strlen(table[i]), 13, &f);
        if (f.n_items)
            fail_msg("%zu: %s", i, f.items[0].text);
    }
}

/* Objects of files that are applied together must differ; beyond a cut they need not. */
static void knows_what_is_applied_together(void **state)
{
    auto_findings struct findings f = {.n_items = 0};
    auto_addons_lint struct addons_lint l = {.kube_minor = 13, .f = &f};

    (void)state;
    addons_lint_file(&l, "a", CM("x"), strlen(CM("x")));
    addons_lint_cut(&l);
    addons_lint_file(&l, "b", CM("x"), strlen(CM("x")));
    assert_int_equal(f.n_items, 0);
    addons_lint_file(&l, "c", CM("x"), strlen(CM("x")));
    assert_int_equal(f.n_items, 1);
    assert_string_equal(f.items[0].text,
                        "c:1: ConfigMap 'x' is there twice, first at b:1; only the last counts");
    assert_int_equal(l.n_documents, 3);
}

/* A document with a text of `size` bytes. */
static void make_large(struct buf *out, const char *name, size_t size)
{
    (void)buf_addf(out, "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\ndata:\n  x: ",
                   name);
    for (size_t i = 0; i < size; i++)
        (void)buf_addch(out, 'x');
    (void)buf_addch(out, '\n');
}

static void knows_the_limits_of_size(void **state)
{
    static const struct {
        size_t size, copies;
        const char *finding; /* NULL: none */
    } table[] = {
        {ADDONS_ANNOTATION_MAX - 200, 1, NULL},
        {ADDONS_ANNOTATION_MAX, 1, "f:2: larger than 262144 bytes"},
        {200 << 10, 5, NULL},
        {210 << 10, 5, "f: 1075"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_findings struct findings f = {.n_items = 0};
        auto_buf struct buf text;
        char name[] = "a";

        buf_init(&text, 4 << 20);
        for (size_t j = 0; j < table[i].copies; j++, name[0]++)
            make_large(&text, name, table[i].size);
        lint(text.data, text.len, 13, &f);
        if (!table[i].finding && f.n_items)
            fail_msg("%zu: %s", i, f.items[0].text);
        if (table[i].finding && (!f.n_items || !strstr(f.items[0].text, table[i].finding)))
            fail_msg("%zu: %s", i, f.n_items ? f.items[0].text : "nothing");
    }
}

static void adds_up_what_is_applied_together(void **state)
{
    auto_findings struct findings f = {.n_items = 0};
    auto_addons_lint struct addons_lint l = {.kube_minor = 13, .f = &f};
    auto_buf struct buf text;

    (void)state;
    buf_init(&text, 4 << 20);
    make_large(&text, "a", 200 << 10);
    make_large(&text, "b", 200 << 10);
    make_large(&text, "c", 200 << 10);
    addons_lint_file(&l, "one", text.data, text.len);
    assert_int_equal(f.n_items, 0);
    buf_clear(&text);
    make_large(&text, "d", 200 << 10);
    make_large(&text, "e", 200 << 10);
    make_large(&text, "f", 200 << 10);
    addons_lint_file(&l, "two", text.data, text.len);
    assert_int_equal(f.n_items, 1);
    assert_non_null(strstr(f.items[0].text, "two: together with the files before it"));
}

/* Aliases that would write themselves out to gigabytes cost nothing. */
static void survives_aliases(void **state)
{
    auto_findings struct findings f = {.n_items = 0};
    auto_buf struct buf text;

    (void)state;
    buf_init(&text, 1 << 20);
    (void)buf_addstr(&text, CM("a") "data:\n  a0: &a0 [x]\n");
    for (int i = 1; i < 30; i++)
        (void)buf_addf(&text, "  a%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1,
                       i - 1);
    lint(text.data, text.len, 13, &f);
    assert_int_equal(f.count[FINDING_ERROR], 1);
    assert_non_null(strstr(f.items[0].text, "larger than"));
    buf_clear(&text);
    (void)buf_addstr(&text, CM("a") "data:\n  a0: &a0 [x]\n");
    for (int i = 1; i < 250; i++)
        (void)buf_addf(&text, "  a%d: &a%d [*a%d]\n", i, i, i - 1);
    findings_release(&f);
    lint(text.data, text.len, 13, &f);
    assert_int_equal(f.n_items, 0);
}

/* --- system images --- */

static void add(struct imagelist *l, const char *name)
{
    auto_findings struct findings f = {.n_items = 0};
    struct ref ref = {.host = NULL};

    assert_int_equal(ref_parse(name, &ref, NULL), 0);
    imagelist_add_ref(l, "b", 0, &ref, &f);
}

static void knows_system_images(void **state)
{
    static const char *const complete[] = {"cnrancher/rancher:v2.2.3",
                                           "rancher/rancher-agent:v2.2.3",
                                           "harbor.example/x/rancher/hyperkube:v1.13.5-rancher1",
                                           "rancher/rke-tools:v0.1.28",
                                           "rancher/coreos-etcd:v3.2.24-rancher1",
                                           "rancher/pause:3.1",
                                           "rancher/k8s-dns-kube-dns:1.15.0",
                                           "rancher/metrics-server:v0.3.1",
                                           "rancher/nginx-ingress-controller:0.21.0-rancher3"};
    static const struct {
        int minor;
        size_t without; /* this one is left out */
        const char *finding;
    } table[] = {
        {13, 99, NULL},
        {13, 1, "rancher/rancher-agent:v2.2.3"},
        {13, 2, "rancher/hyperkube:v1.13.*"},
        {13, 6, "rancher/k8s-dns-kube-dns"},
        {13, 8, "rancher/nginx-ingress-controller"},
        {14, 99, "rancher/hyperkube:v1.14.*"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_imagelist struct imagelist l = {.n_entries = 0};
        auto_findings struct findings f = {.n_items = 0};

        for (size_t j = 0; j < sizeof(complete) / sizeof(complete[0]); j++)
            if (j != table[i].without)
                add(&l, complete[j]);
        addons_lint_system_images(&l, table[i].minor, &f);
        assert_int_equal(f.count[FINDING_ERROR], 0);
        if (!table[i].finding && f.n_items)
            fail_msg("%zu: %s", i, f.items[0].text);
        if (table[i].finding && (!f.n_items || !strstr(f.items[0].text, table[i].finding)))
            fail_msg("%zu: %s", i, f.n_items ? f.items[0].text : "nothing");
    }
}

/* --- the table of APIs --- */

static void knows_which_version_serves_what(void **state)
{
    static const struct {
        const char *api, *kind;
        int from, until; /* served in [from, until) */
    } table[] = {
        {"extensions/v1beta1", "DaemonSet", 0, 16},
        {"extensions/v1beta1", "Ingress", 0, 22},
        {"apps/v1", "DaemonSet", 0, 99},
        {"apiextensions.k8s.io/v1beta1", "CustomResourceDefinition", 0, 22},
        {"apiextensions.k8s.io/v1", "CustomResourceDefinition", 16, 99},
        {"rbac.authorization.k8s.io/v1beta1", "ClusterRole", 0, 22},
        {"rbac.authorization.k8s.io/v1", "ClusterRole", 0, 99},
        {"batch/v1beta1", "CronJob", 0, 25},
        {"batch/v1", "CronJob", 21, 99},
        {"batch/v1", "Job", 0, 99},
        {"policy/v1beta1", "PodSecurityPolicy", 0, 25},
        {"networking.k8s.io/v1", "NetworkPolicy", 0, 99},
        {"coordination.k8s.io/v1", "Lease", 14, 99},
        {"v1", "ConfigMap", 0, 99},
        {"macvlan.cluster.cattle.io/v1", "MacvlanIP", 0, 99},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        for (int minor = 11; minor < 40; minor++) {
            bool is_served = minor >= table[i].from && minor < table[i].until;

            if ((addons_api_fault(table[i].api, table[i].kind, minor) == NULL) != is_served)
                fail_msg("%s %s in 1.%d", table[i].api, table[i].kind, minor);
        }
}

static void sees_the_legacy_file_as_it_is(void **state)
{
    static const struct {
        int minor;
        size_t errors, warnings;
    } table[] = {{13, 0, 1}, {15, 0, 1}, {16, 7, 1}, {22, 9, 1}};
    auto_buf struct buf text;

    (void)state;
    buf_init(&text, 1 << 20);
    assert_int_equal(fs_read_file("tests/data/addons/legacy.yml", &text, NULL), 0);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_findings struct findings f = {.n_items = 0};

        lint(text.data, text.len, table[i].minor, &f);
        assert_int_equal(f.count[FINDING_ERROR], table[i].errors);
        assert_int_equal(f.count[FINDING_WARNING], table[i].warnings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_faults),
        cmocka_unit_test(names_tabs_where_yaml_fails),
        cmocka_unit_test(lets_pass_what_is_right),
        cmocka_unit_test(knows_what_is_applied_together),
        cmocka_unit_test(knows_the_limits_of_size),
        cmocka_unit_test(adds_up_what_is_applied_together),
        cmocka_unit_test(survives_aliases),
        cmocka_unit_test(knows_system_images),
        cmocka_unit_test(knows_which_version_serves_what),
        cmocka_unit_test(sees_the_legacy_file_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
