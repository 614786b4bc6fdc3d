/* From a kubeconfig to the identity of its sessions. */
#include "pod_session.h"

#include "http_session.h"

#include <string.h>
#include <strings.h>

/* With its length, so that no two lists of parts are the same bytes. */
static void add(struct hash *h, const void *bytes, size_t len)
{
    hash_update(h, &len, sizeof(len));
    hash_update(h, bytes, len);
}

static void add_text(struct hash *h, const char *text)
{
    add(h, text ? text : "", text ? strlen(text) + 1 : 0);
}

struct http_session *pod_session_new(const char *folder, const char *path,
                                     const struct kube_config *config)
{
    auto_hash struct hash *h = NULL;
    char identity[DIGEST_SIZE];

    if (!folder || config->insecure || strncasecmp(config->server, "https:", 6) != 0)
        return NULL;
    h = hash_new();
    add_text(h, path);
    add_text(h, config->server);
    add_text(h, config->tls_name);
    add_text(h, config->proxy);
    add(h, config->ca.bytes.data, config->ca.bytes.len);
    add(h, config->cert.bytes.data, config->cert.bytes.len);
    hash_final(h, identity);
    return http_session_new(folder, identity);
}
