/* Items about kernel settings: forwarding, bridged packets, and the filters that drop pods' packets
 * without a word. */
#include "host_kernel.h"
#include "host_proc.h"
#include "host_rancheros.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DROP_IN "/etc/sysctl.d/90-flatnet.conf"
#define MEND "run 'flatnet host prepare', or set it in /etc/sysctl.d"

/* Settings that must be 1: kubelet, kube-proxy and flannel count on them. */
static const struct {
    const char *key;   /* with slashes, as below /proc/sys */
    const char *owner; /* the module that brings it, or NULL */
} wanted[] = {
    {"net/ipv4/ip_forward", NULL},
    {"net/bridge/bridge-nf-call-iptables", "br_netfilter"},
};
#define N_WANTED (sizeof(wanted) / sizeof(wanted[0]))

/* As people write it. To be freed. */
static char *dotted(const char *key)
{
    char *text = xstrdup(key);

    for (char *p = text; *p; p++)
        if (*p == '/')
            *p = '.';
    return text;
}

static char *value_of(const struct host *h, const char *key)
{
    auto_free char *path = xasprintf("/proc/sys/%s", key);

    return host_line(h->root, path);
}

void host_check_sysctl(const struct host *h, struct host_verdict *v)
{
    for (size_t i = 0; i < N_WANTED; i++) {
        auto_free char *value = value_of(h, wanted[i].key), *key = dotted(wanted[i].key);

        if (!strcmp(value, "1"))
            host_say(v, HOST_PASS, NULL, "%s is 1", key);
        else if (*value)
            host_say(v, HOST_FAIL, MEND, "%s is %s, must be 1", key, value);
        else
            host_say(v, HOST_FAIL, "load the module br_netfilter",
                     "%s is not there, since %s is not loaded", key,
                     wanted[i].owner ? wanted[i].owner : "its part");
    }
}

int host_plan_sysctl(const struct host *h, struct host_plan *plan, struct err **e)
{
    (void)e;
    for (size_t i = 0; i < N_WANTED; i++) {
        auto_free char *value = value_of(h, wanted[i].key);

        /* What a module brings with it appears when that was loaded, some lines above in the plan;
         * it need not be among the items that were chosen. */
        if (!strcmp(value, "1") ||
            (!*value && !(wanted[i].owner && kernel_is_planned(plan, wanted[i].owner))))
            continue;
        (void)buf_addstr(
            &host_plan_add(plan, CHANGE_SYSCTL, "sysctl", wanted[i].key)->after.content, "1");
    }
    return 0;
}

/* --- at boot --- */

/* "-key = 1" is a setting too, whose failure is not minded. */
static bool sets_to_one(const char *text, const char *key)
{
    auto_free char *minus = xasprintf("-%s", key);
    auto_free char *dots = dotted(key);
    const char *const spellings[] = {key, dots, minus};

    for (size_t i = 0; i < 3; i++) {
        auto_free char *value = proc_setting(text, spellings[i]);

        if (value && !strcmp(value, "1"))
            return true;
    }
    return false;
}

static bool is_set_at_boot(const struct host *h, const char *key)
{
    static const char *const folders[] = {"/etc/sysctl.d", "/run/sysctl.d", "/usr/lib/sysctl.d",
                                          "/lib/sysctl.d"};
    auto_free char *main_text = NULL, *dots = dotted(key);

    if (rancheros_is(h))
        return rancheros_mentions(h, dots);
    if (host_text(h->root, "/etc/sysctl.conf", &main_text) && sets_to_one(main_text, key))
        return true;
    for (size_t i = 0; i < 4; i++) {
        auto_host_names struct host_names files = {.names = NULL};

        host_list(h->root, folders[i], &files);
        for (size_t k = 0; k < files.count; k++) {
            auto_free char *path = xasprintf("%s/%s", folders[i], files.names[k]);
            auto_free char *text = NULL;

            if (host_text(h->root, path, &text) && sets_to_one(text, key))
                return true;
        }
    }
    return false;
}

void host_check_sysctl_boot(const struct host *h, struct host_verdict *v)
{
    const char *mend =
        rancheros_is(h) ? "on RancherOS run ros config set rancher.sysctl.NAME 1 for each" : MEND;

    for (size_t i = 0; i < N_WANTED; i++) {
        auto_free char *key = dotted(wanted[i].key);

        if (!is_set_at_boot(h, wanted[i].key))
            host_say(v, HOST_WARN, mend, "nothing sets %s to 1 at boot", key);
    }
    if (v->level == HOST_PASS)
        host_say(v, HOST_PASS, NULL, "all are set at boot");
}

int host_plan_sysctl_boot(const struct host *h, struct host_plan *plan, struct err **e)
{
    auto_host_file struct host_file now = {.kind = HOST_ABSENT};
    struct host_file after;
    int r = host_file_get(h->root, DROP_IN, &now, e);
    size_t n = 0;

    if (r < 0)
        return r;
    host_file_init(&after, HOST_REGULAR, "# Written by flatnet host prepare.\n");
    for (size_t i = 0; i < N_WANTED; i++) {
        auto_free char *key = dotted(wanted[i].key);

        n += !is_set_at_boot(h, wanted[i].key);
        (void)buf_addf(&after.content, "%s = 1\n", key);
    }
    /* RancherOS reads no such file. */
    if (!n || rancheros_is(h)) {
        host_file_release(&after);
        return 0;
    }
    return host_plan_file(h->root, plan, "sysctl-boot", DROP_IN, &after, e);
}

/* --- filters --- */

static int number_of(const struct host *h, const char *link, const char *name)
{
    auto_free char *key = xasprintf("net/ipv4/conf/%s/%s", link, name);
    auto_free char *value = value_of(h, key);

    return *value >= '0' && *value <= '9' ? *value - '0' : -1;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* The kernel takes the larger of "all" and the link's own for these two. New network namespaces,
 * the pods' among them, begin with the host's "all" and "default". */
static void check_link(const struct host *h, const char *link, struct host_verdict *v)
{
    int rp = larger(number_of(h, "all", "rp_filter"), number_of(h, link, "rp_filter"));
    int ignore = larger(number_of(h, "all", "arp_ignore"), number_of(h, link, "arp_ignore"));

    if (rp == 1)
        host_say(v, HOST_WARN,
                 "set net.ipv4.conf.all.rp_filter and net.ipv4.conf.default.rp_filter to 2 where "
                 "pods must be reached from other subnets",
                 "rp_filter of %s is strict: answers that leave by another interface are dropped",
                 link);
    if (ignore == 8)
        host_say(v, HOST_FAIL, "set net.ipv4.conf.all.arp_ignore to 0",
                 "arp_ignore of %s is 8: no ARP request is answered", link);
    else if (ignore > 0)
        host_say(v, HOST_WARN, "set net.ipv4.conf.all.arp_ignore to 0 unless it is meant",
                 "arp_ignore of %s is %d", link, ignore);
    if (number_of(h, link, "proxy_arp") == 1 || number_of(h, "all", "proxy_arp") == 1)
        host_say(v, HOST_WARN,
                 "set proxy_arp to 0: the host would answer ARP requests for the pods' addresses",
                 "proxy_arp of %s is on", link);
}

void host_check_filters(const struct host *h, struct host_verdict *v)
{
    if (number_of(h, "default", "rp_filter") == 1)
        host_say(v, HOST_WARN,
                 "set net.ipv4.conf.all.rp_filter and net.ipv4.conf.default.rp_filter to 2 where "
                 "pods must be reached from other subnets",
                 "rp_filter of new interfaces is strict, in pods too");
    for (size_t i = 0; i < h->n_masters; i++)
        check_link(h, h->masters[i], v);
    if (v->level == HOST_PASS)
        host_say(v, HOST_PASS, NULL, "rp_filter, arp_ignore and proxy_arp leave pods alone");
}
