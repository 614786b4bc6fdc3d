/* Starts the parts of the controller, runs the loop, and what all parts use. */
#include "ctl.h"

#include "http_server.h"

#include "json.h"
#include "kube/kube_creds.h"
#include "log.h"
#include "mem.h"

#include <event2/event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What is told of pods is not told again (ctl_pods.c), so few events count up. */
#define EVENTS_MAX 1000

/* --- what parts use --- */

void ctl_fail(struct ctl *c, const char *format, ...)
{
    auto_free char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    log_error("%s; the next start begins anew", text ? text : "out of memory");
    c->exit_status = EXIT_FAILED;
    (void)event_base_loopbreak(c->base);
}

struct kube_call *ctl_send(struct ctl *c, const char *method, const char *path, cJSON *body,
                           kube_done on_done, void *arg)
{
    auto_json cJSON *owned = body;
    struct kube_request request = {.method = method, .path = path, .body = owned};

    if (!strcmp(method, "PATCH"))
        request.content = KUBE_MERGE_PATCH;
    return kube_io_send(c->io, &request, on_done, arg);
}

cJSON *ctl_delete_options(const char *uid, const char *version)
{
    cJSON *options = cJSON_CreateObject(), *preconditions;

    json_add_str(options, "apiVersion", "v1");
    json_add_str(options, "kind", "DeleteOptions");
    preconditions = cJSON_AddObjectToObject(options, "preconditions");
    json_add_str(preconditions, "uid", uid);
    json_add_str(preconditions, "resourceVersion", version);
    return options;
}

struct kube_call *ctl_delete(struct ctl *c, const char *path, const char *uid, kube_done on_done,
                             void *arg)
{
    return ctl_send(c, "DELETE", path, ctl_delete_options(uid, NULL), on_done, arg);
}

cJSON *ctl_finalizer_patch(const cJSON *object, const char *finalizer, bool is_wanted)
{
    const cJSON *meta = json_get_obj(object, "metadata"), *item;
    cJSON *patch = cJSON_CreateObject(), *to = cJSON_AddObjectToObject(patch, "metadata"), *list;

    json_add_str(to, "resourceVersion", json_get_str(meta, "resourceVersion"));
    list = cJSON_AddArrayToObject(to, "finalizers");
    cJSON_ArrayForEach(item, json_get_arr(meta, "finalizers"))
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, finalizer) != 0)
            cJSON_AddItemToArray(list, cJSON_Duplicate(item, 1));
    }
    if (is_wanted)
        cJSON_AddItemToArray(list, cJSON_CreateString(finalizer));
    return patch;
}

const char *ctl_split(const char *key, char **out_ns)
{
    const char *slash = strchr(key, '/');

    *out_ns = xstrndup(key, slash ? (size_t)(slash - key) : 0);
    return slash ? slash + 1 : key;
}

struct kube_informer *ctl_informer(struct ctl *c, const char *path, const char *query,
                                   const struct kube_informer_ops *ops, void *arg)
{
    struct kube_informer_options options = {.path = path, .query = query, .ops = ops, .arg = arg};

    return kube_informer_new(c->io, &options);
}

void ctl_on_list_failed(void *arg, const struct err *e)
{
    (void)arg;
    log_warn("%s", err_text(e));
}

void ctl_on_synced(void *arg)
{
    struct ctl *c = *(struct ctl **)arg;

    if (c->lead)
        ctl_lead_go_on(c->lead);
}

/* --- starting and stopping --- */

static void on_freed(void *arg, const char *subnet, struct ip_addr ip)
{
    struct ctl *c = arg;

    (void)ip;
    if (c->pods)
        ctl_pods_wake_one(c->pods, subnet);
}

static void on_counted(void *arg, const char *method, int http_status)
{
    struct ctl *c = arg;
    auto_free char *code =
        http_status ? xasprintf("%d", http_status) : xstrdup("<error>"); /* as client-go has it */

    metrics_add(c->metrics, METRIC_REQUESTS, code, method, 1);
}

static void start_parts(struct ctl *c, const char *cluster_uid)
{
    auto_err struct err *e = NULL;

    c->ledger = ledger_new(cluster_uid, on_freed, c);
    c->spaces = ctl_spaces_new(c);
    c->services = ctl_services_new(c);
    c->endpoints = ctl_endpoints_new(c);
    c->subnets = ctl_subnets_new(c);
    c->workloads = ctl_workloads_new(c);
    c->ips = ctl_ips_new(c);
    c->copies = ctl_copies_new(c);
    c->pods = ctl_pods_new(c);
    c->lead = ctl_lead_new(c, &e);
    if (!c->lead)
        ctl_fail(c, "%s", err_text(e));
}

static void free_parts(struct ctl *c)
{
    http_server_free(c->server);
    ctl_steps_free(c);
    ctl_webhook_free(c->webhook);
    ctl_lead_free(c->lead);
    ctl_pods_free(c->pods);
    ctl_copies_free(c->copies);
    ctl_ips_free(c->ips);
    ctl_workloads_free(c->workloads);
    ctl_subnets_free(c->subnets);
    ctl_endpoints_free(c->endpoints);
    ctl_services_free(c->services);
    ctl_spaces_free(c->spaces);
    ledger_free(c->ledger);
    kube_events_free(c->events);
    kube_io_free(c->io);
}

/* The UID of kube-system is that of the cluster: it can be neither deleted nor made anew. */
static void ask_cluster(struct ctl *c);

static void on_retry_cluster(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    ask_cluster(arg);
}

static void on_cluster(void *arg, const struct kube_reply *reply)
{
    struct ctl *c = arg;
    const char *uid = json_get_str(json_get_obj(reply->body, "metadata"), "uid");
    struct timeval second = {.tv_sec = 1};

    if (reply->status == 0 && uid) {
        start_parts(c, uid);
        return;
    }
    log_warn("cannot read the namespace kube-system: %s",
             reply->status ? err_text(reply->err) : "it has no UID");
    (void)event_base_once(c->base, -1, EV_TIMEOUT, on_retry_cluster, c, &second);
}

static void ask_cluster(struct ctl *c)
{
    (void)ctl_send(c, "GET", "/api/v1/namespaces/" CTL_SUBNET_NS, NULL, on_cluster, c);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    struct ctl *c = arg;

    (void)fd;
    (void)what;
    log_info("stopping");
    if (c->lead)
        ctl_lead_stop(c->lead);
    else
        (void)event_base_loopbreak(c->base);
}

/* SIGUSR1: debug, and back. */
static void on_level(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    log_set_level(log_get_level() == LOG_DEBUG ? LOG_INFO : LOG_DEBUG);
    log_info("the log level has changed");
}

static int load_config(const struct ctl_options *options, struct kube_config *out, struct err **e)
{
    auto_free char *ns = NULL;

    if (options->kubeconfig)
        return kube_config_load(options->kubeconfig, NULL, out, e);
    return kube_creds_in_cluster(NULL, out, &ns, e);
}

static int run_loop(struct ctl *c, struct kube_config *config, struct err **e)
{
    struct kube_io_options io = {.config = config,
                                 .user_agent = CTL_NAME "/" FLATNET_VERSION,
                                 .counted = on_counted,
                                 .arg = c};
    struct kube_events_options events = {.component = CTL_NAME, .remembered = EVENTS_MAX};
    struct event *signals[] = {evsignal_new(c->base, SIGTERM, on_stop, c),
                               evsignal_new(c->base, SIGINT, on_stop, c),
                               evsignal_new(c->base, SIGUSR1, on_level, c)};
    int r = kube_io_new(c->base, &io, &c->io, e);

    for (size_t i = 0; i < 3; i++)
        (void)event_add(signals[i], NULL);
    if (r == 0)
        r = ctl_surface_new(c, e);
    if (r == 0 && c->options->has_webhook)
        r = ctl_webhook_new(c, e);
    if (r == 0) {
        c->events = kube_events_new(c->io, &events);
        ask_cluster(c);
        (void)event_base_dispatch(c->base);
    }
    for (size_t i = 0; i < 3; i++)
        event_free(signals[i]);
    return r;
}

int ctl_run(const struct ctl_options *options)
{
    struct ctl c = {.options = options, .exit_status = EXIT_OK, .metrics = metrics_new()};
    struct kube_config config = {.server = NULL};
    auto_err struct err *e = NULL;
    int r = load_config(options, &config, &e);

    if (r == 0) {
        c.base = event_base_new();
        r = run_loop(&c, &config, &e);
        free_parts(&c);
        event_base_free(c.base);
    }
    metrics_free(c.metrics);
    kube_config_release(&config);
    if (r < 0) {
        log_error("%s", err_text(e));
        return err_exit_status(r);
    }
    return c.exit_status;
}
