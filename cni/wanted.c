/* What a MacvlanIP says about the interface; its form is that of lib/macvlan/macvlanip.c. */
#include "wanted.h"

#include "cni_env.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VLAN_MAX 4094
#define MTU_MAX 65535
#define ROUTES_MAX 256
#define IPV6TO4_KEY "macvlan.panda.io/ipv6to4"

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);

    return text ? text : "";
}

static int get_number(const cJSON *object, const char *name, int64_t max, unsigned *out,
                      struct err **e)
{
    int64_t value = 0;
    int r = json_get_size(object, name, &value);

    if ((r < 0 && r != -ENOENT) || value > max)
        return err_set(e, -EBADMSG, "'%s' is no number from 0 to %lld", name, (long long)max);
    *out = (unsigned)value;
    return 0;
}

/* "" is none. */
static int get_addr(const cJSON *object, const char *name, struct ip_addr *out, struct err **e)
{
    const char *text = text_of(object, name);

    *out = (struct ip_addr){.family = AF_UNSPEC};
    if (*text && ip_parse(text, out) < 0)
        return err_set(e, -EBADMSG, "'%s' is no address: '%.60s'", name, text);
    return 0;
}

static int get_net(const cJSON *object, const char *name, struct ip_net *out, struct err **e)
{
    const char *text = text_of(object, name);

    *out = (struct ip_net){.prefix = 0};
    if (*text && ip_net_parse(text, out) < 0)
        return err_set(e, -EBADMSG, "'%s' is not of the form ADDRESS/PREFIX: '%.60s'", name, text);
    return 0;
}

static int get_mode(const cJSON *network, enum wanted_mode *out, struct err **e)
{
    static const char *const modes[] = {"bridge", "private", "vepa", "passthru"};
    const char *text = text_of(network, "mode");

    *out = MACVLAN_BRIDGE;
    if (!*text)
        return 0;
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        if (strcmp(text, modes[i]) == 0) {
            *out = (enum wanted_mode)i;
            return 0;
        }
    }
    return err_set(e, -EBADMSG, "'mode' is not known: '%.40s'", text);
}

static int add_route(const cJSON *item, struct wanted *w, struct err **e)
{
    struct wanted_route route = {.iface = NULL};
    const char *iface = text_of(item, "iface");
    int r = get_net(item, "dst", &route.dst, e);

    if (r == 0)
        r = get_addr(item, "gw", &route.gw, e);
    if (r < 0)
        return r;
    if (route.dst.addr.family == AF_UNSPEC)
        return err_set(e, -EBADMSG, "a route has no 'dst'");
    if (route.gw.family != AF_UNSPEC && route.gw.family != route.dst.addr.family)
        return err_set(e, -EBADMSG, "a route to '%.60s' has a 'gw' of the other family",
                       text_of(item, "dst"));
    if (*iface && !cni_ifname_is_valid(iface))
        return err_set(e, -EBADMSG, "'iface' of a route is no interface: '%.40s'", iface);
    /* Ours, by the name that it has in most pods. */
    if (*iface && strcmp(iface, "eth1") != 0)
        route.iface = xstrdup(iface);
    array_grow(w->routes, w->n_routes);
    w->routes[w->n_routes++] = route;
    return 0;
}

static int get_routes(const cJSON *network, struct wanted *w, struct err **e)
{
    const cJSON *list = json_get_arr(network, "routes"), *item;
    int r = 0;

    if (cJSON_GetArraySize(list) > ROUTES_MAX)
        return err_set(e, -EBADMSG, "there are more than %d 'routes'", ROUTES_MAX);
    cJSON_ArrayForEach(item, list)
    {
        if (r == 0)
            r = add_route(item, w, e);
    }
    return r;
}

static int get_default_route(const cJSON *network, struct wanted *w, struct err **e)
{
    const cJSON *object = json_get_obj(network, "podDefaultGateway");

    w->has_default_route = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "enable"));
    if (w->has_default_route && w->gateway.family == AF_UNSPEC)
        return err_set(e, -EBADMSG, "'podDefaultGateway' is on, and there is no 'gateway'");
    return get_net(object, "serviceCidr", &w->service_cidr, e);
}

static int get_network(const cJSON *network, struct wanted *w, struct err **e)
{
    const char *master = text_of(network, "master");
    int r;

    if (!cni_ifname_is_valid(master))
        return err_set(e, -EBADMSG, "'master' is no interface: '%.40s'", master);
    w->master = xstrdup(master);
    r = get_number(network, "vlan", VLAN_MAX, &w->vlan, e);
    if (r == 0)
        r = get_mode(network, &w->mode, e);
    if (r == 0)
        r = get_number(network, "mtu", MTU_MAX, &w->mtu, e);
    if (r == 0)
        r = get_addr(network, "gateway", &w->gateway, e);
    if (r < 0)
        return r;
    if (w->gateway.family != AF_UNSPEC && w->gateway.family != w->addr.addr.family)
        return err_set(e, -EBADMSG, "'gateway' has not the family of the address: '%.60s'",
                       text_of(network, "gateway"));
    r = get_routes(network, w, e);
    return r < 0 ? r : get_default_route(network, w, e);
}

static int get_address(const cJSON *object, const cJSON *spec, struct wanted *w, struct err **e)
{
    const cJSON *annotations = json_get_obj(json_get_obj(object, "metadata"), "annotations");
    const char *mac = text_of(spec, "mac"), *to4 = text_of(annotations, IPV6TO4_KEY);
    auto_err struct err *why = NULL;
    int r = get_net(spec, "cidr", &w->addr, e);

    if (r < 0)
        return r;
    if (w->addr.addr.family == AF_UNSPEC)
        return err_set(e, -EBADMSG, "'cidr' is missing");
    if (*mac && ip_mac_parse(mac, &w->mac, &why) < 0)
        return err_set(e, -EBADMSG, "'mac': %s", why->msg);
    w->has_mac = *mac != '\0';
    w->is_6to4 = w->addr.addr.family == AF_INET && *to4 && strcmp(to4, "false") != 0;
    w->subnet = xstrdup(text_of(spec, "subnet"));
    return 0;
}

int wanted_parse(const cJSON *macvlanip, struct wanted *out, struct err **e)
{
    const cJSON *spec = json_get_obj(macvlanip, "spec"), *network = json_get_obj(spec, "network");
    auto_wanted struct wanted w = {.master = NULL};
    int r;

    if (!spec)
        return err_set(e, -EBADMSG, "the MacvlanIP has no 'spec'");
    if (!network)
        return err_set(e, -EAGAIN, "the MacvlanIP has no 'spec.network' yet");
    r = get_address(macvlanip, spec, &w, e);
    if (r == 0)
        r = get_network(network, &w, e);
    if (r < 0)
        return err_wrap(e, "the MacvlanIP");
    *out = w;
    w = (struct wanted){.master = NULL};
    return 0;
}

void wanted_release(struct wanted *w)
{
    for (size_t i = 0; i < w->n_routes; i++)
        free(w->routes[i].iface);
    free(w->routes);
    free(w->master);
    free(w->subnet);
    *w = (struct wanted){.master = NULL};
}
