/* STATUS: whether an ADD could work now: there is a kubeconfig, and the API server takes it. */
#include "cni_call.h"
#include "pod_api.h"
#include "pod_kubeconfig.h"
#include "pod_session.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "mem.h"

#include <errno.h>

#define ASK_MS 5000

static int ask(const struct cni_call *call, struct err **e)
{
    auto_free char *path = NULL;
    auto_pod_api struct pod_api *api = NULL;
    auto_json cJSON *answer = NULL;
    struct pod_api_options options = {.until_ms = kube_now_ms() + ASK_MS};
    int r = pod_kubeconfig_find(call->conf.kubeconfig, NULL, &path, e);

    if (r < 0)
        return r;
    options.kubeconfig = path;
    options.sessions = POD_SESSIONS;
    r = pod_api_new(&options, &api, e);
    if (r == 0)
        r = pod_api_get(api, "/apis/macvlan.cluster.cattle.io/v1", &answer, e);
    return r;
}

int cmd_status(const struct cni_call *call, struct err **e)
{
    auto_err struct err *why = NULL;

    if (ask(call, &why) < 0)
        return err_set(e, -ENETDOWN, "pods cannot get their addresses: %s", err_text(why));
    return 0;
}
