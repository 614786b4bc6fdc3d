/* Which subnets are tested, and by which pods. */
#include "testpods.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_named(const char *name, const char *const *only)
{
    for (; only && *only; only++)
        if (!strcmp(*only, name))
            return true;
    return false;
}

static void read_net(const cJSON *item, struct testpods *out)
{
    const cJSON *meta = json_get_obj(item, "metadata"), *spec = json_get_obj(item, "spec");
    const char *gateway = json_get_str(spec, "gateway"), *master = json_get_str(spec, "master");
    const char *project = json_get_str(json_get_obj(meta, "labels"), "project");
    int64_t vlan = 0;
    struct testnet net = {.name = xstrdup(json_get_str(meta, "name")),
                          .master = xstrdup(master ? master : ""),
                          .project = project && *project ? xstrdup(project) : NULL};

    (void)json_get_size(spec, "vlan", &vlan);
    net.vlan = (unsigned)vlan;
    if (gateway)
        (void)ip_parse(gateway, &net.gateway);
    net.is_default_route = cJSON_IsTrue(
        cJSON_GetObjectItemCaseSensitive(json_get_obj(spec, "podDefaultGateway"), "enable"));
    for (int i = 0; i < 2; i++)
        net.spaces[i] = xasprintf("flatnet-test-%s-%zu%s", out->run, out->n_nets, i ? "-b" : "");
    array_grow(out->nets, out->n_nets);
    out->nets[out->n_nets++] = net;
}

int testnets_read(const cJSON *items, const char *const *only, struct testpods *out, struct err **e)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, items)
    {
        const cJSON *meta = json_get_obj(item, "metadata");
        const char *name = json_get_str(meta, "name");

        if (name && kube_name_is_valid(name) && !json_get_str(meta, "deletionTimestamp") &&
            (!only || !*only || is_named(name, only)))
            read_net(item, out);
    }
    for (; only && *only; only++) {
        bool is_there = false;

        for (size_t i = 0; i < out->n_nets; i++)
            is_there |= !strcmp(out->nets[i].name, *only);
        if (!is_there)
            return err_set(e, -ENOENT, "there is no subnet '%s'; see 'flatnet subnet ls'", *only);
    }
    if (!out->n_nets)
        return err_set(e, -ENOENT, "there is no subnet; make one with 'flatnet subnet create'");
    return 0;
}

static void plan(struct testpods *t, const struct testnet *net, char letter, size_t n,
                 const char *node, int space)
{
    struct testpod pod = {.name = xasprintf("%c%zu", letter, n + 1),
                          .node = xstrdup(node),
                          .space = net->spaces[space],
                          .net = net};

    array_grow(t->pods, t->n_pods);
    t->pods[t->n_pods++] = pod;
}

void testpods_plan(struct testpods *t, char *const *nodes, size_t n_nodes)
{
    for (size_t i = 0; i < t->n_nets; i++) {
        const struct testnet *net = &t->nets[i];

        for (size_t k = 0; k < n_nodes; k++)
            plan(t, net, 'a', k, nodes[k], 0);
        plan(t, net, 'b', 0, nodes[0], 0);
        plan(t, net, 'c', n_nodes - 1, nodes[n_nodes - 1], 1);
    }
}

void testpod_release(struct testpod *p)
{
    free(p->name);
    free(p->node);
    free(p->wanted_ip);
    free(p->wanted_mac);
    free(p->why);
    *p = (struct testpod){.name = NULL};
}

void testpods_release(struct testpods *t)
{
    for (size_t i = 0; i < t->n_nets; i++) {
        struct testnet *net = &t->nets[i];

        free(net->name);
        free(net->master);
        free(net->project);
        free(net->spaces[0]);
        free(net->spaces[1]);
    }
    for (size_t i = 0; i < t->n_pods; i++)
        testpod_release(&t->pods[i]);
    free(t->nets);
    free(t->pods);
    free(t->run);
    *t = (struct testpods){.kube = NULL};
}
