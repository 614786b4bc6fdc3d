/*
 * Leadership: stand by with warm stores; when elected, make the status of each subnet our own, read
 * every MacvlanIP from the server itself, and only then hand out.
 */
#include "ctl.h"

#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#define DRAIN_MS 1500 /* for requests under way when a leader stops */
#define DRAIN_STEP_MS 10

enum stage { STANDBY, ELECTED, TAKING_OVER, READING, LEADING, STOPPING };

struct ctl_lead {
    struct ctl *c;
    struct kube_lease *lease;
    char *identity;
    enum stage stage;
    int64_t elected_ms, stop_ms;
    struct event *drain;
};

static void on_read(struct ctl *c, const struct err *e)
{
    struct ctl_lead *l = c->lead;

    if (l->stage != READING)
        return;
    if (e) {
        ctl_fail(c, "cannot read the MacvlanIPs: %s", err_text(e));
        return;
    }
    l->stage = LEADING;
    log_info("leading after=%lldms", (long long)(kube_now_ms() - l->elected_ms));
    metrics_set(c->metrics, METRIC_LEADER, c->options->lease_name, NULL, 1);
    ctl_spaces_start(c->spaces);
    ctl_subnets_start(c->subnets);
    ctl_pods_start(c->pods);
    ctl_copies_start(c->copies);
    if (c->webhook)
        ctl_webhook_start(c->webhook);
    ctl_services_start(c->services);
    ctl_endpoints_start(c->endpoints);
    ctl_ips_check_all(c->ips);
    ctl_pods_check_promises(c->pods);
}

static void on_taken_over(struct ctl *c)
{
    if (c->lead->stage != TAKING_OVER)
        return;
    c->lead->stage = READING;
    ctl_ips_read_all(c->ips, on_read);
}

void ctl_lead_go_on(struct ctl_lead *l)
{
    if (l->stage != ELECTED || !ctl_has_synced(l->c))
        return;
    l->stage = TAKING_OVER;
    ctl_subnets_take_over(l->c->subnets, on_taken_over);
}

static void on_started(void *arg, int64_t transitions)
{
    struct ctl_lead *l = arg;

    log_info("elected transitions=%lld", (long long)transitions);
    l->elected_ms = kube_now_ms();
    l->stage = ELECTED;
    ctl_lead_go_on(l);
}

static void on_lost(void *arg, const struct err *e)
{
    struct ctl_lead *l = arg;

    ctl_fail(l->c, "leadership is lost: %s", err_text(e));
}

static void on_observed(void *arg, const char *holder)
{
    (void)arg;
    log_info("leader is '%s'", holder);
}

static void on_failed(void *arg, const struct err *e)
{
    (void)arg;
    log_warn("leader election: %s", err_text(e));
}

/* --- stopping --- */

static void on_released(void *arg, int status)
{
    struct ctl_lead *l = arg;

    if (status < 0)
        log_warn("the lease is not given back; another can lead when it has run out");
    (void)event_base_loopbreak(l->c->base);
}

/* Nobody may write any more before the lease is given back. */
static void on_drain(void *arg)
{
    struct ctl_lead *l = arg;

    if (kube_io_pending(l->c->io) && kube_now_ms() < l->stop_ms + DRAIN_MS) {
        kube_timer_set(l->drain, DRAIN_STEP_MS);
        return;
    }
    if (!kube_lease_is_held_now(l->lease) || kube_io_pending(l->c->io)) {
        (void)event_base_loopbreak(l->c->base);
        return;
    }
    kube_lease_release(l->lease, on_released, l);
}

void ctl_lead_stop(struct ctl_lead *l)
{
    if (l->stage == STOPPING)
        return;
    l->stage = STOPPING;
    l->stop_ms = kube_now_ms();
    ctl_pods_stop(l->c->pods);
    ctl_copies_stop(l->c->copies);
    ctl_subnets_stop(l->c->subnets);
    ctl_spaces_stop(l->c->spaces);
    if (l->c->webhook)
        ctl_webhook_stop(l->c->webhook);
    ctl_services_stop(l->c->services);
    ctl_endpoints_stop(l->c->endpoints);
    kube_timer_wake(l->drain);
}

/* --- asked by others --- */

/* Not ctl_fail: nothing may be sent after this, not even what is in the buffers. */
bool ctl_may_write(struct ctl *c)
{
    if (kube_lease_is_held_now(c->lead->lease))
        return true;
    log_error(
        "leadership has run out: the lease was renewed %lld ms ago; this process stood still, "
        "or the API server did",
        (long long)kube_lease_age_ms(c->lead->lease));
    _exit(EXIT_FAILED);
}

bool ctl_has_synced(const struct ctl *c)
{
    return c->lead && ctl_spaces_has_synced(c->spaces) && ctl_subnets_has_synced(c->subnets) &&
           ctl_workloads_has_synced(c->workloads) && ctl_ips_has_synced(c->ips) &&
           ctl_pods_has_synced(c->pods) && ctl_services_has_synced(c->services) &&
           ctl_endpoints_has_synced(c->endpoints);
}

bool ctl_is_leading(const struct ctl *c)
{
    return c->lead && c->lead->stage == LEADING;
}

bool ctl_lead_is_live(const struct ctl *c)
{
    int64_t lease_ms = c->options->lease_ms ? c->options->lease_ms : 15000;

    return !ctl_is_leading(c) || kube_lease_age_ms(c->lead->lease) < lease_ms;
}

struct ctl_lead *ctl_lead_new(struct ctl *c, struct err **e)
{
    struct ctl_lead *l = xcalloc(1, sizeof(*l));
    struct kube_lease_options options = {.kind = c->options->lock,
                                         .ns = c->options->lease_ns,
                                         .name = c->options->lease_name,
                                         .lease_ms = c->options->lease_ms,
                                         .renew_ms = c->options->renew_ms,
                                         .retry_ms = c->options->retry_ms,
                                         .started = on_started,
                                         .lost = on_lost,
                                         .observed = on_observed,
                                         .failed = on_failed,
                                         .arg = l};

    l->c = c;
    l->identity = kube_lease_identity();
    options.identity = l->identity;
    l->drain = kube_timer_new(c->base, on_drain, l);
    if (kube_lease_new(c->io, &options, &l->lease, e) < 0) {
        ctl_lead_free(l);
        return NULL;
    }
    return l;
}

void ctl_lead_free(struct ctl_lead *l)
{
    if (!l)
        return;
    kube_lease_free(l->lease);
    kube_timer_free(l->drain);
    free(l->identity);
    free(l);
}
