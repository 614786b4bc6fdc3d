/* Reads the state of a deployment. */
#include "status.h"

#include "deploy_health.h"
#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static const char *first_image(const cJSON *object)
{
    const cJSON *pod = json_get_obj(json_get_obj(json_get_obj(object, "spec"), "template"), "spec");
    const cJSON *containers = json_get_arr(pod, "containers");

    return json_get_str(containers ? containers->child : NULL, "image");
}

/* What keeps a workload's pods stands behind its figures. */
static void add_causes(const struct deploy_server *s, const cJSON *live, struct status_object *o)
{
    auto_free char *causes = deploy_pods_causes(s, &o->name, live, NULL), *figures = o->text;

    o->text = xasprintf("%s%s", figures, causes ? causes : "");
}

static int read_object(const struct deploy_server *s, const struct deploy_name *n,
                       struct deploy_plan *seen, struct status *st, struct err **e)
{
    struct status_object o = {.name = {.kind = NULL}};
    struct deploy_health health;
    struct deploy_item *item;
    int r;

    item = deploy_plan_add_deletion(seen, n, NULL);
    r = deploy_get(s, n, &item->live, e);
    if (r < 0)
        return r;
    deploy_health_of(item->live, &health);
    o = (struct status_object){.name = deploy_name_copy(n),
                               .image = xstrdup(first_image(item->live)),
                               .text = health.text ? health.text : NULL,
                               .is_ready = item->live && health.is_ready};
    if (!item->live)
        o.text = xstrdup("missing");
    else if (!o.is_ready && strcmp(n->kind->kind, "CustomResourceDefinition") != 0)
        add_causes(s, item->live, &o);
    array_grow(st->objects, st->n_objects);
    st->objects[st->n_objects++] = o;
    return 0;
}

static int compare_objects(const void *a, const void *b)
{
    const struct status_object *left = a, *right = b;

    return left->name.kind != right->name.kind ? left->name.kind->rank - right->name.kind->rank
                                               : strcmp(left->name.name, right->name.name);
}

static bool is_crd(const struct deploy_name *n)
{
    return !strcmp(n->kind->kind, "CustomResourceDefinition");
}

/* CRDs alone are what an undeploy has left. */
static bool has_workloads(const struct deploy_inventory *inv)
{
    for (size_t i = 0; i < inv->n_names; i++)
        if (!is_crd(&inv->names[i]))
            return true;
    return false;
}

static int read_objects(const struct deploy_server *s, struct status *st, struct err **e)
{
    auto_deploy_plan struct deploy_plan seen = {.n_items = 0};
    int r = 0;

    if (!has_workloads(&st->inventory))
        return 0;
    for (size_t i = 0; i < st->inventory.n_names && r == 0; i++)
        r = read_object(s, &st->inventory.names[i], &seen, st, e);
    if (r < 0)
        return r;
    deploy_inventory_learn(&st->inventory, &seen);
    qsort(st->objects, st->n_objects, sizeof(*st->objects), compare_objects);
    return 0;
}

static int read_nodes(const struct deploy_server *s, struct status *st, struct err **e)
{
    auto_json cJSON *pods = NULL;
    const cJSON *node;
    int r = deploy_list(s, "/api/v1/nodes", NULL, &st->node_list, e);

    if (r == 0)
        r = deploy_list(s, "/api/v1/namespaces/" DEPLOY_NS "/pods",
                        "labelSelector=name%3Dnetwork-cni", &pods, e);
    cJSON_ArrayForEach(node, st->node_list)
    {
        array_grow(st->nodes, st->n_nodes);
        status_judge_node(node, pods, &st->nodes[st->n_nodes++]);
    }
    return r;
}

static int read_subnets(const struct deploy_server *s, struct status *st, struct err **e)
{
    const cJSON *subnet;
    int r =
        deploy_list(s, "/apis/macvlan.cluster.cattle.io/v1/namespaces/" DEPLOY_NS "/macvlansubnets",
                    NULL, &st->subnet_list, e);

    cJSON_ArrayForEach(subnet, st->subnet_list)
    {
        array_grow(st->subnets, st->n_subnets);
        status_judge_subnet(subnet, &st->subnets[st->n_subnets++]);
    }
    return r;
}

int status_read(const struct deploy_server *s, int64_t watch_ms, struct status *out, struct err **e)
{
    const char *lock;
    int r = deploy_inventory_read(s, true, &out->inventory, e);

    if (r == 0)
        r = deploy_site_read(s, &out->site, e);
    if (r == 0)
        r = read_objects(s, out, e);
    if (r < 0 || !out->n_objects)
        return r;
    r = read_nodes(s, out, e);
    if (r == 0)
        r = read_subnets(s, out, e);
    lock = deploy_inventory_fact(&out->inventory, "lock");
    out->has_leader = lock != NULL;
    if (r == 0 && lock)
        r = deploy_leader_read(s, lock, watch_ms, &out->leader, e);
    return r;
}

void status_release(struct status *st)
{
    for (size_t i = 0; i < st->n_objects; i++) {
        deploy_name_release(&st->objects[i].name);
        free(st->objects[i].image);
        free(st->objects[i].text);
    }
    for (size_t i = 0; i < st->n_nodes; i++)
        free(st->nodes[i].cause);
    free(st->objects);
    free(st->nodes);
    free(st->subnets);
    deploy_leader_release(&st->leader);
    deploy_site_release(&st->site);
    deploy_inventory_release(&st->inventory);
    cJSON_Delete(st->node_list);
    cJSON_Delete(st->subnet_list);
    *st = (struct status){.n_objects = 0};
}
