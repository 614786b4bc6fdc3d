/* RTM_*ROUTE. */
#include "nlroute.h"

#include "../mem.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

static struct ip_addr addr_of(int family, struct nlattr *attr)
{
    if (!attr || nla_len(attr) != (family == AF_INET ? 4 : 16))
        return (struct ip_addr){.family = AF_UNSPEC};
    return ip_from_bytes(family, nla_data(attr));
}

/* The kernel's answer, with the attributes as they are, becomes a request of ours. */
static struct nlmsghdr *copy_of(const struct nlmsghdr *header)
{
    struct nlmsghdr *copy = xmalloc(header->nlmsg_len);

    memcpy(copy, header, header->nlmsg_len);
    return copy;
}

static int on_route(struct nl_msg *m, void *arg)
{
    struct nlmsghdr *header = nlmsg_hdr(m);
    struct rtmsg *info = nlmsg_data(header);
    struct nlattr *tb[RTA_MAX + 1];
    struct nlroutes *l = arg;
    struct nlroute route;

    if (header->nlmsg_type != RTM_NEWROUTE ||
        nlmsg_parse(header, sizeof(*info), tb, RTA_MAX, NULL) < 0 ||
        (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) ||
        (info->rtm_flags & RTM_F_CLONED) ||
        (tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : info->rtm_table) != RT_TABLE_MAIN)
        return NL_OK;
    route = (struct nlroute){
        .dst = {.addr = addr_of(info->rtm_family, tb[RTA_DST]), .prefix = info->rtm_dst_len},
        .gw = addr_of(info->rtm_family, tb[RTA_GATEWAY]),
        .link = tb[RTA_OIF] ? (int)nla_get_u32(tb[RTA_OIF]) : 0,
        .metric = tb[RTA_PRIORITY] ? nla_get_u32(tb[RTA_PRIORITY]) : 0,
        .is_unicast = info->rtm_type == RTN_UNICAST,
        .raw = copy_of(header),
    };
    route.dst.addr.family = info->rtm_family;
    array_grow(l->items, l->count);
    l->items[l->count++] = route;
    return NL_OK;
}

void nlroutes_release(struct nlroutes *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->items[i].raw);
    free(l->items);
    *l = (struct nlroutes){.items = NULL};
}

int nlroute_list(struct nl_sock *s, struct nlroutes *out, struct err **e)
{
    struct rtmsg info = {.rtm_family = AF_UNSPEC};
    struct nlroutes l = {.items = NULL};
    int r = -EAGAIN;

    for (int i = 0; i < NLREQ_DUMP_TRIES && r == -EAGAIN; i++) {
        nlroutes_release(&l);
        r = nlreq_dump(s, RTM_GETROUTE, &info, sizeof(info), on_route, &l, e);
    }
    if (r < 0) {
        nlroutes_release(&l);
        return r == -EAGAIN ? err_set(e, r, "the routes change all the time") : r;
    }
    *out = l;
    return 0;
}

static struct nl_msg *message(int type, int flags, const struct nlroute *route, bool is_onlink)
{
    struct rtmsg info = {
        .rtm_family = (uint8_t)route->dst.addr.family,
        .rtm_dst_len = (uint8_t)route->dst.prefix,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_STATIC,
        .rtm_scope = route->gw.family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
        .rtm_type = RTN_UNICAST,
        .rtm_flags = is_onlink ? RTNH_F_ONLINK : 0,
    };
    struct nl_msg *m = nlreq_new(type, flags, &info, sizeof(info));
    uint8_t bytes[16];

    if (route->dst.prefix)
        nlreq_put(m, RTA_DST, bytes, ip_bytes(ip_net_first(route->dst), bytes));
    if (route->gw.family)
        nlreq_put(m, RTA_GATEWAY, bytes, ip_bytes(route->gw, bytes));
    if (route->link)
        nlreq_put(m, RTA_OIF, &route->link, sizeof(route->link));
    if (route->metric)
        nlreq_put(m, RTA_PRIORITY, &route->metric, sizeof(route->metric));
    return m;
}

/* Without EXCL a new IPv4 route stands in front of the others, a new IPv6 one among them as one
 * more next hop. */
static int flags_of(int family, bool in_front)
{
    return NLM_F_CREATE | (in_front && family == AF_INET ? 0 : NLM_F_EXCL);
}

int nlroute_add(struct nl_sock *s, const struct nlroute *route, unsigned flags, struct err **e)
{
    auto_nlmsg struct nl_msg *m =
        message(RTM_NEWROUTE, flags_of(route->dst.addr.family, flags & NLROUTE_IN_FRONT), route,
                flags & NLROUTE_ONLINK);

    return nlreq_call(s, m, e);
}

/* The kernel's message as a request, with another destination if that is given. */
static struct nl_msg *replay(int type, int flags, const struct nlroute *route,
                             const struct ip_net *dst)
{
    struct rtmsg info = *(const struct rtmsg *)nlmsg_data(route->raw);
    struct nl_msg *m;
    struct nlattr *attr;
    uint8_t bytes[16];
    int left;

    info.rtm_dst_len = (uint8_t)(dst ? dst->prefix : route->dst.prefix);
    /* What the next hop is like at the moment is the kernel's to say. */
    info.rtm_flags &= RTNH_F_ONLINK | RTNH_F_PERVASIVE;
    m = nlreq_new(type, flags, &info, sizeof(info));
    if (dst && dst->prefix)
        nlreq_put(m, RTA_DST, bytes, ip_bytes(ip_net_first(*dst), bytes));
    nlmsg_for_each_attr(attr, route->raw, sizeof(info), left)
    {
        int attr_type = nla_type(attr);
        if (attr_type != RTA_CACHEINFO && !(dst && attr_type == RTA_DST))
            nlreq_put(m, attr_type, nla_data(attr), (size_t)nla_len(attr));
    }
    return m;
}

int nlroute_del(struct nl_sock *s, const struct nlroute *route, const struct ip_net *dst,
                struct err **e)
{
    auto_nlmsg struct nl_msg *m =
        route->raw ? replay(RTM_DELROUTE, 0, route, dst) : message(RTM_DELROUTE, 0, route, false);

    return nlreq_call(s, m, e);
}

int nlroute_put(struct nl_sock *s, const struct nlroute *route, const struct ip_net *dst,
                struct err **e)
{
    auto_nlmsg struct nl_msg *m =
        replay(RTM_NEWROUTE, flags_of(route->dst.addr.family, true), route, dst);

    return nlreq_call(s, m, e);
}
