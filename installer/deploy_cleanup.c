/* The DaemonSet that takes the network configuration off the nodes again. */
#include "deploy.h"

#include "json.h"
#include "mem.h"

#include <string.h>

static void copy_fields(cJSON *to, const cJSON *from, const char *const *names)
{
    for (; *names; names++)
        json_copy(to, from, *names);
}

/* "--conf-dir=", "--bin-dir=": the folder as the container sees it. */
static const char *dir_arg(const cJSON *container, const char *flag)
{
    const cJSON *arg;

    cJSON_ArrayForEach(arg, json_get_arr(container, "args"))
    {
        if (cJSON_IsString(arg) && !strncmp(arg->valuestring, flag, strlen(flag)))
            return arg->valuestring;
    }
    return NULL;
}

static cJSON *make_container(const cJSON *cni, const char *name, const struct deploy_cleanup *c,
                             bool stays)
{
    static const char *const copied[] = {"image",     "imagePullPolicy", "volumeMounts",
                                         "resources", "securityContext", NULL};
    const char *bin_dir = dir_arg(cni, "--bin-dir=");
    cJSON *container = cJSON_CreateObject(), *args;

    json_add_str(container, "name", name);
    copy_fields(container, cni, copied);
    args = cJSON_AddArrayToObject(container, "args");
    cJSON_AddItemToArray(args, cJSON_CreateString("uninstall"));
    cJSON_AddItemToArray(args, cJSON_CreateString(dir_arg(cni, "--conf-dir=")));
    for (const char *const *file = c->files; *file; file++) {
        auto_free char *arg = xasprintf("--also=%s", *file);

        cJSON_AddItemToArray(args, cJSON_CreateString(arg));
    }
    if (c->purges && bin_dir && !stays) {
        cJSON_AddItemToArray(args, cJSON_CreateString(bin_dir));
        cJSON_AddItemToArray(args, cJSON_CreateString("--purge"));
    }
    if (stays)
        cJSON_AddItemToArray(args, cJSON_CreateString("--stay"));
    return container;
}

/* The init container has done it once the other one runs, which then is ready. */
static cJSON *make_pod(const cJSON *pod, const struct deploy_cleanup *c)
{
    static const char *const copied[] = {"hostNetwork", "priorityClassName", "nodeSelector",
                                         "tolerations", "imagePullSecrets",  "volumes",
                                         NULL};
    const cJSON *cni = json_get_arr(pod, "containers")->child;
    cJSON *out = cJSON_CreateObject(), *init = cJSON_AddArrayToObject(out, "initContainers");
    cJSON *containers = cJSON_AddArrayToObject(out, "containers");

    copy_fields(out, pod, copied);
    (void)cJSON_AddBoolToObject(out, "automountServiceAccountToken", false);
    cJSON_AddItemToArray(init, make_container(cni, "uninstall", c, false));
    cJSON_AddItemToArray(containers, make_container(cni, "stay", c, true));
    return out;
}

static void add_labels(cJSON *object, bool is_set)
{
    cJSON *labels = cJSON_AddObjectToObject(object, "labels");

    json_add_str(labels, "name", DEPLOY_CLEANUP);
    if (is_set)
        json_add_str(labels, DEPLOY_PART_KEY, DEPLOY_PART);
}

cJSON *deploy_cleanup_make(const cJSON *cni, const struct deploy_cleanup *c)
{
    const cJSON *pod = json_get_obj(json_get_obj(json_get_obj(cni, "spec"), "template"), "spec");
    const cJSON *containers = json_get_arr(pod, "containers");
    cJSON *out, *meta, *spec, *template, *strategy;

    if (!containers || !containers->child || !dir_arg(containers->child, "--conf-dir="))
        return NULL;
    out = cJSON_CreateObject();
    json_add_str(out, "apiVersion", "apps/v1");
    json_add_str(out, "kind", "DaemonSet");
    meta = cJSON_AddObjectToObject(out, "metadata");
    json_add_str(meta, "name", DEPLOY_CLEANUP);
    json_add_str(meta, "namespace", DEPLOY_NS);
    add_labels(meta, true);
    spec = cJSON_AddObjectToObject(out, "spec");
    json_add_str(cJSON_AddObjectToObject(cJSON_AddObjectToObject(spec, "selector"), "matchLabels"),
                 "name", DEPLOY_CLEANUP);
    strategy = cJSON_AddObjectToObject(spec, "updateStrategy");
    json_add_str(cJSON_AddObjectToObject(strategy, "rollingUpdate"), "maxUnavailable", "100%");
    template = cJSON_AddObjectToObject(spec, "template");
    add_labels(cJSON_AddObjectToObject(template, "metadata"), false);
    cJSON_AddItemToObject(template, "spec", make_pod(pod, c));
    return out;
}
