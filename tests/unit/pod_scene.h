#pragma once
/*
 * The API server of tests of cni/pod_*: a fake one in a thread of its own, since what is tested
 * blocks. The test's function says what is answered; the requests and tokens that came are kept.
 * What the thread uses is read by the test when the thread is over.
 */
#include "fake_api.h"

#include "kube/kube_loop.h"
#include "pod_ask.h"
#include "tempdir.h"

#include <pthread.h>
#include <unistd.h>

#define UID_NOW "11111111-0000-4000-8000-000000000001"
#define UID_OLD "22222222-0000-4000-8000-000000000002"

#define NETWORK                                                                                    \
    "\"network\":{\"master\":\"eth0\",\"vlan\":100,\"mode\":\"bridge\",\"mtu\":0,\"gateway\":"     \
    "\"10.0.0.1\",\"routes\":[],\"podDefaultGateway\":{\"enable\":false,\"serviceCidr\":\"\"}}"
#define MACVLANIP(uid, version)                                                                    \
    "{\"metadata\":{\"name\":\"web\",\"resourceVersion\":\"" version "\"},\"spec\":{\"subnet\":"   \
    "\"s\",\"podId\":\"" uid "\",\"cidr\":\"10.0.0.5/24\",\"mac\":\"\"," NETWORK "}}"
#define POD(uid, annotations)                                                                      \
    "{\"metadata\":{\"name\":\"web\",\"uid\":\"" uid "\",\"annotations\":{" annotations "}}}"
#define BOTH                                                                                       \
    "\"macvlan.pandaria.cattle.io/ip\":\"auto\",\"macvlan.pandaria.cattle.io/subnet\":\"s\""
#define LIST(items) "{\"metadata\":{\"resourceVersion\":\"70\"},\"items\":[" items "]}"
#define STATUS(code, reason)                                                                       \
    "{\"kind\":\"Status\",\"code\":" #code ",\"reason\":\"" reason "\",\"message\":\"no\"}"

/* Which of the requests a path is. */
enum asked {
    ASK_POD,
    ASK_IP,
    ASK_LIST,
    ASK_WATCH,
    ASK_LEASE,
    ASK_LOCK,
    ASK_EVENTS,
    ASK_SUBNET,
    ASK_OTHER
};

struct scene {
    struct event_base *base;
    struct fake fake;
    pthread_t thread;
    int stop[2];
    struct event *on_stop;
    size_t n[ASK_OTHER + 1];                    /* how often each was asked */
    char asked[4096];                           /* paths, one a line */
    const char *pod, *ip;                       /* bodies; NULL: 404 */
    const char *lease, *lock, *events, *subnet; /* with a lock no right to the lease */
    struct event *later;
    struct pod_query query;
    struct pod_answer answer;
    char message[1024];
    int64_t took_ms;
};

static inline enum asked what_is(const char *path)
{
    if (strstr(path, "/pods/"))
        return ASK_POD;
    if (strstr(path, "watch=true"))
        return ASK_WATCH;
    if (strstr(path, "/macvlanips?"))
        return ASK_LIST;
    if (strstr(path, "/macvlanips/"))
        return ASK_IP;
    if (strstr(path, "/leases/"))
        return ASK_LEASE;
    if (strstr(path, "/configmaps/"))
        return ASK_LOCK;
    if (strstr(path, "/events?"))
        return ASK_EVENTS;
    return strstr(path, "/macvlansubnets/") ? ASK_SUBNET : ASK_OTHER;
}

/* Counts a request and keeps its path. */
static inline enum asked note(struct scene *s, const struct fake_request *r)
{
    enum asked what = what_is(r->path);
    size_t len = strlen(s->asked);

    s->n[what]++;
    (void)snprintf(s->asked + len, sizeof(s->asked) - len, "%s\n", r->path);
    return what;
}

static inline void answer_or_404(const struct fake_request *r, const char *body)
{
    if (body)
        fake_answer(r, 200, "", body);
    else
        fake_answer(r, 404, "", STATUS(404, "NotFound"));
}

static inline void answer_list(const struct fake_request *r, const char *item)
{
    auto_free char *body = xasprintf(LIST("%s"), item ? item : "");

    fake_answer(r, 200, "", body);
}

/* What the scene has; a watch stays silent. */
static inline void answer_plainly(struct scene *s, struct fake_request *r, enum asked what)
{
    const char *const bodies[] = {
        [ASK_POD] = s->pod,       [ASK_IP] = s->ip,         [ASK_LEASE] = s->lease,
        [ASK_EVENTS] = s->events, [ASK_SUBNET] = s->subnet, [ASK_LOCK] = s->lock,
        [ASK_OTHER] = NULL};

    if (what == ASK_WATCH)
        fake_begin_stream(r);
    else if (what == ASK_LEASE && s->lock)
        fake_answer(r, 403, "", STATUS(403, "Forbidden"));
    else if (what == ASK_LIST)
        answer_list(r, s->ip);
    else
        answer_or_404(r, bodies[what]);
}

static inline void plainly(struct fake *f, struct fake_request *r)
{
    struct scene *s = f->arg;

    answer_plainly(s, r, note(s, r));
}

static inline void write_kubeconfig(const struct scene *s, const char *token)
{
    FILE *file = fopen("kubeconfig.new", "we");

    (void)fprintf(file,
                  "current-context: c\nclusters: [{name: c, cluster: {server: \"%s\"}}]\n"
                  "users: [{name: u, user: {token: %s}}]\n"
                  "contexts: [{name: c, context: {cluster: c, user: u}}]\n",
                  s->fake.url, token);
    (void)fclose(file);
    (void)rename("kubeconfig.new", "kubeconfig");
}

static inline void on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)event_base_loopbreak(arg);
}

static inline void *serve(void *arg)
{
    (void)event_base_dispatch(((struct scene *)arg)->base);
    return NULL;
}

/* In the folder of the test; asks with the UID, for 20 s, unless the test says otherwise. */
static inline void begin(struct scene *s, void (*handle)(struct fake *f, struct fake_request *r))
{
    *s = (struct scene){.query = {.kubeconfig = "kubeconfig",
                                  .namespace = "shop",
                                  .name = "web",
                                  .uid = UID_NOW,
                                  .timeout_ms = 20000}};
    s->base = event_base_new();
    assert_int_equal(pipe(s->stop), 0);
    s->on_stop = event_new(s->base, s->stop[0], EV_READ, on_stop, s->base);
    (void)event_add(s->on_stop, NULL);
    fake_start(&s->fake, s->base, handle, s);
    write_kubeconfig(s, "t0");
}

/* Asks, and then ends the server. */
static inline int ask(struct scene *s)
{
    auto_err struct err *e = NULL;
    int64_t began = kube_now_ms();
    int r;

    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    r = pod_ask(&s->query, &s->answer, &e);
    s->took_ms = kube_now_ms() - began;
    assert_int_equal(write(s->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    assert_int_equal(r, e ? e->status : 0);
    (void)snprintf(s->message, sizeof(s->message), "%s", e ? e->msg : "");
    return r;
}

static inline void end(struct scene *s)
{
    pod_answer_release(&s->answer);
    fake_stop(&s->fake);
    event_free(s->on_stop);
    event_base_free(s->base);
    (void)close(s->stop[0]);
    (void)close(s->stop[1]);
}
