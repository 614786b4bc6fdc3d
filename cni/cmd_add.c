/* ADD: asks what the pod's interface must be, makes it, tells the runtime. */
#include "cni_attach.h"
#include "cni_log.h"

#include "mem.h"

#include <errno.h>

#define PROBES 3 /* RFC 5227, but quicker: a pod waits for it */
#define PROBE_MS 100

static void add_routes(struct cni_result *r, const struct wanted *w)
{
    struct ip_net any = {.addr.family = w->addr.addr.family};

    for (size_t i = 0; i < w->n_routes; i++) {
        const struct wanted_route *route = &w->routes[i];
        bool is_ours = !route->iface && !route->gw.family;

        (void)cni_result_add_route(r, route->dst, is_ours ? w->gateway : route->gw);
    }
    if (w->has_default_route)
        (void)cni_result_add_route(r, any, w->gateway);
}

static void add_interface(struct cni_result *r, const struct cni_call *call, const struct wanted *w,
                          const struct podif_made *made)
{
    struct cni_interface *link =
        cni_result_add_interface(r, cni_conf_ifname(&call->conf, &call->env));
    char mac[IP_MAC_TEXT_SIZE];

    link->mac = xstrdup(ip_mac_format(made->mac, ':', mac));
    link->sandbox = xstrdup(call->env.netns);
    link->mtu = made->mtu;
    for (size_t i = 0; i < made->n_addrs; i++) {
        struct cni_ip *ip = cni_result_add_ip(r, made->addrs[i]);

        ip->interface = (int)r->n_interfaces - 1;
        if (i == 0)
            ip->gateway = w->gateway;
    }
}

/* What stood before us goes on, and ours comes behind it. */
static int print_result(const struct cni_call *call, const struct wanted *w,
                        const struct podif_made *made, char **out, struct err **e)
{
    auto_cni_result struct cni_result result = {.interfaces = NULL}, ours = {.interfaces = NULL};
    int r = call->conf.has_prev ? cni_result_parse(call->conf.prev_tree, &result, e) : 0;

    if (r < 0)
        return r;
    add_interface(&ours, call, w, made);
    add_routes(&ours, w);
    ours.dns = cJSON_Duplicate(call->conf.dns, 1);
    cni_result_merge(&result, &ours);
    *out = cni_result_print(&result, call->conf.version);
    return 0;
}

/* Numbers that have another meaning for a runtime: a master that is down may come up, and what the
 * kernel does not have is no field of the configuration. */
static int for_runtime(int status, struct err **e)
{
    int other = status == -ENETDOWN ? -EAGAIN : status == -EOPNOTSUPP ? -ENOSYS : status;

    return other == status ? status : err_set(e, other, "%s", err_text(e ? *e : NULL));
}

int cmd_add(const struct cni_call *call, char **out_result, struct err **e)
{
    struct podif_options options = {.probes = call->conf.has_probe ? PROBES : 0,
                                    .probe_ms = PROBE_MS};
    struct podif_id id = attach_id(call);
    auto_pod_answer struct pod_answer answer = {.uid = NULL};
    struct podif_made made;
    int r = attach_ask(call, call->conf.timeout_ms, &answer, e);

    if (r < 0)
        return r;
    if (!answer.is_ours) {
        cni_log_step("no macvlan is asked for");
        *out_result = cni_result_pass(call->conf.prev_tree, call->conf.version);
        return 0;
    }
    cni_log_step("answer of the API server, %u requests", answer.n_requests);
    r = podif_add(&id, &answer.wanted, &options, &made, e);
    if (r < 0)
        return for_runtime(r, e);
    cni_log_step("interface '%s' on '%s'", id.ifname, made.parent);
    r = print_result(call, &answer.wanted, &made, out_result, e);
    if (r < 0)
        (void)podif_del(&id, NULL);
    return r;
}
