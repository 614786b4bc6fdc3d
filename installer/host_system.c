/* Items about the distribution: firewalls, security modules, NetworkManager, clock, what an earlier
 * cluster left. Nothing here is switched off by us; the operator decides. */
#include "host.h"

#include "host_proc.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

void host_check_firewall(const struct host *h, struct host_verdict *v)
{
    auto_free char *ufw = NULL, *enabled = NULL;

    (void)host_text(h->root, "/etc/ufw/ufw.conf", &ufw);
    enabled = proc_setting(ufw, "ENABLED");
    if (host_runs(h, "firewalld"))
        host_say(v, HOST_FAIL,
                 "stop it (systemctl disable --now firewalld), or open tcp 6443 10250 2379 2380, "
                 "udp 8472 and the pods' and services' networks",
                 "firewalld runs");
    if (enabled && !strcasecmp(enabled, "yes"))
        host_say(v, HOST_FAIL,
                 "switch it off (ufw disable), or allow tcp 6443 10250 2379 2380, udp 8472 and the "
                 "pods' and services' networks",
                 "ufw is on");
    if (v->level == HOST_PASS)
        host_say(v, HOST_PASS, NULL, "neither firewalld nor ufw is on");
}

void host_check_selinux(const struct host *h, struct host_verdict *v)
{
    auto_free char *enforce = host_line(h->root, "/sys/fs/selinux/enforce");
    auto_free char *config = NULL, *mode = NULL;

    (void)host_text(h->root, "/etc/selinux/config", &config);
    mode = proc_setting(config, "SELINUX");
    if (!strcmp(enforce, "1") || (!h->is_live && mode && !strcmp(mode, "enforcing")))
        host_say(v, HOST_WARN,
                 "install container-selinux in docker's version, and label /opt/cni/bin "
                 "(restorecon -R); or set it to permissive",
                 "SELinux is enforcing");
    else
        host_say(v, HOST_PASS, NULL, "SELinux is %s",
                 !strcmp(enforce, "0") ? "permissive" : "not enforcing");
}

void host_check_fapolicyd(const struct host *h, struct host_verdict *v)
{
    if (host_runs(h, "fapolicyd"))
        host_say(v, HOST_FAIL,
                 "allow /opt/cni/bin and /var/lib/rancher there, or stop it: it keeps new programs "
                 "from running",
                 "fapolicyd runs");
    else
        host_say(v, HOST_PASS, NULL, "fapolicyd does not run");
}

/* --- NetworkManager --- */

#define NM_FILE "/etc/NetworkManager/conf.d/90-flatnet.conf"

static const char *const kept_off[] = {"cali", "flannel", "cni", "veth"};
#define N_KEPT_OFF (sizeof(kept_off) / sizeof(kept_off[0]))

static bool nm_is_there(const struct host *h)
{
    return host_runs(h, "NetworkManager") ||
           (!h->is_live && host_exists(h->root, "/etc/NetworkManager"));
}

/* Adds the lines of a file that say what NetworkManager keeps off. */
static void add_unmanaged(const struct host *h, const char *path, struct buf *out)
{
    auto_free char *text = NULL;

    (void)host_text(h->root, path, &text);
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
        if (!strncmp(p, "unmanaged-devices", strlen("unmanaged-devices")))
            (void)buf_addf(out, "%.*s\n", (int)strcspn(p, "\n"), p);
}

static void read_unmanaged(const struct host *h, struct buf *out)
{
    static const char *const folders[] = {"/etc/NetworkManager/conf.d",
                                          "/run/NetworkManager/conf.d",
                                          "/usr/lib/NetworkManager/conf.d"};

    buf_init(out, HOST_FACT_MAX);
    add_unmanaged(h, "/etc/NetworkManager/NetworkManager.conf", out);
    for (size_t i = 0; i < 3; i++) {
        auto_host_names struct host_names files = {.names = NULL};

        host_list(h->root, folders[i], &files);
        for (size_t k = 0; k < files.count; k++) {
            auto_free char *path = xasprintf("%s/%s", folders[i], files.names[k]);

            add_unmanaged(h, path, out);
        }
    }
}

static bool is_kept_off(const struct buf *lines, const char *prefix)
{
    auto_free char *pattern = xasprintf("interface-name:%s*", prefix);

    return strstr(lines->data, pattern) != NULL;
}

void host_check_network_manager(const struct host *h, struct host_verdict *v)
{
    auto_buf struct buf lines;

    buf_init(&lines, 1);
    if (!nm_is_there(h)) {
        host_say(v, HOST_PASS, NULL, "NetworkManager does not run");
        return;
    }
    read_unmanaged(h, &lines);
    for (size_t i = 0; i < N_KEPT_OFF; i++)
        if (!is_kept_off(&lines, kept_off[i]))
            host_say(v, HOST_FAIL, "run 'flatnet host prepare', or list them as unmanaged-devices",
                     "NetworkManager takes %s* devices", kept_off[i]);
    if (v->level == HOST_PASS)
        host_say(v, HOST_PASS, NULL, "NetworkManager keeps off the cluster's devices");
}

int host_plan_network_manager(const struct host *h, struct host_plan *plan, struct err **e)
{
    auto_buf struct buf lines;
    struct host_file file;
    size_t missing = 0;

    buf_init(&lines, 1);
    if (!nm_is_there(h))
        return 0;
    read_unmanaged(h, &lines);
    for (size_t i = 0; i < N_KEPT_OFF; i++)
        missing += !is_kept_off(&lines, kept_off[i]);
    if (!missing)
        return 0;
    host_file_init(&file, HOST_REGULAR,
                   "# Written by flatnet host prepare.\n[keyfile]\nunmanaged-devices+=");
    for (size_t i = 0; i < N_KEPT_OFF; i++)
        (void)buf_addf(&file.content, "%sinterface-name:%s*", i ? ";" : "", kept_off[i]);
    (void)buf_addch(&file.content, '\n');
    return host_plan_file(h->root, plan, "network-manager", NM_FILE, &file, e);
}

/* --- the clock --- */

void host_check_clock(const struct host *h, struct host_verdict *v)
{
    static const char *const daemons[] = {"chronyd", "ntpd", "systemd-timesyn", "openntpd",
                                          "ptp4l"};
    struct timex t = {.modes = 0};
    const char *daemon = NULL;
    int state = adjtimex(&t);

    for (size_t i = 0; i < sizeof(daemons) / sizeof(daemons[0]); i++)
        if (!daemon && host_runs(h, daemons[i]))
            daemon = daemons[i];
    if (state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC))
        host_say(v, HOST_PASS, NULL, "the kernel's clock is synchronised%s%s", daemon ? " by " : "",
                 daemon ? daemon : "");
    else if (daemon)
        host_say(v, HOST_WARN, "look at its sources: certificates and leases count on the clock",
                 "%s runs, but the kernel's clock is not synchronised", daemon);
    else
        host_say(v, HOST_WARN,
                 "run chronyd or another NTP daemon against a server of the site: certificates and "
                 "leases count on the clock",
                 "the clock is not synchronised");
}

/* --- leftovers --- */

/* Folders that must be empty, and why. */
static const struct {
    const char *path;
    enum host_level level;
} leftovers[] = {
    {"/var/lib/etcd", HOST_FAIL},        {"/etc/kubernetes", HOST_FAIL},
    {"/var/lib/kubelet", HOST_WARN},     {"/var/lib/cni", HOST_WARN},
    {"/var/lib/rancher/rke", HOST_WARN}, {"/etc/cni/net.d", HOST_WARN},
    {"/run/flannel", HOST_WARN},         {"/run/calico", HOST_WARN},
};

static void check_links(const struct host *h, struct host_verdict *v)
{
    static const char *const links[] = {"flannel.1", "cni0", "tunl0", "kube-bridge"};

    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        const struct net_link *link = net_link_named(&h->net, links[i]);

        /* tunl0 comes with the module ipip; only one that is up is somebody's. */
        if (link && (strcmp(links[i], "tunl0") || link->flags & IFF_UP))
            host_say(v, HOST_WARN, "ip link delete each, or restart the host", "the link %s exists",
                     links[i]);
    }
}

void host_check_leftovers(const struct host *h, struct host_verdict *v)
{
    for (size_t i = 0; i < sizeof(leftovers) / sizeof(leftovers[0]); i++) {
        auto_host_names struct host_names names = {.names = NULL};

        host_list(h->root, leftovers[i].path, &names);
        if (names.count)
            host_say(v, leftovers[i].level,
                     "if no cluster runs here, move these away (they are of an earlier one)",
                     "%s is not empty (%s%s)", leftovers[i].path, names.names[0],
                     names.count > 1 ? ", ..." : "");
    }
    check_links(h, v);
    if (v->level == HOST_PASS)
        host_say(v, HOST_PASS, NULL, "nothing of an earlier cluster");
}
