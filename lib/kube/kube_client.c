/* Requests to the API server, and its refusals in our words. */
#include "kube_client.h"

#include "json.h"
#include "kube_internal.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 400
#define NAME_MAX_LEN 253

/* --- where the server is --- */

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

static int find_server(struct kube_client *c, struct err **e)
{
    const char *server = c->config->server, *tls_name = c->config->tls_name;
    auto_free char *origin = strpbrk(server, "?#@") ? NULL : http_origin(server);
    auto_free char *path = path_of(server);
    const char *authority = origin ? strstr(origin, "://") + 3 : "";

    if (!origin)
        return err_set(e, -EINVAL, "'%s' is no http or https URL of an API server", server);
    c->host = xasprintf("Host: %s", authority);
    if (!tls_name || strncmp(origin, "https:", 6) != 0) {
        c->server = xasprintf("%s%s", origin, path);
        return 0;
    }
    c->connect_to = xstrdup(authority);
    c->server = xasprintf("https://%s%s%s", tls_name, strrchr(authority, ':'), path);
    return 0;
}

int kube_client_new(const struct kube_config *config, struct kube_client **out, struct err **e)
{
    struct kube_client *c = xcalloc(1, sizeof(*c));
    int r;

    c->config = config;
    c->tls = (struct http_tls){.ca_pem = config->ca.bytes.len ? &config->ca.bytes : NULL,
                               .cert_pem = config->cert.bytes.len ? &config->cert.bytes : NULL,
                               .key_pem = &config->key.bytes,
                               .insecure = config->insecure};
    if (config->token.bytes.len)
        c->authorization = xasprintf("Authorization: Bearer %s", config->token.bytes.data);
    r = find_server(c, e);
    if (r < 0) {
        kube_client_free(c);
        return r;
    }
    c->http = http_new();
    *out = c;
    return 0;
}

void kube_client_free(struct kube_client *c)
{
    if (!c)
        return;
    http_free(c->http);
    free(c->server);
    free(c->connect_to);
    free(c->host);
    free(c->authorization);
    free(c);
}

void kube_client_address(const struct kube_client *c, struct http_request *req)
{
    req->tls = &c->tls;
    req->proxy = c->config->proxy;
    req->connect_to = c->connect_to;
}

/* --- answers --- */

char *kube_clean_text(const char *text, size_t len)
{
    char *copy;

    while (len && (unsigned char)text[len - 1] <= ' ')
        len--;
    copy = xstrndup(text, len < TEXT_MAX ? len : TEXT_MAX);
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return copy;
}

static int number_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return -EKEYREJECTED;
    case 404:
        return -ENOENT;
    case 409:
        return -EAGAIN;
    default:
        return -EREMOTEIO;
    }
}

int kube_refused(const struct kube_client *c, const struct http_response *resp, struct err **e)
{
    auto_json cJSON *tree = NULL;
    const char *reason = NULL, *message = NULL;
    auto_free char *text = NULL, *name = NULL;

    if (resp->body.len && json_parse(resp->body.data, resp->body.len, &tree, NULL) == 0) {
        reason = json_get_str(tree, "reason");
        message = json_get_str(tree, "message");
    }
    name = kube_clean_text(reason ? reason : "", reason ? strlen(reason) : 0);
    text = message ? kube_clean_text(message, strlen(message))
                   : kube_clean_text(resp->body.data, tree ? 0 : resp->body.len);
    return err_set(e, number_of(resp->status), "'%s' answered %d%s%s%s%s", c->config->server,
                   resp->status, *name ? " " : "", name, *text ? ": " : "", text);
}

int kube_get(struct kube_client *c, const char *path, cJSON **out, struct err **e)
{
    const char *headers[] = {"Accept: application/json", c->host, c->authorization, NULL};
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *url = xasprintf("%s%s", c->server, path);
    struct http_request req = {.url = url, .headers = headers, .max_body = KUBE_BODY_MAX};
    int r;

    kube_client_address(c, &req);
    r = http_do(c->http, &req, &resp, e);
    if (r < 0)
        return r;
    if (resp.status != 200)
        return kube_refused(c, &resp, e);
    r = json_parse(resp.body.data, resp.body.len, out, e);
    return r < 0 ? err_set(e, -EPROTO, "'%s' answered something that is no JSON", c->config->server)
                 : 0;
}

bool kube_name_is_valid(const char *name)
{
    size_t len = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") : 0;

    return len && len <= NAME_MAX_LEN && !name[len] && name[0] != '.';
}
