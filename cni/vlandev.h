#pragma once
/*
 * What pods' macvlans stand on in the host's namespace: the master itself, or its VLAN device
 * "MASTER.VLAN". Those that we make carry VLANDEV_ALIAS as their alias; nothing else is ever
 * removed.
 *
 * For each VLAN device there is a lock file in a folder: who makes or uses the device holds it
 * shared, the clean-up holds it alone, and its time of change says when the device was last seen in
 * use.
 */
#include "err.h"
#include "ip.h"

#include <net/if.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VLANDEV_LOCKS "/run/flatnet/vlan"
#define VLANDEV_ALIAS "flatnet/vlan"

struct vlandev {
    int index;
    char name[IFNAMSIZ];
    unsigned mtu;
    struct ip_mac mac;
    int lock_fd; /* -1: none (VLAN 0) */
};

#define VLANDEV_NONE                                                                               \
    {                                                                                              \
        .lock_fd = -1                                                                              \
    }

/* "MASTER.VLAN", or "fn" and eight digits from a hash of the master where that has more than 15
 * bytes; the same on every host and at any time. */
void vlandev_name(const char *master, unsigned vlan, char out[IFNAMSIZ]);

/*
 * Makes the master promiscuous, and finds or makes the device, which is up and cannot go away by
 * our clean-up until vlandev_drop. `s` is a socket of the host's namespace, `locks` the folder.
 * Also what brings back a device after its master was gone for a while.
 *
 * -ENODEV: `failed to lookup iface "eth1": Link not found`, or the master went away meanwhile; can
 * be tried again. -ENETDOWN: the master is down. -EEXIST: the name, or the tag, belongs to
 * something else. -EOPNOTSUPP: no VLANs in this kernel.
 */
int vlandev_hold(struct nl_sock *s, const char *locks, const char *master, unsigned vlan,
                 struct vlandev *out, struct err **e);
void vlandev_drop(struct vlandev *d);
#define auto_vlandev __attribute__((cleanup(vlandev_drop)))

/* Switches promiscuous mode on, and leaves a note of that in `locks`; 1: it was off, 0: it was on.
 */
struct nllink;
int vlandev_promiscuous(struct nl_sock *s, const char *locks, const struct nllink *master,
                        struct err **e);

/*
 * Masters that have had pods without a VLAN since the boot, by the notes that vlandev_hold leaves
 * in `locks`; to be freed. None where there is no such folder.
 */
size_t vlandev_masters(const char *locks, char (**out)[IFNAMSIZ]);
/* The same of those that vlandev_promiscuous has switched. */
size_t vlandev_switched(const char *locks, char (**out)[IFNAMSIZ]);

/* Without changing anything: the link of that master and VLAN, verified. -ENODEV: there is none. */
int vlandev_find(struct nl_sock *s, const char *master, unsigned vlan, struct nllink *out,
                 struct err **e);

/* One VLAN device that we made. */
struct vlandev_made {
    int index;
    char name[IFNAMSIZ];
    char master[IFNAMSIZ];
    unsigned vlan;
    bool is_up;
};

/* All of them, to be freed; for a list of what to bring back with vlandev_hold. */
int vlandev_list(struct nl_sock *s, struct vlandev_made **out, size_t *out_count, struct err **e);

/*
 * Removes the VLAN devices that we made and that nobody has been seen to use for `idle_ms`; returns
 * how many. Used is what has a macvlan on it (in any namespace, up or not), another link, an
 * address or a bridge. Goes on after an error; the first one is reported. Call it every few
 * minutes: only what it sees counts as use.
 */
int vlandev_sweep(struct nl_sock *s, const char *locks, int64_t idle_ms, struct err **e);

/*
 * What pods have left in this namespace when nobody uses an address any more: removes the VLAN
 * devices of ours without a user, whenever they had one, switches promiscuous mode off where we had
 * switched it on and no such device is left, and removes the notes and locks. Goes on after an
 * error; the first one is reported.
 */
int vlandev_purge(struct nl_sock *s, const char *locks, struct err **e);
