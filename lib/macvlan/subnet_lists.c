/* The lists of a MacvlanSubnet: ranges and routes, read and checked. */
#include "macvlan/subnet_internal.h"

#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

/* --- ranges --- */

/* Keys of other systems and of an old sample; a server without a schema keeps them. */
static bool warn_of_keys(struct subnet *s, const cJSON *item, int i)
{
    static const char *const keys[] = {"start", "end", "from", "to"};
    bool is_found = false;

    for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
        if (!cJSON_HasObjectItem(item, keys[k]))
            continue;
        subnet_warning(
            s,
            "range %d: '%s' is not read, write 'rangeStart' and 'rangeEnd'; a range without "
            "them is left out",
            i, keys[k]);
        is_found = true;
    }
    return is_found;
}

static bool check_range(struct subnet *s, const char *from, const char *to, struct ip_range *out)
{
    char net[IP_NET_TEXT_SIZE];
    struct ip_addr first, last;

    if (ip_parse(from, &first) < 0 || ip_parse(to, &last) < 0) {
        subnet_error(
            s, "range '%.64s-%.64s' does not have two addresses: set 'rangeStart' and 'rangeEnd'",
            from, to);
        return false;
    }
    if (!ip_net_contains(s->cidr, first) || !ip_net_contains(s->cidr, last)) {
        subnet_error(s, "range '%s-%s' is not in network '%s'", from, to,
                     ip_net_format(s->cidr, net));
        return false;
    }
    if (first.value > last.value) {
        subnet_error(s, "range '%s-%s' ends before it starts: exchange the two", from, to);
        return false;
    }
    *out = (struct ip_range){first.value, last.value};
    return true;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct ip_range *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

/* Puts them in order, and makes one of those that overlap. */
static void sort_ranges(struct subnet *s)
{
    char text[IP_TEXT_SIZE];
    size_t n = 0;

    if (s->n_ranges)
        qsort(s->ranges, s->n_ranges, sizeof(*s->ranges), compare_ranges);
    for (size_t i = 0; i < s->n_ranges; i++) {
        struct ip_range r = s->ranges[i];

        if (!n || r.first > s->ranges[n - 1].last) {
            s->ranges[n++] = r;
            continue;
        }
        subnet_warning(s, "two ranges have address '%s' in common and count as one",
                       ip_format((struct ip_addr){s->cidr.addr.family, r.first}, text));
        if (r.last > s->ranges[n - 1].last)
            s->ranges[n - 1].last = r.last;
    }
    s->n_ranges = n;
}

void subnet_read_ranges(struct subnet *s, const cJSON *spec)
{
    const cJSON *list = subnet_list(s, spec, "ranges", SUBNET_RANGES_MAX), *item;
    int i = 0;

    cJSON_ArrayForEach(item, list)
    {
        const char *from = subnet_text(s, item, "rangeStart"),
                   *to = subnet_text(s, item, "rangeEnd");
        bool is_told = warn_of_keys(s, item, ++i);
        struct ip_range r;

        if (!*from && !*to) {
            if (!is_told)
                subnet_warning(s, "range %d is empty and left out: set 'rangeStart' and 'rangeEnd'",
                               i);
            continue;
        }
        if (!check_range(s, from, to, &r))
            continue;
        array_grow(s->ranges, s->n_ranges);
        s->ranges[s->n_ranges++] = r;
    }
    if (i && !s->n_ranges && s->is_valid)
        subnet_warning(s, "no range is left, so that the whole network is given out");
    sort_ranges(s);
}

/* --- routes --- */

/* One of our own texts, or NULL. */
static const char *known_iface(const char *name)
{
    static const char *const names[] = {"", "eth0", "eth1"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!strcmp(name, names[i]))
            return names[i];
    return NULL;
}

/* Through eth1 a gateway has to be a neighbour; eth0 is in a network that we do not know. */
static bool check_route_gw(struct subnet *s, const char *text, struct subnet_route *r)
{
    char net[IP_NET_TEXT_SIZE];

    if (*text && ip_parse(text, &r->gw) < 0) {
        subnet_error(s, "invalid gateway ip '%.64s': use an address without a prefix, or none",
                     text);
        return false;
    }
    if (*text && strcmp(r->iface, "eth0") && !subnet_is_neighbour(s, r->gw)) {
        subnet_error(s, "invalid gateway ip '%s' is not in network '%s'", text,
                     ip_net_format(s->cidr, net));
        return false;
    }
    if (*text && r->gw.family != r->dst.addr.family) {
        subnet_error(s, "gateway '%s' of a route is not of the same family as its destination '%s'",
                     text, ip_net_format(r->dst, net));
        return false;
    }
    return true;
}

static bool read_route(struct subnet *s, const cJSON *item, struct subnet_route *r)
{
    const char *dst = subnet_text(s, item, "dst"), *iface = subnet_text(s, item, "iface");

    if (ip_net_parse(dst, &r->dst) < 0) {
        subnet_error(s,
                     "invalid CIDR address: %.64s; set 'dst' of the route to a network such as %s",
                     dst, "10.0.0.0/8, or 0.0.0.0/0 for the default");
        return false;
    }
    r->dst.addr = ip_net_first(r->dst);
    r->iface = known_iface(iface);
    if (!r->iface) {
        subnet_error(
            s, "'iface' of the route to '%s' is '%.64s': use eth0, eth1 or nothing, which is eth1",
            dst, iface);
        return false;
    }
    if (strcmp(r->iface, "eth0") && r->dst.addr.family != s->cidr.addr.family) {
        subnet_error(s, "the route to '%s' is not of the family of this subnet", dst);
        return false;
    }
    return check_route_gw(s, subnet_text(s, item, "gw"), r);
}

void subnet_read_routes(struct subnet *s, const cJSON *spec)
{
    const cJSON *list = subnet_list(s, spec, "routes", SUBNET_ROUTES_MAX), *item;

    cJSON_ArrayForEach(item, list)
    {
        struct subnet_route r = {.iface = ""};

        if (!read_route(s, item, &r))
            continue;
        array_grow(s->routes, s->n_routes);
        s->routes[s->n_routes++] = r;
    }
}

void subnet_read_default_route(struct subnet *s, const cJSON *spec)
{
    const cJSON *obj = json_get_obj(spec, "podDefaultGateway");
    const char *services = subnet_text(s, obj, "serviceCidr");

    s->has_default_route = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(obj, "enable"));
    if (*services && ip_net_parse(services, &s->service_cidr) < 0)
        subnet_error(
            s, "invalid CIDR address: %.64s; set 'serviceCidr' to a network such as 10.43.0.0/16",
            services);
    else if (*services && s->service_cidr.addr.family != s->cidr.addr.family)
        subnet_error(s, "'serviceCidr' is '%s', which is not of the family of this subnet",
                     services);
    if (!s->has_default_route)
        return;
    if (s->gateway.family == AF_UNSPEC)
        subnet_error(s, "'podDefaultGateway' is on, but there is no gateway: set 'spec.gateway'");
    if (!*services)
        subnet_warning(
            s, "'podDefaultGateway' is on without 'serviceCidr': pods look for the services of "
               "the cluster behind the gateway of this subnet");
}
