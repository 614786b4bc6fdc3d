/* Echo requests, TCP and large packets through flannel's tunnel. */
#include "flannel_probe.h"

#include "conn_probe.h"
#include "conn_sniff.h"
#include "mem.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define INTERVAL_MS 200
#define SMALL_PACKET 84
/* Anything smaller than this is no network that IPv4 works on (RFC 791). */
#define MTU_LEAST 576

struct probe {
    const struct flannel_probe *p;
    const struct flannel_remote *remote;
    struct conn_report *r;
};

static bool is_wanted(const struct probe *x, const char *check)
{
    return conn_wants(x->p->choice, check);
}

/* --- UDP 8472 --- */

static void cause_elsewhere(const struct probe *x)
{
    if (x->remote->node)
        flannel_cause_elsewhere(x->remote->node, x->p->view->vxlan.local, x->r);
}

static void nothing_left(const struct probe *x)
{
    conn_say(x->r, CONN_FAIL, "vxlan", x->remote->name, "no packet of the tunnel leaves this host");
    cause_elsewhere(x);
    conn_cause(x->r, "a firewall of this host stops UDP %u: iptables -S OUTPUT; nft list ruleset",
               x->p->view->vxlan.port);
}

static void nothing_came(const struct probe *x, unsigned n_out, const char *host)
{
    conn_say(x->r, CONN_FAIL, "vxlan", x->remote->name,
             "%u packets left for UDP %u of %s, none came back", n_out, x->p->view->vxlan.port,
             host);
    cause_elsewhere(x);
    conn_cause(x->r,
               "a firewall there or between drops UDP %u (security group, firewalld, ACL of "
               "a switch): let it through both ways",
               x->p->view->vxlan.port);
    conn_cause(x->r, "flannel there does not know this host: run 'flatnet test node' there");
    if (!strcmp(x->p->nic_driver, "vmxnet3"))
        conn_cause(x->r, "VMware's NSX takes UDP 8472 for itself: give flannel another port "
                         "(Backend.Port of net-conf.json)");
}

static void nothing_taken(const struct probe *x, unsigned n_in, const char *host)
{
    conn_say(x->r, CONN_FAIL, "vxlan", x->remote->name,
             "%u packets of %s came to UDP %u, and the tunnel gave none of them on", n_in, host,
             x->p->view->vxlan.port);
    conn_cause(x->r, "a firewall of this host stops them: iptables -S INPUT; nft list ruleset");
    conn_cause(x->r, "the host there sends to another MAC than flannel.1 has here: see check "
                     "'flannel', and run 'flatnet test node' there");
    conn_cause(x->r, "rp_filter drops them: sysctl net.ipv4.conf.all.rp_filter should be 0 or 2");
}

static int probe_vxlan(struct probe *x, struct conn_pong *pong, struct err **e)
{
    const struct flannel_view *v = x->p->view;
    struct conn_ping ping = {.to = x->remote->gateway,
                             .from = v->vtep,
                             .link = v->link.name,
                             .count = x->p->count,
                             .interval_ms = INTERVAL_MS,
                             .timeout_ms = x->p->timeout_ms};
    auto_sniff struct conn_sniff sniff = CONN_SNIFF_NONE;
    char host[IP_TEXT_SIZE], vtep[IP_TEXT_SIZE];
    int r = conn_sniff_open(v->vxlan.lower, x->remote->host, (uint16_t)v->vxlan.port, &sniff, e);

    if (r == 0)
        r = conn_ping(&ping, x->p->is_cancelled, pong, e);
    if (r < 0)
        return r;
    conn_sniff_count(&sniff);
    (void)ip_format(x->remote->host, host);
    if (pong->received)
        conn_say(x->r, pong->received < pong->sent ? CONN_WARN : CONN_PASS, "vxlan",
                 x->remote->name, "%s answers %u of %u, %.1f ms", ip_format(ping.to, vtep),
                 pong->received, pong->sent, (double)pong->rtt_us[1] / 1000);
    else if (!sniff.n_out)
        nothing_left(x);
    else if (!sniff.n_in)
        nothing_came(x, sniff.n_out, host);
    else
        nothing_taken(x, sniff.n_in, host);
    return 0;
}

/* --- TCP --- */

static bool goes(enum conn_tcp outcome)
{
    return outcome == CONN_TCP_OPEN || outcome == CONN_TCP_REFUSED;
}

/* ICMP has its checksum from us, TCP has it from whoever the kernel leaves it to. */
static void probe_tcp(struct probe *x)
{
    struct ip_addr any = {.family = AF_UNSPEC};
    uint16_t port = (uint16_t)x->p->tcp_port;
    enum conn_tcp inside = conn_tcp(x->p->view->vtep, x->remote->gateway, port, x->p->timeout_ms);
    enum conn_tcp outside;

    if (goes(inside)) {
        conn_say(x->r, CONN_PASS, "tcp", x->remote->name, "port %u %s through the tunnel", port,
                 inside == CONN_TCP_OPEN ? "answers" : "refuses");
        return;
    }
    outside = conn_tcp(any, x->remote->host, port, x->p->timeout_ms);
    if (!goes(outside)) {
        conn_say(x->r, CONN_SKIP, "tcp", x->remote->name,
                 "port %u answers neither through the tunnel nor without it", port);
        return;
    }
    conn_say(x->r, CONN_FAIL, "tcp", x->remote->name,
             "port %u answers without the tunnel, and through it is silent, though pings pass",
             port);
    conn_cause(x->r,
               "checksums that the NIC (%s) gets wrong inside of VXLAN: ethtool -K %s tx off, "
               "here and there",
               *x->p->nic_driver ? x->p->nic_driver : "driver not known", x->p->view->link.name);
    conn_cause(x->r, "a firewall there lets the pods' network reach fewer ports than the hosts'");
}

/* ETHTOOL_GTXCSUM: does this link leave checksums to others? */
static bool leaves_checksums(const char *name)
{
    struct ethtool_value value = {.cmd = ETHTOOL_GTXCSUM};
    auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_data = (void *)&value};

    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    return fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0 && value.data;
}

void flannel_probe_offload(const struct flannel_probe *p, struct conn_report *r)
{
    const char *name = p->view->link.name;

    if (!conn_wants(p->choice, "tcp") || strcmp(p->nic_driver, "vmxnet3") != 0)
        return;
    if (!leaves_checksums(name)) {
        conn_say(r, CONN_PASS, "tcp", name, "it makes its own checksums, on a NIC of vmxnet3");
        return;
    }
    conn_say(r, CONN_WARN, "tcp", name,
             "it leaves its checksums to a NIC of vmxnet3, some of which "
             "get them wrong");
    conn_cause(r, "if TCP between pods hangs while pings pass: ethtool -K %s tx off", name);
}

/* --- MTU --- */

/* Whether packets of `mtu` bytes pass whole; where they do not, which do. */
static int probe_size(struct probe *x, struct conn_ping ping, const char *what, unsigned mtu,
                      struct err **e)
{
    struct conn_pong pong;
    size_t found;
    int r;

    ping.count = 2;
    ping.interval_ms = INTERVAL_MS;
    ping.timeout_ms = x->p->timeout_ms;
    ping.dont_fragment = true;
    ping.size = mtu;
    r = conn_ping(&ping, x->p->is_cancelled, &pong, e);
    if (r < 0)
        return r;
    if (pong.received) {
        conn_say(x->r, CONN_PASS, "mtu", x->remote->name, "%u bytes pass %s", mtu, what);
        return 0;
    }
    ping.count = 1;
    ping.size = SMALL_PACKET;
    r = conn_ping(&ping, x->p->is_cancelled, &pong, e);
    if (r < 0)
        return r;
    if (!pong.received) {
        conn_say(x->r, CONN_SKIP, "mtu", x->remote->name, "pings %s have no answer", what);
        return 0;
    }
    r = conn_find_mtu(ping, MTU_LEAST, mtu, x->p->is_cancelled, &found, e);
    if (r < 0)
        return r;
    conn_say(x->r, CONN_FAIL, "mtu", x->remote->name, "packets %s pass up to %zu bytes, not %u",
             what, found, mtu);
    conn_cause(x->r,
               "a switch or router between has a smaller MTU: raise it, or set %zu on the "
               "NICs of all hosts and start flannel anew",
               found);
    conn_cause(x->r,
               "an encapsulation between (VPN, NSX, another VXLAN) takes %zu bytes of each "
               "packet",
               mtu - found);
    return 0;
}

static int probe_mtu(struct probe *x, struct err **e)
{
    const struct flannel_view *v = x->p->view;
    const struct net_link *lower = net_link_indexed(v->net, v->vxlan.lower);
    struct conn_ping outside = {.to = x->remote->host};
    struct conn_ping inside = {.to = x->remote->gateway, .from = v->vtep, .link = v->link.name};
    int r = 0;

    if (lower)
        r = probe_size(x, outside, "between the hosts", (unsigned)lower->mtu, e);
    return r < 0 ? r : probe_size(x, inside, "through the tunnel", v->link.mtu, e);
}

int flannel_probe_remote(const struct flannel_probe *p, const struct flannel_remote *remote,
                         struct conn_report *r, struct err **e)
{
    struct probe x = {.p = p, .remote = remote, .r = r};
    struct conn_pong pong = {.received = 0};
    int status;

    if (remote->is_direct)
        return 0;
    status = probe_vxlan(&x, &pong, e);
    if (status == 0 && pong.received && is_wanted(&x, "tcp"))
        probe_tcp(&x);
    if (status == 0 && pong.received && is_wanted(&x, "mtu"))
        status = probe_mtu(&x, e);
    return status;
}
