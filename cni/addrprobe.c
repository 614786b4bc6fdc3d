/* Frames by hand, since no address may be on the link yet. */
#include "addrprobe.h"

#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What has come in time is still read afterwards, for this long. */
#define FLOOD_MS 1000

static const uint8_t broadcast[ETH_ALEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t all_nodes[ETH_ALEN] = {0x33, 0x33, 0, 0, 0, 1};

/* --- frames --- */

static size_t arp_frame(const struct addrprobe *p, bool is_announcement, uint8_t *out)
{
    struct ethhdr eth = {.h_proto = htons(ETH_P_ARP)};
    struct ether_arp arp = {.ea_hdr = {.ar_hrd = htons(ARPHRD_ETHER),
                                       .ar_pro = htons(ETH_P_IP),
                                       .ar_hln = ETH_ALEN,
                                       .ar_pln = 4,
                                       .ar_op = htons(ARPOP_REQUEST)}};
    uint8_t addr[16];

    (void)ip_bytes(p->addr, addr);
    memcpy(eth.h_dest, broadcast, ETH_ALEN);
    memcpy(eth.h_source, p->mac.bytes, ETH_ALEN);
    memcpy(arp.arp_sha, p->mac.bytes, ETH_ALEN);
    if (is_announcement)
        memcpy(arp.arp_spa, addr, 4);
    memcpy(arp.arp_tpa, addr, 4);
    memcpy(out, &eth, sizeof(eth));
    memcpy(out + sizeof(eth), &arp, sizeof(arp));
    return sizeof(eth) + sizeof(arp);
}

/* RFC 2460, 8.1: the pseudo header and the message. */
static uint16_t checksum(const struct ip6_hdr *ip, const void *message, size_t len)
{
    const uint8_t *parts[] = {(const uint8_t *)&ip->ip6_src, message};
    size_t sizes[] = {32, len};
    uint32_t sum = (uint32_t)len + IPPROTO_ICMPV6;

    for (size_t part = 0; part < 2; part++)
        for (size_t i = 0; i < sizes[part]; i += 2)
            sum += (uint32_t)parts[part][i] << 8 | parts[part][i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* ff02::1:ffXX:XXXX, and the Ethernet address that goes with it. */
static void solicited_node(const uint8_t addr[16], struct in6_addr *out, uint8_t mac[ETH_ALEN])
{
    *out = (struct in6_addr){.s6_addr = {0xff, 2, [11] = 1, [12] = 0xff}};
    memcpy(out->s6_addr + 13, addr + 13, 3);
    mac[0] = mac[1] = 0x33;
    memcpy(mac + 2, out->s6_addr + 12, 4);
}

static size_t solicitation(const struct addrprobe *p, uint8_t *out)
{
    struct ethhdr eth = {.h_proto = htons(ETH_P_IPV6)};
    struct nd_neighbor_solicit ns = {.nd_ns_type = ND_NEIGHBOR_SOLICIT};
    struct ip6_hdr ip = {.ip6_plen = htons(sizeof(ns)), .ip6_nxt = IPPROTO_ICMPV6};
    uint8_t addr[16];

    (void)ip_bytes(p->addr, addr);
    ip.ip6_vfc = 6 << 4;
    ip.ip6_hlim = 255;
    memcpy(&ns.nd_ns_target, addr, 16);
    solicited_node(addr, &ip.ip6_dst, eth.h_dest);
    memcpy(eth.h_source, p->mac.bytes, ETH_ALEN);
    ns.nd_ns_cksum = checksum(&ip, &ns, sizeof(ns));
    memcpy(out, &eth, sizeof(eth));
    memcpy(out + sizeof(eth), &ip, sizeof(ip));
    memcpy(out + sizeof(eth) + sizeof(ip), &ns, sizeof(ns));
    return sizeof(eth) + sizeof(ip) + sizeof(ns);
}

size_t addrprobe_question(const struct addrprobe *p, uint8_t out[ADDRPROBE_FRAME_SIZE])
{
    return p->addr.family == AF_INET ? arp_frame(p, false, out) : solicitation(p, out);
}

/* RFC 5227, 2.1.1: anybody who sends from that address, or another who asks for it like us. */
static bool is_arp_conflict(const struct addrprobe *p, const uint8_t *frame, size_t len,
                            struct ip_mac *out_other)
{
    static const uint8_t none[4];
    struct ether_arp arp;
    uint8_t addr[16];

    if (len < sizeof(struct ethhdr) + sizeof(arp))
        return false;
    memcpy(&arp, frame + sizeof(struct ethhdr), sizeof(arp));
    (void)ip_bytes(p->addr, addr);
    memcpy(out_other->bytes, arp.arp_sha, ETH_ALEN);
    if (arp.ea_hdr.ar_pro != htons(ETH_P_IP) || arp.ea_hdr.ar_pln != 4)
        return false;
    return !memcmp(arp.arp_spa, addr, 4) ||
           (!memcmp(arp.arp_spa, none, 4) && !memcmp(arp.arp_tpa, addr, 4) &&
            arp.ea_hdr.ar_op == htons(ARPOP_REQUEST));
}

/* RFC 4862, 5.4.3 and 5.4.4: an advertisement of it, or a solicitation for it from ::. Target and
 * type stand at the same place in both. */
static bool is_nd_conflict(const struct addrprobe *p, const uint8_t *frame, size_t len,
                           struct ip_mac *out_other)
{
    const uint8_t *ip = frame + sizeof(struct ethhdr), *message = ip + sizeof(struct ip6_hdr);
    struct ip6_hdr header;
    uint8_t addr[16];

    if (len < sizeof(struct ethhdr) + sizeof(header) + sizeof(struct nd_neighbor_solicit))
        return false;
    memcpy(&header, ip, sizeof(header));
    (void)ip_bytes(p->addr, addr);
    memcpy(out_other->bytes, frame + ETH_ALEN, ETH_ALEN);
    if (header.ip6_nxt != IPPROTO_ICMPV6 || header.ip6_hlim != 255 ||
        memcmp(message + 8, addr, 16) != 0)
        return false;
    return message[0] == ND_NEIGHBOR_ADVERT ||
           (message[0] == ND_NEIGHBOR_SOLICIT && IN6_IS_ADDR_UNSPECIFIED(&header.ip6_src));
}

bool addrprobe_is_conflict(const struct addrprobe *p, const uint8_t *frame, size_t len,
                           struct ip_mac *out_other)
{
    struct ip_mac other = {.bytes = {0}};
    bool is = p->addr.family == AF_INET ? is_arp_conflict(p, frame, len, &other)
                                        : is_nd_conflict(p, frame, len, &other);

    /* A switch may give us back what we sent. */
    if (!is || !memcmp(other.bytes, p->mac.bytes, ETH_ALEN))
        return false;
    *out_other = other;
    return true;
}

/* --- the wire --- */

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Answers to a solicitation from :: go to all nodes, another's solicitation to that address's
 * group; an IPv4 link hears broadcasts anyway. */
static void join(int fd, const struct addrprobe *p)
{
    struct packet_mreq all = {.mr_ifindex = p->link,
                              .mr_type = PACKET_MR_MULTICAST,
                              .mr_alen = ETH_ALEN};
    struct packet_mreq group = all;
    struct in6_addr unused;
    uint8_t addr[16], mac[ETH_ALEN];

    if (p->addr.family != AF_INET6)
        return;
    (void)ip_bytes(p->addr, addr);
    solicited_node(addr, &unused, mac);
    memcpy(all.mr_address, all_nodes, ETH_ALEN);
    memcpy(group.mr_address, mac, ETH_ALEN);
    (void)setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all));
    (void)setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof(group));
}

static int open_link(const struct addrprobe *p, int *out_fd, struct err **e)
{
    uint16_t protocol = htons(p->addr.family == AF_INET ? ETH_P_ARP : ETH_P_IPV6);
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = protocol,
                             .sll_ifindex = p->link};
    auto_close int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
        return err_set(e, -errno, "cannot open a packet socket: %s", strerror(errno));
    join(fd, p);
    *out_fd = take_fd(&fd);
    return 0;
}

static int send_frame(int fd, const uint8_t *frame, size_t len, struct err **e)
{
    ssize_t n;

    do
        n = send(fd, frame, len, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? err_set(e, -errno, "cannot send: %s", strerror(errno)) : 0;
}

static int conflict(const struct addrprobe *p, struct ip_mac other, struct err **e)
{
    char addr[IP_TEXT_SIZE], mac[IP_MAC_TEXT_SIZE];

    return err_set(e, -EADDRINUSE, "address %s is in use already, by %s", ip_format(p->addr, addr),
                   ip_mac_format(other, ':', mac));
}

/* Reads what comes until then. */
static int listen_until(int fd, const struct addrprobe *p, int64_t end_ms, struct err **e)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        uint8_t frame[ADDRPROBE_FRAME_SIZE];
        struct ip_mac other;
        int64_t left = end_ms - now_ms();
        ssize_t n = recv(fd, frame, sizeof(frame), 0);

        if (n > 0 && addrprobe_is_conflict(p, frame, (size_t)n, &other))
            return conflict(p, other, e);
        if (n >= 0 && left > -FLOOD_MS)
            continue;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_set(e, -errno, "cannot receive: %s", strerror(errno));
        if (left <= 0)
            return 0;
        if (poll(&poll_fd, 1, (int)left) < 0 && errno != EINTR)
            return err_set(e, -errno, "cannot wait: %s", strerror(errno));
    }
}

int addrprobe_run(const struct addrprobe *p, struct err **e)
{
    uint8_t frame[ADDRPROBE_FRAME_SIZE];
    size_t len = addrprobe_question(p, frame);
    auto_close int fd = -1;
    int r = open_link(p, &fd, e);

    for (unsigned i = 0; i < p->count && r == 0; i++) {
        r = send_frame(fd, frame, len, e);
        if (r == 0)
            r = listen_until(fd, p, now_ms() + p->interval_ms, e);
    }
    if (r < 0 && r != -EADDRINUSE) {
        char addr[IP_TEXT_SIZE];
        return err_wrap(e, "cannot ask whether address %s is in use", ip_format(p->addr, addr));
    }
    return r;
}

static int announce_v4(const struct addrprobe *p, struct err **e)
{
    uint8_t frame[ADDRPROBE_FRAME_SIZE];
    size_t len = arp_frame(p, true, frame);
    auto_close int fd = -1;
    int r = open_link(p, &fd, e);

    return r < 0 ? r : send_frame(fd, frame, len, e);
}

static int announce_v6(const struct addrprobe *p, struct err **e)
{
    struct {
        struct nd_neighbor_advert na;
        struct nd_opt_hdr option;
        uint8_t mac[ETH_ALEN];
    } m = {.na.nd_na_type = ND_NEIGHBOR_ADVERT,
           .na.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE,
           .option = {.nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1}};
    struct sockaddr_in6 from = {.sin6_family = AF_INET6}, to = from;
    auto_close int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
    int hops = 255;
    ssize_t n;

    (void)ip_bytes(p->addr, from.sin6_addr.s6_addr);
    m.na.nd_na_target = from.sin6_addr;
    memcpy(m.mac, p->mac.bytes, ETH_ALEN);
    to.sin6_addr = (struct in6_addr){.s6_addr = {0xff, 2, [15] = 1}};
    to.sin6_scope_id = (uint32_t)p->link;
    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0 ||
        setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &p->link, sizeof(p->link)) < 0 ||
        bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
        return err_set(e, -errno, "cannot open an ICMPv6 socket: %s", strerror(errno));
    do
        n = sendto(fd, &m, sizeof(m), 0, (const struct sockaddr *)&to, sizeof(to));
    while (n < 0 && errno == EINTR);
    return n < 0 ? err_set(e, -errno, "cannot send: %s", strerror(errno)) : 0;
}

int addrprobe_announce(const struct addrprobe *p, struct err **e)
{
    int r = p->addr.family == AF_INET ? announce_v4(p, e) : announce_v6(p, e);
    char addr[IP_TEXT_SIZE];

    return r < 0 ? err_wrap(e, "cannot announce address %s", ip_format(p->addr, addr)) : 0;
}
