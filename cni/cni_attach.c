/* Whose interface it is, and what it must be. */
#include "cni_attach.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

struct podif_id attach_id(const struct cni_call *call)
{
    return (struct podif_id){.netns = call->env.netns,
                             .ifname = cni_conf_ifname(&call->conf, &call->env),
                             .network = call->conf.name,
                             .container = call->env.container_id,
                             .may_be_host = call->env.may_be_host_netns};
}

static void override(struct wanted *w, const struct cni_call *call)
{
    const struct cni_conf *conf = &call->conf;
    const struct ip_mac *mac = cni_conf_mac(conf, &call->env);

    if (conf->master) {
        free(w->master);
        w->master = xstrdup(conf->master);
    }
    if (conf->has_mode)
        w->mode = conf->mode;
    if (conf->mtu)
        w->mtu = conf->mtu;
    if (mac) {
        w->has_mac = true;
        w->mac = *mac;
    }
}

static bool has_default_route(const struct wanted *w)
{
    for (size_t i = 0; i < w->n_routes; i++)
        if (w->routes[i].dst.prefix == 0)
            return true;
    return w->has_default_route;
}

/* Nothing else could bring one. */
static void complete_only_interface(struct wanted *w)
{
    if (!w->gateway.family || has_default_route(w))
        return;
    w->has_default_route = true;
    w->service_cidr = (struct ip_net){.prefix = 0};
}

/*
 * A container that podman, nerdctl or ctr runs on the node. They take the same configuration, since
 * it sorts first, and such a container has no annotations that could ask for an interface.
 */
static bool is_no_pod(const struct cni_call *call)
{
    const struct cni_args *args = &call->env.args;

    return call->conf.is_chained && !args->pod_namespace;
}

int attach_ask(const struct cni_call *call, int timeout_ms, struct pod_answer *out, struct err **e)
{
    const struct cni_args *args = &call->env.args;
    struct pod_query query = {.kubeconfig = call->conf.kubeconfig,
                              .namespace = args->pod_namespace,
                              .name = args->pod_name,
                              .uid = args->pod_uid,
                              .is_chained = call->conf.is_chained,
                              .timeout_ms = timeout_ms};
    int r;

    if (is_no_pod(call)) {
        *out = (struct pod_answer){.is_ours = false};
        return 0;
    }
    r = pod_ask(&query, out, e);
    if (r < 0 || !out->is_ours)
        return r;
    override(&out->wanted, call);
    if (!call->conf.is_chained && !strcmp(call->env.ifname, "eth0"))
        complete_only_interface(&out->wanted);
    return 0;
}
