/* Is each subnet's VLAN device what its name says? */
#include "conn_vlan.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define VLAN_MAX 4094
#define LOWER_UP 0x10000 /* IFF_LOWER_UP of <linux/if.h>, which <net/if.h> does not go with */

void conn_subnets_read(const cJSON *items, struct conn_subnets *out)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, items)
    {
        const cJSON *spec = json_get_obj(item, "spec");
        const char *name = json_get_str(json_get_obj(item, "metadata"), "name");
        const char *master = json_get_str(spec, "master");
        int64_t vlan = 0;

        if (!name || !master || !*master || json_get_size(spec, "vlan", &vlan) == -EINVAL ||
            vlan > VLAN_MAX)
            continue;
        array_grow(out->items, out->count);
        out->items[out->count++] = (struct conn_subnet){.name = xstrdup(name),
                                                        .master = xstrdup(master),
                                                        .vlan = (unsigned)vlan};
    }
}

void conn_subnets_release(struct conn_subnets *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].name);
        free(s->items[i].master);
    }
    free(s->items);
    *s = (struct conn_subnets){.count = 0};
}

struct links {
    const struct nllink *items;
    size_t count;
};

static const struct nllink *named(const struct links *l, const char *name)
{
    for (size_t i = 0; i < l->count; i++)
        if (!strcmp(l->items[i].name, name))
            return &l->items[i];
    return NULL;
}

static const struct nllink *vlan_of(const struct links *l, const struct nllink *master,
                                    unsigned vlan)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct nllink *link = &l->items[i];

        if (!strcmp(link->kind, "vlan") && link->lower == master->index &&
            !link->is_lower_elsewhere && link->vlan_id == vlan &&
            (!link->vlan_protocol || link->vlan_protocol == ETH_P_8021Q))
            return link;
    }
    return NULL;
}

static void judge_device(const struct nllink *link, const struct nllink *master,
                         const char *subject, struct conn_report *r)
{
    if (!(link->flags & IFF_UP)) {
        conn_say(r, CONN_FAIL, "vlan", subject, "%s, VLAN %u of %s, is down", link->name,
                 link->vlan_id, master->name);
        conn_cause(r, "somebody set it down: ip link set %s up", link->name);
    } else if (!(link->flags & LOWER_UP)) {
        conn_say(r, CONN_FAIL, "vlan", subject, "%s, VLAN %u of %s, has no carrier", link->name,
                 link->vlan_id, master->name);
        conn_cause(r, "the cable or the switch port of %s is down", master->name);
    } else if (link->mtu > master->mtu) {
        conn_say(r, CONN_FAIL, "vlan", subject, "%s has an MTU of %u, and %s only %u", link->name,
                 link->mtu, master->name, master->mtu);
        conn_cause(r, "the MTU of %s was changed: ip link set %s mtu %u", master->name, link->name,
                   master->mtu);
    } else {
        conn_say(r, CONN_PASS, "vlan", subject, "%s is VLAN %u of %s, up, MTU %u", link->name,
                 link->vlan_id, master->name, link->mtu);
    }
}

/* The device is not there: somebody else may have its name. */
static void judge_absent(const struct links *l, const struct conn_subnet *subnet,
                         struct conn_report *r)
{
    auto_free char *name = xasprintf("%s.%u", subnet->master, subnet->vlan);
    const struct nllink *other = named(l, name);

    if (!other) {
        conn_say(r, CONN_SKIP, "vlan", subnet->name,
                 "there is no %s yet: it comes with the first pod of the subnet here", name);
        return;
    }
    conn_say(r, CONN_FAIL, "vlan", subnet->name, "%s is not VLAN %u of %s", name, subnet->vlan,
             subnet->master);
    conn_cause(r,
               "somebody made another link of that name: remove or rename it "
               "('ip -d link show %s')",
               name);
}

static void judge_subnet(const struct links *l, const struct conn_subnet *subnet,
                         struct conn_report *r)
{
    const struct nllink *master = named(l, subnet->master), *link;

    if (!master) {
        conn_say(r, CONN_WARN, "vlan", subnet->name, "this host has no NIC '%s'", subnet->master);
        conn_cause(r, "pods of that subnet cannot run here: keep them away with a nodeSelector, "
                      "or name the NIC alike on all hosts");
        conn_cause(r, "the subnet's master is misspelled: 'ip link' shows what is there");
        return;
    }
    if (!subnet->vlan) {
        conn_say(r, CONN_PASS, "vlan", subnet->name, "no VLAN: pods stand on %s itself",
                 subnet->master);
        return;
    }
    link = vlan_of(l, master, subnet->vlan);
    if (link)
        judge_device(link, master, subnet->name, r);
    else
        judge_absent(l, subnet, r);
}

static void judge_master(const struct links *l, const char *name, struct conn_report *r)
{
    const struct nllink *master = named(l, name);

    for (size_t i = 0; master && i < l->count; i++)
        if (!strcmp(l->items[i].kind, "vlan") && l->items[i].lower == master->index &&
            !l->items[i].is_lower_elsewhere)
            judge_device(&l->items[i], master, l->items[i].name, r);
}

void conn_judge_vlans(const struct nllink *links, size_t n_links,
                      const struct conn_subnets *subnets, char *const *masters, size_t n_masters,
                      struct conn_report *r)
{
    struct links l = {.items = links, .count = n_links};

    for (size_t i = 0; subnets && i < subnets->count; i++)
        judge_subnet(&l, &subnets->items[i], r);
    for (size_t i = 0; !subnets && i < n_masters; i++)
        judge_master(&l, masters[i], r);
}
