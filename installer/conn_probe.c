/* ICMP echo by raw sockets, TCP by connect. */
#include "conn_probe.h"

#include "mem.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 65535
#define DEFAULT_SIZE 84
#define SLICE_MS 200 /* how long a cancel may wait */

static int64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static socklen_t sockaddr_of(struct ip_addr a, uint16_t port, struct sockaddr_storage *out)
{
    uint8_t bytes[16];

    memset(out, 0, sizeof(*out));
    (void)ip_bytes(a, bytes);
    if (a.family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;

        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, bytes, 4);
        return sizeof(*in);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    memcpy(&in6->sin6_addr, bytes, 16);
    return sizeof(*in6);
}

/* --- one socket --- */

struct echo {
    int fd;
    int family;
    uint16_t id;
    uint64_t cookie; /* in each packet, so that nobody else's answer counts */
    size_t payload;  /* bytes behind the ICMP header, at least the cookie's */
    struct conn_pong pong;
    int64_t sum_us;
    int64_t sent_at[256]; /* by the low byte of the sequence number; 0: answered */
};

static void set_int(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

static void set_fragmentation(int fd, int family, bool dont)
{
    if (family == AF_INET) {
        set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, dont ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
        set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
    } else {
        set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                dont ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_DONT);
        set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, dont);
        set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    }
}

static int bind_from(int fd, struct ip_addr from, struct err **e)
{
    struct sockaddr_storage addr;
    socklen_t len;

    if (from.family == AF_UNSPEC)
        return 0;
    len = sockaddr_of(from, 0, &addr);
    return bind(fd, (struct sockaddr *)&addr, len) == 0
               ? 0
               : err_set(e, -errno, "cannot send from that address: %s", strerror(errno));
}

static int echo_open(const struct conn_ping *p, struct echo *out, struct err **e)
{
    int family = p->to.family;
    auto_close int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                               family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    struct sockaddr_storage to;
    socklen_t len = sockaddr_of(p->to, 0, &to);
    size_t headers = CONN_ICMP_HEADERS(family), size = p->size ? p->size : DEFAULT_SIZE;
    int r;

    if (fd < 0)
        return err_set(e, -errno, "cannot open a raw socket: %s", strerror(errno));
    if (p->link &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, p->link, (socklen_t)strlen(p->link)) < 0)
        return err_set(e, -errno, "cannot send by '%s': %s", p->link, strerror(errno));
    r = bind_from(fd, p->from, e);
    if (r < 0)
        return r;
    set_fragmentation(fd, family, p->dont_fragment);
    if (connect(fd, (struct sockaddr *)&to, len) < 0)
        return err_set(e, -errno, "cannot send there: %s", strerror(errno));
    memset(out, 0, sizeof(*out));
    out->family = family;
    out->payload = size > headers + sizeof(out->cookie) ? size - headers : sizeof(out->cookie);
    if (getrandom(&out->cookie, sizeof(out->cookie), 0) < 0)
        out->cookie = (uint64_t)now_us();
    out->id = (uint16_t)out->cookie;
    out->fd = take_fd(&fd);
    return 0;
}

/* RFC 1071. */
static uint16_t checksum(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    if (len % 2)
        sum += (uint32_t)bytes[len - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static void echo_send(struct echo *x, uint16_t seq)
{
    static _Thread_local uint8_t packet[PACKET_MAX];
    struct icmphdr header = {.type = x->family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST};
    size_t len = sizeof(header) + x->payload;

    len = len < sizeof(packet) ? len : sizeof(packet);
    header.un.echo.id = htons(x->id);
    header.un.echo.sequence = htons(seq);
    memset(packet, 0, len);
    memcpy(packet, &header, sizeof(header));
    memcpy(packet + sizeof(header), &x->cookie, sizeof(x->cookie));
    if (x->family == AF_INET) { /* the kernel does it for ICMPv6 */
        header.checksum = checksum(packet, len);
        memcpy(packet, &header, sizeof(header));
    }
    x->pong.sent++;
    x->sent_at[seq & 0xff] = now_us();
    /* An error that waits from the packet before is taken by the first call. */
    for (int i = 0; i < 2 && send(x->fd, packet, len, 0) < 0; i++) {
        x->pong.is_too_big |= errno == EMSGSIZE;
        x->pong.is_unreachable |= errno == EHOSTUNREACH || errno == ENETUNREACH;
    }
}

static void take_answer(struct echo *x, const uint8_t *bytes, size_t len)
{
    struct icmphdr header;
    uint64_t cookie;
    int64_t *sent_at, rtt;
    size_t skip = x->family == AF_INET && len ? (size_t)(bytes[0] & 0xf) * 4 : 0;

    if (len < skip + sizeof(header) + sizeof(cookie))
        return;
    memcpy(&header, bytes + skip, sizeof(header));
    memcpy(&cookie, bytes + skip + sizeof(header), sizeof(cookie));
    sent_at = &x->sent_at[ntohs(header.un.echo.sequence) & 0xff];
    if (header.type != (x->family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) ||
        header.un.echo.id != htons(x->id) || cookie != x->cookie || !*sent_at)
        return;
    rtt = now_us() - *sent_at;
    *sent_at = 0;
    if (!x->pong.received++ || rtt < x->pong.rtt_us[0])
        x->pong.rtt_us[0] = rtt;
    if (rtt > x->pong.rtt_us[2])
        x->pong.rtt_us[2] = rtt;
    x->sum_us += rtt;
}

/* What came back instead of an answer. */
static void take_error(struct echo *x)
{
    uint8_t control[512], bytes[256];
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};

    if (recvmsg(x->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        struct sock_extended_err error;

        if (c->cmsg_len < CMSG_LEN(sizeof(error)))
            continue;
        memcpy(&error, CMSG_DATA(c), sizeof(error));
        if (error.ee_errno == EMSGSIZE && error.ee_origin == SO_EE_ORIGIN_LOCAL)
            x->pong.is_too_big = true;
        else if (error.ee_errno == EMSGSIZE)
            x->pong.told_mtu = error.ee_info ? error.ee_info : 1;
        else if (error.ee_errno == EHOSTUNREACH || error.ee_errno == ENETUNREACH)
            x->pong.is_unreachable = true;
    }
}

/* Reads until `until_us`, or until everything sent has its answer. */
static int echo_read(struct echo *x, int64_t until_us, bool (*is_cancelled)(void), struct err **e)
{
    static _Thread_local uint8_t bytes[PACKET_MAX];

    while (x->pong.received < x->pong.sent && !x->pong.is_too_big) {
        int64_t left_ms = (until_us - now_us() + 999) / 1000;
        struct pollfd pfd = {.fd = x->fd, .events = POLLIN};
        ssize_t n;

        if (is_cancelled && is_cancelled())
            return err_set(e, -ECANCELED, "interrupted");
        if (left_ms <= 0)
            return 0;
        if (poll(&pfd, 1, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS) <= 0)
            continue;
        if (pfd.revents & POLLERR)
            take_error(x);
        n = recv(x->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0)
            take_answer(x, bytes, (size_t)n);
    }
    return 0;
}

static int wait_ms(int ms, struct echo *x, bool (*is_cancelled)(void), struct err **e)
{
    int64_t until = now_us() + (int64_t)ms * 1000;
    int r = echo_read(x, until, is_cancelled, e);

    while (r == 0 && now_us() < until) {
        int64_t left = (until - now_us() + 999) / 1000;

        if (is_cancelled && is_cancelled())
            return err_set(e, -ECANCELED, "interrupted");
        (void)poll(NULL, 0, left < SLICE_MS ? (int)left : SLICE_MS);
    }
    return r;
}

int conn_ping(const struct conn_ping *p, bool (*is_cancelled)(void), struct conn_pong *out,
              struct err **e)
{
    struct echo x = {.fd = -1};
    int r = echo_open(p, &x, e);

    for (unsigned i = 0; r == 0 && i < p->count; i++) {
        bool is_last = i + 1 == p->count;

        echo_send(&x, (uint16_t)i);
        r = is_last ? echo_read(&x, now_us() + (int64_t)p->timeout_ms * 1000, is_cancelled, e)
                    : wait_ms(p->interval_ms, &x, is_cancelled, e);
    }
    mem_close_fd(&x.fd);
    if (r < 0)
        return r;
    if (x.pong.received)
        x.pong.rtt_us[1] = x.sum_us / x.pong.received;
    *out = x.pong;
    return 0;
}

int conn_find_mtu(struct conn_ping p, size_t low, size_t high, bool (*is_cancelled)(void),
                  size_t *out_mtu, struct err **e)
{
    p.dont_fragment = true;
    while (low + 1 < high) {
        struct conn_pong pong;
        int r;

        p.size = low + (high - low) / 2;
        r = conn_ping(&p, is_cancelled, &pong, e);
        if (r < 0)
            return r;
        if (pong.received)
            low = p.size;
        else if (pong.told_mtu > low && pong.told_mtu < p.size)
            high = pong.told_mtu + 1;
        else
            high = p.size;
    }
    *out_mtu = low;
    return 0;
}

enum conn_tcp conn_tcp(struct ip_addr from, struct ip_addr to, uint16_t port, int timeout_ms)
{
    auto_close int fd = socket(to.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_storage addr;
    socklen_t len = sockaddr_of(to, port, &addr);
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof(error);

    if (fd < 0 || bind_from(fd, from, NULL) < 0)
        return CONN_TCP_UNREACHABLE;
    if (connect(fd, (struct sockaddr *)&addr, len) == 0)
        return CONN_TCP_OPEN;
    if (errno == EINPROGRESS) {
        if (poll(&pfd, 1, timeout_ms) <= 0)
            return CONN_TCP_SILENT;
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    } else {
        error = errno;
    }
    if (!error)
        return CONN_TCP_OPEN;
    return error == ECONNREFUSED ? CONN_TCP_REFUSED
           : error == ETIMEDOUT  ? CONN_TCP_SILENT
                                 : CONN_TCP_UNREACHABLE;
}
