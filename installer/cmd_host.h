#pragma once
/* What the verbs of `flatnet host` share. */
#include "host.h"

/* The options that choose items and say what the host shall be. `options` is a struct
 * host_options. */
#define HOST_OPTIONS(options)                                                                        \
    {"master",           'm',                                                                        \
     CLI_LIST,           "IF",                                                                       \
     &(options).masters, "a NIC for pods (several times; default: that of the default route)"},      \
        {"role",           0,                                                                        \
         CLI_LIST,         "ROLE",                                                                   \
         &(options).roles, "controlplane, etcd, worker or all, with commas between (default: all)"}, \
        {"only", 0, CLI_LIST, "NAME[,NAME]", &(options).only, "these items and no others"},          \
        {"ignore",                                                                                   \
         0,                                                                                          \
         CLI_LIST,                                                                                   \
         "NAME[,NAME]",                                                                              \
         &(options).ignore,                                                                          \
         "items whose failure is only a warning, and that are not mended; or 'all'"},                \
    {                                                                                                \
        "root", 0, CLI_STRING, "DIR", &(options).root, "look at the files below DIR only"            \
    }

#define HOST_OPTIONS_INIT                                                                          \
    {                                                                                              \
        .root = "", .pod_cidr = "10.42.0.0/16", .service_cidr = "10.43.0.0/16",                    \
    }

void cmd_host_release(struct host_options *options);
/* --root without its final slashes, "/" being none. To be freed; *options points into it. */
char *cmd_host_root(struct host_options *options);

/* Reads a JSON array of what `host iface` prints on several hosts, finds the flags that are right
 * on all of them, prints those and returns the exit status; or a negative errno. */
int cmd_host_flags(const char *path, bool all_addrs, struct err **e);
