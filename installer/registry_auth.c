/*
 * Answering a registry that wants to know who asks: Basic, or a token from the server that it
 * names (docker's token authentication: GET with the credentials as Basic, or an OAuth2 refresh
 * by POST for identity tokens). What was got is kept per endpoint and scope.
 */
#include "log.h"
#include "mem.h"
#include "registry_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define URL_MAX (32u << 10)
#define TOKEN_ANSWER_MAX (256u << 10)
#define EARLY_MS 10000

/* What an endpoint asked for, copied out of the lock. */
struct demand {
    enum auth_scheme scheme;
    char *realm;
    char *service;
};

static void demand_release(struct demand *d)
{
    free(d->realm);
    free(d->service);
}

static struct demand read_demand(struct registry *r, const struct registry_endpoint *ep)
{
    struct demand d;

    pthread_mutex_lock(&r->lock);
    d = (struct demand){.scheme = ep->scheme,
                        .realm = xstrdup(ep->realm),
                        .service = xstrdup(ep->service)};
    pthread_mutex_unlock(&r->lock);
    return d;
}

/* --- credentials --- */

/* The repository of the first scope, or NULL: files may have credentials for a part of a host. */
static char *repo_of(const char *scope)
{
    static const char prefix[] = "repository:";
    size_t len = sizeof(prefix) - 1;

    if (strncmp(scope, prefix, len))
        return NULL;
    return xstrndup(scope + len, strcspn(scope + len, ":"));
}

static int find_creds(struct registry *r, const struct registry_call *call, struct creds *out)
{
    auto_free char *repo = repo_of(call->scope);

    if (r->store)
        return creds_find(r->store, call->ep->name, repo, out);
    if (!r->login)
        return 0;
    out->username = xstrdup(r->login->username);
    out->password = xstrdup(r->login->password);
    return 1;
}

int registry_denied(struct registry *r, const struct registry_call *call,
                    const struct http_response *resp, struct err **e)
{
    auto_creds struct creds creds = {.username = NULL};
    auto_err struct err *answer = NULL;
    int found = find_creds(r, call, &creds);

    (void)registry_answer_error(call, resp, &answer);
    if (r->login)
        return err_set(e, -EKEYREJECTED, "'%s' does not take these credentials (%s)",
                       call->ep->name, err_text(answer));
    if (!found)
        return err_set(e, -EKEYREJECTED,
                       "%s; no credentials for '%s' were found: it may not exist, or needs "
                       "'flatnet registry login %s'",
                       err_text(answer), call->ep->name, call->ep->name);
    return err_set(e, -EKEYREJECTED,
                   "%s; the credentials of %s%s%s%s are not enough: check them, or use 'flatnet "
                   "registry login %s'",
                   err_text(answer), creds.username ? "user '" : "an identity token",
                   creds.username ? creds.username : "", creds.username ? "' from " : " from ",
                   creds.source, call->ep->name);
}

/* --- challenges --- */

/* A token endpoint gets passwords, so it is never asked by http for a registry on https. */
static int check_realm(const struct registry_call *call, const char *realm, struct err **e)
{
    auto_free char *origin = http_origin(realm);

    if (!origin)
        return err_set(e, -EPROTO, "%s: '%s' names a token server that is no http or https URL",
                       call->what, call->ep->name);
    if (!strncmp(call->ep->origin, "https:", 6) && strncmp(origin, "https:", 6))
        return err_set(
            e, -EPROTO,
            "%s: '%s' names the token server '%s' without TLS, which gets no credentials",
            call->what, call->ep->name, origin);
    return 0;
}

static void store_demand(struct registry *r, struct registry_endpoint *ep,
                         const struct auth_challenge *c)
{
    pthread_mutex_lock(&r->lock);
    free(ep->realm);
    free(ep->service);
    ep->scheme = c->scheme;
    ep->realm = xstrdup(c->realm);
    ep->service = xstrdup(c->service);
    pthread_mutex_unlock(&r->lock);
}

char *registry_learn_challenge(struct registry *r, struct registry_call *call, const char *scope,
                               const struct http_response *resp, struct err **e)
{
    auto_challenges struct auth_challenges all = {.count = 0};
    const struct auth_challenge *chosen;

    for (size_t i = 0; i < AUTH_MAX_CHALLENGES; i++) {
        auto_err struct err *bad = NULL;
        auto_free char *value = http_header_nth(resp, "WWW-Authenticate", i);
        if (!value)
            break;
        if (auth_parse(value, &all, &bad) < 0)
            log_debug("%s: %s", call->ep->name, err_text(bad));
    }
    chosen = auth_choose(&all);
    if (!chosen) {
        (void)registry_answer_error(call, resp, e);
        (void)err_set(e, -EKEYREJECTED, "%s; it asks for neither Basic nor Bearer authentication",
                      e ? err_text(*e) : "");
        return NULL;
    }
    if (chosen->scheme == AUTH_BEARER && check_realm(call, chosen->realm, e) < 0)
        return NULL;
    store_demand(r, call->ep, chosen);
    return auth_join_scopes(scope, chosen->scope);
}

/* --- tokens --- */

static void add_param(struct buf *text, char separator, const char *name, const char *value)
{
    (void)buf_addf(text, "%c%s=", separator, name);
    http_url_encode(text, value);
}

/* For a URL each scope is a parameter of its own. */
static void add_scopes(struct buf *text, const char *scopes)
{
    for (const char *s = scopes; *s;) {
        size_t len = strcspn(s, " ");
        auto_free char *scope = xstrndup(s, len);

        add_param(text, strchr(text->data, '?') ? '&' : '?', "scope", scope);
        s += len + strspn(s + len, " ");
    }
}

static void token_query(const struct demand *d, const struct creds *creds, const char *scope,
                        struct buf *url)
{
    (void)buf_addstr(url, d->realm);
    if (d->service)
        add_param(url, strchr(d->realm, '?') ? '&' : '?', "service", d->service);
    add_scopes(url, scope);
    if (creds->username)
        add_param(url, strchr(url->data, '?') ? '&' : '?', "account", creds->username);
}

static void token_form(const struct demand *d, const struct creds *creds, const char *scope,
                       struct buf *form)
{
    (void)buf_addstr(form, "grant_type=refresh_token&client_id=flatnet");
    if (d->service)
        add_param(form, '&', "service", d->service);
    if (*scope)
        add_param(form, '&', "scope", scope);
    add_param(form, '&', "refresh_token", creds->identity_token);
}

/* The token server is asked as an endpoint of its own: its origin alone gets the credentials. */
static int ask_token_server(struct registry_conn *c, const struct demand *d,
                            const struct creds *creds, const char *scope,
                            struct registry_call *token_call, struct http_response *resp,
                            struct err **e)
{
    auto_buf struct buf url;
    auto_buf struct buf form;
    auto_free char *basic = NULL;

    buf_init(&url, URL_MAX);
    buf_init(&form, URL_MAX + TOKEN_ANSWER_MAX);
    if (creds->identity_token) {
        (void)buf_addstr(&url, d->realm);
        token_form(d, creds, scope, &form);
        token_call->method = "POST";
        token_call->content_type = "application/x-www-form-urlencoded";
        token_call->body = form.data;
        token_call->body_len = (int64_t)form.len;
    } else {
        token_query(d, creds, scope, &url);
        if (creds->username)
            basic = auth_basic(creds->username, creds->password);
    }
    if (url.overflowed || form.overflowed)
        return err_set(e, -EPROTO, "%s: the request for a token is too long", token_call->what);
    token_call->url = url.data;
    return registry_send(c, token_call, basic, resp, e);
}

static int fetch_token(struct registry_conn *c, const struct registry_call *call,
                       const struct demand *d, const char *scope, struct http_response *resp,
                       struct auth_entry *entry, struct err **e)
{
    auto_creds struct creds creds = {.username = NULL};
    auto_free char *token = NULL;
    auto_free char *origin = http_origin(d->realm);
    struct registry_endpoint server = {.origin = origin, .name = call->ep->name};
    auto_call struct registry_call token_call = {.ep = &server,
                                                 .what = call->what,
                                                 .scope = call->scope,
                                                 .max_body = TOKEN_ANSWER_MAX};
    int64_t life_ms, early_ms;
    int r;

    (void)find_creds(c->r, call, &creds);
    r = ask_token_server(c, d, &creds, scope, &token_call, resp, e);
    if (r < 0)
        return r;
    if (resp->status == 401 || resp->status == 403)
        return registry_denied(c->r, &token_call, resp, e);
    if (resp->status != 200)
        return registry_answer_error(&token_call, resp, e);
    r = auth_parse_token(resp->body.data, resp->body.len, &token, &life_ms, e);
    if (r < 0)
        return err_set(e, r, "%s: token server '%s': %s", call->what, token_call.answered_by,
                       e ? err_text(*e) : "");
    early_ms = life_ms / 5 < EARLY_MS ? life_ms / 5 : EARLY_MS;
    entry->authorization = xasprintf("Bearer %s", token);
    entry->expires_ms = registry_now_ms() + life_ms - early_ms;
    return 0;
}

/* Without credentials the request goes out as it is, for the registry to say no. */
static void make_basic(struct registry_conn *c, const struct registry_call *call,
                       struct auth_entry *entry)
{
    auto_creds struct creds creds = {.username = NULL};

    if (find_creds(c->r, call, &creds) && creds.username)
        entry->authorization = auth_basic(creds.username, creds.password);
    entry->expires_ms = INT64_MAX;
}

static void drop(struct auth_entry *entry)
{
    free(entry->authorization);
    entry->authorization = NULL;
}

static char *cache_key(const struct registry_endpoint *ep, const char *scope)
{
    return xasprintf("%s %s", ep->base, scope);
}

int registry_authorize(struct registry_conn *c, const struct registry_call *call, const char *scope,
                       struct http_response *resp, char **out_header, bool *out_is_fresh,
                       struct err **e)
{
    __attribute__((cleanup(demand_release))) struct demand d = read_demand(c->r, call->ep);
    auto_free char *key = cache_key(call->ep, scope);
    struct auth_entry *entry;
    int r = 0;

    if (d.scheme == AUTH_OTHER)
        return 0;
    entry = auth_cache_lock(c->r->tokens, key);
    if (entry->authorization && entry->expires_ms <= registry_now_ms())
        drop(entry);
    *out_is_fresh = !entry->authorization;
    if (!entry->authorization && d.scheme == AUTH_BASIC)
        make_basic(c, call, entry);
    else if (!entry->authorization)
        r = fetch_token(c, call, &d, scope, resp, entry, e);
    *out_header = xstrdup(entry->authorization);
    auth_cache_unlock(entry);
    return r;
}

void registry_forget(struct registry *r, const struct registry_call *call, const char *scope,
                     const char *refused)
{
    auto_free char *key = cache_key(call->ep, scope);
    struct auth_entry *entry;

    if (!refused)
        return;
    entry = auth_cache_lock(r->tokens, key);
    /* Another thread may have a new one already. */
    if (entry->authorization && !strcmp(entry->authorization, refused))
        drop(entry);
    auth_cache_unlock(entry);
}
