/* GC: removes the interfaces of this network that no valid attachment has. */
#include "cni_attach.h"
#include "cni_log.h"
#include "netlink/netns.h"

#include "log.h"
#include "mem.h"

#include <stdlib.h>

static const char *const folders[] = {"/run/netns", "/run/docker/netns", NULL};

/* Goes on after an error; the first one is reported. */
static int collect(const struct cni_call *call, char *const *paths, size_t count, struct err **e)
{
    const struct cni_conf *conf = &call->conf;
    auto_free struct podif_attachment *valid = xcalloc(conf->n_valid, sizeof(*valid));
    int first = 0, removed = 0;

    /* Behind another plugin the attachment is that one's interface, and ours has a name of its own.
     */
    for (size_t i = 0; i < conf->n_valid; i++)
        valid[i] =
            (struct podif_attachment){conf->valid[i].container_id,
                                      conf->is_chained ? conf->interface : conf->valid[i].ifname};
    for (size_t i = 0; i < count; i++) {
        auto_err struct err *why = NULL;
        int r = podif_gc(paths[i], conf->name, valid, conf->n_valid, &why);

        if (r >= 0) {
            removed += r;
            continue;
        }
        log_warn("namespace '%s': %s", paths[i], err_text(why));
        if (!first)
            first = err_set(e, r, "namespace '%s': %s", paths[i], err_text(why));
    }
    cni_log_step("%d interfaces removed in %zu namespaces", removed, count);
    return first;
}

int cmd_gc(const struct cni_call *call, struct err **e)
{
    char **paths;
    size_t count;
    int r = netns_list(folders, &paths, &count, e);

    if (r < 0)
        return r;
    r = collect(call, paths, count, e);
    netns_list_free(paths, count);
    return r;
}
