/* Services and pods by namespace: which service a change concerns. */
#include "ctl_services.h"

#include "json.h"
#include "log.h"
#include "macvlan/svc_networks.h"
#include "mem.h"
#include "svc_companion.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define WORKERS 8
/* Its pods are named after its deployment, which is in kube-system. */
#define RIVAL "kube-net-attach-def-controller-"

/* --- what is watched --- */

static cJSON *cut_metadata(const cJSON *meta)
{
    static const char *const names[] = {"name", "namespace", "uid", "deletionTimestamp",
                                        "ownerReferences"};
    const cJSON *annotations = json_get_obj(meta, "annotations");
    cJSON *cut = cJSON_CreateObject(), *to;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        json_copy(cut, meta, names[i]);
    json_copy(cJSON_AddObjectToObject(cut, "labels"), json_get_obj(meta, "labels"),
              SVC_MANAGER_KEY);
    to = cJSON_AddObjectToObject(cut, "annotations");
    json_copy(to, annotations, SVC_NETWORKS_KEY);
    json_copy(to, annotations, SVC_TOLERATE_KEY);
    return cut;
}

static cJSON *cut_spec(const cJSON *spec)
{
    static const char *const names[] = {"type", "clusterIP", "selector", "ports",
                                        "publishNotReadyAddresses"};
    cJSON *cut = cJSON_CreateObject();

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        json_copy(cut, spec, names[i]);
    return cut;
}

static void *parse(void *arg, const cJSON *object)
{
    const cJSON *meta = json_get_obj(object, "metadata"), *spec = json_get_obj(object, "spec");
    const cJSON *selector = json_get_obj(spec, "selector");
    struct service *service = xcalloc(1, sizeof(*service));
    auto_json cJSON *cut = cJSON_CreateObject();

    (void)arg;
    (void)cJSON_AddItemToObject(cut, "metadata", cut_metadata(meta));
    (void)cJSON_AddItemToObject(cut, "spec", cut_spec(spec));
    service->key = xasprintf("%s/%s", json_get_str(meta, "namespace"), json_get_str(meta, "name"));
    service->text = json_print(cut);
    if (selector && selector->child)
        service->selector = cJSON_Duplicate(selector, true);
    service->is_companion = svc_companion_is_ours(object);
    service->has_networks = json_get_str(json_get_obj(meta, "annotations"), SVC_NETWORKS_KEY);
    service->is_deleting = json_get_str(meta, "deletionTimestamp") != NULL;
    return service;
}

static void free_service(void *value)
{
    struct service *service = value;

    free(service->key);
    free(service->text);
    cJSON_Delete(service->selector);
    free(service->told);
    free(service);
}

static struct service_space *get_space(struct ctl_services *s, const char *ns)
{
    struct service_space *space = services_space(s, ns);

    if (space)
        return space;
    space = xcalloc(1, sizeof(*space));
    space->name = xstrdup(ns);
    HASH_ADD_KEYPTR(hh, s->spaces, space->name, strlen(space->name), space);
    return space;
}

static void free_space(struct ctl_services *s, struct service_space *space)
{
    HASH_DEL(s->spaces, space);
    free(space->name);
    free(space);
}

static void free_if_empty(struct ctl_services *s, struct service_space *space)
{
    if (!space->services && !space->pods)
        free_space(s, space);
}

/* --- a service has changed --- */

static void keep_on(struct service *was, struct service *is)
{
    is->told = take(was->told);
    is->companion_due_ms = was->companion_due_ms;
    is->endpoints_due_ms = was->endpoints_due_ms;
    is->list_due_ms = was->list_due_ms;
}

static void on_changed(void *arg, const char *key, const void *before, const void *now)
{
    struct ctl_services *s = arg;
    struct service *was = (struct service *)(uintptr_t)before;
    struct service *is = (struct service *)(uintptr_t)now;
    auto_free char *ns = NULL, *source = services_source_key(key);
    auto_free char *companion = svc_companion_name(key);
    struct service_space *space;

    (void)ctl_split(key, &ns);
    space = get_space(s, ns);
    if (was)
        DL_DELETE(space->services, was);
    if (is)
        DL_APPEND(space->services, is);
    if (was && is)
        keep_on(was, is);
    free_if_empty(s, space);
    kube_queue_add(s->queue, key);
    if (source)
        kube_queue_add(s->queue, source);
    ctl_endpoints_add(s->c->endpoints, key);
    if (services_get(s, companion))
        ctl_endpoints_add(s->c->endpoints, companion);
}

static void on_failed(void *arg, const struct err *e)
{
    struct ctl_services *s = arg;

    ctl_on_list_failed(arg, e);
    ctl_endpoints_detect(s->c->endpoints);
}

/* --- a pod has changed --- */

static bool selects(const struct service *service, const struct ctl_pod *pod)
{
    return pod && svc_pod_is_selected(pod->svc, service->selector);
}

/* Whether the pod still speaks for or against a companion as it did. */
static bool demands_the_same(const struct service *service, const struct ctl_pod *was,
                             const struct ctl_pod *is)
{
    return was && is && selects(service, was) == selects(service, is) &&
           was->svc->is_macvlan == is->svc->is_macvlan &&
           was->svc->is_unserved == is->svc->is_unserved &&
           was->svc->is_terminated == is->svc->is_terminated;
}

static bool is_equal(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool has_the_same_ips(const struct svc_pod *a, const struct svc_pod *b)
{
    if (a->network_ip_count != b->network_ip_count)
        return false;
    for (size_t i = 0; i < a->network_ip_count; i++)
        if (!is_equal(a->network_ips[i].namespace, b->network_ips[i].namespace) ||
            strcmp(a->network_ips[i].network, b->network_ips[i].network) != 0 ||
            strcmp(a->network_ips[i].address, b->network_ips[i].address) != 0)
            return false;
    return true;
}

/* Whether it makes the same endpoint as before. What else there is of a pod cannot change. */
static bool serves_the_same(const struct service *service, const struct ctl_pod *was,
                            const struct ctl_pod *is)
{
    return was && is && selects(service, was) == selects(service, is) &&
           was->svc->is_ready == is->svc->is_ready &&
           svc_pod_is_alive(was->svc) == svc_pod_is_alive(is->svc) &&
           was->svc->is_unserved == is->svc->is_unserved &&
           is_equal(was->svc->node, is->svc->node) && has_the_same_ips(was->svc, is->svc);
}

/* Companion and endpoints of a service that selects the pod, or did. */
static void concern(struct ctl_services *s, const struct service *service,
                    const struct ctl_pod *was, const struct ctl_pod *is)
{
    auto_free char *companion = svc_companion_name(service->key);
    bool has_companion = services_get(s, companion) != NULL;
    bool is_macvlan = (was && was->svc->is_macvlan) || (is && is->svc->is_macvlan);

    if ((is_macvlan || has_companion) && !demands_the_same(service, was, is))
        kube_queue_add(s->queue, service->key);
    if (serves_the_same(service, was, is))
        return;
    if (has_companion)
        ctl_endpoints_add(s->c->endpoints, companion);
    if (service->has_networks)
        ctl_endpoints_add(s->c->endpoints, service->key);
}

void ctl_services_ip(struct ctl_services *s, const char *key)
{
    const struct ctl_pod *pod = ctl_pods_get(s->c->pods, key);
    const struct service_space *space = pod ? services_space(s, pod->svc->namespace) : NULL;
    const struct service *service;

    DL_FOREACH(space ? space->services : NULL, service)
    if (selects(service, pod))
        concern(s, service, NULL, pod);
}

/* --- the controller of 2019 --- */

static bool is_rival(const struct ctl_pod *pod)
{
    return pod && svc_pod_is_alive(pod->svc) && !strcmp(pod->svc->namespace, CTL_SUBNET_NS) &&
           !strncmp(pod->svc->name, RIVAL, strlen(RIVAL));
}

static void tell_of_rival(struct ctl_services *s, const struct ctl_pod *pod)
{
    struct kube_event_object object = {"v1",           "Pod",         pod->svc->namespace,
                                       pod->svc->name, pod->svc->uid, NULL};
    static const char text[] =
        "this controller of 2019 still runs: services with " SVC_NETWORKS_KEY
        " are left to it, and no macvlan service is made or taken over; delete its deployment";

    log_warn("%s/%s: %s", pod->svc->namespace, pod->svc->name, text);
    kube_event_warn(s->c->events, &object, SERVICE_ERROR, "%s", text);
}

static bool add_key(void *arg, const char *key, const void *value)
{
    struct ctl_services *s = arg;

    (void)value;
    kube_queue_add(s->queue, key);
    ctl_endpoints_add(s->c->endpoints, key);
    return true;
}

static void count_rivals(struct ctl_services *s, const struct ctl_pod *was,
                         const struct ctl_pod *is)
{
    if (is_rival(was) == is_rival(is))
        return;
    s->n_rivals += is_rival(is) ? 1 : -1;
    if (is_rival(is) && ctl_is_leading(s->c))
        tell_of_rival(s, is);
    kube_informer_each(s->informer, add_key, s);
}

void ctl_services_pod(struct ctl_services *s, struct ctl_pod *before, struct ctl_pod *now)
{
    struct service_space *space = get_space(s, (now ? now : before)->svc->namespace);
    const struct service *service;

    if (before) {
        DL_DELETE(space->pods, before);
        space->n_macvlan -= before->svc->is_macvlan;
    }
    if (now) {
        DL_APPEND(space->pods, now);
        space->n_macvlan += now->svc->is_macvlan;
    }
    count_rivals(s, before, now);
    DL_FOREACH(space->services, service)
    if (selects(service, before) || selects(service, now))
        concern(s, service, before, now);
    free_if_empty(s, space);
}

/* --- what the other files ask --- */

struct service *services_get(const struct ctl_services *s, const char *key)
{
    return (struct service *)(uintptr_t)kube_informer_get(s->informer, key);
}

cJSON *services_tree(const struct service *service)
{
    cJSON *tree = NULL;

    if (service)
        (void)json_parse(service->text, strlen(service->text), &tree, NULL);
    return tree;
}

struct service_space *services_space(const struct ctl_services *s, const char *ns)
{
    struct service_space *space;

    HASH_FIND_STR(s->spaces, ns, space);
    return space;
}

void services_tell(struct ctl_services *s, struct service *service, const char *text)
{
    auto_json cJSON *tree = NULL;
    const cJSON *meta;
    struct kube_event_object object = {"v1", "Service", NULL, NULL, NULL, NULL};

    if (!text || !service->told || strcmp(service->told, text)) {
        free(service->told);
        service->told = NULL;
    }
    if (!text || service->told)
        return;
    service->told = xstrdup(text);
    log_info("%s: %s", service->key, text);
    tree = services_tree(service);
    meta = json_get_obj(tree, "metadata");
    object.ns = json_get_str(meta, "namespace");
    object.name = json_get_str(meta, "name");
    object.uid = json_get_str(meta, "uid");
    kube_event_warn(s->c->events, &object, SERVICE_ERROR, "%s", text);
}

bool services_have_rival(const struct ctl_services *s)
{
    return s->n_rivals > 0;
}

char *services_source_key(const char *companion_key)
{
    size_t len = svc_companion_source_len(companion_key);

    return len && companion_key[len - 1] != '/' ? xstrndup(companion_key, len) : NULL;
}

/* --- the part --- */

struct ctl_services *ctl_services_new(struct ctl *c)
{
    static const struct kube_informer_ops ops = {.parse = parse,
                                                 .free_value = free_service,
                                                 .changed = on_changed,
                                                 .synced = ctl_on_synced,
                                                 .failed = on_failed};
    struct ctl_services *s = xcalloc(1, sizeof(*s));

    s->c = c;
    s->queue = ctl_queue(c, "companions", WORKERS, companions_handle, s);
    s->informer = ctl_informer(c, "/api/v1/services", NULL, &ops, s);
    return s;
}

void ctl_services_free(struct ctl_services *s)
{
    struct service_space *space, *next;

    if (!s)
        return;
    companions_cancel(s);
    kube_informer_free(s->informer);
    ctl_queue_free(s->c, s->queue);
    HASH_ITER(hh, s->spaces, space, next)
    free_space(s, space);
    free(s);
}

void ctl_services_start(struct ctl_services *s)
{
    const struct ctl_pod *pod;

    for (struct service_space *space = s->n_rivals ? s->spaces : NULL; space;
         space = space->hh.next)
        DL_FOREACH(space->pods, pod)
    if (is_rival(pod))
        tell_of_rival(s, pod);
    kube_queue_start(s->queue);
}

void ctl_services_stop(struct ctl_services *s)
{
    kube_queue_stop(s->queue);
}

bool ctl_services_has_synced(const struct ctl_services *s)
{
    return kube_informer_has_synced(s->informer);
}
