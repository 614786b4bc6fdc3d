/* Companions of services: made, kept as they must be, and deleted. */
#include "ctl_services.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"
#include "svc_companion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A write that is under way. */
struct deed {
    struct ctl_services *s;
    char *key; /* of the source */
    const char *what;
    bool is_create;
    struct kube_call *call;
    struct deed *prev, *next;
};

static void end_deed(struct deed *d)
{
    kube_call_cancel(d->call);
    DL_DELETE(d->s->deeds, d);
    free(d->key);
    free(d);
}

void companions_cancel(struct ctl_services *s)
{
    while (s->deeds)
        end_deed(s->deeds);
}

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct deed *d = arg;
    struct service *source = services_get(d->s, d->key);

    d->call = NULL;
    /* Whoever is gone needs nothing any more, and a service that is gone tells of it. */
    if (reply->status == 0 || !source || (reply->status == -ENOENT && !d->is_create)) {
        if (source)
            source->companion_due_ms = kube_now_ms() + WRITE_GAP_MS;
        kube_queue_done(d->s->queue, d->key);
    } else {
        ctl_retry(d->s->queue, d->key, d->what, reply);
    }
    end_deed(d);
}

static struct deed *begin_deed(struct ctl_services *s, const char *key, const char *what)
{
    struct deed *d = xcalloc(1, sizeof(*d));

    d->s = s;
    d->key = xstrdup(key);
    d->what = what;
    DL_APPEND(s->deeds, d);
    return d;
}

/* Path of the companion of that source, or of the collection that it is in. */
static char *path_of(const char *source_key, bool is_collection)
{
    auto_free char *ns = NULL;
    const char *name = ctl_split(source_key, &ns);

    return is_collection ? xasprintf(SERVICES, ns)
                         : xasprintf(SERVICES "/%s" SVC_COMPANION_SUFFIX, ns, name);
}

static const char *uid_of(const cJSON *service)
{
    return json_get_str(json_get_obj(service, "metadata"), "uid");
}

static void drop(struct ctl_services *s, const char *key, const cJSON *existing, const char *why)
{
    auto_free char *path = path_of(key, false);
    struct deed *d;

    if (!ctl_may_write(s->c))
        return;
    log_info("%s: its macvlan service is deleted: %s", key, why);
    d = begin_deed(s, key, "delete its macvlan service");
    d->call = ctl_delete(s->c, path, uid_of(existing), on_written, d);
}

static void create(struct ctl_services *s, const char *key, cJSON *body, const char *why)
{
    auto_free char *path = path_of(key, true);
    struct deed *d;

    if (!ctl_may_write(s->c))
        return;
    log_info("%s: a macvlan service is made: %s", key, why);
    d = begin_deed(s, key, "make its macvlan service");
    d->is_create = true;
    d->call = ctl_send(s->c, "POST", path, body, on_written, d);
}

/* The UID makes it a conflict where another service bears the name by now. */
static void patch(struct ctl_services *s, const char *key, const cJSON *existing, cJSON *body,
                  const char *why)
{
    auto_free char *path = path_of(key, false);
    cJSON *meta = cJSON_GetObjectItemCaseSensitive(body, "metadata");
    struct deed *d;

    if (!ctl_may_write(s->c))
        return;
    log_info("%s: its macvlan service is changed: %s", key, why);
    if (!meta)
        meta = cJSON_AddObjectToObject(body, "metadata");
    json_add_str(meta, "uid", uid_of(existing));
    d = begin_deed(s, key, "change its macvlan service");
    d->call = ctl_send(s->c, "PATCH", path, body, on_written, d);
}

/* False where nothing has to be done. */
static bool act(struct ctl_services *s, const char *key, const cJSON *existing,
                struct svc_companion *plan)
{
    switch (plan->action) {
    case SVC_LEAVE:
        return false;
    case SVC_CREATE:
        create(s, key, take(plan->body), plan->why);
        break;
    case SVC_PATCH:
        patch(s, key, existing, take(plan->body), plan->why);
        break;
    case SVC_DELETE:
        drop(s, key, existing, plan->why);
    }
    return true;
}

/* The source is there. */
static bool decide(struct ctl_services *s, struct service *source, const struct service *companion)
{
    auto_free char *ns = NULL;
    const struct service_space *space;
    auto_json cJSON *tree = NULL, *existing = NULL;
    auto_companion struct svc_companion plan = {.why = ""};
    struct svc_demand demand = {.selected = 0};
    const struct ctl_pod *pod;

    (void)ctl_split(source->key, &ns);
    space = services_space(s, ns);
    if ((!companion && !space->n_macvlan) || ctl_spaces_is_deleting(s->c->spaces, ns) ||
        (services_have_rival(s) && !(companion && companion->is_companion)))
        return false;
    tree = services_tree(source);
    existing = services_tree(companion);
    DL_FOREACH(space->pods, pod)
    svc_demand_add(&demand, tree, pod->svc);
    svc_companion_plan(tree, existing, &demand, &plan);
    if (!source->has_networks)
        services_tell(s, source, plan.warning);
    return act(s, source->key, existing, &plan);
}

/* The source is gone: so must be what was made for it. A garbage collector is as welcome to do it.
 * Both are in one collection, so that what the store shows of them is of one time. */
static bool clear(struct ctl_services *s, const char *key, const struct service *companion)
{
    auto_json cJSON *existing = services_tree(companion);
    const cJSON *owners = json_get_arr(json_get_obj(existing, "metadata"), "ownerReferences");
    const char *kind = json_get_str(owners ? owners->child : NULL, "kind");
    const char *name = json_get_str(owners ? owners->child : NULL, "name");

    if (!companion || !companion->is_companion || companion->is_deleting || !kind || !name ||
        strcmp(kind, "Service") || strcmp(name, strchr(key, '/') + 1))
        return false;
    drop(s, key, existing, "the service is gone");
    return true;
}

static bool handle_now(struct ctl_services *s, const char *key, struct service *source)
{
    auto_free char *companion_key = svc_companion_name(key);
    const struct service *companion = services_get(s, companion_key);

    if (!source)
        return clear(s, key, companion);
    if (decide(s, source, companion))
        return true;
    source->companion_due_ms = kube_now_ms() + LOOK_GAP_MS;
    return false;
}

void companions_handle(void *arg, const char *key)
{
    struct ctl_services *s = arg;
    struct service *source = services_get(s, key);
    int64_t wait_ms = source ? source->companion_due_ms - kube_now_ms() : 0;

    if (wait_ms > 0)
        kube_queue_add_after(s->queue, key, wait_ms);
    else if (handle_now(s, key, source))
        return;
    kube_queue_done(s->queue, key);
}
