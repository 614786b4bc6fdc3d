#pragma once
/*
 * From the backends of a service to the sorted rows that Endpoints and EndpointSlices are made of:
 * addresses made canonical, the dead and the repeated left out, ports resolved for each pod.
 */
#include "macvlan/svc_networks.h"
#include "svc_pod.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The service that the endpoints belong to. All borrowed. */
struct svc_target {
    const char *namespace;
    const char *name;
    const char *uid;
    /* Pods whose subdomain is this keep their hostname in DNS: the name of the source service,
     * since a pod can name only one, and it knows that one. */
    const char *subdomain;
    const cJSON *ports; /* spec.ports, or NULL */
    bool publishes_not_ready;
    bool is_headless;
    bool has_selector; /* kube-controller-manager writes endpoints for it too */
};

/* `source_name` NULL: the service itself. False where metadata lacks a name, namespace or UID. */
bool svc_target_from(const cJSON *service, const char *source_name, struct svc_target *out_target);

/* A pod and one address of it. Both are borrowed. */
struct svc_backend {
    const struct svc_pod *pod;
    const char *address;
};

/* A list of them, zeroed at first; `items` is freed by the owner. */
struct svc_backends {
    struct svc_backend *items;
    size_t count;
};

/*
 * Adds what `pod` has on `network`: for static-macvlan-cni-attach of its own namespace the address
 * of its MacvlanIP, which is right also where multus writes no status; without a MacvlanIP, and for
 * any other network, those of the status annotation. `network` NULL is that one network.
 * `macvlan_ip` may be NULL; both texts are borrowed.
 */
void svc_backends_add(struct svc_backends *list, const struct svc_pod *pod,
                      const struct svc_network *network, const char *macvlan_ip);

/* One set of resolved ports. */
struct svc_port_set {
    cJSON *ports; /* [{name, protocol, port}]; a port without a name has "" */
    char *key;    /* equal sets have equal text */
};

struct svc_row {
    const struct svc_pod *pod;
    char address[SVC_ADDRESS_SIZE];
    uint8_t bytes[16]; /* of the address; IPv4 in the first four */
    bool is_v6;
    bool is_ready;                  /* or published as if it were */
    const struct svc_port_set *set; /* owned by the svc_rows */
};

/* Rows sorted by port set, family, address, UID. */
struct svc_rows {
    struct svc_row *items;
    size_t count;
    struct svc_port_set **sets;
    size_t set_count;
};

/*
 * A backend is left out when its pod is being deleted or has ended, when no endpoint may have its
 * address, or when the service has ports and the pod has none of those that it names. *out_rows is
 * to be released, and borrows the pods.
 */
void svc_rows_build(const struct svc_target *target, const struct svc_backend *backends,
                    size_t count, struct svc_rows *out_rows);
void svc_rows_release(struct svc_rows *rows);

/* Of two rows, as qsort wants it, by port set, family, address, UID. */
int svc_row_compare(const void *a, const void *b);
/* The key of the `ports` array of an existing object, to be freed. */
char *svc_ports_key(const cJSON *ports);
/* Writes the 16 bytes of an address; false when it is none. */
bool svc_address_bytes(const char *text, uint8_t out_bytes[16], bool *out_is_v6);

/* `targetRef` of a row. */
cJSON *svc_row_target(const struct svc_row *row);
/* The hostname that it has below the service's name, or NULL. */
const char *svc_row_hostname(const struct svc_row *row, const struct svc_target *target);

#define auto_rows __attribute__((cleanup(svc_rows_release)))
