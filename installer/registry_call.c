/* One request to a registry: authorisation, redirects, retries, and what an answer means. */
#include "interrupt.h"
#include "json.h"
#include "mem.h"
#include "registry_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_REDIRECTS 5
#define MAX_AUTH_ROUNDS 3

void registry_call_release(struct registry_call *call)
{
    free(call->answered_by);
    call->answered_by = NULL;
}

/* --- sending --- */

/* What the user can do about a TLS error is known here and not in lib/. */
static int explain_tls(int result, const struct http_response *resp, const char *authority,
                       struct err **e)
{
    if (!e || !*e)
        return result;
    if (resp->fault == HTTP_TLS_ABSENT)
        return err_set(e, result, "%s; if that is meant, use --plain-http %s", (*e)->msg,
                       authority);
    if (resp->fault == HTTP_TLS_UNTRUSTED)
        return err_set(
            e, result,
            "%s; name its CA with --ca-file FILE, or put it at /etc/containers/certs.d/%s/ca.crt",
            (*e)->msg, authority);
    return result;
}

/* Fills the NULL-terminated list with the header lines, the text of which `store` owns. */
static void header_lines(const struct registry_call *call, const char *authorization,
                         char *store[6], const char *lines[6])
{
    const struct {
        const char *name;
        const char *value;
    } all[] = {{"Authorization", authorization},
               {"Accept", call->accept},
               {"Content-Type", call->content_type},
               {"Range", call->range},
               {"Content-Range", call->content_range}};
    size_t n = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].value) {
            store[n] = xasprintf("%s: %s", all[i].name, all[i].value);
            lines[n] = store[n];
            n++;
        }
    store[n] = NULL;
    lines[n] = NULL;
}

static int send_to(struct registry_conn *c, const struct registry_call *call, const char *url,
                   const char *authorization, struct http_response *resp, struct err **e)
{
    struct http_request req = {
        .method = call->method,
        .url = url,
        .body = call->body,
        .source = call->source,
        .source_arg = call->source_arg,
        .body_len = call->body_len,
        .sink = call->sink,
        .sink_arg = call->sink_arg,
        .max_body = call->max_body,
        .idle_timeout_ms = call->idle_timeout_ms ? call->idle_timeout_ms : c->r->idle_timeout_ms,
        .is_cancelled = interrupt_seen,
    };
    const char *lines[6];
    char *store[6];
    int r = registry_find_tls(c->r, url, &req.tls, e);

    if (r < 0)
        return r;
    header_lines(call, authorization, store, lines);
    req.headers = lines;
    r = http_do(c->http, &req, resp, e);
    for (size_t i = 0; store[i]; i++)
        free(store[i]);
    if (r < 0 && call->answered_by)
        r = explain_tls(r, resp, call->answered_by, e);
    return r;
}

/* --- redirects --- */

char *registry_next_url(const char *url, const struct http_response *resp,
                        const struct registry_call *call, struct err **e)
{
    auto_free char *location = http_header(resp, "Location");
    auto_free char *next = location ? http_resolve_url(url, location) : NULL;

    if (!next) {
        (void)err_set(e, -EPROTO, "%s: '%s' answered %d without a usable Location", call->what,
                      call->answered_by, resp->status);
        return NULL;
    }
    if (!strncasecmp(url, "https:", 6) && strncasecmp(next, "https:", 6)) {
        (void)err_set(e, -EPROTO,
                      "%s: '%s' leads from https to http, which is not followed; does the proxy in "
                      "front of it set X-Forwarded-Proto?",
                      call->what, call->answered_by);
        return NULL;
    }
    return take(next);
}

/* A body that streams cannot be sent a second time. */
static bool is_redirect(const struct registry_call *call, int status)
{
    bool is_read = !call->method || !strcmp(call->method, "GET") || !strcmp(call->method, "HEAD");

    if (status == 307 || status == 308)
        return !call->source;
    return is_read && (status == 301 || status == 302 || status == 303);
}

int registry_send(struct registry_conn *c, struct registry_call *call, const char *authorization,
                  struct http_response *resp, struct err **e)
{
    auto_free char *url = xstrdup(call->url);

    for (int hops = 0;; hops++) {
        auto_free char *origin = http_origin(url);
        char *next;
        int r;

        if (!origin)
            return err_set(e, -EPROTO, "%s: not a URL that can be asked", call->what);
        free(call->answered_by);
        call->answered_by = creds_host_key(url);
        call->is_foreign = !call->ep->origin || strcmp(origin, call->ep->origin) != 0;
        r = send_to(c, call, url, call->is_foreign ? NULL : authorization, resp, e);
        if (r < 0 || !is_redirect(call, resp->status))
            return r;
        if (hops == MAX_REDIRECTS)
            return err_set(e, -EPROTO, "%s: '%s' redirects more than %d times", call->what,
                           call->ep->name, MAX_REDIRECTS);
        next = registry_next_url(url, resp, call, e);
        if (!next)
            return -EPROTO;
        free(url);
        url = next;
    }
}

/* --- authorisation --- */

/* A refused header may have been an expired token, or none at all; a fresh one is the last word. */
static int exchange_authorized(struct registry_conn *c, struct registry_call *call, char **scope,
                               struct http_response *resp, struct err **e)
{
    for (int round = 1;; round++) {
        auto_free char *header = NULL;
        char *wider;
        bool is_fresh = false;
        int r = registry_authorize(c, call, *scope, resp, &header, &is_fresh, e);

        if (r == 0)
            r = registry_send(c, call, header, resp, e);
        if (r == 0 && resp->status == 403 && !call->is_foreign)
            return registry_denied(c->r, call, resp, e);
        if (r < 0 || resp->status != 401 || call->is_foreign)
            return r;
        registry_forget(c->r, call, *scope, header);
        if (call->source)
            return 0;
        if (is_fresh || round == MAX_AUTH_ROUNDS)
            return registry_denied(c->r, call, resp, e);
        wider = registry_learn_challenge(c->r, call, *scope, resp, e);
        if (!wider)
            return -EKEYREJECTED;
        free(*scope);
        *scope = wider;
    }
}

int registry_exchange(struct registry_conn *c, struct registry_call *call,
                      struct http_response *resp, struct err **e)
{
    auto_free char *scope = xstrdup(call->scope);

    if (!scope)
        return registry_send(c, call, NULL, resp, e);
    return exchange_authorized(c, call, &scope, resp, e);
}

int registry_call(struct registry_conn *c, struct registry_call *call, struct http_response *resp,
                  struct err **e)
{
    struct registry_retry retry = registry_retry_start(c, call->ep);
    int r;

    for (;;) {
        r = registry_exchange(c, call, resp, e);
        if (!registry_is_transient(r, resp, call->is_foreign))
            break;
        if (r == 0)
            r = registry_answer_error(call, resp, e);
        r = registry_wait(c, &retry, r, resp, e);
        if (r < 0)
            return r;
    }
    if (r == 0 && e)
        err_cleanup(e);
    return r;
}

/* --- meaning --- */

/* "denied: requested access is ..." of {"errors":[{"code":...,"message":...}]}, or the text of a
 * short plain answer, or "". To be freed. */
static char *quote_body(const struct http_response *resp)
{
    auto_json cJSON *tree = NULL;
    auto_free char *type = http_header(resp, "Content-Type");
    auto_free char *text = NULL;
    const cJSON *first;
    const char *code, *message;

    if (!resp->body.len)
        return xstrdup("");
    if (json_parse(resp->body.data, resp->body.len, &tree, NULL) < 0) {
        if (!type || strncasecmp(type, "text/plain", 10))
            return xstrdup("");
        return auth_clean_text(resp->body.data, resp->body.len);
    }
    first = cJSON_GetArrayItem(json_get_arr(tree, "errors"), 0);
    code = json_get_str(first, "code");
    message = json_get_str(first, "message");
    /* Token servers answer {"details":"..."} or {"error":"..."}. */
    if (!message)
        message = json_get_str(tree, "details");
    if (!message)
        message = json_get_str(tree, "error");
    text =
        xasprintf("%s%s%s", code ? code : "", code && message ? ": " : "", message ? message : "");
    return auth_clean_text(text, strlen(text));
}

static int status_to_errno(const struct registry_call *call, int status)
{
    if (status == 404)
        return -ENOENT;
    if ((status == 401 || status == 403) && !call->is_foreign)
        return -EKEYREJECTED;
    if (status == 408 || status == 429 || status >= 500 || status == 401 || status == 403)
        return -EHOSTUNREACH;
    return -EPROTO;
}

int registry_answer_error(const struct registry_call *call, const struct http_response *resp,
                          struct err **e)
{
    auto_free char *quote = quote_body(resp);
    auto_free char *remaining =
        resp->status == 429 ? http_header(resp, "RateLimit-Remaining") : NULL;
    int status = status_to_errno(call, resp->status);
    const char *colon = *quote ? ": " : "";

    if (resp->status == 429)
        return err_set(e, status, "%s: rate limit of '%s' reached (429%s%s)%s%s", call->what,
                       call->answered_by, remaining ? ", remaining " : "",
                       remaining ? remaining : "", colon, quote);
    if (resp->status == 404)
        return err_set(e, status, "%s: not at '%s' (404)%s%s", call->what, call->answered_by, colon,
                       quote);
    return err_set(e, status, "%s: '%s' answered %d%s%s", call->what, call->answered_by,
                   resp->status, colon, quote);
}
