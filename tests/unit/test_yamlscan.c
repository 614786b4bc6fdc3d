/* The YAML walk: what is reported, with which key, parent and place, and what is refused. */
#include "buf.h"
#include "mem.h"
#include "yamlscan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One line for each value: "DOCUMENT LINE:COLUMN PARENT/KEY=TEXT", '"' behind quoted ones. */
static int note(void *arg, const struct yamlscan_value *v, struct err **e)
{
    struct buf *out = arg;

    if (!strcmp(v->text, "stop"))
        return err_set(e, -ECANCELED, "stopped");
    return buf_addf(out, "%zu %zu:%zu %s/%s=%s%s\n", v->document, v->line, v->column,
                    v->parent ? v->parent : "", v->key ? v->key : "", v->text,
                    v->is_plain ? "" : "\"");
}

static int scan(const char *text, struct buf *out, struct err **e)
{
    buf_init(out, 1 << 20);
    return yamlscan_each(text, strlen(text), note, out, e);
}

static void reports_values(void **state)
{
    static const char *const table[][2] = {
        {"", ""},
        {"# only a comment\n", ""},
        {"---\n---\n", "1 2:1 /=\n2 3:1 /=\n"},
        {"plain", "1 1:1 /=plain\n"},
        {"a: 1\nb: \"2\"\nc:\nd: |\n  x\n",
         "1 1:4 /a=1\n1 2:4 /b=2\"\n1 3:3 /c=\n1 4:4 /d=x\n\"\n"},
        {"spec:\n  containers:\n  - image: x\n    name: y\n  - image: z\n",
         "1 3:12 containers/image=x\n1 4:11 containers/name=y\n1 5:12 containers/image=z\n"},
        {"{image: a, args: [b, 'c', [d]]}",
         "1 1:9 /image=a\n1 1:19 args/=b\n1 1:22 args/=c\"\n1 1:28 args/=d\n"},
        {"a: {b: {image: x}, image: y}\nimage: z\n",
         "1 1:16 b/image=x\n1 1:27 a/image=y\n1 2:8 /image=z\n"},
        {"a: 1\n---\na: 2\n...\n---\na: 3\n", "1 1:4 /a=1\n2 3:4 /a=2\n3 6:4 /a=3\n"},
        {"\xef\xbb\xbf"
         "a: 1\r\nb: 2\r\n",
         "1 1:4 /a=1\n1 2:4 /b=2\n"},
        {"? a\n: 1\n\"b\": 2\n", "1 2:3 /a=1\n1 3:6 /b=2\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_buf struct buf out;
        auto_err struct err *e = NULL;

        if (scan(table[i][0], &out, &e) < 0)
            fail_msg("%zu: %s", i, err_text(e));
        assert_string_equal(out.data, table[i][1]);
    }
}

/* Aliases of scalars are values; those of collections are not walked again. */
static void resolves_aliases(void **state)
{
    static const char *const table[][2] = {
        {"x: &i nginx\nimage: *i\n", "1 1:4 /x=nginx\n1 2:8 /image=nginx\n"},
        {"x: &i 'n'\nimage: *i\n", "1 1:4 /x=n\"\n1 2:8 /image=n\"\n"},
        {"x: &i a\ny: &i b\nz: *i\n", "1 1:4 /x=a\n1 2:4 /y=b\n1 3:4 /z=b\n"},
        {"&k key: v\n*k : w\n", "1 1:9 /key=v\n1 2:6 /key=w\n"},
        {"b: &b {image: x}\nc:\n  <<: *b\n  d: 1\n", "1 1:15 b/image=x\n1 4:6 c/d=1\n"},
        {"a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b, *b]\nd: y\n", "1 1:8 a/=x\n1 4:4 /d=y\n"},
        /* An alias inside of what it stands for. */
        {"a: &a\n  b: *a\n  c: 1\n", "1 3:6 a/c=1\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_buf struct buf out;
        auto_err struct err *e = NULL;

        if (scan(table[i][0], &out, &e) < 0)
            fail_msg("%zu: %s", i, err_text(e));
        assert_string_equal(out.data, table[i][1]);
    }
}

static void refuses(void **state)
{
    static const char *const table[][2] = {
        {"a: 1\n b: 2\n", "line 2: not valid YAML: mapping values are not allowed"},
        {"a: [1\nb: 2\n", "line 2: not valid YAML: did not find expected ',' or ']'"},
        {"a: \"x\n", "line 2: not valid YAML"},
        {"a:\n\tb: 1\n", "line 2: not valid YAML"},
        {"a: *x\n", "line 1: alias 'x' has no anchor before it"},
        {"a: &x 1\n---\nb: *x\n", "line 3: alias 'x' has no anchor before it"},
        {"a: 1\n{b: 1}: 2\n", "line 2: a mapping or list as a key is not supported"},
        {"? [a]\n: 2\n", "line 1: a mapping or list as a key is not supported"},
        {"a: &x [1]\n*x : 2\n", "line 2: a mapping or list as a key is not supported"},
        {"{{ .Values.x }}: 1\n", "line 1: a mapping or list as a key"},
        {"a: \x01\n", "byte 3: control characters are not allowed; YAML must be UTF-8 text"},
        {"a: \xff\n", "byte 3: invalid leading UTF-8 octet; YAML must be UTF-8 text"},
        {"%YAML 9.9\n---\na: 1\n", "line 1: not valid YAML"},
        {"a: 1\nb: stop\nc: 2\n", "stopped"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_buf struct buf out;
        auto_err struct err *e = NULL;
        int r = scan(table[i][0], &out, &e);

        assert_int_equal(r, strcmp(table[i][1], "stopped") ? -EINVAL : -ECANCELED);
        if (strncmp(err_text(e), table[i][1], strlen(table[i][1])))
            fail_msg("%zu: %s", i, err_text(e));
    }
}

/* `count` times `head`, then `tail`. */
static int scan_many(const char *head, size_t count, const char *tail, struct err **e)
{
    auto_buf struct buf text, out;

    buf_init(&text, 8u << 20);
    for (size_t i = 0; i < count; i++)
        (void)buf_addstr(&text, head);
    assert_int_equal(buf_addstr(&text, tail), 0);
    return scan(text.data, &out, e);
}

static void keeps_bounds(void **state)
{
    auto_err struct err *e = NULL;

    (void)state;
    assert_int_equal(scan_many("- ", YAMLSCAN_MAX_DEPTH, "x\n", &e), 0);
    assert_int_equal(scan_many("- ", YAMLSCAN_MAX_DEPTH + 1, "x\n", &e), -EINVAL);
    assert_string_equal(err_text(e), "line 1: nested deeper than 64 levels");
    assert_int_equal(scan_many("[", 100000, "", &e), -EINVAL);
    assert_int_equal(scan_many("- &a x\n", YAMLSCAN_MAX_ANCHORS, "", &e), 0);
    assert_int_equal(scan_many("- &a x\n", YAMLSCAN_MAX_ANCHORS + 1, "", &e), -EINVAL);
    assert_string_equal(err_text(e), "line 257: more than 256 anchors");
    assert_int_equal(scan_many("#\n", YAMLSCAN_MAX_SIZE / 2, "", &e), 0);
    assert_int_equal(scan_many("#\n", YAMLSCAN_MAX_SIZE / 2, "\n", &e), -EINVAL);
    assert_string_equal(err_text(e), "larger than the 4194304 bytes that a YAML file may have");
}

static int want_nul(void *arg, const struct yamlscan_value *v, struct err **e)
{
    (void)e;
    assert_int_equal(v->len, 3);
    assert_memory_equal(v->text, "a\0b", 4);
    ++*(int *)arg;
    return 0;
}

static void tells_of_nul_bytes(void **state)
{
    static const char text[] = "x: &a \"a\\0b\"\ny: *a\n";
    int seen = 0;

    (void)state;
    assert_int_equal(yamlscan_each(text, strlen(text), want_nul, &seen, NULL), 0);
    assert_int_equal(seen, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_values),
        cmocka_unit_test(resolves_aliases),
        cmocka_unit_test(refuses),
        cmocka_unit_test(keeps_bounds),
        cmocka_unit_test(tells_of_nul_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
