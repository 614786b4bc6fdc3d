/* The search for a kubeconfig. */
#include "pod_kubeconfig.h"

#include "buf.h"
#include "mem.h"

#include <errno.h>
#include <unistd.h>

#define LIST_MAX 2048

int pod_kubeconfig_find(const char *given, const char *root, char **out_path, struct err **e)
{
    static const char *const files[] = {"flatnet.d/flatnet.kubeconfig",
                                        "multus.d/multus.kubeconfig"};
    static const char *const prefixes[] = {"", "/var/lib/rancher/rke2/agent",
                                           "/var/lib/rancher/k3s/agent"};
    auto_buf struct buf list;

    buf_init(&list, LIST_MAX);
    if (given) {
        *out_path = xasprintf("%s%s", root ? root : "", given);
        if (access(*out_path, F_OK) == 0)
            return 0;
        mem_free_ptr(out_path);
        *out_path = NULL;
        return err_set(e, -EAGAIN, "the kubeconfig '%s' is not there", given);
    }
    for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++) {
        for (size_t p = 0; p < sizeof(prefixes) / sizeof(*prefixes); p++) {
            auto_free char *path =
                xasprintf("%s%s/etc/cni/net.d/%s", root ? root : "", prefixes[p], files[f]);

            if (access(path, F_OK) == 0) {
                *out_path = take(path);
                return 0;
            }
            (void)buf_addf(&list, "%s'%s'", list.len ? ", " : "", path);
        }
    }
    return err_set(e, -EAGAIN,
                   "no kubeconfig is there: neither of %s; is the DaemonSet network-cni-ds running "
                   "on this node?",
                   list.data);
}
