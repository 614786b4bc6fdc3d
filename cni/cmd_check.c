/*
 * CHECK: the interface is as ADD left it. Address, parent and mode are what the MacvlanIP says,
 * which cannot change while a pod lives; routes and MTU are judged as far as ADD told them in
 * prevResult, since an edit of the subnet concerns only pods that start after it.
 */
#include "cni_attach.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 10000

static bool was_told(const struct cni_result *prev, struct ip_net dst)
{
    for (size_t i = 0; i < prev->n_routes; i++)
        if (prev->routes[i].dst.prefix == dst.prefix &&
            prev->routes[i].dst.addr.family == dst.addr.family &&
            ip_compare(ip_net_first(prev->routes[i].dst), ip_net_first(dst)) == 0)
            return true;
    return false;
}

static void keep_told_routes(struct wanted *w, const struct cni_result *prev)
{
    struct ip_net any = {.addr.family = w->addr.addr.family};
    size_t n = 0;

    for (size_t i = 0; i < w->n_routes; i++) {
        if (was_told(prev, w->routes[i].dst))
            w->routes[n++] = w->routes[i];
        else
            free(w->routes[i].iface);
    }
    w->n_routes = n;
    w->has_default_route = w->has_default_route && was_told(prev, any);
}

static bool has_address(const struct cni_result *prev, int interface, struct ip_net addr)
{
    for (size_t i = 0; i < prev->n_ips; i++)
        if (prev->ips[i].interface == interface && prev->ips[i].address.prefix == addr.prefix &&
            ip_compare(prev->ips[i].address.addr, addr.addr) == 0)
            return true;
    return false;
}

/* Makes `w` what ADD made, by what it told. */
static int adjust(struct wanted *w, const struct cni_call *call, struct err **e)
{
    const struct cni_result *prev = &call->conf.prev;
    const char *ifname = cni_conf_ifname(&call->conf, &call->env);
    int index = cni_result_find(prev, ifname);
    const struct cni_interface *link;
    char text[IP_NET_TEXT_SIZE];

    if (index < 0)
        return err_set(e, -EINVAL, "prevResult has no interface '%s' in the pod", ifname);
    if (!has_address(prev, index, w->addr))
        return err_set(e, -EUCLEAN, "the pod's MacvlanIP says %s, and prevResult does not",
                       ip_net_format(w->addr, text));
    link = &prev->interfaces[index];
    if (link->mac) {
        w->has_mac = true;
        if (ip_mac_parse(link->mac, &w->mac, e) < 0)
            return err_wrap(e, "prevResult");
    }
    w->mtu = link->mtu;
    keep_told_routes(w, prev);
    return 0;
}

int cmd_check(const struct cni_call *call, struct err **e)
{
    struct podif_id id = attach_id(call);
    auto_pod_answer struct pod_answer answer = {.uid = NULL};
    int r = attach_ask(call, ASK_MS, &answer, e);

    if (r < 0 || !answer.is_ours)
        return r;
    r = adjust(&answer.wanted, call, e);
    if (r == 0)
        r = podif_check(&id, &answer.wanted, e);
    if (r == -ENOENT || r == -EINVAL || r == -ENODEV)
        return err_set(e, -EUCLEAN, "%s", err_text(e ? *e : NULL));
    return r;
}
