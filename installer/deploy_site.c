/* What a cluster has already that a deploy has to know of. */
#include "deploy_inventory.h"

#include "json.h"
#include "mem.h"

#include <string.h>

/* The workloads of the 2019 file, whose names ours do not have. */
static const struct {
    const char *kind, *name;
} old_workloads[] = {
    {"DaemonSet", "kube-multus-ds-amd64"},  {"DaemonSet", "network-cni-ds-amd64"},
    {"DaemonSet", "kube-flannel-ds-amd64"}, {"DaemonSet", "kube-flannel-ds-arm64"},
    {"DaemonSet", "kube-flannel-ds-arm"},   {"DaemonSet", "kube-flannel-ds-ppc64le"},
    {"DaemonSet", "kube-flannel-ds-s390x"}, {"Deployment", "kube-net-attach-def-controller"},
};
_Static_assert(sizeof(old_workloads) / sizeof(old_workloads[0]) <=
                   sizeof(((struct deploy_site *)NULL)->obsolete) / sizeof(struct deploy_name),
               "all of them must find room");

static int find_obsolete(const struct deploy_server *s, struct deploy_site *site, struct err **e)
{
    int r = 0;

    for (size_t i = 0; i < sizeof(old_workloads) / sizeof(old_workloads[0]) && r == 0; i++) {
        struct deploy_name n = {.kind = deploy_kind_find(old_workloads[i].kind),
                                .ns = xstrdup(DEPLOY_NS),
                                .name = xstrdup(old_workloads[i].name)};
        auto_json cJSON *live = NULL;

        r = deploy_get(s, &n, &live, e);
        if (r == 0 && live)
            site->obsolete[site->n_obsolete++] = n;
        else
            deploy_name_release(&n);
    }
    return r;
}

/* RKE keeps all files of addons_include in one ConfigMap, and those of the cluster's YAML in
 * another; its jobs apply them whenever the cluster is updated. */
static int find_rke(const struct deploy_server *s, struct deploy_site *site, struct err **e)
{
    static const char *const names[] = {"rke-user-includes-addons", "rke-user-addon"};
    static const char *const ours[] = {"static-macvlan-cni", "macvlan.cluster.cattle.io"};
    int r = 0;

    for (size_t i = 0; i < 2 && r == 0 && !site->rke_config; i++) {
        auto_deploy_name struct deploy_name n = {.kind = deploy_kind_find("ConfigMap"),
                                                 .ns = xstrdup(DEPLOY_NS),
                                                 .name = xstrdup(names[i])};
        auto_json cJSON *live = NULL;
        const cJSON *file;

        r = deploy_get(s, &n, &live, e);
        cJSON_ArrayForEach(file, json_get_obj(live, "data"))
        {
            for (size_t j = 0; j < 2 && cJSON_IsString(file) && !site->rke_config; j++)
                if (strstr(file->valuestring, ours[j]))
                    site->rke_config = xstrdup(names[i]);
        }
    }
    return r;
}

char *deploy_rke_text(const struct deploy_site *site)
{
    return xasprintf("the addons of this cluster came through RKE (ConfigMap "
                     "'kube-system/%s'): whenever it updates the cluster, its job "
                     "'%s-deploy-job' puts its file back. Renew the file that it reads instead: "
                     "'flatnet addons render' with the same options, then 'flatnet addons copy'",
                     site->rke_config, site->rke_config);
}

static bool is_network(const char *image)
{
    static const char *const words[] = {"flannel", "calico",      "canal", "cilium",
                                        "weave",   "kube-router", "antrea"};

    for (size_t i = 0; image && i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(image, words[i]))
            return true;
    return false;
}

static bool is_known(const struct deploy_site *site, const char *ns, const char *name)
{
    if (strcmp(ns, DEPLOY_NS) != 0)
        return false;
    for (size_t i = 0; i < site->n_obsolete; i++)
        if (!strcmp(site->obsolete[i].name, name))
            return true;
    return !strcmp(name, "kube-flannel-ds");
}

/* Two pod networks at a time would take the nodes' interfaces and routes from each other. */
static int find_other_network(const struct deploy_server *s, struct deploy_site *site,
                              struct err **e)
{
    auto_json cJSON *items = NULL;
    const cJSON *ds, *container;
    int r = deploy_list(s, "/apis/apps/v1/daemonsets", NULL, &items, e);

    cJSON_ArrayForEach(ds, items)
    {
        const cJSON *meta = json_get_obj(ds, "metadata");
        const char *ns = json_get_str(meta, "namespace"), *name = json_get_str(meta, "name");
        const cJSON *pod = json_get_obj(json_get_obj(json_get_obj(ds, "spec"), "template"), "spec");

        if (!ns || !name || is_known(site, ns, name) || site->other_network)
            continue;
        cJSON_ArrayForEach(container, json_get_arr(pod, "containers"))
        {
            const char *image = json_get_str(container, "image");

            if (is_network(image) && !site->other_network)
                site->other_network = xasprintf("DaemonSet %s/%s ('%s')", ns, name, image);
        }
    }
    return r;
}

int deploy_site_read(const struct deploy_server *s, struct deploy_site *out, struct err **e)
{
    struct deploy_site site = {.n_obsolete = 0};
    int r = find_obsolete(s, &site, e);

    if (r == 0)
        r = find_rke(s, &site, e);
    if (r == 0)
        r = find_other_network(s, &site, e);
    if (r < 0)
        deploy_site_release(&site);
    else
        *out = site;
    return r;
}

void deploy_site_release(struct deploy_site *site)
{
    for (size_t i = 0; i < site->n_obsolete; i++)
        deploy_name_release(&site->obsolete[i]);
    mem_free_ptr(&site->rke_config);
    mem_free_ptr(&site->other_network);
    *site = (struct deploy_site){.n_obsolete = 0};
}
