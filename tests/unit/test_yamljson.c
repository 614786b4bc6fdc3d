/* YAML to JSON and back. */
#include "yamljson.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static int convert(const char *yaml, cJSON **out, struct err **e)
{
    auto_yamltree struct yamltree tree = {.n_documents = 0};
    int r = yamltree_parse(yaml, strlen(yaml), &tree, e);

    return r < 0 ? r : yamljson_convert(tree.documents[0], out, e);
}

/* What `kubectl create --dry-run=client -o json` makes of each. */
static void reads_as_kubectl_does(void **state)
{
    static const struct {
        const char *yaml, *json;
    } table[] = {
        {"a: 1", "{\"a\":1}"},
        {"a: \"1\"", "{\"a\":\"1\"}"},
        {"a: -7\nb: 0x1f\nc: 017\nd: 1.5\ne: 1e3",
         "{\"a\":-7,\"b\":31,\"c\":15,\"d\":1.5,\"e\":1000}"},
        {"a: yes\nb: Off\nc: true\nd: 'no'", "{\"a\":true,\"b\":false,\"c\":true,\"d\":\"no\"}"},
        {"a: ~\nb:\nc: null", "{\"a\":null,\"b\":null,\"c\":null}"},
        {"a: 10.1.0.0/16\nb: 10.1.0.1\nc: 0a:00:00:00:00:01",
         "{\"a\":\"10.1.0.0/16\",\"b\":\"10.1.0.1\",\"c\":\"0a:00:00:00:00:01\"}"},
        {"a: &x {b: 1}\nc: *x", "{\"a\":{\"b\":1},\"c\":{\"b\":1}}"},
        {"- 1\n- [a, {}]", "[1,[\"a\",{}]]"},
        {"a: |\n  two\n  lines\n", "{\"a\":\"two\\nlines\\n\"}"},
        {"1: x", "{\"1\":\"x\"}"},
        {"a: \"-\"\nb: 1.2.3\nd: .", "{\"a\":\"-\",\"b\":\"1.2.3\",\"d\":\".\"}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_err struct err *e = NULL;
        auto_json cJSON *tree = NULL;
        auto_free char *text = NULL;

        if (convert(table[i].yaml, &tree, &e) < 0)
            fail_msg("%s: %s", table[i].yaml, err_text(e));
        text = json_print(tree);
        assert_string_equal(text, table[i].json);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *yaml, *error;
    } table[] = {
        {"a: 1\na: 2", "line 2: 'a' stands there twice"},
        {"a: .inf", "line 1: JSON has no number"},
        {"\na: !!str 1", "line 2: tags are not taken here"},
        {"x: &x {a: 1}\ny: {<<: *x}", "line 2: merge keys"},
        {"[a]: 1", "line 1: a key that is no plain text"},
        {"a: &x [*x]", "line 1: an alias inside"},
        {"a: \"\\0\"", "line 1: a text with NUL"},
        {"a: 1e999", "line 1: '1e999' is too large"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_err struct err *e = NULL;
        cJSON *tree = NULL;

        assert_int_equal(convert(table[i].yaml, &tree, &e), -EINVAL);
        if (!strstr(err_text(e), table[i].error))
            fail_msg("%s: %s", table[i].yaml, err_text(e));
    }
}

/* Nine levels of ten aliases each would be a thousand million values. */
static void aliases_cannot_explode(void **state)
{
    auto_err struct err *e = NULL;
    auto_buf struct buf yaml;
    cJSON *tree = NULL;

    (void)state;
    buf_init(&yaml, 10000);
    (void)buf_addstr(&yaml, "- &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 9; i++) {
        (void)buf_addf(&yaml, "- &a%d [", i);
        for (int k = 0; k < 10; k++)
            (void)buf_addf(&yaml, "%s*a%d", k ? "," : "", i - 1);
        (void)buf_addstr(&yaml, "]\n");
    }
    assert_int_equal(convert(yaml.data, &tree, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "more than 400000 values"));
}

static void prints_what_reads_the_same(void **state)
{
    static const char *const json = "{\"apiVersion\":\"macvlan.cluster.cattle.io/"
                                    "v1\",\"metadata\":{\"labels\":{\"vlan\":\"100\","
                                    "\"project\":\"\"}},\"spec\":{\"vlan\":100,\"on\":true,"
                                    "\"cidr\":\"10.1.0.0/16\",\"ranges\":[{"
                                    "\"rangeStart\":\"10.1.0.5\",\"rangeEnd\":\"10.1.0.9\"}],"
                                    "\"none\":[],\"text\":\"a: b\\n#c\"}}";
    static const char *const yaml = "apiVersion: macvlan.cluster.cattle.io/v1\n"
                                    "metadata:\n"
                                    "  labels:\n"
                                    "    project: \"\"\n"
                                    "    vlan: \"100\"\n"
                                    "spec:\n"
                                    "  cidr: 10.1.0.0/16\n"
                                    "  none: []\n"
                                    "  \"on\": true\n"
                                    "  ranges:\n"
                                    "  - rangeEnd: 10.1.0.9\n"
                                    "    rangeStart: 10.1.0.5\n"
                                    "  text: |-\n"
                                    "    a: b\n"
                                    "    #c\n"
                                    "  vlan: 100\n";
    auto_json cJSON *tree = NULL, *again = NULL;
    auto_buf struct buf text;

    (void)state;
    buf_init(&text, 10000);
    assert_int_equal(json_parse(json, strlen(json), &tree, NULL), 0);
    assert_int_equal(yamljson_print(tree, &text), 0);
    assert_string_equal(text.data, yaml);
    assert_int_equal(convert(text.data, &again, NULL), 0);
    assert_true(cJSON_Compare(tree, again, true));
    buf_release(&text);
    buf_init(&text, 10);
    assert_int_equal(yamljson_print(tree, &text), -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_as_kubectl_does),
        cmocka_unit_test(refuses),
        cmocka_unit_test(aliases_cannot_explode),
        cmocka_unit_test(prints_what_reads_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
