#pragma once
/* Shared by the files of lib/kube/ only. */
#include "http.h"
#include "kube_client.h"

#include <stdbool.h>

struct kube_client {
    const struct kube_config *config;
    struct http *http;
    struct http_tls tls;
    char *server;        /* "https://10.0.0.1:6443/prefix", its host replaced by tls-server-name */
    char *connect_to;    /* HOST:PORT where it was replaced, or NULL */
    char *host;          /* "Host: 10.0.0.1:6443" */
    char *authorization; /* "Authorization: Bearer TOKEN", or NULL */
};

/* Text of visible ASCII characters only, as it can go into a header or a URL. */
bool kube_config_is_word(const char *text);

/* Whom to ask, and how to get there; the path is the caller's. */
void kube_client_address(const struct kube_client *c, struct http_request *req);

/* What the server refused, from the status and the Status object in the body: -EKEYREJECTED for 401
 * and 403, -ENOENT for 404, -EAGAIN for 409, else -EREMOTEIO. */
int kube_refused(const struct kube_client *c, const struct http_response *resp, struct err **e);

/* At most 400 bytes of somebody's text, on one line, to be freed. */
char *kube_clean_text(const char *text, size_t len);
