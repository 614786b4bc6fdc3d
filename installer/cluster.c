/* From --kubeconfig and --context to a server that answers. */
#include "cluster.h"

#include "interrupt.h"
#include "json.h"
#include "kube/kube_creds.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int load(const struct cluster_options *o, struct kube_config *out, struct err **e)
{
    auto_err struct err *why = NULL;
    auto_free char *namespace = NULL;
    int r = kube_config_load_user(o->kubeconfig, o->context, out, &why);

    if (r == -ENOENT && !o->kubeconfig && !o->context && !getenv("KUBECONFIG")) {
        int in_pod = kube_creds_in_cluster(NULL, out, &namespace, e);

        if (in_pod != -ENOENT)
            return in_pod;
    }
    return r < 0 ? err_set(e, r, "%s", err_text(why)) : 0;
}

/* "20", "20+". */
static int minor_of(const cJSON *version, const char *server, struct err **e)
{
    const char *major = json_get_str(version, "major"), *minor = json_get_str(version, "minor");
    char *end = NULL;
    long n = minor ? strtol(minor, &end, 10) : -1;

    if (!major || strcmp(major, "1") != 0 || n < 0 || n > 999 || end == minor)
        return err_set(e, -EPROTO, "'%s' does not say that it is Kubernetes 1.x", server);
    return (int)n;
}

int cluster_open(const struct cluster_options *o, struct cluster *out, struct err **e)
{
    auto_json cJSON *version = NULL;
    int r;

    memset(out, 0, sizeof(*out));
    r = load(o, &out->config, e);
    if (r == 0)
        r = kube_client_new(&out->config, &out->kube, e);
    if (r < 0)
        return r;
    interrupt_init();
    kube_client_cancel_when(out->kube, interrupt_seen);
    r = kube_get(out->kube, "/version", &version, e);
    if (r == 0)
        r = minor_of(version, out->config.server, e);
    if (r < 0)
        return r;
    out->minor = r;
    log_debug("context '%s' at '%s', Kubernetes 1.%d",
              out->config.context ? out->config.context : "-", out->config.server, out->minor);
    return 0;
}

void cluster_close(struct cluster *c)
{
    kube_client_free(c->kube);
    kube_config_release(&c->config);
    memset(c, 0, sizeof(*c));
}
