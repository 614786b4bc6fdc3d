#pragma once
/*
 * The answer of the admission webhook: an AdmissionReview (admission.k8s.io v1 or v1beta1) in, its
 * response out. What it knows of the cluster comes through a few callbacks, so that it does no I/O.
 *
 * Refused are what the controller would refuse later: subnets with a wrong spec or that overlap
 * others, the deletion of one in use, and workloads whose annotations cannot work; with the texts
 * of macvlan-system 3.4 and status code 400. What does not change the annotations or the spec is
 * never refused: a workload must be scalable and a finalizer removable whatever the subnet has
 * become meanwhile, and a subnet is held against others when its place changes. Pods and Jobs that
 * a controller makes are checked for form only, since their template was checked, and a pod that
 * waits for its predecessor's address must be made.
 */
#include "buf.h"
#include "err.h"
#include "macvlan/annot.h"
#include "macvlan/subnet.h"

#include <stdbool.h>
#include <stddef.h>

#define ADMISSION_MAX_BODY (3 << 20) /* an object and the one before, each up to 1.5 MiB */
#define ADMISSION_SUBNET_NAMESPACE "kube-system"

/* Whose pods ask. Borrowed. */
struct admission_owner {
    const char *kind; /* "Deployment", ..., "Pod" */
    const char *namespace;
    const char *name; /* "" for one whose name the API server has yet to make */
};

struct admission_lookup {
    void *arg; /* for all of them */
    /* The subnet of that name as it is stored, or NULL. */
    const struct subnet *(*subnet)(void *arg, const char *name);
    /* 0, or -EEXIST: some other subnet cannot be together with this one (subnet_check_overlap). */
    int (*check_overlap)(void *arg, const struct subnet *s, struct err **e);
    /* How many addresses of the subnet are in use. */
    size_t (*count_used)(void *arg, const char *subnet);
    /* As annot_check_ip, but what the owner's own pods hold and what it has reserved is free to it.
     */
    int (*check_ip)(void *arg, const struct subnet *s, struct ip_addr ip,
                    const struct admission_owner *owner, struct annot_refusal *out_refusal);
    /* Whether somebody other than the owner's pods holds the MAC in the subnet's segment. */
    bool (*is_mac_used)(void *arg, const struct subnet *s, struct ip_mac mac,
                        const struct admission_owner *owner);
    /* Annotation field.cattle.io/projectId of a namespace, or NULL. */
    const char *(*project)(void *arg, const char *namespace);
    bool is_multus;     /* the mode, for warnings (annot_half) */
    bool legacy_octets; /* for subnets (subnet_parse) */
};

/*
 * Appends the response to `out`; 1: it refuses. Objects of other kinds are allowed. -EBADMSG: the
 * body is no AdmissionReview of a version that we know, which is to be answered with HTTP 400.
 */
int admission_review(const struct admission_lookup *lookup, const void *body, size_t len,
                     struct buf *out, struct err **e);
