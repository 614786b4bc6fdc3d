/* Reading a blob in spite of broken connections: each try goes on where the last one stopped. */
#include "mem.h"
#include "num.h"
#include "registry_internal.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* One blob on its way, over several connections and places. */
struct blob_get {
    const struct ref *ref;
    const struct descriptor *blob;
    http_sink sink;
    void *sink_arg;
    int64_t wanted;      /* next byte that the sink needs */
    bool is_sink_failed; /* nothing can mend that */
    bool no_range;       /* encoded bodies have no positions that we know */

    /* Of the running request. */
    const struct http_response *resp;
    const char *what;
    int64_t asked;  /* first byte asked for */
    int64_t before; /* `wanted` when it began */
    int64_t at;     /* position of the next byte to come */
    bool begun;
};

/* The first position of "bytes 5-9/10" or "bytes 5-9/" followed by a star; -1 if it is none. */
static int64_t range_start(const char *text)
{
    auto_free char *digits = NULL;
    uint64_t start;

    if (!text || strncmp(text, "bytes ", 6))
        return -1;
    digits = xstrndup(text + 6, strspn(text + 6, "0123456789"));
    if (text[6 + strlen(digits)] != '-' || num_parse_u64(digits, INT64_MAX, &start) < 0)
        return -1;
    return (int64_t)start;
}

/* Where the body that begins now stands in the blob. */
static int begin_body(struct blob_get *g, struct err **e)
{
    auto_free char *encoding = http_header(g->resp, "Content-Encoding");
    auto_free char *range = http_header(g->resp, "Content-Range");
    int64_t length = registry_answer_length(g->resp);

    g->begun = true;
    if (encoding && strcasecmp(encoding, "identity"))
        g->no_range = true;
    if (g->resp->status == 206) {
        g->at = range_start(range);
        if (!g->asked || g->no_range || g->at != g->asked)
            return err_set(e, -EPROTO, "%s: asked for bytes from %lld on, got '%s'", g->what,
                           (long long)g->asked, range ? range : "no Content-Range");
    }
    /* Told before gigabytes of it have come. */
    if (!g->no_range && length >= 0 && length != g->blob->size - g->at)
        return err_set(e, -EBADMSG, "%s: the answer has %lld bytes, its manifest leaves %lld",
                       g->what, (long long)length, (long long)(g->blob->size - g->at));
    return 0;
}

static int on_blob_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct blob_get *g = arg;
    int r = g->begun ? 0 : begin_body(g, e);
    int64_t skip;

    if (r < 0)
        return r;
    if (g->at + (int64_t)len > g->blob->size)
        return err_set(e, -EBADMSG, "%s: longer than the %lld bytes of its manifest", g->what,
                       (long long)g->blob->size);
    skip = g->wanted - g->at;
    g->at += (int64_t)len;
    if (skip >= (int64_t)len)
        return 0;
    if (skip > 0) {
        bytes = (const char *)bytes + skip;
        len -= (size_t)skip;
    }
    r = g->sink(g->sink_arg, bytes, len, e);
    if (r < 0)
        g->is_sink_failed = true;
    else
        g->wanted += (int64_t)len;
    return r;
}

/* An answer that ended in good order and did not complete the blob. One without a length ends like
 * that when its connection breaks, so it is worth another try as long as each brings bytes. */
static int short_answer(struct blob_get *g, struct err **e)
{
    bool may_have_broken = g->no_range || registry_answer_length(g->resp) < 0;

    if (may_have_broken && g->wanted > g->before)
        return err_set(e, -EHOSTUNREACH, "%s: the answer ended early, at byte %lld", g->what,
                       (long long)g->at);
    return err_set(e, -EBADMSG, "%s: has %lld bytes, its manifest says %lld", g->what,
                   (long long)g->at, (long long)g->blob->size);
}

static int judge(struct blob_get *g, const struct registry_call *call, int result, struct err **e)
{
    if (result == -EBADMSG || g->is_sink_failed)
        return result;
    if (g->wanted == g->blob->size)
        return 0;
    if (result < 0)
        return result;
    if (g->resp->status == 416)
        return err_set(e, -EBADMSG, "%s: '%s' has no byte %lld of it, its manifest says %lld",
                       g->what, call->answered_by, (long long)g->asked, (long long)g->blob->size);
    if (g->resp->status != 200 && g->resp->status != 206)
        return registry_answer_error(call, g->resp, e);
    return short_answer(g, e);
}

/* One request for what is missing. */
static int get_rest(struct registry_conn *c, struct registry_call *call, struct blob_get *g,
                    struct http_response *resp, struct err **e)
{
    auto_free char *range = NULL;
    int r;

    g->asked = g->no_range ? 0 : g->wanted;
    g->before = g->wanted;
    g->begun = false;
    g->at = 0;
    g->resp = resp;
    if (g->asked)
        range = xasprintf("bytes=%lld-", (long long)g->asked);
    call->range = range;
    r = registry_exchange(c, call, resp, e);
    call->range = NULL;
    /* A part of an encoded body: from now on the whole is asked for. */
    if (r == -EPROTO && g->asked && g->no_range)
        return err_set(e, -EHOSTUNREACH, "%s: '%s' encodes parts of blobs", g->what,
                       call->answered_by);
    return judge(g, call, r, e);
}

/* A try that brought bytes is no failed try. */
static int get_blob_at(struct registry_conn *c, struct registry_endpoint *ep, void *arg,
                       struct err **e)
{
    struct blob_get *g = arg;
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *url = registry_blob_url(ep, g->ref, g->blob->digest);
    auto_free char *what = registry_blob_name(g->ref, g->blob->digest);
    auto_free char *scope = registry_pull_scope(ep, g->ref->repo);
    auto_call struct registry_call call = {
        .ep = ep, .url = url, .what = what, .scope = scope, .sink = on_blob_bytes, .sink_arg = g};
    struct registry_retry retry = registry_retry_start(c, ep);

    g->what = what;
    for (;;) {
        int r = get_rest(c, &call, g, &resp, e);

        if (r == 0 || g->is_sink_failed || !registry_is_transient(r, &resp, false))
            return r;
        if (g->wanted > g->before)
            retry = registry_retry_start(c, ep);
        r = registry_wait(c, &retry, r, &resp, e);
        if (r < 0)
            return r;
    }
}

int registry_get_blob(struct registry_conn *c, const struct ref *ref, const struct descriptor *blob,
                      int64_t from, http_sink sink, void *sink_arg, struct err **e)
{
    struct blob_get g = {
        .ref = ref, .blob = blob, .sink = sink, .sink_arg = sink_arg, .wanted = from};
    int r;

    if (from == blob->size)
        return 0;
    r = registry_try_places(c, ref->host, get_blob_at, &g, &g.is_sink_failed, e);
    if (r == 0 && e)
        err_cleanup(e);
    return r;
}
