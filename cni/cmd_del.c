/* DEL: needs neither the API server, nor the master, nor the pod's namespace. */
#include "cni_attach.h"
#include "cni_log.h"

int cmd_del(const struct cni_call *call, struct err **e)
{
    struct podif_id id = attach_id(call);
    int r = podif_del(&id, e);

    if (r < 0)
        return r;
    cni_log_step(r ? "interface '%s' removed" : "interface '%s' of this container is not there",
                 id.ifname);
    return 0;
}
