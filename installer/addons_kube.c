/* The deprecation guide of Kubernetes as a table, and the shapes of its workloads. */
#include "addons_kube.h"

#include "mem.h"

#include <string.h>

#define APPS_INSTEAD "apps/v1, which wants a spec.selector"
#define INGRESS_INSTEAD "networking.k8s.io/v1, which has another spec"

/* https://kubernetes.io/docs/reference/using-api/deprecation-guide/ and the release notes. */
static const struct addons_api table[] = {
    {"extensions/v1beta1", "Ingress", 0, 22, INGRESS_INSTEAD},
    {"extensions/v1beta1", "NetworkPolicy", 0, 16, "networking.k8s.io/v1"},
    {"extensions/v1beta1", "PodSecurityPolicy", 0, 16, "policy/v1beta1"},
    {"extensions/v1beta1", NULL, 0, 16, APPS_INSTEAD},
    {"apps/v1beta1", NULL, 0, 16, APPS_INSTEAD},
    {"apps/v1beta2", NULL, 0, 16, APPS_INSTEAD},
    {"apiextensions.k8s.io/v1beta1", NULL, 0, 22, "apiextensions.k8s.io/v1"},
    {"apiextensions.k8s.io/v1", NULL, 16, 0, "apiextensions.k8s.io/v1beta1"},
    {"rbac.authorization.k8s.io/v1beta1", NULL, 0, 22, "rbac.authorization.k8s.io/v1"},
    {"rbac.authorization.k8s.io/v1alpha1", NULL, 0, 22, "rbac.authorization.k8s.io/v1"},
    {"admissionregistration.k8s.io/v1beta1", "ValidatingWebhookConfiguration", 0, 22,
     "admissionregistration.k8s.io/v1"},
    {"admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration", 0, 22,
     "admissionregistration.k8s.io/v1"},
    {"admissionregistration.k8s.io/v1", NULL, 16, 0, "admissionregistration.k8s.io/v1beta1"},
    {"apiregistration.k8s.io/v1beta1", NULL, 0, 22, "apiregistration.k8s.io/v1"},
    {"certificates.k8s.io/v1beta1", NULL, 0, 22, "certificates.k8s.io/v1"},
    {"coordination.k8s.io/v1beta1", NULL, 12, 22, "coordination.k8s.io/v1"},
    {"coordination.k8s.io/v1", NULL, 14, 0, "coordination.k8s.io/v1beta1"},
    {"networking.k8s.io/v1beta1", "Ingress", 14, 22, INGRESS_INSTEAD},
    {"networking.k8s.io/v1beta1", "IngressClass", 18, 22, "networking.k8s.io/v1"},
    {"networking.k8s.io/v1", "Ingress", 19, 0, "networking.k8s.io/v1beta1"},
    {"networking.k8s.io/v1", "IngressClass", 19, 0, "networking.k8s.io/v1beta1"},
    {"scheduling.k8s.io/v1alpha1", NULL, 0, 22, "scheduling.k8s.io/v1"},
    {"scheduling.k8s.io/v1beta1", NULL, 11, 22, "scheduling.k8s.io/v1"},
    {"scheduling.k8s.io/v1", NULL, 14, 0, "scheduling.k8s.io/v1beta1"},
    {"storage.k8s.io/v1beta1", "CSIStorageCapacity", 0, 27, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1beta1", "StorageClass", 0, 22, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1beta1", "VolumeAttachment", 0, 22, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1beta1", "CSIDriver", 0, 22, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1beta1", "CSINode", 0, 22, "storage.k8s.io/v1"},
    {"batch/v2alpha1", NULL, 0, 21, "batch/v1"},
    {"batch/v1beta1", "CronJob", 0, 25, "batch/v1"},
    {"batch/v1", "CronJob", 21, 0, "batch/v1beta1"},
    {"discovery.k8s.io/v1beta1", NULL, 17, 25, "discovery.k8s.io/v1"},
    {"discovery.k8s.io/v1", NULL, 21, 0, "discovery.k8s.io/v1beta1"},
    {"policy/v1beta1", "PodSecurityPolicy", 0, 25, "labels for Pod Security Admission"},
    {"policy/v1beta1", NULL, 0, 25, "policy/v1"},
    {"policy/v1", NULL, 21, 0, "policy/v1beta1"},
    {"events.k8s.io/v1beta1", NULL, 0, 25, "events.k8s.io/v1"},
    {"node.k8s.io/v1beta1", NULL, 14, 25, "node.k8s.io/v1"},
    {"autoscaling/v2beta1", NULL, 0, 25, "autoscaling/v2"},
    {"autoscaling/v2beta2", NULL, 12, 26, "autoscaling/v2"},
    {"autoscaling/v2", NULL, 23, 0, "autoscaling/v2beta2"},
    {"flowcontrol.apiserver.k8s.io/v1beta1", NULL, 20, 26, "flowcontrol.apiserver.k8s.io/v1"},
    {"flowcontrol.apiserver.k8s.io/v1beta2", NULL, 23, 29, "flowcontrol.apiserver.k8s.io/v1"},
    {"flowcontrol.apiserver.k8s.io/v1beta3", NULL, 26, 32, "flowcontrol.apiserver.k8s.io/v1"},
};

const struct addons_api *addons_api_fault(const char *api, const char *kind, int minor)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct addons_api *row = &table[i];

        if (strcmp(row->api, api) != 0 || (row->kind && strcmp(row->kind, kind) != 0))
            continue;
        return minor < row->since || (row->until && minor >= row->until) ? row : NULL;
    }
    return NULL;
}

const struct yamlnode *addons_pod_spec(const struct yamlnode *object)
{
    static const char *const pod[] = {"spec", NULL};
    static const char *const template[] = {"spec", "template", "spec", NULL};
    static const char *const cron[] = {"spec", "jobTemplate", "spec", "template", "spec", NULL};
    const char *kind = yamlnode_str(yamlnode_get(object, "kind"));

    if (!kind)
        return NULL;
    return yamlnode_path(object, !strcmp(kind, "Pod")       ? pod
                                 : !strcmp(kind, "CronJob") ? cron
                                                            : template);
}

char *addons_identity(const char *api, const char *kind, const char *namespace, const char *name)
{
    const char *slash = strchr(api, '/');
    size_t len = slash ? (size_t)(slash - api) : 0;
    const char *group = api;

    /* These moved from one group to another, and could be reached by both. */
    if (len == 10 && !strncmp(api, "extensions", 10)) {
        group = !strcmp(kind, "Ingress") || !strcmp(kind, "NetworkPolicy") ? "networking.k8s.io"
                : !strcmp(kind, "PodSecurityPolicy")                       ? "policy"
                                                                           : "apps";
        len = strlen(group);
    }
    return xasprintf("%.*s/%s/%s/%s", (int)len, group, kind, namespace, name);
}
