/* Cluster YAML, as RKE and Rancher read it. */
#include "addons_cluster.h"

#include "mem.h"
#include "yamledit.h"

#include <string.h>

char *addons_join(const char *folder, const char *name)
{
    size_t len = strlen(folder);

    while (len && folder[len - 1] == '/')
        len--;
    return xasprintf("%.*s/%s", (int)len, folder, name);
}

static void add_services(const struct addons_settings *s, const char *in, struct buf *out)
{
    if (s->pod.is_default && s->service.is_default)
        return;
    (void)buf_addf(out,
                   "%sservices:\n"
                   "%s  kube-api:\n"
                   "%s    service_cluster_ip_range: %s\n"
                   "%s  kube-controller:\n"
                   "%s    cluster_cidr: %s\n"
                   "%s    service_cluster_ip_range: %s\n"
                   "%s  kubelet:\n"
                   "%s    cluster_dns_server: %s\n",
                   in, in, in, s->service.text, in, in, s->pod.text, in, s->service.text, in, in,
                   s->dns_server);
}

void addons_cluster_text(const struct addons_settings *s, enum addons_layout layout,
                         const struct addons_places *places, struct buf *out)
{
    const char *in = layout == ADDONS_RANCHER ? "  " : "";

    if (layout == ADDONS_RANCHER)
        (void)buf_addstr(out, "rancher_kubernetes_engine_config:\n");
    (void)buf_addf(out, "%snetwork:\n%s  plugin: none\n", in, in);
    add_services(s, in, out);
    (void)buf_addf(out, "%saddons_include:\n", in);
    for (const char *const *name = places->names; *name; name++) {
        auto_free char *path = addons_join(places->folder, *name);
        auto_free char *scalar = yamledit_scalar(path, YAMLNODE_PLAIN);

        (void)buf_addf(out, "%s  - %s\n", in, scalar);
    }
    if (places->url)
        (void)buf_addf(out, "%s  # or, from a web server:\n", in);
    for (const char *const *name = places->names; places->url && *name; name++) {
        auto_free char *address = addons_join(places->url, *name);

        (void)buf_addf(out, "%s  # - %s\n", in, address);
    }
}
