/* Images in YAML, and the check of list and YAML against each other. */
#include "yamlimages.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void add(struct yamlimages *y, const char *text, struct findings *f)
{
    yamlimages_add(y, "x.yml", text, strlen(text), f);
}

static void finds_images_everywhere(void **state)
{
    static const char text[] =
        "apiVersion: apps/v1\n"
        "kind: DaemonSet\n"
        "spec:\n"
        "  template:\n"
        "    spec:\n"
        "      initContainers:\n"
        "      - {name: i, image: 'busybox'}\n"
        "      containers:\n"
        "      - name: a\n"
        "        image: quay.io/coreos/flannel:v0.10.0-amd64 # here\n"
        "        args: [\"--image=not-this:1\"]\n"
        "      volumes:\n"
        "      - rbd: {image: a-disk}\n"
        "      - image: {reference: quay.io/data:1, pullPolicy: Never}\n"
        "---\n"
        "---\n"
        "kind: CronJob\n"
        "spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: a/b@" DIGEST "}]}}}}}\n"
        "---\n"
        "kind: CustomResourceDefinition\n"
        "spec: {properties: {image: {type: string}, reference: {type: string}}}\n"
        "image:\n"
        "---\n"
        "- x: &img c/d:2\n"
        "- image: *img\n"
        "- image: null\n"
        "- image: ~\n"
        "- image: \"\"\n"
        "- image: 'null'\n";
    static const struct {
        const char *name;
        size_t line;
    } expected[] = {
        {"docker.io/library/busybox:latest", 7},
        {"quay.io/coreos/flannel:v0.10.0-amd64", 10},
        {"quay.io/data:1", 14},
        {"docker.io/a/b@" DIGEST, 18},
        {"docker.io/c/d:2", 25},
        {"docker.io/library/null:latest", 29},
    };
    auto_yamlimages struct yamlimages y = {.n_items = 0};
    auto_findings struct findings f = {.n_items = 0};

    (void)state;
    add(&y, text, &f);
    assert_int_equal(f.n_items, 0);
    assert_int_equal(y.n_items, sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < y.n_items; i++) {
        assert_string_equal(y.items[i].name, expected[i].name);
        assert_int_equal(y.items[i].line, expected[i].line);
        assert_string_equal(y.items[i].file, "x.yml");
    }
}

static void says_what_is_wrong(void **state)
{
    static const char template_text[] =
        "x.yml:2: this is a template ('{{'); render it first, for instance with 'helm template', "
        "and name the result";
    static const char *const table[][2] = {
        {"a:\n{{- if .Values.x }}\n  b: 1\n{{- end }}\n", template_text},
        {"a: 1\nimage: {{ .Values.image }}\n", template_text},
        {"a: 1\nimage: \"{{ .Values.image }}:1\"\n", template_text},
        {"a: 1\nb: {{ .Values.b }}\n", template_text},
        {"a: 1\n b: 2\n",
         "x.yml: line 2: not valid YAML: mapping values are not allowed in this context"},
        {"- image: Bad\n", "x.yml:1: image reference 'Bad': repository name must be lowercase"},
        {"- image: \"a\\0\"\n", "x.yml:1: the image holds a NUL byte"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_yamlimages struct yamlimages y = {.n_items = 0};
        auto_findings struct findings f = {.n_items = 0};

        add(&y, table[i][0], &f);
        assert_int_equal(f.n_items, 1);
        assert_int_equal(f.items[0].level, FINDING_ERROR);
        assert_string_equal(f.items[0].text, table[i][1]);
        assert_int_equal(y.n_items, 0);
    }
}

/* A template mark that is only text somewhere is no reason to refuse. */
static void takes_marks_in_text(void **state)
{
    auto_yamlimages struct yamlimages y = {.n_items = 0};
    auto_findings struct findings f = {.n_items = 0};

    (void)state;
    add(&y, "summary: 'on {{ $labels.node }}'\nimage: a\n", &f);
    assert_int_equal(f.n_items, 0);
    assert_int_equal(y.n_items, 1);
}

/* One image of YAML against one of a list; true if they are taken for the same. */
static bool match(const char *in_yaml, const char *in_list)
{
    auto_yamlimages struct yamlimages y = {.n_items = 0};
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_findings struct findings f = {.n_items = 0}, found = {.n_items = 0};
    auto_ref struct ref ref = {.host = NULL};
    char text[400] = "image: ";

    memcpy(text + strlen(text), in_yaml, strlen(in_yaml) + 1);
    add(&y, text, &f);
    assert_int_equal(ref_parse(in_list, &ref, NULL), 0);
    imagelist_add_ref(&l, "l", 1, &ref, &f);
    assert_int_equal(f.count[FINDING_ERROR], 0);
    yamlimages_crosscheck(&y, &l, false, &found);
    assert_int_equal(found.count[FINDING_ERROR], found.count[FINDING_NOTE]);
    return found.count[FINDING_ERROR] == 0;
}

static void compares_normalised_names(void **state)
{
    static const struct {
        const char *in_yaml, *in_list;
        bool same;
    } table[] = {
        {"nginx:1", "docker.io/library/nginx:1", true},
        {"index.docker.io/nginx:1", "nginx:1", true},
        {"nginx", "nginx:latest", true},
        {"nginx:1", "nginx:2", false},
        {"nginx:1", "quay.io/nginx:1", false},
        {"nginx:1", "a/nginx:1", false},
        {"nginx:1@" DIGEST, "nginx:1", true},
        {"nginx:1", "nginx:1@" DIGEST, true},
        {"nginx@" DIGEST, "nginx:1@" DIGEST, true},
        {"nginx:2@" DIGEST, "nginx:1@" DIGEST, true},
        {"nginx:1@" DIGEST, "nginx:1@" OTHER, false},
        {"nginx@" DIGEST, "nginx:1", false},
        {"nginx:1", "nginx@" DIGEST, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (match(table[i].in_yaml, table[i].in_list) != table[i].same)
            fail_msg("'%s' and '%s'", table[i].in_yaml, table[i].in_list);
}

static void checks_both_ways(void **state)
{
    static const char list[] = "a/used:1\na/unused:1\ncnrancher/rancher:v2.2.3\n"
                               "flatnet/flatnet:0.1.0\nflatnet/network-controller:0.1.0\n";
    static const char yaml[] = "- image: a/used:1\n- image: a/missing:1\n- image: a/used:1\n"
                               "- image: a/gone:2\n";
    auto_imagelist struct imagelist l = {.n_entries = 0};
    auto_yamlimages struct yamlimages y = {.n_items = 0};
    auto_findings struct findings f = {.n_items = 0}, lenient = {.n_items = 0};
    auto_err struct err *e = NULL;

    (void)state;
    assert_int_equal(imagelist_add_text(&l, "x.list", list, strlen(list), &f, NULL), 0);
    add(&y, yaml, &f);
    yamlimages_crosscheck(&y, &l, false, &f);
    assert_int_equal(findings_error(&f, "images and YAML", &e), -EINVAL);
    assert_string_equal(err_text(e),
                        "images and YAML: 2 errors\n"
                        "  x.yml:2: image 'docker.io/a/missing:1' is not in the bundle; add it to "
                        "the list, or go on without it by --allow-missing\n"
                        "  x.yml:4: image 'docker.io/a/gone:2' is not in the bundle; add it to the "
                        "list, or go on without it by --allow-missing");
    assert_int_equal(f.count[FINDING_NOTE], 2);
    assert_string_equal(f.items[2].text,
                        "x.list:2: no YAML names the image 'docker.io/a/unused:1'");
    assert_string_equal(
        f.items[3].text,
        "x.list:5: no YAML names the image 'docker.io/flatnet/network-controller:0.1.0'");

    yamlimages_crosscheck(&y, &l, true, &lenient);
    assert_int_equal(findings_error(&lenient, "x", NULL), 0);
    assert_int_equal(lenient.count[FINDING_WARNING], 2);
    assert_string_equal(lenient.items[0].text,
                        "x.yml:2: image 'docker.io/a/missing:1' is not in the bundle");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_images_everywhere), cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(takes_marks_in_text),     cmocka_unit_test(compares_normalised_names),
        cmocka_unit_test(checks_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
