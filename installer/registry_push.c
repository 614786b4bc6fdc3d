/*
 * Writing to a registry. A blob goes up in one PUT; where the registry refuses that, in chunks by
 * PATCH (distribution-spec v1.1, "Pushing blobs"). Whatever breaks, the blob starts over.
 */
#include "mem.h"
#include "num.h"
#include "registry_internal.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE (INT64_C(16) << 20)
#define CHUNK_MAX (INT64_C(1) << 30)
/* At the end of an upload a registry may read the whole blob again before it answers. */
#define COMMIT_IDLE_MS (5 * 60000)

static char *push_scope(const struct ref *ref)
{
    return xasprintf("repository:%s:pull,push", ref->repo);
}

/* Of a host in its own right: mirrors are for reading. */
static int find_own(struct registry_conn *c, const struct ref *ref, struct registry_endpoint **out,
                    struct err **e)
{
    const struct registry_host *host = NULL;
    int r = registry_find_host(c->r, ref->host, &host, e);

    if (r < 0)
        return r;
    *out = registry_own_endpoint(host);
    return 0;
}

/* --- what is there --- */

/* 1: there, 0: not; *resp holds the answer. */
static int head(struct registry_conn *c, const struct ref *ref, const char *kind,
                const char *selector, const char *accept, struct http_response *resp,
                struct err **e)
{
    auto_free char *scope = push_scope(ref);
    auto_free char *what = xasprintf("'%s' of '%s/%s'", selector, ref->host, ref->repo);
    auto_free char *url = NULL;
    auto_call struct registry_call call = {.method = "HEAD",
                                           .what = what,
                                           .scope = scope,
                                           .accept = accept};
    int r = find_own(c, ref, &call.ep, e);

    if (r < 0)
        return r;
    url = xasprintf("%s/%s/%s/%s", call.ep->base, ref->repo, kind, selector);
    call.url = url;
    r = registry_call(c, &call, resp, e);
    if (r < 0)
        return r;
    if (resp->status == 200)
        return 1;
    return resp->status == 404 ? 0 : registry_answer_error(&call, resp, e);
}

int registry_has_blob(struct registry_conn *c, const struct ref *ref, const char *digest,
                      struct err **e)
{
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;

    return head(c, ref, "blobs", digest, NULL, &resp, e);
}

int registry_has_manifest(struct registry_conn *c, const struct ref *ref, const char *selector,
                          char out_digest[DIGEST_SIZE], struct err **e)
{
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *digest = NULL;
    int r = head(c, ref, "manifests", selector, REGISTRY_ACCEPT_MANIFESTS, &resp, e);

    if (r <= 0)
        return r;
    digest = http_header(&resp, "Docker-Content-Digest");
    out_digest[0] = '\0';
    if (digest_is_valid(digest))
        memcpy(out_digest, digest, DIGEST_SIZE);
    return 1;
}

/* --- mounts --- */

/* An upload that will not be used. Registries forget those by themselves; failing is no harm. */
static void cancel_upload(struct registry_conn *c, const struct registry_call *begun,
                          const struct http_response *resp)
{
    auto_response struct http_response gone = HTTP_RESPONSE_INIT;
    auto_free char *url = registry_next_url(begun->url, resp, begun, NULL);
    auto_call struct registry_call call = {.ep = begun->ep,
                                           .method = "DELETE",
                                           .url = url,
                                           .what = begun->what,
                                           .scope = begun->scope};

    if (url)
        (void)registry_exchange(c, &call, &gone, NULL);
}

int registry_mount_blob(struct registry_conn *c, const struct ref *ref, const char *digest,
                        const char *from_repo, struct err **e)
{
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *scope =
        xasprintf("repository:%s:pull,push repository:%s:pull", ref->repo, from_repo);
    auto_free char *what = registry_blob_name(ref, digest);
    auto_buf struct buf url = {0};
    auto_call struct registry_call call = {.method = "POST", .what = what, .scope = scope};
    int r = find_own(c, ref, &call.ep, e);

    buf_init(&url, 4096);
    if (r < 0)
        return r;
    (void)buf_addf(&url, "%s/%s/blobs/uploads/?mount=", call.ep->base, ref->repo);
    http_url_encode(&url, digest);
    (void)buf_addstr(&url, "&from=");
    http_url_encode(&url, from_repo);
    call.url = url.data;
    r = registry_call(c, &call, &resp, e);
    if (r == -EKEYREJECTED || (r == 0 && resp.status >= 400 && resp.status < 500)) {
        /* Not this way; the upload will tell whether it goes at all. */
        if (e)
            err_cleanup(e);
        return 0;
    }
    if (r < 0)
        return r;
    if (resp.status == 201)
        return 1;
    if (resp.status != 202)
        return registry_answer_error(&call, &resp, e);
    cancel_upload(c, &call, &resp);
    return 0;
}

/* --- uploads --- */

/* One blob on its way up. */
struct upload {
    struct registry_conn *c;
    struct registry_endpoint *ep;
    const struct ref *ref;
    const char *digest;
    const char *what;
    const char *scope;
    int64_t size;
    http_source source;
    void *source_arg;

    /* Of the running try. */
    char *location;    /* where the next request goes */
    int64_t chunk;     /* bytes in one PATCH */
    int64_t left;      /* of the running PATCH */
    bool is_transient; /* the failure may be gone the next time */
    bool is_refused;   /* the registry takes no blob in one piece */
};

static struct registry_call upload_call(const struct upload *u, const char *method, const char *url)
{
    return (struct registry_call){
        .ep = u->ep, .method = method, .url = url, .what = u->what, .scope = u->scope};
}

/* Does the request and wants one status; every other answer is an error. */
static int request(struct upload *u, struct registry_call *call, int wanted,
                   struct http_response *resp, struct err **e)
{
    int r = registry_exchange(u->c, call, resp, e);

    u->is_transient = registry_is_transient(r, resp, call->is_foreign);
    if (r < 0)
        return r;
    if (resp->status == wanted)
        return 0;
    /* A token that ran out under a body (see registry_exchange), or an upload that the registry
     * has forgotten or lost count of. */
    if ((resp->status == 401 && call->source) ||
        (strcmp(call->method, "POST") && (resp->status == 404 || resp->status == 416)))
        u->is_transient = true;
    return registry_answer_error(call, resp, e);
}

static int take_location(struct upload *u, const struct registry_call *call,
                         const struct http_response *resp, struct err **e)
{
    char *next = registry_next_url(call->url, resp, call, e);

    if (!next)
        return -EPROTO;
    free(u->location);
    u->location = next;
    return 0;
}

static int begin_upload(struct upload *u, struct http_response *resp, struct err **e)
{
    auto_free char *url = xasprintf("%s/%s/blobs/uploads/", u->ep->base, u->ref->repo);
    auto_free char *least = NULL;
    auto_call struct registry_call call = upload_call(u, "POST", url);
    uint64_t min_chunk = 0;
    int r = request(u, &call, 202, resp, e);

    if (r < 0)
        return r;
    least = http_header(resp, "OCI-Chunk-Min-Length");
    u->chunk = CHUNK_SIZE;
    if (least && num_parse_u64(least, CHUNK_MAX, &min_chunk) == 0 && (int64_t)min_chunk > u->chunk)
        u->chunk = (int64_t)min_chunk;
    return take_location(u, &call, resp, e);
}

/* The location with the digest behind its own query; NULL where it is no URL. */
static char *with_digest(const char *location, const char *digest)
{
    auto_buf struct buf url;

    buf_init(&url, 64u << 10);
    (void)buf_addf(&url, "%s%cdigest=", location, strchr(location, '?') ? '&' : '?');
    http_url_encode(&url, digest);
    return url.overflowed ? NULL : buf_steal(&url);
}

static int check_digest(const struct registry_call *call, const struct http_response *resp,
                        const char *digest, struct err **e)
{
    auto_free char *stored = http_header(resp, "Docker-Content-Digest");

    if (!digest_is_valid(stored) || !strcmp(stored, digest))
        return 0;
    return err_set(e, -EPROTO, "%s: '%s' stored it as '%s'", call->what, call->answered_by, stored);
}

/* Ends the upload: with the whole blob as the body, or without one after chunks. */
static int commit(struct upload *u, bool with_body, struct http_response *resp, struct err **e)
{
    auto_free char *url = with_digest(u->location, u->digest);
    auto_call struct registry_call call = upload_call(u, "PUT", url);
    int r;

    if (!url)
        return err_set(e, -EPROTO, "%s: the Location of the upload is too long", u->what);
    call.idle_timeout_ms = COMMIT_IDLE_MS;
    if (with_body) {
        call.content_type = "application/octet-stream";
        call.source = u->source;
        call.source_arg = u->source_arg;
        call.body_len = u->size;
    }
    r = request(u, &call, 201, resp, e);
    u->is_refused = with_body && r == -EPROTO && resp->status >= 400;
    return r < 0 ? r : check_digest(&call, resp, u->digest, e);
}

static ssize_t chunk_source(void *arg, void *bytes, size_t size, struct err **e)
{
    struct upload *u = arg;
    ssize_t n;

    if ((int64_t)size > u->left)
        size = (size_t)u->left;
    n = u->source(u->source_arg, bytes, size, e);
    if (n > 0)
        u->left -= n;
    return n;
}

static int send_chunk(struct upload *u, int64_t from, int64_t len, struct http_response *resp,
                      struct err **e)
{
    auto_free char *range = xasprintf("%lld-%lld", (long long)from, (long long)(from + len - 1));
    auto_free char *url = xstrdup(u->location);
    auto_call struct registry_call call = upload_call(u, "PATCH", url);
    int r;

    call.content_type = "application/octet-stream";
    call.content_range = range;
    call.idle_timeout_ms = COMMIT_IDLE_MS;
    call.source = chunk_source;
    call.source_arg = u;
    call.body_len = len;
    u->left = len;
    r = request(u, &call, 202, resp, e);
    return r < 0 ? r : take_location(u, &call, resp, e);
}

static int send_chunks(struct upload *u, struct http_response *resp, struct err **e)
{
    for (int64_t at = 0; at < u->size;) {
        int64_t len = u->size - at < u->chunk ? u->size - at : u->chunk;
        int r = send_chunk(u, at, len, resp, e);

        if (r < 0)
            return r;
        at += len;
    }
    return commit(u, false, resp, e);
}

static bool needs_chunks(struct upload *u)
{
    bool needs;

    pthread_mutex_lock(&u->c->r->lock);
    needs = u->ep->needs_chunks;
    pthread_mutex_unlock(&u->c->r->lock);
    return needs;
}

static void remember_chunks(struct upload *u)
{
    pthread_mutex_lock(&u->c->r->lock);
    u->ep->needs_chunks = true;
    pthread_mutex_unlock(&u->c->r->lock);
}

static int upload_once(struct upload *u, struct http_response *resp, struct err **e)
{
    int r;

    u->is_transient = false;
    u->is_refused = false;
    r = begin_upload(u, resp, e);
    if (r < 0)
        return r;
    return needs_chunks(u) ? send_chunks(u, resp, e) : commit(u, true, resp, e);
}

static int upload(struct upload *u, int (*rewind)(void *arg, struct err **e), struct err **e)
{
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    struct registry_retry retry = registry_retry_start(u->c, u->ep);

    for (;;) {
        int r = rewind(u->source_arg, e);

        if (r < 0)
            return r;
        r = upload_once(u, &resp, e);
        if (u->is_refused) {
            remember_chunks(u);
            continue;
        }
        if (r == 0 || !u->is_transient)
            return r;
        r = registry_wait(u->c, &retry, r, &resp, e);
        if (r < 0)
            return r;
    }
}

int registry_put_blob(struct registry_conn *c, const struct ref *ref, const char *digest,
                      int64_t size, http_source source, int (*rewind)(void *arg, struct err **e),
                      void *source_arg, struct err **e)
{
    auto_free char *scope = push_scope(ref);
    auto_free char *what = registry_blob_name(ref, digest);
    struct upload u = {.c = c,
                       .ref = ref,
                       .digest = digest,
                       .what = what,
                       .scope = scope,
                       .size = size,
                       .source = source,
                       .source_arg = source_arg};
    int r = find_own(c, ref, &u.ep, e);

    if (r == 0)
        r = upload(&u, rewind, e);
    free(u.location);
    if (r == 0 && e)
        err_cleanup(e);
    return r;
}

int registry_put_manifest(struct registry_conn *c, const struct ref *ref, const char *selector,
                          const char *media_type, const void *bytes, size_t len, struct err **e)
{
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *scope = push_scope(ref);
    auto_free char *what = xasprintf("manifest '%s' of '%s/%s'", selector, ref->host, ref->repo);
    auto_free char *url = NULL;
    char digest[DIGEST_SIZE];
    auto_call struct registry_call call = {.method = "PUT",
                                           .what = what,
                                           .scope = scope,
                                           .content_type = media_type,
                                           .body = bytes,
                                           .body_len = (int64_t)len,
                                           .idle_timeout_ms = COMMIT_IDLE_MS};
    int r = find_own(c, ref, &call.ep, e);

    if (r < 0)
        return r;
    url = xasprintf("%s/%s/manifests/%s", call.ep->base, ref->repo, selector);
    call.url = url;
    r = registry_call(c, &call, &resp, e);
    if (r < 0)
        return r;
    if (resp.status != 201)
        return registry_answer_error(&call, &resp, e);
    hash_digest(bytes, len, digest);
    return check_digest(&call, &resp, digest, e);
}
