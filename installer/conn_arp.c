/* ARP (RFC 826, RFC 5227) by a packet socket. */
#include "conn_arp.h"

#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUESTIONS 3

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A socket for ARP on the link, and the link's own MAC. */
static int open_link(const char *name, int *out_fd, struct sockaddr_ll *out_own, struct err **e)
{
    struct sockaddr_ll on = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ARP),
                             .sll_ifindex = (int)if_nametoindex(name)};
    auto_close int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t len = sizeof(*out_own);

    if (!on.sll_ifindex)
        return err_set(e, -ENODEV, "there is no link '%s'", name);
    if (fd < 0 || bind(fd, (struct sockaddr *)&on, sizeof(on)) < 0 ||
        getsockname(fd, (struct sockaddr *)out_own, &len) < 0)
        return err_set(e, -errno, "cannot open a packet socket on '%s': %s", name, strerror(errno));
    if (out_own->sll_hatype != ARPHRD_ETHER || out_own->sll_halen != ETH_ALEN)
        return err_set(e, -ENODEV, "'%s' is no Ethernet link", name);
    *out_fd = take_fd(&fd);
    return 0;
}

static int ask(int fd, const struct sockaddr_ll *own, struct ip_addr of, struct err **e)
{
    struct sockaddr_ll to = *own;
    struct ether_arp arp = {.ea_hdr = {.ar_hrd = htons(ARPHRD_ETHER),
                                       .ar_pro = htons(ETH_P_IP),
                                       .ar_hln = ETH_ALEN,
                                       .ar_pln = 4,
                                       .ar_op = htons(ARPOP_REQUEST)}};
    uint8_t bytes[16];

    memcpy(arp.arp_sha, own->sll_addr, ETH_ALEN);
    (void)ip_bytes(of, bytes);
    memcpy(arp.arp_tpa, bytes, 4);
    to.sll_protocol = htons(ETH_P_ARP);
    memset(to.sll_addr, 0xff, ETH_ALEN);
    return sendto(fd, &arp, sizeof(arp), 0, (struct sockaddr *)&to, sizeof(to)) < 0
               ? err_set(e, -errno, "cannot send ARP: %s", strerror(errno))
               : 0;
}

/* Anything that speaks for the address counts, requests too (RFC 5227, 2.4). */
static bool speaks_for(const struct ether_arp *arp, struct ip_addr of,
                       const struct sockaddr_ll *own)
{
    uint8_t bytes[16];

    (void)ip_bytes(of, bytes);
    return arp->ea_hdr.ar_pro == htons(ETH_P_IP) && arp->ea_hdr.ar_pln == 4 &&
           !memcmp(arp->arp_spa, bytes, 4) && memcmp(arp->arp_sha, own->sll_addr, ETH_ALEN) != 0;
}

static void note(const uint8_t *mac, struct ip_mac *out, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        if (!memcmp(out[i].bytes, mac, ETH_ALEN))
            return;
    if (*count < CONN_ARP_MAX)
        memcpy(out[(*count)++].bytes, mac, ETH_ALEN);
}

int conn_arp(const char *link, struct ip_addr of, int timeout_ms, struct ip_mac out[CONN_ARP_MAX],
             size_t *out_count, struct err **e)
{
    auto_close int fd = -1;
    struct sockaddr_ll own = {.sll_ifindex = 0};
    int64_t began, next = 0;
    int r = open_link(link, &fd, &own, e), asked = 0;
    size_t count = 0;

    began = now_ms();
    while (r == 0 && now_ms() - began < timeout_ms) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        struct ether_arp arp;

        if (asked < QUESTIONS && now_ms() >= next) {
            r = ask(fd, &own, of, e);
            asked++;
            next = now_ms() + timeout_ms / (QUESTIONS + 1);
        }
        if (r == 0 && poll(&pfd, 1, 20) > 0 &&
            recv(fd, &arp, sizeof(arp), 0) == (ssize_t)sizeof(arp) && speaks_for(&arp, of, &own))
            note(arp.arp_sha, out, &count);
    }
    if (r == 0)
        *out_count = count;
    return r;
}
