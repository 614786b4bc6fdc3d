/* Whether a workload can have what it asks for. */
#include "workload.h"

#include "json.h"
#include "log.h"
#include "macvlan/macvlanip.h"
#include "mem.h"
#include "subnet_usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct checking {
    const struct netview *v;
    const struct workload_ref *ref;
    const char *namespace;
    char *self; /* "deployment/web" */
    const cJSON *object;
    struct annot_request request;
    struct usage usage;
};

static int64_t number_of(const cJSON *object, const char *name, int64_t otherwise)
{
    int64_t n;

    return json_get_size(object, name, &n) == 0 ? n : otherwise;
}

size_t workload_pods(const struct netview_kind *kind, const cJSON *object)
{
    const cJSON *spec = json_get_obj(object, "spec"), *status = json_get_obj(object, "status");

    if (!strcmp(kind->kind, "CronJob"))
        spec = json_get_obj(json_get_obj(spec, "jobTemplate"), "spec");
    if (!strcmp(kind->kind, "CronJob") || !strcmp(kind->kind, "Job"))
        return (size_t)number_of(spec, "parallelism", 1);
    if (!strcmp(kind->kind, "DaemonSet"))
        return (size_t)number_of(status, "desiredNumberScheduled", 0);
    return (size_t)number_of(spec, "replicas", 1);
}

/* --- the lists --- */

/* The refusals of lib/macvlan, by the option that they are about. */
static int refuse(const struct annot_refusal *no, int status, struct err **e)
{
    const char *flag =
        !strcmp(no->reason, ANNOT_SUBNET_ERROR) ? "--subnet"
        : !strncmp(no->admission, "mac", 3) || !strncmp(no->admission, "parse single mac", 16)
            ? "--mac"
            : "--ip";

    return err_set(e, status, "%s: %s", flag, no->admission);
}

static int read_request(struct checking *c, const struct workload_ask *ask, struct err **e)
{
    auto_json cJSON *annotations = workload_annotations(ask);
    auto_annot_refusal struct annot_refusal no = {.text = NULL};
    auto_free char *warning = NULL;

    if (annot_parse(annotations, &c->request, &no) < 0)
        return refuse(&no, -EINVAL, e);
    warning = annot_long_list(&c->request);
    if (warning)
        log_warn("%s", warning);
    return 0;
}

static int check_counts(const struct checking *c, struct err **e)
{
    const struct annot_request *r = &c->request;
    size_t pods = workload_pods(c->ref->kind, c->object);

    if (r->n_ips && r->n_ips < pods)
        return err_set(e, -EINVAL,
                       "--ip: %s has %zu pods, but only %zu address%s named; name %zu more, or "
                       "scale it down first",
                       c->self, pods, r->n_ips, r->n_ips == 1 ? " is" : "es are", pods - r->n_ips);
    if (r->n_macs && r->n_macs < pods)
        return err_set(e, -EINVAL,
                       "--mac: %s has %zu pods, but only %zu MAC%s named; name %zu more, or none",
                       c->self, pods, r->n_macs, r->n_macs == 1 ? " is" : "s are",
                       pods - r->n_macs);
    return 0;
}

/* --- the subnet --- */

static int check_subnet(struct checking *c, struct err **e)
{
    const cJSON *object = netview_find(c->v->subnets, NULL, c->request.subnet);
    const cJSON *space = netview_find(c->v->namespaces, NULL, c->namespace);
    const char *project = json_get_str(netview_annotations(space), MACVLANIP_PROJECT_LABEL);
    auto_annot_refusal struct annot_refusal no = {.text = NULL};
    int r;

    if (!object)
        return err_set(e, -ENOENT,
                       "--subnet: there is no subnet '%s'; 'flatnet subnet ls' lists them",
                       c->request.subnet);
    r = usage_make(c->v, object, &c->usage, e);
    if (r < 0)
        return r;
    if (annot_check_subnet(c->request.subnet, c->usage.subnet, &no) < 0 ||
        annot_check_project(c->usage.subnet, c->ref->name, project, &no) < 0)
        return refuse(&no, -EINVAL, e);
    return 0;
}

/* --- addresses --- */

static const char *why_not(enum subnet_place place)
{
    switch (place) {
    case SUBNET_GATEWAY:
        return "the gateway of";
    case SUBNET_NETWORK:
        return "the address of the network itself in";
    case SUBNET_BROADCAST:
        return "the broadcast address of";
    case SUBNET_OUTSIDE:
    case SUBNET_USABLE:
        break;
    }
    return "not in the network and ranges of";
}

static bool is_own(const struct checking *c, const struct usage_row *row)
{
    return !strcmp(row->namespace, c->namespace) && row->workload &&
           !strcmp(row->workload, c->self);
}

/* A row of its set has no pod to find the set by. */
static bool is_of_own_set(const struct checking *c, const struct usage_row *row)
{
    size_t len = strlen(c->ref->name);

    return row->state == USAGE_KEPT && !strcmp(c->ref->kind->kind, "StatefulSet") &&
           !strcmp(row->namespace, c->namespace) && !strncmp(row->pod, c->ref->name, len) &&
           row->pod[len] == '-' && strrchr(row->pod, '-') == row->pod + len;
}

static const struct usage_row *other_holder(const struct checking *c, struct ip_addr ip)
{
    for (size_t i = 0; i < c->usage.n_rows; i++) {
        const struct usage_row *row = &c->usage.rows[i];

        if (ip_compare(ip, row->first) >= 0 && ip_compare(ip, row->last) <= 0 && !is_own(c, row) &&
            !is_of_own_set(c, row))
            return row;
    }
    return NULL;
}

static int check_address(const struct checking *c, struct ip_addr ip, struct err **e)
{
    enum subnet_place place = subnet_place(c->usage.subnet, ip);
    const struct usage_row *row;
    char text[IP_TEXT_SIZE];

    (void)ip_format(ip, text);
    if (place != SUBNET_USABLE)
        return err_set(
            e, -EINVAL,
            "--ip: '%s' is %s subnet '%s'; 'flatnet subnet show --free %s' lists what is "
            "free",
            text, why_not(place), c->request.subnet, c->request.subnet);
    row = other_holder(c, ip);
    if (row)
        return err_set(e, -EEXIST, "--ip: '%s' is %s by '%s/%s'; use another one", text,
                       usage_state_name(row->state), row->namespace,
                       *row->pod ? row->pod : row->workload);
    return 0;
}

/* --- MACs --- */

static bool is_same_segment(const struct checking *c, const char *name)
{
    auto_subnet struct subnet *s = netview_subnet(c->v, name);

    return s && s->is_valid && s->vlan == c->usage.subnet->vlan &&
           !strcmp(s->master, c->usage.subnet->master);
}

static bool is_own_pod(const struct checking *c, const struct macvlanip *ip)
{
    const cJSON *pod = netview_find(c->v->pods, ip->namespace, ip->name);
    auto_free char *workload = netview_workload_of(pod, c->v->workloads[3]);

    return pod && !strcmp(ip->namespace, c->namespace) && !strcmp(workload, c->self);
}

static int check_mac_of(const struct checking *c, const struct macvlanip *ip, struct err **e)
{
    char text[IP_MAC_TEXT_SIZE];

    for (size_t i = 0; ip->has_mac && i < c->request.n_macs; i++) {
        if (ip_mac_value(ip->mac) != ip_mac_value(c->request.macs[i]) || is_own_pod(c, ip) ||
            !is_same_segment(c, ip->subnet))
            continue;
        return err_set(e, -EEXIST, "--mac: '%s' has pod '%s/%s' in the same VLAN; use another one",
                       ip_mac_format(ip->mac, ':', text), ip->namespace, ip->name);
    }
    return 0;
}

static int check_macs(const struct checking *c, struct err **e)
{
    const cJSON *item;
    int r = 0;

    if (!c->request.n_macs)
        return 0;
    cJSON_ArrayForEach(item, c->v->ips)
    {
        struct macvlanip *ip = NULL;

        if (r == 0 && macvlanip_parse(item, &ip, NULL) == 0)
            r = check_mac_of(c, ip, e);
        macvlanip_free(ip);
    }
    return r;
}

/* --- what may surprise --- */

static void warn(const struct checking *c)
{
    const char *kind = c->ref->kind->kind;
    const char *policy = json_get_str(json_get_obj(c->object, "spec"), "concurrencyPolicy");

    if (!c->request.n_ips) {
        if (c->usage.counts.free < workload_pods(c->ref->kind, c->object))
            log_warn("subnet '%s' has %llu free addresses, and %s has %zu pods", c->request.subnet,
                     (unsigned long long)c->usage.counts.free, c->self,
                     workload_pods(c->ref->kind, c->object));
        return;
    }
    if (!strcmp(kind, "DaemonSet"))
        log_warn("a DaemonSet has a pod on each node, also on one that comes later: each needs an "
                 "address of its own in '--ip', or use auto");
    if (!strcmp(kind, "CronJob") && (!policy || !strcmp(policy, "Allow")))
        log_warn("%s may run twice at a time, and the second run waits for the addresses of the "
                 "first: set concurrencyPolicy to Forbid or Replace",
                 c->self);
}

static int check(struct checking *c, const struct workload_ask *ask, struct err **e)
{
    int r = read_request(c, ask, e);

    if (r == 0)
        r = check_subnet(c, e);
    if (r == 0)
        r = check_counts(c, e);
    for (size_t i = 0; i < c->request.n_ips && r == 0; i++)
        r = check_address(c, c->request.ips[i], e);
    if (r == 0)
        r = check_macs(c, e);
    if (r == 0)
        warn(c);
    return r;
}

int workload_check(const struct netview *v, const struct workload_ref *ref, const cJSON *object,
                   const struct workload_ask *ask, struct err **e)
{
    struct checking c = {.v = v,
                         .ref = ref,
                         .namespace = netview_namespace(object),
                         .self = xasprintf("%s/%s", ref->kind->word, ref->name),
                         .object = object};
    int r = check(&c, ask, e);

    annot_request_release(&c.request);
    usage_release(&c.usage);
    free(c.self);
    return r;
}
