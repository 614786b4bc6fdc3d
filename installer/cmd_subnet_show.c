/* flatnet subnet show. */
#include "cli.h"

#include "cmd_subnet.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "netview.h"
#include "num.h"
#include "subnet_usage.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 50 /* rows and free ranges; all with --all */

static struct {
    struct cluster_options cluster;
    bool free, all;
} options;

static const struct cli_option option_table[] = {
    {"free", 0, CLI_FLAG, NULL, &options.free, "show the free ranges, too"},
    {"all", 0, CLI_FLAG, NULL, &options.all, "every address, however many there are"},
    CLUSTER_OPTIONS(options.cluster),
    {0},
};

static const struct cli_verb verb = {
    .path = "subnet show",
    .args = "NAME [--free] [--all]",
    .summary = "Shows a subnet, and who has which of its addresses.",
    .options = option_table,
    .min_args = 1,
    .max_args = 1,
};

/* "A" or "A-B". */
static char *range_text(struct ip_addr first, struct ip_addr last)
{
    char from[IP_TEXT_SIZE], to[IP_TEXT_SIZE];

    (void)ip_format(first, from);
    if (!first.family)
        return xstrdup("unreadable");
    return ip_compare(first, last) ? xasprintf("%s-%s", from, ip_format(last, to)) : xstrdup(from);
}

static char *number_range_text(const struct subnet *s, struct ip_range r)
{
    int family = s->cidr.addr.family;

    return range_text((struct ip_addr){family, r.first}, (struct ip_addr){family, r.last});
}

/* --- as text --- */

static void print_field(const char *name, const char *value)
{
    (void)printf("%-18s %s\n", name, value);
}

static void print_routes(const struct subnet *s)
{
    for (size_t i = 0; i < s->n_routes; i++) {
        const struct subnet_route *r = &s->routes[i];
        char dst[IP_NET_TEXT_SIZE], gw[IP_TEXT_SIZE];
        auto_free char *text =
            xasprintf("%s%s%s dev %s", ip_net_format(r->dst, dst), r->gw.family ? " via " : "",
                      ip_format(r->gw, gw), *r->iface ? r->iface : "eth1");

        print_field("route:", text);
    }
}

static void print_network(const struct subnet *s)
{
    auto_free char *vlan = xasprintf("%u", s->vlan), *mtu = xasprintf("%u", s->mtu);
    char net[IP_NET_TEXT_SIZE], gateway[IP_TEXT_SIZE];

    print_field("master:", s->master);
    print_field("VLAN:", s->vlan ? vlan : "none");
    print_field("network:", ip_net_format(s->cidr, net));
    print_field("gateway:", s->gateway.family ? ip_format(s->gateway, gateway) : "none");
    print_field("mode:", s->mode);
    if (s->mtu)
        print_field("MTU:", mtu);
    for (size_t i = 0; i < s->n_ranges; i++) {
        auto_free char *text = number_range_text(s, s->ranges[i]);

        print_field("range:", text);
    }
    print_routes(s);
}

static void print_rules(const struct subnet *s)
{
    auto_free char *delay = xasprintf("%" PRId64 " s", s->delay_reuse_ms / 1000);
    char services[IP_NET_TEXT_SIZE];
    auto_free char *by =
        xasprintf("by the gateway%s%s%s", s->service_cidr.addr.family ? ", but " : "",
                  s->service_cidr.addr.family ? ip_net_format(s->service_cidr, services) : "",
                  s->service_cidr.addr.family ? " by eth0" : "");

    if (s->has_default_route)
        print_field("default route:", by);
    if (s->delay_reuse_ms)
        print_field("delay of reuse:", delay);
    print_field("project:", !s->project ? "none" : *s->project ? s->project : "all");
    if (s->is_ipv6to4)
        print_field("6to4:", "yes");
}

static void print_head(const struct usage *u, const cJSON *object)
{
    const struct subnet *s = u->subnet;
    const char *message = json_get_str(json_get_obj(object, "status"), "message");

    print_field("name:", s->name);
    print_field("phase:", subnet_phase(object, s));
    for (size_t i = 0; i < s->n_findings; i++)
        print_field(s->findings[i].is_error ? "error:" : "warning:", s->findings[i].text);
    if (message && *message && !s->n_findings)
        print_field("message:", message);
    if (!s->is_valid)
        return;
    print_network(s);
    print_rules(s);
    (void)printf("%-18s %" PRIu64 " in all, %" PRIu64 " used, %" PRIu64 " free, %" PRIu64
                 " reserved\n",
                 "addresses:", u->counts.total, u->counts.used, u->counts.free, u->counts.reserved);
}

static void print_row(struct table *t, const struct usage_row *row)
{
    auto_free char *address = range_text(row->first, row->last);
    auto_free char *pod = *row->pod ? xasprintf("%s/%s", row->namespace, row->pod)
                                    : xasprintf("%s/-", row->namespace);
    auto_free char *state =
        row->state == USAGE_COOLING && *row->until
            ? xasprintf("cooling until %s", row->until)
            : xasprintf("%s%s", usage_state_name(row->state), row->is_outside ? ", outside" : "");
    const char *type = row->is_auto ? "auto" : "fixed";
    const char *cells[] = {address,
                           *row->mac ? row->mac : NULL,
                           pod,
                           row->workload && *row->workload ? row->workload : NULL,
                           *row->node ? row->node : NULL,
                           *row->since ? row->since : NULL,
                           row->state == USAGE_PROMISED ? NULL : type,
                           state};

    table_row(t, cells);
}

static void print_rows(const struct usage *u)
{
    static const char *const heading[] = {"ADDRESS", "MAC",  "POD",   "WORKLOAD", "NODE",
                                          "SINCE",   "TYPE", "STATE", NULL};
    size_t n = options.all || u->n_rows <= SHOWN ? u->n_rows : SHOWN;
    struct table t;

    table_init(&t, heading);
    for (size_t i = 0; i < n; i++)
        print_row(&t, &u->rows[i]);
    if (n) {
        (void)printf("\n");
        table_print(&t);
    }
    if (n < u->n_rows)
        (void)printf("and %zu more; --all shows them\n", u->n_rows - n);
    table_release(&t);
}

static void print_free(const struct usage *u)
{
    size_t n = options.all || u->n_free <= SHOWN ? u->n_free : SHOWN;

    (void)printf("\nFREE\n");
    for (size_t i = 0; i < n; i++) {
        auto_free char *text = number_range_text(u->subnet, u->free[i]);

        (void)printf("%s\n", text);
    }
    if (n < u->n_free)
        (void)printf("and %zu more ranges; --all shows them\n", u->n_free - n);
    if (u->subnet->has_legacy_octets)
        (void)printf("without addresses that end in .0 or .255\n");
}

/* --- as JSON --- */

static void add_unless_empty(cJSON *item, const char *name, const char *text)
{
    if (text && *text)
        json_add_str(item, name, text);
}

static cJSON *row_json(const struct usage_row *row)
{
    cJSON *item = cJSON_CreateObject();
    char text[IP_TEXT_SIZE];

    json_add_str(item, "state", usage_state_name(row->state));
    add_unless_empty(item, "ip", ip_format(row->first, text));
    if (ip_compare(row->first, row->last))
        json_add_str(item, "last", ip_format(row->last, text));
    add_unless_empty(item, "mac", row->mac);
    add_unless_empty(item, "namespace", row->namespace);
    add_unless_empty(item, "pod", row->pod);
    add_unless_empty(item, "workload", row->workload);
    add_unless_empty(item, "node", row->node);
    add_unless_empty(item, "since", row->since);
    add_unless_empty(item, "until", row->until);
    if (row->state != USAGE_PROMISED)
        json_add_str(item, "type", row->is_auto ? "auto" : "fixed");
    (void)cJSON_AddBoolToObject(item, "outside", row->is_outside);
    return item;
}

static void add_findings(cJSON *root, const struct subnet *s)
{
    cJSON *list = cJSON_AddArrayToObject(root, "findings");

    for (size_t i = 0; i < s->n_findings; i++) {
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "level", s->findings[i].is_error ? "error" : "warning");
        json_add_str(item, "text", s->findings[i].text);
        (void)cJSON_AddItemToArray(list, item);
    }
}

static void print_json(const struct usage *u, const cJSON *object)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *list;

    json_add_int(root, "schemaVersion", SUBNET_SCHEMA);
    json_add_str(root, "name", u->subnet->name);
    json_add_str(root, "phase", subnet_phase(object, u->subnet));
    json_copy(root, object, "spec");
    json_add_str(root, "project", u->subnet->project);
    subnet_add_counts(root, &u->counts);
    add_findings(root, u->subnet);
    list = cJSON_AddArrayToObject(root, "holders");
    for (size_t i = 0; i < u->n_rows; i++)
        (void)cJSON_AddItemToArray(list, row_json(&u->rows[i]));
    list = cJSON_AddArrayToObject(root, "free");
    for (size_t i = 0; i < u->n_free; i++) {
        auto_free char *text = number_range_text(u->subnet, u->free[i]);

        (void)cJSON_AddItemToArray(list, cJSON_CreateString(text));
    }
    subnet_print_json(root);
}

/* --- the verb --- */

static int show(const char *name, struct err **e)
{
    const unsigned parts =
        NETVIEW_SUBNETS | NETVIEW_IPS | NETVIEW_PODS | NETVIEW_WORKLOADS | NETVIEW_CONTROLLER;
    auto_cluster struct cluster c = {.kube = NULL};
    auto_netview struct netview v = {.subnets = NULL};
    auto_usage struct usage u = {.n_rows = 0};
    const cJSON *object;
    int r = cluster_open(&options.cluster, &c, e);

    if (r == 0)
        r = netview_read(&c, parts, NULL, &v, e);
    object = netview_find(v.subnets, NULL, name);
    if (r == 0 && !object)
        r = subnet_missing(&v, name, e);
    if (r == 0)
        r = usage_make(&v, object, &u, e);
    if (r < 0)
        return r;
    if (cli_common.json) {
        print_json(&u, object);
        return 0;
    }
    print_head(&u, object);
    print_rows(&u);
    if (options.free && u.subnet->is_valid)
        print_free(&u);
    return 0;
}

int cmd_subnet_show(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r == 0)
        r = show(args[0], &e);
    else if (r > 0)
        r = EXIT_OK;
    return r < 0 ? cli_fail(&verb, e) : r;
}
