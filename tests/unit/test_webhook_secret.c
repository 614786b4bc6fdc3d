/* The webhook's Secret and configuration, as they may come from outside. */
#include "webhook_secret.h"

#include "svc_scene.h"

#include <openssl/evp.h>

#define NOW ((time_t)1700000000)

static char *encode(const char *text)
{
    char *out = xmalloc(strlen(text) / 3 * 4 + 8);

    (void)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)strlen(text));
    return out;
}

static char *decode(const char *text)
{
    char *out = xcalloc(1, strlen(text) + 1);

    assert_true(
        EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)strlen(text)) > 0);
    return out;
}

static struct webhook_cert make(time_t now)
{
    struct webhook_cert c;

    assert_int_equal(webhook_cert_make("w", "kube-system", now, &c, NULL), 0);
    return c;
}

/* What the API server makes of stringData. */
static void store(cJSON *object)
{
    cJSON *data = cJSON_AddObjectToObject(object, "data");
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get_obj(object, "stringData"))
    {
        auto_free char *encoded = encode(item->valuestring);

        json_add_str(data, item->string, encoded);
    }
    cJSON_DeleteItemFromObject(object, "stringData");
}

static void what_is_written_is_read(void **state)
{
    auto_webhook_cert struct webhook_cert cert = make(NOW);
    auto_json cJSON *object = webhook_secret_build("kube-system", "17", &cert, "before");
    struct webhook_secret *s;

    (void)state;
    assert_json_equal(json_at(object, "type"), "'kubernetes.io/tls'");
    assert_json_equal(json_get_obj(object, "metadata"),
                      "{'name':'network-controller-webhook','namespace':'kube-system',"
                      "'resourceVersion':'17'}");
    store(object);
    s = webhook_secret_parse(object);
    assert_string_equal(s->cert.ca_pem, cert.ca_pem);
    assert_string_equal(s->cert.cert_pem, cert.cert_pem);
    assert_string_equal(s->cert.key_pem, cert.key_pem);
    assert_string_equal(s->ca_before, "before");
    assert_string_equal(s->resource_version, "17");
    assert_false(s->must_go);
    assert_int_equal(webhook_cert_check(&s->cert, "w", "kube-system", NOW, NULL), 1);
    webhook_secret_free(s);
}

/* `data` is what the Secret has; its tls.crt is then `cert`, NULL: none. */
static void expect_cert(const char *data, const char *cert)
{
    auto_free char *text = xasprintf("{'type':'kubernetes.io/tls','data':%s}", data);
    auto_json cJSON *object = quoted_json(text);
    struct webhook_secret *s = webhook_secret_parse(object);

    if (cert)
        assert_string_equal(s->cert.cert_pem, cert);
    else
        assert_null(s->cert.cert_pem);
    assert_true(webhook_cert_check(&s->cert, "w", "kube-system", NOW, NULL) < 0);
    webhook_secret_free(s);
}

static void anything_may_stand_there(void **state)
{
    char *long_text = xmalloc((64 << 10) + 5);
    auto_free char *too_long = NULL;

    (void)state;
    expect_cert("{'tls.crt':'YQ=='}", "a");
    expect_cert("{'tls.crt':'YWI='}", "ab");
    expect_cert("{'tls.crt':'YWJj'}", "abc");
    expect_cert("{'tls.crt':'YWJ'}", NULL);
    expect_cert("{'tls.crt':'===='}", NULL);
    expect_cert("{'tls.crt':'=='}", NULL);
    expect_cert("{'tls.crt':'!!!!'}", NULL);
    expect_cert("{'tls.crt':'AAAA'}", NULL); /* NULs */
    expect_cert("{'tls.crt':''}", NULL);
    expect_cert("{'tls.crt':7}", NULL);
    expect_cert("[]", NULL);
    memset(long_text, 'Y', (64 << 10) + 4);
    long_text[(64 << 10) + 4] = '\0';
    too_long = xasprintf("{'tls.crt':'%s'}", long_text);
    expect_cert(too_long, NULL);
    free(long_text);
}

static void some_secrets_cannot_be_written_over(void **state)
{
    static const struct {
        const char *object;
        bool must_go;
    } table[] = {
        {"{'type':'kubernetes.io/tls'}", false},
        {"{'type':'kubernetes.io/tls','immutable':false}", false},
        {"{'type':'kubernetes.io/tls','immutable':true}", true},
        {"{'type':'Opaque'}", true},
        {"{}", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *object = quoted_json(table[i].object);
        struct webhook_secret *s = webhook_secret_parse(object);

        assert_int_equal(s->must_go, table[i].must_go);
        webhook_secret_free(s);
    }
}

static void a_bundle_has_one_certificate_of_each(void **state)
{
    auto_webhook_cert struct webhook_cert a = make(NOW), b = make(NOW);
    auto_free char *both = xasprintf("of somebody\n%s%s", b.ca_pem, a.ca_pem);
    auto_free char *expected = xasprintf("%s%s", a.ca_pem, b.ca_pem);
    const char *const pems[] = {a.ca_pem, NULL, "no certificate", both};
    auto_free char *bundle = webhook_bundle(pems, 4);
    auto_free char *text = decode(bundle);

    (void)state;
    assert_string_equal(text, expected);
    assert_null(webhook_bundle(pems + 1, 2));
}

#define CONFIG                                                                                     \
    "{'webhooks':[{'name':'other','clientConfig':{'caBundle':'T'}},"                               \
    "{'name':'subnets.macvlan.cluster.cattle.io','clientConfig':{'url':'https://x'}},"             \
    "{'name':'workloads.macvlan.cluster.cattle.io','clientConfig':{'caBundle':'B'}}]}"

static void only_our_entries_are_touched(void **state)
{
    auto_json cJSON *object = quoted_json(CONFIG), *patch = NULL, *half = NULL;
    struct webhook_config *config = webhook_config_parse(object);

    (void)state;
    assert_non_null(config);
    assert_false(webhook_config_has(config, "B"));
    patch = webhook_config_patch(config, "N");
    assert_json_equal(patch,
                      "[{'op':'test','path':'/webhooks/1/name','value':"
                      "'subnets.macvlan.cluster.cattle.io'},"
                      "{'op':'add','path':'/webhooks/1/clientConfig/caBundle','value':'N'},"
                      "{'op':'test','path':'/webhooks/2/name','value':"
                      "'workloads.macvlan.cluster.cattle.io'},"
                      "{'op':'add','path':'/webhooks/2/clientConfig/caBundle','value':'N'}]");
    half = webhook_config_patch(config, "B");
    assert_int_equal(cJSON_GetArraySize(half), 2);
    webhook_config_free(config);
}

static void a_configuration_may_be_none_of_ours(void **state)
{
    static const char *const table[] = {
        "{}",
        "{'webhooks':{}}",
        "{'webhooks':[]}",
        "{'webhooks':[7,{'name':'other'}]}",
        "{'webhooks':[{'name':'subnets.macvlan.cluster.cattle.io','clientConfig':7}]}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_json cJSON *object = quoted_json(table[i]);

        assert_null(webhook_config_parse(object));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(anything_may_stand_there),
        cmocka_unit_test(some_secrets_cannot_be_written_over),
        cmocka_unit_test(a_bundle_has_one_certificate_of_each),
        cmocka_unit_test(only_our_entries_are_touched),
        cmocka_unit_test(a_configuration_may_be_none_of_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
