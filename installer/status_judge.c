/* What is not as it should be. */
#include "status.h"

#include "json.h"
#include "mem.h"

#include <string.h>

static bool is_true_condition(const cJSON *object, const char *type)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get_arr(json_get_obj(object, "status"), "conditions"))
    {
        const char *is = json_get_str(item, "type"), *status = json_get_str(item, "status");

        if (is && status && !strcmp(is, type))
            return !strcmp(status, "True");
    }
    return false;
}

void status_judge_node(const cJSON *node, const cJSON *pods, struct status_node *out)
{
    const cJSON *pod;

    *out = (struct status_node){.name = json_get_str(json_get_obj(node, "metadata"), "name"),
                                .is_ready = is_true_condition(node, "Ready")};
    out->cause = xstrdup("no pod of network-cni-ds is on it");
    cJSON_ArrayForEach(pod, pods)
    {
        const char *on = json_get_str(json_get_obj(pod, "spec"), "nodeName");

        if (!on || !out->name || strcmp(on, out->name) != 0)
            continue;
        mem_free_ptr(&out->cause);
        out->cause = deploy_pod_cause(pod, NULL);
        out->has_plugin = !out->cause;
        if (out->has_plugin)
            return;
    }
}

static int64_t figure(const cJSON *status, const char *name)
{
    int64_t value;

    return json_get_size(status, name, &value) == 0 ? value : -1;
}

void status_judge_subnet(const cJSON *subnet, struct status_subnet *out)
{
    const cJSON *status = json_get_obj(subnet, "status");
    const char *message = json_get_str(status, "message");

    *out = (struct status_subnet){.name = json_get_str(json_get_obj(subnet, "metadata"), "name"),
                                  .phase = json_get_str(status, "phase"),
                                  .message = message && *message ? message : NULL,
                                  .total = figure(status, "total"),
                                  .used = figure(status, "used"),
                                  .free = figure(status, "free")};
}

static void judge_objects(const struct status *st, struct findings *out)
{
    for (size_t i = 0; i < st->n_objects; i++) {
        const struct status_object *o = &st->objects[i];
        auto_free char *name = deploy_name_text(&o->name);

        if (!o->is_ready)
            findings_add(out, FINDING_ERROR, NULL, 0, "%s: %s", name, o->text);
    }
}

static void judge_nodes(const struct status *st, struct findings *out)
{
    for (size_t i = 0; i < st->n_nodes; i++) {
        const struct status_node *n = &st->nodes[i];

        if (!n->is_ready)
            findings_add(out, FINDING_WARNING, NULL, 0, "node '%s' is not Ready", n->name);
        if (!n->has_plugin)
            findings_add(out, FINDING_ERROR, NULL, 0, "node '%s' has no working plugin: %s",
                         n->name, n->cause);
    }
}

static void judge_leader(const struct status *st, struct findings *out)
{
    if (!st->has_leader || st->leader.is_fresh)
        return;
    if (*st->leader.holder)
        findings_add(out, FINDING_ERROR, NULL, 0,
                     "no network-controller leads: '%s' has the record and does not renew it",
                     st->leader.holder);
    else
        findings_add(out, FINDING_ERROR, NULL, 0,
                     "no network-controller leads: nobody holds the record");
}

static void judge_subnets(const struct status *st, struct findings *out)
{
    for (size_t i = 0; i < st->n_subnets; i++) {
        const struct status_subnet *s = &st->subnets[i];

        if (s->phase && !strcmp(s->phase, "Failed"))
            findings_add(out, FINDING_ERROR, NULL, 0, "subnet '%s': %s", s->name,
                         s->message ? s->message : "failed");
        else if (s->message)
            findings_add(out, FINDING_WARNING, NULL, 0, "subnet '%s': %s", s->name, s->message);
        if (s->total > 0 && s->free == 0)
            findings_add(out, FINDING_WARNING, NULL, 0, "subnet '%s' has no free address", s->name);
    }
}

static void judge_site(const struct status *st, struct findings *out)
{
    if (st->site.rke_config) {
        auto_free char *text = deploy_rke_text(&st->site);

        findings_add(out, FINDING_WARNING, NULL, 0, "%s", text);
    }
    for (size_t i = 0; i < st->site.n_obsolete; i++) {
        auto_free char *name = deploy_name_text(&st->site.obsolete[i]);

        if (deploy_inventory_has(&st->inventory, &st->site.obsolete[i]))
            continue;
        findings_add(out, FINDING_ERROR, NULL, 0,
                     "%s of the 2019 addons is there beside those of flatnet; 'flatnet deploy' "
                     "removes it",
                     name);
    }
}

void status_judge(const struct status *st, struct findings *out)
{
    if (!st->n_objects) {
        findings_add(out, FINDING_ERROR, NULL, 0,
                     "flatnet is not deployed in this cluster; 'flatnet deploy' does it");
        return;
    }
    if (st->inventory.is_begun)
        findings_add(out, FINDING_ERROR, NULL, 0,
                     "a deploy or undeploy has not come to its end; give the same command again");
    judge_objects(st, out);
    judge_nodes(st, out);
    judge_leader(st, out);
    judge_subnets(st, out);
    judge_site(st, out);
}
