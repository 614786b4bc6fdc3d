/* Certificates of the webhook, looked at with OpenSSL's own verifier. */
#include "webhook_cert.h"

#include "mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NOW ((time_t)1700000000)
#define DAY (24 * 3600L)

static X509 *read_cert(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    (void)BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

static struct webhook_cert make(void)
{
    struct webhook_cert c;

    assert_int_equal(webhook_cert_make("flatnet-webhook", "kube-system", NOW, &c, NULL), 0);
    return c;
}

static bool verifies(const struct webhook_cert *c, const char *name, time_t when, int purpose)
{
    X509 *ca = read_cert(c->ca_pem), *leaf = read_cert(c->cert_pem);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *param;
    bool result;

    assert_int_equal(X509_STORE_add_cert(store, ca), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, NULL), 1);
    param = X509_STORE_CTX_get0_param(ctx);
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    assert_int_equal(X509_VERIFY_PARAM_set_purpose(param, purpose), 1);
    assert_int_equal(X509_VERIFY_PARAM_set1_host(param, name, 0), 1);
    X509_VERIFY_PARAM_set_time(param, when);
    result = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    X509_free(leaf);
    X509_free(ca);
    ERR_clear_error();
    return result;
}

static void serves_its_names_for_a_year(void **state)
{
    auto_webhook_cert struct webhook_cert c = make();
    static const struct {
        const char *name;
        time_t when;
        bool verifies;
    } table[] = {
        {"flatnet-webhook.kube-system.svc", NOW, true},
        {"flatnet-webhook.kube-system.svc.cluster.local", NOW, true},
        {"flatnet-webhook.kube-system", NOW, false},
        {"other.kube-system.svc", NOW, false},
        {"flatnet-webhook.kube-system.svc", NOW - 1800, true},
        {"flatnet-webhook.kube-system.svc", NOW - 2 * 3600, false},
        {"flatnet-webhook.kube-system.svc", NOW + 364 * DAY, true},
        {"flatnet-webhook.kube-system.svc", NOW + 366 * DAY, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++)
        assert_int_equal(verifies(&c, table[i].name, table[i].when, X509_PURPOSE_SSL_SERVER),
                         table[i].verifies);
    assert_false(verifies(&c, table[0].name, NOW, X509_PURPOSE_SSL_CLIENT));
}

static void is_as_small_as_can_be(void **state)
{
    auto_webhook_cert struct webhook_cert c = make();
    X509 *ca = read_cert(c.ca_pem), *leaf = read_cert(c.cert_pem);

    (void)state;
    assert_int_equal(X509_get_version(leaf), X509_VERSION_3);
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_check_ca(leaf), 0);
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(leaf)), 256);
    assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
    assert_true(strncmp(c.key_pem, "-----BEGIN PRIVATE KEY-----\n", 28) == 0);
    assert_null(strstr(c.ca_pem, "PRIVATE"));
    X509_free(ca);
    X509_free(leaf);
}

static void two_are_never_the_same(void **state)
{
    auto_webhook_cert struct webhook_cert a = make(), b = make();
    X509 *x = read_cert(a.cert_pem), *y = read_cert(b.cert_pem);

    (void)state;
    assert_string_not_equal(a.key_pem, b.key_pem);
    assert_string_not_equal(a.ca_pem, b.ca_pem);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(x), X509_get0_serialNumber(y)), 0);
    X509_free(x);
    X509_free(y);
}

static void names_are_checked(void **state)
{
    static const char *const bad[] = {
        "",
        "A",
        "a.b",
        "a,DNS:evil",
        "a b",
        "a\n",
        "0123456789012345678901234567890123456789012345678901234567890123",
    };
    struct webhook_cert c = {.ca_pem = NULL};

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        auto_err struct err *e = NULL;

        assert_int_equal(webhook_cert_make(bad[i], "ns", NOW, &c, &e), -EINVAL);
        assert_int_equal(webhook_cert_make("svc", bad[i], NOW, &c, NULL), -EINVAL);
        assert_non_null(strstr(err_text(e), "no name for a webhook"));
        assert_null(c.ca_pem);
    }
}

static int check(const struct webhook_cert *c, const char *service, time_t when, struct err **e)
{
    return webhook_cert_check(c, service, "kube-system", when, e);
}

static void is_renewed_in_the_last_third(void **state)
{
    auto_webhook_cert struct webhook_cert c = make();

    (void)state;
    assert_int_equal(check(&c, "flatnet-webhook", NOW, NULL), 1);
    assert_int_equal(check(&c, "flatnet-webhook", NOW + 243 * DAY, NULL), 1);
    assert_int_equal(check(&c, "flatnet-webhook", NOW + 244 * DAY, NULL), 0);
    assert_int_equal(check(&c, "flatnet-webhook", NOW + 364 * DAY, NULL), 0);
}

static void says_why_one_does_not_hold(void **state)
{
    auto_webhook_cert struct webhook_cert c = make(), d = make();
    struct webhook_cert other_key = {c.ca_pem, c.cert_pem, d.key_pem};
    struct webhook_cert other_ca = {d.ca_pem, c.cert_pem, c.key_pem};
    char garbage[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    struct webhook_cert broken = {c.ca_pem, garbage, c.key_pem};
    struct webhook_cert missing = {c.ca_pem, c.cert_pem, NULL};
    const struct {
        const struct webhook_cert *cert;
        const char *service;
        time_t when;
        const char *message;
    } table[] = {
        {&c, "other", NOW, "ostname mismatch"},
        {&c, "flatnet-webhook", NOW - DAY, "not yet valid"},
        {&c, "flatnet-webhook", NOW + 366 * DAY, "expired"},
        {&other_key, "flatnet-webhook", NOW, "does not belong"},
        {&other_ca, "flatnet-webhook", NOW, "does not hold"},
        {&broken, "flatnet-webhook", NOW, "not complete"},
        {&missing, "flatnet-webhook", NOW, "not complete"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_err struct err *e = NULL;

        assert_int_equal(check(table[i].cert, table[i].service, table[i].when, &e), -EBADMSG);
        if (!strstr(err_text(e), table[i].message))
            fail_msg("'%s' lacks '%s'", err_text(e), table[i].message);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void its_age_and_its_first_certificate(void **state)
{
    auto_webhook_cert struct webhook_cert c = make(), copy = {.ca_pem = NULL};
    struct webhook_cert none = {.ca_pem = NULL};
    auto_free char *several = xasprintf("text\n%s%s", c.cert_pem, c.ca_pem);
    auto_free char *first = webhook_cert_first(several);

    (void)state;
    assert_int_equal(webhook_cert_age_s(&c, NOW), 0);
    assert_int_equal(webhook_cert_age_s(&c, NOW + 100 * DAY + 7), 100 * DAY + 7);
    assert_int_equal(webhook_cert_age_s(&none, NOW), 0);
    assert_string_equal(first, c.cert_pem);
    assert_null(webhook_cert_first(NULL));
    assert_null(
        webhook_cert_first("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    webhook_cert_copy(&c, &copy);
    assert_string_equal(copy.key_pem, c.key_pem);
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_its_names_for_a_year),
        cmocka_unit_test(is_as_small_as_can_be),
        cmocka_unit_test(two_are_never_the_same),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(is_renewed_in_the_last_third),
        cmocka_unit_test(says_why_one_does_not_hold),
        cmocka_unit_test(its_age_and_its_first_certificate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
