/* Renderings against the rules of lint, for every set, mode and version; and what depends on the
 * version or on the namespace in the user's own files. */
#include "addons_edit.h"
#include "addons_lint.h"
#include "addons_render.h"
#include "imageset.h"
#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The parts are files that stand alone; the combined file is there under two names. */
static void lint_files(const struct addons_files *files, int minor, struct findings *f)
{
    auto_addons_lint struct addons_lint l = {.kube_minor = minor, .f = f};

    for (size_t i = 0; i < files->n_items; i++) {
        addons_lint_file(&l, files->items[i].name, files->items[i].text, files->items[i].len);
        addons_lint_cut(&l);
    }
    assert_true(l.n_documents > files->n_items);
}

/* Together with what is applied by hand, too. */
static void lint_whole(const struct addons_files *files, int minor, struct findings *f)
{
    auto_addons_lint struct addons_lint l = {.kube_minor = minor, .f = f};

    for (size_t i = 0; i < files->n_items; i++)
        if (i == 0 || strstr(files->items[i].name, "-roles.yml"))
            addons_lint_file(&l, files->items[i].name, files->items[i].text, files->items[i].len);
}

static void check_rendering(const char *set, const char *mode, int minor, bool has_webhook)
{
    auto_free char *version = xasprintf("1.%d", minor);
    struct addons_options o = {.set = set,
                               .mode = mode,
                               .kube_version = version,
                               .has_webhook = has_webhook};
    auto_addons_settings struct addons_settings s = {.iface_args = NULL};
    auto_addons_files struct addons_files files = {.n_items = 0};
    auto_findings struct findings warnings = {.n_items = 0}, f = {.n_items = 0};

    assert_int_equal(addons_settings_parse(&o, &s, NULL), 0);
    assert_int_equal(addons_render(&s, &files, &warnings, NULL), 0);
    lint_files(&files, minor, &f);
    lint_whole(&files, minor, &f);
    if (f.n_items)
        fail_msg("%s %s 1.%d: %s", set, mode, minor, f.items[0].text);
}

static void renderings_have_no_faults(void **state)
{
    const char *const *sets = imageset_names();

    (void)state;
    for (size_t i = 0; sets[i]; i++)
        for (int minor = ADDONS_KUBE_OLDEST; minor <= ADDONS_KUBE_NEWEST; minor++) {
            if (!strcmp(sets[i], "current") && minor < 16)
                continue;
            check_rendering(sets[i], "multus", minor, false);
            if (!strcmp(sets[i], "2019-original"))
                continue;
            check_rendering(sets[i], "multus", minor, true);
            check_rendering(sets[i], "chained", minor, false);
        }
}

/* A rendering for another version does have faults: the test above can fail. */
static void renderings_are_for_their_version(void **state)
{
    static const struct {
        const char *version;
        int linted_for;
        const char *finding;
    } table[] = {
        {"1.13", 22, "CustomResourceDefinition of apiextensions.k8s.io/v1beta1 is gone"},
        {"1.16", 15, "CustomResourceDefinition of apiextensions.k8s.io/v1 is not yet"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct addons_options o = {.kube_version = table[i].version};
        auto_addons_settings struct addons_settings s = {.iface_args = NULL};
        auto_addons_files struct addons_files files = {.n_items = 0};
        auto_findings struct findings f = {.n_items = 0}, warnings = {.n_items = 0};

        assert_int_equal(addons_settings_parse(&o, &s, NULL), 0);
        assert_int_equal(addons_render(&s, &files, &warnings, NULL), 0);
        lint_files(&files, table[i].linted_for, &f);
        assert_true(f.n_items > 0);
        assert_non_null(strstr(f.items[0].text, table[i].finding));
    }
}

/* What kubectl takes for 'default', and what selects by expressions. */
#define CM(meta) "apiVersion: v1\nkind: ConfigMap\nmetadata: " meta "\n"
#define DS(meta, selector)                                                                         \
    "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: " meta "\nspec: {selector: " selector "}\n"
#define IN(values) "matchExpressions: [{key: k, operator: In, values: " values "}]"

static void lint_knows_namespaces_and_selectors(void **state)
{
    static const struct {
        const char *text, *finding; /* NULL: none */
    } table[] = {
        {CM("{name: a}") "---\n" CM("{name: a, namespace: default}"),
         "f:5: ConfigMap 'a' is there twice, first at f:1"},
        {CM("{name: a}") "---\n" CM("{name: a, namespace: kube-system}"), NULL},
        {DS("{name: a}", "{matchLabels: {x: y}}") "---\n" DS("{name: b, namespace: default}",
                                                             "{matchLabels: {x: y}}"),
         "f:6: DaemonSet 'b' selects the same pods (x=y) as the one at f:1"},
        {DS("{name: a}", "{" IN("[v, w]") "}") "---\n" DS("{name: b}", "{" IN("[v, w]") "}"),
         "f:6: DaemonSet 'b' selects the same pods (k In v w) as the one at f:1"},
        {DS("{name: a}", "{" IN("[v]") "}") "---\n" DS("{name: b}", "{" IN("[w]") "}"), NULL},
        {DS("{name: a}", "{matchLabels: {x: y}, " IN("[v]") "}") "---\n" DS(
             "{name: b}", "{matchLabels: {x: y}, " IN("[w]") "}"),
         NULL},
        {DS("{name: a}", "{}") "---\n" DS("{name: b}", "{}"), NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_findings struct findings f = {.n_items = 0};
        auto_addons_lint struct addons_lint l = {.kube_minor = 20, .f = &f};

        addons_lint_file(&l, "f", table[i].text, strlen(table[i].text));
        assert_int_equal(f.n_items, table[i].finding ? 1 : 0);
        if (table[i].finding)
            assert_memory_equal(f.items[0].text, table[i].finding, strlen(table[i].finding));
    }
}

#define IMAGE(name)                                                                                \
    "kind: DaemonSet\nspec: {template: {spec: {containers: [{name: c, image: '" name "'}]}}}\n"

static void old_multus_in_own_files_is_warned_about(void **state)
{
    static const struct {
        const char *version, *text;
        size_t warnings;
    } table[] = {
        {"1.20", IMAGE("nfvpe/multus:v3.2"), 0},
        {"1.21", IMAGE("nfvpe/multus:v3.2"), 1},
        {"1.21", IMAGE("harbor.example/x/multus:v3.4.2"), 1},
        {"1.34", IMAGE("multus:v3.2"), 1},
        {"1.34", IMAGE("ghcr.io/x/multus-cni:v4.2.4-thick"), 0},
        {"1.34", IMAGE("nfvpe/multus"), 0},
        {"1.34", IMAGE("nfvpe/multus-admission:v3.2"), 0},
        {"1.34", IMAGE("no reference"), 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct addons_options o = {.kube_version = table[i].version};
        auto_addons_settings struct addons_settings s = {.iface_args = NULL};
        struct addons_edited counts = {.images = 0};
        auto_findings struct findings f = {.n_items = 0};
        auto_buf struct buf out;

        buf_init(&out, 1 << 20);
        assert_int_equal(addons_settings_parse(&o, &s, NULL), 0);
        assert_int_equal(addons_edit(&s, "f", table[i].text, strlen(table[i].text), &out, &counts,
                                     &f, NULL),
                         0);
        assert_string_equal(out.data, table[i].text);
        assert_int_equal(f.n_items, table[i].warnings);
        assert_true(!f.n_items || strstr(f.items[0].text, "that token expires"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renderings_have_no_faults),
        cmocka_unit_test(renderings_are_for_their_version),
        cmocka_unit_test(lint_knows_namespaces_and_selectors),
        cmocka_unit_test(old_multus_in_own_files_is_warned_about),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
