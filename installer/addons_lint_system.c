/* What RKE and Rancher pull for a cluster of their own accord. */
#include "addons_lint.h"
#include "mem.h"

#include <string.h>

/*
 * Repositories of Rancher's system images. Later ones are called mirrored-NAME. `from` and `until`
 * are minors of Kubernetes 1 (0: no bound). RKE adds etcd, a proxy (in rke-tools), the pause image,
 * DNS, metrics and ingress whatever the network plugin is.
 */
static const struct system_image {
    const char *names[3];
    int from, until;
    const char *what;
} system_images[] = {
    {{"rancher/rke-tools"}, 0, 0, "prepares every node"},
    {{"rancher/coreos-etcd", "rancher/mirrored-coreos-etcd"}, 0, 0, "etcd"},
    {{"rancher/pause", "rancher/pause-amd64", "rancher/mirrored-pause"}, 0, 0, "every pod has one"},
    {{"rancher/k8s-dns-kube-dns", "rancher/k8s-dns-kube-dns-amd64",
      "rancher/mirrored-k8s-dns-kube-dns"},
     0,
     14,
     "cluster DNS"},
    {{"rancher/coredns-coredns", "rancher/mirrored-coredns-coredns"}, 14, 0, "cluster DNS"},
    {{"rancher/metrics-server", "rancher/metrics-server-amd64", "rancher/mirrored-metrics-server"},
     0,
     0,
     "metrics; or switch 'monitoring' off"},
    {{"rancher/nginx-ingress-controller"}, 0, 0, "ingress; or switch 'ingress' off"},
};

static bool is_named(const struct ref *ref, const char *name)
{
    size_t len = strlen(ref->repo), tail = strlen(name);

    if (len < tail || strcmp(ref->repo + len - tail, name) != 0)
        return false;
    return len == tail || ref->repo[len - tail - 1] == '/';
}

static const struct ref *find(const struct imagelist *have, const char *name, const char *prefix)
{
    for (size_t i = 0; i < have->n_entries; i++) {
        const struct ref *ref = &have->entries[i]->ref;

        if (is_named(ref, name) && ref->tag && !strncmp(ref->tag, prefix, strlen(prefix)))
            return ref;
    }
    return NULL;
}

static void check_kubernetes(const struct imagelist *have, int minor, struct findings *f)
{
    auto_free char *prefix = xasprintf("v1.%d.", minor);

    if (!find(have, "rancher/hyperkube", prefix))
        findings_add(f, FINDING_WARNING, NULL, 0,
                     "no 'rancher/hyperkube:%s*' is in the bundle: it is Kubernetes itself",
                     prefix);
}

static void check_agent(const struct imagelist *have, struct findings *f)
{
    const struct ref *server = find(have, "cnrancher/rancher", "");
    const char *tag;

    if (!server)
        server = find(have, "rancher/rancher", "");
    tag = server ? server->tag : "";
    if (find(have, "rancher/rancher-agent", tag))
        return;
    findings_add(f, FINDING_WARNING, NULL, 0,
                 "no 'rancher/rancher-agent%s%s' is in the bundle: every node runs it, of the "
                 "server's version",
                 *tag ? ":" : "", tag);
}

void addons_lint_system_images(const struct imagelist *have, int kube_minor, struct findings *f)
{
    check_agent(have, f);
    check_kubernetes(have, kube_minor, f);
    for (size_t i = 0; i < sizeof(system_images) / sizeof(system_images[0]); i++) {
        const struct system_image *image = &system_images[i];
        bool found = kube_minor < image->from || (image->until && kube_minor >= image->until);

        for (size_t j = 0; j < 3 && image->names[j]; j++)
            found = found || find(have, image->names[j], "");
        if (!found)
            findings_add(f, FINDING_WARNING, NULL, 0, "no '%s' is in the bundle (%s)",
                         image->names[0], image->what);
    }
}
