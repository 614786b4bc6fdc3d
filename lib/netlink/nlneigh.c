/* RTM_GETNEIGH, and the VXLAN part of RTM_GETLINK. */
#include "nlneigh.h"

#include "../mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/* An address of 4 or 16 bytes; anything else is none. */
static struct ip_addr addr_of(struct nlattr *attr)
{
    int len = attr ? nla_len(attr) : 0;

    if (len != 4 && len != 16)
        return (struct ip_addr){.family = AF_UNSPEC};
    return ip_from_bytes(len == 4 ? AF_INET : AF_INET6, nla_data(attr));
}

struct neighs {
    int link;
    struct nlneigh *items;
    size_t count;
};

static int on_neigh(struct nl_msg *m, void *arg)
{
    struct nlmsghdr *header = nlmsg_hdr(m);
    struct nlattr *tb[NDA_MAX + 1];
    struct ndmsg *nd = nlmsg_data(header);
    struct neighs *l = arg;
    struct nlneigh n = {.has_mac = false};

    if (header->nlmsg_type != RTM_NEWNEIGH ||
        nlmsg_parse(header, sizeof(*nd), tb, NDA_MAX, NULL) < 0 || nd->ndm_ifindex != l->link)
        return NL_OK;
    n.link = nd->ndm_ifindex;
    n.state = nd->ndm_state;
    n.flags = nd->ndm_flags;
    n.addr = addr_of(tb[NDA_DST]);
    n.has_mac = tb[NDA_LLADDR] && (size_t)nla_len(tb[NDA_LLADDR]) == sizeof(n.mac.bytes);
    if (n.has_mac)
        memcpy(n.mac.bytes, nla_data(tb[NDA_LLADDR]), sizeof(n.mac.bytes));
    array_grow(l->items, l->count);
    l->items[l->count++] = n;
    return NL_OK;
}

int nlneigh_list(struct nl_sock *s, int family, int link, struct nlneigh **out, size_t *out_count,
                 struct err **e)
{
    struct ndmsg nd = {.ndm_family = (uint8_t)family, .ndm_ifindex = link};
    struct neighs l = {.link = link};
    int r = -EAGAIN;

    for (int i = 0; i < NLREQ_DUMP_TRIES && r == -EAGAIN; i++) {
        l.count = 0;
        r = nlreq_dump(s, RTM_GETNEIGH, &nd, sizeof(nd), on_neigh, &l, e);
    }
    if (r < 0) {
        free(l.items);
        return r;
    }
    *out = l.items;
    *out_count = l.count;
    return 0;
}

static int on_vxlan(struct nl_msg *m, void *arg)
{
    struct nlattr *tb[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1], *data[IFLA_VXLAN_MAX + 1];
    struct nlvxlan *out = arg;

    if (nlmsg_parse(nlmsg_hdr(m), sizeof(struct ifinfomsg), tb, IFLA_MAX, NULL) < 0 ||
        !tb[IFLA_LINKINFO] || nla_parse_nested(info, IFLA_INFO_MAX, tb[IFLA_LINKINFO], NULL) < 0 ||
        !info[IFLA_INFO_KIND] || nla_strcmp(info[IFLA_INFO_KIND], "vxlan") != 0 ||
        !info[IFLA_INFO_DATA] ||
        nla_parse_nested(data, IFLA_VXLAN_MAX, info[IFLA_INFO_DATA], NULL) < 0 ||
        !data[IFLA_VXLAN_ID])
        return NL_OK;
    out->id = nla_get_u32(data[IFLA_VXLAN_ID]);
    out->port = data[IFLA_VXLAN_PORT] ? ntohs(nla_get_u16(data[IFLA_VXLAN_PORT])) : 0;
    out->lower = data[IFLA_VXLAN_LINK] ? (int)nla_get_u32(data[IFLA_VXLAN_LINK]) : 0;
    out->local = addr_of(data[IFLA_VXLAN_LOCAL] ? data[IFLA_VXLAN_LOCAL] : data[IFLA_VXLAN_LOCAL6]);
    out->is_learning = data[IFLA_VXLAN_LEARNING] && nla_get_u8(data[IFLA_VXLAN_LEARNING]);
    return NL_OK;
}

int nlvxlan_get(struct nl_sock *s, const char *name, struct nlvxlan *out, struct err **e)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    auto_nlmsg struct nl_msg *m = nlreq_new(RTM_GETLINK, 0, &info, sizeof(info));
    struct nlvxlan v = {.port = UINT_MAX};
    int r;

    if (!*name || strlen(name) >= IFNAMSIZ)
        return err_set(e, -ENODEV, "%s", strerror(ENODEV));
    nlreq_put_text(m, IFLA_IFNAME, name);
    r = nlreq_ask(s, m, on_vxlan, &v, e);
    if (r < 0)
        return r;
    if (v.port == UINT_MAX)
        return err_set(e, -EMEDIUMTYPE, "it is no VXLAN");
    *out = v;
    return 0;
}
