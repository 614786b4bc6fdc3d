/*
 * The loop of `install`: the network is looked at every few seconds, the files when something in
 * their folders changes, and once a minute, since a watch can miss what happens below a mount.
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

#define LOOK_MS 5000
#define FILES_MS 60000
#define SOON_MS 100   /* after a change, so that several come together */
#define RETRY_MS 5000 /* after a failure */
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB)

enum part { PROGRAMS, KUBECONFIG, CONFLIST, NETWORK, N_PARTS };

struct install {
    const struct install_options *o;
    struct event_base *base;
    struct event *look;
    struct http_server *server;
    struct install_net *net;
    char *told[N_PARTS]; /* what is wrong with it, or NULL */
    uint64_t writes[N_PARTS];
    int64_t files_due_ms;
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

static void look(void *arg)
{
    struct install *in = arg;
    bool has_files = kube_now_ms() >= in->files_due_ms;

    for (size_t i = has_files ? 0 : NETWORK; i < N_PARTS; i++) {
        auto_err struct err *e = NULL;
        int r = keep(in, (enum part)i, &e);

        tell(in, (enum part)i, r < 0 ? e : NULL);
        if (r <= 0)
            continue;
        in->writes[i]++;
        if (i != NETWORK)
            log_info("%s written", names[i]);
    }
    if (has_files)
        in->files_due_ms = kube_now_ms() + (is_ready(in) ? FILES_MS : LOOK_MS);
    kube_timer_set(in->look, LOOK_MS);
}

/* --- changes --- */

static void on_change(evutil_socket_t fd, short what, void *arg)
{
    struct install *in = arg;
    char events[4096];

    (void)what;
    while (read(fd, events, sizeof(events)) > 0)
        ;
    in->files_due_ms = 0;
    kube_timer_set(in->look, SOON_MS);
}

/* Without it everything still comes true, later. */
static struct event *watch_folders(struct install *in)
{
    const char *folders[] = {in->o->conf_dir, in->o->bin_dir,
                             in->o->service_account ? in->o->service_account
                                                    : KUBE_SERVICE_ACCOUNT};
    struct event *event;

    in->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (in->watch_fd < 0)
        return NULL;
    for (size_t i = 0; i < 3; i++)
        (void)inotify_add_watch(in->watch_fd, folders[i], EVENTS);
    event = event_new(in->base, in->watch_fd, EV_READ | EV_PERSIST, on_change, in);
    (void)event_add(event, NULL);
    return event;
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

static int run_loop(struct install *in, struct err **e)
{
    struct event *signals[] = {evsignal_new(in->base, SIGTERM, on_stop, in->base),
                               evsignal_new(in->base, SIGINT, on_stop, in->base)};
    struct event *changes = NULL;
    int r = fs_mkdirs(in->o->conf_dir, 0755, e);

    for (size_t i = 0; i < 2; i++)
        (void)event_add(signals[i], NULL);
    if (r == 0)
        r = fs_mkdirs(in->o->bin_dir, 0755, e);
    if (r == 0)
        r = install_net_new(&in->net, e);
    if (r == 0)
        r = serve(in, e);
    if (r == 0) {
        changes = watch_folders(in);
        look(in);
        (void)event_base_dispatch(in->base);
    }
    for (size_t i = 0; i < 2; i++)
        event_free(signals[i]);
    if (changes)
        event_free(changes);
    return r;
}

int install_run(const struct install_options *o)
{
    struct install in = {.o = o, .base = event_base_new(), .watch_fd = -1};
    auto_err struct err *e = NULL;
    int r;

    in.look = kube_timer_new(in.base, look, &in);
    r = run_loop(&in, &e);
    if (r < 0)
        log_error("%s", err_text(e));
    http_server_free(in.server);
    install_net_free(in.net);
    kube_timer_free(in.look);
    mem_close_fd(&in.watch_fd);
    for (size_t i = 0; i < N_PARTS; i++)
        free(in.told[i]);
    event_base_free(in.base);
    return r < 0 ? err_exit_status(r) : EXIT_OK;
}
