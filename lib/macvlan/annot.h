#pragma once
/*
 * What a pod asks for by its annotations, and what it gets: pairs of address and MAC, refusals with
 * the texts of 2019 and what to do, labels.
 *
 * Addresses and MACs in lists are joined by '-'; the i-th address goes with the i-th MAC. One
 * address and one MAC are a pair too; "auto" takes the first MAC of its list that is free; several
 * addresses with one MAC are a mistake.
 */
#include "ip.h"
#include "macvlan/alloc.h"
#include "macvlan/mac.h"
#include "macvlan/subnet.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define ANNOT_IP "macvlan.pandaria.cattle.io/ip"
#define ANNOT_SUBNET "macvlan.pandaria.cattle.io/subnet"
#define ANNOT_MAC "macvlan.pandaria.cattle.io/mac"
#define ANNOT_DEFAULT_NETWORK "v1.multus-cni.io/default-network"

#define ANNOT_LIST_MAX 1024
#define ANNOT_UI_MAX 14 /* pairs; documented in 2019 */

#define LABEL_SELECTED_IP "macvlan.pandaria.cattle.io/selectedIp"
#define LABEL_IP_HASH "macvlan.pandaria.cattle.io/multipleIpHash"
#define LABEL_POD_SUBNET "macvlan.pandaria.cattle.io/subnet"
#define LABEL_SELECTED_MAC "macvlan.panda.io/selectedMac"
#define LABEL_IP_TYPE "macvlan.panda.io/macvlanIpType" /* "auto" or "specific" */

/* A list of annotations that could be read. */
struct annot_request {
    char *subnet;
    char *ip_text;       /* the annotation, as it stands there */
    struct ip_addr *ips; /* none: "auto" */
    size_t n_ips;
    struct ip_mac *macs; /* none: ours to choose; else n_ips of them, or any number for "auto" */
    size_t n_macs;
};

#define ANNOT_IP_ERROR "MacvlanIPError"
#define ANNOT_SUBNET_ERROR "MacvlanSubnetError"

/* Why a pod gets no address. {0} before the first use; the functions release what is in it. */
struct annot_refusal {
    const char *reason; /* of the event: one of the two above */
    char *text;         /* of the event */
    char *admission;    /* what the webhook answers */
};

void annot_request_release(struct annot_request *r);
void annot_refusal_release(struct annot_refusal *r);

/*
 * Reads the annotations (an object, or NULL) of a pod or pod template. 1: *out is what it asks for.
 * 0: it has not both of ip and subnet, so that it is none of ours. -EINVAL: *out_refusal says what
 * is wrong with them.
 */
int annot_parse(const cJSON *annotations, struct annot_request *out,
                struct annot_refusal *out_refusal);

/* A warning for the user, to be freed, or NULL. The list is longer than the UI can show. */
char *annot_long_list(const struct annot_request *r);
/* The pod has only a part of the annotations that its mode needs. `is_multus`: our plugin is called
 * by multus (else it is chained and looks at every pod). */
char *annot_half(const cJSON *annotations, bool is_multus);

/* The labels of a pod that got `ip`, and `mac` (NULL: none); to be deleted by the caller. */
cJSON *annot_labels(const struct annot_request *r, struct ip_addr ip, const struct ip_mac *mac);

/* Whether the subnet called `name` can give addresses; NULL: there is none. 0 or -EAGAIN. */
int annot_check_subnet(const char *name, const struct subnet *s, struct annot_refusal *out_refusal);
/*
 * Whether a pod may use the subnet. `project` is the annotation field.cattle.io/projectId of its
 * namespace, NULL where Rancher has none. 0 or -EAGAIN. Rule of the 2019 system's later versions.
 */
int annot_check_project(const struct subnet *s, const char *pod_name, const char *project,
                        struct annot_refusal *out_refusal);

/* Where pairs come from. */
struct annot_source {
    struct alloc *alloc;     /* of the subnet */
    struct mac_set *macs;    /* of its segment */
    const char *cluster_uid; /* for MACs of our own */
    bool may_take_reserved;  /* the pod comes from the workload that reserved its addresses */
};

struct annot_pair {
    struct ip_addr ip;
    struct ip_mac mac;
    bool has_mac; /* false only in passthru mode */
};

/*
 * Picks the first pair that can be had, in the order of the lists; its address is then used and its
 * MAC held. -EINVAL: one of the addresses can never be given by this subnet, as it is now. -EAGAIN:
 * all are taken.
 */
int annot_pick(const struct annot_request *r, const struct annot_source *from,
               struct annot_pair *out, struct annot_refusal *out_refusal);

/* Whether an address could be had now; nothing is taken. 0, or what annot_pick would say if it was
 * the only one. */
int annot_check_ip(struct ip_addr ip, const struct annot_source *from,
                   struct annot_refusal *out_refusal);

#define auto_annot_request __attribute__((cleanup(annot_request_release)))
#define auto_annot_refusal __attribute__((cleanup(annot_refusal_release)))
