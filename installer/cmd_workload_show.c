/* flatnet workload show. */
#include "cli.h"

#include "cmd_workload.h"
#include "json.h"
#include "log.h"
#include "macvlan/macvlanip.h"
#include "macvlan/svc_networks.h"
#include "mem.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    struct cluster_options cluster;
    const char *namespace;
} options = {.namespace = "default"};

static const struct cli_option option_table[] = {
    {"namespace", 'n', CLI_STRING, "NAME", &options.namespace,
     "where the workload is (default: default)"},
    CLUSTER_OPTIONS(options.cluster),
    {0},
};

static const struct cli_verb verb = {
    .path = "workload show",
    .args = "KIND/NAME [-n NAMESPACE]",
    .summary = "Shows what a workload asks for, and what each of its pods has.",
    .options = option_table,
    .min_args = 1,
    .max_args = 2,
};

/* All borrowed but `text`. */
struct line {
    const cJSON *pod;
    const cJSON *ip; /* its MacvlanIP; NULL: none */
    char *waits;     /* why it has none, or no interface; NULL: it does not wait */
};

struct run {
    struct workload_ref ref;
    struct cluster cluster;
    struct netview view;
    cJSON *object;
    char *path;
    struct line *lines;
    size_t n_lines;
};

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);

    return text ? text : "";
}

/* --- pods --- */

static const cJSON *ip_of(const struct run *run, const cJSON *pod)
{
    const cJSON *ip = netview_find(run->view.ips, netview_namespace(pod), netview_name(pod));

    return ip && !strcmp(text_of(json_get_obj(ip, "spec"), "podId"), netview_uid(pod)) ? ip : NULL;
}

static bool is_macvlan(const cJSON *pod)
{
    const cJSON *annotations = netview_annotations(pod);

    return json_get_str(annotations, ANNOT_IP) && json_get_str(annotations, ANNOT_SUBNET);
}

static char *why_waiting(const struct run *run, const struct line *line)
{
    const char *text;

    if (netview_pod_has_ended(line->pod) || netview_pod_is_ready(line->pod))
        return NULL;
    if (!is_macvlan(line->pod))
        return annot_half(netview_annotations(line->pod), run->view.is_multus);
    text = netview_warning(&run->view, line->pod, line->ip ? "" : "Macvlan");
    if (text)
        return xstrdup(text);
    return line->ip ? annot_half(netview_annotations(line->pod), run->view.is_multus)
                    : xstrdup("the controller has not given it an address yet");
}

static void find_pods(struct run *run)
{
    auto_free char *self = xasprintf("%s/%s", run->ref.kind->word, run->ref.name);
    const cJSON *pod;

    cJSON_ArrayForEach(pod, run->view.pods)
    {
        auto_free char *workload = netview_workload_of(pod, run->view.workloads[3]);
        struct line line = {.pod = pod};

        if (strcmp(workload, self) != 0)
            continue;
        line.ip = ip_of(run, pod);
        line.waits = why_waiting(run, &line);
        array_grow(run->lines, run->n_lines);
        run->lines[run->n_lines++] = line;
    }
}

/* --- as text --- */

static void print_field(const char *name, const char *value)
{
    (void)printf("%-12s %s\n", name, value && *value ? value : "-");
}

static const cJSON *asked(const struct run *run)
{
    return netview_annotations(netview_template(run->ref.kind, run->object));
}

static void print_line(struct table *t, const struct line *line)
{
    const cJSON *spec = json_get_obj(line->ip, "spec");
    const char *cells[] = {netview_name(line->pod),
                           json_get_str(spec, "cidr"),
                           *text_of(spec, "mac") ? text_of(spec, "mac") : NULL,
                           *netview_node(line->pod) ? netview_node(line->pod) : NULL,
                           netview_pod_is_ready(line->pod) ? "yes" : "no",
                           netview_is_deleting(line->pod) ? "Terminating"
                                                          : netview_phase(line->pod)};

    table_row(t, cells);
}

static void print_text(const struct run *run)
{
    static const char *const heading[] = {"POD", "ADDRESS", "MAC", "NODE", "READY", "PHASE", NULL};
    const cJSON *annotations = asked(run);
    auto_free char *half = annot_half(annotations, run->view.is_multus);
    struct table t;

    (void)printf("%s/%s in namespace %s\n", run->ref.kind->word, run->ref.name, options.namespace);
    print_field("subnet:", json_get_str(annotations, ANNOT_SUBNET));
    print_field("addresses:", json_get_str(annotations, ANNOT_IP));
    print_field("MACs:", json_get_str(annotations, ANNOT_MAC));
    print_field("networks:", json_get_str(annotations, SVC_NETWORKS_KEY));
    if (half)
        print_field("warning:", half);
    table_init(&t, heading);
    for (size_t i = 0; i < run->n_lines; i++)
        print_line(&t, &run->lines[i]);
    (void)printf("\n");
    if (run->n_lines)
        table_print(&t);
    else
        (void)printf("no pods\n");
    table_release(&t);
    for (size_t i = 0; i < run->n_lines; i++)
        if (run->lines[i].waits)
            (void)printf("\n%s waits: %s\n", netview_name(run->lines[i].pod), run->lines[i].waits);
}

/* --- as JSON --- */

static cJSON *line_json(const struct line *line)
{
    const cJSON *spec = json_get_obj(line->ip, "spec");
    cJSON *item = cJSON_CreateObject();

    json_add_str(item, "pod", netview_name(line->pod));
    json_add_str(item, "cidr", json_get_str(spec, "cidr"));
    json_add_str(item, "mac", json_get_str(spec, "mac"));
    json_add_str(item, "node", netview_node(line->pod));
    json_add_str(item, "phase", netview_phase(line->pod));
    (void)cJSON_AddBoolToObject(item, "ready", netview_pod_is_ready(line->pod));
    json_add_str(item, "waits", line->waits);
    return item;
}

static void print_json(const struct run *run)
{
    auto_json cJSON *root = cJSON_CreateObject();
    const cJSON *annotations = asked(run);
    cJSON *list;

    json_add_int(root, "schemaVersion", SUBNET_SCHEMA);
    json_add_str(root, "kind", run->ref.kind->kind);
    json_add_str(root, "namespace", options.namespace);
    json_add_str(root, "name", run->ref.name);
    json_add_str(root, "subnet", json_get_str(annotations, ANNOT_SUBNET));
    json_add_str(root, "ip", json_get_str(annotations, ANNOT_IP));
    json_add_str(root, "mac", json_get_str(annotations, ANNOT_MAC));
    json_add_str(root, "networks", json_get_str(annotations, SVC_NETWORKS_KEY));
    list = cJSON_AddArrayToObject(root, "pods");
    for (size_t i = 0; i < run->n_lines; i++)
        (void)cJSON_AddItemToArray(list, line_json(&run->lines[i]));
    subnet_print_json(root);
}

/* --- the verb --- */

static int show(struct run *run, char **args, int n_args, struct err **e)
{
    const unsigned parts = NETVIEW_PODS | NETVIEW_WORKLOADS | NETVIEW_EVENTS | NETVIEW_CONTROLLER;
    int r = workload_ref_parse(args, n_args, &run->ref, e);

    if (r == 0)
        r = cluster_open(&options.cluster, &run->cluster, e);
    if (r == 0)
        r = workload_get(&run->cluster, &run->ref, options.namespace, &run->object, &run->path, e);
    if (r == 0)
        r = netview_read(&run->cluster, parts | NETVIEW_IPS, options.namespace, &run->view, e);
    if (r < 0)
        return r;
    find_pods(run);
    if (cli_common.json)
        print_json(run);
    else
        print_text(run);
    return 0;
}

int cmd_workload_show(int argc, char **argv)
{
    struct run run = {.path = NULL};
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r == 0)
        r = show(&run, args, n_args, &e);
    else if (r > 0)
        r = EXIT_OK;
    for (size_t i = 0; i < run.n_lines; i++)
        free(run.lines[i].waits);
    free(run.lines);
    cJSON_Delete(run.object);
    free(run.path);
    netview_release(&run.view);
    cluster_close(&run.cluster);
    return r < 0 ? cli_fail(&verb, e) : r;
}
