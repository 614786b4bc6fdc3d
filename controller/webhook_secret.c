/* Secret and ValidatingWebhookConfiguration of the webhook. */
#include "webhook_secret.h"

#include "buf.h"
#include "json.h"
#include "mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_TYPE "kubernetes.io/tls"
#define PART_MAX (64u << 10) /* of base64 */
#define BUNDLE_MAX (64u << 10)
#define ENTRIES_MAX 64

struct entry {
    int at; /* in "webhooks" */
    const char *name;
    char *bundle; /* "": none */
};

struct webhook_config {
    struct entry entries[ENTRIES_MAX];
    size_t n;
};

/* --- the Secret --- */

/* As text; NULL where it is no base64 of one. */
static char *decode(const char *text)
{
    size_t len = text ? strlen(text) : 0, pad = 0;
    char *plain;
    int n;

    if (!len || len > PART_MAX || len % 4)
        return NULL;
    while (pad < 2 && text[len - 1 - pad] == '=')
        pad++;
    plain = xcalloc(1, len);
    n = EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)text, (int)len);
    if (n >= (int)pad)
        plain[(size_t)n - pad] = '\0';
    if (n < (int)pad || strlen(plain) != (size_t)n - pad) {
        free(plain);
        return NULL;
    }
    return plain;
}

struct webhook_secret *webhook_secret_parse(const cJSON *object)
{
    const cJSON *meta = json_get_obj(object, "metadata"), *data = json_get_obj(object, "data");
    const char *type = json_get_str(object, "type");
    struct webhook_secret *s = xcalloc(1, sizeof(*s));

    s->uid = xstrdup(json_get_str(meta, "uid"));
    s->resource_version = xstrdup(json_get_str(meta, "resourceVersion"));
    s->must_go = !type || strcmp(type, SECRET_TYPE) ||
                 cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "immutable"));
    s->cert.ca_pem = decode(json_get_str(data, "ca.crt"));
    s->cert.cert_pem = decode(json_get_str(data, "tls.crt"));
    s->cert.key_pem = decode(json_get_str(data, "tls.key"));
    s->ca_before = decode(json_get_str(data, "ca-before.crt"));
    return s;
}

void webhook_secret_free(void *value)
{
    struct webhook_secret *s = value;

    if (!s)
        return;
    webhook_cert_release(&s->cert);
    free(s->ca_before);
    free(s->uid);
    free(s->resource_version);
    free(s);
}

cJSON *webhook_secret_build(const char *namespace, const char *resource_version,
                            const struct webhook_cert *cert, const char *ca_before)
{
    cJSON *object = cJSON_CreateObject(), *meta, *data;

    json_add_str(object, "apiVersion", "v1");
    json_add_str(object, "kind", "Secret");
    meta = cJSON_AddObjectToObject(object, "metadata");
    json_add_str(meta, "name", WEBHOOK_SECRET);
    json_add_str(meta, "namespace", namespace);
    json_add_str(meta, "resourceVersion", resource_version);
    json_add_str(object, "type", SECRET_TYPE);
    data = cJSON_AddObjectToObject(object, "stringData");
    json_add_str(data, "tls.crt", cert->cert_pem);
    json_add_str(data, "tls.key", cert->key_pem);
    json_add_str(data, "ca.crt", cert->ca_pem);
    json_add_str(data, "ca-before.crt", ca_before);
    return object;
}

/* --- the configuration --- */

char *webhook_bundle(const char *const *pems, size_t n)
{
    auto_buf struct buf text;
    char *encoded;

    buf_init(&text, BUNDLE_MAX);
    for (size_t i = 0; i < n; i++) {
        auto_free char *pem = webhook_cert_first(pems[i]);

        if (pem)
            (void)buf_addstr(&text, pem);
    }
    if (!text.len)
        return NULL;
    encoded = xmalloc((text.len + 2) / 3 * 4 + 1);
    (void)EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)text.data,
                          (int)text.len);
    return encoded;
}

static const char *our_name(const char *name)
{
    static const char *const names[] = {WEBHOOK_SUBNETS, WEBHOOK_WORKLOADS};

    for (size_t i = 0; name && i < 2; i++)
        if (!strcmp(name, names[i]))
            return names[i];
    return NULL;
}

struct webhook_config *webhook_config_parse(const cJSON *object)
{
    struct webhook_config *config = xcalloc(1, sizeof(*config));
    const cJSON *webhook;
    int at = 0;

    cJSON_ArrayForEach(webhook, json_get_arr(object, "webhooks"))
    {
        const cJSON *client = json_get_obj(webhook, "clientConfig");
        const char *name = our_name(json_get_str(webhook, "name"));
        const char *bundle = json_get_str(client, "caBundle");

        if (name && client && config->n < ENTRIES_MAX)
            config->entries[config->n++] = (struct entry){at, name, xstrdup(bundle ? bundle : "")};
        at++;
    }
    if (config->n)
        return config;
    free(config);
    return NULL;
}

void webhook_config_free(void *value)
{
    struct webhook_config *config = value;

    for (size_t i = 0; config && i < config->n; i++)
        free(config->entries[i].bundle);
    free(config);
}

bool webhook_config_has(const struct webhook_config *config, const char *bundle)
{
    for (size_t i = 0; i < config->n; i++)
        if (strcmp(config->entries[i].bundle, bundle) != 0)
            return false;
    return true;
}

static void add_step(cJSON *patch, const char *op, int at, const char *member, const char *value)
{
    cJSON *step = cJSON_CreateObject();
    auto_free char *path = xasprintf("/webhooks/%d/%s", at, member);

    json_add_str(step, "op", op);
    json_add_str(step, "path", path);
    json_add_str(step, "value", value);
    cJSON_AddItemToArray(patch, step);
}

cJSON *webhook_config_patch(const struct webhook_config *config, const char *bundle)
{
    cJSON *patch = cJSON_CreateArray();

    for (size_t i = 0; i < config->n; i++) {
        const struct entry *entry = &config->entries[i];

        if (!strcmp(entry->bundle, bundle))
            continue;
        add_step(patch, "test", entry->at, "name", entry->name);
        add_step(patch, "add", entry->at, "clientConfig/caBundle", bundle);
    }
    return patch;
}
