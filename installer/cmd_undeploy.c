/* flatnet undeploy: out of a cluster what deploy put in. */
#include "cli.h"

#include "deploy.h"
#include "deploy_wait.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
    struct cluster_options cluster;
    bool purges, skips_flannel, is_dry, yes, force;
    int timeout_s;
} options = {.timeout_s = DEPLOY_TIMEOUT_S};

static const struct cli_option option_table[] = {
    {"purge", 0, CLI_FLAG, NULL, &options.purges,
     "custom resources and their definitions go too: all subnets and addresses"},
    {"skip-flannel", 0, CLI_FLAG, NULL, &options.skips_flannel,
     "the pod network stays; others may need it"},
    CLUSTER_OPTIONS(options.cluster),
    {"dry-run", 'n', CLI_FLAG, NULL, &options.is_dry, "list what would go; change nothing"},
    {"yes", 'y', CLI_FLAG, NULL, &options.yes, "do not ask"},
    {"force", 0, CLI_FLAG, NULL, &options.force,
     "go on where addresses are in use, nodes do not answer, or RKE brought the addons"},
    {"timeout", 0, CLI_INT, "SECONDS", &options.timeout_s,
     "how long to wait for each step (default 300)"},
    {0},
};

static const struct cli_verb verb = {
    .path = "undeploy",
    .args = "[--purge] [--dry-run] [--yes] [options]",
    .summary = "Takes out of a cluster what 'flatnet deploy', or 'kubectl apply' of rendered\n"
               "addons, has put in.",
    .text = "The configuration of the nodes' network is put back by a short DaemonSet. Custom\n"
            "resources and their definitions stay, unless --purge is given.",
    .options = option_table,
    .max_args = 0,
};

struct removal {
    struct cluster cluster;
    struct deploy_server server;
    struct deploy_site site;
    struct deploy_inventory inventory;
    struct deploy_resources resources;
    struct deploy_plan plan;
    cJSON *report; /* with --format json */
};

static void removal_release(struct removal *u)
{
    deploy_plan_release(&u->plan);
    deploy_resources_release(&u->resources);
    deploy_inventory_release(&u->inventory);
    deploy_site_release(&u->site);
    cluster_close(&u->cluster);
    cJSON_Delete(u->report);
}

static int64_t deadline(void)
{
    return deploy_now_ms() + (int64_t)options.timeout_s * 1000;
}

/* --- what goes --- */

static bool is_crd(const struct deploy_name *n)
{
    return !strcmp(n->kind->kind, "CustomResourceDefinition");
}

/* Attachment definitions of others keep their CRD. */
static bool stays(const struct removal *u, const struct deploy_name *n)
{
    if (!is_crd(n))
        return options.skips_flannel && deploy_is_flannel(n);
    return !options.purges ||
           (strstr(n->name, "k8s.cni.cncf.io") &&
            (size_t)cJSON_GetArraySize(u->resources.networks) > u->resources.n_own_networks);
}

/* The clean-up of a run that was cut off goes on, and goes when it is through. */
static bool is_at_work(const struct removal *u, const struct deploy_name *n)
{
    return !strcmp(n->name, DEPLOY_CLEANUP) && deploy_inventory_fact(&u->inventory, "cleanup");
}

static int plan(struct removal *u, struct err **e)
{
    for (size_t i = 0; i < u->inventory.n_names; i++)
        if (!stays(u, &u->inventory.names[i]) && !is_at_work(u, &u->inventory.names[i]))
            deploy_plan_add_deletion(&u->plan, &u->inventory.names[i], NULL);
    return deploy_plan_make(&u->server, &u->plan, true, e);
}

/* Files of the nodes that go with the DaemonSets that wrote them, also where a run that was cut off
 * has deleted these already. */
static void list_files(const struct deploy_plan *p, const char *files[8])
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_items; i++) {
        const struct deploy_item *item = &p->items[i];

        if ((item->live && item->action == DEPLOY_UNCHANGED) ||
            strcmp(item->name.kind->kind, "DaemonSet") != 0)
            continue;
        if (!strcmp(item->name.name, "kube-flannel-ds"))
            files[n++] = "10-flannel.conflist";
        if (!strcmp(item->name.name, "kube-multus-ds")) {
            files[n++] = "70-multus.conf";
            files[n++] = "00-multus.conf";
            files[n++] = "multus.d/multus.kubeconfig";
        }
    }
    files[n] = NULL;
}

/* Kept in the inventory, so that a run that is cut off is taken up when the DaemonSet of the
 * plugin, which it is made of, is gone. */
static void prepare_cleanup(struct removal *u)
{
    const char *files[8];
    struct deploy_cleanup c = {.files = files, .purges = options.purges && !u->resources.n_in_use};

    list_files(&u->plan, files);
    for (size_t i = 0; i < u->plan.n_items; i++) {
        const struct deploy_item *item = &u->plan.items[i];
        auto_json cJSON *cleanup = NULL;
        auto_free char *text = NULL;

        if (!item->live || strcmp(item->name.name, "network-cni-ds") != 0 ||
            strcmp(item->name.kind->kind, "DaemonSet") != 0)
            continue;
        cleanup = deploy_cleanup_make(item->live, &c);
        text = cleanup ? json_print(cleanup) : NULL;
        deploy_inventory_set(&u->inventory, "cleanup", text);
        if (!cleanup)
            log_warn("this static-macvlan-cni is not flatnet's and cannot put the nodes' network "
                     "configuration back: remove '70-multus.conf' and 'multus.d' from "
                     "/etc/cni/net.d on each node");
    }
}

/* --- what stands against it --- */

static int check(const struct removal *u, struct err **e)
{
    auto_free char *text = NULL;

    if (u->site.rke_config)
        text = deploy_rke_text(&u->site);
    if (options.purges && u->resources.n_in_use && !text)
        text = xasprintf("%zu address%s in use by pods; with the MacvlanIPs it would be forgotten "
                         "whose they are. End these pods first",
                         u->resources.n_in_use, u->resources.n_in_use == 1 ? " is" : "es are");
    if (text && !options.force && !options.is_dry)
        return err_set(e, -EPERM, "%s; '--force' goes on all the same", text);
    if (text)
        log_warn("%s", text);
    return 0;
}

static bool takes_network(const struct removal *u)
{
    for (size_t i = 0; i < u->plan.n_items; i++)
        if (u->plan.items[i].live && !strcmp(u->plan.items[i].name.name, "kube-flannel-ds"))
            return true;
    return false;
}

static int confirm(const struct removal *u, struct err **e)
{
    size_t n = deploy_plan_count(&u->plan, DEPLOY_DELETE);
    char answer[8] = "";

    if (options.yes)
        return 0;
    if (!isatty(STDIN_FILENO))
        return err_set(e, -EINVAL, "nothing was changed; add --yes to delete the %zu object%s", n,
                       num_plural(n));
    (void)printf("delete %zu object%s%s of '%s'? [y/N] ", n, num_plural(n),
                 options.purges ? " and all custom resources" : "", u->cluster.config.server);
    (void)fflush(stdout);
    if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y'))
        return err_set(e, -ECANCELED, "nothing was changed");
    return 0;
}

/* --- doing it --- */

static void show(const struct removal *u, const char *what, const struct deploy_name *n)
{
    if (u->report)
        deploy_add_json(u->report, what, n, NULL);
    else
        deploy_print_item(what, n, NULL);
}

/* A node that does not answer keeps the others from nothing when the user says so. */
static int forgive(int r, struct err **e)
{
    if (r != -ETIMEDOUT || !options.force)
        return r;
    log_warn("%s", err_text(*e));
    err_free(*e);
    *e = NULL;
    return 0;
}

static int clean_nodes(struct removal *u, struct err **e)
{
    const char *text = deploy_inventory_fact(&u->inventory, "cleanup");
    auto_json cJSON *cleanup = NULL, *live = NULL;
    auto_deploy_name struct deploy_name name = {.kind = NULL};
    int r = text ? json_parse(text, strlen(text), &cleanup, e) : 0;

    if (!cleanup)
        return r;
    r = deploy_name_of(cleanup, &name, e);
    if (r == 0 && (strcmp(name.kind->kind, "DaemonSet") != 0 || strcmp(name.ns, DEPLOY_NS) != 0 ||
                   strcmp(name.name, DEPLOY_CLEANUP) != 0))
        r = err_set(e, -EPROTO,
                    "somebody has changed ConfigMap '" DEPLOY_NS "/" DEPLOY_INVENTORY
                    "'; delete it, and run 'flatnet deploy' before you undeploy");
    if (r == 0)
        r = deploy_get(&u->server, &name, &live, e);
    if (r == 0 && !live)
        r = deploy_create(&u->server, &name, cleanup, NULL, e);
    if (r == 0)
        r = forgive(deploy_wait_ready(&u->server, &name, deadline(), e), e);
    if (r == 0 && !live)
        r = deploy_get(&u->server, &name, &live, e);
    if (r < 0)
        return r;
    show(u, "cleaned", &name);
    r = deploy_delete(&u->server, &name, "Background", e);
    if (r == 0)
        r = forgive(deploy_wait_gone(&u->server, &name, live, deadline(), e), e);
    if (r < 0)
        return r;
    deploy_inventory_set(&u->inventory, "cleanup", NULL);
    return deploy_inventory_write(&u->server, &u->inventory, e);
}

/* As they are now: a controller may have written them until it ended. */
static int purge(struct removal *u, struct err **e)
{
    struct deploy_resources now = {.n_in_use = 0};
    int r = deploy_resources_read(&u->server, &now, e);

    if (r < 0)
        return r;
    deploy_resources_release(&u->resources);
    u->resources = now;
    return deploy_resources_purge(&u->server, &u->resources, e);
}

/* A run that was cut off may have deleted a DaemonSet whose pods still write on their nodes. */
static int wait_pods(const struct removal *u, const struct deploy_name *n, struct err **e)
{
    auto_json cJSON *unknown = cJSON_CreateObject();

    if (strcmp(n->kind->kind, "DaemonSet") != 0)
        return 0;
    return forgive(deploy_wait_gone(&u->server, n, unknown, deadline(), e), e);
}

static int delete_item(struct removal *u, struct deploy_item *item, struct err **e)
{
    int r = 0;

    if (item->action == DEPLOY_UNCHANGED)
        return item->live ? 0 : wait_pods(u, &item->name, e);
    if (is_crd(&item->name))
        r = purge(u, e);
    if (r == 0)
        r = forgive(deploy_item_apply(&u->server, item, deadline(), e), e);
    if (r == 0)
        show(u, "deleted", &item->name);
    return r;
}

/* All are asked before the first is waited for: the pods of each may take their grace period. */
static int ask_daemonsets(struct removal *u, struct err **e)
{
    int r = 0;

    for (size_t i = 0; i < u->plan.n_items && r == 0; i++) {
        const struct deploy_item *item = &u->plan.items[i];

        if (item->action == DEPLOY_DELETE && !strcmp(item->name.kind->kind, "DaemonSet"))
            r = deploy_delete(&u->server, &item->name, "Background", e);
    }
    return r;
}

/* What stays of the pod network is the cluster's own from now on. */
static int give_away(const struct removal *u, struct err **e)
{
    auto_json cJSON *patch = cJSON_CreateObject();
    cJSON *labels = cJSON_AddObjectToObject(cJSON_AddObjectToObject(patch, "metadata"), "labels");
    int r = 0;

    (void)cJSON_AddNullToObject(labels, DEPLOY_PART_KEY);
    (void)cJSON_AddNullToObject(labels, DEPLOY_MANAGER_KEY);
    for (size_t i = 0; i < u->inventory.n_names && r == 0; i++) {
        const struct deploy_name *n = &u->inventory.names[i];

        if (stays(u, n) && !is_crd(n))
            r = deploy_patch(&u->server, n, patch, KUBE_MERGE_PATCH, e);
        r = r == -ENOENT ? 0 : r;
    }
    return r;
}

/* Those that go before the DaemonSets (1), with them (0), or after them (-1). */
static int delete_items(struct removal *u, int side, struct err **e)
{
    int daemonsets = deploy_kind_find("DaemonSet")->rank, r = 0;

    for (size_t i = 0; i < u->plan.n_items && r == 0; i++) {
        int rank = u->plan.items[i].name.kind->rank;

        if ((rank > daemonsets) - (rank < daemonsets) == side)
            r = delete_item(u, &u->plan.items[i], e);
    }
    return r;
}

/* The nodes are cleaned when no DaemonSet is left that would write their configuration again. */
static int carry_out(struct removal *u, struct err **e)
{
    int r = delete_items(u, 1, e);

    if (r == 0)
        r = ask_daemonsets(u, e);
    if (r == 0)
        r = delete_items(u, 0, e);
    if (r == 0)
        r = clean_nodes(u, e);
    if (r == 0)
        r = delete_items(u, -1, e);
    if (r == 0)
        r = deploy_leftovers_delete(&u->server, e);
    if (r == 0)
        r = give_away(u, e);
    return r < 0 ? r : deploy_inventory_delete(&u->server, e);
}

static void tell_what_stays(const struct removal *u)
{
    int subnets = cJSON_GetArraySize(u->resources.subnets);
    int ips = cJSON_GetArraySize(u->resources.ips);

    if (!options.purges && (subnets || ips))
        log_info("%d MacvlanSubnet%s and %d MacvlanIP%s stay, and a later deploy finds them; "
                 "'--purge' removes them",
                 subnets, num_plural((size_t)subnets), ips, num_plural((size_t)ips));
    if (options.purges && u->resources.networks &&
        (size_t)cJSON_GetArraySize(u->resources.networks) > u->resources.n_own_networks)
        log_info("networks of others stay, and with them the CRD of "
                 "network-attachment-definitions");
}

static void print_json(struct removal *u, const struct err *e)
{
    auto_json cJSON *root = cJSON_CreateObject();
    auto_free char *text = NULL;

    json_add_int(root, "schemaVersion", 1);
    (void)cJSON_AddBoolToObject(root, "dryRun", options.is_dry);
    cJSON_AddItemToObject(root, "objects", u->report);
    u->report = NULL;
    json_add_str(root, "error", e ? err_text(e) : NULL);
    text = json_print(root);
    (void)printf("%s\n", text);
}

static int undeploy(struct removal *u, struct err **e)
{
    int r;

    if (!deploy_plan_count(&u->plan, DEPLOY_DELETE) && !u->inventory.live) {
        log_info("nothing of flatnet is deployed in '%s'", u->cluster.config.server);
        return 0;
    }
    if (takes_network(u))
        log_warn("flannel goes too: nodes without another pod network will not be Ready; "
                 "'--skip-flannel' leaves it");
    r = check(u, e);
    if (r == 0 && options.is_dry) {
        for (size_t i = 0; i < u->plan.n_items; i++)
            if (u->plan.items[i].action == DEPLOY_DELETE)
                show(u, "to delete", &u->plan.items[i].name);
        tell_what_stays(u);
        return 0;
    }
    if (r == 0)
        r = confirm(u, e);
    if (r < 0)
        return r;
    deploy_inventory_learn(&u->inventory, &u->plan);
    prepare_cleanup(u);
    u->inventory.is_begun = true;
    r = deploy_inventory_write(&u->server, &u->inventory, e);
    if (r == 0)
        r = carry_out(u, e);
    if (r == 0)
        tell_what_stays(u);
    return r;
}

static int run(struct removal *u, struct err **e)
{
    int r = cluster_open(&options.cluster, &u->cluster, e);

    if (r < 0)
        return r;
    deploy_server_init(&u->cluster, &u->server);
    r = deploy_inventory_read(&u->server, true, &u->inventory, e);
    if (r == 0)
        r = deploy_site_read(&u->server, &u->site, e);
    if (r == 0)
        r = deploy_resources_read(&u->server, &u->resources, e);
    if (r == 0)
        r = plan(u, e);
    if (r < 0)
        return r;
    u->report = cli_common.json ? cJSON_CreateArray() : NULL;
    r = undeploy(u, e);
    if (u->report)
        print_json(u, r < 0 ? *e : NULL);
    return r;
}

int cmd_undeploy(int argc, char **argv)
{
    struct removal u = {.report = NULL};
    auto_err struct err *e = NULL;
    char **args;
    int n_args, status = EXIT_OK, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r == 0)
        r = run(&u, &e);
    if (r < 0)
        status = cli_fail(&verb, e);
    removal_release(&u);
    return r == -EPERM ? EXIT_CHECKS : status;
}
