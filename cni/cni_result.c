/* A result as a whole: made, merged, printed. */
#include "cni_result.h"

#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

struct cni_interface *cni_result_add_interface(struct cni_result *r, const char *name)
{
    array_grow(r->interfaces, r->n_interfaces);
    r->interfaces[r->n_interfaces] = (struct cni_interface){.name = xstrdup(name)};
    return &r->interfaces[r->n_interfaces++];
}

struct cni_ip *cni_result_add_ip(struct cni_result *r, struct ip_net address)
{
    array_grow(r->ips, r->n_ips);
    r->ips[r->n_ips] = (struct cni_ip){.interface = -1, .address = address};
    return &r->ips[r->n_ips++];
}

struct cni_route *cni_result_add_route(struct cni_result *r, struct ip_net dst, struct ip_addr gw)
{
    array_grow(r->routes, r->n_routes);
    r->routes[r->n_routes] = (struct cni_route){
        .dst = dst, .gw = gw, .mtu = -1, .advmss = -1, .priority = -1, .table = -1, .scope = -1};
    return &r->routes[r->n_routes++];
}

void cni_result_release(struct cni_result *r)
{
    for (size_t i = 0; i < r->n_interfaces; i++) {
        free(r->interfaces[i].name);
        free(r->interfaces[i].mac);
        free(r->interfaces[i].sandbox);
        free(r->interfaces[i].socket_path);
        free(r->interfaces[i].pci);
    }
    free(r->interfaces);
    free(r->ips);
    free(r->routes);
    cJSON_Delete(r->dns);
    *r = (struct cni_result){.dns = NULL};
}

void cni_result_merge(struct cni_result *r, const struct cni_result *more)
{
    size_t before = r->n_interfaces;

    for (size_t i = 0; i < more->n_interfaces; i++) {
        const struct cni_interface *from = &more->interfaces[i];
        struct cni_interface *to = cni_result_add_interface(r, from->name);

        to->mac = xstrdup(from->mac);
        to->sandbox = xstrdup(from->sandbox);
        to->socket_path = xstrdup(from->socket_path);
        to->pci = xstrdup(from->pci);
        to->mtu = from->mtu;
    }
    for (size_t i = 0; i < more->n_ips; i++) {
        struct cni_ip *to = cni_result_add_ip(r, more->ips[i].address);

        to->gateway = more->ips[i].gateway;
        if (more->ips[i].interface >= 0)
            to->interface = more->ips[i].interface + (int)before;
    }
    for (size_t i = 0; i < more->n_routes; i++)
        *cni_result_add_route(r, more->routes[i].dst, more->routes[i].gw) = more->routes[i];
    if (!r->dns && more->dns)
        r->dns = cJSON_Duplicate(more->dns, true);
}

int cni_result_find(const struct cni_result *r, const char *name)
{
    for (size_t i = 0; i < r->n_interfaces; i++)
        if (r->interfaces[i].sandbox && strcmp(r->interfaces[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* --- printing --- */

static cJSON *add_object(cJSON *list)
{
    cJSON *object = cJSON_CreateObject();

    (void)cJSON_AddItemToArray(list, object);
    return object;
}

static void add_addr(cJSON *object, const char *name, struct ip_addr a)
{
    char text[IP_TEXT_SIZE];

    if (a.family != AF_UNSPEC)
        json_add_str(object, name, ip_format(a, text));
}

static void add_net(cJSON *object, const char *name, struct ip_net n)
{
    char text[IP_NET_TEXT_SIZE];

    json_add_str(object, name, ip_net_format(n, text));
}

static void add_known(cJSON *object, const char *name, int64_t value)
{
    if (value >= 0)
        json_add_int(object, name, value);
}

static void print_interfaces(const struct cni_result *r, enum cni_version version, cJSON *tree)
{
    cJSON *list = r->n_interfaces ? cJSON_AddArrayToObject(tree, "interfaces") : NULL;

    for (size_t i = 0; i < r->n_interfaces; i++) {
        const struct cni_interface *from = &r->interfaces[i];
        cJSON *object = add_object(list);

        json_add_str(object, "name", from->name);
        json_add_str(object, "mac", from->mac);
        json_add_str(object, "sandbox", from->sandbox);
        if (version < CNI_1_1_0)
            continue;
        if (from->mtu)
            json_add_int(object, "mtu", from->mtu);
        json_add_str(object, "socketPath", from->socket_path);
        json_add_str(object, "pciID", from->pci);
    }
}

static void print_ips(const struct cni_result *r, enum cni_version version, cJSON *tree)
{
    cJSON *list = r->n_ips ? cJSON_AddArrayToObject(tree, "ips") : NULL;

    for (size_t i = 0; i < r->n_ips; i++) {
        const struct cni_ip *from = &r->ips[i];
        cJSON *object = add_object(list);

        if (version < CNI_1_0_0)
            json_add_str(object, "version", from->address.addr.family == AF_INET ? "4" : "6");
        add_known(object, "interface", from->interface);
        add_net(object, "address", from->address);
        add_addr(object, "gateway", from->gateway);
    }
}

static void print_routes(const struct cni_result *r, enum cni_version version, cJSON *tree)
{
    cJSON *list = r->n_routes ? cJSON_AddArrayToObject(tree, "routes") : NULL;

    for (size_t i = 0; i < r->n_routes; i++) {
        const struct cni_route *from = &r->routes[i];
        cJSON *object = add_object(list);

        add_net(object, "dst", from->dst);
        add_addr(object, "gw", from->gw);
        if (version < CNI_1_1_0)
            continue;
        add_known(object, "mtu", from->mtu);
        add_known(object, "advmss", from->advmss);
        add_known(object, "priority", from->priority);
        add_known(object, "table", from->table);
        add_known(object, "scope", from->scope);
    }
}

/* Below 1.1.0 the reference library prints an empty `dns` too. */
char *cni_result_print(const struct cni_result *r, enum cni_version version)
{
    auto_json cJSON *tree = cJSON_CreateObject();

    json_add_str(tree, "cniVersion", cni_version_text(version));
    print_interfaces(r, version, tree);
    print_ips(r, version, tree);
    print_routes(r, version, tree);
    if (r->dns)
        (void)cJSON_AddItemToObject(tree, "dns", cJSON_Duplicate(r->dns, true));
    else if (version < CNI_1_1_0)
        (void)cJSON_AddObjectToObject(tree, "dns");
    return json_print(tree);
}

char *cni_result_pass(const cJSON *tree, enum cni_version version)
{
    auto_json cJSON *copy = cJSON_Duplicate(tree, true);
    cJSON *text = cJSON_CreateString(cni_version_text(version));

    if (cJSON_GetObjectItemCaseSensitive(copy, "cniVersion"))
        (void)cJSON_ReplaceItemInObjectCaseSensitive(copy, "cniVersion", text);
    else
        (void)cJSON_AddItemToObject(copy, "cniVersion", text);
    return json_print(copy);
}
