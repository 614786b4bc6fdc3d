#pragma once
/*
 * What somebody has put on a link besides the link itself: its permanent addresses, and the routes
 * by it that are not the kernel's own. The kernel's messages are kept as they are, so that all of
 * it can be put back on a link that takes its place.
 */
#include "nlreq.h"

#include <stddef.h>

struct nlkeep {
    struct nlmsghdr **items; /* addresses first */
    size_t count;
};

int nlkeep_read(struct nl_sock *s, int link, struct nlkeep *out, struct err **e);
/* Puts on `link` what is not there; goes on after an error. Returns how much was put. */
size_t nlkeep_put(struct nl_sock *s, const struct nlkeep *k, int link);
void nlkeep_release(struct nlkeep *k);
