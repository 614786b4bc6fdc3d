/* Kinds, names and paths of what is deployed. */
#include "deploy_object.h"

#include "http.h"
#include "json.h"
#include "kube/kube_client.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RBAC "rbac.authorization.k8s.io/v1"
#define CRD "apiextensions.k8s.io/v1"
#define WEBHOOK "admissionregistration.k8s.io/v1"
#define QUERY_MAX 4096

/* Whoever uses something comes behind it; what takes part in the admission of others is last. */
static const struct deploy_kind kinds[] = {
    {"Namespace", "namespaces", "v1", NULL, false, 0},
    {"CustomResourceDefinition", "customresourcedefinitions", CRD, CRD "beta1", false, 1},
    {"ServiceAccount", "serviceaccounts", "v1", NULL, true, 2},
    {"ClusterRole", "clusterroles", RBAC, NULL, false, 3},
    {"ClusterRoleBinding", "clusterrolebindings", RBAC, NULL, false, 4},
    {"Role", "roles", RBAC, NULL, true, 5},
    {"RoleBinding", "rolebindings", RBAC, NULL, true, 6},
    {"ConfigMap", "configmaps", "v1", NULL, true, 7},
    {"Service", "services", "v1", NULL, true, 8},
    {"DaemonSet", "daemonsets", "apps/v1", NULL, true, 9},
    {"Deployment", "deployments", "apps/v1", NULL, true, 10},
    {"ValidatingWebhookConfiguration", "validatingwebhookconfigurations", WEBHOOK, WEBHOOK "beta1",
     false, 11},
    {NULL, NULL, NULL, NULL, false, 0},
};

const struct deploy_kind *deploy_kinds(void)
{
    return kinds;
}

const struct deploy_kind *deploy_kind_find(const char *kind)
{
    for (const struct deploy_kind *k = kinds; k->kind; k++)
        if (!strcmp(k->kind, kind))
            return k;
    return NULL;
}

static bool is_name(const char *text)
{
    return kube_name_is_valid(text);
}

int deploy_name_of(const cJSON *object, struct deploy_name *out, struct err **e)
{
    const cJSON *meta = json_get_obj(object, "metadata");
    const char *kind = json_get_str(object, "kind"), *name = json_get_str(meta, "name");
    const char *ns = json_get_str(meta, "namespace");
    const struct deploy_kind *k = kind ? deploy_kind_find(kind) : NULL;

    if (!kind || !json_get_str(object, "apiVersion"))
        return err_set(e, -EINVAL, "an object without apiVersion or kind");
    if (!k)
        return err_set(e, -EINVAL, "objects of the kind '%s' are not deployed", kind);
    if (!is_name(name) || (ns && !is_name(ns)))
        return err_set(e, -EINVAL, "a %s without a name that can be one", kind);
    *out = (struct deploy_name){.kind = k,
                                .ns = xstrdup(!k->is_namespaced ? ""
                                              : ns              ? ns
                                                                : "default"),
                                .name = xstrdup(name)};
    return 0;
}

int deploy_name_parse(const char *text, struct deploy_name *out, struct err **e)
{
    const char *space = strchr(text, ' '), *slash = space ? strchr(space, '/') : NULL;
    auto_free char *kind = xstrndup(text, space ? (size_t)(space - text) : 0);
    auto_free char *ns = slash ? xstrndup(space + 1, (size_t)(slash - space - 1)) : xstrdup("");
    const char *name = slash ? slash + 1 : space ? space + 1 : "";
    const struct deploy_kind *k = deploy_kind_find(kind);

    if (!k || !is_name(name) || k->is_namespaced != (slash != NULL) || (slash && !is_name(ns)))
        return err_set(e, -EINVAL, "'%s' names no object that is deployed", text);
    *out = (struct deploy_name){.kind = k, .ns = take(ns), .name = xstrdup(name)};
    return 0;
}

char *deploy_name_text(const struct deploy_name *n)
{
    return xasprintf("%s %s%s%s", n->kind->kind, n->ns, *n->ns ? "/" : "", n->name);
}

bool deploy_name_equal(const struct deploy_name *a, const struct deploy_name *b)
{
    return a->kind == b->kind && !strcmp(a->ns, b->ns) && !strcmp(a->name, b->name);
}

struct deploy_name deploy_name_copy(const struct deploy_name *n)
{
    return (struct deploy_name){.kind = n->kind, .ns = xstrdup(n->ns), .name = xstrdup(n->name)};
}

void deploy_name_release(struct deploy_name *n)
{
    free(n->ns);
    free(n->name);
    *n = (struct deploy_name){.kind = NULL};
}

bool deploy_is_flannel(const struct deploy_name *n)
{
    return !strcmp(n->name, "flannel") || !strncmp(n->name, "kube-flannel", 12);
}

const char *deploy_api(const struct deploy_kind *kind, int minor)
{
    return kind->old_api && minor < 16 ? kind->old_api : kind->api;
}

char *deploy_path(const struct deploy_kind *kind, int minor, const char *ns, const char *name)
{
    const char *api = deploy_api(kind, minor);
    bool has_ns = kind->is_namespaced && ns;

    return xasprintf("%s/%s%s%s/%s%s%s", strchr(api, '/') ? "/apis" : "/api", api,
                     has_ns ? "/namespaces/" : "", has_ns ? ns : "", kind->plural, name ? "/" : "",
                     name ? name : "");
}

static void complete_ports(cJSON *ports)
{
    cJSON *port;

    cJSON_ArrayForEach(port, ports)
    {
        if (!cJSON_GetObjectItemCaseSensitive(port, "protocol"))
            json_add_str(port, "protocol", "TCP");
    }
}

static void complete_containers(cJSON *containers)
{
    cJSON *container;

    cJSON_ArrayForEach(container, containers)
    {
        complete_ports(cJSON_GetObjectItemCaseSensitive(container, "ports"));
    }
}

void deploy_complete(cJSON *object)
{
    cJSON *meta = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    cJSON *labels = cJSON_GetObjectItemCaseSensitive(meta, "labels");
    cJSON *spec = cJSON_GetObjectItemCaseSensitive(object, "spec");
    cJSON *pod =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(spec, "template"),
                                         "spec");

    complete_ports(cJSON_GetObjectItemCaseSensitive(spec, "ports"));
    complete_containers(cJSON_GetObjectItemCaseSensitive(pod, "containers"));
    complete_containers(cJSON_GetObjectItemCaseSensitive(pod, "initContainers"));
    if (!labels)
        labels = cJSON_AddObjectToObject(meta, "labels");
    cJSON_DeleteItemFromObjectCaseSensitive(labels, DEPLOY_MANAGER_KEY);
    json_add_str(labels, DEPLOY_MANAGER_KEY, DEPLOY_MANAGER);
}

const char *deploy_fixed_field(const cJSON *live, const cJSON *wanted)
{
    const char *kind = json_get_str(wanted, "kind");
    bool is_binding = kind && (!strcmp(kind, "RoleBinding") || !strcmp(kind, "ClusterRoleBinding"));
    bool is_workload = kind && (!strcmp(kind, "DaemonSet") || !strcmp(kind, "Deployment"));

    if (is_binding &&
        !cJSON_Compare(json_get_obj(live, "roleRef"), json_get_obj(wanted, "roleRef"), true))
        return "roleRef";
    if (is_workload && !cJSON_Compare(json_get_obj(json_get_obj(live, "spec"), "selector"),
                                      json_get_obj(json_get_obj(wanted, "spec"), "selector"), true))
        return "spec.selector";
    return NULL;
}

bool deploy_selects(const cJSON *match_labels, const cJSON *labels)
{
    const cJSON *label;

    cJSON_ArrayForEach(label, match_labels)
    {
        const char *has = json_get_str(labels, label->string);

        if (!has || !cJSON_IsString(label) || strcmp(has, label->valuestring) != 0)
            return false;
    }
    return match_labels && match_labels->child;
}

char *deploy_selector_query(const cJSON *match_labels)
{
    const cJSON *label;
    struct buf text;
    auto_buf struct buf plain;

    buf_init(&plain, QUERY_MAX);
    buf_init(&text, (size_t)QUERY_MAX * 3);
    cJSON_ArrayForEach(label, match_labels)
    {
        (void)buf_addf(&plain, "%s%s=%s", plain.len ? "," : "", label->string,
                       cJSON_IsString(label) ? label->valuestring : "");
    }
    http_url_encode(&text, plain.data);
    return buf_steal(&text);
}
