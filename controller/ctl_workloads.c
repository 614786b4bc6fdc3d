/*
 * Workloads: the addresses that their pod templates name are kept from automatic pods, also while a
 * workload has no pod (at scale 0, between two rollouts).
 */
#include "ctl.h"

#include "macvlan/annot.h"

#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static const struct kind {
    const char *name, *path, *other_path;
} kinds[] = {
    {"deployments", "/apis/apps/v1/deployments", NULL},
    {"statefulsets", "/apis/apps/v1/statefulsets", NULL},
    {"daemonsets", "/apis/apps/v1/daemonsets", NULL},
    {"jobs", "/apis/batch/v1/jobs", NULL},
    /* The first from 1.21, the second until 1.24. */
    {"cronjobs", "/apis/batch/v1/cronjobs", "/apis/batch/v1beta1/cronjobs"},
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct ctl_workloads {
    struct watched {
        struct ctl *c; /* first, as ctl_on_synced wants it */
        const char *kind;
        struct kube_informer *informer;
    } watched[N_KINDS];
};

/* --- what is watched --- */

/* A Job that has ended makes no pods any more. */
static bool has_ended(const cJSON *object)
{
    const cJSON *condition;

    cJSON_ArrayForEach(condition, json_get_arr(json_get_obj(object, "status"), "conditions"))
    {
        const char *type = json_get_str(condition, "type");
        const char *status = json_get_str(condition, "status");

        if (type && status && !strcmp(status, "True") &&
            (!strcmp(type, "Complete") || !strcmp(type, "Failed")))
            return true;
    }
    return false;
}

static const cJSON *annotations_of(const cJSON *object)
{
    const cJSON *spec = json_get_obj(object, "spec"), *job = json_get_obj(spec, "jobTemplate");
    const cJSON *template = json_get_obj(job ? json_get_obj(job, "spec") : spec, "template");

    return json_get_obj(json_get_obj(template, "metadata"), "annotations");
}

/* The request of a workload whose template names addresses; of others nothing is kept. */
static void *parse(void *arg, const cJSON *object)
{
    struct annot_request *r = xcalloc(1, sizeof(*r));
    auto_annot_refusal struct annot_refusal refusal = {.text = NULL};

    (void)arg;
    if (!has_ended(object) && annot_parse(annotations_of(object), r, &refusal) == 1 && r->n_ips)
        return r;
    annot_request_release(r);
    free(r);
    return NULL;
}

static void free_request(void *value)
{
    annot_request_release(value);
    free(value);
}

static void on_changed(void *arg, const char *key, const void *before, const void *now)
{
    const struct watched *w = arg;
    const struct annot_request *was = before, *is = now;
    auto_free char *owner = xasprintf("%s/%s", w->kind, key);

    ledger_reserve(w->c->ledger, owner, is ? is->subnet : NULL, is ? is->ips : NULL,
                   is ? is->n_ips : 0);
    if (was)
        ctl_subnets_touch(w->c->subnets, was->subnet);
    if (is)
        ctl_subnets_touch(w->c->subnets, is->subnet);
}

/* --- the part --- */

struct ctl_workloads *ctl_workloads_new(struct ctl *c)
{
    static const struct kube_informer_ops ops = {.parse = parse,
                                                 .free_value = free_request,
                                                 .changed = on_changed,
                                                 .synced = ctl_on_synced,
                                                 .failed = ctl_on_list_failed};
    struct ctl_workloads *p = xcalloc(1, sizeof(*p));

    for (size_t i = 0; i < N_KINDS; i++) {
        struct watched *w = &p->watched[i];
        struct kube_informer_options options = {.path = kinds[i].path,
                                                .other_path = kinds[i].other_path,
                                                .ops = &ops,
                                                .arg = w};

        *w = (struct watched){.c = c, .kind = kinds[i].name};
        w->informer = kube_informer_new(c->io, &options);
    }
    return p;
}

void ctl_workloads_free(struct ctl_workloads *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < N_KINDS; i++)
        kube_informer_free(p->watched[i].informer);
    free(p);
}

bool ctl_workloads_has_synced(const struct ctl_workloads *p)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (!kube_informer_has_synced(p->watched[i].informer))
            return false;
    return true;
}
