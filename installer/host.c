/* The facts that all items share, and the run over the items. */
#include "host.h"

#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define TEXT_MAX 8192

/* --- gathering --- */

static unsigned role_of(const char *name, size_t len)
{
    static const struct {
        const char *name;
        unsigned role;
    } names[] = {{"controlplane", HOST_CONTROLPLANE},
                 {"etcd", HOST_ETCD},
                 {"worker", HOST_WORKER},
                 {"all", HOST_ALL_ROLES}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i].name) == len && !memcmp(names[i].name, name, len))
            return names[i].role;
    return 0;
}

/* Roles come as "a,b" and as several options. */
static int read_roles(const struct cli_list *roles, unsigned *out, struct err **e)
{
    *out = roles->count ? 0 : HOST_ALL_ROLES;
    for (size_t i = 0; i < roles->count; i++) {
        const char *p = roles->items[i];

        for (size_t len; p; p = p[len] ? p + len + 1 : NULL) {
            unsigned role;

            len = strcspn(p, ",");
            role = role_of(p, len);
            if (!role)
                return err_set(e, -EINVAL,
                               "'--role' takes controlplane, etcd, worker or all, not '%.*s'",
                               (int)len, p);
            *out |= role;
        }
    }
    return 0;
}

static int check_cidr(const char *option, const char *text, struct err **e)
{
    uint8_t bytes[NET_ADDR_BYTES];
    int prefix;

    if (net_cidr_parse(text, bytes, &prefix) < 0)
        return err_set(e, -EINVAL, "'--%s' takes a network like 10.42.0.0/16, not '%s'", option,
                       text);
    return 0;
}

static void add_master(struct host *h, const char *name)
{
    array_grow(h->masters, h->n_masters);
    h->masters[h->n_masters++] = xstrdup(name);
}

/* The document's hosts have one NIC: that of the default route. */
static void guess_master(struct host *h)
{
    for (size_t i = 0; i < h->net.n_routes; i++) {
        const struct net_route *route = &h->net.routes[i];
        const struct net_link *link = net_link_indexed(&h->net, route->link);

        if (route->family != AF_INET || route->prefix || route->table != 254 || !link)
            continue;
        add_master(h, link->name);
        h->masters_guessed = true;
        return;
    }
}

static int read_masters(struct host *h, struct err **e)
{
    const struct cli_list *given = &h->options->masters;

    for (size_t i = 0; i < given->count; i++) {
        size_t len = strlen(given->items[i]);

        if (!len || len >= IFNAMSIZ || strpbrk(given->items[i], "/ \t\n") ||
            given->items[i][0] == '.')
            return err_set(e, -EINVAL, "'--master' takes the name of an interface, not '%s'",
                           given->items[i]);
        add_master(h, given->items[i]);
    }
    if (!given->count)
        guess_master(h);
    return 0;
}

static void read_processes(struct host *h)
{
    auto_host_names struct host_names pids = {.names = NULL};

    host_list(h->root, "/proc", &pids);
    for (size_t i = 0; i < pids.count; i++) {
        auto_free char *path = xasprintf("/proc/%s/comm", pids.names[i]);
        char *comm;

        if (!isdigit((unsigned char)pids.names[i][0]))
            continue;
        comm = host_line(h->root, path);
        array_grow(h->processes.names, h->processes.count);
        h->processes.names[h->processes.count++] = comm;
    }
}

/* Of another root: what its /proc says (tests), else the only kernel that has modules there. */
static char *find_release(const struct host *h)
{
    auto_host_names struct host_names kernels = {.names = NULL};
    auto_free char *line = host_line(h->root, "/proc/sys/kernel/osrelease");
    struct utsname name;

    if (*line)
        return take(line);
    if (h->is_live)
        return xstrdup(uname(&name) == 0 ? name.release : "");
    host_list(h->root, "/lib/modules", &kernels);
    return xstrdup(kernels.count == 1 ? kernels.names[0] : "");
}

static int check_root(struct host *h, struct err **e)
{
    struct stat st;

    if (!*h->options->root)
        return 0;
    if (stat(h->options->root, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(e, -EINVAL, "'--root' takes a folder, and '%s' is none", h->options->root);
    return 0;
}

static int gather(struct host *h, struct err **e)
{
    int r = check_root(h, e);

    if (r == 0)
        r = read_roles(&h->options->roles, &h->roles, e);
    if (r == 0)
        r = check_cidr("pod-cidr", h->options->pod_cidr, e);
    if (r == 0)
        r = check_cidr("service-cidr", h->options->service_cidr, e);
    if (r == 0 && h->is_live)
        r = net_state_read(&h->net, e);
    if (r == 0)
        r = read_masters(h, e);
    if (r < 0)
        return r;
    h->release = find_release(h);
    (void)host_text(h->root, "/proc/modules", &h->modules);
    read_processes(h);
    return 0;
}

int host_open(const struct host_options *options, struct host *out, struct err **e)
{
    struct host h = {.options = options, .root = options->root, .is_live = !*options->root};
    int r = gather(&h, e);

    if (r < 0)
        host_close(&h);
    else
        *out = h;
    return r;
}

void host_close(struct host *h)
{
    for (size_t i = 0; i < h->n_masters; i++)
        free(h->masters[i]);
    free(h->masters);
    free(h->release);
    free(h->modules);
    net_state_release(&h->net);
    host_names_release(&h->processes);
    *h = (struct host){.root = NULL};
}

bool host_runs(const struct host *h, const char *name)
{
    for (size_t i = 0; i < h->processes.count; i++)
        if (!strcmp(h->processes.names[i], name))
            return true;
    return false;
}

/* --- verdicts --- */

void host_say(struct host_verdict *v, enum host_level level, const char *mend, const char *seen,
              ...)
{
    auto_free char *text = NULL;
    va_list args;

    va_start(args, seen);
    if (vasprintf(&text, seen, args) < 0)
        text = xstrdup(seen);
    va_end(args);
    (void)buf_addf(&v->seen, "%s%s", v->seen.len ? "; " : "", text);
    if (mend && !strstr(v->mend.data, mend))
        (void)buf_addf(&v->mend, "%s%s", v->mend.len ? "; " : "", mend);
    if (level > v->level)
        v->level = level;
}

/* --- the run --- */

static int check_names(const char *option, const struct cli_list *lists, bool knows_all,
                       struct err **e)
{
    auto_free const char **names = xcalloc(host_n_items + 2, sizeof(*names));

    for (size_t i = 0; i < host_n_items; i++)
        names[i] = host_items[i].name;
    names[host_n_items] = knows_all ? "all" : NULL;
    return cli_names_check(lists, option, "item", names, e);
}

static bool is_chosen(const struct host *h, const struct host_item *item)
{
    if (item->is_live && !h->is_live)
        return false;
    return !h->options->only.count || cli_names_have(&h->options->only, item->name);
}

static bool is_ignored(const struct host *h, const struct host_item *item)
{
    return cli_names_have(&h->options->ignore, item->name) ||
           cli_names_have(&h->options->ignore, "all");
}

static void run_item(const struct host *h, const struct host_item *item, struct host_report *report)
{
    struct host_result *result;

    array_grow(report->results, report->count);
    result = &report->results[report->count++];
    *result = (struct host_result){.item = item};
    buf_init(&result->verdict.seen, TEXT_MAX);
    buf_init(&result->verdict.mend, TEXT_MAX);
    item->check(h, &result->verdict);
    result->is_ignored = result->verdict.level == HOST_FAIL && is_ignored(h, item);
    if (result->verdict.level == HOST_FAIL && !result->is_ignored)
        report->failed++;
    else if (result->verdict.level != HOST_PASS)
        report->warned++;
    else
        report->passed++;
}

int host_check(const struct host *h, struct host_report *out, struct err **e)
{
    int r = check_names("only", &h->options->only, false, e);

    if (r == 0)
        r = check_names("ignore", &h->options->ignore, true, e);
    if (r < 0)
        return r;
    *out = (struct host_report){.results = NULL};
    for (size_t i = 0; i < host_n_items; i++)
        if (is_chosen(h, &host_items[i]))
            run_item(h, &host_items[i], out);
    return 0;
}

void host_report_release(struct host_report *r)
{
    for (size_t i = 0; i < r->count; i++) {
        buf_release(&r->results[i].verdict.seen);
        buf_release(&r->results[i].verdict.mend);
    }
    free(r->results);
    *r = (struct host_report){.results = NULL};
}

int host_make_plan(const struct host *h, struct host_plan *out, struct err **e)
{
    struct host_plan plan = {.changes = NULL};
    int r = check_names("only", &h->options->only, false, e);

    if (r == 0)
        r = check_names("ignore", &h->options->ignore, true, e);
    for (size_t i = 0; r == 0 && i < host_n_items; i++)
        if (host_items[i].plan && is_chosen(h, &host_items[i]) && !is_ignored(h, &host_items[i]))
            r = host_items[i].plan(h, &plan, e);
    if (r < 0)
        host_plan_release(&plan);
    else
        *out = plan;
    return r;
}
