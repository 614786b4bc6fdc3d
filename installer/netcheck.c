/* Findings about a cluster's flat network: subnets, the controller, and what is left of 2019. */
#include "netcheck.h"

#include "json.h"
#include "macvlan/annot.h"
#include "macvlan/svc_networks.h"
#include "mem.h"
#include "subnet_usage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEASE_OLD_S 120 /* without a renewal; clocks differ */

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);

    return text ? text : "";
}

/* --- the list --- */

void netcheck_add(struct netcheck *n, const struct netcheck_finding *finding)
{
    array_grow(n->findings, n->n_findings);
    n->findings[n->n_findings++] = *finding;
}

static void release_finding(struct netcheck_finding *f)
{
    free(f->subject);
    free(f->cause);
    free(f->mend);
}

void netcheck_release(struct netcheck *n)
{
    for (size_t i = 0; i < n->n_findings; i++)
        release_finding(&n->findings[i]);
    free(n->findings);
    netview_index_release(&n->pods);
    netview_index_release(&n->ips);
    netview_index_release(&n->endpoints);
    netview_index_release(&n->services);
    *n = (struct netcheck){.v = NULL};
}

static bool has(const struct netcheck *n, const struct netcheck_finding *f)
{
    for (size_t i = 0; i < n->n_findings; i++)
        if (!strcmp(n->findings[i].code, f->code) && !strcmp(n->findings[i].subject, f->subject))
            return true;
    return false;
}

void netcheck_confirm(struct netcheck *n, const struct netcheck *other)
{
    size_t kept = 0;

    for (size_t i = 0; i < n->n_findings; i++) {
        if (!n->findings[i].is_passing || has(other, &n->findings[i]))
            n->findings[kept++] = n->findings[i];
        else
            release_finding(&n->findings[i]);
    }
    n->n_findings = kept;
}

bool netcheck_has_passing(const struct netcheck *n)
{
    for (size_t i = 0; i < n->n_findings; i++)
        if (n->findings[i].is_passing)
            return true;
    return false;
}

size_t netcheck_count(const struct netcheck *n, enum netcheck_level level)
{
    size_t count = 0;

    for (size_t i = 0; i < n->n_findings; i++)
        count += n->findings[i].level == level;
    return count;
}

bool netcheck_wants(const struct netcheck *n, const char *subnet)
{
    if (!n->names || !*n->names)
        return true;
    for (char *const *name = n->names; *name; name++)
        if (!strcmp(*name, subnet))
            return true;
    return false;
}

/* --- subnets --- */

static void check_spec(struct netcheck *n, const struct subnet *s)
{
    for (size_t i = 0; i < s->n_findings; i++)
        netcheck_add(n, &(struct netcheck_finding){
                            .level = s->findings[i].is_error ? NETCHECK_ERROR : NETCHECK_WARNING,
                            .code = "subnet-spec",
                            .subject = xasprintf("subnet %s", s->name),
                            .cause = xstrdup(s->findings[i].text),
                            .mend = xasprintf("kubectl edit macvlansubnet -n kube-system %s",
                                              s->name)});
}

/* How many addresses the status says are used, and how many are by the objects. */
static void check_figures(struct netcheck *n, const cJSON *object)
{
    auto_usage struct usage u = {.n_rows = 0};
    struct alloc_counts said;

    if (!usage_from_status(object, &said) || usage_make(n->v, object, &u, NULL) < 0 ||
        !u.subnet->is_valid)
        return;
    if (said.used == u.counts.used && said.reserved == u.counts.reserved)
        return;
    netcheck_add(n,
                 &(struct netcheck_finding){
                     .level = NETCHECK_WARNING,
                     .code = "figures",
                     .subject = xasprintf("subnet %s", u.subnet->name),
                     .cause = xasprintf("its status says that %" PRIu64 " addresses are used and "
                                        "%" PRIu64 " reserved, but by its MacvlanIPs and the "
                                        "workloads it is %" PRIu64 " and %" PRIu64,
                                        said.used, said.reserved, u.counts.used, u.counts.reserved),
                     .mend = xstrdup("see whether the controller runs and what it logs"),
                     .is_passing = true});
}

static void check_overlap(struct netcheck *n, const cJSON *object, const struct subnet *s)
{
    const cJSON *other;

    for (other = object->next; other; other = other->next) {
        auto_subnet struct subnet *o = NULL;
        auto_err struct err *e = NULL;

        if (subnet_parse(other, n->v->has_legacy_octets, &o, NULL) < 0 || !o->is_valid ||
            subnet_check_overlap(s, o, &e) == 0 ||
            !(netcheck_wants(n, s->name) || netcheck_wants(n, o->name)))
            continue;
        netcheck_add(n, &(struct netcheck_finding){
                            .level = NETCHECK_ERROR,
                            .code = "overlap",
                            .subject = xasprintf("subnets %s and %s", s->name, o->name),
                            .cause = xstrdup(err_text(e)),
                            .mend = xstrdup("the older one goes on giving out addresses; change or "
                                            "remove the other: flatnet subnet rm")});
    }
}

void netcheck_subnets(struct netcheck *n)
{
    const cJSON *object;

    cJSON_ArrayForEach(object, n->v->subnets)
    {
        auto_subnet struct subnet *s = NULL;

        if (subnet_parse(object, n->v->has_legacy_octets, &s, NULL) < 0)
            continue;
        if (s->is_valid)
            check_overlap(n, object, s);
        if (!netcheck_wants(n, s->name))
            continue;
        check_spec(n, s);
        check_figures(n, object);
    }
}

/* --- the controller --- */

/* Of a Lease, or the record that a ConfigMap has as an annotation. False: nobody leads. */
static bool read_lease(const cJSON *lease, int64_t *out_renewed_s)
{
    const char *record =
        json_get_str(netview_annotations(lease), "control-plane.alpha.kubernetes.io/leader");
    auto_json cJSON *tree = NULL;
    const cJSON *spec = json_get_obj(lease, "spec");
    struct tm tm = {.tm_year = 0};
    const char *end;

    if (record && json_parse(record, strlen(record), &tree, NULL) == 0)
        spec = tree;
    if (!*text_of(spec, "holderIdentity"))
        return false;
    end = strptime(text_of(spec, "renewTime"), "%Y-%m-%dT%H:%M:%S", &tm);
    *out_renewed_s = end ? (int64_t)timegm(&tm) : 0;
    return true;
}

static void check_controller(struct netcheck *n)
{
    int64_t renewed_s = 0;
    bool is_led = read_lease(n->v->lease, &renewed_s);

    if (is_led && n->now_s - renewed_s <= LEASE_OLD_S)
        return;
    netcheck_add(n, &(struct netcheck_finding){
                        .level = NETCHECK_ERROR,
                        .code = "no-controller",
                        .subject = xstrdup("network-controller"),
                        .cause = is_led ? xasprintf("its leader has not been heard of for %" PRId64
                                                    " s: no pod gets an address",
                                                    n->now_s - renewed_s)
                                        : xstrdup("nobody leads: no pod gets an address"),
                        .mend = xstrdup("kubectl get pods -n kube-system, and see why those of "
                                        "network-controller do not run"),
                        .is_passing = true});
}

/* --- what is left of the system of 2019 --- */

static void add_old(struct netcheck *n, char *subject, const char *cause, const char *mend)
{
    netcheck_add(n, &(struct netcheck_finding){.level = NETCHECK_WARNING,
                                               .code = "leftover",
                                               .subject = subject,
                                               .cause = xstrdup(cause),
                                               .mend = xstrdup(mend)});
}

static void check_old_images(struct netcheck *n, const struct netview_kind *kind,
                             const cJSON *workload)
{
    static const struct {
        const char *image, *cause;
    } table[] = {
        {"/network-controller:v0.", "this is the controller of 2019; two controllers give the same "
                                    "addresses twice"},
        {"/static-macvlan-cni:v0.", "this is the plugin of 2019; it overwrites ours on each node"},
        {"/k8s-net-attach-def-controller:", "with it, annotated services are left to it and get no "
                                            "endpoints from network-controller"},
    };
    const cJSON *spec = json_get_obj(netview_template(kind, workload), "spec"), *container;

    cJSON_ArrayForEach(container, json_get_arr(spec, "containers"))
    {
        const char *image = text_of(container, "image");

        for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
            auto_free char *named = xasprintf("/%s", image);

            if (strstr(named, table[i].image))
                add_old(n,
                        xasprintf("%s %s/%s", kind->word, netview_namespace(workload),
                                  netview_name(workload)),
                        table[i].cause, "delete it once the new one runs");
        }
    }
}

static void check_old_networks(struct netcheck *n)
{
    const cJSON *nad;

    cJSON_ArrayForEach(nad, n->v->nads)
    {
        const char *name = netview_name(nad);

        if (!strcmp(name, "static-macvlan-cni") || !strcmp(name, "static-macvlan-cni-cfg"))
            add_old(n, xasprintf("network %s/%s", netview_namespace(nad), name),
                    "this name of early 2019 is not kept by anybody any more",
                    "have pods ask for " SVC_MACVLAN_NETWORK ", and delete it");
    }
}

void netcheck_system(struct netcheck *n)
{
    check_controller(n);
    for (size_t i = 0; i < NETVIEW_KINDS; i++) {
        const cJSON *workload;

        cJSON_ArrayForEach(workload, n->v->workloads[i])
        {
            if (!strcmp(netview_namespace(workload), "kube-system"))
                check_old_images(n, &netview_kinds[i], workload);
        }
    }
    check_old_networks(n);
}

/* --- all --- */

void netcheck_run(struct netcheck *n)
{
    netview_index_init(&n->pods, n->v->pods);
    netview_index_init(&n->ips, n->v->ips);
    netview_index_init(&n->endpoints, n->v->endpoints);
    netview_index_init(&n->services, n->v->services);
    netcheck_system(n);
    netcheck_subnets(n);
    netcheck_addresses(n);
    netcheck_pods(n);
    netcheck_services(n);
}
