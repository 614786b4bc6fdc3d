/* Reading the flat network of a cluster. */
#include "netview.h"

#include "cmd_subnet.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM "/api/v1/namespaces/kube-system/"
#define CONTROLLER "/apis/apps/v1/namespaces/kube-system/deployments/network-controller"
#define LEASES "/apis/coordination.k8s.io/"
#define LEASE "/namespaces/kube-system/leases/network-controller"

const struct netview_kind netview_kinds[NETVIEW_KINDS] = {
    {"Deployment", "deployment", "deployments", "deploy", "/apis/apps/v1", NULL},
    {"StatefulSet", "statefulset", "statefulsets", "sts", "/apis/apps/v1", NULL},
    {"DaemonSet", "daemonset", "daemonsets", "ds", "/apis/apps/v1", NULL},
    {"Job", "job", "jobs", NULL, "/apis/batch/v1", NULL},
    /* The first from Kubernetes 1.21, the second until 1.24. */
    {"CronJob", "cronjob", "cronjobs", "cj", "/apis/batch/v1", "/apis/batch/v1beta1"},
};

struct reading {
    struct cluster *cluster;
    const char *namespace;
    struct err **e;
};

/* "API/WORDS", in the one namespace where there is one. */
static char *path_of(const struct reading *r, const char *api, const char *words)
{
    if (!r->namespace)
        return xasprintf("%s/%s", api, words);
    return xasprintf("%s/namespaces/%s/%s", api, r->namespace, words);
}

static int list(const struct reading *r, const char *api, const char *words, cJSON **out)
{
    auto_free char *path = path_of(r, api, words);

    return kube_list(r->cluster->kube, path, out, r->e);
}

/* Something that need not be there. */
static int get_if_there(const struct reading *r, const char *path, cJSON **out)
{
    int status = kube_get(r->cluster->kube, path, out, r->e);

    return status == -ENOENT ? 0 : status;
}

static int read_subnets(const struct reading *r, cJSON **out)
{
    int status = kube_list(r->cluster->kube, SUBNETS_PATH, out, r->e);

    if (status == -ENOENT)
        return err_set(
            r->e, -ENOENT,
            "the cluster at '%s' has no MacvlanSubnets, so that the addons are not in it: "
            "see flatnet-addons(1)",
            r->cluster->config.server);
    return status;
}

static int read_workloads(const struct reading *r, struct netview *v)
{
    int status = 0;

    for (size_t i = 0; i < NETVIEW_KINDS && status == 0; i++) {
        const struct netview_kind *k = &netview_kinds[i];

        status = list(r, k->api, k->words, &v->workloads[i]);
        if (status == -ENOENT && k->other_api)
            status = list(r, k->other_api, k->words, &v->workloads[i]);
    }
    return status;
}

static int read_services(const struct reading *r, struct netview *v)
{
    int status = list(r, "/api/v1", "services", &v->services);

    return status < 0 ? status : list(r, "/api/v1", "endpoints", &v->endpoints);
}

static int read_nads(const struct reading *r, struct netview *v)
{
    int status = list(r, "/apis/k8s.cni.cncf.io/v1", "network-attachment-definitions", &v->nads);

    return status == -ENOENT ? 0 : status;
}

static int read_spaces(const struct reading *r, struct netview *v)
{
    int status = kube_list(r->cluster->kube, "/api/v1/namespaces", &v->namespaces, r->e);

    return status < 0 ? status : read_nads(r, v);
}

/* --- the controller --- */

static bool is_text(const cJSON *item, const char *text)
{
    return cJSON_IsString(item) && !strcmp(item->valuestring, text);
}

/* Whether an argument is there, as "--a b" or "--a=b". */
static bool has_argument(const cJSON *arguments, const char *name, const char *value)
{
    auto_free char *joined = value ? xasprintf("%s=%s", name, value) : xstrdup(name);
    const cJSON *item;

    cJSON_ArrayForEach(item, arguments)
    {
        if (is_text(item, joined) || (value && is_text(item, name) && is_text(item->next, value)))
            return true;
    }
    return false;
}

static void read_arguments(struct netview *v)
{
    const cJSON *template = json_get_obj(json_get_obj(v->controller, "spec"), "template");
    const cJSON *container;

    cJSON_ArrayForEach(container, json_get_arr(json_get_obj(template, "spec"), "containers"))
    {
        const cJSON *arguments = json_get_arr(container, "args");

        if (has_argument(arguments, "--mode", "chained"))
            v->is_multus = false;
        if (has_argument(arguments, "--legacy-octet-rule", NULL))
            v->has_legacy_octets = true;
    }
}

static int read_lease(const struct reading *r, struct netview *v)
{
    int status = get_if_there(r, LEASES "v1" LEASE, &v->lease);

    if (status == 0 && !v->lease)
        status = get_if_there(r, LEASES "v1beta1" LEASE, &v->lease);
    if (status == 0 && !v->lease)
        status = get_if_there(r, SYSTEM "configmaps/network-controller", &v->lease);
    return status;
}

static int read_controller(const struct reading *r, struct netview *v)
{
    auto_json cJSON *resources = NULL;
    int status = get_if_there(r, CONTROLLER, &v->controller);

    if (status == 0)
        status = read_lease(r, v);
    if (status == 0)
        status = get_if_there(r, "/apis/k8s.cni.cncf.io/v1", &resources);
    v->is_multus = resources != NULL;
    read_arguments(v);
    return status;
}

int netview_read(struct cluster *c, unsigned parts, const char *namespace, struct netview *out,
                 struct err **e)
{
    struct reading r = {c, namespace, e};
    int status = 0;

    if (parts & NETVIEW_SUBNETS)
        status = read_subnets(&r, &out->subnets);
    if (status == 0 && parts & NETVIEW_IPS)
        status = kube_list(c->kube, "/apis/macvlan.cluster.cattle.io/v1/macvlanips", &out->ips, e);
    if (status == 0 && parts & NETVIEW_PODS)
        status = list(&r, "/api/v1", "pods", &out->pods);
    if (status == 0 && parts & NETVIEW_WORKLOADS)
        status = read_workloads(&r, out);
    if (status == 0 && parts & NETVIEW_SERVICES)
        status = read_services(&r, out);
    if (status == 0 && parts & NETVIEW_SPACES)
        status = read_spaces(&r, out);
    if (status == 0 && parts & NETVIEW_EVENTS)
        status =
            list(&r, "/api/v1", "events?fieldSelector=involvedObject.kind%3DPod%2Ctype%3DWarning",
                 &out->events);
    if (status == 0 && parts & NETVIEW_CONTROLLER)
        status = read_controller(&r, out);
    return status;
}

void netview_release(struct netview *v)
{
    cJSON_Delete(v->subnets);
    cJSON_Delete(v->ips);
    cJSON_Delete(v->pods);
    cJSON_Delete(v->services);
    cJSON_Delete(v->endpoints);
    cJSON_Delete(v->namespaces);
    cJSON_Delete(v->events);
    cJSON_Delete(v->nads);
    for (size_t i = 0; i < NETVIEW_KINDS; i++)
        cJSON_Delete(v->workloads[i]);
    cJSON_Delete(v->controller);
    cJSON_Delete(v->lease);
    *v = (struct netview){.subnets = NULL};
}
