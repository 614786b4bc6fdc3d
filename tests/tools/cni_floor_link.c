/*
 * The least that the kernel takes: makes a macvlan in a network namespace, gives it its address,
 * raises it and removes it, by bare rtnetlink.
 *
 *   cni_floor_link FILE MASTER NETNS IFNAME MAC ADDRESS PREFIX
 *
 * Appends "link-add US 0 0" and "link-del US 0 0" to a file. The clocks run from the opening of the
 * namespace to the last acknowledgement; the program's own start is not counted.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct request {
    struct nlmsghdr header;
    char bytes[512];
};

static int64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "cni_floor_link: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void put(struct request *m, int type, const void *data, size_t len)
{
    struct rtattr *attr = (void *)((char *)m + NLMSG_ALIGN(m->header.nlmsg_len));

    attr->rta_type = (unsigned short)type;
    attr->rta_len = (unsigned short)RTA_LENGTH(len);
    if (len)
        memcpy(RTA_DATA(attr), data, len);
    m->header.nlmsg_len = NLMSG_ALIGN(m->header.nlmsg_len) + RTA_ALIGN(attr->rta_len);
}

static struct rtattr *nest(struct request *m, int type)
{
    struct rtattr *attr = (void *)((char *)m + NLMSG_ALIGN(m->header.nlmsg_len));

    put(m, type, NULL, 0);
    return attr;
}

static void nest_end(struct request *m, struct rtattr *attr)
{
    attr->rta_len = (unsigned short)((char *)m + m->header.nlmsg_len - (char *)attr);
}

static struct request new (int type, int flags, const void *body, size_t len)
{
    struct request m = {.header = {.nlmsg_type = (uint16_t)type,
                                   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags),
                                   .nlmsg_len = (uint32_t)NLMSG_LENGTH(len)}};

    memcpy(m.bytes, body, len);
    return m;
}

static void call(int fd, struct request *m, const char *what)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[1024];
    } answer;

    if (send(fd, m, m->header.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
        fail(what);
    if (answer.header.nlmsg_type != NLMSG_ERROR || answer.error.error) {
        errno = -answer.error.error;
        fail(what);
    }
}

static int netlink(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        fail("netlink");
    return fd;
}

static void add_link(int host, int netns, char **argv)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct request m = new (RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
    const struct ether_addr *mac = ether_aton(argv[5]);
    uint32_t master = if_nametoindex(argv[2]), mode = MACVLAN_MODE_BRIDGE;
    struct rtattr *kind, *data;

    if (!mac || !master)
        fail(argv[2]);
    put(&m, IFLA_IFNAME, argv[4], strlen(argv[4]) + 1);
    put(&m, IFLA_LINK, &master, sizeof(master));
    put(&m, IFLA_ADDRESS, mac, sizeof(*mac));
    put(&m, IFLA_NET_NS_FD, &netns, sizeof(netns));
    kind = nest(&m, IFLA_LINKINFO);
    put(&m, IFLA_INFO_KIND, "macvlan", sizeof("macvlan"));
    data = nest(&m, IFLA_INFO_DATA);
    put(&m, IFLA_MACVLAN_MODE, &mode, sizeof(mode));
    nest_end(&m, data);
    nest_end(&m, kind);
    call(host, &m, "add");
}

static void set_up(int pod, int index)
{
    struct ifinfomsg info = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct request m = new (RTM_NEWLINK, 0, &info, sizeof(info));

    call(pod, &m, "up");
}

static void add_address(int pod, int index, const char *address, const char *prefix)
{
    struct ifaddrmsg info = {.ifa_family = AF_INET,
                             .ifa_prefixlen = (uint8_t)strtoul(prefix, NULL, 10),
                             .ifa_index = (uint32_t)index};
    struct request m = new (RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
    struct in_addr ip;

    if (inet_pton(AF_INET, address, &ip) != 1)
        fail(address);
    put(&m, IFA_LOCAL, &ip, sizeof(ip));
    put(&m, IFA_ADDRESS, &ip, sizeof(ip));
    call(pod, &m, "address");
}

static void del_link(int pod, int index)
{
    struct ifinfomsg info = {.ifi_index = index};
    struct request m = new (RTM_DELLINK, 0, &info, sizeof(info));

    call(pod, &m, "del");
}

/* A socket in the namespace, in which the program stays. */
static int enter(int netns)
{
    if (setns(netns, CLONE_NEWNET) < 0)
        fail("setns");
    return netlink();
}

static int open_netns(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        fail(path);
    return fd;
}

int main(int argc, char **argv)
{
    int64_t began_us, added_us;
    int netns, host, pod, index;
    FILE *out;

    if (argc != 8)
        return 2;
    began_us = now_us();
    netns = open_netns(argv[3]);
    host = netlink();
    add_link(host, netns, argv);
    pod = enter(netns);
    index = (int)if_nametoindex(argv[4]);
    add_address(pod, index, argv[6], argv[7]);
    set_up(pod, index);
    added_us = now_us() - began_us;
    began_us = now_us();
    netns = open_netns(argv[3]);
    pod = enter(netns);
    del_link(pod, index);
    began_us = now_us() - began_us;
    out = fopen(argv[1], "ae");
    if (!out ||
        fprintf(out, "link-add %lld 0 0\nlink-del %lld 0 0\n", (long long)added_us,
                (long long)began_us) < 0 ||
        fclose(out) != 0)
        fail(argv[1]);
    return 0;
}
