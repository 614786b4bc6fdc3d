/* Any CNI_ARGS, and the rest of the environment: refused with a text, or names that can be used. */
#include "cni_env.h"
#include "kube/kube_client.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static void parse_args(const char *text)
{
    struct cni_args a;
    auto_err struct err *e = NULL;

    if (cni_args_parse(text, &a, &e) < 0) {
        must(e && *e->msg);
        return;
    }
    must(!a.pod_name || kube_name_is_valid(a.pod_name));
    must(!a.pod_namespace || kube_name_is_valid(a.pod_namespace));
    must(!a.pod_uid || cni_name_is_valid(a.pod_uid));
    cni_args_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xstrndup((const char *)data, size);
    auto_free char *args = xasprintf("CNI_ARGS=%s", text),
                   *id = xasprintf("CNI_CONTAINERID=%s", text),
                   *name = xasprintf("CNI_IFNAME=%s", text);
    char command[] = "CNI_COMMAND=ADD", path[] = "CNI_PATH=/p", netns[] = "CNI_NETNS=/n";
    char *environment[] = {command, path, netns, args, id, name, NULL};
    struct cni_env env;

    parse_args(text);
    if (cni_env_parse(environment, &env, NULL) == 0) {
        must(cni_name_is_valid(env.container_id) && cni_ifname_is_valid(env.ifname));
        cni_env_release(&env);
    }
    return 0;
}
