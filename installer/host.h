#pragma once
/*
 * `flatnet host`: named items that say whether this machine can be a node of a cluster with pods on
 * its VLANs, and what of it can be mended. An item reads facts and gives one verdict; some also
 * plan changes (host_change.h), which are applied, journalled and undone in one place.
 */
#include "cli.h"
#include "err.h"
#include "host_change.h"
#include "host_file.h"
#include "netlink/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum host_role { HOST_CONTROLPLANE = 1, HOST_ETCD = 2, HOST_WORKER = 4 };
#define HOST_ALL_ROLES (HOST_CONTROLPLANE | HOST_ETCD | HOST_WORKER)

struct host_options {
    const char *root; /* "" or a folder that stands for / */
    struct cli_list roles, masters, only, ignore;
    const char *pod_cidr, *service_cidr;
    const char *bundle; /* whose images must fit; NULL: not known */
};

/* What the items look at, gathered once. */
struct host {
    const struct host_options *options;
    const char *root; /* "" or a folder without a slash at its end */
    bool is_live;     /* the running machine: not --root */
    unsigned roles;
    char **masters; /* names: the given ones, else the link of the default route */
    size_t n_masters;
    bool masters_guessed;
    struct net_state net;        /* empty where !is_live */
    char *release;               /* of the kernel; "" where it is not known */
    char *modules;               /* /proc/modules */
    struct host_names processes; /* their names (comm) */
    int64_t bundle_bytes;        /* the bundle's images unpacked; 0: not known */
};

/* -EINVAL: options that cannot be; or what the kernel refuses. */
int host_open(const struct host_options *options, struct host *out, struct err **e);
void host_close(struct host *h);

/* True if a process of that name runs. */
bool host_runs(const struct host *h, const char *name);

enum host_level { HOST_PASS, HOST_WARN, HOST_FAIL };

/* One verdict: the worst of what was said about it. */
struct host_verdict {
    enum host_level level;
    struct buf seen; /* facts, joined by "; " */
    struct buf mend; /* what to do, joined by "; "; empty for a pass */
};

/* Adds one fact. `mend` is NULL for a pass. */
void host_say(struct host_verdict *v, enum host_level level, const char *mend, const char *seen,
              ...) __attribute__((format(printf, 4, 5)));

struct host_item {
    const char *name;
    const char *about; /* for the manual and for JSON */
    bool is_live;      /* is about the running machine, so is left out with --root */
    void (*check)(const struct host *h, struct host_verdict *v);
    /* Adds the changes that would make it pass; NULL where there are none to make. -errno where it
     * cannot know them. */
    int (*plan)(const struct host *h, struct host_plan *plan, struct err **e);
};

extern const struct host_item host_items[];
extern const size_t host_n_items;

struct host_result {
    const struct host_item *item;
    struct host_verdict verdict;
    bool is_ignored; /* a fail that counts as a warning */
};
struct host_report {
    struct host_result *results;
    size_t count;
    size_t passed, warned, failed;
};

/* Runs the items of --only (else all) in the table's order. -EINVAL for an unknown name. */
int host_check(const struct host *h, struct host_report *out, struct err **e);
void host_report_release(struct host_report *r);

/* What would have to be changed, by all items that are not in --ignore. */
int host_make_plan(const struct host *h, struct host_plan *out, struct err **e);

/* --- the items; each file has a header of its own only in this list --- */
#define HOST_CHECK(name) void name(const struct host *h, struct host_verdict *v)
#define HOST_PLAN(name) int name(const struct host *h, struct host_plan *plan, struct err **e)

/* What nobody can put a macvlan on is not prepared. -EINVAL: there is no such NIC, or why not. */
int host_masters_usable(const struct host *h, struct err **e);

HOST_CHECK(host_check_root);
HOST_CHECK(host_check_kernel);
HOST_CHECK(host_check_features);
HOST_CHECK(host_check_modules);
HOST_PLAN(host_plan_modules);
HOST_CHECK(host_check_modules_boot);
HOST_PLAN(host_plan_modules_boot);
HOST_CHECK(host_check_swap);
HOST_PLAN(host_plan_swap);
HOST_CHECK(host_check_swap_boot);
HOST_PLAN(host_plan_swap_boot);
HOST_CHECK(host_check_sysctl);
HOST_PLAN(host_plan_sysctl);
HOST_CHECK(host_check_sysctl_boot);
HOST_PLAN(host_plan_sysctl_boot);
HOST_CHECK(host_check_filters);
HOST_CHECK(host_check_master);
HOST_CHECK(host_check_mtu);
HOST_CHECK(host_check_promisc);
HOST_PLAN(host_plan_promisc);
HOST_CHECK(host_check_promisc_boot);
HOST_PLAN(host_plan_promisc_boot);
HOST_CHECK(host_check_hypervisor);
HOST_CHECK(host_check_cidr);
HOST_CHECK(host_check_ports);
HOST_CHECK(host_check_default_route);
HOST_CHECK(host_check_firewall);
HOST_CHECK(host_check_selinux);
HOST_CHECK(host_check_fapolicyd);
HOST_CHECK(host_check_network_manager);
HOST_PLAN(host_plan_network_manager);
HOST_CHECK(host_check_clock);
HOST_CHECK(host_check_hostname);
HOST_CHECK(host_check_resolver);
HOST_CHECK(host_check_proxy);
HOST_CHECK(host_check_leftovers);
HOST_CHECK(host_check_docker);
HOST_CHECK(host_check_docker_space);
HOST_CHECK(host_check_containerd);
