#pragma once
/*
 * A workload that asks for addresses of a subnet, or does so no more: what has to be changed, as
 * one merge-patch, and whether it can work. Pure.
 */
#include "buf.h"
#include "err.h"
#include "macvlan/annot.h"
#include "netview.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* On the workload: what was in the update strategy before, as JSON. */
#define WORKLOAD_BEFORE_KEY "macvlan.panda.io/strategyBefore"

struct workload_ref {
    const struct netview_kind *kind;
    const char *name; /* borrowed from the arguments */
};

/* "KIND/NAME", or KIND and NAME; kinds as kubectl has them, with a group behind a dot, too.
 * -EINVAL */
int workload_ref_parse(char *const *args, int n_args, struct workload_ref *out, struct err **e);

struct workload_ask {
    const char *subnet;
    const char *ip;  /* "auto", or addresses joined by ',' or '-'; NULL: auto */
    const char *mac; /* MACs joined in the same way; NULL: none */
    bool is_multus;  /* the networks annotation is needed */
};

/* The annotations of the pod template (ip, subnet, mac) that stand for it. */
cJSON *workload_annotations(const struct workload_ask *ask);

/*
 * A merge-patch for `object` with its resourceVersion as the precondition. -EINVAL: the workload's
 * networks annotation cannot be read. -ENOTSUP: a Job, whose template nobody can change.
 */
int workload_enable(const struct netview_kind *kind, const cJSON *object,
                    const struct workload_ask *ask, cJSON **out, struct err **e);
/* The opposite: only what the other one has put there goes. */
int workload_disable(const struct netview_kind *kind, const cJSON *object, cJSON **out,
                     struct err **e);

/* Drops from the patch what the object has already; false: nothing is left but the precondition. */
bool workload_patch_trim(const cJSON *object, cJSON *patch);
/* Appends lines "- PATH: OLD" and "+ PATH: NEW". -EFBIG */
int workload_patch_diff(const cJSON *object, const cJSON *patch, struct buf *out);

/* How many pods it makes at a time. */
size_t workload_pods(const struct netview_kind *kind, const cJSON *object);

/*
 * Whether the request can be fulfilled in that cluster, by subnets, MacvlanIPs, pods, workloads and
 * the namespace. What is no error goes to the log. -EINVAL names the option; -ENOENT: no such
 * subnet; -EEXIST: somebody else has an address or a MAC.
 */
int workload_check(const struct netview *v, const struct workload_ref *ref, const cJSON *object,
                   const struct workload_ask *ask, struct err **e);
