/* Watches and lists, cut at every byte, and what is no watch and no list. */
#include "kube/kube_stream.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOG_MAX 4096

static int log_event(void *arg, enum kube_event_type type, const cJSON *object, struct err **e)
{
    auto_free char *text = json_print(object);

    if (!strcmp(text, "{\"stop\":1}"))
        return err_set(e, -ECANCELED, "stopped");
    return buf_addf(arg, "%d%s;", (int)type, text);
}

static int log_item(void *arg, const cJSON *object, struct err **e)
{
    auto_free char *text = json_print(object);

    if (!strcmp(text, "{\"stop\":1}"))
        return err_set(e, -ECANCELED, "stopped");
    return buf_addf(arg, "%s;", text);
}

/* Reads `text` in two pieces and with each byte alone. */
static int read_watch(const char *text, size_t cut, struct buf *out, struct err **e)
{
    struct kube_watch_reader w;
    size_t len = strlen(text);
    int r;

    kube_watch_reader_init(&w, log_event, out);
    r = kube_watch_reader_feed(&w, text, cut, e);
    for (size_t i = cut; i < len && r == 0; i++)
        r = kube_watch_reader_feed(&w, text + i, 1, e);
    if (r == 0)
        r = kube_watch_reader_end(&w, e);
    kube_watch_reader_release(&w);
    return r;
}

static void reads_a_watch_cut_anywhere(void **state)
{
    static const char text[] =
        "{\"type\":\"ADDED\",\"object\":{\"a\":\"x\\ny\"}}\n"
        "\r\n{ \"object\": {\"b\":[1,{}]}, \"type\": \"MODIFIED\" }\r\n"
        "{\"type\":\"DELETED\",\"object\":{\"c\":\"\\u0000\\\\u0000\\\\\\u0000\"}}\n"
        "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}}}\n"
        "{\"type\":\"ERROR\",\"object\":{\"code\":410}}\n"
        "{\"type\":\"LATER\",\"object\":{}}\n";
    static const char expected[] =
        "0{\"a\":\"x\\ny\"};1{\"b\":[1,{}]};2{\"c\":\"\357\277\275\\\\u0000\\\\\357\277\275\"};"
        "3{\"metadata\":{\"resourceVersion\":\"7\"}};4{\"code\":410};5{};";

    (void)state;
    for (size_t cut = 0; cut < sizeof(text); cut++) {
        auto_buf struct buf out;

        buf_init(&out, LOG_MAX);
        assert_int_equal(read_watch(text, cut, &out, NULL), 0);
        assert_string_equal(out.data, expected);
    }
}

static void refuses_what_is_no_watch(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *message;
    } table[] = {
        {"garbage\n", -EBADMSG, "not valid JSON"},
        {"{\"type\":\"ADDED\"}\n", -EBADMSG, "no type or no object"},
        {"{\"object\":{}}\n", -EBADMSG, "no type or no object"},
        {"{\"type\":\"ADDED\",\"object\":[]}\n", -EBADMSG, "no type or no object"},
        {"{\"type\":1,\"object\":{}}\n", -EBADMSG, "no type or no object"},
        {"{\"type\":\"ADDED\",\"object\":{}} x\n", -EBADMSG, "text behind"},
        {"{\"type\":\"ADDED\",\"object\":{\"a\":1}}", -EBADMSG, "in the middle"},
        {"{\"type\":\"ADDED\",\"object\":{\"stop\":1}}\n", -ECANCELED, "stopped"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n", -EBADMSG,
         "deeper"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_buf struct buf out;
        auto_err struct err *e = NULL;

        buf_init(&out, LOG_MAX);
        assert_int_equal(read_watch(table[i].text, 0, &out, &e), table[i].status);
        assert_non_null(strstr(err_text(e), table[i].message));
        assert_int_equal(out.len, 0);
    }
}

static void bounds_a_line(void **state)
{
    auto_free char *blanks = xcalloc(1, KUBE_ITEM_MAX + 1);
    struct kube_watch_reader w;

    (void)state;
    memset(blanks, ' ', KUBE_ITEM_MAX);
    kube_watch_reader_init(&w, log_event, NULL);
    assert_int_equal(kube_watch_reader_feed(&w, blanks, KUBE_ITEM_MAX, NULL), 0);
    assert_int_equal(kube_watch_reader_feed(&w, " ", 1, NULL), -EFBIG);
    kube_watch_reader_release(&w);
}

/* --- lists --- */

static int read_list(const char *text, size_t cut, struct kube_list_reader *l, struct err **e)
{
    size_t len = strlen(text);
    int r = kube_list_reader_feed(l, text, cut, e);

    for (size_t i = cut; i < len && r == 0; i++)
        r = kube_list_reader_feed(l, text + i, 1, e);
    return r == 0 ? kube_list_reader_end(l, e) : r;
}

static void reads_a_list_cut_anywhere(void **state)
{
    static const struct {
        const char *text, *items, *version, *next;
    } table[] = {
        {"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"12\",\"continue\":\"e,\\\"}\"},"
         "\"items\":[{\"a\":\"]}\\\"\"},{\"b\":[{}]}]}\n",
         "{\"a\":\"]}\\\"\"};{\"b\":[{}]};", "12", "e,\"}"},
        {" { \"items\" : [ { } , {\"x\":\"\\u0000\"} ] , \"n\" : -1.5e3 , \"t\" : true ,\n"
         "\"metadata\" : { \"continue\" : \"\", \"resourceVersion\" : \"9\" } } ",
         "{};{\"x\":\"\357\277\275\"};", "9", NULL},
        {"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":null,\"n\":1}", "", "1", NULL},
        {"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}", "", "1", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        for (size_t cut = 0; cut <= strlen(table[i].text); cut++) {
            struct kube_list_reader l;
            auto_buf struct buf out;

            buf_init(&out, LOG_MAX);
            kube_list_reader_init(&l, log_item, &out);
            assert_int_equal(read_list(table[i].text, cut, &l, NULL), 0);
            assert_string_equal(out.data, table[i].items);
            assert_string_equal(l.resource_version, table[i].version);
            if (table[i].next)
                assert_string_equal(l.continue_token, table[i].next);
            else
                assert_null(l.continue_token);
            kube_list_reader_release(&l);
        }
    }
}

static void refuses_what_is_no_list(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *message;
    } table[] = {
        {"", -EBADMSG, "in the middle"},
        {"[]", -EBADMSG, "out of place"},
        {"<html>", -EBADMSG, "0x3c is out of place"},
        {"{}", -EBADMSG, "no items"},
        {"{\"items\":[]}", -EBADMSG, "no resourceVersion"},
        {"{\"metadata\":{},\"items\":[]}", -EBADMSG, "no resourceVersion"},
        {"{\"metadata\":{\"resourceVersion\":\"\"},\"items\":[]}", -EBADMSG, "no resourceVersion"},
        {"{\"metadata\":{\"resourceVersion\":1},\"items\":[]}", -EBADMSG, "no resourceVersion"},
        {"{\"metadata\":{\"resourceVersion\":\"1\"},\"metadata\":{\"resourceVersion\":\"1\"}}",
         -EBADMSG, "twice"},
        {"{\"items\":[],\"items\":[]}", -EBADMSG, "no list"},
        {"{\"items\":null,\"items\":null}", -EBADMSG, "no list"},
        {"{\"items\":{}}", -EBADMSG, "no list"},
        {"{\"items\":[1]}", -EBADMSG, "out of place"},
        {"{\"items\":[{}{}]}", -EBADMSG, "out of place"},
        {"{\"items\":[{},]}", -EBADMSG, "out of place"},
        {"{\"items\":[,{}]}", -EBADMSG, "out of place"},
        {"{\"items\":[{]]}", -EBADMSG, "item 1 of a list"},
        {"{\"items\":[{\"a\"}]}", -EBADMSG, "item 1 of a list"},
        {"{\"items\":[{}", -EBADMSG, "in the middle"},
        {"{\"items\":[{\"a\":\"b", -EBADMSG, "in the middle"},
        {"{\"items\":[{\"stop\":1}]}", -ECANCELED, "stopped"},
        {"{\"a\":x}", -EBADMSG, "'a' of a list"},
        {"{\"a\":1 2}", -EBADMSG, "out of place"},
        {"{\"a\":,}", -EBADMSG, "out of place"},
        {"{\"a\",1}", -EBADMSG, "out of place"},
        {"{\"a\":1,}", -EBADMSG, "out of place"},
        {"{,}", -EBADMSG, "out of place"},
        {"{} {", -EBADMSG, "out of place"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        for (size_t cut = 0; cut <= strlen(table[i].text); cut++) {
            struct kube_list_reader l;
            auto_buf struct buf out;
            auto_err struct err *e = NULL;
            int r;

            buf_init(&out, LOG_MAX);
            kube_list_reader_init(&l, log_item, &out);
            r = read_list(table[i].text, cut, &l, &e);
            if (r != table[i].status || !strstr(err_text(e), table[i].message))
                fail_msg("'%s' cut at %zu: %d '%s'", table[i].text, cut, r, err_text(e));
            kube_list_reader_release(&l);
        }
    }
}

static void bounds_an_item_and_not_a_list(void **state)
{
    static const char item[] = "{\"a\":\"0123456789012345678901234567890123456789\"},";
    auto_buf struct buf out;
    struct kube_list_reader l;
    int r = 0;

    (void)state;
    buf_init(&out, 64u << 20);
    kube_list_reader_init(&l, log_item, &out);
    assert_int_equal(kube_list_reader_feed(&l, "{\"items\":[", 10, NULL), 0);
    for (size_t i = 0; i < 2u * KUBE_ITEM_MAX / sizeof(item); i++)
        assert_int_equal(kube_list_reader_feed(&l, item, sizeof(item) - 1, NULL), 0);
    assert_int_equal(kube_list_reader_feed(&l, "{\"a\":\"", 6, NULL), 0);
    for (size_t i = 0; i <= KUBE_ITEM_MAX / 16 && r == 0; i++)
        r = kube_list_reader_feed(&l, "0123456789abcdef", 16, NULL);
    assert_int_equal(r, -EFBIG);
    kube_list_reader_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_watch_cut_anywhere),
        cmocka_unit_test(refuses_what_is_no_watch),
        cmocka_unit_test(bounds_a_line),
        cmocka_unit_test(reads_a_list_cut_anywhere),
        cmocka_unit_test(refuses_what_is_no_list),
        cmocka_unit_test(bounds_an_item_and_not_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
