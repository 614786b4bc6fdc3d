/* flannel's choice of an interface. */
#include "host_iface.h"

#include "mem.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

/* Go's net.IP.IsGlobalUnicast for IPv4: private ranges are global there. */
static bool is_global(const uint8_t *a)
{
    bool is_zero = !a[0] && !a[1] && !a[2] && !a[3];
    bool is_broadcast = a[0] == 255 && a[1] == 255 && a[2] == 255 && a[3] == 255;

    return !is_zero && !is_broadcast && a[0] != 127 && (a[0] & 0xf0) != 224 &&
           !(a[0] == 169 && a[1] == 254);
}

int flannel_addr_of(const struct net_state *s, const struct net_link *link,
                    uint8_t out_addr[NET_ADDR_BYTES])
{
    const uint8_t *local = NULL;

    for (size_t i = 0; i < s->n_addrs; i++) {
        const struct net_addr *addr = &s->addrs[i];

        if (addr->family != AF_INET || addr->link != link->index)
            continue;
        if (is_global(addr->bytes)) {
            memcpy(out_addr, addr->bytes, NET_ADDR_BYTES);
            return 0;
        }
        if (addr->bytes[0] == 169 && addr->bytes[1] == 254)
            local = addr->bytes;
    }
    if (!local)
        return -ENOENT;
    memcpy(out_addr, local, NET_ADDR_BYTES);
    return 0;
}

/* flannel ends where a link's MTU is not known. */
static const struct net_link *usable(const struct net_link *link)
{
    return link && link->mtu > 0 ? link : NULL;
}

const struct net_link *flannel_match_iface(const struct net_state *s, const char *value,
                                           uint8_t out_addr[NET_ADDR_BYTES])
{
    uint8_t wanted[NET_ADDR_BYTES];
    const struct net_link *link;
    int family = net_addr_parse(value, wanted);

    if (family < 0) {
        link = net_link_named(s, value);
        return link && flannel_addr_of(s, link, out_addr) == 0 ? usable(link) : NULL;
    }
    for (size_t i = 0; family == AF_INET && i < s->n_links; i++)
        for (size_t k = 0; k < s->n_addrs; k++)
            if (s->addrs[k].link == s->links[i].index && s->addrs[k].family == AF_INET &&
                !memcmp(s->addrs[k].bytes, wanted, 4)) {
                memcpy(out_addr, wanted, NET_ADDR_BYTES);
                return usable(&s->links[i]);
            }
    return NULL;
}

static bool addr_matches(const struct goregex *g, const uint8_t *addr)
{
    char text[NET_ADDR_TEXT];

    return goregex_matches(g, net_addr_format(AF_INET, addr, text));
}

static bool any_addr_matches(const struct net_state *s, const struct goregex *g,
                             const struct net_link *link, uint8_t *out_addr)
{
    for (size_t i = 0; i < s->n_addrs; i++)
        if (s->addrs[i].link == link->index && s->addrs[i].family == AF_INET &&
            is_global(s->addrs[i].bytes) && addr_matches(g, s->addrs[i].bytes)) {
            memcpy(out_addr, s->addrs[i].bytes, NET_ADDR_BYTES);
            return true;
        }
    return false;
}

const struct net_link *flannel_match_regex(const struct net_state *s, const struct goregex *g,
                                           bool all_addrs, uint8_t out_addr[NET_ADDR_BYTES])
{
    for (size_t i = 0; i < s->n_links; i++) {
        const struct net_link *link = &s->links[i];
        uint8_t addr[NET_ADDR_BYTES];

        if (all_addrs ? any_addr_matches(s, g, link, out_addr)
                      : flannel_addr_of(s, link, addr) == 0 && addr_matches(g, addr)) {
            if (!all_addrs)
                memcpy(out_addr, addr, NET_ADDR_BYTES);
            return usable(link);
        }
    }
    for (size_t i = 0; i < s->n_links; i++)
        if (goregex_matches(g, s->links[i].name))
            return flannel_addr_of(s, &s->links[i], out_addr) == 0 ? usable(&s->links[i]) : NULL;
    return NULL;
}

int flannel_match_default(const struct net_state *s, const struct net_link **out_link,
                          uint8_t out_addr[NET_ADDR_BYTES], struct err **e)
{
    const struct net_route *route = NULL;
    const struct net_link *link;

    for (size_t i = 0; !route && i < s->n_routes; i++)
        if (s->routes[i].family == AF_INET && s->routes[i].table == RT_TABLE_MAIN &&
            !s->routes[i].prefix)
            route = &s->routes[i];
    if (!route)
        return err_set(e, -ENOENT, "there is no IPv4 default route");
    link = net_link_indexed(s, route->link);
    if (!link)
        return err_set(e, -ENOENT, "the first default route has no interface of its own (%s)",
                       route->n_hops ? "it has several next hops" : "it leads nowhere");
    if (flannel_addr_of(s, link, out_addr) < 0)
        return err_set(e, -ENOENT, "'%s', which has the default route, has no IPv4 address",
                       link->name);
    if (!usable(link))
        return err_set(e, -ENOENT, "'%s', which has the default route, has no MTU", link->name);
    *out_link = link;
    return 0;
}

int flannel_choose(const struct net_state *s, const struct flannel_flags *flags,
                   struct flannel_choice *out, struct err **e)
{
    struct flannel_choice c = {.link = NULL};
    int r;

    for (size_t i = 0; !c.link && i < flags->n_ifaces; i++) {
        c.link = flannel_match_iface(s, flags->ifaces[i], c.addr);
        if (c.link)
            c.rule = xasprintf("--iface=%s", flags->ifaces[i]);
    }
    for (size_t i = 0; !c.link && i < flags->n_regexes; i++) {
        c.link = flannel_match_regex(s, flags->regexes[i], flags->all_addrs, c.addr);
        if (c.link)
            c.rule = xasprintf("--iface-regex=%s", flags->patterns[i]);
    }
    if (!c.link && (flags->n_ifaces || flags->n_regexes))
        return err_set(e, -ENOENT,
                       "no --iface or --iface-regex finds an interface with an IPv4 "
                       "address");
    if (!c.link) {
        r = flannel_match_default(s, &c.link, c.addr, e);
        if (r < 0)
            return r;
        c.rule = xstrdup("first default route of the main table");
    }
    *out = c;
    return 0;
}

void flannel_choice_release(struct flannel_choice *c)
{
    free(c->rule);
    *c = (struct flannel_choice){.link = NULL};
}
