#pragma once
/*
 * Network namespaces by their files (/proc/PID/ns/net, /run/netns/NAME): opening one, and doing
 * something inside. Only the calling thread moves.
 */
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

struct netns {
    int fd;       /* of the namespace */
    int home_fd;  /* of the one this thread was in when it was opened */
    bool is_home; /* they are the same */
};

/* -ENOENT: there is no such file, or nothing is mounted on it any more. */
int netns_open(const char *path, struct netns *out, struct err **e);
void netns_release(struct netns *n);

/* Calls f inside and comes back. Where even the way back fails, the error says so, and the process
 * must end: it is in the wrong namespace. */
int netns_run(const struct netns *n, int (*f)(void *arg, struct err **e), void *arg,
              struct err **e);

/* A netlink socket that lives inside. */
struct nl_sock;
int netns_socket(const struct netns *n, struct nl_sock **out, struct err **e);

/*
 * Paths of all other namespaces that can be found: those of processes, and those that runtimes keep
 * in folders (`folders` ends with NULL); each namespace once. Strings and array are to be freed
 * with netns_list_free.
 */
int netns_list(const char *const *folders, char ***out_paths, size_t *out_count, struct err **e);
void netns_list_free(char **paths, size_t count);

#define auto_netns __attribute__((cleanup(netns_release)))
#define NETNS_NONE                                                                                 \
    {                                                                                              \
        .fd = -1, .home_fd = -1                                                                    \
    }
