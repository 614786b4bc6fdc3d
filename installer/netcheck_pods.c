/* Findings about addresses, and the pods that have them or wait for them. */
#include "netcheck.h"

#include "json.h"
#include "macvlan/annot.h"
#include "macvlan/macvlanip.h"
#include "macvlan/svc_networks.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);

    return text ? text : "";
}

const char *netcheck_subnet_of(const cJSON *pod)
{
    return text_of(netview_annotations(pod), ANNOT_SUBNET);
}

bool netcheck_is_macvlan(const cJSON *pod)
{
    const cJSON *annotations = netview_annotations(pod);

    return json_get_str(annotations, ANNOT_IP) && json_get_str(annotations, ANNOT_SUBNET) &&
           !netview_pod_has_ended(pod);
}

const cJSON *netcheck_ip_of(const struct netcheck *n, const cJSON *pod)
{
    const cJSON *ip = netview_index_find(&n->ips, netview_namespace(pod), netview_name(pod));

    return ip && !strcmp(text_of(json_get_obj(ip, "spec"), "podId"), netview_uid(pod)) ? ip : NULL;
}

/* --- MacvlanIPs --- */

/* The subnets parsed once, by their order in the view. */
struct segments {
    struct subnet **subnets;
    size_t n;
};

/* The address of a pod that lives. */
struct use {
    const struct subnet *subnet;
    struct macvlanip *ip;
};

static const struct subnet *find_subnet(const struct segments *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->subnets[i]->name, name))
            return s->subnets[i];
    return NULL;
}

static void parse_subnets(const struct netcheck *n, struct segments *out)
{
    const cJSON *object;

    cJSON_ArrayForEach(object, n->v->subnets)
    {
        array_grow(out->subnets, out->n);
        if (subnet_parse(object, n->v->has_legacy_octets, &out->subnets[out->n], NULL) == 0)
            out->n++;
    }
}

static char *subject_of(const struct macvlanip *ip)
{
    return xasprintf("MacvlanIP %s/%s", ip->namespace, ip->name);
}

static bool has_set(const struct netcheck *n, const struct macvlanip *ip)
{
    const char *dash = strrchr(ip->name, '-');
    auto_free char *set = dash ? xstrndup(ip->name, (size_t)(dash - ip->name)) : NULL;
    const cJSON *object = set ? netview_find(n->v->workloads[1], ip->namespace, set) : NULL;

    return ip->owner == MACVLANIP_STATEFULSET && object &&
           !strcmp(netview_uid(object), ip->owner_uid);
}

static void check_orphan(struct netcheck *n, const struct macvlanip *ip, const cJSON *pod)
{
    bool is_other = pod && strcmp(netview_uid(pod), ip->pod_uid) != 0;

    if ((pod && !is_other) || ip->is_deleting || has_set(n, ip))
        return;
    netcheck_add(n,
                 &(struct netcheck_finding){
                     .level = NETCHECK_ERROR,
                     .code = "orphan",
                     .subject = subject_of(ip),
                     .cause = is_other ? xstrdup("its pod is gone, and another one of that name "
                                                 "has another UID: the address is held for nobody")
                                       : xstrdup("it has no pod: the address is held for nobody"),
                     .mend = xasprintf("the controller takes it away; if it does not: kubectl "
                                       "delete macvlanip -n %s %s",
                                       ip->namespace, ip->name),
                     .is_passing = true});
}

static void check_place(struct netcheck *n, const struct macvlanip *ip, const struct subnet *s)
{
    char text[IP_TEXT_SIZE];

    if (ip->is_deleting)
        return;
    if (!s) {
        netcheck_add(n,
                     &(struct netcheck_finding){
                         .level = NETCHECK_ERROR,
                         .code = "no-subnet",
                         .subject = subject_of(ip),
                         .cause = xasprintf("it is of subnet '%s', which is not there", ip->subnet),
                         .mend = xstrdup("make the subnet again, or delete the pod")});
        return;
    }
    if (!s->is_valid || subnet_place(s, ip->ip) == SUBNET_USABLE)
        return;
    netcheck_add(n,
                 &(struct netcheck_finding){
                     .level = NETCHECK_ERROR,
                     .code = "outside",
                     .subject = subject_of(ip),
                     .cause = xasprintf("its address '%s' is none that subnet '%s' gives out",
                                        ip->ip.family ? ip_format(ip->ip, text) : "", ip->subnet),
                     .mend = xstrdup("widen the ranges of the subnet, or delete the pod so that it "
                                     "gets another address")});
}

/* --- twice --- */

static int compare_places(const struct use *a, const struct use *b)
{
    int r = strcmp(a->subnet->master, b->subnet->master);

    return r ? r : (int)a->subnet->vlan - (int)b->subnet->vlan;
}

static int compare_ips(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    int r = compare_places(x, y);

    return r ? r : ip_compare(x->ip->ip, y->ip->ip);
}

static int compare_macs(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    uint64_t m = x->ip->has_mac ? ip_mac_value(x->ip->mac) : 0;
    uint64_t o = y->ip->has_mac ? ip_mac_value(y->ip->mac) : 0;
    int r = compare_places(x, y);

    return r ? r : m < o ? -1 : m > o;
}

static void add_twice(struct netcheck *n, const struct use *a, const struct use *b, bool is_mac)
{
    char ip[IP_TEXT_SIZE], mac[IP_MAC_TEXT_SIZE];

    netcheck_add(n,
                 &(struct netcheck_finding){
                     .level = NETCHECK_ERROR,
                     .code = is_mac ? "duplicate-mac" : "duplicate-ip",
                     .subject = xasprintf("pods %s/%s and %s/%s", a->ip->namespace, a->ip->name,
                                          b->ip->namespace, b->ip->name),
                     .cause = xasprintf("both live in VLAN %u of '%s' with %s", a->subnet->vlan,
                                        a->subnet->master,
                                        is_mac ? ip_mac_format(a->ip->mac, ':', mac)
                                               : ip_format(a->ip->ip, ip)),
                     .mend = xstrdup("delete one of the two pods, so that it gets another one")});
}

/* Neighbours in that order are equal. */
static void check_twice(struct netcheck *n, struct use *uses, size_t n_uses, bool is_mac)
{
    int (*compare)(const void *, const void *) = is_mac ? compare_macs : compare_ips;

    if (n_uses)
        qsort(uses, n_uses, sizeof(*uses), compare);
    for (size_t i = 1; i < n_uses; i++) {
        const struct use *a = &uses[i - 1], *b = &uses[i];
        bool is_there = is_mac ? a->ip->has_mac : a->ip->ip.family != 0;

        if (is_there && compare(a, b) == 0 &&
            (netcheck_wants(n, a->subnet->name) || netcheck_wants(n, b->subnet->name)))
            add_twice(n, a, b, is_mac);
    }
}

void netcheck_addresses(struct netcheck *n)
{
    struct segments segments = {.n = 0};
    struct use *uses = NULL;
    size_t n_uses = 0;
    const cJSON *item;

    parse_subnets(n, &segments);
    cJSON_ArrayForEach(item, n->v->ips)
    {
        struct macvlanip *ip = NULL;
        const cJSON *pod;
        const struct subnet *s;

        if (macvlanip_parse(item, &ip, NULL) < 0)
            continue;
        pod = netview_index_find(&n->pods, ip->namespace, ip->name);
        s = find_subnet(&segments, ip->subnet);
        if (netcheck_wants(n, ip->subnet)) {
            check_orphan(n, ip, pod);
            check_place(n, ip, s);
        }
        if (!s || !s->is_valid || !pod || strcmp(netview_uid(pod), ip->pod_uid) != 0 ||
            netview_pod_has_ended(pod)) {
            macvlanip_free(ip);
            continue;
        }
        array_grow(uses, n_uses);
        uses[n_uses++] = (struct use){.subnet = s, .ip = ip};
    }
    check_twice(n, uses, n_uses, false);
    check_twice(n, uses, n_uses, true);
    for (size_t i = 0; i < n_uses; i++)
        macvlanip_free(uses[i].ip);
    free(uses);
    for (size_t i = 0; i < segments.n; i++)
        subnet_free(segments.subnets[i]);
    free(segments.subnets);
}

/* --- pods --- */

static char *pod_subject(const cJSON *pod)
{
    return xasprintf("pod %s/%s", netview_namespace(pod), netview_name(pod));
}

/* The event says why, and behind a ';' what to do. */
static void check_waiting(struct netcheck *n, const cJSON *pod)
{
    const char *why = netview_warning(n->v, pod, "Macvlan");
    const char *mend = why ? strstr(why, "; ") : NULL;

    if (netcheck_ip_of(n, pod) || netview_is_deleting(pod))
        return;
    netcheck_add(n, &(struct netcheck_finding){
                        .level = NETCHECK_ERROR,
                        .code = "waiting",
                        .subject = pod_subject(pod),
                        .cause = why ? xasprintf("it waits for an address of subnet '%s': %.*s",
                                                 netcheck_subnet_of(pod),
                                                 mend ? (int)(mend - why) : (int)strlen(why), why)
                                     : xasprintf("it waits for an address of subnet '%s', and the "
                                                 "controller has said nothing about it",
                                                 netcheck_subnet_of(pod)),
                        .mend = mend ? xstrdup(mend + 2)
                                     : xstrdup("see whether network-controller runs"),
                        .is_passing = true});
}

static void check_half(struct netcheck *n, const cJSON *pod)
{
    char *text = annot_half(netview_annotations(pod), n->v->is_multus);
    char *mend = text ? strstr(text, ": set ") : NULL;

    if (!text)
        return;
    netcheck_add(n, &(struct netcheck_finding){
                        .level = NETCHECK_WARNING,
                        .code = "half",
                        .subject = pod_subject(pod),
                        .cause = mend ? xstrndup(text, (size_t)(mend - text)) : xstrdup(text),
                        .mend = mend ? xasprintf("%s in the pod template; flatnet workload enable "
                                                 "does",
                                                 mend + 2)
                                     : xstrdup("flatnet workload enable sets what is needed")});
    free(text);
}

/* --- networks of namespaces --- */

static bool has_macvlan_pods(const struct netcheck *n, const char *namespace)
{
    const cJSON *pod;

    cJSON_ArrayForEach(pod, n->v->pods)
    {
        if (!strcmp(netview_namespace(pod), namespace) && netcheck_is_macvlan(pod) &&
            netcheck_wants(n, netcheck_subnet_of(pod)))
            return true;
    }
    return false;
}

static void check_network(struct netcheck *n, const cJSON *space)
{
    const char *name = netview_name(space);
    bool is_needed;

    if (netview_is_deleting(space) || netview_find(n->v->nads, name, SVC_MACVLAN_NETWORK))
        return;
    is_needed = has_macvlan_pods(n, name);
    if (!is_needed && n->names && *n->names)
        return;
    netcheck_add(n, &(struct netcheck_finding){
                        .level = is_needed ? NETCHECK_ERROR : NETCHECK_WARNING,
                        .code = "no-network",
                        .subject = xasprintf("namespace %s", name),
                        .cause = xstrdup("it has no network '" SVC_MACVLAN_NETWORK
                                         "', so that multus gives its pods no interface"),
                        .mend = xstrdup("the controller makes it; see whether it runs, and what it "
                                        "logs"),
                        .is_passing = true});
}

void netcheck_pods(struct netcheck *n)
{
    const cJSON *pod, *space;

    cJSON_ArrayForEach(pod, n->v->pods)
    {
        if (netview_pod_has_ended(pod) || !netcheck_wants(n, netcheck_subnet_of(pod)))
            continue;
        if (netcheck_is_macvlan(pod))
            check_waiting(n, pod);
        check_half(n, pod);
    }
    if (!n->v->is_multus)
        return;
    cJSON_ArrayForEach(space, n->v->namespaces)
    {
        check_network(n, space);
    }
}
