/*
 * Endpoints and EndpointSlices of the services that are ours to serve: companions, and services
 * with the networks annotation. Of Endpoints only a digest is kept; those that bear our label are
 * watched. Whoever takes the label away, or the object, is seen, and since names are unique there
 * can be no others beside ours.
 */
#include "ctl_endpoints.h"

#include "macvlan/macvlanip.h"
#include "macvlan/svc_networks.h"
#include "svc_endpoints.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define WORKERS 8
#define OURS "labelSelector=macvlan.panda.io%2Fmanaged-by%3D" SVC_MANAGER
/* When a taken-over service is looked at again for slices of a controller that was behind. */
#define LIST_AGAIN_MS 10000
#define ENDPOINTS "/api/v1/namespaces/%s/endpoints"
#define SLICES "%s/namespaces/%s/endpointslices"

/* --- what is watched --- */

/* Endpoints that bear our label. */
struct held {
    char digest[DIGEST_SIZE];
    char uid[];
};

static void *parse(void *arg, const cJSON *object)
{
    const char *uid = json_get_str(json_get_obj(object, "metadata"), "uid");
    struct held *held = xmalloc(sizeof(*held) + strlen(uid) + 1);

    (void)arg;
    svc_endpoints_digest(object, held->digest);
    memcpy(held->uid, uid, strlen(uid) + 1);
    return held;
}

static void on_changed(void *arg, const char *key, const void *before, const void *now)
{
    (void)before;
    (void)now;
    ctl_endpoints_add(arg, key);
}

static bool add_key(void *arg, const char *key, const void *value)
{
    (void)value;
    ctl_endpoints_add(arg, key);
    return true;
}

static void on_slices(void *arg, const char *key)
{
    struct ctl_endpoints *e = arg;

    if (key) {
        ctl_endpoints_add(e, key);
        return;
    }
    kube_informer_each(e->c->services->informer, add_key, e);
    kube_informer_each(e->informer, add_key, e);
}

/* --- who is served --- */

/* A service whose endpoints are ours. */
struct served {
    cJSON *tree;
    struct service *service;
    const struct service *source; /* whose selector counts; the service itself or another one */
    char *source_name;
    struct svc_network network; /* name NULL: that of companions */
    struct svc_target target;   /* borrows from the others */
};

static void served_release(struct served *v)
{
    cJSON_Delete(v->tree);
    free(v->source_name);
    svc_network_release(&v->network);
}

#define auto_served __attribute__((cleanup(served_release)))

static struct service *source_of(const struct ctl_services *s, const char *key)
{
    auto_free char *source = services_source_key(key);

    return source ? services_get(s, source) : NULL;
}

static bool is_served_companion(const struct service *service, const struct service *source)
{
    return !service->is_deleting && !service->selector && source && source->selector &&
           !source->is_deleting;
}

/* One that bears the name of a companion is about to be taken over, or somebody else's. */
static bool may_be_served(const struct ctl_services *s, const struct service *service,
                          const struct service *source)
{
    return service->has_networks && service->selector && !service->is_deleting && !source &&
           !services_have_rival(s);
}

static bool read_network(struct ctl_services *s, struct served *v)
{
    auto_err struct err *e = NULL;
    int r = svc_networks_of_service(v->tree, &v->network, &e);

    services_tell(s, v->service, r < 0 ? err_text(e) : NULL);
    return r == 1;
}

static bool is_external(const cJSON *service)
{
    const char *type = json_get_str(json_get_obj(service, "spec"), "type");

    return type && !strcmp(type, "ExternalName");
}

/* *v is to be released whatever comes back. */
static bool find_served(struct ctl_services *s, struct service *service, struct served *v)
{
    struct service *source = source_of(s, service->key);
    auto_free char *ns = NULL;

    *v = (struct served){.service = service};
    if (service->is_companion) {
        if (!is_served_companion(service, source))
            return false;
        v->source = source;
        v->source_name = xstrdup(ctl_split(source->key, &ns));
    } else {
        if (!may_be_served(s, service, source))
            return false;
        v->source = service;
    }
    v->tree = services_tree(service);
    return !is_external(v->tree) && (service->is_companion || read_network(s, v)) &&
           svc_target_from(v->tree, v->source_name, &v->target);
}

/* --- what has to be written --- */

static bool is_backend(const struct served *v, const struct ctl_pod *pod)
{
    return svc_pod_is_selected(pod->svc, v->source->selector) &&
           !(v->service->is_companion && pod->svc->is_unserved);
}

/* The address of the pod's MacvlanIP into `out`; NULL: it has none. */
static const char *address_of(const struct ctl *c, const struct ctl_pod *pod,
                              char out[IP_TEXT_SIZE])
{
    auto_free char *key = xasprintf("%s/%s", pod->svc->namespace, pod->svc->name);
    const struct macvlanip *ip = ctl_ips_get(c->ips, key);

    return ip && !strcmp(ip->pod_uid, pod->svc->uid) && ip->ip.family ? ip_format(ip->ip, out)
                                                                      : NULL;
}

static void build_rows(const struct ctl *c, const struct served *v, struct svc_rows *out_rows)
{
    const struct service_space *space = services_space(c->services, v->target.namespace);
    const struct svc_network *network = v->network.name ? &v->network : NULL;
    auto_free char(*texts)[IP_TEXT_SIZE] = NULL;
    struct svc_backends list = {.items = NULL};
    const struct ctl_pod *pod;
    size_t count = 0;

    DL_FOREACH(space->pods, pod)
    count += is_backend(v, pod);
    texts = xcalloc(count, sizeof(*texts));
    count = 0;
    DL_FOREACH(space->pods, pod)
    if (is_backend(v, pod))
        svc_backends_add(&list, pod->svc, network, address_of(c, pod, texts[count++]));
    svc_rows_build(&v->target, list.items, list.count, out_rows);
    free(list.items);
}

static void plan_endpoints(struct job *j, const struct served *v, const struct svc_rows *rows)
{
    const struct held *held = kube_informer_get(j->e->informer, j->key);
    const char *name = v->target.name;
    auto_free char *path = xasprintf(ENDPOINTS, v->target.namespace);
    auto_json cJSON *desired = svc_endpoints_build(&v->target, rows);
    char digest[DIGEST_SIZE];

    svc_endpoints_digest(desired, digest);
    if (held && !strcmp(held->digest, digest))
        return;
    if (held)
        job_add(j, "PATCH", path, name, svc_endpoints_patch(desired), NULL);
    else
        job_add(j, "POST", path, name, take(desired), NULL);
}

static void plan_slices(struct job *j, const struct served *v, const struct svc_rows *rows,
                        const cJSON *existing)
{
    static const char *const methods[] = {
        [SVC_CREATE] = "POST",
        [SVC_PATCH] = "PATCH",
        [SVC_DELETE] = "DELETE",
    };
    const struct ctl_slices *slices = j->e->slices;
    size_t count = (size_t)cJSON_GetArraySize(existing), i = 0;
    auto_free const cJSON **items = xcalloc(count, sizeof(*items));
    auto_slice_plan struct svc_slice_plan plan = {.ops = NULL};
    auto_free char *path = xasprintf(SLICES, slices_api(slices), v->target.namespace);
    const cJSON *item;

    cJSON_ArrayForEach(item, existing) items[i++] = item;
    svc_slices_plan(&v->target, rows, slices_version(slices), items, count, &plan);
    for (i = 0; i < plan.count; i++) {
        struct svc_slice_op *op = &plan.ops[i];

        j->has_deletion |= op->action == SVC_DELETE;
        job_add(j, methods[op->action], path, op->name, take(op->body), op->uid);
    }
}

static void plan_all(struct job *j, const struct served *v, const cJSON *slices)
{
    auto_rows struct svc_rows rows = {.items = NULL};

    build_rows(j->e->c, v, &rows);
    /* On Endpoints our label says that the slices of others are gone. */
    if (!j->is_listing)
        plan_endpoints(j, v, &rows);
    if (slices_state(j->e->slices) == SLICES_READY)
        plan_slices(j, v, &rows, slices);
    if (j->is_listing)
        plan_endpoints(j, v, &rows);
}

/* --- one service --- */

/* Kubernetes' own controllers may have been behind, and made theirs again. */
static void on_list(struct job *j, const cJSON *list)
{
    auto_served struct served v = {.tree = NULL};
    struct service *service = services_get(j->e->c->services, j->key);

    if (!service || slices_state(j->e->slices) != SLICES_READY ||
        !find_served(j->e->c->services, service, &v))
        return;
    plan_all(j, &v, json_get_arr(list, "items"));
    service->list_due_ms = j->has_deletion ? kube_now_ms() + LIST_AGAIN_MS : 0;
}

/* Whether slices of Kubernetes' own controllers may be there, which are not watched. */
static bool must_list(const struct ctl_endpoints *e, const struct service *service)
{
    return service->is_companion && slices_state(e->slices) == SLICES_READY &&
           (service->list_due_ms ? service->list_due_ms <= kube_now_ms()
                                 : !kube_informer_get(e->informer, service->key));
}

static void serve(struct job *j, const struct served *v)
{
    const struct ctl_endpoints *e = j->e;
    auto_free char *path = NULL;

    if (must_list(e, v->service)) {
        path = xasprintf(SLICES "?labelSelector=kubernetes.io%%2Fservice-name%%3D%s",
                         slices_api(e->slices), v->target.namespace, v->target.name);
        job_list(j, path, on_list);
    } else {
        auto_json cJSON *slices = slices_of(e->slices, j->key);
        plan_all(j, v, slices);
    }
    job_run(j);
}

/*
 * Endpoints of a service that is gone go with it; a garbage collector is as welcome to do it. Those
 * of one with a selector are left to kube-controller-manager, which puts them right when the
 * service changes; its label was ours.
 */
static void clear(struct job *j, const struct service *service)
{
    const struct ctl_endpoints *e = j->e;
    const struct held *held = kube_informer_get(e->informer, j->key);
    auto_json cJSON *slices = slices_of(e->slices, j->key);
    auto_free char *ns = NULL, *path = NULL, *service_path = NULL, *slices_path = NULL;
    const char *name = ctl_split(j->key, &ns);
    const cJSON *slice;

    if (service && service->selector)
        held = NULL;
    path = xasprintf(ENDPOINTS, ns);
    service_path = xasprintf(SERVICES "/%s", ns, name);
    slices_path = xasprintf(SLICES, slices_api(e->slices), ns);
    if (!service && (held || slices->child))
        job_expect_none(j, service_path);
    cJSON_ArrayForEach(slice, slices)
    {
        const cJSON *meta = json_get_obj(slice, "metadata");

        if (!json_get_str(meta, "deletionTimestamp"))
            job_add(j, "DELETE", slices_path, json_get_str(meta, "name"), NULL,
                    json_get_str(meta, "uid"));
    }
    if (held)
        job_add(j, "DELETE", path, name, NULL, held->uid);
    job_run(j);
}

/* Ours, but not now: it is on its way out, or back to what it should be. */
static bool is_in_transition(const struct ctl_services *s, const struct service *service)
{
    return service->is_companion || service->is_deleting || source_of(s, service->key);
}

static void handle_now(struct ctl_endpoints *e, const char *key, struct service *service)
{
    struct ctl_services *s = e->c->services;
    auto_served struct served v = {.tree = NULL};
    auto_free char *ns = NULL;

    (void)ctl_split(key, &ns);
    if (ctl_spaces_is_deleting(e->c->spaces, ns))
        kube_queue_done(e->queue, key);
    else if (service && find_served(s, service, &v))
        serve(job_new(e, key), &v);
    else if (service && is_in_transition(s, service))
        kube_queue_done(e->queue, key);
    else
        clear(job_new(e, key), service);
}

static void handle(void *arg, const char *key)
{
    struct ctl_endpoints *e = arg;
    struct service *service = services_get(e->c->services, key);
    int64_t wait_ms = service ? service->endpoints_due_ms - kube_now_ms() : 0;

    if (wait_ms > 0)
        kube_queue_add_after(e->queue, key, wait_ms);
    /* Once it is known which slices there are, all services are looked at. */
    if (wait_ms > 0 || slices_state(e->slices) == SLICES_WAIT)
        kube_queue_done(e->queue, key);
    else
        handle_now(e, key, service);
}

/* --- the part --- */

void ctl_endpoints_add(struct ctl_endpoints *e, const char *key)
{
    kube_queue_add(e->queue, key);
}

void ctl_endpoints_detect(struct ctl_endpoints *e)
{
    slices_detect(e->slices);
}

struct ctl_endpoints *ctl_endpoints_new(struct ctl *c)
{
    static const struct kube_informer_ops ops = {.parse = parse,
                                                 .changed = on_changed,
                                                 .synced = ctl_on_synced,
                                                 .failed = ctl_on_list_failed};
    struct ctl_endpoints *e = xcalloc(1, sizeof(*e));

    e->c = c;
    e->queue = ctl_queue(c, "endpoints", WORKERS, handle, e);
    e->informer = ctl_informer(c, "/api/v1/endpoints", OURS, &ops, e);
    e->slices = slices_new(c, on_slices, e);
    return e;
}

void ctl_endpoints_free(struct ctl_endpoints *e)
{
    if (!e)
        return;
    while (e->jobs)
        job_free(e->jobs);
    slices_free(e->slices);
    kube_informer_free(e->informer);
    ctl_queue_free(e->c, e->queue);
    free(e);
}

void ctl_endpoints_start(struct ctl_endpoints *e)
{
    kube_queue_start(e->queue);
}

void ctl_endpoints_stop(struct ctl_endpoints *e)
{
    kube_queue_stop(e->queue);
}

bool ctl_endpoints_has_synced(const struct ctl_endpoints *e)
{
    return kube_informer_has_synced(e->informer);
}
