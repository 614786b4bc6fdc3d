/* The ConfigMap that says what is deployed, and the labels that say it too. */
#include "deploy_inventory.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX (256u << 10)
#define STATE_BEGUN "begun"
#define STATE_DONE "done"

/* Borrowed for ever. */
static struct deploy_name config_name(void)
{
    static char ns[] = DEPLOY_NS, name[] = DEPLOY_INVENTORY;

    return (struct deploy_name){.kind = deploy_kind_find("ConfigMap"), .ns = ns, .name = name};
}

bool deploy_inventory_has(const struct deploy_inventory *inv, const struct deploy_name *n)
{
    for (size_t i = 0; i < inv->n_names; i++)
        if (deploy_name_equal(&inv->names[i], n))
            return true;
    return false;
}

void deploy_inventory_add(struct deploy_inventory *inv, const struct deploy_name *n)
{
    if (deploy_inventory_has(inv, n))
        return;
    array_grow(inv->names, inv->n_names);
    inv->names[inv->n_names++] = deploy_name_copy(n);
}

void deploy_inventory_remove(struct deploy_inventory *inv, const struct deploy_name *n)
{
    for (size_t i = 0; i < inv->n_names; i++)
        if (deploy_name_equal(&inv->names[i], n)) {
            deploy_name_release(&inv->names[i]);
            inv->names[i] = inv->names[--inv->n_names];
            return;
        }
}

const char *deploy_inventory_fact(const struct deploy_inventory *inv, const char *fact)
{
    const char *value = json_get_str(inv->facts, fact);

    return value && *value ? value : NULL;
}

void deploy_inventory_set(struct deploy_inventory *inv, const char *fact, const char *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(inv->facts, fact);
    json_add_str(inv->facts, fact, value);
}

/* Lines that name nothing are left out: somebody has edited it. */
static void read_names(struct deploy_inventory *inv, const char *text)
{
    while (text && *text) {
        size_t len = strcspn(text, "\n");
        auto_free char *line = xstrndup(text, len);
        auto_deploy_name struct deploy_name name = {.kind = NULL};

        if (deploy_name_parse(line, &name, NULL) == 0)
            deploy_inventory_add(inv, &name);
        text += len + (text[len] == '\n');
    }
}

static void read_config(struct deploy_inventory *inv)
{
    const cJSON *data = json_get_obj(inv->live, "data"), *item;
    const char *state = json_get_str(data, "state");

    cJSON_ArrayForEach(item, data)
    {
        if (cJSON_IsString(item) && strcmp(item->string, "objects") != 0 &&
            strcmp(item->string, "state") != 0)
            deploy_inventory_set(inv, item->string, item->valuestring);
    }
    read_names(inv, json_get_str(data, "objects"));
    inv->is_begun = inv->live && (!state || strcmp(state, STATE_DONE) != 0);
}

/* The ConfigMap itself bears the label too. */
static int find_labelled(const struct deploy_server *s, const struct deploy_kind *kind,
                         struct deploy_inventory *inv, struct err **e)
{
    struct deploy_name config = config_name();
    auto_free char *path = deploy_path(kind, s->minor, DEPLOY_NS, NULL);
    auto_json cJSON *items = NULL;
    const cJSON *item;
    int r =
        deploy_list(s, path, "labelSelector=app.kubernetes.io%2Fpart-of%3D" DEPLOY_PART, &items, e);

    cJSON_ArrayForEach(item, items)
    {
        const cJSON *meta = json_get_obj(item, "metadata");
        auto_deploy_name struct deploy_name name = {.kind = kind,
                                                    .ns = xstrdup(kind->is_namespaced ? DEPLOY_NS
                                                                                      : ""),
                                                    .name = xstrdup(json_get_str(meta, "name"))};

        if (!kube_name_is_valid(name.name) || deploy_name_equal(&name, &config))
            continue;
        inv->has_other = inv->has_other || !deploy_inventory_has(inv, &name);
        deploy_inventory_add(inv, &name);
    }
    return r;
}

static cJSON *make_config(const struct deploy_inventory *inv)
{
    struct deploy_name n = config_name();
    cJSON *object = cJSON_CreateObject(), *meta, *data, *labels;
    auto_buf struct buf names;

    buf_init(&names, LIST_MAX);
    for (size_t i = 0; i < inv->n_names; i++) {
        auto_free char *text = deploy_name_text(&inv->names[i]);

        (void)buf_addf(&names, "%s\n", text);
    }
    json_add_str(object, "apiVersion", "v1");
    json_add_str(object, "kind", "ConfigMap");
    meta = cJSON_AddObjectToObject(object, "metadata");
    json_add_str(meta, "name", n.name);
    json_add_str(meta, "namespace", n.ns);
    json_copy(meta, json_get_obj(inv->live, "metadata"), "resourceVersion");
    labels = cJSON_AddObjectToObject(meta, "labels");
    json_add_str(labels, DEPLOY_PART_KEY, DEPLOY_PART);
    json_add_str(labels, DEPLOY_MANAGER_KEY, DEPLOY_MANAGER);
    data = cJSON_Duplicate(inv->facts, true);
    json_add_str(data, "state", inv->is_begun ? STATE_BEGUN : STATE_DONE);
    json_add_str(data, "objects", names.data);
    cJSON_AddItemToObject(object, "data", data);
    return object;
}

int deploy_inventory_write(const struct deploy_server *s, struct deploy_inventory *inv,
                           struct err **e)
{
    struct deploy_name n = config_name();
    auto_json cJSON *object = make_config(inv);
    cJSON *written = NULL;
    int r;

    if (inv->live &&
        cJSON_Compare(json_get_obj(object, "data"), json_get_obj(inv->live, "data"), true))
        return 0;
    r = inv->live ? deploy_replace(s, &n, object, &written, e)
                  : deploy_create(s, &n, object, &written, e);
    if (r == -EAGAIN || r == -EEXIST)
        return err_wrap(e, "another 'flatnet deploy' or 'undeploy' seems to run");
    if (r < 0)
        return r;
    cJSON_Delete(inv->live);
    inv->live = written;
    return 0;
}

int deploy_inventory_delete(const struct deploy_server *s, struct err **e)
{
    struct deploy_name n = config_name();

    return deploy_delete(s, &n, "Background", e);
}

void deploy_inventory_release(struct deploy_inventory *inv)
{
    for (size_t i = 0; i < inv->n_names; i++)
        deploy_name_release(&inv->names[i]);
    free(inv->names);
    cJSON_Delete(inv->live);
    cJSON_Delete(inv->facts);
    *inv = (struct deploy_inventory){.live = NULL};
}

/* --- facts of a rendering --- */

static const cJSON *first_container(const cJSON *workload)
{
    const cJSON *pod =
        json_get_obj(json_get_obj(json_get_obj(workload, "spec"), "template"), "spec");
    const cJSON *containers = json_get_arr(pod, "containers");

    return containers ? containers->child : NULL;
}

/* The value of "--flag=value" among the arguments, or NULL. */
static const char *argument(const cJSON *container, const char *flag)
{
    const cJSON *arg;
    size_t len = strlen(flag);

    cJSON_ArrayForEach(arg, json_get_arr(container, "args"))
    {
        if (cJSON_IsString(arg) && !strncmp(arg->valuestring, flag, len) &&
            arg->valuestring[len] == '=')
            return arg->valuestring + len + 1;
    }
    return NULL;
}

static void learn_from(struct deploy_inventory *inv, const char *name, const cJSON *workload)
{
    const cJSON *container = first_container(workload);

    if (!strcmp(name, "network-cni-ds")) {
        deploy_inventory_set(inv, "cniImage", json_get_str(container, "image"));
        deploy_inventory_set(inv, "mode", argument(container, "--mode"));
        if (!deploy_inventory_fact(inv, "mode"))
            deploy_inventory_set(inv, "mode", "multus");
    } else if (!strcmp(name, "network-controller")) {
        deploy_inventory_set(inv, "lock", argument(container, "--leader-elect-resource-lock"));
    }
}

void deploy_inventory_learn(struct deploy_inventory *inv, const struct deploy_plan *p)
{
    for (size_t i = 0; i < p->n_items; i++) {
        const struct deploy_item *item = &p->items[i];
        const cJSON *object = item->wanted ? item->wanted : item->live;

        if (object)
            learn_from(inv, item->name.name, object);
    }
}

/* --- reading --- */

/* The mode of what came by kubectl. */
static int learn_live(const struct deploy_server *s, struct deploy_inventory *inv, struct err **e)
{
    static char ns[] = DEPLOY_NS, name[] = "network-cni-ds";
    struct deploy_name n = {.kind = deploy_kind_find("DaemonSet"), .ns = ns, .name = name};
    auto_json cJSON *live = NULL;
    int r = deploy_get(s, &n, &live, e);

    if (live)
        learn_from(inv, name, live);
    return r;
}

int deploy_inventory_read(const struct deploy_server *s, bool by_labels,
                          struct deploy_inventory *out, struct err **e)
{
    struct deploy_name config = config_name();
    struct deploy_inventory inv = {.facts = cJSON_CreateObject()};
    int r = deploy_get(s, &config, &inv.live, e);

    if (r == 0)
        read_config(&inv);
    for (const struct deploy_kind *k = deploy_kinds(); by_labels && r == 0 && k->kind; k++)
        r = find_labelled(s, k, &inv, e);
    if (r == 0 && by_labels && inv.n_names && !deploy_inventory_fact(&inv, "mode"))
        r = learn_live(s, &inv, e);
    if (r < 0)
        deploy_inventory_release(&inv);
    else
        *out = inv;
    return r;
}
