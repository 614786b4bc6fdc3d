/* flatnet deploy: the addons into a cluster that is there. */
#include "cli.h"

#include "addons_render.h"
#include "cmd_addons.h"
#include "deploy.h"
#include "deploy_options.h"
#include "deploy_wait.h"
#include "json.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIFF_MAX (32u << 20)

static struct {
    struct addons_options settings;
    struct cli_list ifaces, regexes;
    struct cluster_options cluster;
    const char *dry_run;
    bool defaults, skips_flannel, force, forces_conflicts;
    int timeout_s;
} options = {.timeout_s = DEPLOY_TIMEOUT_S};

static const struct cli_option option_table[] = {
    ADDONS_OPTIONS(options),
    {"skip-flannel", 0, CLI_FLAG, NULL, &options.skips_flannel,
     "the cluster has a pod network; leave it to that"},
    {"defaults", 0, CLI_FLAG, NULL, &options.defaults,
     "what is not given takes its default, not what the last deploy had"},
    CLUSTER_OPTIONS(options.cluster),
    {"dry-run", 0, CLI_CHOICE, "[=client|server]", &options.dry_run,
     "show what would change, as a diff; change nothing"},
    {"force-conflicts", 0, CLI_FLAG, NULL, &options.forces_conflicts,
     "take fields that others have set"},
    {"force", 0, CLI_FLAG, NULL, &options.force,
     "go on where RKE or another network stands against"},
    {"timeout", 0, CLI_INT, "SECONDS", &options.timeout_s,
     "how long to wait for each step (default 300)"},
    {0},
};

static const struct cli_verb verb = {
    .path = "deploy",
    .args = "[--mode multus|chained] [--dry-run] [options]",
    .summary =
        "Brings the addons into a cluster that is there, or those that are there up to date.",
    .text = "What 'addons render' would write for the cluster's version of Kubernetes is applied,\n"
            "in order, and each step is waited for: CRDs established, DaemonSets ready on every\n"
            "node, a controller leading. A second run changes nothing; a run that was cut off is\n"
            "taken up by the next. Options that are not given are those of the last deploy.",
    .options = option_table,
    .max_args = 0,
};

struct deployment {
    struct addons_settings settings;
    struct cluster cluster;
    struct deploy_server server;
    struct deploy_site site;
    struct deploy_inventory inventory;
    struct deploy_plan plan;
    struct deploy_options last; /* of the last deploy */
    cJSON *report;              /* with --format json: the objects */
    bool is_dry, is_by_client;
};

static void deployment_release(struct deployment *d)
{
    deploy_plan_release(&d->plan);
    deploy_inventory_release(&d->inventory);
    deploy_site_release(&d->site);
    addons_settings_release(&d->settings);
    deploy_options_release(&d->last);
    cluster_close(&d->cluster);
    cJSON_Delete(d->report);
}

/* --- what is wanted --- */

static int check_options(struct deployment *d, struct err **e)
{
    const char *dry = options.dry_run;

    d->is_dry = dry != NULL;
    d->is_by_client = dry && !strcmp(dry, "client");
    if (dry && *dry && !d->is_by_client && strcmp(dry, "server") != 0)
        return err_set(e, -EINVAL, "'--dry-run' takes client or server, not '%s'", dry);
    options.settings.ifaces = options.ifaces.items;
    options.settings.iface_regexes = options.regexes.items;
    return 0;
}

/* For the server's version, and with what the last deploy had where nothing else is said. */
static int find_settings(struct deployment *d, struct err **e)
{
    auto_free char *version = xasprintf("1.%d", d->cluster.minor);
    struct addons_options settings = options.settings;
    int r;

    if (!options.defaults)
        deploy_options_recall(&d->inventory, &settings, &options.skips_flannel, &d->last);
    settings.kube_version = version;
    r = addons_settings_parse(&settings, &d->settings, e);
    if (r == 0 && options.skips_flannel && d->settings.mode == ADDONS_MULTUS &&
        strcmp(d->settings.set, "current") != 0)
        r = err_set(e, -EINVAL,
                    "'--skip-flannel' goes with '--mode chained' or '--images current': multus 3.2 "
                    "calls flannel itself");
    if (r == 0)
        deploy_options_keep(&d->inventory, &settings, &d->settings, options.skips_flannel);
    return r;
}

static bool is_mode(const struct deployment *d, const char *mode)
{
    const char *is = deploy_inventory_fact(&d->inventory, "mode");

    return is && !strcmp(is, mode);
}

static int open_server(struct deployment *d, struct err **e)
{
    bool was_chained;
    int r = cluster_open(&options.cluster, &d->cluster, e);

    if (r < 0)
        return r;
    deploy_server_init(&d->cluster, &d->server);
    d->server.forces_conflicts = options.forces_conflicts;
    r = deploy_inventory_read(&d->server, true, &d->inventory, e);
    if (r < 0)
        return r;
    was_chained = is_mode(d, "chained");
    r = find_settings(d, e);
    if (r == 0 && was_chained && d->settings.mode == ADDONS_MULTUS)
        log_warn("from the mode chained to multus: on each node '05-flatnet.conflist' and "
                 "'10-flannel.conflist' in /etc/cni/net.d stay, and the kubelet takes the first "
                 "file; 'flatnet undeploy' removes them");
    return r == 0 && !d->is_by_client ? deploy_server_ask(&d->server, e) : r;
}

/* Parts of a rendering by the names of their files. */
static bool is_wanted(const char *file)
{
    return strcmp(file, ADDONS_FILE) != 0 && strcmp(file, ADDONS_FILE_OLD) != 0 &&
           strcmp(file, "rancher-roles.yml") != 0 &&
           !(options.skips_flannel && !strcmp(file, "flannel-daemonset.yml"));
}

static int render(struct deployment *d, struct err **e)
{
    auto_addons_files struct addons_files files = {.n_items = 0};
    auto_findings struct findings f = {.n_items = 0};
    int r = addons_render(&d->settings, &files, &f, e);

    findings_log(&f);
    for (size_t i = 0; i < files.n_items && r == 0; i++)
        if (is_wanted(files.items[i].name))
            r = deploy_plan_add_yaml(&d->plan, files.items[i].name, files.items[i].text,
                                     files.items[i].len, e);
    return r;
}

/* What a rendering of another mode or set has brought, and this one has not. CRDs stay: with them
 * all that people have made would go; and the pod network is never taken away by the way. */
static void plan_deletions(struct deployment *d)
{
    for (size_t i = 0; i < d->site.n_obsolete; i++)
        if (!deploy_plan_find(&d->plan, &d->site.obsolete[i]))
            deploy_plan_add_deletion(&d->plan, &d->site.obsolete[i], "of the 2019 addons")
                ->is_obsolete = true;
    for (size_t i = 0; i < d->inventory.n_names; i++) {
        const struct deploy_name *n = &d->inventory.names[i];

        if (deploy_plan_find(&d->plan, n) || deploy_is_flannel(n) ||
            !strcmp(n->kind->kind, "CustomResourceDefinition"))
            continue;
        deploy_plan_add_deletion(&d->plan, n, "not in these addons")->is_obsolete =
            !strcmp(n->name, DEPLOY_CLEANUP);
    }
}

/* --- what stands against it --- */

/* -EPERM: the user has to decide. */
static int check_site(const struct deployment *d, struct err **e)
{
    bool has_flannel = !options.skips_flannel;
    auto_free char *text = NULL;

    if (d->site.rke_config)
        text = deploy_rke_text(&d->site);
    else if (has_flannel && d->site.other_network)
        text = xasprintf("the cluster seems to have a pod network: %s. '--skip-flannel' leaves it "
                         "to that",
                         d->site.other_network);
    if (text && !options.force && !d->is_dry)
        return err_set(e, -EPERM, "%s; '--force' goes on all the same", text);
    if (text)
        log_warn("%s", text);
    return 0;
}

/* --- doing it --- */

static void show(const struct deployment *d, const struct deploy_item *item)
{
    if (item->action == DEPLOY_UNCHANGED && !item->wanted)
        return;
    if (d->report)
        deploy_add_json(d->report, deploy_action_done(item->action), &item->name, item->note);
    else
        deploy_print_item(deploy_action_done(item->action), &item->name, item->note);
}

static int64_t deadline(void)
{
    return deploy_now_ms() + (int64_t)options.timeout_s * 1000;
}

/* Behind the last object of a kind that others build on: all of them work. */
static int wait_behind(const struct deployment *d, size_t at, struct err **e)
{
    const struct deploy_item *item = &d->plan.items[at];
    const struct deploy_item *next = at + 1 < d->plan.n_items ? item + 1 : NULL;
    int64_t until = deadline();
    int r = 0;

    if (!item->wanted || (next && next->wanted && next->name.kind == item->name.kind))
        return 0;
    for (size_t i = 0; i <= at && r == 0; i++)
        if (d->plan.items[i].wanted && d->plan.items[i].name.kind == item->name.kind)
            r = deploy_wait_ready(&d->server, &d->plan.items[i].name, until, e);
    if (r == 0 && !strcmp(item->name.kind->kind, "Deployment") &&
        deploy_inventory_fact(&d->inventory, "lock"))
        r = deploy_wait_leader(&d->server, deploy_inventory_fact(&d->inventory, "lock"), until, e);
    return r;
}

static int carry_out(struct deployment *d, struct err **e)
{
    int r = 0;

    for (size_t i = 0; i < d->plan.n_items && r == 0; i++) {
        struct deploy_item *item = &d->plan.items[i];

        r = deploy_item_apply(&d->server, item, deadline(), e);
        if (r == 0) {
            show(d, item);
            r = wait_behind(d, i, e);
        }
    }
    return r;
}

/* Facts of what is wanted, and all names: those that are there already, and those to come. */
static void begin_inventory(struct deployment *d)
{
    deploy_inventory_set(&d->inventory, "version", FLATNET_VERSION);
    deploy_inventory_set(&d->inventory, "lock", NULL);
    deploy_inventory_set(&d->inventory, "cleanup", NULL);
    deploy_inventory_learn(&d->inventory, &d->plan);
    for (size_t i = 0; i < d->plan.n_items; i++)
        if (d->plan.items[i].wanted)
            deploy_inventory_add(&d->inventory, &d->plan.items[i].name);
    d->inventory.is_begun = true;
}

/* What was deleted is forgotten. */
static void end_inventory(struct deployment *d)
{
    for (size_t i = 0; i < d->plan.n_items; i++)
        if (!d->plan.items[i].wanted)
            deploy_inventory_remove(&d->inventory, &d->plan.items[i].name);
    d->inventory.is_begun = false;
}

static bool changes_anything(const struct deploy_plan *p)
{
    return deploy_plan_count(p, DEPLOY_UNCHANGED) < p->n_items;
}

static int deploy(struct deployment *d, struct err **e)
{
    bool was_begun = d->inventory.is_begun;
    int r = 0;

    begin_inventory(d);
    if (changes_anything(&d->plan) || was_begun || !d->inventory.live)
        r = deploy_inventory_write(&d->server, &d->inventory, e);
    if (r == 0)
        r = carry_out(d, e);
    if (r < 0)
        return r;
    end_inventory(d);
    return deploy_inventory_write(&d->server, &d->inventory, e);
}

/* --- telling it --- */

static int print_diff(const struct deployment *d)
{
    auto_buf struct buf text;

    for (size_t i = 0; i < d->plan.n_items; i++)
        if (d->report)
            show(d, &d->plan.items[i]);
    buf_init(&text, DIFF_MAX);
    deploy_plan_diff(&d->plan, &text);
    if (!d->report)
        (void)fwrite(text.data, 1, text.len, stdout);
    return 0;
}

static void summarize(const struct deployment *d)
{
    log_info("%s%zu created, %zu configured, %zu recreated, %zu deleted, %zu unchanged",
             d->is_dry ? "nothing was changed; to be: " : "",
             deploy_plan_count(&d->plan, DEPLOY_CREATE),
             deploy_plan_count(&d->plan, DEPLOY_CONFIGURE),
             deploy_plan_count(&d->plan, DEPLOY_RECREATE),
             deploy_plan_count(&d->plan, DEPLOY_DELETE),
             deploy_plan_count(&d->plan, DEPLOY_UNCHANGED));
}

static void print_json(struct deployment *d, const struct err *e)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;

    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "mode", addons_mode_name(d->settings.mode));
    json_add_str(root, "imageSet", d->settings.set);
    json_add_str(root, "method",
                 d->is_by_client       ? "client"
                 : d->server.has_apply ? "server-side apply"
                                       : "three-way merge");
    (void)cJSON_AddBoolToObject(root, "dryRun", d->is_dry);
    cJSON_AddItemToObject(root, "objects", d->report);
    d->report = NULL;
    json_add_str(root, "error", e ? err_text(e) : NULL);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static int run(struct deployment *d, struct err **e)
{
    int r = check_options(d, e);

    if (r == 0)
        r = open_server(d, e);
    if (r == 0)
        r = render(d, e);
    if (r == 0)
        r = deploy_site_read(&d->server, &d->site, e);
    if (r == 0)
        r = check_site(d, e);
    if (r < 0)
        return r;
    plan_deletions(d);
    d->report = cli_common.json ? cJSON_CreateArray() : NULL;
    r = deploy_plan_make(&d->server, &d->plan, d->is_by_client, e);
    if (r == 0)
        r = deploy_plan_check(&d->plan, e);
    if (r == 0)
        r = d->is_dry ? print_diff(d) : deploy(d, e);
    if (r == 0)
        summarize(d);
    if (d->report)
        print_json(d, r < 0 ? *e : NULL);
    return r;
}

int cmd_deploy(int argc, char **argv)
{
    struct deployment d = {.is_dry = false};
    auto_err struct err *e = NULL;
    char **args;
    int n_args, status = EXIT_OK, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r == 0)
        r = run(&d, &e);
    if (r < 0)
        status = cli_fail(&verb, e);
    deployment_release(&d);
    cli_list_release(&options.ifaces);
    cli_list_release(&options.regexes);
    return r == -EPERM ? EXIT_CHECKS : status;
}
