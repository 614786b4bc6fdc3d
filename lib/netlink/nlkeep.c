/* RTM_NEWADDR and RTM_NEWROUTE, read and sent again. */
#include "nlkeep.h"

#include "../mem.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct nlkeep *out;
    int link;
};

static void add(struct nlkeep *k, const struct nlmsghdr *header)
{
    struct nlmsghdr *copy = xmalloc(header->nlmsg_len);

    memcpy(copy, header, header->nlmsg_len);
    array_grow(k->items, k->count);
    k->items[k->count++] = copy;
}

static int on_addr(struct nl_msg *m, void *arg)
{
    const struct ifaddrmsg *info = nlmsg_data(nlmsg_hdr(m));
    const struct reading *r = arg;

    if (nlmsg_hdr(m)->nlmsg_type == RTM_NEWADDR && (int)info->ifa_index == r->link &&
        info->ifa_scope < RT_SCOPE_LINK && (info->ifa_flags & IFA_F_PERMANENT))
        add(r->out, nlmsg_hdr(m));
    return NL_OK;
}

static int on_route(struct nl_msg *m, void *arg)
{
    struct rtmsg *info = nlmsg_data(nlmsg_hdr(m));
    const struct reading *r = arg;
    struct nlattr *tb[RTA_MAX + 1];

    if (nlmsg_hdr(m)->nlmsg_type == RTM_NEWROUTE &&
        nlmsg_parse(nlmsg_hdr(m), sizeof(*info), tb, RTA_MAX, NULL) == 0 && tb[RTA_OIF] &&
        (int)nla_get_u32(tb[RTA_OIF]) == r->link && info->rtm_type == RTN_UNICAST &&
        info->rtm_protocol != RTPROT_KERNEL && info->rtm_protocol != RTPROT_RA &&
        !(info->rtm_flags & RTM_F_CLONED))
        add(r->out, nlmsg_hdr(m));
    return NL_OK;
}

int nlkeep_read(struct nl_sock *s, int link, struct nlkeep *out, struct err **e)
{
    struct ifaddrmsg addr = {.ifa_family = AF_UNSPEC};
    struct rtmsg route = {.rtm_family = AF_UNSPEC};
    struct nlkeep k = {.items = NULL};
    struct reading reading = {.out = &k, .link = link};
    int r = -EAGAIN;

    for (int i = 0; i < NLREQ_DUMP_TRIES && r == -EAGAIN; i++) {
        nlkeep_release(&k);
        r = nlreq_dump(s, RTM_GETADDR, &addr, sizeof(addr), on_addr, &reading, e);
        if (r == 0)
            r = nlreq_dump(s, RTM_GETROUTE, &route, sizeof(route), on_route, &reading, e);
    }
    if (r == 0) {
        *out = k;
        return 0;
    }
    nlkeep_release(&k);
    return r == -EAGAIN ? err_set(e, r, "addresses and routes change all the time") : r;
}

/* The message with the link's index, and without what only the kernel says. */
static struct nl_msg *request_of(struct nlmsghdr *header, int link)
{
    bool is_addr = header->nlmsg_type == RTM_NEWADDR;
    union {
        struct ifaddrmsg addr;
        struct rtmsg route;
    } info;
    size_t size = is_addr ? sizeof(info.addr) : sizeof(info.route);
    struct nl_msg *m;
    struct nlattr *attr;
    int left;

    memcpy(&info, nlmsg_data(header), size);
    if (is_addr)
        info.addr.ifa_index = (uint32_t)link;
    else
        info.route.rtm_flags &= RTNH_F_ONLINK | RTNH_F_PERVASIVE;
    m = nlreq_new(header->nlmsg_type, NLM_F_CREATE | NLM_F_EXCL, &info, size);
    nlmsg_for_each_attr(attr, header, (int)size, left)
    {
        int type = nla_type(attr);

        if (!is_addr && type == RTA_OIF)
            nlreq_put(m, RTA_OIF, &link, sizeof(link));
        else if (type != (is_addr ? (int)IFA_CACHEINFO : (int)RTA_CACHEINFO))
            nlreq_put(m, type, nla_data(attr), (size_t)nla_len(attr));
    }
    return m;
}

size_t nlkeep_put(struct nl_sock *s, const struct nlkeep *k, int link)
{
    size_t put = 0;

    /* Twice: a route by a gateway may stand before the one that leads to the gateway. */
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < k->count; i++) {
            auto_nlmsg struct nl_msg *m = request_of(k->items[i], link);

            put += nlreq_call(s, m, NULL) == 0;
        }
    }
    return put;
}

void nlkeep_release(struct nlkeep *k)
{
    for (size_t i = 0; i < k->count; i++)
        free(k->items[i]);
    free(k->items);
    *k = (struct nlkeep){.items = NULL};
}
