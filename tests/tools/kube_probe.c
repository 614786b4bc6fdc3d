/*
 * lib/kube on the command line, for tests against a real API server. Each action tells on standard
 * output, line by line, what happens to it.
 *
 *   kube_probe watch KUBECONFIG PATH PAGE_SIZE WATCH_SECONDS      until TERM
 *   kube_probe lease KUBECONFIG lease|configmap NS NAME IDENTITY LEASE_MS RENEW_MS RETRY_MS
 *                                                                 until TERM or the lease is lost
 *   kube_probe each KUBECONFIG create|touch|delete NS COUNT       ConfigMaps item-0, item-1, ...
 *   kube_probe ask KUBECONFIG METHOD PATH json|merge|json-patch|apply [BODY]
 *   kube_probe events KUBECONFIG NS POD UID COUNT                 the same Event so many times
 */
#include "http.h"
#include "json.h"
#include "kube/kube_config.h"
#include "kube/kube_event.h"
#include "kube/kube_informer.h"
#include "kube/kube_io.h"
#include "kube/kube_lease.h"
#include "kube/kube_loop.h"
#include "kube/kube_queue.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct probe {
    struct event_base *base;
    struct kube_config config;
    struct kube_io *io;
    struct event *on_term;
    int result;

    struct kube_informer *inf;
    struct kube_lease *lease;
    struct kube_queue *queue;
    struct kube_events *events;
    struct event *timer;
    const char *method, *ns;
    size_t n_left, n_retried;
};

static const struct kube_lease *signalled; /* for the handler of CONT */

static int number(const char *text)
{
    uint64_t value = 0;

    if (num_parse_u64(text, INT32_MAX, &value) < 0) {
        (void)fprintf(stderr, "kube_probe: '%s' is no number\n", text);
        exit(2);
    }
    return (int)value;
}

static void finish(struct probe *p, int result)
{
    p->result = result;
    (void)event_base_loopbreak(p->base);
}

/* --- watch --- */

static void *version_of(void *arg, const cJSON *object)
{
    (void)arg;
    return xstrdup(json_get_str(json_get_obj(object, "metadata"), "resourceVersion"));
}

static void tell_change(void *arg, const char *key, const void *before, const void *now)
{
    (void)arg;
    printf("%s %s\n", !before ? "added" : !now ? "deleted" : "changed", key);
}

static void tell_sync(void *arg)
{
    const struct probe *p = arg;

    printf("synced %zu\n", kube_informer_count(p->inf));
}

static void tell_failure(void *arg, const struct err *e)
{
    (void)arg;
    printf("failed %d %s\n", e->status, e->msg);
}

static void stop_watch(struct probe *p)
{
    struct kube_informer_stats s;

    kube_informer_get_stats(p->inf, &s);
    printf("count %zu lists %llu watches %llu events %llu\n", kube_informer_count(p->inf),
           (unsigned long long)s.lists, (unsigned long long)s.watches,
           (unsigned long long)s.events);
    finish(p, 0);
}

static void watch(struct probe *p, char **arg)
{
    static const struct kube_informer_ops ops = {.parse = version_of,
                                                 .changed = tell_change,
                                                 .synced = tell_sync,
                                                 .failed = tell_failure};
    struct kube_informer_options options = {.path = arg[0],
                                            .page_size = (unsigned)number(arg[1]),
                                            .watch_timeout_s = number(arg[2]),
                                            .backoff_max_ms = 2000,
                                            .ops = &ops,
                                            .arg = p};

    p->inf = kube_informer_new(p->io, &options);
}

/* --- lease --- */

static void tell_started(void *arg, int64_t transitions)
{
    (void)arg;
    printf("%lld started %lld\n", (long long)kube_boot_ms(), (long long)transitions);
}

static void tell_lost(void *arg, const struct err *e)
{
    printf("%lld lost %s\n", (long long)kube_boot_ms(), e->msg);
    finish(arg, 3);
}

static void tell_holder(void *arg, const char *holder)
{
    (void)arg;
    printf("%lld holder '%s'\n", (long long)kube_boot_ms(), holder);
}

static void tell_released(void *arg, int status)
{
    printf("%lld released %d\n", (long long)kube_boot_ms(), status);
    finish(arg, 0);
}

/* The first thing that runs in a process that goes on. */
static void on_cont(int number_of_signal)
{
    static const char yes[] = "woke held\n", no[] = "woke free\n";
    bool is_held = signalled && kube_lease_is_held_now(signalled);

    (void)number_of_signal;
    (void)!write(STDOUT_FILENO, is_held ? yes : no, sizeof(no) - 1);
}

static void lease(struct probe *p, char **arg)
{
    auto_err struct err *e = NULL;
    struct sigaction action = {.sa_handler = on_cont};
    struct kube_lease_options options = {.kind = strcmp(arg[0], "lease") != 0 ? KUBE_LEASE_CONFIGMAP
                                                                              : KUBE_LEASE,
                                         .ns = arg[1],
                                         .name = arg[2],
                                         .identity = arg[3],
                                         .lease_ms = number(arg[4]),
                                         .renew_ms = number(arg[5]),
                                         .retry_ms = number(arg[6]),
                                         .started = tell_started,
                                         .lost = tell_lost,
                                         .observed = tell_holder,
                                         .failed = tell_failure,
                                         .arg = p};

    if (kube_lease_new(p->io, &options, &p->lease, &e) < 0) {
        (void)fprintf(stderr, "kube_probe: %s\n", err_text(e));
        exit(2);
    }
    signalled = p->lease;
    (void)sigaction(SIGCONT, &action, NULL);
}

/* --- each --- */

/* What one key costs: freed with its answer. */
struct work {
    struct probe *p;
    char *key;
};

static void work_done(void *arg, const struct kube_reply *reply)
{
    struct work *w = arg;
    struct probe *p = w->p;
    bool is_done = reply->status == 0 || reply->status == -EEXIST ||
                   (reply->status == -ENOENT && !strcmp(p->method, "DELETE"));

    if (is_done) {
        kube_queue_done(p->queue, w->key);
        p->n_left--;
    } else {
        (void)kube_queue_retry(p->queue, w->key, reply->retry_after_ms);
        p->n_retried++;
    }
    free(w->key);
    free(w);
    if (!p->n_left)
        finish(p, 0);
}

static void handle(void *arg, const char *key)
{
    struct probe *p = arg;
    struct work *w = xmalloc(sizeof(*w));
    bool is_post = !strcmp(p->method, "POST"), is_patch = !strcmp(p->method, "PATCH");
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/configmaps%s%s", p->ns,
                                     is_post ? "" : "/", is_post ? "" : key);
    auto_free char *text =
        is_post ? xasprintf("{\"metadata\":{\"name\":\"%s\"},\"data\":{\"n\":\"0\"}}", key)
                : xasprintf("{\"data\":{\"n\":\"%lld\"}}", (long long)kube_now_us());
    struct kube_request request = {.method = p->method,
                                   .path = path,
                                   .text = is_post || is_patch ? text : NULL,
                                   .content = is_patch ? KUBE_MERGE_PATCH : KUBE_JSON};

    *w = (struct work){.p = p, .key = xstrdup(key)};
    (void)kube_io_send(p->io, &request, work_done, w);
}

static void each(struct probe *p, char **arg)
{
    int n = number(arg[2]);

    p->method = !strcmp(arg[0], "create") ? "POST" : !strcmp(arg[0], "touch") ? "PATCH" : "DELETE";
    p->ns = arg[1];
    p->n_left = (size_t)n;
    p->queue =
        kube_queue_new(p->base,
                       &(struct kube_queue_options){.handle = handle, .arg = p, .workers = 16});
    for (int i = 0; i < n; i++) {
        auto_free char *key = xasprintf("item-%d", i);

        kube_queue_add(p->queue, key);
    }
    kube_queue_start(p->queue);
}

/* --- ask --- */

static void tell_answer(void *arg, const struct kube_reply *reply)
{
    auto_free char *body = reply->body ? json_print(reply->body) : NULL;

    printf("%d %d %s\n%s\n", reply->status, reply->http_status, reply->reason, body ? body : "");
    finish(arg, 0);
}

static enum kube_content content_of(const char *name)
{
    static const char *const names[] = {"json", "merge", "json-patch", "apply"};
    enum kube_content content = KUBE_JSON;

    for (int i = 0; i < 4; i++)
        if (!strcmp(names[i], name))
            content = (enum kube_content)i;
    return content;
}

static void ask(struct probe *p, char **arg)
{
    struct kube_request request = {.method = arg[0],
                                   .path = arg[1],
                                   .content = content_of(arg[2]),
                                   .text = arg[3]};

    (void)kube_io_send(p->io, &request, tell_answer, p);
}

/* --- events --- */

/* One that counts up while its request is under way is sent again from the answer to that. */
static void wait_for_events(void *arg)
{
    struct probe *p = arg;

    if (kube_io_pending(p->io) == 0)
        finish(p, 0);
    else
        kube_timer_set(p->timer, 20);
}

static void events(struct probe *p, char **arg)
{
    struct kube_event_object pod = {
        .api_version = "v1", .kind = "Pod", .ns = arg[0], .name = arg[1], .uid = arg[2]};

    p->events = kube_events_new(p->io, &(struct kube_events_options){.component = "kube-probe"});
    for (int i = number(arg[3]); i > 0; i--)
        kube_event_warn(p->events, &pod, "ProbeSaysSo", "no address is free for '%s'", arg[1]);
    p->timer = kube_timer_new(p->base, wait_for_events, p);
    kube_timer_set(p->timer, 20);
}

/* --- */

static void on_term(evutil_socket_t fd, short what, void *arg)
{
    struct probe *p = arg;

    (void)fd;
    (void)what;
    if (p->inf)
        stop_watch(p);
    else if (p->lease)
        kube_lease_release(p->lease, tell_released, p);
    else
        finish(p, 1);
}

static void begin(struct probe *p, const char *kubeconfig)
{
    auto_err struct err *e = NULL;
    int r;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    http_global_init();
    p->base = event_base_new();
    p->on_term = evsignal_new(p->base, SIGTERM, on_term, p);
    (void)event_add(p->on_term, NULL);
    r = kube_config_load(kubeconfig, NULL, &p->config, &e);
    if (r == 0)
        r = kube_io_new(p->base,
                        &(struct kube_io_options){.config = &p->config,
                                                  .user_agent = "kube-probe/" FLATNET_VERSION},
                        &p->io, &e);
    if (r == 0)
        return;
    (void)fprintf(stderr, "kube_probe: %s\n", err_text(e));
    exit(2);
}

static void end(struct probe *p)
{
    signalled = NULL;
    kube_informer_free(p->inf);
    kube_lease_free(p->lease);
    kube_queue_free(p->queue);
    kube_events_free(p->events);
    kube_timer_free(p->timer);
    kube_io_free(p->io);
    event_free(p->on_term);
    event_base_free(p->base);
    kube_config_release(&p->config);
}

static const struct action {
    const char *name;
    int n_least;
    void (*run)(struct probe *p, char **arg);
} actions[] = {
    {"watch", 3, watch}, {"lease", 7, lease},   {"each", 3, each},
    {"ask", 3, ask},     {"events", 4, events},
};

int main(int argc, char **argv)
{
    struct probe p = {.result = 1};

    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (argc < 3 + actions[i].n_least || strcmp(argv[1], actions[i].name) != 0)
            continue;
        begin(&p, argv[2]);
        actions[i].run(&p, argv + 3);
        (void)event_base_dispatch(p.base);
        end(&p);
        return p.result;
    }
    (void)fprintf(stderr, "kube_probe: see the head of kube_probe.c\n");
    return 2;
}
