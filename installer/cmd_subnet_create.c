/* flatnet subnet create. */
#include "cli.h"

#include "cmd_subnet.h"
#include "fs.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "netview.h"
#include "subnet_spec.h"
#include "yamljson.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KUBE_SINCE_DRY_RUN 13
#define FILE_MAX YAMLTREE_MAX_SIZE

static struct {
    struct subnet_flags flags;
    struct cluster_options cluster;
    const char *file, *dry_run, *format;
} options;

static const struct cli_option option_table[] = {
    {"master", 0, CLI_STRING, "NIC", &options.flags.master,
     "the nodes' NIC that the pods stand on"},
    {"vlan", 0, CLI_STRING, "ID", &options.flags.vlan, "1 to 4094; 0: no tag (default)"},
    {"cidr", 0, CLI_STRING, "NET", &options.flags.cidr, "the network, such as 10.1.0.0/16"},
    {"gateway", 0, CLI_STRING, "ADDR", &options.flags.gateway,
     "default: the first address of the network"},
    {"range", 0, CLI_LIST, "A-B", &options.flags.ranges,
     "give out these only (several times; default: the whole network)"},
    {"route", 0, CLI_LIST, "ROUTE", &options.flags.routes,
     "of the pods: DST[,via GATEWAY][,dev eth0|eth1] (several times)"},
    {"pod-default-gateway", 0, CLI_FLAG, NULL, &options.flags.has_default_route,
     "the pods' default route goes by this gateway"},
    {"service-cidr", 0, CLI_STRING, "NET", &options.flags.service_cidr,
     "what stays on eth0 then: the network of the services"},
    {"ip-delay-reuse", 0, CLI_STRING, "SECONDS", &options.flags.delay,
     "how long an address rests after its pod"},
    {"mode", 0, CLI_STRING, "MODE", &options.flags.mode,
     "bridge (default), private, vepa, passthru"},
    {"mtu", 0, CLI_STRING, "BYTES", &options.flags.mtu, "default: that of the NIC"},
    {"project", 0, CLI_STRING, "ID", &options.flags.project,
     "Rancher's project that may use it (default: all)"},
    {"ipv6to4", 0, CLI_FLAG, NULL, &options.flags.is_ipv6to4, "pods get their 6to4 address too"},
    {"from-file", 'f', CLI_STRING, "FILE", &options.file,
     "YAML or JSON with subnets, in place of the options above (-: standard input)"},
    {"dry-run", 0, CLI_STRING, "client|server", &options.dry_run,
     "only print what would be sent; server: and let the server check it"},
    {"format", 0, CLI_STRING, "text|yaml|json", &options.format,
     "how results are written to stdout"},
    CLUSTER_OPTIONS(options.cluster),
    {0},
};

static const struct cli_verb verb = {
    .path = "subnet create",
    .args = "NAME --master NIC --cidr NET [options] | --from-file FILE",
    .summary = "Makes subnets that pods can get addresses of.",
    .text =
        "Everything is checked first, by the controller's rules; then all are made, or none. One\n"
        "that is there already, just so, is left alone.",
    .options = option_table,
    .min_args = 0,
    .max_args = 1,
};

struct wanted {
    cJSON *object; /* borrowed from the list */
    struct subnet *subnet;
    bool is_there;
};

struct run {
    struct cluster cluster;
    cJSON *objects; /* to be made */
    struct netview view;
    struct wanted *wanted;
    size_t n_wanted;
    bool is_client, is_server; /* the two dry runs */
};

void subnet_print_json(const cJSON *root)
{
    auto_free char *text = json_print(root);

    (void)printf("%s\n", text);
}

/* --- what is wanted --- */

static int read_options(struct run *run, struct err **e)
{
    const char *format = options.format ? options.format : "text";
    const char *dry_run = options.dry_run;

    if (strcmp(format, "text") && strcmp(format, "yaml") && strcmp(format, "json"))
        return err_set(e, -EINVAL, "'--format' takes text, yaml or json, not '%s'", format);
    cli_common.json = !strcmp(format, "json");
    if (dry_run && strcmp(dry_run, "client") && strcmp(dry_run, "server"))
        return err_set(e, -EINVAL, "'--dry-run' takes client or server, not '%s'", dry_run);
    run->is_client = dry_run && !strcmp(dry_run, "client");
    run->is_server = dry_run && !strcmp(dry_run, "server");
    return 0;
}

static int read_wanted(struct run *run, char **args, struct err **e)
{
    auto_buf struct buf text;
    cJSON *object = NULL;
    int r;

    buf_init(&text, FILE_MAX + 1);
    if (options.file && (*args || subnet_flags_any(&options.flags)))
        return err_set(e, -EINVAL, "'--from-file' takes neither a NAME nor options of the subnet");
    if (options.file) {
        r = fs_read_file(options.file, &text, e);
        return r < 0 ? r : subnet_spec_read(options.file, text.data, text.len, run->objects, e);
    }
    if (!*args)
        return err_set(e, -EINVAL, "a NAME or '--from-file' is missing: flatnet %s %s", verb.path,
                       verb.args);
    r = subnet_spec_build(*args, &options.flags, &object, e);
    if (r == 0)
        (void)cJSON_AddItemToArray(run->objects, object);
    return r;
}

static int check_wanted(struct run *run, struct err **e)
{
    cJSON *object;

    cJSON_ArrayForEach(object, run->objects)
    {
        struct wanted w = {.object = object};
        int r = subnet_spec_check(object, !options.file, &w.subnet, e);

        if (r < 0)
            return r;
        array_grow(run->wanted, run->n_wanted);
        run->wanted[run->n_wanted++] = w;
    }
    return 0;
}

/* --- against each other and what is there --- */

static int check_pair(const struct subnet *s, const struct subnet *other, struct err **e)
{
    if (subnet_check_overlap(s, other, e) < 0)
        return err_wrap(e, "subnet '%s'", s->name);
    return 0;
}

static int check_each_other(const struct run *run, struct err **e)
{
    for (size_t i = 0; i < run->n_wanted; i++)
        for (size_t k = 0; k < i; k++) {
            const struct subnet *a = run->wanted[i].subnet, *b = run->wanted[k].subnet;

            if (!strcmp(a->name, b->name))
                return err_set(e, -EINVAL, "%s: subnet '%s' stands there twice", options.file,
                               a->name);
            if (check_pair(a, b, e) < 0)
                return -EEXIST;
        }
    return 0;
}

static int refuse_other(const struct subnet *there, const char *differs, struct err **e)
{
    if (there->is_deleting)
        return err_set(e, -EEXIST,
                       "subnet '%s' is being deleted; wait until it is gone: flatnet subnet rm "
                       "--wait %s",
                       there->name, there->name);
    return err_set(e, -EEXIST,
                   "subnet '%s' is there already, with another '%s'; change it by 'kubectl edit "
                   "macvlansubnet -n %s %s', or remove it first: flatnet subnet rm %s",
                   there->name, differs, SUBNET_SPEC_NAMESPACE, there->name, there->name);
}

static int check_existing(struct run *run, struct wanted *w, struct err **e)
{
    const cJSON *object;

    cJSON_ArrayForEach(object, run->view.subnets)
    {
        auto_subnet struct subnet *there = NULL;
        const char *differs;

        if (subnet_parse(object, false, &there, NULL) < 0)
            continue;
        if (strcmp(there->name, w->subnet->name) != 0) {
            if (there->is_valid && check_pair(w->subnet, there, e) < 0)
                return -EEXIST;
            continue;
        }
        differs = subnet_spec_differs(w->subnet, there);
        if (differs || there->is_deleting)
            return refuse_other(there, differs, e);
        w->is_there = true;
    }
    return 0;
}

static int compare(struct run *run, struct err **e)
{
    int r = check_each_other(run, e);

    if (r < 0 || run->is_client)
        return r;
    r = cluster_open(&options.cluster, &run->cluster, e);
    if (r == 0 && run->is_server && run->cluster.minor < KUBE_SINCE_DRY_RUN)
        r = err_set(e, -ENOTSUP,
                    "Kubernetes 1.%d would make the subnets in spite of '--dry-run=server'; use "
                    "'--dry-run=client'",
                    run->cluster.minor);
    if (r == 0)
        r = netview_read(&run->cluster, NETVIEW_SUBNETS, NULL, &run->view, e);
    for (size_t i = 0; i < run->n_wanted && r == 0; i++)
        r = check_existing(run, &run->wanted[i], e);
    return r;
}

/* --- making them --- */

static int make(struct run *run, struct wanted *w, struct err **e)
{
    struct kube_request request = {
        .method = "POST",
        .path = run->is_server ? SUBNETS_PATH "?dryRun=All" : SUBNETS_PATH,
        .body = w->object,
    };
    cJSON *made = NULL;
    int r = kube_do(run->cluster.kube, &request, &made, e);

    if (r < 0)
        return err_wrap(e, "subnet '%s'", w->subnet->name);
    (void)cJSON_ReplaceItemViaPointer(run->objects, w->object, made);
    w->object = made;
    return 0;
}

static const char *action_of(const struct run *run, const struct wanted *w)
{
    if (w->is_there)
        return "unchanged";
    return run->is_client || run->is_server ? "would be created" : "created";
}

static void print_text(const struct run *run, const struct wanted *w)
{
    const struct subnet *s = w->subnet;
    char net[IP_NET_TEXT_SIZE], gateway[IP_TEXT_SIZE];

    (void)printf("subnet '%s' %s: master %s, VLAN %u, %s, gateway %s\n", s->name, action_of(run, w),
                 s->master, s->vlan, ip_net_format(s->cidr, net),
                 s->gateway.family ? ip_format(s->gateway, gateway) : "none");
}

static int print_yaml(const struct run *run, struct err **e)
{
    auto_buf struct buf text;

    buf_init(&text, 2 * FILE_MAX);
    for (size_t i = 0; i < run->n_wanted; i++) {
        (void)buf_addstr(&text, i ? "---\n" : "");
        if (yamljson_print(run->wanted[i].object, &text) < 0)
            return err_set(e, -EFBIG, "too much to print");
    }
    (void)printf("%s", text.data);
    return 0;
}

static void print_json(const struct run *run, size_t n)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *list;

    json_add_int(root, "schemaVersion", SUBNET_SCHEMA);
    json_add_str(root, "dryRun", options.dry_run ? options.dry_run : "none");
    list = cJSON_AddArrayToObject(root, "subnets");
    for (size_t i = 0; i < n; i++) {
        const struct wanted *w = &run->wanted[i];
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "name", w->subnet->name);
        json_add_str(item, "action",
                     w->is_there       ? "unchanged"
                     : options.dry_run ? "create"
                                       : "created");
        (void)cJSON_AddItemToObject(item, "object", cJSON_Duplicate(w->object, 1));
        (void)cJSON_AddItemToArray(list, item);
    }
    subnet_print_json(root);
}

static int make_all(struct run *run, struct err **e)
{
    bool wants_yaml = options.format ? !strcmp(options.format, "yaml") : options.dry_run != NULL;
    size_t done = 0;
    int r = 0;

    for (; done < run->n_wanted && r == 0; done++) {
        struct wanted *w = &run->wanted[done];

        if (!run->is_client && !w->is_there)
            r = make(run, w, e);
        if (r == 0 && !cli_common.json && !wants_yaml)
            print_text(run, w);
    }
    done -= r < 0;
    if (cli_common.json)
        print_json(run, done);
    else if (wants_yaml && r == 0)
        r = print_yaml(run, e);
    if (r < 0 && done && !options.dry_run) {
        log_error("%s", err_text(*e));
        return EXIT_PARTIAL;
    }
    return r;
}

static int create(struct run *run, char **args, struct err **e)
{
    int r = read_options(run, e);

    if (r == 0)
        r = read_wanted(run, args, e);
    if (r == 0)
        r = check_wanted(run, e);
    if (r == 0)
        r = compare(run, e);
    return r < 0 ? r : make_all(run, e);
}

int cmd_subnet_create(int argc, char **argv)
{
    struct run run = {.objects = cJSON_CreateArray()};
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r == 0)
        r = create(&run, args, &e);
    else if (r > 0)
        r = EXIT_OK;
    cluster_close(&run.cluster);
    for (size_t i = 0; i < run.n_wanted; i++)
        subnet_free(run.wanted[i].subnet);
    free(run.wanted);
    cJSON_Delete(run.objects);
    netview_release(&run.view);
    cli_list_release(&options.flags.ranges);
    cli_list_release(&options.flags.routes);
    return r < 0 ? cli_fail(&verb, e) : r;
}
