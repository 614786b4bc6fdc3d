/* rtnetlink on libnl-3: dumps are parsed here, so that the kernel's order is kept. */
#include "net.h"

#include "../mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A dump that changed under our eyes is asked for again, this often. */
#define DUMP_TRIES 8

static void socket_cleanup(struct nl_sock **s)
{
    if (*s)
        nl_socket_free(*s);
}
#define auto_socket __attribute__((cleanup(socket_cleanup)))

static void msg_cleanup(struct nl_msg **m)
{
    if (*m)
        nlmsg_free(*m);
}
#define auto_msg __attribute__((cleanup(msg_cleanup)))

/* libnl has error numbers of its own; these are what the kernel answers come as. */
static int errno_of(int nl)
{
    switch (nl < 0 ? -nl : nl) {
    case NLE_NODEV:
        return -ENODEV;
    case NLE_PERM:
    case NLE_NOACCESS:
        return -EPERM;
    case NLE_OBJ_NOTFOUND:
        return -ENOENT;
    case NLE_BUSY:
        return -EBUSY;
    case NLE_INVAL:
        return -EINVAL;
    case NLE_OPNOTSUPP:
        return -EOPNOTSUPP;
    default:
        return -EIO;
    }
}

static int open_socket(struct nl_sock **out, struct err **e)
{
    auto_socket struct nl_sock *s = nl_socket_alloc();
    int r;

    if (!s)
        return err_set(e, -ENOMEM, "cannot make a netlink socket");
    r = nl_connect(s, NETLINK_ROUTE);
    if (r < 0)
        return err_set(e, errno_of(r), "cannot open a netlink socket: %s", nl_geterror(r));
    *out = take(s);
    return 0;
}

/* --- what the kernel's messages hold --- */

static void copy_text(char *out, size_t size, struct nlattr *attr)
{
    if (attr)
        (void)nla_strlcpy(out, attr, size);
}

static int get_int(struct nlattr *attr)
{
    return attr ? (int)nla_get_u32(attr) : 0;
}

static void read_link_info(struct nlattr *info, struct net_link *link)
{
    struct nlattr *tb[IFLA_INFO_MAX + 1];

    if (!info || nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL) < 0)
        return;
    copy_text(link->kind, sizeof(link->kind), tb[IFLA_INFO_KIND]);
    copy_text(link->slave_kind, sizeof(link->slave_kind), tb[IFLA_INFO_SLAVE_KIND]);
}

static int on_link(struct nl_msg *msg, void *arg)
{
    struct nlmsghdr *header = nlmsg_hdr(msg);
    struct net_state *s = arg;
    struct nlattr *tb[IFLA_MAX + 1];
    struct ifinfomsg *info = nlmsg_data(header);
    struct net_link link = {.has_carrier = true};

    if (header->nlmsg_type != RTM_NEWLINK ||
        nlmsg_parse(header, sizeof(*info), tb, IFLA_MAX, NULL) < 0 || !tb[IFLA_IFNAME])
        return NL_OK;
    link.index = info->ifi_index;
    link.flags = info->ifi_flags;
    link.type = info->ifi_type;
    copy_text(link.name, sizeof(link.name), tb[IFLA_IFNAME]);
    link.promiscuity = (unsigned)get_int(tb[IFLA_PROMISCUITY]);
    link.mtu = get_int(tb[IFLA_MTU]);
    link.master = get_int(tb[IFLA_MASTER]);
    link.lower = get_int(tb[IFLA_LINK]);
    if (tb[IFLA_CARRIER])
        link.has_carrier = nla_get_u8(tb[IFLA_CARRIER]) != 0;
    read_link_info(tb[IFLA_LINKINFO], &link);
    array_grow(s->links, s->n_links);
    s->links[s->n_links++] = link;
    return NL_OK;
}

static bool copy_addr(struct nlattr *attr, int family, uint8_t *out)
{
    size_t size = family == AF_INET6 ? 16 : 4;

    if (!attr || (size_t)nla_len(attr) != size)
        return false;
    memcpy(out, nla_data(attr), size);
    return true;
}

static int on_addr(struct nl_msg *msg, void *arg)
{
    struct nlmsghdr *header = nlmsg_hdr(msg);
    struct net_state *s = arg;
    struct nlattr *tb[IFA_MAX + 1];
    struct ifaddrmsg *info = nlmsg_data(header);
    struct net_addr addr = {.link = 0};

    if (header->nlmsg_type != RTM_NEWADDR ||
        nlmsg_parse(header, sizeof(*info), tb, IFA_MAX, NULL) < 0 ||
        (info->ifa_family != AF_INET && info->ifa_family != AF_INET6))
        return NL_OK;
    addr.link = (int)info->ifa_index;
    addr.family = info->ifa_family;
    addr.prefix = info->ifa_prefixlen;
    /* On point-to-point links IFA_ADDRESS is the other side. */
    if (!copy_addr(tb[IFA_LOCAL], addr.family, addr.bytes) &&
        !copy_addr(tb[IFA_ADDRESS], addr.family, addr.bytes))
        return NL_OK;
    array_grow(s->addrs, s->n_addrs);
    s->addrs[s->n_addrs++] = addr;
    return NL_OK;
}

static size_t count_hops(struct nlattr *attr)
{
    int left = attr ? nla_len(attr) : 0;
    const char *p = attr ? nla_data(attr) : NULL;
    size_t n = 0;

    while (left >= (int)sizeof(struct rtnexthop)) {
        struct rtnexthop hop;
        memcpy(&hop, p, sizeof(hop));
        if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left)
            break;
        n++;
        left -= RTNH_ALIGN(hop.rtnh_len);
        p += RTNH_ALIGN(hop.rtnh_len);
    }
    return n;
}

static int parse_route(struct nlmsghdr *header, struct net_route *out, struct nlattr **tb)
{
    struct rtmsg *info = nlmsg_data(header);

    if (header->nlmsg_type != RTM_NEWROUTE ||
        nlmsg_parse(header, sizeof(*info), tb, RTA_MAX, NULL) < 0 ||
        (info->rtm_family != AF_INET && info->rtm_family != AF_INET6))
        return -EINVAL;
    *out = (struct net_route){
        .family = info->rtm_family,
        .table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : info->rtm_table,
        .type = info->rtm_type,
        .prefix = info->rtm_dst_len,
        .link = get_int(tb[RTA_OIF]),
        .n_hops = count_hops(tb[RTA_MULTIPATH]),
        .metric = (uint32_t)get_int(tb[RTA_PRIORITY]),
    };
    (void)copy_addr(tb[RTA_DST], out->family, out->dst);
    out->has_gateway = copy_addr(tb[RTA_GATEWAY], out->family, out->gateway);
    return info->rtm_flags & RTM_F_CLONED ? -ESTALE : 0;
}

static int on_route(struct nl_msg *msg, void *arg)
{
    struct nlattr *tb[RTA_MAX + 1];
    struct net_state *s = arg;
    struct net_route route;

    if (parse_route(nlmsg_hdr(msg), &route, tb) < 0 || route.table == RT_TABLE_LOCAL)
        return NL_OK;
    array_grow(s->routes, s->n_routes);
    s->routes[s->n_routes++] = route;
    return NL_OK;
}

/* --- asking --- */

static int dump_once(int type, nl_recvmsg_msg_cb_t on_message, void *arg, struct err **e)
{
    auto_socket struct nl_sock *s = NULL;
    struct rtgenmsg any = {.rtgen_family = AF_UNSPEC};
    int r = open_socket(&s, e);

    if (r < 0)
        return r;
    (void)nl_socket_modify_cb(s, NL_CB_VALID, NL_CB_CUSTOM, on_message, arg);
    r = nl_send_simple(s, type, NLM_F_DUMP, &any, sizeof(any));
    if (r >= 0)
        r = nl_recvmsgs_default(s);
    if (r == -NLE_DUMP_INTR)
        return -EAGAIN;
    if (r < 0)
        return err_set(e, errno_of(r), "cannot ask the kernel for its network: %s", nl_geterror(r));
    return 0;
}

/* `count` is the number that the callback counts up; a broken dump is forgotten. */
static int dump(int type, nl_recvmsg_msg_cb_t on_message, struct net_state *s, size_t *count,
                struct err **e)
{
    int r = -EAGAIN;

    for (int i = 0; i < DUMP_TRIES && r == -EAGAIN; i++) {
        *count = 0;
        r = dump_once(type, on_message, s, e);
    }
    if (r == -EAGAIN)
        return err_set(e, r, "the network changes all the time; try again");
    return r;
}

int net_state_read(struct net_state *out, struct err **e)
{
    struct net_state s = {.links = NULL};
    int r = dump(RTM_GETLINK, on_link, &s, &s.n_links, e);

    if (r == 0)
        r = dump(RTM_GETADDR, on_addr, &s, &s.n_addrs, e);
    if (r == 0)
        r = dump(RTM_GETROUTE, on_route, &s, &s.n_routes, e);
    if (r < 0)
        net_state_release(&s);
    else
        *out = s;
    return r;
}

void net_state_release(struct net_state *s)
{
    free(s->links);
    free(s->addrs);
    free(s->routes);
    *s = (struct net_state){.links = NULL};
}

const struct net_link *net_link_named(const struct net_state *s, const char *name)
{
    for (size_t i = 0; i < s->n_links; i++)
        if (!strcmp(s->links[i].name, name))
            return &s->links[i];
    return NULL;
}

const struct net_link *net_link_indexed(const struct net_state *s, int index)
{
    for (size_t i = 0; i < s->n_links; i++)
        if (s->links[i].index == index)
            return &s->links[i];
    return NULL;
}

static int on_path(struct nl_msg *msg, void *arg)
{
    struct nlattr *tb[RTA_MAX + 1];
    struct net_path *path = arg;
    struct net_route route;

    if (parse_route(nlmsg_hdr(msg), &route, tb) == -EINVAL)
        return NL_OK;
    path->link = route.link;
    path->is_local = route.type == RTN_LOCAL;
    path->has_source = copy_addr(tb[RTA_PREFSRC], route.family, path->source);
    path->has_gateway = route.has_gateway;
    memcpy(path->gateway, route.gateway, sizeof(path->gateway));
    return NL_OK;
}

int net_path_to(int family, const uint8_t *dst, struct net_path *out, struct err **e)
{
    struct rtmsg info = {.rtm_family = (unsigned char)family};
    auto_socket struct nl_sock *s = NULL;
    auto_msg struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_REQUEST);
    struct net_path path = {.link = 0};
    size_t size = family == AF_INET6 ? 16 : 4;
    char text[NET_ADDR_TEXT];
    int r = open_socket(&s, e);

    if (r < 0)
        return r;
    info.rtm_dst_len = (unsigned char)(size * 8);
    if (!msg || nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO) < 0 ||
        nla_put(msg, RTA_DST, (int)size, dst) < 0)
        return err_set(e, -ENOMEM, "cannot make a netlink message");
    /* Without a request for an acknowledgement the answer is the route, or the error. */
    nl_socket_disable_auto_ack(s);
    (void)nl_socket_modify_cb(s, NL_CB_VALID, NL_CB_CUSTOM, on_path, &path);
    r = nl_send_auto(s, msg);
    if (r >= 0)
        r = nl_recvmsgs_default(s);
    if (r < 0 || !path.link)
        return err_set(e, -ENETUNREACH, "no route to %s", net_addr_format(family, dst, text));
    *out = path;
    return 0;
}

static bool is_promiscuous(const char *name)
{
    struct net_state s = {.links = NULL};
    const struct net_link *link;
    bool is;

    if (dump(RTM_GETLINK, on_link, &s, &s.n_links, NULL) < 0)
        return false;
    link = net_link_named(&s, name);
    is = link && (link->flags & IFF_PROMISC);
    net_state_release(&s);
    return is;
}

int net_set_promiscuous(const char *name, bool on, struct err **e)
{
    struct ifinfomsg info = {.ifi_change = IFF_PROMISC, .ifi_flags = on ? IFF_PROMISC : 0};
    auto_socket struct nl_sock *s = NULL;
    auto_msg struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK);
    int r = open_socket(&s, e);

    if (r < 0)
        return r;
    if (!msg || nlmsg_append(msg, &info, sizeof(info), NLMSG_ALIGNTO) < 0 ||
        nla_put_string(msg, IFLA_IFNAME, name) < 0)
        return err_set(e, -ENOMEM, "cannot make a netlink message");
    r = nl_send_auto(s, msg);
    if (r >= 0)
        r = nl_wait_for_ack(s);
    if (r < 0)
        return err_set(e, errno_of(r), "cannot switch promiscuous mode of '%s' %s: %s", name,
                       on ? "on" : "off", nl_geterror(r));
    if (is_promiscuous(name) != on)
        return err_set(e, -EIO, "promiscuous mode of '%s' did not stay %s", name,
                       on ? "on" : "off");
    return 0;
}

/* --- addresses as text --- */

int net_addr_parse(const char *text, uint8_t out_bytes[NET_ADDR_BYTES])
{
    uint8_t bytes[NET_ADDR_BYTES] = {0};
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;

    if (inet_pton(family, text, bytes) != 1)
        return -EINVAL;
    memcpy(out_bytes, bytes, sizeof(bytes));
    return family;
}

int net_cidr_parse(const char *text, uint8_t out_bytes[NET_ADDR_BYTES], int *out_prefix)
{
    const char *slash = strchr(text, '/');
    auto_free char *address = slash ? xstrndup(text, (size_t)(slash - text)) : NULL;
    size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;
    int family, prefix = 0;

    if (!slash || digits < 1 || digits > 3 || slash[1 + digits])
        return -EINVAL;
    family = net_addr_parse(address, out_bytes);
    for (size_t i = 1; i <= digits; i++)
        prefix = prefix * 10 + (slash[i] - '0');
    if (family < 0 || prefix > (family == AF_INET6 ? 128 : 32))
        return -EINVAL;
    *out_prefix = prefix;
    return family;
}

const char *net_addr_format(int family, const uint8_t *bytes, char out[NET_ADDR_TEXT])
{
    if (!inet_ntop(family, bytes, out, NET_ADDR_TEXT))
        (void)snprintf(out, NET_ADDR_TEXT, "?");
    return out;
}

bool net_prefix_equal(const uint8_t *a, const uint8_t *b, int prefix)
{
    int whole = prefix / 8, rest = prefix % 8;

    if (memcmp(a, b, (size_t)whole) != 0)
        return false;
    return !rest || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}
