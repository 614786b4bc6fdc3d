/* Custom resources, and what the controller leaves. */
#include "deploy.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <string.h>

#define MACVLAN_API "/apis/macvlan.cluster.cattle.io/v1"
#define NETWORK_API "/apis/k8s.cni.cncf.io/v1"
#define NETWORKS "network-attachment-definitions"
#define OWN_NETWORK "static-macvlan-cni-attach"
#define OWN_SERVICES "labelSelector=macvlan.panda.io%2Fmanaged-by%3Dnetwork-controller.flatnet"

static const char *uid_of(const cJSON *object)
{
    return json_get_str(json_get_obj(object, "metadata"), "uid");
}

static bool has_ended(const cJSON *pod)
{
    const char *phase = json_get_str(json_get_obj(pod, "status"), "phase");

    return phase && (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"));
}

static size_t count_in_use(const cJSON *ips, const cJSON *pods)
{
    auto_json cJSON *alive = cJSON_CreateObject();
    const cJSON *item;
    size_t n = 0;

    cJSON_ArrayForEach(item, pods)
    {
        if (uid_of(item) && !has_ended(item))
            (void)cJSON_AddTrueToObject(alive, uid_of(item));
    }
    cJSON_ArrayForEach(item, ips)
    {
        const char *pod = json_get_str(json_get_obj(item, "spec"), "podId");

        n += pod && cJSON_GetObjectItemCaseSensitive(alive, pod);
    }
    return n;
}

static size_t count_own(const cJSON *networks)
{
    const cJSON *item;
    size_t n = 0;

    cJSON_ArrayForEach(item, networks)
    {
        const char *name = json_get_str(json_get_obj(item, "metadata"), "name");

        n += name && !strcmp(name, OWN_NETWORK);
    }
    return n;
}

int deploy_resources_read(const struct deploy_server *s, struct deploy_resources *out,
                          struct err **e)
{
    struct deploy_resources res = {.n_in_use = 0};
    auto_json cJSON *pods = NULL;
    int r = deploy_list(s, MACVLAN_API "/macvlansubnets", NULL, &res.subnets, e);

    if (r == 0)
        r = deploy_list(s, MACVLAN_API "/macvlanips", NULL, &res.ips, e);
    if (r == 0)
        r = deploy_list(s, NETWORK_API "/" NETWORKS, NULL, &res.networks, e);
    if (r == 0 && res.ips->child)
        r = deploy_list(s, "/api/v1/pods", NULL, &pods, e);
    if (r < 0) {
        deploy_resources_release(&res);
        return r;
    }
    res.n_in_use = count_in_use(res.ips, pods);
    res.n_own_networks = count_own(res.networks);
    *out = res;
    return 0;
}

void deploy_resources_release(struct deploy_resources *r)
{
    cJSON_Delete(r->subnets);
    cJSON_Delete(r->ips);
    cJSON_Delete(r->networks);
    *r = (struct deploy_resources){.n_in_use = 0};
}

/* --- purging --- */

static bool is_own_finalizer(const char *text)
{
    return !strcmp(text, "macvlan.cluster.cattle.io/in-use") ||
           !strcmp(text, "macvlan.panda.io/ipDelayReuse");
}

/* The merge-patch that takes ours away, if nobody has written the object since; NULL: there is
 * none. */
static cJSON *finalizer_patch(const cJSON *object)
{
    const cJSON *meta = json_get_obj(object, "metadata"), *item;
    cJSON *patch = cJSON_CreateObject(), *to = cJSON_AddObjectToObject(patch, "metadata");
    cJSON *left = cJSON_AddArrayToObject(to, "finalizers");
    bool has_own = false;

    json_copy(to, meta, "resourceVersion");
    cJSON_ArrayForEach(item, json_get_arr(meta, "finalizers"))
    {
        if (cJSON_IsString(item) && is_own_finalizer(item->valuestring))
            has_own = true;
        else
            cJSON_AddItemToArray(left, cJSON_Duplicate(item, true));
    }
    if (has_own)
        return patch;
    cJSON_Delete(patch);
    return NULL;
}

static char *path_of(const char *api, const char *plural, const cJSON *object)
{
    const cJSON *meta = json_get_obj(object, "metadata");
    const char *ns = json_get_str(meta, "namespace"), *name = json_get_str(meta, "name");

    return kube_name_is_valid(ns) && kube_name_is_valid(name)
               ? xasprintf("%s/namespaces/%s/%s/%s", api, ns, plural, name)
               : NULL;
}

static int delete_one(const struct deploy_server *s, const char *path, const cJSON *object,
                      struct err **e)
{
    auto_json cJSON *patch = finalizer_patch(object);
    auto_err struct err *why = NULL;
    int r = 0;

    if (patch)
        r = kube_do(s->kube,
                    &(struct kube_request){.method = "PATCH",
                                           .path = path,
                                           .body = patch,
                                           .content = KUBE_MERGE_PATCH},
                    NULL, &why);
    if (r < 0 && r != -ENOENT)
        return err_set(e, r, "'%s': %s", path, err_text(why));
    return r == -ENOENT ? 0 : deploy_delete_path(s, path, "Background", e);
}

static int delete_all(const struct deploy_server *s, const char *api, const char *plural,
                      const cJSON *items, const char *only, struct err **e)
{
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, items)
    {
        const char *name = json_get_str(json_get_obj(item, "metadata"), "name");
        auto_free char *path = path_of(api, plural, item);

        if (r == 0 && path && (!only || (name && !strcmp(name, only))))
            r = delete_one(s, path, item, e);
    }
    return r;
}

int deploy_resources_purge(const struct deploy_server *s, const struct deploy_resources *res,
                           struct err **e)
{
    auto_json cJSON *services = NULL;
    int r = deploy_list(s, "/api/v1/services", OWN_SERVICES, &services, e);

    if (r == 0)
        r = delete_all(s, "/api/v1", "services", services, NULL, e);
    if (r == 0)
        r = delete_all(s, MACVLAN_API, "macvlanips", res->ips, NULL, e);
    if (r == 0)
        r = delete_all(s, MACVLAN_API, "macvlansubnets", res->subnets, NULL, e);
    if (r == 0)
        r = delete_all(s, NETWORK_API, NETWORKS, res->networks, OWN_NETWORK, e);
    return r;
}

int deploy_leftovers_delete(const struct deploy_server *s, struct err **e)
{
    static const char *const paths[] = {
        "/apis/coordination.k8s.io/v1/namespaces/" DEPLOY_NS "/leases/network-controller",
        "/api/v1/namespaces/" DEPLOY_NS "/configmaps/network-controller",
        "/api/v1/namespaces/" DEPLOY_NS "/secrets/network-controller-webhook",
    };
    int r = 0;

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && r == 0; i++)
        r = deploy_delete_path(s, paths[i], "Background", e);
    return r;
}
