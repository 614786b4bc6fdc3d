#pragma once
/*
 * What a cluster says about its flat network, read once: the objects as the server has them, and
 * questions about them that need no server.
 */
#include "cluster.h"
#include "err.h"
#include "macvlan/subnet.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define NETVIEW_KINDS 5 /* of workloads */

enum netview_part {
    NETVIEW_SUBNETS = 1 << 0,
    NETVIEW_IPS = 1 << 1,
    NETVIEW_PODS = 1 << 2,
    NETVIEW_WORKLOADS = 1 << 3,
    NETVIEW_SERVICES = 1 << 4, /* and their Endpoints */
    NETVIEW_SPACES = 1 << 5,   /* namespaces and their networks */
    NETVIEW_EVENTS = 1 << 6,   /* Warnings about pods */
    NETVIEW_CONTROLLER = 1 << 7,
    NETVIEW_ALL = (1 << 8) - 1,
};

/* A kind of workload; the order is that of the table in netview.c. */
struct netview_kind {
    const char *kind;         /* "Deployment" */
    const char *word, *words; /* "deployment", "deployments" */
    const char *shorter;      /* "deploy"; NULL: none */
    const char *api,
        *other_api; /* "/apis/apps/v1"; the second is asked where the first is not there */
};
extern const struct netview_kind netview_kinds[NETVIEW_KINDS];

/* Each is an array of objects, or NULL where it was not asked for. */
struct netview {
    cJSON *subnets, *ips, *pods, *services, *endpoints, *namespaces, *events;
    cJSON *nads; /* NULL too where the server does not have them */
    cJSON *workloads[NETVIEW_KINDS];
    cJSON *controller; /* the Deployment, or NULL: none */
    cJSON *lease;      /* of the controller, or NULL: none */
    bool is_multus;    /* else chained: as the Deployment says, or by whether there are networks */
    bool has_legacy_octets;
};

/* `namespace`: pods, events, services and workloads of that one alone, or NULL: all. -ENOENT: the
 * cluster has no flat network. To be released also after an error. */
int netview_read(struct cluster *c, unsigned parts, const char *namespace, struct netview *out,
                 struct err **e);
void netview_release(struct netview *v);
#define auto_netview __attribute__((cleanup(netview_release)))

/* --- objects, all borrowed --- */

/* Of metadata; "" where there is none. */
const char *netview_name(const cJSON *object);
const char *netview_namespace(const cJSON *object);
const char *netview_uid(const cJSON *object);
const char *netview_label(const cJSON *object, const char *key);
const cJSON *netview_annotations(const cJSON *object);
bool netview_is_deleting(const cJSON *object);
/* The one of that name in an array, or NULL; `namespace` NULL: whatever its namespace. */
const cJSON *netview_find(const cJSON *list, const char *namespace, const char *name);
/* For many such questions about one array; borrows its objects. */
struct netview_index {
    struct netview_entry {
        char *key; /* "namespace/name" */
        const cJSON *object;
    } * entries;
    size_t n;
};
void netview_index_init(struct netview_index *x, const cJSON *list);
void netview_index_release(struct netview_index *x);
const cJSON *netview_index_find(const struct netview_index *x, const char *namespace,
                                const char *name);
#define auto_netview_index __attribute__((cleanup(netview_index_release)))

/* The owner reference that is the controller, or NULL. */
const cJSON *netview_owner(const cJSON *object);

/* The template of a workload's pods ("metadata", "spec"), or NULL. */
const cJSON *netview_template(const struct netview_kind *kind, const cJSON *workload);
/* Has made its last pod: a Job that is complete or has failed. */
bool netview_has_ended(const cJSON *workload);

/* "Running", "Pending", ... and whether it succeeded or failed. */
const char *netview_phase(const cJSON *pod);
bool netview_pod_has_ended(const cJSON *pod);
bool netview_pod_is_ready(const cJSON *pod);
const char *netview_node(const cJSON *pod);
/* "deployment/web", "cronjob/night", "" for a pod by itself; to be freed. `jobs` finds the CronJob
 * of a Job; NULL is fine. */
char *netview_workload_of(const cJSON *pod, const cJSON *jobs);

/* The text of the latest Warning of the controller or the kubelet about the pod, borrowed, or NULL;
 * `prefix` of its reason ("Macvlan"; "" any). */
const char *netview_warning(const struct netview *v, const cJSON *pod, const char *prefix);

/* The subnet of that name, parsed, to be freed; NULL: there is none. */
struct subnet *netview_subnet(const struct netview *v, const char *name);
