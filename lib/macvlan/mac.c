/* MACs in use, and new ones. */
#include "macvlan/mac.h"

#include "hash.h"
#include "mem.h"

#include <bsd/sys/tree.h>
#include <stdlib.h>
#include <string.h>

struct holder {
    RB_ENTRY(holder) entry;
    uint64_t mac; /* ip_mac_value */
    unsigned count;
};

RB_HEAD(holder_tree, holder);

struct mac_set {
    struct holder_tree holders;
};

static int compare_macs(const struct holder *a, const struct holder *b)
{
    return a->mac < b->mac ? -1 : a->mac > b->mac;
}

/* RB_GENERATE_STATIC needs __unused, which libbsd leaves to the compiler. */
RB_GENERATE_INTERNAL(holder_tree, holder, entry, compare_macs, __attribute__((unused)) static)

struct mac_set *mac_set_new(void)
{
    return xcalloc(1, sizeof(struct mac_set));
}

static void drop(struct mac_set *m, struct holder *h)
{
    (void)RB_REMOVE(holder_tree, &m->holders, h);
    free(h);
}

void mac_set_free(struct mac_set *m)
{
    struct holder *h;

    if (!m)
        return;
    while ((h = RB_ROOT(&m->holders)))
        drop(m, h);
    free(m);
}

static struct holder *find(const struct mac_set *m, struct ip_mac mac)
{
    struct holder key = {.mac = ip_mac_value(mac)};

    /* The macros take no const tree; a search changes nothing. */
    return RB_FIND(holder_tree, (struct holder_tree *)&m->holders, &key);
}

void mac_hold(struct mac_set *m, struct ip_mac mac)
{
    struct holder *h = find(m, mac);

    if (h) {
        h->count++;
        return;
    }
    h = xmalloc(sizeof(*h));
    *h = (struct holder){.mac = ip_mac_value(mac), .count = 1};
    (void)RB_INSERT(holder_tree, &m->holders, h);
}

void mac_release(struct mac_set *m, struct ip_mac mac)
{
    struct holder *h = find(m, mac);

    if (h && !--h->count)
        drop(m, h);
}

bool mac_is_held(const struct mac_set *m, struct ip_mac mac)
{
    return find(m, mac) != NULL;
}

/* 02 and the first 40 bits of the digest. */
static struct ip_mac mac_from(const char *text)
{
    char digest[DIGEST_SIZE], hex[11];
    struct ip_mac mac = {.bytes = {0x02}};
    uint64_t value;

    hash_digest(text, strlen(text), digest);
    memcpy(hex, digest_hex(digest), 10);
    hex[10] = '\0';
    value = strtoull(hex, NULL, 16);
    for (size_t i = 5; i > 0; i--, value >>= 8)
        mac.bytes[i] = (uint8_t)value;
    return mac;
}

bool mac_generate(const struct mac_set *m, const char *cluster_uid, const struct subnet *s,
                  struct ip_addr addr, struct ip_mac *out)
{
    char address[IP_TEXT_SIZE];
    struct ip_mac mac;

    if (!strcmp(s->mode, "passthru"))
        return false;
    (void)ip_format(addr, address);
    for (unsigned counter = 0;; counter++) {
        auto_free char *text =
            xasprintf("%s\n%s\n%u\n%s\n%u", cluster_uid, s->master, s->vlan, address, counter);

        mac = mac_from(text);
        if (!mac_is_held(m, mac))
            break;
    }
    *out = mac;
    return true;
}
