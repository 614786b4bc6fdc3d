/* flatnet subnet ls. */
#include "cli.h"

#include "cmd_subnet.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "netview.h"
#include "num.h"
#include "subnet_usage.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR 10

static struct cluster_options options;

static const struct cli_option option_table[] = {
    CLUSTER_OPTIONS(options),
    {0},
};

static const struct cli_verb verb = {
    .path = "subnet ls",
    .args = "",
    .summary = "Lists the subnets, with how full they are.",
    .options = option_table,
};

struct line {
    const cJSON *object;
    struct subnet *subnet;
    struct alloc_counts counts;
};

static int percent_of(const struct alloc_counts *n)
{
    uint64_t taken = n->total > n->free ? n->total - n->free : 0;

    return n->total ? (int)((double)taken * 100 / (double)n->total + 0.5) : 0;
}

const char *subnet_phase(const cJSON *object, const struct subnet *s)
{
    const char *phase = json_get_str(json_get_obj(object, "status"), "phase");

    if (!s->is_valid)
        return "Failed";
    return s->is_deleting ? "Terminating" : phase ? phase : "Pending";
}

/* The figures of the controller, or where there is none ours. */
static int count(const struct netview *v, struct line *line, struct err **e)
{
    auto_usage struct usage u = {.n_rows = 0};
    int r;

    if (usage_from_status(line->object, &line->counts))
        return 0;
    r = usage_make(v, line->object, &u, e);
    if (r == 0)
        line->counts = u.counts;
    return r;
}

static bool has_figures(const struct netview *v)
{
    const cJSON *object;
    struct alloc_counts n;

    cJSON_ArrayForEach(object, v->subnets)
    {
        if (!usage_from_status(object, &n))
            return false;
    }
    return true;
}

/* --- printing --- */

static char *fill_text(const struct alloc_counts *n)
{
    int percent = percent_of(n), full = (percent * BAR + 99) / 100;

    if (!isatty(STDOUT_FILENO))
        return xasprintf("%d%%", percent);
    return xasprintf("%3d%% [%.*s%.*s]", percent, full, "##########", BAR - full, "..........");
}

static void print_line(struct table *t, const struct line *line)
{
    const struct subnet *s = line->subnet;
    char net[IP_NET_TEXT_SIZE], gateway[IP_TEXT_SIZE];
    auto_free char *vlan = xasprintf("%u", s->vlan), *fill = fill_text(&line->counts);
    auto_free char *used = xasprintf("%" PRIu64, line->counts.used);
    auto_free char *left = xasprintf("%" PRIu64, line->counts.free);
    const char *cells[] = {s->name,
                           s->master && *s->master ? s->master : NULL,
                           vlan,
                           s->cidr.addr.family ? ip_net_format(s->cidr, net) : NULL,
                           s->gateway.family ? ip_format(s->gateway, gateway) : NULL,
                           used,
                           left,
                           fill,
                           subnet_phase(line->object, s)};

    table_row(t, cells);
}

static void print_text(const struct line *lines, size_t n)
{
    static const char *const heading[] = {"NAME", "MASTER", "VLAN", "CIDR",  "GATEWAY",
                                          "USED", "FREE",   "%",    "PHASE", NULL};
    struct table t;

    table_init(&t, heading);
    for (size_t i = 0; i < n; i++)
        print_line(&t, &lines[i]);
    if (n)
        table_print(&t);
    table_release(&t);
    log_info("%zu subnet%s", n, num_plural(n));
}

void subnet_add_counts(cJSON *item, const struct alloc_counts *n)
{
    const struct {
        const char *name;
        uint64_t count;
    } table[] = {{"total", n->total},       {"used", n->used},       {"free", n->free},
                 {"reserved", n->reserved}, {"cooling", n->cooling}, {"outside", n->outside}};
    cJSON *counts = cJSON_AddObjectToObject(item, "addresses");

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        json_add_int(counts, table[i].name,
                     table[i].count > INT64_MAX ? INT64_MAX : (int64_t)table[i].count);
}

static void print_json(const struct line *lines, size_t n)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *list;

    json_add_int(root, "schemaVersion", SUBNET_SCHEMA);
    list = cJSON_AddArrayToObject(root, "subnets");
    for (size_t i = 0; i < n; i++) {
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "name", lines[i].subnet->name);
        json_add_str(item, "phase", subnet_phase(lines[i].object, lines[i].subnet));
        json_copy(item, lines[i].object, "spec");
        subnet_add_counts(item, &lines[i].counts);
        json_add_int(item, "percent", percent_of(&lines[i].counts));
        (void)cJSON_AddItemToArray(list, item);
    }
    subnet_print_json(root);
}

/* --- the verb --- */

static int make_lines(const struct netview *v, struct line **out, size_t *out_n, struct err **e)
{
    const cJSON *object;
    int r = 0;

    cJSON_ArrayForEach(object, v->subnets)
    {
        struct line line = {.object = object};

        r = subnet_parse(object, v->has_legacy_octets, &line.subnet, e);
        if (r == 0)
            r = count(v, &line, e);
        if (r < 0) {
            subnet_free(line.subnet);
            return r;
        }
        array_grow(*out, *out_n);
        (*out)[(*out_n)++] = line;
    }
    return 0;
}

static int ls(struct err **e)
{
    const unsigned counted = NETVIEW_IPS | NETVIEW_PODS | NETVIEW_WORKLOADS | NETVIEW_CONTROLLER;
    auto_cluster struct cluster c = {.kube = NULL};
    auto_netview struct netview v = {.subnets = NULL};
    struct line *lines = NULL;
    size_t n = 0;
    int r = cluster_open(&options, &c, e);

    if (r == 0)
        r = netview_read(&c, NETVIEW_SUBNETS, NULL, &v, e);
    if (r == 0 && !has_figures(&v))
        r = netview_read(&c, counted, NULL, &v, e);
    if (r == 0)
        r = make_lines(&v, &lines, &n, e);
    if (r == 0 && cli_common.json)
        print_json(lines, n);
    else if (r == 0)
        print_text(lines, n);
    for (size_t i = 0; i < n; i++)
        subnet_free(lines[i].subnet);
    free(lines);
    return r;
}

int cmd_subnet_ls(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r == 0)
        r = ls(&e);
    else if (r > 0)
        r = EXIT_OK;
    return r < 0 ? cli_fail(&verb, e) : r;
}
