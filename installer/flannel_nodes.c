/* From node objects to flannel's own view of them. */
#include "flannel_nodes.h"

#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX "flannel.alpha.coreos.com/"

static void read_ip(const char *text, struct ip_addr *out)
{
    if (text)
        (void)ip_parse(text, out);
}

static void read_mac(const char *backend_data, struct flannel_node *n)
{
    auto_json cJSON *data = NULL;
    const char *text;

    if (!backend_data || json_parse(backend_data, strlen(backend_data), &data, NULL) < 0)
        return;
    text = json_get_str(data, "VtepMAC");
    n->has_mac = text && ip_mac_parse(text, &n->mac, NULL) == 0;
}

static bool read_cidr(const char *text, struct flannel_node *n)
{
    n->has_pods = text && ip_net_parse(text, &n->pods) == 0 && n->pods.addr.family == AF_INET;
    return n->has_pods;
}

/* Two families: podCIDRs has both, podCIDR the first. */
static void read_pods(const cJSON *spec, struct flannel_node *n)
{
    const cJSON *text;

    if (read_cidr(json_get_str(spec, "podCIDR"), n))
        return;
    cJSON_ArrayForEach(text, json_get_arr(spec, "podCIDRs"))
    {
        if (read_cidr(cJSON_GetStringValue(text), n))
            return;
    }
}

static void read_internal(const cJSON *status, struct flannel_node *n)
{
    const cJSON *address;

    cJSON_ArrayForEach(address, json_get_arr(status, "addresses"))
    {
        const char *type = json_get_str(address, "type");

        if (type && !strcmp(type, "InternalIP") && n->internal_ip.family == AF_UNSPEC)
            read_ip(json_get_str(address, "address"), &n->internal_ip);
    }
}

void flannel_nodes_read(const cJSON *items, struct flannel_nodes *out)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, items)
    {
        const cJSON *meta = json_get_obj(item, "metadata");
        const cJSON *notes = json_get_obj(meta, "annotations");
        const char *name = json_get_str(meta, "name");
        struct flannel_node n = {.has_mac = false};

        if (!name)
            continue;
        n.name = xstrdup(name);
        n.backend = xstrdup(json_get_str(notes, PREFIX "backend-type"));
        read_ip(json_get_str(notes, PREFIX "public-ip"), &n.public_ip);
        read_mac(json_get_str(notes, PREFIX "backend-data"), &n);
        read_pods(json_get_obj(item, "spec"), &n);
        read_internal(json_get_obj(item, "status"), &n);
        array_grow(out->items, out->count);
        out->items[out->count++] = n;
    }
}

const struct flannel_node *flannel_nodes_find(const struct flannel_nodes *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (!strcmp(n->items[i].name, name))
            return &n->items[i];
    return NULL;
}

void flannel_cause_elsewhere(const struct flannel_node *n, struct ip_addr peer,
                             struct conn_report *r)
{
    char public[IP_TEXT_SIZE], own[IP_TEXT_SIZE], other[IP_TEXT_SIZE];

    if (!n->public_ip.family || n->public_ip.family != n->internal_ip.family ||
        ip_compare(n->public_ip, n->internal_ip) == 0)
        return;
    conn_cause(r,
               "flannel on %s has taken another interface: others send to %s, the node's own "
               "address is %s: run 'flatnet host iface --peer %s' there, and give its DaemonSet "
               "the --iface that it prints",
               n->name, ip_format(n->public_ip, public), ip_format(n->internal_ip, own),
               peer.family ? ip_format(peer, other) : "ADDRESS");
}

void flannel_nodes_release(struct flannel_nodes *n)
{
    for (size_t i = 0; i < n->count; i++) {
        free(n->items[i].name);
        free(n->items[i].backend);
    }
    free(n->items);
    *n = (struct flannel_nodes){.count = 0};
}
