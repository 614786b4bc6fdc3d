/* From a configuration to the address of the server, and to what TLS needs. */
#include "kube_internal.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* "/prefix" of "https://host/prefix/", also "" of one without. */
static char *path_of(const char *server)
{
    const char *authority = strstr(server, "://");
    const char *path = authority ? strchr(authority + 3, '/') : NULL;
    size_t len = path ? strlen(path) : 0;

    while (len && path[len - 1] == '/')
        len--;
    return xstrndup(path ? path : "", len);
}

int kube_server_find(const struct kube_config *config, struct kube_server *out, struct err **e)
{
    const char *server = config->server, *tls_name = config->tls_name;
    auto_free char *origin = strpbrk(server, "?#@") ? NULL : http_origin(server);
    auto_free char *path = path_of(server);
    const char *authority = origin ? strstr(origin, "://") + 3 : "";

    if (!origin)
        return err_set(e, -EINVAL, "'%s' is no http or https URL of an API server", server);
    *out = (struct kube_server){.host = xasprintf("Host: %s", authority)};
    if (!tls_name || strncmp(origin, "https:", 6) != 0) {
        out->url = xasprintf("%s%s", origin, path);
        return 0;
    }
    out->connect_to = xstrdup(authority);
    out->url = xasprintf("https://%s%s%s", tls_name, strrchr(authority, ':'), path);
    return 0;
}

void kube_server_release(struct kube_server *s)
{
    free(s->url);
    free(s->connect_to);
    free(s->host);
    *s = (struct kube_server){.url = NULL};
}

struct http_tls kube_config_tls(const struct kube_config *config)
{
    return (struct http_tls){.ca_pem = config->ca.bytes.len ? &config->ca.bytes : NULL,
                             .cert_pem = config->cert.bytes.len ? &config->cert.bytes : NULL,
                             .key_pem = &config->key.bytes,
                             .insecure = config->insecure};
}

bool kube_config_trim_token(struct buf *token)
{
    while (token->len && isspace((unsigned char)token->data[token->len - 1]))
        token->data[--token->len] = '\0';
    return token->len && strlen(token->data) == token->len && kube_config_is_word(token->data);
}
