/* Making and checking the webhook's certificates. */
#include "webhook_cert.h"

#include "mem.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SKEW_S 3600
#define LIFE_S (365L * 24 * 3600)
#define SERIAL_BYTES 16
#define MAX_LABEL 63

#define auto_pkey __attribute__((cleanup(pkey_cleanup)))
#define auto_x509 __attribute__((cleanup(x509_cleanup)))
#define auto_bio __attribute__((cleanup(bio_cleanup)))

static void pkey_cleanup(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void x509_cleanup(X509 **cert)
{
    X509_free(*cert);
}

static void bio_cleanup(BIO **bio)
{
    (void)BIO_free(*bio);
}

void webhook_cert_release(struct webhook_cert *cert)
{
    free(cert->ca_pem);
    free(cert->cert_pem);
    if (cert->key_pem)
        OPENSSL_cleanse(cert->key_pem, strlen(cert->key_pem));
    free(cert->key_pem);
    *cert = (struct webhook_cert){.ca_pem = NULL};
}

/* A DNS label: what stands in a subjectAltName must not bring a comma of its own. */
static bool is_label(const char *text)
{
    size_t len = strlen(text);

    return len && len <= MAX_LABEL && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool is_added;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    is_added = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool set_serial(X509 *cert)
{
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *number;
    bool is_set;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    /* RFC 5280: positive, and never zero. */
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    is_set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    return is_set;
}

static bool set_name(X509_NAME *name, const char *common_name)
{
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1;
}

/* Everything but extensions and signature. */
static bool set_basics(X509 *cert, EVP_PKEY *key, const char *common_name, time_t now)
{
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           set_name(X509_get_subject_name(cert), common_name) &&
           ASN1_TIME_set(X509_getm_notBefore(cert), now - SKEW_S) &&
           ASN1_TIME_set(X509_getm_notAfter(cert), now + LIFE_S) && X509_set_pubkey(cert, key) == 1;
}

static bool make_ca(X509 *ca, EVP_PKEY *key, time_t now)
{
    return set_basics(ca, key, "flatnet webhook CA", now) &&
           X509_set_issuer_name(ca, X509_get_subject_name(ca)) == 1 &&
           add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           add_extension(ca, ca, NID_key_usage, "critical,keyCertSign") &&
           add_extension(ca, ca, NID_subject_key_identifier, "hash") &&
           X509_sign(ca, key, EVP_sha256()) > 0;
}

/* `names` is the value of the subjectAltName. */
static bool make_leaf(X509 *leaf, EVP_PKEY *key, X509 *ca, const char *names, time_t now)
{
    return set_basics(leaf, key, "flatnet webhook", now) &&
           X509_set_issuer_name(leaf, X509_get_subject_name(ca)) == 1 &&
           add_extension(leaf, ca, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(leaf, ca, NID_key_usage, "critical,digitalSignature") &&
           add_extension(leaf, ca, NID_ext_key_usage, "serverAuth") &&
           add_extension(leaf, ca, NID_subject_alt_name, names) &&
           add_extension(leaf, ca, NID_authority_key_identifier, "keyid");
}

static char *text_of(BIO *bio)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);

    return xstrndup(bytes, (size_t)len);
}

static char *cert_to_pem(X509 *cert)
{
    auto_bio BIO *bio = BIO_new(BIO_s_mem());

    return bio && PEM_write_bio_X509(bio, cert) == 1 ? text_of(bio) : NULL;
}

static char *key_to_pem(EVP_PKEY *key)
{
    auto_bio BIO *bio = BIO_new(BIO_s_mem());

    return bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1
               ? text_of(bio)
               : NULL;
}

static int openssl_failed(struct err **e)
{
    char reason[256];

    ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
    ERR_clear_error();
    return err_set(e, -EIO, "cannot make a certificate for the webhook: %s", reason);
}

int webhook_cert_make(const char *service, const char *namespace, time_t now,
                      struct webhook_cert *out_cert, struct err **e)
{
    auto_pkey EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    auto_x509 X509 *ca = X509_new(), *leaf = X509_new();
    auto_webhook_cert struct webhook_cert cert = {.ca_pem = NULL};
    auto_free char *names = NULL;

    if (!is_label(service) || !is_label(namespace))
        return err_set(e, -EINVAL, "'%s.%s' is no name for a webhook's certificate", service,
                       namespace);
    names = xasprintf("DNS:%s.%s.svc,DNS:%s.%s.svc.cluster.local", service, namespace, service,
                      namespace);
    if (!ca_key || !key || !ca || !leaf || !make_ca(ca, ca_key, now) ||
        !make_leaf(leaf, key, ca, names, now) || X509_sign(leaf, ca_key, EVP_sha256()) <= 0)
        return openssl_failed(e);
    cert.ca_pem = cert_to_pem(ca);
    cert.cert_pem = cert_to_pem(leaf);
    cert.key_pem = key_to_pem(key);
    if (!cert.ca_pem || !cert.cert_pem || !cert.key_pem)
        return openssl_failed(e);
    *out_cert = cert;
    cert = (struct webhook_cert){.ca_pem = NULL};
    return 0;
}

static X509 *cert_from_pem(const char *pem)
{
    auto_bio BIO *bio = BIO_new_mem_buf(pem ? pem : "", -1);

    return PEM_read_bio_X509(bio, NULL, NULL, NULL);
}

static EVP_PKEY *key_from_pem(const char *pem)
{
    auto_bio BIO *bio = BIO_new_mem_buf(pem ? pem : "", -1);
    char passphrase[] = ""; /* else OpenSSL would ask for one on the terminal */

    return PEM_read_bio_PrivateKey(bio, NULL, NULL, passphrase);
}

/* X509_V_OK, or why the chain does not hold. */
static int verify(X509 *leaf, X509 *ca, const char *name, time_t now)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int result = X509_V_ERR_UNSPECIFIED;

    if (store && ctx && X509_STORE_add_cert(store, ca) == 1 &&
        X509_STORE_CTX_init(ctx, store, leaf, NULL) == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

        (void)X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
        (void)X509_VERIFY_PARAM_set1_host(param, name, 0);
        X509_VERIFY_PARAM_set_time(param, now);
        (void)X509_verify_cert(ctx);
        result = X509_STORE_CTX_get_error(ctx);
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return result;
}

/* Less than a third of its life is left. */
static bool is_old(const X509 *cert, time_t now)
{
    int days, seconds;
    int64_t life, left;
    ASN1_TIME *at = ASN1_TIME_set(NULL, now);
    bool is_known = at && ASN1_TIME_diff(&days, &seconds, at, X509_get0_notAfter(cert)) == 1;

    left = is_known ? (int64_t)days * 86400 + seconds : 0;
    ASN1_TIME_free(at);
    if (!is_known ||
        ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert), X509_get0_notAfter(cert)) != 1)
        return true;
    life = (int64_t)days * 86400 + seconds;
    return left < life / 3;
}

int webhook_cert_check(const struct webhook_cert *cert, const char *service, const char *namespace,
                       time_t now, struct err **e)
{
    auto_free char *name = xasprintf("%s.%s.svc", service, namespace);
    auto_x509 X509 *ca = cert_from_pem(cert->ca_pem), *leaf = cert_from_pem(cert->cert_pem);
    auto_pkey EVP_PKEY *key = key_from_pem(cert->key_pem);
    int result;

    ERR_clear_error();
    if (!ca || !leaf || !key)
        return err_set(e, -EBADMSG, "the certificate of '%s' is not complete", name);
    if (X509_check_private_key(leaf, key) != 1) {
        ERR_clear_error();
        return err_set(e, -EBADMSG, "the key of '%s' does not belong to its certificate", name);
    }
    result = verify(leaf, ca, name, now);
    ERR_clear_error();
    if (result != X509_V_OK)
        return err_set(e, -EBADMSG, "the certificate of '%s' does not hold: %s", name,
                       X509_verify_cert_error_string(result));
    return is_old(leaf, now) || is_old(ca, now) ? 0 : 1;
}

char *webhook_cert_first(const char *pem)
{
    auto_x509 X509 *cert = cert_from_pem(pem);
    char *text = cert ? cert_to_pem(cert) : NULL;

    ERR_clear_error();
    return text;
}

int64_t webhook_cert_age_s(const struct webhook_cert *cert, time_t now)
{
    auto_x509 X509 *leaf = cert_from_pem(cert->cert_pem);
    ASN1_TIME *at = ASN1_TIME_set(NULL, now - SKEW_S);
    int days = 0, seconds = 0;

    if (!leaf || !at || ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(leaf), at) != 1)
        days = seconds = 0;
    ASN1_TIME_free(at);
    ERR_clear_error();
    return (int64_t)days * 86400 + seconds;
}

void webhook_cert_copy(const struct webhook_cert *from, struct webhook_cert *out)
{
    *out = (struct webhook_cert){xstrdup(from->ca_pem), xstrdup(from->cert_pem),
                                 xstrdup(from->key_pem)};
}
