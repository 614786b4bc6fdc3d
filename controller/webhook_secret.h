#pragma once
/*
 * The webhook's pair as it stands in its Secret, and its CA as it stands in the API server's
 * ValidatingWebhookConfiguration. Both come from outside and may hold anything. Pure.
 */
#include "webhook_cert.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define WEBHOOK_SECRET "network-controller-webhook"
#define WEBHOOK_CONFIG "network-controller"
/* Our entries in it; others there are somebody else's. */
#define WEBHOOK_SUBNETS "subnets.macvlan.cluster.cattle.io"
#define WEBHOOK_WORKLOADS "workloads.macvlan.cluster.cattle.io"

struct webhook_secret {
    struct webhook_cert cert; /* tls.crt, tls.key, ca.crt; NULL what is not there or no base64 */
    char *ca_before;          /* ca-before.crt: the CA of the pair before; NULL: none */
    char *uid, *resource_version;
    bool must_go; /* of a type that cannot hold a pair, or immutable: to be deleted, not updated */
};

struct webhook_secret *webhook_secret_parse(const cJSON *object);
void webhook_secret_free(void *secret); /* NULL is fine */

/* The object to write; `resource_version` NULL: to create, `ca_before` NULL: none. */
cJSON *webhook_secret_build(const char *namespace, const char *resource_version,
                            const struct webhook_cert *cert, const char *ca_before);

/* A caBundle: the first certificate of each text, one after the other, in base64. NULL, and those
 * without a certificate, are passed over; NULL where nothing is left. To be freed. */
char *webhook_bundle(const char *const *pems, size_t n);

struct webhook_config;

/* NULL: it has no entry of ours. */
struct webhook_config *webhook_config_parse(const cJSON *object);
void webhook_config_free(void *config); /* NULL is fine */
/* Whether each entry of ours has that caBundle. */
bool webhook_config_has(const struct webhook_config *config, const char *bundle);
/* The JSON patch (RFC 6902) that sees to it, and fails where the entries have moved. */
cJSON *webhook_config_patch(const struct webhook_config *config, const char *bundle);
