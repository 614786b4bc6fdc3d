/*
 * Any Secret and any ValidatingWebhookConfiguration: what is read of them makes a caBundle or none,
 * and after the patch every entry of ours has it.
 */
#include "webhook_secret.h"

#include "json.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NOW ((time_t)1700000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_secret(const cJSON *object)
{
    struct webhook_secret *s = webhook_secret_parse(object);
    const char *const pems[] = {s->cert.ca_pem, s->ca_before};
    auto_free char *bundle = webhook_bundle(pems, 2);
    auto_json cJSON *again = webhook_secret_build("kube-system", NULL, &s->cert, s->ca_before);

    if (webhook_cert_check(&s->cert, "w", "kube-system", NOW, NULL) >= 0 && !bundle)
        abort();
    (void)webhook_cert_age_s(&s->cert, NOW);
    if (!again)
        abort();
    webhook_secret_free(s);
}

static void try_config(const cJSON *object)
{
    struct webhook_config *config = webhook_config_parse(object);
    auto_json cJSON *patch = NULL;

    if (!config)
        return;
    patch = webhook_config_patch(config, "B");
    if (webhook_config_has(config, "B") != (cJSON_GetArraySize(patch) == 0))
        abort();
    webhook_config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json cJSON *object = NULL;

    if (json_parse((const char *)data, size, &object, NULL) < 0)
        return 0;
    try_secret(object);
    try_config(object);
    return 0;
}
