/* Links, IPv4 addresses and default routes, there and back. */
#include "host_netjson.h"

#include "mem.h"

#include <errno.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <string.h>

static void add_addrs(cJSON *list, const struct net_state *s, int link)
{
    for (size_t i = 0; i < s->n_addrs; i++) {
        const struct net_addr *addr = &s->addrs[i];
        char text[NET_ADDR_TEXT];

        if (addr->link != link || addr->family != AF_INET)
            continue;
        auto_free char *cidr =
            xasprintf("%s/%d", net_addr_format(AF_INET, addr->bytes, text), addr->prefix);
        cJSON_AddItemToArray(list, cJSON_CreateString(cidr));
    }
}

void netjson_add(cJSON *obj, const struct net_state *s)
{
    cJSON *links = cJSON_AddArrayToObject(obj, "interfaces");
    cJSON *routes = cJSON_AddArrayToObject(obj, "defaultRoutes");

    for (size_t i = 0; i < s->n_links; i++) {
        cJSON *link = cJSON_CreateObject();

        json_add_int(link, "index", s->links[i].index);
        json_add_str(link, "name", s->links[i].name);
        json_add_int(link, "mtu", s->links[i].mtu);
        add_addrs(cJSON_AddArrayToObject(link, "addresses"), s, s->links[i].index);
        cJSON_AddItemToArray(links, link);
    }
    for (size_t i = 0; i < s->n_routes; i++) {
        cJSON *route;

        if (s->routes[i].family != AF_INET || s->routes[i].table != RT_TABLE_MAIN ||
            s->routes[i].prefix)
            continue;
        route = cJSON_CreateObject();
        json_add_int(route, "interface", s->routes[i].link);
        cJSON_AddItemToArray(routes, route);
    }
}

static int get_int(const cJSON *obj, const char *name, int *out)
{
    int64_t value;

    if (json_get_size(obj, name, &value) < 0 || value > INT_MAX)
        return -EBADMSG;
    *out = (int)value;
    return 0;
}

static int read_addrs(const cJSON *list, int link, struct net_state *s)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        struct net_addr addr = {.link = link, .family = AF_INET};
        const char *text = cJSON_GetStringValue(item);

        if (!text || net_cidr_parse(text, addr.bytes, &addr.prefix) != AF_INET)
            return -EBADMSG;
        array_grow(s->addrs, s->n_addrs);
        s->addrs[s->n_addrs++] = addr;
    }
    return 0;
}

static int read_link(const cJSON *obj, struct net_state *s)
{
    const char *name = json_get_str(obj, "name");
    struct net_link link = {.has_carrier = true};

    if (!name || !*name || strlen(name) >= sizeof(link.name) ||
        get_int(obj, "index", &link.index) < 0 || get_int(obj, "mtu", &link.mtu) < 0 || !link.index)
        return -EBADMSG;
    memcpy(link.name, name, strlen(name));
    array_grow(s->links, s->n_links);
    s->links[s->n_links++] = link;
    return read_addrs(json_get_arr(obj, "addresses"), link.index, s);
}

static int read_route(const cJSON *obj, struct net_state *s)
{
    struct net_route route = {.family = AF_INET, .table = RT_TABLE_MAIN, .type = RTN_UNICAST};

    if (get_int(obj, "interface", &route.link) < 0)
        return -EBADMSG;
    array_grow(s->routes, s->n_routes);
    s->routes[s->n_routes++] = route;
    return 0;
}

int netjson_read(const cJSON *obj, struct net_state *out, struct err **e)
{
    const cJSON *links = json_get_arr(obj, "interfaces"),
                *routes = json_get_arr(obj, "defaultRoutes");
    struct net_state s = {.links = NULL};
    const cJSON *item;
    int r = links && routes ? 0 : -EBADMSG;

    cJSON_ArrayForEach(item, links)
    {
        if (r == 0)
            r = read_link(item, &s);
    }
    cJSON_ArrayForEach(item, routes)
    {
        if (r == 0)
            r = read_route(item, &s);
    }
    if (r < 0) {
        net_state_release(&s);
        return err_set(e, r, "its interfaces, addresses or defaultRoutes cannot be read");
    }
    *out = s;
    return 0;
}
