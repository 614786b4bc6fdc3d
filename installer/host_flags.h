#pragma once
/*
 * The shortest set of flannel's flags that is right on every one of several hosts. Each host is a
 * network state and the link that it shall be; the flags that are tried come from what the hosts
 * have in common: names, exact and as regular expressions, and the beginnings of addresses.
 */
#include "host_iface.h"

#define FLAGS_MAX 3 /* more of them is no answer; then the hosts are named one by one */

struct flags_host {
    const char *name;
    const struct net_state *net;
    const char *wanted; /* name of the link */
};

struct flags_answer {
    char *flags[FLAGS_MAX]; /* "--iface=eth0", "--iface-regex=^10\\.0\\." */
    size_t count;           /* 0: flannel's own choice is right everywhere */
};

/* 1: *out is the answer; 0: there is none of at most FLAGS_MAX flags. */
int flags_find(const struct flags_host *hosts, size_t n_hosts, bool all_addrs,
               struct flags_answer *out, struct err **e);
void flags_answer_release(struct flags_answer *a);
