#pragma once
/*
 * Shared by the files about services only: ctl_services.c keeps them by namespace, ctl_companions.c
 * decides about companions, ctl_endpoints.c writes Endpoints and EndpointSlices, ctl_slices.c knows
 * which of the latter there are.
 */
#include "ctl.h"
#include "ctl_pod.h"

#include "kube/kube_hash.h"

#define SERVICES "/api/v1/namespaces/%s/services"
/* Reason of events about services. */
#define SERVICE_ERROR "MacvlanServiceError"

/* How soon a service is looked at again: after a write, and after a look that wrote nothing. */
#define WRITE_GAP_MS 500
#define LOOK_GAP_MS 100

/* What is kept of a Service. The last four survive a new version of it. */
struct service {
    char *key;
    char *text;      /* JSON of what svc_* read of it: most services are never looked at */
    cJSON *selector; /* NULL: none */
    bool is_companion;
    bool has_networks; /* the annotation */
    bool is_deleting;
    struct service *prev, *next; /* in its namespace */
    char *told;                  /* what people were told about it last; NULL: nothing */
    int64_t companion_due_ms, endpoints_due_ms;
    int64_t list_due_ms; /* when to look for slices of Kubernetes' own controllers; 0: not at all */
};

/* Services and pods of one namespace. */
struct service_space {
    char *name;
    struct service *services;
    struct ctl_pod *pods;
    size_t n_macvlan; /* pods */
    UT_hash_handle hh;
};

struct ctl_services {
    struct ctl *c;
    struct kube_informer *informer;
    struct kube_queue *queue; /* of sources, for their companions */
    struct service_space *spaces;
    struct deed *deeds;
    size_t n_rivals; /* pods of kube-net-attach-def-controller */
};

/* --- ctl_services.c --- */

/* NULL: there is none. Borrowed until back in the loop; the members that survive may be written. */
struct service *services_get(const struct ctl_services *s, const char *key);
/* The service as a tree; NULL gives NULL. */
cJSON *services_tree(const struct service *service);
/* NULL: neither pods nor services are there. */
struct service_space *services_space(const struct ctl_services *s, const char *ns);
/* Tells people by an event on the service, if it is something new. NULL: all is well. */
void services_tell(struct ctl_services *s, struct service *service, const char *text);
/* The controller of 2019 runs, which writes Endpoints of annotated services. */
bool services_have_rival(const struct ctl_services *s);
/* The key of the source, to be freed; NULL where the name is not that of a companion. */
char *services_source_key(const char *companion_key);

/* --- ctl_companions.c --- */

void companions_handle(void *arg, const char *key);
void companions_cancel(struct ctl_services *s);

/* --- ctl_endpoints.c --- */

void ctl_endpoints_add(struct ctl_endpoints *e, const char *key);
/* The server may have become another one. */
void ctl_endpoints_detect(struct ctl_endpoints *e);
