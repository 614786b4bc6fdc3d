/* RTM_*LINK and RTM_*ADDR. */
#include "nllink.h"

#include "../mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <stdlib.h>
#include <string.h>

/* --- reading --- */

static void copy_text(char *out, size_t size, struct nlattr *attr)
{
    if (attr)
        (void)nla_strlcpy(out, attr, size);
}

static int get_int(struct nlattr *attr)
{
    return attr ? (int)nla_get_u32(attr) : 0;
}

static void read_vlan(struct nlattr *data, struct nllink *link)
{
    struct nlattr *tb[IFLA_VLAN_MAX + 1];

    if (nla_parse_nested(tb, IFLA_VLAN_MAX, data, NULL) < 0)
        return;
    if (tb[IFLA_VLAN_ID])
        link->vlan_id = nla_get_u16(tb[IFLA_VLAN_ID]);
    if (tb[IFLA_VLAN_PROTOCOL])
        link->vlan_protocol = ntohs(nla_get_u16(tb[IFLA_VLAN_PROTOCOL]));
}

static void read_macvlan(struct nlattr *data, struct nllink *link)
{
    struct nlattr *tb[IFLA_MACVLAN_MAX + 1];

    if (nla_parse_nested(tb, IFLA_MACVLAN_MAX, data, NULL) == 0)
        link->macvlan_mode = (unsigned)get_int(tb[IFLA_MACVLAN_MODE]);
}

static void read_info(struct nlattr *info, struct nllink *link)
{
    struct nlattr *tb[IFLA_INFO_MAX + 1];

    if (!info || nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) < 0)
        return;
    copy_text(link->kind, sizeof(link->kind), tb[IFLA_INFO_KIND]);
    if (!tb[IFLA_INFO_DATA])
        return;
    if (!strcmp(link->kind, "vlan"))
        read_vlan(tb[IFLA_INFO_DATA], link);
    else if (!strcmp(link->kind, "macvlan"))
        read_macvlan(tb[IFLA_INFO_DATA], link);
}

static bool read_link(struct nlmsghdr *header, struct nllink *out)
{
    struct nlattr *tb[IFLA_MAX + 1];
    struct ifinfomsg *info = nlmsg_data(header);
    struct nllink link = {.index = 0};

    if ((header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK) ||
        nlmsg_parse(header, sizeof(*info), tb, IFLA_MAX, NULL) < 0 || !tb[IFLA_IFNAME])
        return false;
    link.index = info->ifi_index;
    link.flags = info->ifi_flags;
    copy_text(link.name, sizeof(link.name), tb[IFLA_IFNAME]);
    copy_text(link.alias, sizeof(link.alias), tb[IFLA_IFALIAS]);
    link.mtu = (unsigned)get_int(tb[IFLA_MTU]);
    link.master = get_int(tb[IFLA_MASTER]);
    link.lower = get_int(tb[IFLA_LINK]);
    link.is_lower_elsewhere = tb[IFLA_LINK_NETNSID] != NULL;
    link.has_mac = tb[IFLA_ADDRESS] && (size_t)nla_len(tb[IFLA_ADDRESS]) == sizeof(link.mac.bytes);
    if (link.has_mac)
        memcpy(link.mac.bytes, nla_data(tb[IFLA_ADDRESS]), sizeof(link.mac.bytes));
    read_info(tb[IFLA_LINKINFO], &link);
    *out = link;
    return true;
}

static int on_link(struct nl_msg *m, void *arg)
{
    (void)read_link(nlmsg_hdr(m), arg);
    return NL_OK;
}

int nllink_get(struct nl_sock *s, const char *name, struct nllink *out, struct err **e)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    auto_nlmsg struct nl_msg *m = nlreq_new(RTM_GETLINK, 0, &info, sizeof(info));
    struct nllink link = {.index = 0};
    int r;

    /* The kernel would answer EINVAL or ERANGE to a name that no link can have. */
    if (!*name || strlen(name) >= IFNAMSIZ)
        return err_set(e, -ENODEV, "%s", strerror(ENODEV));
    nlreq_put_text(m, IFLA_IFNAME, name);
    r = nlreq_ask(s, m, on_link, &link, e);
    if (r < 0)
        return r;
    if (!link.index)
        return err_set(e, -EIO, "the kernel's answer is no link");
    *out = link;
    return 0;
}

struct links {
    struct nllink *items;
    size_t count;
};

static int on_listed(struct nl_msg *m, void *arg)
{
    struct links *l = arg;
    struct nllink link;

    if (read_link(nlmsg_hdr(m), &link)) {
        array_grow(l->items, l->count);
        l->items[l->count++] = link;
    }
    return NL_OK;
}

int nllink_list(struct nl_sock *s, struct nllink **out_links, size_t *out_count, struct err **e)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct links l = {.items = NULL};
    int r = -EAGAIN;

    for (int i = 0; i < NLREQ_DUMP_TRIES && r == -EAGAIN; i++) {
        l.count = 0;
        r = nlreq_dump(s, RTM_GETLINK, &info, sizeof(info), on_listed, &l, e);
    }
    if (r < 0) {
        free(l.items);
        return r == -EAGAIN ? err_set(e, r, "the links change all the time") : r;
    }
    *out_links = l.items;
    *out_count = l.count;
    return 0;
}

/* --- making --- */

static struct nl_msg *new_link(const char *name, int lower)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct nl_msg *m = nlreq_new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));

    nlreq_put_text(m, IFLA_IFNAME, name);
    nlreq_put(m, IFLA_LINK, &lower, sizeof(lower));
    return m;
}

int nllink_add_vlan(struct nl_sock *s, const char *name, int lower, unsigned id, struct err **e)
{
    auto_nlmsg struct nl_msg *m = new_link(name, lower);
    struct nlattr *info = nlreq_nest(m, IFLA_LINKINFO), *data;
    uint16_t tag = (uint16_t)id;

    nlreq_put_text(m, IFLA_INFO_KIND, "vlan");
    data = nlreq_nest(m, IFLA_INFO_DATA);
    nlreq_put(m, IFLA_VLAN_ID, &tag, sizeof(tag));
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    return nlreq_call(s, m, e);
}

int nllink_add_macvlan(struct nl_sock *s, const struct nllink_macvlan *v, struct err **e)
{
    auto_nlmsg struct nl_msg *m = new_link(v->name, v->lower);
    struct nlattr *info, *data;
    uint32_t mode = v->mode, mtu = v->mtu, fd = (uint32_t)v->ns_fd;

    if (v->mac)
        nlreq_put(m, IFLA_ADDRESS, v->mac->bytes, sizeof(v->mac->bytes));
    if (v->mtu)
        nlreq_put(m, IFLA_MTU, &mtu, sizeof(mtu));
    if (v->ns_fd >= 0)
        nlreq_put(m, IFLA_NET_NS_FD, &fd, sizeof(fd));
    info = nlreq_nest(m, IFLA_LINKINFO);
    nlreq_put_text(m, IFLA_INFO_KIND, "macvlan");
    data = nlreq_nest(m, IFLA_INFO_DATA);
    nlreq_put(m, IFLA_MACVLAN_MODE, &mode, sizeof(mode));
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    return nlreq_call(s, m, e);
}

int nllink_set(struct nl_sock *s, int index, const struct nllink_change *c, struct err **e)
{
    unsigned flags = (c->is_up ? IFF_UP : 0) | (c->is_promiscuous ? IFF_PROMISC : 0);
    struct ifinfomsg info = {
        .ifi_family = AF_UNSPEC,
        .ifi_index = index,
        .ifi_flags = flags,
        .ifi_change = flags,
    };
    auto_nlmsg struct nl_msg *m = nlreq_new(RTM_NEWLINK, 0, &info, sizeof(info));

    if (c->name)
        nlreq_put_text(m, IFLA_IFNAME, c->name);
    if (c->alias)
        nlreq_put(m, IFLA_IFALIAS, c->alias, strlen(c->alias));
    return nlreq_call(s, m, e);
}

int nllink_del(struct nl_sock *s, int index, struct err **e)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    auto_nlmsg struct nl_msg *m = nlreq_new(RTM_DELLINK, 0, &info, sizeof(info));

    return nlreq_call(s, m, e);
}

/* --- addresses --- */

int nllink_add_addr(struct nl_sock *s, int index, struct ip_net addr, struct err **e)
{
    struct ifaddrmsg info = {
        .ifa_family = (uint8_t)addr.addr.family,
        .ifa_prefixlen = (uint8_t)addr.prefix,
        .ifa_flags = addr.addr.family == AF_INET6 ? IFA_F_NODAD : 0,
        .ifa_index = (uint32_t)index,
    };
    auto_nlmsg struct nl_msg *m =
        nlreq_new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
    uint8_t bytes[16];
    size_t n = ip_bytes(addr.addr, bytes);

    nlreq_put(m, IFA_LOCAL, bytes, n);
    nlreq_put(m, IFA_ADDRESS, bytes, n);
    if (addr.addr.family == AF_INET && addr.prefix < 31)
        nlreq_put(m, IFA_BROADCAST, bytes, ip_bytes(ip_net_last(addr), bytes));
    return nlreq_call(s, m, e);
}

struct addrs {
    int link;
    struct ip_net *items;
    size_t count;
};

static int on_addr(struct nl_msg *m, void *arg)
{
    struct nlmsghdr *header = nlmsg_hdr(m);
    struct ifaddrmsg *info = nlmsg_data(header);
    struct nlattr *tb[IFA_MAX + 1], *text;
    struct addrs *a = arg;
    int size;

    if (header->nlmsg_type != RTM_NEWADDR ||
        nlmsg_parse(header, sizeof(*info), tb, IFA_MAX, NULL) < 0 ||
        (int)info->ifa_index != a->link ||
        (info->ifa_family != AF_INET && info->ifa_family != AF_INET6))
        return NL_OK;
    text = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
    size = info->ifa_family == AF_INET ? 4 : 16;
    if (!text || nla_len(text) != size)
        return NL_OK;
    array_grow(a->items, a->count);
    a->items[a->count++] = (struct ip_net){.addr = ip_from_bytes(info->ifa_family, nla_data(text)),
                                           .prefix = info->ifa_prefixlen};
    return NL_OK;
}

int nllink_addrs(struct nl_sock *s, int index, struct ip_net **out_addrs, size_t *out_count,
                 struct err **e)
{
    struct ifaddrmsg info = {.ifa_family = AF_UNSPEC};
    struct addrs a = {.link = index};
    int r = -EAGAIN;

    for (int i = 0; i < NLREQ_DUMP_TRIES && r == -EAGAIN; i++) {
        a.count = 0;
        r = nlreq_dump(s, RTM_GETADDR, &info, sizeof(info), on_addr, &a, e);
    }
    if (r < 0) {
        free(a.items);
        return r == -EAGAIN ? err_set(e, r, "the addresses change all the time") : r;
    }
    *out_addrs = a.items;
    *out_count = a.count;
    return 0;
}

/* --- changes --- */

/* Room for a burst of changes while we are busy. */
#define WATCH_BYTES (1 << 20)

int nllink_watch(struct nl_sock **out, struct err **e)
{
    auto_nlsock struct nl_sock *s = NULL;
    int r = nlreq_open(&s, e);

    if (r < 0)
        return r;
    nl_socket_disable_seq_check(s);
    (void)nl_socket_set_buffer_size(s, WATCH_BYTES, 0);
    if (nl_socket_add_membership(s, RTNLGRP_LINK) < 0 || nl_socket_set_nonblocking(s) < 0)
        return err_set(e, -EIO, "the kernel does not tell of changes of links");
    *out = take(s);
    return 0;
}

struct watching {
    nllink_change_fn fn;
    void *arg;
};

static int on_change(struct nl_msg *m, void *arg)
{
    const struct watching *w = arg;
    struct nllink link;

    if (read_link(nlmsg_hdr(m), &link))
        w->fn(w->arg, &link, nlmsg_hdr(m)->nlmsg_type == RTM_DELLINK);
    return NL_OK;
}

bool nllink_watch_read(struct nl_sock *s, nllink_change_fn fn, void *arg)
{
    struct watching w = {.fn = fn, .arg = arg};
    bool is_complete = true;
    int r;

    (void)nl_socket_modify_cb(s, NL_CB_VALID, NL_CB_CUSTOM, on_change, &w);
    while ((r = nl_recvmsgs_default(s)) != -NLE_AGAIN) {
        is_complete = is_complete && r >= 0;
        /* NOMEM is ENOBUFS: the rest of the queue is still there. */
        if (r < 0 && r != -NLE_NOMEM && r != -NLE_INTR)
            break;
    }
    return is_complete;
}
