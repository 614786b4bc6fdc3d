/* DEL and GC: only what carries our mark goes. */
#include "podif_internal.h"

#include "log.h"
#include "mem.h"

#include <errno.h>
#include <string.h>

/* Between the making of a link and its marking there is a moment in which a call can be killed; the
 * link is down then, which nobody else's finished one is. */
static bool is_half_made(const struct nllink *link)
{
    return !*link->alias && !(link->flags & IFF_UP);
}

static int remove_named(struct nl_sock *pod, const char *name, const char *container,
                        struct err **e)
{
    auto_err struct err *why = NULL;
    struct nllink link;
    int r = nllink_get(pod, name, &link, &why);

    if (r == -ENODEV)
        return 0;
    if (r < 0)
        return err_set(e, r, "cannot look up '%s' in the pod: %s", name, why->msg);
    if (strcmp(link.kind, "macvlan") != 0 ||
        !(is_half_made(&link) || podif_alias_is_of(link.alias, container))) {
        log_info("interface left alone, it is not this container's name='%s' alias='%s'", name,
                 link.alias);
        return 0;
    }
    r = nllink_del(pod, link.index, &why);
    if (r < 0 && r != -ENODEV)
        return err_set(e, r, "cannot remove '%s' from the pod: %s", name, why->msg);
    return 1;
}

int podif_del(const struct podif_id *id, struct err **e)
{
    auto_netns struct netns ns = NETNS_NONE;
    auto_nlsock struct nl_sock *pod = NULL;
    auto_err struct err *why = NULL;
    char name[IFNAMSIZ];
    int r;

    if (!id->netns || !*id->netns)
        return 0;
    r = podif_open_netns(id->netns, id->may_be_host, &ns, &why);
    /* The number of a process that is gone may be another's by now. */
    if (r == -ENOENT || r == -ENOTUNIQ) {
        log_debug("nothing to remove: %s", why->msg);
        return 0;
    }
    if (r < 0)
        return err_set(e, r, "%s", why->msg);
    r = netns_socket(&ns, &pod, e);
    if (r < 0)
        return r;
    r = remove_named(pod, id->ifname, id->container, e);
    if (r)
        return r;
    podif_temporary_name(id->container, id->ifname, name);
    return remove_named(pod, name, id->container, e);
}

static bool is_valid(const struct nllink *link, const struct podif_attachment *valid,
                     size_t n_valid)
{
    for (size_t i = 0; i < n_valid; i++)
        if (!strcmp(link->name, valid[i].ifname) &&
            podif_alias_is_of(link->alias, valid[i].container))
            return true;
    return false;
}

int podif_gc(const char *netns, const char *network, const struct podif_attachment *valid,
             size_t n_valid, struct err **e)
{
    auto_netns struct netns ns = NETNS_NONE;
    auto_nlsock struct nl_sock *pod = NULL;
    auto_free struct nllink *links = NULL;
    size_t n = 0;
    int removed = 0, r = podif_open_netns(netns, false, &ns, e);

    if (r == 0)
        r = netns_socket(&ns, &pod, e);
    if (r == 0)
        r = nllink_list(pod, &links, &n, e);
    for (size_t i = 0; i < n && r >= 0; i++) {
        auto_err struct err *why = NULL;
        if (strcmp(links[i].kind, "macvlan") != 0 || !podif_alias_is_in(links[i].alias, network) ||
            is_valid(&links[i], valid, n_valid))
            continue;
        r = nllink_del(pod, links[i].index, &why);
        if (r < 0 && r != -ENODEV)
            return err_set(e, r, "cannot remove '%s' from '%s': %s", links[i].name, netns,
                           why->msg);
        r = 0;
        removed++;
    }
    return r < 0 ? r : removed;
}
