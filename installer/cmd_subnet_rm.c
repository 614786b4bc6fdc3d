/* flatnet subnet rm. */
#include "cli.h"

#include "buf.h"
#include "cmd_subnet.h"
#include "interrupt.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "netview.h"
#include "num.h"
#include "subnet_usage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAMED_MAX 10 /* pods in one message */
#define TEXT_MAX 8192
#define POLL_MS 200

static struct {
    struct cluster_options cluster;
    bool wait, dry_run;
    int timeout;
} options = {.timeout = 60};

static const struct cli_option option_table[] = {
    {"wait", 0, CLI_FLAG, NULL, &options.wait, "until they are gone"},
    {"timeout", 0, CLI_INT, "SECONDS", &options.timeout, "how long to wait (default 60)"},
    {"dry-run", 0, CLI_FLAG, NULL, &options.dry_run, "only say what would be removed"},
    CLUSTER_OPTIONS(options.cluster),
    {0},
};

static const struct cli_verb verb = {
    .path = "subnet rm",
    .args = "NAME... [--wait] [--dry-run]",
    .summary = "Removes subnets that nobody uses.",
    .text = "One whose addresses are in use stays, and so do all the others then.",
    .options = option_table,
    .min_args = 1,
    .max_args = -1,
};

int subnet_missing(const struct netview *v, const char *name, struct err **e)
{
    size_t n = (size_t)cJSON_GetArraySize(v->subnets), i = 0;
    auto_free const char **names = xcalloc(n + 1, sizeof(*names));
    const char *nearest;
    const cJSON *object;

    cJSON_ArrayForEach(object, v->subnets)
    {
        names[i++] = netview_name(object);
    }
    nearest = cli_nearest(name, names);
    return err_set(e, -ENOENT, "there is no subnet '%s'%s%s%s; 'flatnet subnet ls' lists them",
                   name, nearest ? " (is '" : "", nearest ? nearest : "",
                   nearest ? "' meant?)" : "");
}

/* --- who is in the way --- */

static bool is_in_the_way(const struct usage_row *row)
{
    return row->state != USAGE_RESERVED && row->state != USAGE_COOLING;
}

/* The names of the first few. How many there are. */
static size_t name_holders(const struct usage *u, struct buf *text)
{
    size_t n = 0;

    for (size_t i = 0; i < u->n_rows; i++) {
        const struct usage_row *row = &u->rows[i];

        if (!is_in_the_way(row))
            continue;
        if (n++ < NAMED_MAX)
            (void)buf_addf(text, "%s%s/%s", n > 1 ? ", " : "", row->namespace, row->pod);
    }
    if (n > NAMED_MAX)
        (void)buf_addf(text, " and %zu more", n - NAMED_MAX);
    return n;
}

static void warn_of_templates(const struct usage *u)
{
    for (size_t i = 0; i < u->n_rows; i++)
        if (u->rows[i].state == USAGE_RESERVED)
            log_warn("%s in namespace '%s' names addresses of subnet '%s'", u->rows[i].workload,
                     u->rows[i].namespace, u->subnet->name);
}

static int check(const struct netview *v, const char *name, struct err **e)
{
    const cJSON *object = netview_find(v->subnets, NULL, name);
    auto_usage struct usage u = {.n_rows = 0};
    auto_buf struct buf holders;
    size_t n;
    int r;

    buf_init(&holders, TEXT_MAX);
    if (!object)
        return subnet_missing(v, name, e);
    r = usage_make(v, object, &u, e);
    if (r < 0)
        return r;
    n = name_holders(&u, &holders);
    if (n)
        return err_set(e, -EBUSY,
                       "subnet '%s' stays, since %zu address%s in use: %s; delete these workloads "
                       "first, or move them by 'flatnet workload enable --subnet'",
                       name, n, n == 1 ? " is" : "es are", holders.data);
    warn_of_templates(&u);
    return 0;
}

/* --- removing --- */

static int remove_one(struct cluster *c, const cJSON *object, struct err **e)
{
    auto_free char *path = xasprintf("%s/%s", SUBNETS_PATH, netview_name(object));
    auto_json cJSON *body = cJSON_CreateObject();
    struct kube_request request = {.method = "DELETE", .path = path, .body = body};
    int r;

    /* Another one of that name is not ours to remove. */
    json_add_str(cJSON_AddObjectToObject(body, "preconditions"), "uid", netview_uid(object));
    r = kube_do(c->kube, &request, NULL, e);
    if (r == -ENOENT)
        return 0;
    return r < 0 ? err_wrap(e, "subnet '%s'", netview_name(object)) : 0;
}

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int wait_gone(struct cluster *c, const cJSON *object, struct err **e)
{
    auto_free char *path = xasprintf("%s/%s", SUBNETS_PATH, netview_name(object));
    int64_t end = now_ms() + (int64_t)options.timeout * 1000;

    for (;;) {
        auto_json cJSON *now = NULL;
        int r = kube_get(c->kube, path, &now, e);

        if (r == -ENOENT || (r == 0 && strcmp(netview_uid(now), netview_uid(object)) != 0))
            return 0;
        if (r == 0)
            r = interrupt_check(e);
        if (r == 0 && now_ms() >= end)
            r = err_set(e, -ETIMEDOUT,
                        "subnet '%s' is still there after %d s; 'flatnet subnet show %s' says who "
                        "has its addresses",
                        netview_name(object), options.timeout, netview_name(object));
        if (r < 0)
            return r;
        (void)nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    }
}

static void print(char **names)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *list;

    if (!cli_common.json) {
        for (; *names; names++)
            (void)printf("subnet '%s' %s\n", *names,
                         options.dry_run ? "would be removed"
                         : options.wait  ? "is gone"
                                         : "is being removed");
        return;
    }
    json_add_int(root, "schemaVersion", SUBNET_SCHEMA);
    (void)cJSON_AddBoolToObject(root, "dryRun", options.dry_run);
    list = cJSON_AddArrayToObject(root, "removed");
    for (; *names; names++)
        (void)cJSON_AddItemToArray(list, cJSON_CreateString(*names));
    subnet_print_json(root);
}

static int rm(char **names, struct err **e)
{
    const unsigned parts =
        NETVIEW_SUBNETS | NETVIEW_IPS | NETVIEW_PODS | NETVIEW_WORKLOADS | NETVIEW_CONTROLLER;
    auto_cluster struct cluster c = {.kube = NULL};
    auto_netview struct netview v = {.subnets = NULL};
    int r = cluster_open(&options.cluster, &c, e);

    if (r == 0)
        r = netview_read(&c, parts, NULL, &v, e);
    for (char **name = names; *name && r == 0; name++)
        r = check(&v, *name, e);
    for (char **name = names; *name && r == 0 && !options.dry_run; name++)
        r = remove_one(&c, netview_find(v.subnets, NULL, *name), e);
    for (char **name = names; *name && r == 0 && options.wait && !options.dry_run; name++)
        r = wait_gone(&c, netview_find(v.subnets, NULL, *name), e);
    if (r == 0)
        print(names);
    return r;
}

int cmd_subnet_rm(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r == 0)
        r = rm(args, &e);
    else if (r > 0)
        r = EXIT_OK;
    return r < 0 ? cli_fail(&verb, e) : r;
}
