/*
 * The loop of `install`: the network is looked at when the kernel tells of a change, the files when
 * something in their folders changes, and both once a minute, since what tells of changes can miss
 * some (below a mount, or with a full queue).
 */
#include "install.h"

#include "http_server.h"

#include "fs.h"
#include "kube/kube_creds.h"
#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define LOOK_MS 60000
#define SOON_MS 100   /* after a change of files, so that several come together */
#define REST_MS 100   /* between looks at the network, however much it changes */
#define RETRY_MS 5000 /* after a failure */
#define EVENTS                                                                                     \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB |            \
     IN_DELETE_SELF | IN_MOVE_SELF)

/* Files in this order: a configuration must not name a program that is not there. */
enum part { PROGRAMS, KUBECONFIG, CONFLIST, N_FILES, NETWORK = N_FILES, N_PARTS };

struct install {
    const struct install_options *o;
    struct event_base *base;
    struct event *files, *network; /* timers */
    enum part next;                /* of the files, one in each turn of the loop */
    int64_t network_looked_ms;
    struct http_server *server;
    struct install_net *net;
    char *told[N_PARTS]; /* what is wrong with it, or NULL */
    uint64_t writes[N_PARTS];
    int watch_fd;
};

static const char *const names[N_PARTS] = {"programs", "kubeconfig", "conflist", "network"};

static int keep(struct install *in, enum part part, struct err **e)
{
    switch (part) {
    case PROGRAMS:
        return install_programs(in->o, e);
    case KUBECONFIG:
        return install_kubeconfig(in->o, e);
    case CONFLIST:
        if (in->o->is_chained && in->told[PROGRAMS])
            return err_set(e, -EAGAIN, "the configuration waits for the programs");
        return in->o->is_chained ? install_conflist(in->o, e) : 0;
    default:
        return install_net_keep(in->net, e);
    }
}

/* What stays wrong is said once. */
static void tell(struct install *in, enum part part, const struct err *e)
{
    const char *text = e ? err_text(e) : NULL;

    if (text && (!in->told[part] || strcmp(in->told[part], text) != 0))
        log_warn("%s", text);
    free(in->told[part]);
    in->told[part] = xstrdup(text);
}

static bool is_ready(const struct install *in)
{
    for (size_t i = 0; i < N_PARTS; i++)
        if (in->told[i])
            return false;
    return true;
}

static void look_at(struct install *in, enum part part)
{
    auto_err struct err *e = NULL;
    int r = keep(in, part, &e);

    tell(in, part, r < 0 ? e : NULL);
    if (r <= 0)
        return;
    in->writes[part]++;
    if (part != NETWORK)
        log_info("%s written", names[part]);
}

/* Again each time, for those that were removed and made anew. */
static void watch_folders(const struct install *in)
{
    auto_free char *masters = xasprintf("%s/vlan/masters", in->o->run_dir);
    const char *folders[] = {in->o->conf_dir, in->o->bin_dir, masters,
                             in->o->service_account ? in->o->service_account
                                                    : KUBE_SERVICE_ACCOUNT};

    (void)fs_mkdirs(masters, 0755, NULL);
    for (size_t i = 0; in->watch_fd >= 0 && i < sizeof(folders) / sizeof(*folders); i++)
        (void)inotify_add_watch(in->watch_fd, folders[i], EVENTS);
}

/* Between the parts others get their turn, so that /healthz is answered at once. */
static void look_at_files(void *arg)
{
    struct install *in = arg;

    if (in->next == PROGRAMS)
        watch_folders(in);
    look_at(in, in->next);
    if (++in->next < N_FILES) {
        kube_timer_wake(in->files);
        return;
    }
    in->next = 0;
    for (size_t i = 0; i < N_FILES; i++)
        if (in->told[i]) {
            kube_timer_set(in->files, RETRY_MS);
            return;
        }
    kube_timer_set(in->files, LOOK_MS);
}

static void look_at_network(void *arg)
{
    struct install *in = arg;

    look_at(in, NETWORK);
    in->network_looked_ms = kube_now_ms();
    kube_timer_set(in->network, in->told[NETWORK] ? RETRY_MS : LOOK_MS);
    /* What cannot be put right is not tried all the time, though each try is a change. */
    if (install_net_changed(in->net) && !in->told[NETWORK])
        kube_timer_set(in->network, REST_MS);
}

/* --- changes --- */

static void on_change(evutil_socket_t fd, short what, void *arg)
{
    struct install *in = arg;
    char events[4096];

    (void)what;
    while (read(fd, events, sizeof(events)) > 0)
        ;
    in->next = 0;
    kube_timer_set(in->files, SOON_MS);
    kube_timer_set(in->network, SOON_MS);
}

static void on_link_change(evutil_socket_t fd, short what, void *arg)
{
    struct install *in = arg;

    (void)fd;
    (void)what;
    if (install_net_changed(in->net))
        kube_timer_set(in->network, in->network_looked_ms + REST_MS - kube_now_ms());
}

/* Without it everything still comes true, later. */
static struct event *new_watch(struct install *in)
{
    in->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (in->watch_fd < 0)
        return NULL;
    return event_new(in->base, in->watch_fd, EV_READ | EV_PERSIST, on_change, in);
}

/* --- what it shows --- */

static void on_readyz(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    const struct install *in = arg;

    (void)body;
    (void)len;
    reply->status = is_ready(in) ? 200 : 503;
    for (size_t i = 0; i < N_PARTS; i++)
        (void)buf_addf(&reply->body, "%s: %s\n", names[i], in->told[i] ? in->told[i] : "ok");
}

static void on_metrics(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    const struct install *in = arg;

    (void)body;
    (void)len;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    (void)buf_addstr(&reply->body, "# HELP flatnet_build_info Version of this program, always 1.\n"
                                   "# TYPE flatnet_build_info gauge\n"
                                   "flatnet_build_info{version=\"" FLATNET_VERSION "\"} 1\n"
                                   "# HELP flatnet_cni_part_ok 1 while the part is as it must be.\n"
                                   "# TYPE flatnet_cni_part_ok gauge\n");
    for (size_t i = 0; i < N_PARTS; i++)
        (void)buf_addf(&reply->body, "flatnet_cni_part_ok{part=\"%s\"} %d\n", names[i],
                       !in->told[i]);
    (void)buf_addstr(&reply->body, "# HELP flatnet_cni_part_writes_total Times it was written.\n"
                                   "# TYPE flatnet_cni_part_writes_total counter\n");
    for (size_t i = 0; i < N_PARTS; i++)
        (void)buf_addf(&reply->body, "flatnet_cni_part_writes_total{part=\"%s\"} %llu\n", names[i],
                       (unsigned long long)in->writes[i]);
}

static int serve(struct install *in, struct err **e)
{
    struct http_server_options options = {.base = in->base, .listen = in->o->listen};
    int r = http_server_new(&options, &in->server, e);

    if (r < 0)
        return r;
    http_server_route(in->server, HTTP_GET, "/healthz", http_server_ok, NULL);
    http_server_route(in->server, HTTP_GET, "/readyz", on_readyz, in);
    http_server_route(in->server, HTTP_GET, "/metrics", on_metrics, in);
    log_info("listening port=%u", http_server_port(in->server));
    return 0;
}

/* --- the loop --- */

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    log_info("stopping; what is installed stays");
    (void)event_base_loopbreak(arg);
}

static int start(struct install *in, struct err **e)
{
    auto_free char *locks = xasprintf("%s/vlan", in->o->run_dir);
    int r = fs_mkdirs(in->o->conf_dir, 0755, e);

    if (r == 0)
        r = fs_mkdirs(in->o->bin_dir, 0755, e);
    if (r == 0)
        r = install_net_new(locks, &in->net, e);
    return r < 0 ? r : serve(in, e);
}

static void run_loop(struct install *in)
{
    struct event *events[] = {
        evsignal_new(in->base, SIGTERM, on_stop, in->base),
        evsignal_new(in->base, SIGINT, on_stop, in->base),
        event_new(in->base, install_net_fd(in->net), EV_READ | EV_PERSIST, on_link_change, in),
        new_watch(in),
    };
    size_t n = sizeof(events) / sizeof(*events);

    for (size_t i = 0; i < n; i++)
        if (events[i])
            (void)event_add(events[i], NULL);
    kube_timer_set(in->network, 0);
    kube_timer_set(in->files, 0);
    (void)event_base_dispatch(in->base);
    for (size_t i = 0; i < n; i++)
        if (events[i])
            event_free(events[i]);
}

int install_run(const struct install_options *o)
{
    struct install in = {.o = o, .base = event_base_new(), .watch_fd = -1};
    auto_err struct err *e = NULL;
    int r;

    in.files = kube_timer_new(in.base, look_at_files, &in);
    in.network = kube_timer_new(in.base, look_at_network, &in);
    for (size_t i = 0; i < N_PARTS; i++)
        in.told[i] = xstrdup("not looked at yet");
    r = start(&in, &e);
    if (r < 0)
        log_error("%s", err_text(e));
    else
        run_loop(&in);
    http_server_free(in.server);
    install_net_free(in.net);
    kube_timer_free(in.files);
    kube_timer_free(in.network);
    mem_close_fd(&in.watch_fd);
    for (size_t i = 0; i < N_PARTS; i++)
        free(in.told[i]);
    event_base_free(in.base);
    return r < 0 ? err_exit_status(r) : EXIT_OK;
}
