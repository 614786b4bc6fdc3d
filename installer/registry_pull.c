/* Reading from registries: places, manifests, sizes. */
#include "log.h"
#include "mem.h"
#include "num.h"
#include "registry_internal.h"
#include "schema1.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIRROR_DOWN_MS 60000

/* --- places --- */

static bool is_down(struct registry *r, const struct registry_endpoint *ep)
{
    bool down;

    pthread_mutex_lock(&r->lock);
    down = ep->down_until_ms > registry_now_ms();
    pthread_mutex_unlock(&r->lock);
    return down;
}

/* So that not every request waits for a mirror that is off. */
static void note_failure(struct registry *r, struct registry_endpoint *ep, int status,
                         const char *why)
{
    if (status != -EHOSTUNREACH) {
        log_debug("mirror '%s': %s", ep->name, why);
        return;
    }
    log_warn("mirror '%s' is passed over for a minute: %s", ep->name, why);
    pthread_mutex_lock(&r->lock);
    ep->down_until_ms = registry_now_ms() + MIRROR_DOWN_MS;
    pthread_mutex_unlock(&r->lock);
}

int registry_try_places(struct registry_conn *c, const char *host,
                        int (*fn)(struct registry_conn *c, struct registry_endpoint *ep, void *arg,
                                  struct err **e),
                        void *arg, const bool *is_final, struct err **e)
{
    auto_err struct err *of_mirror = NULL;
    const struct registry_host *places = NULL;
    struct registry_endpoint *own;
    int r = registry_find_host(c->r, host, &places, e);

    if (r < 0)
        return r;
    own = registry_own_endpoint(places);
    for (struct registry_endpoint *ep = places->endpoints; ep < own; ep++) {
        auto_err struct err *why = NULL;

        if (is_down(c->r, ep))
            continue;
        r = fn(c, ep, arg, &why);
        if (r >= 0)
            return r;
        if (r == -ECANCELED || (is_final && *is_final))
            return err_set(e, r, "%s", err_text(why));
        note_failure(c->r, ep, r, err_text(why));
        (void)err_set(&of_mirror, r, "%s", err_text(why));
    }
    r = fn(c, own, arg, e);
    if (r < 0 && of_mirror && e && *e && !(is_final && *is_final))
        (void)err_set(e, r, "%s; before that a mirror: %s", (*e)->msg, err_text(of_mirror));
    return r;
}

char *registry_pull_scope(const struct registry_endpoint *ep, const char *repo)
{
    return xasprintf("repository:%s%s:pull", ep->prefix, repo);
}

/* --- manifests --- */

struct manifest_get {
    const struct ref *ref;
    const char *selector;
    struct buf *out_bytes;
    char **out_type;
    char *out_digest;
};

/* A registry knows a signed schema 1 manifest by the digest of what is signed. */
static bool is_signed_as(const struct buf *body, const char *type, const char *digest)
{
    auto_buf struct buf payload;
    char signed_digest[DIGEST_SIZE];

    buf_init(&payload, MANIFEST_MAX_SIZE);
    if (!type || strncmp(type, MT_DOCKER_SCHEMA1_SIGNED, strlen(MT_DOCKER_SCHEMA1_SIGNED)) ||
        schema1_payload(body->data, body->len, &payload, NULL) < 0)
        return false;
    hash_digest(payload.data, payload.len, signed_digest);
    return !strcmp(signed_digest, digest);
}

static int check_digest(const struct manifest_get *g, const struct registry_call *call,
                        const struct http_response *resp, const char *type, const char *digest,
                        struct err **e)
{
    if (!digest_is_valid(g->selector) || !strcmp(g->selector, digest) ||
        is_signed_as(&resp->body, type, g->selector))
        return 0;
    return err_set(e, -EBADMSG, "%s: '%s' served other bytes (%s)", call->what, call->answered_by,
                   digest);
}

static int get_manifest_at(struct registry_conn *c, struct registry_endpoint *ep, void *arg,
                           struct err **e)
{
    struct manifest_get *g = arg;
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *url =
        xasprintf("%s/%s%s/manifests/%s", ep->base, ep->prefix, g->ref->repo, g->selector);
    auto_free char *what =
        xasprintf("manifest '%s' of '%s/%s'", g->selector, g->ref->host, g->ref->repo);
    auto_free char *scope = registry_pull_scope(ep, g->ref->repo);
    auto_free char *type = NULL;
    char digest[DIGEST_SIZE];
    auto_call struct registry_call call = {.ep = ep,
                                           .url = url,
                                           .what = what,
                                           .scope = scope,
                                           .accept = REGISTRY_ACCEPT_MANIFESTS,
                                           .max_body = MANIFEST_MAX_SIZE};
    int r = registry_call(c, &call, &resp, e);

    if (r == -EFBIG)
        return err_set(e, -EBADMSG, "%s: larger than the %u MiB allowed", what,
                       MANIFEST_MAX_SIZE >> 20);
    if (r < 0)
        return r;
    if (resp.status != 200)
        return registry_answer_error(&call, &resp, e);
    type = http_header(&resp, "Content-Type");
    hash_digest(resp.body.data, resp.body.len, digest);
    r = check_digest(g, &call, &resp, type, digest, e);
    if (r < 0)
        return r;
    buf_clear(g->out_bytes);
    if (buf_add(g->out_bytes, resp.body.data, resp.body.len) < 0)
        return err_set(e, -EFBIG, "%s: larger than its reader allows", what);
    memcpy(g->out_digest, digest, DIGEST_SIZE);
    *g->out_type = take(type);
    return 0;
}

int registry_get_manifest(struct registry_conn *c, const struct ref *ref, const char *selector,
                          struct buf *out_bytes, char **out_type, char out_digest[DIGEST_SIZE],
                          struct err **e)
{
    struct manifest_get g = {.ref = ref,
                             .selector = selector,
                             .out_bytes = out_bytes,
                             .out_type = out_type,
                             .out_digest = out_digest};

    return registry_try_places(c, ref->host, get_manifest_at, &g, NULL, e);
}

/* --- blobs --- */

char *registry_blob_url(const struct registry_endpoint *ep, const struct ref *ref,
                        const char *digest)
{
    return xasprintf("%s/%s%s/blobs/%s", ep->base, ep->prefix, ref->repo, digest);
}

char *registry_blob_name(const struct ref *ref, const char *digest)
{
    return xasprintf("blob '%s' of '%s/%s'", digest, ref->host, ref->repo);
}

int64_t registry_answer_length(const struct http_response *resp)
{
    auto_free char *text = http_header(resp, "Content-Length");
    uint64_t length;

    return text && num_parse_u64(text, INT64_MAX, &length) == 0 ? (int64_t)length : -1;
}

struct size_get {
    const struct ref *ref;
    const char *digest;
    int64_t size;
};

static int get_size_at(struct registry_conn *c, struct registry_endpoint *ep, void *arg,
                       struct err **e)
{
    struct size_get *g = arg;
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *url = registry_blob_url(ep, g->ref, g->digest);
    auto_free char *what = registry_blob_name(g->ref, g->digest);
    auto_free char *scope = registry_pull_scope(ep, g->ref->repo);
    int64_t size;
    auto_call struct registry_call call = {
        .ep = ep, .method = "HEAD", .url = url, .what = what, .scope = scope};
    int r = registry_call(c, &call, &resp, e);

    if (r < 0)
        return r;
    if (resp.status != 200)
        return registry_answer_error(&call, &resp, e);
    size = registry_answer_length(&resp);
    if (size < 0)
        return err_set(e, -EPROTO, "%s: '%s' does not say its length", what, call.answered_by);
    g->size = size;
    return 0;
}

int registry_blob_size(struct registry_conn *c, const struct ref *ref, const char *digest,
                       int64_t *out_size, struct err **e)
{
    struct size_get g = {.ref = ref, .digest = digest};
    int r = registry_try_places(c, ref->host, get_size_at, &g, NULL, e);

    if (r == 0)
        *out_size = g.size;
    return r;
}
