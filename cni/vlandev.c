/* The device below a macvlan: found, verified, made. */
#include "vlandev_internal.h"

#include "fs.h"
#include "hash.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Somebody else may make or remove the device, or the master, while we look. */
#define TRIES 5

static void short_name(const char *prefix, const char *master, unsigned vlan, char out[IFNAMSIZ])
{
    char digest[DIGEST_SIZE];

    hash_digest(master, strlen(master), digest);
    (void)snprintf(out, IFNAMSIZ, "%s%.8s.%u", prefix, digest_hex(digest), vlan & 0xfff);
}

void vlandev_name(const char *master, unsigned vlan, char out[IFNAMSIZ])
{
    if (snprintf(out, IFNAMSIZ, "%s.%u", master, vlan) >= IFNAMSIZ)
        short_name("fn", master, vlan, out);
}

/* A link cannot be made with an alias. So that none is ours and does not say so, it has another
 * name until it gets the final one and the alias with one message. */
static bool is_half_made(const struct nllink *link, const char *master)
{
    char name[IFNAMSIZ];

    short_name("ft", master, link->vlan_id, name);
    return !strcmp(link->name, name);
}

bool vlandev_is_ours(const struct nllink *link, const char *master)
{
    return !strcmp(link->kind, "vlan") &&
           (!strcmp(link->alias, VLANDEV_ALIAS) || is_half_made(link, master));
}

/* --- the lock --- */

void vlandev_lock_path(const char *locks, const char *name, char **out_path)
{
    *out_path = xasprintf("%s/%s", locks, name);
}

/* The clean-up removes the file together with the device: what was opened before is then no longer
 * what others lock. */
int vlandev_lock(const char *locks, const char *name, int how, int *out_fd, struct err **e)
{
    auto_free char *path = NULL;
    struct stat st;
    int r = fs_mkdirs(locks, 0755, e);

    if (r < 0)
        return r;
    vlandev_lock_path(locks, name, &path);
    for (;;) {
        auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return err_set(e, -errno, "cannot open lock '%s': %s", path, strerror(errno));
        while ((r = flock(fd, how)) < 0 && errno == EINTR)
            ;
        if (r < 0 || fstat(fd, &st) < 0)
            return err_set(e, -errno, "cannot lock '%s': %s", path, strerror(errno));
        if (st.st_nlink) {
            *out_fd = take_fd(&fd);
            return 0;
        }
    }
}

/* --- finding --- */

static int find_master(struct nl_sock *s, const char *master, struct nllink *out, struct err **e)
{
    auto_err struct err *why = NULL;
    int r = nllink_get(s, master, out, &why);

    if (r == -ENODEV)
        return err_set(e, r, "failed to lookup iface \"%s\": Link not found", master);
    return r < 0 ? err_set(e, r, "failed to lookup iface \"%s\": %s", master, err_text(why)) : 0;
}

static bool is_right(const struct nllink *link, const struct nllink *master, unsigned vlan)
{
    return !strcmp(link->kind, "vlan") && link->lower == master->index &&
           !link->is_lower_elsewhere && link->vlan_id == vlan &&
           (!link->vlan_protocol || link->vlan_protocol == ETH_P_8021Q);
}

static int refuse(const struct nllink *link, const struct nllink *master, unsigned vlan,
                  struct err **e)
{
    if (strcmp(link->kind, "vlan") != 0)
        return err_set(e, -EEXIST,
                       "'%s' should be VLAN %u of '%s' and is a %s device: rename or remove it",
                       link->name, vlan, master->name, *link->kind ? link->kind : "physical");
    if (link->lower != master->index || link->is_lower_elsewhere)
        return err_set(e, -EEXIST,
                       "'%s' is a VLAN of another device than '%s': rename or remove it",
                       link->name, master->name);
    if (link->vlan_id != vlan)
        return err_set(e, -EEXIST, "'%s' is VLAN %u of '%s', not %u: rename or remove it",
                       link->name, link->vlan_id, master->name, vlan);
    return err_set(e, -EEXIST, "'%s' has tags of protocol 0x%04x, not 802.1Q: rename or remove it",
                   link->name, link->vlan_protocol);
}

/* The device by its name, or whatever name the site gave it. -ENODEV without a message: none. */
static int find(struct nl_sock *s, const struct nllink *master, unsigned vlan, bool by_tag,
                struct nllink *out, struct err **e)
{
    auto_free struct nllink *links = NULL;
    auto_err struct err *why = NULL;
    char name[IFNAMSIZ];
    size_t n = 0;
    int r;

    vlandev_name(master->name, vlan, name);
    r = nllink_get(s, name, out, &why);
    if (r == 0)
        return is_right(out, master, vlan) ? 0 : refuse(out, master, vlan, e);
    if (r != -ENODEV)
        return err_set(e, r, "cannot look up '%s': %s", name, err_text(why));
    if (!by_tag)
        return -ENODEV;
    r = nllink_list(s, &links, &n, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        if (is_right(&links[i], master, vlan)) {
            *out = links[i];
            return 0;
        }
    return -ENODEV;
}

int vlandev_find(struct nl_sock *s, const char *master, unsigned vlan, struct nllink *out,
                 struct err **e)
{
    struct nllink parent;
    int r = find_master(s, master, &parent, e);

    if (r < 0)
        return r;
    if (!vlan) {
        *out = parent;
        return 0;
    }
    r = find(s, &parent, vlan, true, out, e);
    if (r == -ENODEV)
        return err_set(e, r, "there is no VLAN %u on '%s'", vlan, master);
    return r;
}

/* --- making --- */

static int fail_making(const struct nllink *master, unsigned vlan, int status,
                       const struct err *why, struct err **e)
{
    if (status == -EOPNOTSUPP)
        return err_set(e, status, "this kernel has no VLANs: load the module 8021q");
    return err_set(e, status, "cannot make VLAN %u of '%s': %s%s", vlan, master->name,
                   err_text(why), status == -EEXIST ? " (maybe in another network namespace)" : "");
}

static int finish(struct nl_sock *s, const struct nllink *master, unsigned vlan,
                  const struct nllink *made, struct err **e)
{
    char name[IFNAMSIZ];
    struct nllink_change c = {.name = name, .alias = VLANDEV_ALIAS, .is_up = true};
    auto_err struct err *why = NULL;
    int r;

    vlandev_name(master->name, vlan, name);
    r = nllink_set(s, made->index, &c, &why);
    return r < 0 ? fail_making(master, vlan, r, why, e) : 0;
}

static int make(struct nl_sock *s, const struct nllink *master, unsigned vlan, struct err **e)
{
    auto_err struct err *why = NULL;
    struct nllink made;
    char name[IFNAMSIZ];
    int r;

    short_name("ft", master->name, vlan, name);
    r = nllink_add_vlan(s, name, master->index, vlan, &why);
    if (r == 0)
        r = nllink_get(s, name, &made, &why);
    return r < 0 ? fail_making(master, vlan, r, why, e) : finish(s, master, vlan, &made, e);
}

/* One look, and what it calls for. -EAGAIN: it has been made, look again. -EEXIST and -ENODEV may
 * come of a race. */
static int find_or_make(struct nl_sock *s, const struct nllink *master, unsigned vlan, bool by_tag,
                        struct nllink *out, struct err **e)
{
    auto_err struct err *why = NULL;
    int r = find(s, master, vlan, by_tag, out, e);

    if (r == -ENODEV)
        r = make(s, master, vlan, e);
    else if (r == 0 && is_half_made(out, master->name))
        r = finish(s, master, vlan, out, e);
    else if (r < 0 || out->flags & IFF_UP)
        return r;
    else
        r = nllink_set(s, out->index, &(struct nllink_change){.is_up = true}, &why);
    if (why)
        return err_set(e, r, "cannot bring up '%s': %s", out->name, why->msg);
    return r < 0 ? r : -EAGAIN;
}

static int get_device(struct nl_sock *s, const struct nllink *master, unsigned vlan,
                      struct nllink *out, struct err **e)
{
    auto_err struct err *why = NULL;
    bool was_taken = false;
    int r = -EAGAIN;

    for (int i = 0; i < TRIES; i++) {
        struct nllink link;
        r = find_or_make(s, master, vlan, was_taken, &link, &why);
        if (r == 0) {
            *out = link;
            return 0;
        }
        /* What stands in the way by name is told by the next look, as is who else has the tag. */
        if ((r == -EEXIST && was_taken) || (r != -EAGAIN && r != -EEXIST && r != -ENODEV))
            break;
        was_taken = was_taken || r == -EEXIST;
    }
    if (r == -EAGAIN)
        return err_set(e, -ENODEV, "VLAN %u of '%s' does not stay up", vlan, master->name);
    return err_set(e, r, "%s", err_text(why));
}

/* Comes first: a note without a switch does no harm. */
static void note_switched(const char *locks, const char *master)
{
    auto_err struct err *why = NULL;

    if (vlandev_note_switched(locks, master, &why) < 0)
        log_warn("promiscuous mode of '%s' stays on until the next boot: %s", master,
                 err_text(why));
}

int vlandev_promiscuous(struct nl_sock *s, const char *locks, const struct nllink *master,
                        struct err **e)
{
    struct nllink_change c = {.is_promiscuous = true};
    auto_err struct err *why = NULL;
    struct nllink now;
    int r;

    if (master->flags & IFF_PROMISC)
        return 0;
    note_switched(locks, master->name);
    r = nllink_set(s, master->index, &c, &why);
    if (r == 0)
        r = nllink_get(s, master->name, &now, &why);
    if (r < 0)
        return err_set(e, r, "cannot switch promiscuous mode of '%s' on: %s", master->name,
                       err_text(why));
    if (!(now.flags & IFF_PROMISC))
        return err_set(e, -EIO, "promiscuous mode of '%s' did not stay on", master->name);
    return 1;
}

/* The pod works without it, until somebody switches promiscuous mode off. */
static void note(const char *locks, const char *master)
{
    auto_err struct err *why = NULL;

    if (vlandev_note_master(locks, master, &why) < 0)
        log_warn("nobody will keep '%s' promiscuous: %s", master, err_text(why));
}

static void give(const struct nllink *link, struct vlandev *d)
{
    d->index = link->index;
    d->mtu = link->mtu;
    d->mac = link->mac;
    memcpy(d->name, link->name, sizeof(d->name));
}

int vlandev_hold(struct nl_sock *s, const char *locks, const char *master, unsigned vlan,
                 struct vlandev *out, struct err **e)
{
    auto_vlandev struct vlandev d = VLANDEV_NONE;
    struct nllink link;
    char name[IFNAMSIZ];
    int r = find_master(s, master, &link, e);

    if (r == 0 && !(link.flags & IFF_UP))
        return err_set(e, -ENETDOWN, "master '%s' is down: ip link set %s up", master, master);
    if (r == 0)
        r = vlandev_promiscuous(s, locks, &link, e);
    if (r >= 0 && !vlan)
        note(locks, master);
    if (r >= 0 && vlan) {
        struct nllink parent = link;
        vlandev_name(master, vlan, name);
        r = vlandev_lock(locks, name, LOCK_SH, &d.lock_fd, e);
        if (r == 0)
            r = get_device(s, &parent, vlan, &link, e);
        if (r == 0)
            (void)futimens(d.lock_fd, NULL);
    }
    if (r < 0)
        return r;
    give(&link, &d);
    *out = d;
    d.lock_fd = -1;
    return 0;
}

void vlandev_drop(struct vlandev *d)
{
    mem_close_fd(&d->lock_fd);
    d->lock_fd = -1;
}
