/* What the controller shows of itself: health for the kubelet, metrics for Prometheus. */
#include "ctl.h"

#include "http_server.h"

#include "log.h"

#include <stdlib.h>

/* A replica that stands by is ready too: its stores are full. */
static void on_readyz(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    const struct ctl *c = arg;

    (void)body;
    (void)len;
    if (ctl_has_synced(c) && (!c->webhook || ctl_webhook_has_synced(c->webhook))) {
        (void)buf_addstr(&reply->body, "ok\n");
        return;
    }
    reply->status = 503;
    (void)buf_addstr(&reply->body, "the stores are not complete yet\n");
}

static void on_livez(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    (void)body;
    (void)len;
    if (ctl_lead_is_live(arg)) {
        (void)buf_addstr(&reply->body, "ok\n");
        return;
    }
    reply->status = 503;
    (void)buf_addstr(&reply->body, "the lease is held and was not renewed\n");
}

static void on_metrics(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    struct ctl *c = arg;

    (void)body;
    (void)len;
    ctl_queues_show(c);
    reply->content_type = METRICS_CONTENT_TYPE;
    if (metrics_write(c->metrics, &reply->body) < 0)
        reply->status = 500;
}

int ctl_surface_new(struct ctl *c, struct err **e)
{
    struct http_server_options options = {.base = c->base, .listen = c->options->listen};
    int r = http_server_new(&options, &c->server, e);

    if (r < 0)
        return r;
    http_server_route(c->server, HTTP_GET, "/healthz", http_server_ok, NULL);
    http_server_route(c->server, HTTP_GET, "/readyz", on_readyz, c);
    http_server_route(c->server, HTTP_GET, "/livez", on_livez, c);
    http_server_route(c->server, HTTP_GET, "/metrics", on_metrics, c);
    log_info("listening port=%u", http_server_port(c->server));
    return 0;
}
