/* Requests to the API server, one at a time. */
#include "kube_client.h"

#include "json.h"
#include "kube_internal.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 253

int kube_client_new(const struct kube_config *config, struct kube_client **out, struct err **e)
{
    struct kube_client *c = xcalloc(1, sizeof(*c));
    int r;

    c->config = config;
    c->tls = kube_config_tls(config);
    if (config->token.bytes.len)
        c->authorization = xasprintf("Authorization: Bearer %s", config->token.bytes.data);
    r = kube_server_find(config, &c->server, e);
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
    kube_server_release(&c->server);
    free(c->authorization);
    free(c);
}

void kube_client_address(const struct kube_client *c, struct http_request *req)
{
    req->tls = &c->tls;
    req->proxy = c->config->proxy;
    req->no_proxy = c->config->no_proxy;
    req->connect_to = c->server.connect_to;
}

int kube_refused(const struct kube_client *c, const struct http_response *resp, struct err **e)
{
    auto_json cJSON *tree = NULL;

    (void)json_parse(resp->body.data, resp->body.len, &tree, NULL);
    return kube_status_refused(c->config->server, resp->status, tree, &resp->body, e);
}

int kube_get(struct kube_client *c, const char *path, cJSON **out, struct err **e)
{
    const char *headers[] = {"Accept: application/json", c->server.host, c->authorization, NULL};
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *url = xasprintf("%s%s", c->server.url, path);
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
