/* A packet socket whose filter lets through one peer's tunnel only. */
#include "conn_sniff.h"

#include "mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Offsets in an IPv4 header. */
enum { IP_FRAGMENT = 6, IP_PROTOCOL = 9, IP_SOURCE = 12, IP_TARGET = 16 };

/* UDP, no later fragment, from or to `peer`, to port `port`. The socket sees packets from the IP
 * header on. */
static int set_filter(int fd, uint32_t peer, uint16_t port)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IP_PROTOCOL),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 10),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, IP_FRAGMENT),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 8, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, IP_SOURCE),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, peer, 2, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, IP_TARGET),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, peer, 0, 4),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 64),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

int conn_sniff_open(int link, struct ip_addr peer, uint16_t port, struct conn_sniff *out,
                    struct err **e)
{
    struct sockaddr_ll on = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = link};
    /* Without a protocol nothing comes before the filter is there. */
    auto_close int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || set_filter(fd, (uint32_t)peer.value, port) < 0 ||
        bind(fd, (struct sockaddr *)&on, sizeof(on)) < 0)
        return err_set(e, -errno, "cannot listen on the link: %s", strerror(errno));
    *out = (struct conn_sniff){.fd = take_fd(&fd), .peer = peer};
    return 0;
}

void conn_sniff_count(struct conn_sniff *s)
{
    struct sockaddr_ll from;
    socklen_t len = sizeof(from);
    uint8_t bytes[64];

    while (s->fd >= 0 &&
           recvfrom(s->fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len) >= 0) {
        if (from.sll_pkttype == PACKET_OUTGOING)
            s->n_out++;
        else
            s->n_in++;
        len = sizeof(from);
    }
}

void conn_sniff_close(struct conn_sniff *s)
{
    mem_close_fd(&s->fd);
    s->fd = -1;
}
