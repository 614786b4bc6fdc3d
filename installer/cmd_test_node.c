/* flatnet test node: this host's NICs and VLAN devices, and flannel's data path from it to every
 * other. */
#include "cluster.h"
#include "conn_vlan.h"
#include "flannel_path.h"
#include "flannel_probe.h"
#include "host.h"
#include "interrupt.h"
#include "json.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define NODES "/api/v1/nodes"
#define SUBNETS "/apis/macvlan.cluster.cattle.io/v1/macvlansubnets"
#define NIC_ITEMS "filters,master,mtu,promisc,hypervisor"

static struct cluster_options where;
static struct cli_list masters, peers;
static const char *node_name, *junit, *tunnel = "flannel.1";
static int count = 3, timeout_s = 1, tcp_port = 10250;

static const struct conn_check checks[] = {
    {"api", "the cluster is asked for its nodes and subnets"},
    {"nic", "NICs for pods: usable, promiscuous, MTU"},
    {"vlan", "VLAN devices are what the subnets say"},
    {"flannel", "flannel's own link"},
    {"fdb", "route, neighbour and forwarding entry of each remote host agree"},
    {"vxlan", "UDP 8472 goes there and comes back"},
    {"tcp", "TCP passes the tunnel (checksum offload)"},
    {"mtu", "packets of full size pass"},
    {0},
};
static struct conn_choice choice = {.checks = checks};

static const struct cli_option table[] = {
    CLUSTER_OPTIONS(where),
    {"master", 'm', CLI_LIST, "IF", &masters,
     "a NIC for pods (several times; default: those of the subnets, else that of the default "
     "route)"},
    {"peer", 'p', CLI_LIST, "ADDR", &peers,
     "an address of another node, where the cluster cannot be asked (several times)"},
    {"node", 0, CLI_STRING, "NAME", &node_name, "the node that this host is"},
    {"tunnel", 0, CLI_STRING, "IF", &tunnel, "flannel's link (flannel.1)"},
    {"count", 0, CLI_INT, "N", &count, "echo requests to each host (3)"},
    {"timeout", 0, CLI_INT, "S", &timeout_s, "seconds to wait for an answer (1)"},
    {"tcp-port", 0, CLI_INT, "PORT", &tcp_port,
     "a TCP port that nodes have on all addresses (10250, kubelet's)"},
    {"only", 0, CLI_LIST, "NAME[,NAME]", &choice.only, "these checks and no others"},
    {"skip", 0, CLI_LIST, "NAME[,NAME]", &choice.skip, "all checks but these"},
    {"junit", 0, CLI_STRING, "FILE", &junit, "write the results as JUnit XML, too"},
    {0},
};

static const struct cli_verb verb = {
    .path = "test node",
    .args = "[--peer ADDR]... [options]",
    .summary = "test this host's NICs, VLANs and flannel's links to all others",
    .text = "Run it on a host, as root. It needs no image, and nothing on the other hosts: their\n"
            "kernels answer. Without a kubeconfig it sees what this host knows by itself.\n\n"
            "Checks: api, nic, vlan, flannel, fdb, vxlan, tcp, mtu.\n\n"
            "Exit status: 0 nothing fails, 3 something does.",
    .options = table,
};

struct node_test {
    struct conn_report *report;
    bool has_cluster;
    struct flannel_nodes nodes;
    struct conn_subnets subnets;
    const struct flannel_node *self; /* NULL: not known */
    struct net_state net;
    char **masters; /* borrowed names, those that the checks are about */
    size_t n_masters;
    struct ip_addr *peers;
};

/* --- the cluster --- */

static int list_all(struct cluster *c, cJSON **out_nodes, cJSON **out_subnets, struct err **e)
{
    int r = kube_list(c->kube, NODES, out_nodes, e);

    if (r == 0)
        r = kube_list(c->kube, SUBNETS, out_subnets, e);
    /* No such kind: flatnet is not there yet. */
    return r == -ENOENT && *out_nodes ? 0 : r;
}

/* What cannot be asked is a result, not an end: the API server may be what is broken. */
static int ask_cluster(struct node_test *t, struct err **e)
{
    auto_cluster struct cluster c = {.kube = NULL};
    auto_json cJSON *nodes = NULL, *subnets = NULL;
    auto_err struct err *why = NULL;
    int r = cluster_open(&where, &c, &why);

    if (r == 0)
        r = list_all(&c, &nodes, &subnets, &why);
    if (r == -EINVAL || r == -ECANCELED || (r == -ENOENT && (where.kubeconfig || where.context)))
        return err_set(e, r, "%s", err_text(why));
    if (r == -ENOENT) {
        conn_say(t->report, CONN_SKIP, "api", "cluster",
                 "no kubeconfig: this host is looked at by itself");
        return 0;
    }
    if (r < 0) {
        conn_say(t->report, CONN_FAIL, "api", "cluster", "%s", err_text(why));
        conn_cause(t->report, "the API server is down, or this host does not reach it");
        return 0;
    }
    t->has_cluster = true;
    flannel_nodes_read(nodes, &t->nodes);
    conn_subnets_read(subnets, &t->subnets);
    conn_say(t->report, CONN_PASS, "api", "cluster", "%zu node%s, %zu subnet%s", t->nodes.count,
             t->nodes.count == 1 ? "" : "s", t->subnets.count, t->subnets.count == 1 ? "" : "s");
    return 0;
}

static bool is_own_address(const struct node_test *t, struct ip_addr a)
{
    for (size_t i = 0; a.family && i < t->net.n_addrs; i++)
        if (t->net.addrs[i].family == a.family &&
            ip_compare(ip_from_bytes(a.family, t->net.addrs[i].bytes), a) == 0)
            return true;
    return false;
}

static bool has_address_in(const struct node_test *t, struct ip_net net)
{
    for (size_t i = 0; i < t->net.n_addrs; i++)
        if (ip_net_contains(net, ip_from_bytes(t->net.addrs[i].family, t->net.addrs[i].bytes)))
            return true;
    return false;
}

/* How much speaks for it. What flannel tells is the least: where it has taken the wrong NIC, as one
 * behind NAT, that may be the address of each host. */
static unsigned likeness(const struct node_test *t, const struct flannel_node *n, const char *own)
{
    if (node_name)
        return !strcmp(n->name, node_name);
    return 8U * is_own_address(t, n->internal_ip) +
           4U * (n->has_pods && has_address_in(t, n->pods)) + 2U * !strcmp(n->name, own) +
           is_own_address(t, n->public_ip);
}

/* By name, else by addresses of this host and its own name. */
static int find_self(struct node_test *t, struct err **e)
{
    struct utsname u = {.nodename = ""};
    unsigned best = 0;

    (void)uname(&u);
    for (size_t i = 0; i < t->nodes.count; i++) {
        unsigned n = likeness(t, &t->nodes.items[i], u.nodename);

        if (n > best) {
            best = n;
            t->self = &t->nodes.items[i];
        }
    }
    if (node_name && t->has_cluster && !t->self)
        return err_set(e, -EINVAL, "the cluster has no node '%s' ('--node')", node_name);
    if (t->has_cluster && !t->self)
        conn_say(t->report, CONN_WARN, "api", "cluster",
                 "no node has an address of this host or its name '%s'; say which it is with "
                 "--node",
                 u.nodename);
    return 0;
}

/* --- NICs and VLANs --- */

static void add_master(struct node_test *t, const char *name)
{
    for (size_t i = 0; i < t->n_masters; i++)
        if (!strcmp(t->masters[i], name))
            return;
    array_grow(t->masters, t->n_masters);
    t->masters[t->n_masters++] = (char *)(uintptr_t)name;
}

static void find_masters(struct node_test *t)
{
    for (size_t i = 0; i < masters.count; i++)
        add_master(t, masters.items[i]);
    for (size_t i = 0; !masters.count && i < t->subnets.count; i++)
        if (net_link_named(&t->net, t->subnets.items[i].master))
            add_master(t, t->subnets.items[i].master);
}

static int test_nics(struct node_test *t, struct err **e)
{
    static const enum conn_level levels[] = {CONN_PASS, CONN_WARN, CONN_FAIL};
    const char *items[] = {NIC_ITEMS};
    struct host_options options = {.root = "",
                                   .pod_cidr = "10.42.0.0/16",
                                   .service_cidr = "10.43.0.0/16",
                                   .only = {.items = items, .count = 1},
                                   .masters = {.items = (const char **)t->masters,
                                               .count = t->n_masters}};
    struct host_report report = {.results = NULL};
    struct host h;
    int r = host_open(&options, &h, e);

    if (r < 0)
        return r;
    for (size_t i = 0; !t->n_masters && i < h.n_masters; i++) {
        const struct net_link *link = net_link_named(&t->net, h.masters[i]);

        if (link)
            add_master(t, link->name);
    }
    r = host_check(&h, &report, e);
    for (size_t i = 0; r == 0 && i < report.count; i++) {
        const struct host_result *result = &report.results[i];

        conn_say(t->report, levels[result->verdict.level], "nic", result->item->name, "%s",
                 result->verdict.seen.data);
        if (result->verdict.mend.len)
            conn_cause(t->report, "%s", result->verdict.mend.data);
    }
    host_report_release(&report);
    host_close(&h);
    return r;
}

static int test_vlans(struct node_test *t, struct err **e)
{
    auto_nlsock struct nl_sock *s = NULL;
    auto_free struct nllink *links = NULL;
    size_t n = 0;
    int r = nlreq_open(&s, e);

    if (r == 0)
        r = nllink_list(s, &links, &n, e);
    if (r == 0)
        conn_judge_vlans(links, n, t->has_cluster ? &t->subnets : NULL, t->masters, t->n_masters,
                         t->report);
    return r;
}

/* --- flannel --- */

/* The driver's name, as "vmxnet3"; "" for virtual links. To be freed. */
static char *driver_of(const struct node_test *t, int index)
{
    const struct net_link *link = net_link_indexed(&t->net, index);
    auto_free char *path = xasprintf("/sys/class/net/%s/device/driver", link ? link->name : "-");
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof(target) - 1);

    if (len <= 0)
        return xstrdup("");
    target[len] = '\0';
    return xstrdup(basename(target));
}

static int test_remotes(struct node_test *t, const struct flannel_view *v, struct err **e)
{
    auto_free char *driver = driver_of(t, v->vxlan.lower);
    struct flannel_probe probe = {.view = v,
                                  .choice = &choice,
                                  .count = (unsigned)count,
                                  .timeout_ms = timeout_s * 1000,
                                  .tcp_port = (unsigned)tcp_port,
                                  .nic_driver = driver,
                                  .is_cancelled = interrupt_seen};
    struct flannel_remotes remotes = {.count = 0};
    int r = 0;

    flannel_probe_offload(&probe, t->report);
    flannel_remotes_find(v, t->has_cluster ? &t->nodes : NULL, t->self, &remotes);
    for (size_t i = 0; r == 0 && i < remotes.count; i++)
        if (flannel_judge_remote(v, &remotes.items[i], t->peers, peers.count, t->report))
            r = flannel_probe_remote(&probe, &remotes.items[i], t->report, e);
    if (r == 0)
        flannel_judge_strays(v, &remotes, t->report);
    flannel_remotes_release(&remotes);
    return r;
}

static bool expects_flannel(const struct node_test *t)
{
    return (t->self && t->self->backend && !strcmp(t->self->backend, "vxlan")) || peers.count;
}

static int test_flannel(struct node_test *t, struct err **e)
{
    struct flannel_view v = {.net = NULL};
    auto_err struct err *why = NULL;
    int r = flannel_view_read(tunnel, &t->net, &v, &why);

    if (r == -ENODEV && !expects_flannel(t)) {
        conn_say(t->report, CONN_SKIP, "flannel", tunnel,
                 "there is no such link, and nothing says that there should be");
        return 0;
    }
    if (r < 0) {
        conn_say(t->report, CONN_FAIL, "flannel", tunnel, "%s", err_text(why));
        conn_cause(t->report, "flannel does not run on this host: look at its pod ('kubectl -n "
                              "kube-system get pods -o wide') and at its log");
        return r == -ENODEV || r == -EMEDIUMTYPE ? 0 : err_set(e, r, "%s", err_text(why));
    }
    flannel_judge_link(&v, t->self, t->report);
    r = test_remotes(t, &v, e);
    flannel_view_release(&v);
    return r;
}

/* --- the run --- */

static int read_peers(struct node_test *t, struct err **e)
{
    t->peers = xcalloc(peers.count + 1, sizeof(*t->peers));
    for (size_t i = 0; i < peers.count; i++)
        if (ip_parse(peers.items[i], &t->peers[i]) < 0 || t->peers[i].family != AF_INET)
            return err_set(e, -EINVAL, "'--peer' takes an IPv4 address, not '%s'", peers.items[i]);
    return 0;
}

static int check_numbers(struct err **e)
{
    if (count < 1 || count > 100)
        return err_set(e, -EINVAL, "'--count' takes 1 to 100, not %d", count);
    if (timeout_s < 1 || timeout_s > 60)
        return err_set(e, -EINVAL, "'--timeout' takes 1 to 60 seconds, not %d", timeout_s);
    if (tcp_port < 1 || tcp_port > UINT16_MAX)
        return err_set(e, -EINVAL, "'--tcp-port' takes 1 to 65535, not %d", tcp_port);
    return 0;
}

static bool wants_any(const char *const *names)
{
    for (; *names; names++)
        if (conn_wants(&choice, *names))
            return true;
    return false;
}

static int run_checks(struct node_test *t, struct err **e)
{
    static const char *const of_flannel[] = {"flannel", "fdb", "vxlan", "tcp", "mtu", NULL};
    int r = net_state_read(&t->net, e);

    if (r == 0)
        r = ask_cluster(t, e);
    if (r == 0)
        r = find_self(t, e);
    if (r < 0)
        return r;
    find_masters(t);
    if (conn_wants(&choice, "nic"))
        r = test_nics(t, e);
    if (r == 0 && conn_wants(&choice, "vlan"))
        r = test_vlans(t, e);
    if (r == 0 && wants_any(of_flannel))
        r = test_flannel(t, e);
    return r;
}

static void print_json(const struct node_test *t)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "node", t->self ? t->self->name : NULL);
    conn_add_json(root, t->report);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static int run(struct err **e)
{
    auto_conn_report struct conn_report report = {.choice = &choice};
    struct node_test t = {.report = &report};
    int r = conn_choice_check(&choice, e);

    interrupt_init();
    if (r == 0)
        r = check_numbers(e);
    if (r == 0)
        r = read_peers(&t, e);
    if (r == 0)
        r = run_checks(&t, e);
    if (r == 0 && cli_common.json)
        print_json(&t);
    else if (r == 0)
        conn_print(&report);
    if (r == 0 && junit)
        r = conn_write_junit(&report, "flatnet test node", junit, e);
    free(t.masters);
    free(t.peers);
    net_state_release(&t.net);
    flannel_nodes_release(&t.nodes);
    conn_subnets_release(&t.subnets);
    return r < 0 ? r : conn_exit_status(&report);
}

int cmd_test_node(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int n, r = cli_parse(&verb, argc, argv, &args, &n, &e);

    if (r == 1)
        return EXIT_OK;
    if (r == 0)
        r = run(&e);
    cli_list_release(&masters);
    cli_list_release(&peers);
    cli_list_release(&choice.only);
    cli_list_release(&choice.skip);
    return r < 0 ? cli_fail(&verb, e) : r;
}
