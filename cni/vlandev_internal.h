#pragma once
/* What the two halves of vlandev share. */
#include "netlink/nllink.h"
#include "vlandev.h"

/* The device's lock file, held as `how` says (LOCK_SH, LOCK_EX, LOCK_NB). -EWOULDBLOCK: held by
 * others. */
int vlandev_lock(const char *locks, const char *name, int how, int *out_fd, struct err **e);
void vlandev_lock_path(const char *locks, const char *name, char **out_path);
/* True for a VLAN device with our mark, or on its way to it. */
bool vlandev_is_ours(const struct nllink *link, const char *master);
/* Leaves a note for vlandev_masters. */
int vlandev_note_master(const char *locks, const char *master, struct err **e);
/* Leaves a note for vlandev_switched. */
int vlandev_note_switched(const char *locks, const char *master, struct err **e);
