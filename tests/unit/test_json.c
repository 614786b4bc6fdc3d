/* JSON from outside: what is refused, and what the getters give. */
#include "json.h"

#include "buf.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void takes_whole_documents(void **state)
{
    static const char *const table[] = {
        "{}",
        "[]",
        "null",
        "1",
        "\"x\"",
        " {\"a\": [1, 2, {\"b\": null}]} \r\n\t",
        "{\"a\":\"]]]]}}}}\\\"[[[[\"}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *tree = NULL;

        assert_int_equal(json_parse(table[i], strlen(table[i]), &tree, NULL), 0);
        assert_non_null(tree);
    }
}

static void refuses_everything_else(void **state)
{
    static const struct {
        const char *text;
        size_t len; /* 0: strlen */
        const char *message;
    } table[] = {
        {"", 0, "not valid JSON"},
        {"{", 0, "not valid JSON"},
        {"{\"a\"}", 0, "not valid JSON"},
        {"[1,]", 0, "not valid JSON"},
        {"{a:1}", 0, "not valid JSON"},
        {"{} {}", 0, "behind the JSON document at byte 2"},
        {"{}x", 0, "behind the JSON document at byte 2"},
        {"{}\0", 3, "NUL"},
        {"{\"a\":\"b\\u0000c\"}", 0, "NUL"},
        {"{\"a\":1}", 6, "not valid JSON"},
        {"\"\\ud800\"", 0, "not valid JSON"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_err struct err *e = NULL;
        cJSON *tree = NULL;
        size_t len = table[i].len ? table[i].len : strlen(table[i].text);

        assert_int_equal(json_parse(table[i].text, len, &tree, &e), -EBADMSG);
        assert_non_null(strstr(err_text(e), table[i].message));
        assert_null(tree);
    }
}

/* `depth` lists inside each other. */
static int parse_nested(size_t depth)
{
    auto_json cJSON *tree = NULL;
    auto_buf struct buf text;

    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < depth; i++)
        (void)buf_addch(&text, '[');
    for (size_t i = 0; i < depth; i++)
        (void)buf_addch(&text, ']');
    return json_parse(text.data, text.len, &tree, NULL);
}

static void is_bounded_in_depth(void **state)
{
    (void)state;
    assert_int_equal(parse_nested(JSON_MAX_DEPTH), 0);
    assert_int_equal(parse_nested(JSON_MAX_DEPTH + 1), -EBADMSG);
    assert_int_equal(parse_nested(400000), -EBADMSG);
}

static void getters_look_at_the_type(void **state)
{
    static const char text[] = "{\"s\":\"text\",\"o\":{},\"a\":[],\"n\":7,\"N\":8}";
    auto_json cJSON *tree = NULL;
    int64_t value = -1;

    (void)state;
    assert_int_equal(json_parse(text, strlen(text), &tree, NULL), 0);
    assert_string_equal(json_get_str(tree, "s"), "text");
    assert_null(json_get_str(tree, "S"));
    assert_null(json_get_str(tree, "n"));
    assert_non_null(json_get_obj(tree, "o"));
    assert_null(json_get_obj(tree, "a"));
    assert_non_null(json_get_arr(tree, "a"));
    assert_null(json_get_arr(tree, "o"));
    assert_null(json_get_arr(NULL, "a"));
    assert_null(json_get_str(NULL, "s"));
    assert_int_equal(json_get_size(tree, "n", &value), 0);
    assert_int_equal(value, 7);
}

static void sizes_are_whole_and_exact(void **state)
{
    static const struct {
        const char *number;
        int result;
        int64_t value;
    } table[] = {
        {"0", 0, 0},           {"9007199254740992", 0, INT64_C(9007199254740992)},
        {"1e3", 0, 1000},      {"-1", -EINVAL, 0},
        {"1.5", -EINVAL, 0},   {"9007199254740994", -EINVAL, 0},
        {"1e300", -EINVAL, 0}, {"\"1\"", -EINVAL, 0},
        {"null", -EINVAL, 0},  {"true", -EINVAL, 0},
        {"[1]", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *text = xasprintf("{\"n\":%s}", table[i].number);
        auto_json cJSON *tree = NULL;
        int64_t value = -1;

        assert_int_equal(json_parse(text, strlen(text), &tree, NULL), 0);
        assert_int_equal(json_get_size(tree, "n", &value), table[i].result);
        assert_true(value == (table[i].result < 0 ? -1 : table[i].value));
        assert_int_equal(json_get_size(tree, "m", &value), -ENOENT);
    }
}

static void prints_compactly(void **state)
{
    auto_json cJSON *tree = cJSON_CreateObject();
    auto_free char *text = NULL;

    (void)state;
    json_add_str(tree, "a", "x\"\n");
    json_add_str(tree, "absent", NULL);
    json_add_int(tree, "b", INT64_C(1) << 50);
    text = json_print(tree);
    assert_string_equal(text, "{\"a\":\"x\\\"\\n\",\"b\":1125899906842624}");
}

static void copies_what_is_there(void **state)
{
    auto_json cJSON *from = cJSON_Parse("{\"a\":[1],\"A\":2,\"b\":null}");
    auto_json cJSON *tree = cJSON_CreateObject();
    auto_free char *text = NULL;

    (void)state;
    json_copy(tree, from, "b");
    json_copy(tree, from, "a");
    json_copy(tree, from, "absent");
    json_copy(tree, NULL, "a");
    text = json_print(tree);
    assert_string_equal(text, "{\"b\":null,\"a\":[1]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_whole_documents),     cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(is_bounded_in_depth),       cmocka_unit_test(getters_look_at_the_type),
        cmocka_unit_test(sizes_are_whole_and_exact), cmocka_unit_test(prints_compactly),
        cmocka_unit_test(copies_what_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
