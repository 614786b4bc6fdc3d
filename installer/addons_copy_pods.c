/* The pods of a highly available Rancher: which they are, and files into them and out of them. */
#include "addons_copy_pods.h"

#include "json.h"
#include "kube/kube_exec.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COMPLAINT_MAX (64u << 10)

/* --- which pods --- */

/* The member of a list that has that name. */
static const cJSON *named(const cJSON *list, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        const char *text = json_get_str(item, "name");

        if (text && !strcmp(text, name))
            return item;
    }
    return NULL;
}

/* An emptyDir lives and dies with its pod. */
static bool is_on_volume(const cJSON *spec, const cJSON *container, const char *path)
{
    const cJSON *mount;

    cJSON_ArrayForEach(mount, json_get_arr(container, "volumeMounts"))
    {
        const char *where = json_get_str(mount, "mountPath"), *name = json_get_str(mount, "name");

        if (where && name && addons_is_below(where, path))
            return !json_get_obj(named(json_get_arr(spec, "volumes"), name), "emptyDir");
    }
    return false;
}

static bool has_ended(const cJSON *item)
{
    const char *phase = json_get_str(json_get_obj(item, "status"), "phase");

    return json_get_str(json_get_obj(item, "metadata"), "deletionTimestamp") ||
           (phase && (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed")));
}

static void check_pod(struct addons_pod *pod, const cJSON *item, const struct addons_target *t)
{
    const cJSON *spec = json_get_obj(item, "spec"), *status = json_get_obj(item, "status");
    const cJSON *container = named(json_get_arr(spec, "containers"), t->container);
    const cJSON *state =
        json_get_obj(named(json_get_arr(status, "containerStatuses"), t->container), "state");

    pod->is_on_volume = is_on_volume(spec, container, t->path);
    if (!container)
        (void)err_set(&pod->error, -ENOENT, "pod '%s' has no container '%s'", pod->name,
                      t->container);
    else if (!json_get_obj(state, "running"))
        (void)err_set(&pod->error, -EREMOTEIO, "container '%s' of pod '%s' is not running",
                      t->container, pod->name);
}

static int add_pods(const cJSON *list, const struct addons_target *t, struct addons_pods *out,
                    struct err **e)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get_arr(list, "items"))
    {
        const char *name = json_get_str(json_get_obj(item, "metadata"), "name");
        struct addons_pod pod = {.error = NULL};

        if (!kube_name_is_valid(name))
            return err_set(e, -EPROTO, "the API server's list has a pod without a proper name");
        if (has_ended(item))
            continue;
        pod.name = xstrdup(name);
        check_pod(&pod, item, t);
        array_grow(out->items, out->n_items);
        out->items[out->n_items++] = pod;
    }
    return 0;
}

int addons_find_pods(struct kube_client *k, const struct addons_target *t, struct addons_pods *out,
                     struct err **e)
{
    auto_free char *path =
        xasprintf("/api/v1/namespaces/%s/pods?labelSelector=app%%3D" ADDONS_POD_APP, t->namespace);
    struct addons_pods pods = {.items = NULL};
    auto_json cJSON *list = NULL;
    int r = kube_get(k, path, &list, e);

    if (r == 0)
        r = add_pods(list, t, &pods, e);
    if (r == 0 && !pods.n_items)
        r = err_set(e, -ENOENT, "no pod with the label app=" ADDONS_POD_APP " is in namespace '%s'",
                    t->namespace);
    if (r < 0)
        addons_pods_release(&pods);
    else
        *out = pods;
    return r;
}

void addons_pods_release(struct addons_pods *pods)
{
    for (size_t i = 0; i < pods->n_items; i++) {
        free(pods->items[i].name);
        err_free(pods->items[i].error);
        addons_listing_release(&pods->items[i].others);
    }
    free(pods->items);
    addons_listing_release(&pods->files);
    *pods = (struct addons_pods){.items = NULL};
}

/* --- files --- */

/* GNU tar reads a pipe to its end, past the end of the archive, and v4 of the protocol cannot end
 * standard input: so head, which knows the length, ends it for tar. */
static const char unpack[] =
    "umask 022 && mkdir -p \"$2\" && head -c \"$1\" | tar -xpof - -C \"$2\"";

static int send_files(struct kube_client *k, struct kube_exec *x, const char *path,
                      const struct buf *tar, struct err **e)
{
    auto_free char *size = xasprintf("%zu", tar->len);
    const char *const argv[] = {"sh", "-c", unpack, "sh", size, path, NULL};
    auto_buf struct buf said;

    buf_init(&said, COMPLAINT_MAX);
    x->argv = argv;
    x->input = tar->data;
    x->input_len = tar->len;
    return kube_exec(k, x, &said, e);
}

static int read_back(struct kube_client *k, struct kube_exec *x, const char *path,
                     struct addons_listing *out, struct err **e)
{
    const char *const argv[] = {"tar", "-cf", "-", "-C", path, ".", NULL};
    auto_buf struct buf tar;
    int r;

    buf_init(&tar, 2 * ADDONS_TOTAL_MAX);
    x->argv = argv;
    x->input_len = 0;
    r = kube_exec(k, x, &tar, e);
    return r < 0 ? r : addons_tar_list(tar.data, tar.len, out, e);
}

static int copy_pod(struct kube_client *k, const struct addons_target *t, const struct buf *tar,
                    const struct addons_listing *files, struct addons_pod *pod)
{
    struct kube_exec x = {.namespace = t->namespace, .pod = pod->name, .container = t->container};
    auto_addons_listing struct addons_listing back = {.n_items = 0};
    int r = send_files(k, &x, t->path, tar, &pod->error);

    if (r == 0)
        r = read_back(k, &x, t->path, &back, &pod->error);
    if (r == 0)
        r = addons_listing_compare(files, &back, &pod->others, &pod->error);
    return r < 0 ? err_wrap(&pod->error, "pod '%s'", pod->name) : 0;
}

int addons_copy_pods(struct kube_client *k, const struct addons_target *t, const char *folder,
                     struct addons_pods *pods, struct err **e)
{
    auto_buf struct buf tar;
    int r;

    buf_init(&tar, 2 * ADDONS_TOTAL_MAX);
    r = addons_tar_folder(folder, "", &tar, &pods->files, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < pods->n_items; i++) {
        if (!pods->items[i].error)
            (void)copy_pod(k, t, &tar, &pods->files, &pods->items[i]);
        pods->n_failed += pods->items[i].error != NULL;
    }
    return 0;
}
