/* What must not leave a site, and what must still be readable. */
#include "scrub.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define JWT "eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl-x_y"

static void scrubs_texts(void **state)
{
    static const char *const table[][2] = {
        {"nothing to hide here: 10.0.0.1\n", "nothing to hide here: 10.0.0.1\n"},
        {"got " JWT " from it", "got " SCRUBBED " from it"},
        {"Authorization: Bearer abcdef0123456789\nnext", "Authorization: " SCRUBBED "\nnext"},
        {"{\"token\":\"abc\\\"d\",\"x\":1}", "{\"token\":" SCRUBBED ",\"x\":1}"},
        {"DB_PASSWORD=hunter2 other=3", "DB_PASSWORD=" SCRUBBED " other=3"},
        {"password: 'two words' # why", "password: " SCRUBBED " # why"},
        {"client-key-data: TFMwdExT\nserver: x\n", "client-key-data: " SCRUBBED "\nserver: x\n"},
        {"a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb",
         "a\n" SCRUBBED "\nb"},
        {"-----BEGIN PRIVATE KEY-----\ncut off", SCRUBBED},
        {"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n",
         "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n"},
        {"the token is asked for", "the token is asked for"},
        {"tokens: 3", "tokens: 3"},
        {"token:", "token:"},
        {"secretName: web-tls", "secretName: web-tls"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_buf struct buf out;

        buf_init(&out, 1000);
        assert_int_equal(scrub_text(table[i][0], strlen(table[i][0]), &out), 0);
        assert_string_equal(out.data, table[i][1]);
    }
}

static void keeps_to_its_limit(void **state)
{
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 4);
    assert_int_equal(scrub_text("12345", 5, &out), -EFBIG);
}

static void scrubs_objects(void **state)
{
    static const char before[] =
        "[{\"kind\":\"Secret\",\"data\":{\"a\":\"b\"},\"stringData\":{\"c\":\"d\"}},"
        "{\"kind\":\"Pod\",\"metadata\":{\"managedFields\":[1],\"annotations\":{"
        "\"kubectl.kubernetes.io/last-applied-configuration\":\"{}\",\"x\":\"" JWT "\"}},"
        "\"spec\":{\"automountServiceAccountToken\":false,\"env\":["
        "{\"name\":\"API_TOKEN\",\"value\":\"t\"},{\"name\":\"HOME\",\"value\":\"/\"}],"
        "\"token\":\"t\",\"volumes\":[{\"secret\":{\"secretName\":\"s\"}}]}}]";
    static const char after[] =
        "[{\"kind\":\"Secret\",\"data\":\"" SCRUBBED "\",\"stringData\":\"" SCRUBBED "\"},"
        "{\"kind\":\"Pod\",\"metadata\":{\"annotations\":{\"x\":\"" SCRUBBED "\"}},"
        "\"spec\":{\"automountServiceAccountToken\":false,\"env\":["
        "{\"name\":\"API_TOKEN\",\"value\":\"" SCRUBBED "\"},{\"name\":\"HOME\",\"value\":\"/\"}],"
        "\"token\":\"" SCRUBBED "\",\"volumes\":[{\"secret\":{\"secretName\":\"s\"}}]}}]";
    auto_json cJSON *tree = NULL;
    auto_free char *text = NULL;

    (void)state;
    assert_int_equal(json_parse(before, strlen(before), &tree, NULL), 0);
    scrub_object(tree);
    text = json_print(tree);
    assert_string_equal(text, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scrubs_texts),
        cmocka_unit_test(keeps_to_its_limit),
        cmocka_unit_test(scrubs_objects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
