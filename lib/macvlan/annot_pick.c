/* The pair that a pod gets. */
#include "macvlan/annot_internal.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- the subnet --- */

static const char *first_error(const struct subnet *s)
{
    for (size_t i = 0; i < s->n_findings; i++)
        if (s->findings[i].is_error)
            return s->findings[i].text;
    return "its spec is not valid";
}

int annot_check_subnet(const char *name, const struct subnet *s, struct annot_refusal *out_refusal)
{
    /* The text is that of the API server, which 2019 passed on. */
    if (!s)
        return annot_refuse_subnet(
            out_refusal, -EAGAIN,
            xasprintf("macvlansubnets.macvlan.cluster.cattle.io \"%s\" not found", name),
            "create it in namespace kube-system, or name another in " ANNOT_SUBNET);
    if (!s->is_valid)
        return annot_refuse_subnet(out_refusal, -EAGAIN,
                                   xasprintf("subnet %s cannot be used: %.*s", name, ANNOT_TEXT_MAX,
                                             first_error(s)),
                                   "mend the MacvlanSubnet");
    if (s->is_deleting)
        return annot_refuse_subnet(out_refusal, -EAGAIN,
                                   xasprintf("subnet %s is being deleted", name),
                                   "name another in " ANNOT_SUBNET);
    return 0;
}

int annot_check_project(const struct subnet *s, const char *pod_name, const char *project,
                        struct annot_refusal *out_refusal)
{
    auto_free char *id = xstrdup(project);

    if (!id)
        return 0;
    if (!s->project)
        return annot_refuse_subnet(
            out_refusal, -EAGAIN, xasprintf("subnet %s is not own by rancher project", s->name),
            "set label 'project' of the MacvlanSubnet to the id of the project, or to nothing for "
            "all projects");
    for (char *p = id; *p; p++)
        if (*p == ':')
            *p = '-';
    if (!*s->project || !strcmp(s->project, id))
        return 0;
    return annot_refuse_subnet(
        out_refusal, -EAGAIN,
        xasprintf("%s(%.*s) is not own by %s", pod_name, ANNOT_TEXT_MAX, id, s->project),
        "use a subnet of the project of this pod, or set label 'project' of the MacvlanSubnet to "
        "nothing for all projects");
}

/* --- one address --- */

static const char *mend_of(enum alloc_verdict verdict)
{
    switch (verdict) {
    case ALLOC_OUTSIDE:
        return "use an address of the network and the ranges of the subnet";
    case ALLOC_GATEWAY:
        return "it is the gateway, use another address";
    case ALLOC_NETWORK:
        return "it is the address of the network itself, use another one";
    case ALLOC_BROADCAST:
        return "it is the broadcast address, use another one";
    case ALLOC_RESERVED:
        return "another workload names this address, use another one";
    case ALLOC_COOLING:
        return "it was used a short time ago and waits for ipDelayReuse of the subnet to pass";
    case ALLOC_USED:
    case ALLOC_OK:
        break;
    }
    return "use another address, or wait until the pod that has it is gone; a workload with fixed "
           "addresses needs maxSurge 0 or an address more";
}

static char *admission_text(enum alloc_verdict verdict, const char *ip, const char *subnet)
{
    switch (verdict) {
    case ALLOC_GATEWAY:
        return xstrdup("ip use by subnet as gateway");
    case ALLOC_RESERVED:
        return xstrdup("ip has been reseved");
    case ALLOC_USED:
    case ALLOC_COOLING:
    case ALLOC_OK:
        return xstrdup("ip has been used");
    case ALLOC_OUTSIDE:
    case ALLOC_NETWORK:
    case ALLOC_BROADCAST:
        break;
    }
    return xasprintf("ip %s not in subnet %s hosts", ip, subnet);
}

/* An address that the subnet, as it is now, gives to nobody. */
static bool is_never(enum alloc_verdict verdict)
{
    return verdict == ALLOC_OUTSIDE || verdict == ALLOC_GATEWAY || verdict == ALLOC_NETWORK ||
           verdict == ALLOC_BROADCAST;
}

int annot_check_ip(struct ip_addr ip, const struct annot_source *from,
                   struct annot_refusal *out_refusal)
{
    enum alloc_verdict verdict = alloc_check(from->alloc, ip, from->may_take_reserved);
    const char *subnet = alloc_subnet(from->alloc)->name;
    char text[IP_TEXT_SIZE];
    char *event;

    if (verdict == ALLOC_OK)
        return 0;
    (void)ip_format(ip, text);
    event = is_never(verdict) ? xasprintf("%s invalid in %s", text, subnet)
                              : xasprintf("%s is used in %s", text, subnet);
    return annot_refuse(out_refusal, is_never(verdict) ? -EINVAL : -EAGAIN, event,
                        admission_text(verdict, text, subnet), mend_of(verdict));
}

/* --- the pair --- */

static int refuse_macs(const struct annot_request *r, struct annot_refusal *out_refusal)
{
    if (r->n_ips == 1)
        return annot_refuse(out_refusal, -EAGAIN, xstrdup("mac has been used"), NULL,
                            "name another MAC in " ANNOT_MAC ", or none");
    return annot_refuse(out_refusal, -EAGAIN, xstrdup("not enough mac resouce in annotations"),
                        NULL,
                        "name more MACs in " ANNOT_MAC ", or none, or use fewer pods; a MAC is "
                        "free again when its pod is gone");
}

static int refuse_ips(const char *what, struct annot_refusal *out_refusal, const char *mend)
{
    return annot_refuse(out_refusal, -EAGAIN,
                        xasprintf("No enough ip resouce in subnet: %.*s", ANNOT_TEXT_MAX, what),
                        NULL, mend);
}

/* The MAC that goes with the address at `at`: the user's (it is free), or one of ours. */
static void add_mac(const struct annot_request *r, const struct annot_source *from, size_t at,
                    struct annot_pair *pair)
{
    pair->has_mac = true;
    if (r->n_macs)
        pair->mac = r->macs[at];
    else
        pair->has_mac = mac_generate(from->macs, from->cluster_uid, alloc_subnet(from->alloc),
                                     pair->ip, &pair->mac);
    if (pair->has_mac)
        mac_hold(from->macs, pair->mac);
}

static bool is_mac_free(const struct annot_request *r, const struct annot_source *from, size_t at)
{
    return !r->n_macs || !mac_is_held(from->macs, r->macs[at]);
}

static int pick_auto(const struct annot_request *r, const struct annot_source *from,
                     struct annot_pair *out, struct annot_refusal *out_refusal)
{
    struct annot_pair pair = {.has_mac = false};
    size_t at = 0;

    while (at < r->n_macs && !is_mac_free(r, from, at))
        at++;
    if (r->n_macs && at == r->n_macs)
        return refuse_macs(r, out_refusal);
    if (!alloc_claim_lowest(from->alloc, &pair.ip))
        return refuse_ips(r->subnet, out_refusal,
                          "widen the ranges of the subnet, use another one, or delete pods");
    add_mac(r, from, at, &pair);
    *out = pair;
    return 0;
}

/* Nothing of the list is to be had. */
static int refuse_list(const struct annot_request *r, const struct annot_source *from,
                       bool is_mac_missing, struct annot_refusal *out_refusal)
{
    if (is_mac_missing)
        return refuse_macs(r, out_refusal);
    if (r->n_ips == 1)
        return annot_check_ip(r->ips[0], from, out_refusal);
    return refuse_ips(r->ip_text, out_refusal,
                      "name more addresses in " ANNOT_IP ", or use fewer pods; a workload with "
                      "fixed addresses needs maxSurge 0 or an address more");
}

static int pick_listed(const struct annot_request *r, const struct annot_source *from,
                       struct annot_pair *out, struct annot_refusal *out_refusal)
{
    bool is_mac_missing = false;

    /* The whole list first, so that a mistake shows before the last replica. */
    for (size_t i = 0; i < r->n_ips; i++)
        if (is_never(alloc_check(from->alloc, r->ips[i], from->may_take_reserved)))
            return annot_check_ip(r->ips[i], from, out_refusal);
    for (size_t i = 0; i < r->n_ips; i++) {
        struct annot_pair pair = {.ip = r->ips[i]};

        if (alloc_check(from->alloc, pair.ip, from->may_take_reserved) != ALLOC_OK)
            continue;
        if (!is_mac_free(r, from, i)) {
            is_mac_missing = true;
            continue;
        }
        (void)alloc_claim(from->alloc, pair.ip, from->may_take_reserved);
        add_mac(r, from, i, &pair);
        *out = pair;
        return 0;
    }
    return refuse_list(r, from, is_mac_missing, out_refusal);
}

int annot_pick(const struct annot_request *r, const struct annot_source *from,
               struct annot_pair *out, struct annot_refusal *out_refusal)
{
    return r->n_ips ? pick_listed(r, from, out, out_refusal) : pick_auto(r, from, out, out_refusal);
}
