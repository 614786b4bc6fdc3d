/* Promiscuous mode after a reboot: who sets it, and the unit that does where nobody does. */
#include "host_rancheros.h"
#include "host_systemd.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_FOLDER "/etc/systemd/system"
#define TEMPLATE UNIT_FOLDER "/flatnet-promisc@.service"
#define DISPATCHER "/etc/NetworkManager/dispatcher.d/90-flatnet-promisc-"

/* Where distributions keep what is done to a link at boot. */
static const char *const places[] = {
    "/etc/network/interfaces",
    "/etc/network/interfaces.d",
    "/etc/systemd/network",
    "/etc/NetworkManager/conf.d",
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/local.d",
    "/etc/network/if-up.d",
    "/etc/udev/rules.d",
    "/etc/NetworkManager/dispatcher.d",
    "/var/lib/rancher/conf/cloud-config.yml",
    "/var/lib/rancher/conf/cloud-config.d",
};

static char *wants_path(const char *link)
{
    auto_free char *escaped = systemd_escape(link);
    auto_free char *device = NULL;

    /* The device's unit is that of the path /sys/subsystem/net/devices/LINK. */
    device = xasprintf("sys-subsystem-net-devices-%s.device.wants", escaped);
    return xasprintf(UNIT_FOLDER "/%s/flatnet-promisc@%s.service", device, escaped);
}

/* True for a line, not a comment, that has both words; `link` as a whole word. */
static bool line_mentions(const char *line, size_t len, const char *link)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    auto_free char *text = xstrndup(line, len);
    size_t link_len = strlen(link);

    if (text[strspn(text, " \t")] == '#' || !strcasestr(text, "promisc"))
        return false;
    for (const char *p = strstr(text, link); p; p = strstr(p + 1, link))
        if ((p == text || !strchr(word, p[-1])) && (!p[link_len] || !strchr(word, p[link_len])))
            return true;
    return false;
}

static bool text_mentions(const char *text, const char *link)
{
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
        if (line_mentions(p, strcspn(p, "\n"), link))
            return true;
    return false;
}

static bool place_mentions(const struct host *h, const char *place, const char *link)
{
    auto_free char *text = NULL;
    auto_host_names struct host_names files = {.names = NULL};

    if (host_text(h->root, place, &text))
        return text_mentions(text, link);
    host_list(h->root, place, &files);
    for (size_t i = 0; i < files.count; i++) {
        auto_free char *path = xasprintf("%s/%s", place, files.names[i]);
        auto_free char *content = NULL;

        if (host_text(h->root, path, &content) && text_mentions(content, link))
            return true;
    }
    return false;
}

/* The file or folder that does it, or NULL; *out_own is to be freed. */
static const char *who_sets(const struct host *h, const char *link, char **out_own)
{
    auto_free char *wants = wants_path(link);

    *out_own = NULL;
    if (systemd_is_there(h) && host_exists(h->root, TEMPLATE) && host_exists(h->root, wants)) {
        *out_own = take(wants);
        return *out_own;
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (place_mentions(h, places[i], link))
            return places[i];
    return NULL;
}

static const char *find_ip(const struct host *h)
{
    static const char *const programs[] = {"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"};

    for (size_t i = 0; i < 4; i++)
        if (host_exists(h->root, programs[i]))
            return programs[i];
    return NULL;
}

static const char *mend_for(const struct host *h)
{
    if (systemd_is_there(h) && find_ip(h))
        return "run 'flatnet host prepare', which makes a systemd unit for it";
    if (rancheros_is(h))
        return "on RancherOS add 'ip link set NIC promisc on' to runcmd in "
               "/var/lib/rancher/conf/cloud-config.yml (ros config set)";
    if (host_exists(h->root, "/etc/network/interfaces"))
        return "add 'up ip link set NIC promisc on' to the NIC's stanza in "
               "/etc/network/interfaces";
    return "add 'ip link set NIC promisc on' to /etc/rc.local";
}

void host_check_promisc_boot(const struct host *h, struct host_verdict *v)
{
    for (size_t i = 0; i < h->n_masters; i++) {
        auto_free char *own = NULL;
        const char *who = who_sets(h, h->masters[i], &own);

        if (who)
            host_say(v, HOST_PASS, NULL, "%s: %s sets it", h->masters[i], who);
        else
            host_say(v, HOST_WARN, mend_for(h), "nothing makes %s promiscuous at boot",
                     h->masters[i]);
    }
    if (!h->n_masters)
        host_say(v, HOST_WARN, "name the NIC with --master", "no NIC is named");
}

/* --- making it so --- */

static int plan_template(const struct host *h, struct host_plan *plan, const char *ip,
                         struct err **e)
{
    struct host_file unit;

    if (host_plan_find_file(plan, TEMPLATE))
        return 0;
    host_file_init(&unit, HOST_REGULAR, "");
    (void)buf_addf(&unit.content,
                   "# Written by flatnet host prepare.\n"
                   "[Unit]\n"
                   "Description=Promiscuous mode of %%I\n"
                   "BindsTo=sys-subsystem-net-devices-%%i.device\n"
                   "After=sys-subsystem-net-devices-%%i.device\n"
                   "\n"
                   "[Service]\n"
                   "Type=oneshot\n"
                   "RemainAfterExit=yes\n"
                   "ExecStart=%s link set dev %%I promisc on\n"
                   "\n"
                   "[Install]\n"
                   "WantedBy=sys-subsystem-net-devices-%%i.device\n",
                   ip);
    return host_plan_file(h->root, plan, "promisc-boot", TEMPLATE, &unit, e);
}

static int plan_unit(const struct host *h, struct host_plan *plan, const char *ip, const char *link,
                     struct err **e)
{
    auto_free char *wants = wants_path(link);
    struct host_file enabled;
    int r = plan_template(h, plan, ip, e);

    if (r < 0)
        return r;
    host_file_init(&enabled, HOST_SYMLINK, TEMPLATE);
    return host_plan_file(h->root, plan, "promisc-boot", wants, &enabled, e);
}

/* systemd-networkd says in its runtime state by which file it set the link up. */
static int plan_networkd(const struct host *h, struct host_plan *plan, const char *link,
                         struct err **e)
{
    const struct net_link *l = net_link_named(&h->net, link);
    auto_free char *state = NULL, *text = NULL, *path = NULL;
    const char *file, *name;
    struct host_file drop_in;

    if (!l)
        return 0;
    state = xasprintf("/run/systemd/netif/links/%d", l->index);
    (void)host_text(h->root, state, &text);
    file = strstr(text, "NETWORK_FILE=");
    if (!file)
        return 0;
    file += strlen("NETWORK_FILE=");
    text[strcspn(file, "\n") + (size_t)(file - text)] = '\0';
    name = strrchr(file, '/');
    if (!name)
        return 0;
    path = xasprintf("/etc/systemd/network%s.d/90-flatnet.conf", name);
    host_file_init(&drop_in, HOST_REGULAR,
                   "# Written by flatnet host prepare. Known since systemd 248.\n"
                   "[Link]\nPromiscuous=yes\n");
    return host_plan_file(h->root, plan, "promisc-boot", path, &drop_in, e);
}

/* A profile may switch the mode off whenever it comes up; then a script of the dispatcher has the
 * last word. It must be executable, and no one's but root's. The name of the NIC and the mode are
 * in lines of their own, so that who_sets goes by the unit. */
static int plan_network_manager(const struct host *h, struct host_plan *plan, const char *ip,
                                const char *link, struct err **e)
{
    auto_free char *path = xasprintf(DISPATCHER "%s", link);
    struct host_file script;

    if (!host_runs(h, "NetworkManager") &&
        (h->is_live || !host_exists(h->root, "/etc/NetworkManager")))
        return 0;
    host_file_init(&script, HOST_REGULAR, "");
    script.mode = 0755;
    (void)buf_addf(&script.content,
                   "#!/bin/sh\n"
                   "# Written by flatnet host prepare.\n"
                   "if [ \"$1 $2\" = \"%s up\" ]; then\n"
                   "    exec %s link set dev \"$1\" promisc on\n"
                   "fi\n",
                   link, ip);
    return host_plan_file(h->root, plan, "promisc-boot", path, &script, e);
}

/* The unit comes last: as long as it is not there, an interrupted run is seen to be unfinished. */
int host_plan_promisc_boot(const struct host *h, struct host_plan *plan, struct err **e)
{
    const char *ip = find_ip(h);
    int r = host_masters_usable(h, e);

    for (size_t i = 0; r == 0 && i < h->n_masters; i++) {
        auto_free char *own = NULL;

        if (!systemd_is_there(h) || !ip || who_sets(h, h->masters[i], &own))
            continue;
        r = plan_networkd(h, plan, h->masters[i], e);
        if (r == 0)
            r = plan_network_manager(h, plan, ip, h->masters[i], e);
        if (r == 0)
            r = plan_unit(h, plan, ip, h->masters[i], e);
    }
    return r;
}
