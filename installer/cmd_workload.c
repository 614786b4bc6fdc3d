/* flatnet workload enable and disable. */
#include "cli.h"

#include "buf.h"
#include "cmd_workload.h"
#include "json.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIFF_MAX (1u << 20)
#define ATTEMPTS 5 /* when others write the workload meanwhile */

static struct {
    struct cluster_options cluster;
    const char *namespace, *mode;
    struct workload_ask ask;
    bool dry_run;
} options = {.namespace = "default"};

#define NAMESPACE_OPTION                                                                           \
    {                                                                                              \
        "namespace", 'n', CLI_STRING, "NAME", &options.namespace,                                  \
            "where the workload is (default: default)"                                             \
    }
#define DRY_RUN_OPTION                                                                             \
    {                                                                                              \
        "dry-run", 0, CLI_FLAG, NULL, &options.dry_run, "only show what would be changed"          \
    }

static const struct cli_option enable_table[] = {
    NAMESPACE_OPTION,
    {"subnet", 0, CLI_STRING, "NAME", &options.ask.subnet, "which the addresses are of"},
    {"ip", 0, CLI_STRING, "auto|LIST", &options.ask.ip, "addresses with commas (default: auto)"},
    {"mac", 0, CLI_STRING, "LIST", &options.ask.mac,
     "MACs with commas, the first for the first address (default: ours)"},
    {"mode", 0, CLI_STRING, "multus|chained", &options.mode,
     "how the plugin is called (default: as the cluster is set up)"},
    DRY_RUN_OPTION,
    CLUSTER_OPTIONS(options.cluster),
    {0},
};

static const struct cli_option disable_table[] = {
    NAMESPACE_OPTION,
    DRY_RUN_OPTION,
    CLUSTER_OPTIONS(options.cluster),
    {0},
};

static const struct cli_verb enable_verb = {
    .path = "workload enable",
    .args = "KIND/NAME --subnet NAME [-n NAMESPACE] [--ip LIST] [--mac LIST]",
    .summary = "Gives the pods of a workload an interface in a subnet.",
    .text =
        "Sets what Rancher's form sets: annotations of the pod template, labels of the workload,\n"
        "and with fixed addresses the strategy that stops a pod before it starts the next. The\n"
        "pods are then replaced, as after any change of their template.",
    .options = enable_table,
    .min_args = 1,
    .max_args = 2,
};

static const struct cli_verb disable_verb = {
    .path = "workload disable",
    .args = "KIND/NAME [-n NAMESPACE]",
    .summary = "Takes out what enable has put in.",
    .options = disable_table,
    .min_args = 1,
    .max_args = 2,
};

struct run {
    const struct cli_verb *verb;
    bool is_enable;
    struct workload_ref ref;
    struct cluster cluster;
    struct netview view;
    cJSON *object, *patch;
    char *path;
    bool is_changed;
};

int workload_get(struct cluster *c, const struct workload_ref *ref, const char *namespace,
                 cJSON **out, char **out_path, struct err **e)
{
    const char *const apis[] = {ref->kind->api, ref->kind->other_api};
    int r = -ENOENT;

    if (!kube_name_is_valid(namespace) || strchr(namespace, '.'))
        return err_set(e, -EINVAL, "'--namespace' takes the name of a namespace, not '%.100s'",
                       namespace);
    for (size_t i = 0; i < 2 && apis[i] && r == -ENOENT; i++) {
        auto_free char *path =
            xasprintf("%s/namespaces/%s/%s/%s", apis[i], namespace, ref->kind->words, ref->name);

        r = kube_get(c->kube, path, out, e);
        if (r == 0)
            *out_path = take(path);
    }
    if (r == -ENOENT)
        return err_set(e, r, "there is no %s '%s' in namespace '%s'; '-n' names another one",
                       ref->kind->word, ref->name, namespace);
    return r;
}

/* --- what has to be changed --- */

static int read_mode(struct run *run, struct err **e)
{
    const char *mode = options.mode;

    if (mode && strcmp(mode, "multus") && strcmp(mode, "chained"))
        return err_set(e, -EINVAL, "'--mode' takes multus or chained, not '%s'", mode);
    options.ask.is_multus = mode ? !strcmp(mode, "multus") : run->view.is_multus;
    return 0;
}

static int read_view(struct run *run, struct err **e)
{
    const unsigned parts = NETVIEW_SUBNETS | NETVIEW_IPS | NETVIEW_PODS | NETVIEW_WORKLOADS |
                           NETVIEW_CONTROLLER | NETVIEW_SPACES;

    return run->is_enable ? netview_read(&run->cluster, parts, NULL, &run->view, e) : 0;
}

static int make_patch(struct run *run, struct err **e)
{
    const struct netview_kind *kind = run->ref.kind;
    int r;

    cJSON_Delete(take(run->object));
    cJSON_Delete(take(run->patch));
    free(take(run->path));
    r = workload_get(&run->cluster, &run->ref, options.namespace, &run->object, &run->path, e);
    if (r == 0 && run->is_enable)
        r = workload_check(&run->view, &run->ref, run->object, &options.ask, e);
    if (r < 0)
        return r;
    r = run->is_enable ? workload_enable(kind, run->object, &options.ask, &run->patch, e)
                       : workload_disable(kind, run->object, &run->patch, e);
    if (r == 0)
        run->is_changed = workload_patch_trim(run->object, run->patch);
    return r;
}

static int send_patch(struct run *run, struct err **e)
{
    struct kube_request request = {.method = "PATCH",
                                   .path = run->path,
                                   .body = run->patch,
                                   .content = KUBE_MERGE_PATCH};

    return kube_do(run->cluster.kube, &request, NULL, e);
}

/* Its status is written all the time while pods come and go. */
static int change(struct run *run, struct err **e)
{
    int r = make_patch(run, e);

    for (int i = 0; r == 0 && run->is_changed && !options.dry_run; i++) {
        r = send_patch(run, e);
        if (r != -EAGAIN)
            break;
        if (i + 1 == ATTEMPTS)
            return err_set(e, -EAGAIN,
                           "%s '%s' was changed by others %d times meanwhile; try again later",
                           run->ref.kind->word, run->ref.name, ATTEMPTS);
        r = make_patch(run, e);
    }
    return r;
}

/* --- output --- */

static int print_text(const struct run *run, struct err **e)
{
    const char *kind = run->ref.kind->word, *name = run->ref.name;
    auto_buf struct buf diff;

    buf_init(&diff, DIFF_MAX);
    if (!run->is_changed) {
        (void)printf("%s/%s unchanged\n", kind, name);
        return 0;
    }
    if (!options.dry_run) {
        (void)printf("%s/%s %s\n", kind, name, run->is_enable ? "enabled" : "disabled");
        return 0;
    }
    if (workload_patch_diff(run->object, run->patch, &diff) < 0)
        return err_set(e, -EFBIG, "too much to show");
    (void)printf("%s", diff.data);
    return 0;
}

static void print_json(const struct run *run)
{
    auto_json cJSON *root = cJSON_CreateObject();

    json_add_int(root, "schemaVersion", SUBNET_SCHEMA);
    json_add_str(root, "kind", run->ref.kind->kind);
    json_add_str(root, "namespace", options.namespace);
    json_add_str(root, "name", run->ref.name);
    (void)cJSON_AddBoolToObject(root, "dryRun", options.dry_run);
    (void)cJSON_AddBoolToObject(root, "changed", run->is_changed);
    if (run->is_changed)
        (void)cJSON_AddItemToObject(root, "patch", cJSON_Duplicate(run->patch, 1));
    subnet_print_json(root);
}

static int go(struct run *run, char **args, int n_args, struct err **e)
{
    int r = workload_ref_parse(args, n_args, &run->ref, e);

    if (r == 0 && run->is_enable && !options.ask.subnet)
        r = err_set(e, -EINVAL, "'--subnet' is missing; 'flatnet subnet ls' lists them");
    if (r == 0)
        r = read_mode(run, e);
    if (r == 0)
        r = cluster_open(&options.cluster, &run->cluster, e);
    if (r == 0)
        r = read_view(run, e);
    if (r == 0)
        r = read_mode(run, e);
    if (r == 0)
        r = change(run, e);
    if (r < 0)
        return r;
    if (!cli_common.json)
        return print_text(run, e);
    print_json(run);
    return 0;
}

static int run_verb(struct run *run, int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(run->verb, argc, argv, &args, &n_args, &e);

    if (r == 0)
        r = go(run, args, n_args, &e);
    else if (r > 0)
        r = EXIT_OK;
    cJSON_Delete(run->object);
    cJSON_Delete(run->patch);
    free(run->path);
    netview_release(&run->view);
    cluster_close(&run->cluster);
    return r < 0 ? cli_fail(run->verb, e) : r;
}

int cmd_workload_enable(int argc, char **argv)
{
    struct run run = {.verb = &enable_verb, .is_enable = true};

    return run_verb(&run, argc, argv);
}

int cmd_workload_disable(int argc, char **argv)
{
    struct run run = {.verb = &disable_verb};

    return run_verb(&run, argc, argv);
}
