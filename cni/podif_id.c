/* Whose interface it is. */
#include "podif_internal.h"

#include "hash.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "flatnet/"
#define PART_SIZE 101 /* a container ID of every runtime fits */

static const char *part(const char *text, char out[PART_SIZE])
{
    char digest[DIGEST_SIZE];

    if (strlen(text) < PART_SIZE) {
        (void)snprintf(out, PART_SIZE, "%s", text);
        return out;
    }
    hash_digest(text, strlen(text), digest);
    (void)snprintf(out, PART_SIZE, "%s", digest);
    return out;
}

void podif_alias(const char *network, const char *container, char out[NLLINK_ALIAS_SIZE])
{
    char net[PART_SIZE], id[PART_SIZE];

    (void)snprintf(out, NLLINK_ALIAS_SIZE, PREFIX "%s/%s", part(network, net), part(container, id));
}

bool podif_alias_is_of(const char *alias, const char *container)
{
    const char *slash = strrchr(alias, '/');
    char id[PART_SIZE];

    return !strncmp(alias, PREFIX, strlen(PREFIX)) && slash && slash >= alias + strlen(PREFIX) &&
           !strcmp(slash + 1, part(container, id));
}

bool podif_alias_is_in(const char *alias, const char *network)
{
    char net[PART_SIZE];
    size_t len = strlen(part(network, net));

    return !strncmp(alias, PREFIX, strlen(PREFIX)) && !strncmp(alias + strlen(PREFIX), net, len) &&
           alias[strlen(PREFIX) + len] == '/';
}

void podif_temporary_name(const char *container, const char *ifname, char out[IFNAMSIZ])
{
    char text[PART_SIZE + IFNAMSIZ], id[PART_SIZE], digest[DIGEST_SIZE];

    (void)snprintf(text, sizeof(text), "%s/%s", part(container, id), ifname);
    hash_digest(text, strlen(text), digest);
    (void)snprintf(out, IFNAMSIZ, "fn%.12s", digest_hex(digest));
}

int podif_open_netns(const char *path, bool may_be_host, struct netns *out, struct err **e)
{
    auto_netns struct netns n = NETNS_NONE;
    int r = netns_open(path, &n, e);

    if (r < 0)
        return r;
    if (n.is_home && !may_be_host)
        return err_set(e, -ENOTUNIQ, "network namespace '%s' is the host's own", path);
    *out = n;
    n = (struct netns)NETNS_NONE;
    return 0;
}

static const struct {
    unsigned kernel;
    const char *name;
} modes[] = {
    [MACVLAN_BRIDGE] = {MACVLAN_MODE_BRIDGE, "bridge"},
    [MACVLAN_PRIVATE] = {MACVLAN_MODE_PRIVATE, "private"},
    [MACVLAN_VEPA] = {MACVLAN_MODE_VEPA, "vepa"},
    [MACVLAN_PASSTHRU] = {MACVLAN_MODE_PASSTHRU, "passthru"},
};

unsigned podif_kernel_mode(enum wanted_mode mode)
{
    return modes[mode].kernel;
}

const char *podif_mode_name(unsigned kernel_mode)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (modes[i].kernel == kernel_mode)
            return modes[i].name;
    return "another";
}

size_t podif_addrs(const struct wanted *w, struct ip_net out[2])
{
    out[0] = w->addr;
    if (!w->is_6to4 || w->addr.addr.family != AF_INET)
        return 1;
    out[1].addr = (struct ip_addr){.family = AF_INET6,
                                   .value = ((ip_num)0x2002 << 112) | (w->addr.addr.value << 80)};
    out[1].prefix = 48 - (32 - w->addr.prefix);
    return 2;
}
