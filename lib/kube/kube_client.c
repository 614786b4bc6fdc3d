/* Requests to the API server, one at a time. */
#include "kube_client.h"

#include "json.h"
#include "kube_internal.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 253
#define KUBE_PAGE 500
#define KUBE_URL_MAX (64u << 10)

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

void kube_client_cancel_when(struct kube_client *c, bool (*is_cancelled)(void))
{
    c->is_cancelled = is_cancelled;
}

static int parse_answer(const struct kube_client *c, struct buf *body, cJSON **out, struct err **e)
{
    int r;

    kube_mend_nul(body->data, body->len);
    r = json_parse(body->data, body->len, out, e);

    return r < 0 ? err_set(e, -EPROTO, "'%s' answered something that is no JSON", c->config->server)
                 : 0;
}

int kube_do(struct kube_client *c, const struct kube_request *request, cJSON **out, struct err **e)
{
    auto_free char *printed = request->body ? json_print(request->body) : NULL;
    const char *text = printed ? printed : request->text;
    const char *headers[] = {"Accept: application/json", c->server.host, NULL, NULL, NULL};
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *url = xasprintf("%s%s", c->server.url, request->path);
    struct http_request req = {.method = request->method,
                               .url = url,
                               .headers = headers,
                               .body = text,
                               .body_len = text ? (int64_t)strlen(text) : 0,
                               .sink = request->sink,
                               .sink_arg = request->sink_arg,
                               .idle_timeout_ms = request->timeout_ms,
                               .is_cancelled = c->is_cancelled,
                               .max_body = request->max_body ? request->max_body : KUBE_BODY_MAX};
    auto_json cJSON *tree = NULL;
    size_t n = 2;
    int r;

    if (c->authorization)
        headers[n++] = c->authorization;
    if (text)
        headers[n] = kube_content_header(request->content);
    kube_client_address(c, &req);
    r = http_do(c->http, &req, &resp, e);
    if (r < 0)
        return r;
    if (resp.status < 200 || resp.status > 299)
        return kube_refused(c, &resp, e);
    if (!request->sink)
        r = parse_answer(c, &resp.body, &tree, e);
    if (r == 0 && out) {
        *out = tree;
        tree = NULL;
    }
    return r;
}

int kube_get(struct kube_client *c, const char *path, cJSON **out, struct err **e)
{
    return kube_do(c, &(struct kube_request){.path = path}, out, e);
}

/* Moves the items of one page to `all`; *next is what the next page is asked for by, or NULL. */
static int take_page(const char *path, cJSON *page, cJSON *all, char **next, struct err **e)
{
    cJSON *items = cJSON_GetObjectItemCaseSensitive(page, "items"), *item;
    const char *token = json_get_str(json_get_obj(page, "metadata"), "continue");

    if (!cJSON_IsArray(items) && !cJSON_IsNull(items))
        return err_set(e, -EPROTO, "the answer for '%s' is no list", path);
    while ((item = cJSON_DetachItemFromArray(items, 0)))
        cJSON_AddItemToArray(all, item);
    free(*next);
    *next = token && *token ? xstrdup(token) : NULL;
    return 0;
}

static int list_once(struct kube_client *c, const char *path, cJSON *all, struct err **e)
{
    auto_free char *next = NULL;

    do {
        auto_json cJSON *page = NULL;
        auto_buf struct buf url;
        int r;

        buf_init(&url, KUBE_URL_MAX);
        r = buf_addf(&url, "%s%climit=%d", path, strchr(path, '?') ? '&' : '?', KUBE_PAGE);
        if (r == 0 && next) {
            r = buf_addstr(&url, "&continue=");
            http_url_encode(&url, next);
        }
        r = r < 0 ? err_set(e, r, "'%s' is too long", path) : kube_get(c, url.data, &page, e);
        if (r == 0)
            r = take_page(path, page, all, &next, e);
        if (r < 0)
            return r;
    } while (next);
    return 0;
}

int kube_list(struct kube_client *c, const char *path, cJSON **out_items, struct err **e)
{
    int r = -ESTALE;

    for (int attempt = 0; attempt < 2 && r == -ESTALE; attempt++) {
        auto_json cJSON *all = cJSON_CreateArray();

        r = list_once(c, path, all, e);
        if (r == 0) {
            *out_items = all;
            all = NULL;
        }
    }
    return r;
}

bool kube_name_is_valid(const char *name)
{
    size_t len = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") : 0;

    return len && len <= NAME_MAX_LEN && !name[len] && name[0] != '.';
}
