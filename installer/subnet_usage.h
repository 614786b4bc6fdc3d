#pragma once
/* Who has which address of a subnet, by what the cluster's objects say. Pure. */
#include "ip.h"
#include "macvlan/alloc.h"
#include "macvlan/subnet.h"
#include "netview.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum usage_state {
    USAGE_USED,     /* a pod has it */
    USAGE_KEPT,     /* a StatefulSet has it, for the next pod of that name */
    USAGE_COOLING,  /* ipDelayReuse: `until` */
    USAGE_ORPHAN,   /* a MacvlanIP whose pod is gone */
    USAGE_PROMISED, /* in the status of the subnet, for a pod that has no MacvlanIP yet */
    USAGE_RESERVED, /* a template names it, and no pod has it */
};

/* Texts are borrowed from the objects but for `workload`. */
struct usage_row {
    enum usage_state state;
    struct ip_addr first, last; /* the same but for reserved ones */
    const char *mac;            /* "" none */
    const char *namespace, *pod;
    char *workload; /* "deployment/web"; "" none */
    const char *node, *since, *until;
    bool is_auto, is_outside;
};

struct usage {
    struct subnet *subnet;
    struct usage_row *rows; /* by address */
    size_t n_rows;
    struct alloc_counts counts;
    struct ip_range *free; /* ascending */
    size_t n_free;
};

/* `object` is a MacvlanSubnet; of the view subnets, MacvlanIPs, pods and workloads are looked at.
 * -EBADMSG as subnet_parse. An invalid subnet has rows only. */
int usage_make(const struct netview *v, const cJSON *object, struct usage *out, struct err **e);
void usage_release(struct usage *u);
#define auto_usage __attribute__((cleanup(usage_release)))

/* "used", "kept", ... */
const char *usage_state_name(enum usage_state state);

/* What the controller wrote into the status of a MacvlanSubnet. False: nothing yet. */
bool usage_from_status(const cJSON *object, struct alloc_counts *out);
