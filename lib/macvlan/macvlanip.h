#pragma once
/*
 * MacvlanIPs: who has which address. Reading keeps only what the controller needs, in one block of
 * memory for each; writing makes the whole object, with what the plugin needs of the subnet copied
 * into spec.network.
 */
#include "err.h"
#include "ip.h"
#include "macvlan/subnet.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#define MACVLANIP_API "macvlan.cluster.cattle.io/v1"
/* Keeps an object, and so its address, until the time in the annotation (RFC 3339, UTC). */
#define MACVLANIP_DELAY_FINALIZER "macvlan.panda.io/ipDelayReuse"
#define MACVLANIP_DELAY_KEY "macvlan.panda.io/ipDelayReuseTimestamp"
#define MACVLANIP_PROJECT_LABEL "field.cattle.io/projectId"
#define MACVLANIP_WORKLOAD_LABEL "workload.user.cattle.io/workloadselector"

enum macvlanip_owner {
    MACVLANIP_NO_OWNER,
    MACVLANIP_POD,
    MACVLANIP_STATEFULSET,
    MACVLANIP_OTHER_OWNER,
};

/* Texts are "" where the object has none, and live as long as the struct. */
struct macvlanip {
    const char *namespace, *name, *uid, *resource_version;
    const char *pod_uid;   /* spec.podId */
    const char *owner_uid; /* of the controller among the owners */
    const char *subnet;    /* spec.subnet */
    struct ip_addr ip;     /* AF_UNSPEC: spec.cidr is no address */
    struct ip_mac mac;
    uint64_t network;   /* macvlanip_digest of spec.network; 0: not there */
    int64_t reuse_at_s; /* MACVLANIP_DELAY_KEY in seconds since 1970; 0: none */
    unsigned char prefix;
    unsigned char owner; /* enum macvlanip_owner */
    bool has_mac;
    bool is_auto; /* label macvlanIpType */
    bool is_deleting;
    bool has_delay_finalizer;
};

/* -EBADMSG: no namespace, name or UID. Anything else that is missing or wrong counts as absent. */
int macvlanip_parse(const cJSON *object, struct macvlanip **out, struct err **e);
void macvlanip_free(struct macvlanip *m); /* one free(); NULL is fine */

/* spec.network for a subnet, every member written, so that it also serves as a merge-patch. */
cJSON *macvlanip_network(const struct subnet *s);
/* A number that is the same for two spec.network that mean the same, however they are written. */
uint64_t macvlanip_digest(const cJSON *network);

struct macvlanip_spec {
    const char *namespace;
    const char *pod_name; /* and that of the object */
    const char *pod_uid;
    const char *set_name, *set_uid; /* of the StatefulSet that owns it; NULL: the pod does */
    const char *project;            /* label MACVLANIP_PROJECT_LABEL of the namespace, or NULL */
    const char *workload;           /* for MACVLANIP_WORKLOAD_LABEL, or NULL */
    const struct subnet *subnet;
    struct ip_addr ip;
    const struct ip_mac *mac; /* NULL: the kernel's choice */
    bool is_auto;
    bool is_delayed; /* with MACVLANIP_DELAY_FINALIZER */
};

/* The object to create. A label whose value no label can have is left out. */
cJSON *macvlanip_build(const struct macvlanip_spec *x);
