/* flatnet doctor: what support asks for, in one file. */
#include "cluster.h"
#include "doctor.h"
#include "interrupt.h"
#include "json.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <time.h>

static struct cluster_options where;
static const char *output;
static bool no_host;
static int log_lines = 500;

static const struct cli_option table[] = {
    CLUSTER_OPTIONS(where),
    {"output", 'o', CLI_STRING, "FILE", &output,
     "where to write (flatnet-doctor-HOST-TIME.tar in this folder)"},
    {"no-host", 0, CLI_FLAG, NULL, &no_host, "this host is no part of the cluster: leave it out"},
    {"log-lines", 0, CLI_INT, "N", &log_lines, "the last lines of each container's log (500)"},
    {0},
};

static const struct cli_verb verb = {
    .path = "doctor",
    .args = "[-o FILE] [options]",
    .summary = "gather what support asks for into one file, without secrets",
    .text =
        "Runs the checks of 'host check', 'host iface', 'test node', 'status' and 'subnet\n"
        "check', and adds objects, events, logs and configurations. Tokens, passwords, private\n"
        "keys and Secrets are left out; look at the file before you hand it on all the same.\n\n"
        "Exit status: 0 all is in it, 5 something could not be had; summary.txt says what.",
    .options = table,
};

static void print(const char *path, const struct doctor_items *d)
{
    auto_json cJSON *root = NULL;
    auto_free char *text = NULL;
    cJSON *list;

    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].problem)
            log_warn("%s: %s", d->items[i].name, d->items[i].problem);
    if (!cli_common.json) {
        (void)printf("%s\n", path);
        log_info("%zu parts, %zu of them not complete", d->count, d->n_problems);
        return;
    }
    root = cJSON_CreateObject();
    json_add_int(root, "schemaVersion", 1);
    json_add_str(root, "file", path);
    list = cJSON_AddArrayToObject(root, "parts");
    for (size_t i = 0; i < d->count; i++) {
        cJSON *item = cJSON_CreateObject();

        json_add_str(item, "name", d->items[i].name);
        json_add_int(item, "size", (int64_t)d->items[i].size);
        json_add_str(item, "problem", d->items[i].problem);
        cJSON_AddItemToArray(list, item);
    }
    text = json_print(root);
    (void)printf("%s\n", text);
}

/* A cluster that cannot be asked is no reason not to look at the host. */
static int open_cluster(struct cluster *c, struct err **why)
{
    int r = cluster_open(&where, c, why);

    return r == -EINVAL || r == -ECANCELED ? r : 0;
}

static int run(struct err **e)
{
    auto_cluster struct cluster c = {.kube = NULL};
    auto_err struct err *why = NULL;
    struct doctor_items items = {.count = 0};
    struct utsname u = {.nodename = "host"};
    struct tm now;
    char stamp[32];
    time_t seconds = time(NULL);
    auto_free char *folder = NULL, *path = NULL;
    int r;

    if (log_lines < 1 || log_lines > 100000)
        return err_set(e, -EINVAL, "'--log-lines' takes 1 to 100000, not %d", log_lines);
    r = open_cluster(&c, &why);
    if (r < 0)
        return err_set(e, r, "%s", err_text(why));
    if (no_host && why)
        return err_set(e, why->status, "%s", why->msg);
    (void)uname(&u);
    (void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&seconds, &now));
    folder = xasprintf("flatnet-doctor-%.30s-%s", u.nodename, stamp);
    path = output ? xstrdup(output) : xasprintf("%s.tar", folder);
    r = doctor_collect(&(struct doctor_options){.kubeconfig = where.kubeconfig,
                                                .context = where.context,
                                                .kube = why ? NULL : c.kube,
                                                .why_no_cluster = why ? why->msg : NULL,
                                                .with_host = !no_host,
                                                .log_lines = log_lines},
                       folder, path, &items, e);
    if (r == 0 && why)
        log_warn("the cluster is not in it: %s", why->msg);
    if (r == 0) {
        print(path, &items);
        r = items.n_problems || (why && where.kubeconfig) ? EXIT_PARTIAL : EXIT_OK;
    }
    doctor_items_release(&items);
    return r;
}

int cmd_doctor(int argc, char **argv)
{
    auto_err struct err *e = NULL;
    char **args;
    int count, r = cli_parse(&verb, argc, argv, &args, &count, &e);

    if (r == 1)
        return EXIT_OK;
    interrupt_init();
    if (r == 0)
        r = run(&e);
    return r < 0 ? cli_fail(&verb, e) : r;
}
