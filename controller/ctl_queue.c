/* The queues of the parts, requests about their keys, and what is shown of them. */
#include "ctl.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct ctl_queue_figures {
    struct ctl *c;
    const char *name;
    struct kube_queue *queue;
    struct kube_queue_stats shown;
    struct ctl_queue_figures *next;
};

static void on_measured(void *arg, int64_t queued_us, int64_t worked_us)
{
    const struct ctl_queue_figures *f = arg;

    metrics_observe(f->c->metrics, METRIC_QUEUE_DURATION, f->name, NULL, (double)queued_us / 1e6);
    metrics_observe(f->c->metrics, METRIC_WORK_DURATION, f->name, NULL, (double)worked_us / 1e6);
}

struct kube_queue *ctl_queue(struct ctl *c, const char *name, unsigned workers,
                             void (*handle)(void *arg, const char *key), void *arg)
{
    struct ctl_queue_figures *f = xcalloc(1, sizeof(*f));
    struct kube_queue_options options = {.handle = handle,
                                         .arg = arg,
                                         .measured = on_measured,
                                         .measured_arg = f,
                                         .workers = workers,
                                         .backoff_max_ms = 60000,
                                         .retries_per_s = 100,
                                         .retries_burst = 1000};

    *f = (struct ctl_queue_figures){.c = c, .name = name};
    f->queue = kube_queue_new(c->base, &options);
    LL_PREPEND(c->queues, f);
    return f->queue;
}

void ctl_queue_free(struct ctl *c, struct kube_queue *q)
{
    struct ctl_queue_figures *f, *next;

    LL_FOREACH_SAFE(c->queues, f, next)
    {
        if (f->queue != q)
            continue;
        LL_DELETE(c->queues, f);
        free(f);
    }
    kube_queue_free(q);
}

void ctl_queues_show(struct ctl *c)
{
    for (struct ctl_queue_figures *f = c->queues; f; f = f->next) {
        struct kube_queue_stats now;

        kube_queue_get_stats(f->queue, &now);
        metrics_set(c->metrics, METRIC_QUEUE_DEPTH, f->name, NULL, (double)now.depth);
        metrics_add(c->metrics, METRIC_QUEUE_ADDS, f->name, NULL,
                    (double)(now.adds - f->shown.adds));
        metrics_add(c->metrics, METRIC_QUEUE_RETRIES, f->name, NULL,
                    (double)(now.retries - f->shown.retries));
        f->shown = now;
    }
}

void ctl_retry(struct kube_queue *q, const char *key, const char *what,
               const struct kube_reply *reply)
{
    /* Somebody was faster: the next look sees what he did. */
    if (reply->status == -EAGAIN || reply->status == -EEXIST)
        log_debug("%s: %s: %s", key, what, err_text(reply->err));
    else
        log_warn("%s: cannot %s: %s", key, what, err_text(reply->err));
    (void)kube_queue_retry(q, key, reply->retry_after_ms > 0 ? reply->retry_after_ms : 0);
}

/* --- requests about a key --- */

struct ctl_step {
    struct ctl *c;
    struct kube_queue *queue;
    const char *what;
    void (*then)(void *arg, const char *key, const struct kube_reply *reply);
    void *arg;
    struct kube_call *call;
    bool is_new; /* it makes an object */
    struct ctl_step *prev, *next;
    char key[];
};

static void free_step(struct ctl_step *step)
{
    kube_call_cancel(step->call);
    DL_DELETE(step->c->steps, step);
    free(step);
}

void ctl_steps_free(struct ctl *c)
{
    while (c->steps)
        free_step(c->steps);
}

static void on_answer(void *arg, const struct kube_reply *reply)
{
    struct ctl_step *step = arg;
    bool is_gone = reply->http_status == 404 && !step->is_new;

    step->call = NULL;
    if (reply->status < 0 && !is_gone)
        ctl_retry(step->queue, step->key, step->what, reply);
    else if (step->then && !is_gone)
        step->then(step->arg, step->key, reply);
    else
        kube_queue_done(step->queue, step->key);
    free_step(step);
}

void ctl_step(struct ctl *c, struct kube_queue *q, const char *key,
              const struct ctl_request *request)
{
    struct ctl_step *step = xcalloc(1, sizeof(*step) + strlen(key) + 1);

    *step = (struct ctl_step){.c = c,
                              .queue = q,
                              .what = request->what,
                              .then = request->then,
                              .arg = request->arg,
                              .is_new = !strcmp(request->method, "POST")};
    memcpy(step->key, key, strlen(key));
    DL_APPEND(c->steps, step);
    step->call = ctl_send(c, request->method, request->path, request->body, on_answer, step);
}
