/* flatnet addons copy --kubeconfig: the addon folder into each Rancher pod. */
#include "cmd_addons_copy.h"

#include "addons_copy_pods.h"
#include "cli.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "table.h"

#include <errno.h>
#include <stdio.h>

static const char *verdict(const struct addons_pod *pod)
{
    return pod->error ? "failed" : "copied";
}

static void print_json(const struct addons_target *t, const struct addons_pods *pods)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *list;

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "namespace", t->namespace);
    json_add_str(root, "container", t->container);
    list = cJSON_AddArrayToObject(root, "pods");
    for (size_t i = 0; i < pods->n_items; i++) {
        const struct addons_pod *pod = &pods->items[i];
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "name", pod->name);
        json_add_str(item, "result", verdict(pod));
        (void)cJSON_AddBoolToObject(item, "onVolume", pod->is_on_volume);
        if (pod->error)
            json_add_str(item, "error", pod->error->msg);
        cJSON_AddItemToArray(list, item);
    }
    copy_add_json(root, &pods->files, t->path);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static void print_text(const struct addons_target *t, const struct addons_pods *pods)
{
    static const char *const heading[] = {"POD", "FILES", "RESULT", NULL};
    auto_free char *count = xasprintf("%zu", pods->files.n_items);
    struct table rows;

    table_init(&rows, heading);
    for (size_t i = 0; i < pods->n_items; i++) {
        const struct addons_pod *pod = &pods->items[i];
        const char *const texts[] = {pod->name, pod->error ? NULL : count, verdict(pod)};

        table_row(&rows, texts);
    }
    table_print(&rows);
    table_release(&rows);
    if (pods->n_failed == pods->n_items)
        return;
    (void)printf("\n");
    copy_print_include(&pods->files, t->path);
}

static void tell(const struct addons_target *t, const struct addons_pods *pods)
{
    size_t fleeting = 0;

    for (size_t i = 0; i < pods->n_items; i++) {
        const struct addons_pod *pod = &pods->items[i];

        if (pod->error)
            log_error("%s", pod->error->msg);
        else
            fleeting += !pod->is_on_volume;
        copy_warn_others(&pod->others, t->path, pod->name);
    }
    if (fleeting)
        log_warn("'%s' is not on a volume that outlives the pod (%zu of %zu): when a pod is made "
                 "anew, as for a restart or an upgrade, the files are gone, and RKE then leaves "
                 "the addons out without an error; copy them again after that",
                 t->path, fleeting, pods->n_items);
    if (pods->n_failed < pods->n_items)
        log_info("%zu files copied to '%s' in %zu of %zu pods, and read back", pods->files.n_items,
                 t->path, pods->n_items - pods->n_failed, pods->n_items);
}

/* Partly done, unless all failed in the same way. */
static int exit_status_of(const struct addons_pods *pods)
{
    int status = EXIT_OK;

    for (size_t i = 0; i < pods->n_items; i++) {
        const struct err *error = pods->items[i].error;
        int mine = error ? err_exit_status(error->status) : EXIT_OK;

        if (i && mine != status)
            return EXIT_PARTIAL;
        status = mine;
    }
    return status;
}

static int copy(struct kube_client *k, const struct addons_target *t, const char *folder,
                struct err **e)
{
    struct addons_pods pods = {.items = NULL};
    int r = addons_find_pods(k, t, &pods, e);

    if (r == 0)
        r = addons_copy_pods(k, t, folder, &pods, e);
    if (r == 0) {
        tell(t, &pods);
        if (cli_common.json)
            print_json(t, &pods);
        else
            print_text(t, &pods);
        r = exit_status_of(&pods);
    }
    addons_pods_release(&pods);
    return r;
}

int copy_pods(const struct copy_pods *o, struct err **e)
{
    auto_kube_config struct kube_config config = {.context = NULL};
    struct addons_target t = {.namespace = o->namespace ? o->namespace : ADDONS_POD_NAMESPACE,
                              .container = o->container ? o->container : ADDONS_POD_CONTAINER,
                              .path = o->path};
    struct kube_client *k = NULL;
    int r;

    if (!kube_name_is_valid(t.namespace))
        return err_set(e, -EINVAL, "'%s' is no name of a namespace", t.namespace);
    if (!kube_name_is_valid(t.container))
        return err_set(e, -EINVAL, "'%s' is no name of a container", t.container);
    r = kube_config_load_user(o->kubeconfig, o->context, &config, e);
    if (r == 0)
        r = kube_client_new(&config, &k, e);
    if (r == 0) {
        log_info("context '%s' at '%s'", config.context, config.server);
        r = copy(k, &t, o->folder, e);
    }
    kube_client_free(k);
    return r;
}
