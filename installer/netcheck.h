#pragma once
/*
 * What is wrong with the flat network of a cluster, by its objects alone. Pure.
 */
#include "netview.h"

#include <stdbool.h>
#include <stddef.h>

enum netcheck_level { NETCHECK_ERROR, NETCHECK_WARNING };

struct netcheck_finding {
    enum netcheck_level level;
    const char *code; /* a word for machines: "duplicate-ip" */
    char *subject;    /* "pod n/a" */
    char *cause, *mend;
    bool is_passing; /* may be gone in a moment: objects are written one after the other */
};

struct netcheck {
    const struct netview *v; /* all parts */
    char *const *names;      /* only findings about these subnets; NULL-terminated; empty: all */
    int64_t now_s;           /* since 1970 */
    struct netcheck_finding *findings;
    size_t n_findings;
    struct netview_index pods, ips, endpoints, services; /* of the view */
};

/* Fills the findings. To be released. */
void netcheck_run(struct netcheck *n);
void netcheck_release(struct netcheck *n);

/* Keeps of the passing findings only those that the other has too. */
void netcheck_confirm(struct netcheck *n, const struct netcheck *other);
bool netcheck_has_passing(const struct netcheck *n);
size_t netcheck_count(const struct netcheck *n, enum netcheck_level level);

/* --- for the files of netcheck --- */

/* Takes the texts. */
void netcheck_add(struct netcheck *n, const struct netcheck_finding *finding);
bool netcheck_wants(const struct netcheck *n, const char *subnet);
/* The subnet that a pod names, "" none. */
const char *netcheck_subnet_of(const cJSON *pod);
/* Has both annotations and has not ended. */
bool netcheck_is_macvlan(const cJSON *pod);
/* The pod's own MacvlanIP, or NULL. */
const cJSON *netcheck_ip_of(const struct netcheck *n, const cJSON *pod);

void netcheck_subnets(struct netcheck *n);   /* specs, overlaps, figures */
void netcheck_addresses(struct netcheck *n); /* MacvlanIPs against pods, subnets and each other */
void netcheck_pods(struct netcheck *n);      /* who waits, half-annotated, networks */
void netcheck_services(struct netcheck *n);  /* -macvlan services */
void netcheck_system(struct netcheck *n);    /* the controller; leftovers of 2019 */
