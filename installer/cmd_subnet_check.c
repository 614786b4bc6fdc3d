/* flatnet subnet check. */
#include "cli.h"

#include "cmd_subnet.h"
#include "interrupt.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "netcheck.h"
#include "num.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 4 /* looks at what may be gone in a moment */
#define PAUSE_MS 500

static struct cluster_options options;

static const struct cli_option option_table[] = {
    CLUSTER_OPTIONS(options),
    {0},
};

static const struct cli_verb verb = {
    .path = "subnet check",
    .args = "[NAME...]",
    .summary = "Looks for what is wrong with the flat network of a cluster.",
    .text = "Subnets that overlap, addresses without a pod or with two, pods that wait and why,\n"
            "services with the wrong endpoints, and more. Exit status 3: something was found.",
    .options = option_table,
    .min_args = 0,
    .max_args = -1,
};

/* One look at the cluster. */
struct look {
    struct netview view;
    struct netcheck check;
};

static void look_release(struct look *l)
{
    netcheck_release(&l->check);
    netview_release(&l->view);
}

static int look(struct cluster *c, char *const *names, struct look *out, struct err **e)
{
    int r = netview_read(c, NETVIEW_ALL, NULL, &out->view, e);

    for (; *names && r == 0; names++)
        if (!netview_find(out->view.subnets, NULL, *names))
            r = subnet_missing(&out->view, *names, e);
    return r;
}

static void judge(struct look *l, char *const *names)
{
    l->check.v = &l->view;
    l->check.names = names;
    l->check.now_s = (int64_t)time(NULL);
    netcheck_run(&l->check);
}

/* Objects are read and written one after the other, so that what does not fit together is looked
 * for again: it counts when it stays. */
static int look_again(struct cluster *c, char *const *names, struct look *first, struct err **e)
{
    int r = 0;

    for (int i = 1; i < ROUNDS && r == 0 && netcheck_has_passing(&first->check); i++) {
        struct look next = {.view = {.subnets = NULL}};

        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
        r = interrupt_check(e);
        if (r == 0)
            r = look(c, names, &next, e);
        if (r == 0) {
            judge(&next, names);
            netcheck_confirm(&first->check, &next.check);
        }
        look_release(&next);
    }
    return r;
}

/* --- output --- */

static const char *const levels[] = {"error", "warning"};

static void print_json(const struct netcheck *n)
{
    auto_json cJSON *root = cJSON_CreateObject();
    cJSON *list;

    json_add_int(root, "schemaVersion", SUBNET_SCHEMA);
    list = cJSON_AddArrayToObject(root, "findings");
    for (size_t i = 0; i < n->n_findings; i++) {
        const struct netcheck_finding *f = &n->findings[i];
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "level", levels[f->level]);
        json_add_str(item, "code", f->code);
        json_add_str(item, "subject", f->subject);
        json_add_str(item, "cause", f->cause);
        json_add_str(item, "mend", f->mend);
        (void)cJSON_AddItemToArray(list, item);
    }
    json_add_int(root, "errors", (int64_t)netcheck_count(n, NETCHECK_ERROR));
    json_add_int(root, "warnings", (int64_t)netcheck_count(n, NETCHECK_WARNING));
    subnet_print_json(root);
}

static void print_text(const struct look *l)
{
    const struct netcheck *n = &l->check;
    size_t errors = netcheck_count(n, NETCHECK_ERROR);
    size_t warnings = netcheck_count(n, NETCHECK_WARNING);
    size_t subnets = (size_t)cJSON_GetArraySize(l->view.subnets);
    size_t ips = (size_t)cJSON_GetArraySize(l->view.ips);
    size_t pods = (size_t)cJSON_GetArraySize(l->view.pods);

    for (size_t i = 0; i < n->n_findings; i++) {
        const struct netcheck_finding *f = &n->findings[i];

        (void)printf("%s: %s: %s\n  mend: %s\n", levels[f->level], f->subject, f->cause, f->mend);
    }
    log_info("%zu subnet%s, %zu address%s, %zu pod%s: %zu error%s, %zu warning%s", subnets,
             num_plural(subnets), ips, ips == 1 ? "" : "es", pods, num_plural(pods), errors,
             num_plural(errors), warnings, num_plural(warnings));
}

static int check(char *const *names, struct err **e)
{
    auto_cluster struct cluster c = {.kube = NULL};
    struct look first = {.view = {.subnets = NULL}};
    int r = cluster_open(&options, &c, e);

    if (r == 0)
        r = look(&c, names, &first, e);
    if (r == 0) {
        judge(&first, names);
        r = look_again(&c, names, &first, e);
    }
    if (r == 0 && cli_common.json)
        print_json(&first.check);
    else if (r == 0)
        print_text(&first);
    if (r == 0 && (netcheck_count(&first.check, NETCHECK_ERROR) ||
                   netcheck_count(&first.check, NETCHECK_WARNING)))
        r = EXIT_CHECKS;
    look_release(&first);
    return r;
}

int cmd_subnet_check(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int n_args, r = cli_parse(&verb, argc, argv, &args, &n_args, &e);

    if (r == 0)
        r = check(args, &e);
    else if (r > 0)
        r = EXIT_OK;
    return r < 0 ? cli_fail(&verb, e) : r;
}
