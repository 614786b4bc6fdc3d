/* Carrying out a plan, one object at a time. Everything here may be cut off at any point: the next
 * run finds what is there, and goes on. */
#include "deploy_plan.h"

#include "deploy_managed.h"
#include "deploy_merge.h"
#include "json.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS 5

static int read_again(const struct deploy_server *s, struct deploy_item *item, struct err **e)
{
    cJSON *live = NULL;
    int r = deploy_get(s, &item->name, &live, e);

    if (r == 0) {
        cJSON_Delete(item->live);
        item->live = live;
    }
    return r;
}

/* --- where the server applies --- */

static void add_op(cJSON *patch, const char *path, cJSON *value)
{
    cJSON *op = cJSON_CreateObject();

    json_add_str(op, "op", "replace");
    json_add_str(op, "path", path);
    cJSON_AddItemToObject(op, "value", value);
    cJSON_AddItemToArray(patch, op);
}

/* Makes `managed` the object's managedFields, if it is still the one that was read. */
static int write_managed(const struct deploy_server *s, const struct deploy_item *item,
                         cJSON *managed, struct err **e)
{
    const char *version = json_get_str(json_get_obj(item->live, "metadata"), "resourceVersion");
    auto_json cJSON *patch = cJSON_CreateArray();

    add_op(patch, "/metadata/managedFields", managed);
    add_op(patch, "/metadata/resourceVersion", cJSON_CreateString(version ? version : ""));
    return deploy_patch(s, &item->name, patch, KUBE_JSON_PATCH, e);
}

/* An object from before the server noted whose a field is: the merge is made here, and from then
 * on it is noted. */
static int begin_managed(const struct deploy_server *s, struct deploy_item *item, struct err **e)
{
    auto_json cJSON *original = deploy_last_applied(item->live);
    auto_json cJSON *merged = deploy_merge(original, item->wanted, item->live);
    cJSON *meta = cJSON_GetObjectItemCaseSensitive(merged, "metadata");
    int r;

    cJSON_DeleteItemFromObjectCaseSensitive(meta, "managedFields");
    cJSON_AddItemToObject(meta, "managedFields",
                          deploy_managed_begun(json_get_str(item->wanted, "apiVersion")));
    r = deploy_replace(s, &item->name, merged, NULL, e);
    return r < 0 ? r : read_again(s, item, e);
}

/* What kubectl has becomes ours, so that what we do not name goes. */
static int take_over(const struct deploy_server *s, struct deploy_item *item, struct err **e)
{
    const char *api = json_get_str(item->wanted, "apiVersion");
    cJSON *managed = deploy_managed_taken(item->live, api);
    int r = 0;

    if (!managed) {
        r = begin_managed(s, item, e);
        managed = r == 0 ? deploy_managed_taken(item->live, api) : NULL;
    }
    return managed ? write_managed(s, item, managed, e) : r;
}

static int apply_on_server(const struct deploy_server *s, struct deploy_item *item, struct err **e)
{
    int r = item->is_taken_over ? take_over(s, item, e) : 0;

    return r < 0 ? r : deploy_apply(s, &item->name, item->wanted, NULL, e);
}

/* --- where it does not --- */

static int apply_by_merge(const struct deploy_server *s, struct deploy_item *item, struct err **e)
{
    auto_json cJSON *original = item->live ? deploy_last_applied(item->live) : NULL;
    auto_json cJSON *merged = item->live ? deploy_merge(original, item->wanted, item->live)
                                         : cJSON_Duplicate(item->wanted, true);
    int r;

    deploy_set_last_applied(merged, item->wanted);
    if (item->live)
        return deploy_replace(s, &item->name, merged, NULL, e);
    r = deploy_create(s, &item->name, merged, NULL, e);
    return r == -EEXIST ? -EAGAIN : r;
}

/* Somebody else may write the object at the same time; conflicts of fields stay. */
static int apply(const struct deploy_server *s, struct deploy_item *item, struct err **e)
{
    int r = -EAGAIN;

    for (int attempt = 0; attempt < ATTEMPTS && r == -EAGAIN; attempt++) {
        if (attempt && read_again(s, item, e) < 0)
            break;
        r = s->has_apply ? apply_on_server(s, item, e) : apply_by_merge(s, item, e);
    }
    return r;
}

/* --- taking away --- */

static bool has_owner(const cJSON *pod, const struct deploy_name *n)
{
    const cJSON *owner;

    cJSON_ArrayForEach(owner, json_get_arr(json_get_obj(pod, "metadata"), "ownerReferences"))
    {
        const char *kind = json_get_str(owner, "kind"), *name = json_get_str(owner, "name");

        if (kind && name && !strcmp(kind, n->kind->kind) && !strcmp(name, n->name))
            return true;
    }
    return false;
}

static const cJSON *match_labels(const cJSON *workload)
{
    return json_get_obj(json_get_obj(json_get_obj(workload, "spec"), "selector"), "matchLabels");
}

/* The pods of a workload as it was: those of a DaemonSet by their owner, of which nothing else need
 * be known, those of a Deployment, which has ReplicaSets in between, by labels. */
static int list_pods(const struct deploy_server *s, const struct deploy_name *n,
                     const cJSON *workload, cJSON **out, struct err **e)
{
    bool by_owner = !strcmp(n->kind->kind, "DaemonSet");
    auto_free char *selector = deploy_selector_query(match_labels(workload));
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/pods", n->ns);
    auto_free char *query = xasprintf("labelSelector=%s", selector);
    auto_json cJSON *all = NULL, *own = cJSON_CreateArray();
    cJSON *pod;
    int r = *selector || by_owner ? deploy_list(s, path, query, &all, e) : 0;

    while (r == 0 && (pod = cJSON_DetachItemFromArray(all, 0))) {
        if (!by_owner || has_owner(pod, n))
            cJSON_AddItemToArray(own, pod);
        else
            cJSON_Delete(pod);
    }
    if (r == 0)
        *out = take(own);
    return r;
}

static int still_there(const struct deploy_server *s, const struct deploy_name *n,
                       const cJSON *workload, char **out_what, struct err **e)
{
    auto_json cJSON *object = NULL, *pods = NULL;
    int r = deploy_get(s, n, &object, e);

    if (r == 0 && !object && workload)
        r = list_pods(s, n, workload, &pods, e);
    if (r < 0)
        return r;
    if (object) {
        const cJSON *finalizers = json_get_arr(json_get_obj(object, "metadata"), "finalizers");
        auto_free char *text = finalizers && finalizers->child ? json_print(finalizers) : NULL;

        *out_what =
            xasprintf("it is still there%s%s", text ? ", with finalizers " : "", text ? text : "");
    } else if (pods && pods->child) {
        const char *node = json_get_str(json_get_obj(pods->child, "spec"), "nodeName");

        *out_what = xasprintf("pods of it that are still there: %d, '%s' on node '%s' first",
                              cJSON_GetArraySize(pods),
                              json_get_str(json_get_obj(pods->child, "metadata"), "name"),
                              node ? node : "");
    }
    return *out_what ? 1 : 0;
}

int deploy_wait_gone(const struct deploy_server *s, const struct deploy_name *n,
                     const cJSON *workload, int64_t deadline_ms, struct err **e)
{
    auto_free char *name = deploy_name_text(n), *told = NULL;

    for (bool is_first = true;; is_first = false) {
        auto_free char *what = NULL;
        auto_err struct err *why = NULL;
        int r = still_there(s, n, workload, &what, &why);

        if (r == 0)
            return 0;
        if (r < 0 && !deploy_is_passing(r))
            return err_set(e, r, "%s", err_text(why));
        if (deploy_now_ms() >= deadline_ms)
            return err_set(e, -ETIMEDOUT, "%s does not go: %s", name, r < 0 ? err_text(why) : what);
        if (!is_first && r > 0 && (!told || strcmp(told, what) != 0)) {
            log_info("waiting for %s to go: %s", name, what);
            free(told);
            told = take(what);
        }
        r = deploy_pause(e);
        if (r < 0)
            return r;
    }
}

/* Pods that the new DaemonSet selects are left for it to adopt; others go with the old one. */
static const char *policy_of(const struct deploy_item *item)
{
    const cJSON *template = json_get_obj(json_get_obj(item->live, "spec"), "template");

    return !strcmp(item->name.kind->kind, "DaemonSet") &&
                   deploy_selects(match_labels(item->wanted),
                                  json_get_obj(json_get_obj(template, "metadata"), "labels"))
               ? "Orphan"
               : "Background";
}

static int recreate(const struct deploy_server *s, struct deploy_item *item, int64_t deadline_ms,
                    struct err **e)
{
    bool is_deployment = !strcmp(item->name.kind->kind, "Deployment");
    cJSON *before = item->live;
    int r = deploy_delete(s, &item->name, policy_of(item), e);

    if (r == 0)
        r = deploy_wait_gone(s, &item->name, is_deployment ? before : NULL, deadline_ms, e);
    if (r < 0)
        return r;
    item->live = NULL;
    item->is_taken_over = false;
    r = apply(s, item, e);
    cJSON_Delete(item->live);
    item->live = before;
    return r;
}

int deploy_item_apply(const struct deploy_server *s, struct deploy_item *item, int64_t deadline_ms,
                      struct err **e)
{
    int r;

    switch (item->action) {
    case DEPLOY_CREATE:
    case DEPLOY_CONFIGURE:
        return apply(s, item, e);
    case DEPLOY_RECREATE:
        return recreate(s, item, deadline_ms, e);
    case DEPLOY_DELETE:
        r = deploy_delete(s, &item->name, "Background", e);
        return r < 0 ? r : deploy_wait_gone(s, &item->name, item->live, deadline_ms, e);
    default:
        return 0;
    }
}
