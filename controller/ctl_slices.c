/* EndpointSlices that are ours, in the version that the server has. */
#include "ctl_endpoints.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"
#include "svc_endpoints.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROUP "/apis/discovery.k8s.io"
#define OURS "labelSelector=endpointslice.kubernetes.io%2Fmanaged-by%3D" SVC_MANAGER
#define DETECT_MS 1000
#define DETECT_AGAIN_MS 5000

struct ctl_slices {
    struct ctl *c;
    void (*changed)(void *arg, const char *key);
    void *arg;
    enum slices_state state;
    enum svc_slice_version version;
    struct kube_informer *informer; /* NULL: the server has none, or it is not known yet */
    struct event *timer;
    struct kube_call *call; /* asks for the version */
};

/* One of ours. */
struct slice {
    char *service; /* key */
    char *text;    /* JSON of what svc_slices_plan reads */
};

/* --- what is watched --- */

static void copy_part(cJSON *to, const cJSON *from, const char *part, const char *const *names,
                      size_t count)
{
    const cJSON *source = json_get_obj(from, part);
    cJSON *copied = source ? cJSON_AddObjectToObject(to, part) : NULL;

    for (size_t i = 0; i < count && copied; i++)
        json_copy(copied, source, names[i]);
}

static cJSON *cut_endpoint(const cJSON *endpoint)
{
    static const char *const ready[] = {"ready"}, *const node[] = {"kubernetes.io/hostname"};
    static const char *const target[] = {"kind", "namespace", "name", "uid"};
    cJSON *cut = cJSON_CreateObject();

    json_copy(cut, endpoint, "addresses");
    json_copy(cut, endpoint, "hostname");
    json_copy(cut, endpoint, "nodeName");
    copy_part(cut, endpoint, "conditions", ready, 1);
    copy_part(cut, endpoint, "topology", node, 1);
    copy_part(cut, endpoint, "targetRef", target, 4);
    return cut;
}

static cJSON *cut_slice(const cJSON *object)
{
    static const char *const meta[] = {"name",   "namespace",      "uid", "deletionTimestamp",
                                       "labels", "ownerReferences"};
    cJSON *cut = cJSON_CreateObject(), *endpoints;
    const cJSON *endpoint;

    copy_part(cut, object, "metadata", meta, sizeof(meta) / sizeof(*meta));
    json_copy(cut, object, "addressType");
    json_copy(cut, object, "ports");
    endpoints = cJSON_AddArrayToObject(cut, "endpoints");
    cJSON_ArrayForEach(endpoint, json_get_arr(object, "endpoints"))(void)
        cJSON_AddItemToArray(endpoints, cut_endpoint(endpoint));
    return cut;
}

static void *parse(void *arg, const cJSON *object)
{
    const cJSON *meta = json_get_obj(object, "metadata");
    const char *service = json_get_str(json_get_obj(meta, "labels"), SVC_SLICE_SERVICE_KEY);
    struct slice *slice = xcalloc(1, sizeof(*slice));
    auto_json cJSON *cut = cut_slice(object);

    (void)arg;
    slice->service = xasprintf("%s/%s", json_get_str(meta, "namespace"), service ? service : "");
    slice->text = json_print(cut);
    return slice;
}

static void free_slice(void *value)
{
    struct slice *slice = value;

    free(slice->service);
    free(slice->text);
    free(slice);
}

static void on_changed(void *arg, const char *key, const void *before, const void *now)
{
    struct ctl_slices *s = arg;
    const struct slice *was = before, *is = now;

    (void)key;
    if (was)
        s->changed(s->arg, was->service);
    if (is && (!was || strcmp(was->service, is->service)))
        s->changed(s->arg, is->service);
}

/* --- which version --- */

static void set_state(struct ctl_slices *s, enum slices_state state)
{
    if (s->state == state)
        return;
    s->state = state;
    s->changed(s->arg, NULL);
}

static void on_synced(void *arg)
{
    set_state(arg, SLICES_READY);
}

/* Without the right to see them, services have Endpoints at least. */
static void on_failed(void *arg, const struct err *e)
{
    struct ctl_slices *s = arg;

    ctl_on_list_failed(arg, e);
    if (s->state == SLICES_WAIT && e->status == -EKEYREJECTED)
        set_state(s, SLICES_NONE);
    slices_detect(s);
}

static const char *api_of(enum svc_slice_version version)
{
    return version == SVC_SLICE_V1 ? GROUP "/v1" : GROUP "/v1beta1";
}

static void watch(struct ctl_slices *s, enum svc_slice_version version)
{
    static const struct kube_informer_ops ops = {.parse = parse,
                                                 .free_value = free_slice,
                                                 .changed = on_changed,
                                                 .synced = on_synced,
                                                 .failed = on_failed};
    auto_free char *path = xasprintf("%s/endpointslices", api_of(version));

    if (s->informer && s->version == version)
        return;
    log_info("endpoints are written to slices too version=%s",
             version == SVC_SLICE_V1 ? "v1" : "v1beta1");
    kube_informer_free(s->informer);
    s->version = version;
    s->informer = ctl_informer(s->c, path, OURS, &ops, s);
    set_state(s, SLICES_WAIT);
}

static void unwatch(struct ctl_slices *s)
{
    kube_informer_free(s->informer);
    s->informer = NULL;
    set_state(s, SLICES_NONE);
}

static bool has_version(const cJSON *group, const char *name)
{
    const cJSON *version;

    cJSON_ArrayForEach(version, json_get_arr(group, "versions"))
    {
        const char *has = json_get_str(version, "version");

        if (has && !strcmp(has, name))
            return true;
    }
    return false;
}

static void on_group(void *arg, const struct kube_reply *reply)
{
    struct ctl_slices *s = arg;

    s->call = NULL;
    if (reply->status == 0 && has_version(reply->body, "v1")) {
        watch(s, SVC_SLICE_V1);
    } else if (reply->status == 0 && has_version(reply->body, "v1beta1")) {
        watch(s, SVC_SLICE_V1BETA1);
    } else if (reply->status == 0 || reply->status == -ENOENT || reply->status == -EKEYREJECTED) {
        unwatch(s);
    } else {
        log_debug("cannot ask for the versions of EndpointSlice: %s", err_text(reply->err));
        kube_timer_set(s->timer, DETECT_AGAIN_MS);
    }
}

static void ask(void *arg)
{
    struct ctl_slices *s = arg;

    if (!s->call)
        s->call = ctl_send(s->c, "GET", GROUP, NULL, on_group, s);
}

/* Not at once: a server that ends watches is on its way down. */
void slices_detect(struct ctl_slices *s)
{
    kube_timer_set(s->timer, DETECT_MS);
}

/* --- what others ask --- */

enum slices_state slices_state(const struct ctl_slices *s)
{
    return s->state;
}

enum svc_slice_version slices_version(const struct ctl_slices *s)
{
    return s->version;
}

const char *slices_api(const struct ctl_slices *s)
{
    return api_of(s->version);
}

struct search {
    const char *service;
    cJSON *found;
};

static bool take_one(void *arg, const char *key, const void *value)
{
    struct search *search = arg;
    const struct slice *slice = value;
    cJSON *tree;

    (void)key;
    if (!strcmp(slice->service, search->service) &&
        json_parse(slice->text, strlen(slice->text), &tree, NULL) == 0)
        (void)cJSON_AddItemToArray(search->found, tree);
    return true;
}

cJSON *slices_of(const struct ctl_slices *s, const char *key)
{
    struct search search = {.service = key, .found = cJSON_CreateArray()};

    if (s->informer)
        kube_informer_each(s->informer, take_one, &search);
    return search.found;
}

struct ctl_slices *slices_new(struct ctl *c, void (*changed)(void *arg, const char *key), void *arg)
{
    struct ctl_slices *s = xcalloc(1, sizeof(*s));

    *s = (struct ctl_slices){.c = c, .changed = changed, .arg = arg};
    s->timer = kube_timer_new(c->base, ask, s);
    kube_timer_set(s->timer, 0);
    return s;
}

void slices_free(struct ctl_slices *s)
{
    if (!s)
        return;
    kube_call_cancel(s->call);
    kube_timer_free(s->timer);
    kube_informer_free(s->informer);
    free(s);
}
