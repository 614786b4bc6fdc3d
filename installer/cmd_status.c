/* flatnet status: what is deployed, and whether it works. */
#include "cli.h"

#include "json.h"
#include "log.h"
#include "mem.h"
#include "status.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

static struct {
    struct cluster_options cluster;
    int timeout_s;
} options = {.timeout_s = 20};

static const struct cli_option option_table[] = {
    CLUSTER_OPTIONS(options.cluster),
    {"timeout", 0, CLI_INT, "SECONDS", &options.timeout_s,
     "how long to watch for a sign of life of the leader (default 20)"},
    {0},
};

static const struct cli_verb verb = {
    .path = "status",
    .args = "[options]",
    .summary = "Shows what of flatnet is deployed in a cluster, and whether it works.",
    .text = "Ends with 3 where something is not as it should be, and says why.",
    .options = option_table,
    .max_args = 0,
};

/* Who has brought it. */
static const char *origin(const struct status *st)
{
    if (st->site.rke_config)
        return "RKE";
    return st->inventory.live ? "flatnet deploy" : "kubectl apply";
}

static const char *fact(const struct status *st, const char *name)
{
    return deploy_inventory_fact(&st->inventory, name);
}

static const char *figure(int64_t value, char out[24])
{
    if (value < 0)
        return "-";
    (void)snprintf(out, 24, "%lld", (long long)value);
    return out;
}

/* --- for people --- */

static void print_summary(const struct status *st)
{
    (void)printf("version  %s\nmode     %s\nimages   %s\nby       %s\n",
                 fact(st, "version") ? fact(st, "version") : "-",
                 fact(st, "mode") ? fact(st, "mode") : "-",
                 fact(st, "imageSet") ? fact(st, "imageSet") : "-", origin(st));
    if (st->has_leader && *st->leader.holder)
        (void)printf("leader   %s since %s%s\n", st->leader.holder, st->leader.acquired,
                     st->leader.is_fresh ? "" : ", no sign of life");
    else if (st->has_leader)
        (void)printf("leader   nobody\n");
}

/* The first line; causes follow with the errors. */
static char *first_line(const char *text)
{
    return text ? xstrndup(text, strcspn(text, "\n")) : NULL;
}

static void print_objects(const struct status *st)
{
    static const char *const heading[] = {"OBJECT", "STATE", "IMAGE", NULL};
    struct table t;

    table_init(&t, heading);
    for (size_t i = 0; i < st->n_objects; i++) {
        auto_free char *name = deploy_name_text(&st->objects[i].name);
        auto_free char *state = first_line(st->objects[i].text);
        const char *const row[] = {name, state ? state : "there", st->objects[i].image};

        table_row(&t, row);
    }
    (void)printf("\n");
    table_print(&t);
    table_release(&t);
}

static void print_nodes(const struct status *st)
{
    static const char *const heading[] = {"NODE", "READY", "PLUGIN", NULL};
    struct table t;

    table_init(&t, heading);
    for (size_t i = 0; i < st->n_nodes; i++) {
        const struct status_node *n = &st->nodes[i];
        const char *const row[] = {n->name, n->is_ready ? "yes" : "no",
                                   n->has_plugin ? "ready" : "not ready"};

        table_row(&t, row);
    }
    (void)printf("\n");
    table_print(&t);
    table_release(&t);
}

static void print_subnets(const struct status *st)
{
    static const char *const heading[] = {"SUBNET", "PHASE", "TOTAL", "USED", "FREE", NULL};
    struct table t;

    table_init(&t, heading);
    for (size_t i = 0; i < st->n_subnets; i++) {
        const struct status_subnet *s = &st->subnets[i];
        char total[24], used[24], left[24];
        const char *const row[] = {s->name, s->phase, figure(s->total, total),
                                   figure(s->used, used), figure(s->free, left)};

        table_row(&t, row);
    }
    if (st->n_subnets) {
        (void)printf("\n");
        table_print(&t);
    }
    table_release(&t);
}

static void print_text(const struct status *st)
{
    if (!st->n_objects)
        return;
    print_summary(st);
    print_objects(st);
    print_nodes(st);
    print_subnets(st);
}

/* --- for machines --- */

static void add_objects(const struct status *st, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "objects");

    for (size_t i = 0; i < st->n_objects; i++) {
        const struct status_object *o = &st->objects[i];
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "kind", o->name.kind->kind);
        json_add_str(item, "namespace", *o->name.ns ? o->name.ns : NULL);
        json_add_str(item, "name", o->name.name);
        (void)cJSON_AddBoolToObject(item, "ready", o->is_ready);
        json_add_str(item, "state", o->text);
        json_add_str(item, "image", o->image);
        cJSON_AddItemToArray(list, item);
    }
}

static void add_nodes(const struct status *st, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "nodes");

    for (size_t i = 0; i < st->n_nodes; i++) {
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "name", st->nodes[i].name);
        (void)cJSON_AddBoolToObject(item, "ready", st->nodes[i].is_ready);
        (void)cJSON_AddBoolToObject(item, "plugin", st->nodes[i].has_plugin);
        json_add_str(item, "cause", st->nodes[i].cause);
        cJSON_AddItemToArray(list, item);
    }
}

static void add_figure(cJSON *item, const char *name, int64_t value)
{
    if (value >= 0)
        json_add_int(item, name, value);
}

static void add_subnets(const struct status *st, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "subnets");

    for (size_t i = 0; i < st->n_subnets; i++) {
        const struct status_subnet *s = &st->subnets[i];
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "name", s->name);
        json_add_str(item, "phase", s->phase);
        add_figure(item, "total", s->total);
        add_figure(item, "used", s->used);
        add_figure(item, "free", s->free);
        json_add_str(item, "message", s->message);
        cJSON_AddItemToArray(list, item);
    }
}

static void add_findings(const struct findings *f, cJSON *root)
{
    cJSON *errors = cJSON_AddArrayToObject(root, "errors");
    cJSON *warnings = cJSON_AddArrayToObject(root, "warnings");

    for (size_t i = 0; i < f->n_items; i++)
        cJSON_AddItemToArray(f->items[i].level == FINDING_ERROR ? errors : warnings,
                             cJSON_CreateString(f->items[i].text));
}

static void print_json(const struct status *st, const struct findings *f)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *leader;

    json_add_int(root, "schemaVersion", 1);
    (void)cJSON_AddBoolToObject(root, "deployed", st->n_objects > 0);
    (void)cJSON_AddBoolToObject(root, "ok", !f->count[FINDING_ERROR]);
    if (st->n_objects) {
        json_add_str(root, "version", fact(st, "version"));
        json_add_str(root, "mode", fact(st, "mode"));
        json_add_str(root, "imageSet", fact(st, "imageSet"));
        json_add_str(root, "by", origin(st));
    }
    if (st->has_leader) {
        leader = cJSON_AddObjectToObject(root, "leader");
        json_add_str(leader, "holder", st->leader.holder);
        json_add_str(leader, "since", st->leader.acquired);
        (void)cJSON_AddBoolToObject(leader, "renews", st->leader.is_fresh);
    }
    add_objects(st, root);
    add_nodes(st, root);
    add_subnets(st, root);
    add_findings(f, root);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static int run(struct findings *f, struct err **e)
{
    auto_cluster struct cluster cluster = {.minor = 0};
    auto_status struct status st = {.n_objects = 0};
    struct deploy_server server;
    int r = cluster_open(&options.cluster, &cluster, e);

    if (r < 0)
        return r;
    deploy_server_init(&cluster, &server);
    r = status_read(&server, (int64_t)options.timeout_s * 1000, &st, e);
    if (r < 0)
        return r;
    status_judge(&st, f);
    if (cli_common.json) {
        print_json(&st, f);
        return 0;
    }
    print_text(&st);
    (void)fflush(stdout);
    for (size_t i = 0; i < f->n_items; i++)
        if (f->items[i].level == FINDING_ERROR)
            log_error("%s", f->items[i].text);
    findings_log(f);
    return 0;
}

int cmd_status(int argc, char **argv)
{
    auto_findings struct findings f = {.n_items = 0};
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r == 1)
        return EXIT_OK;
    if (r == 0)
        r = run(&f, &e);
    if (r < 0)
        return cli_fail(&verb, e);
    return f.count[FINDING_ERROR] ? EXIT_CHECKS : EXIT_OK;
}
