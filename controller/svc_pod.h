#pragma once
/*
 * What services need of a pod, kept for every pod of the cluster: one block of memory each, with
 * all its strings inside. Absent and empty strings are NULL and cost nothing.
 */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct svc_network;

/* Annotations of a macvlan pod (macvlan-system 2.1). */
#define SVC_SERVICE_KEY "macvlan.panda.io/macvlanService"

enum svc_protocol { SVC_TCP, SVC_UDP, SVC_SCTP };

struct svc_label {
    const char *key;
    const char *value; /* NULL: empty */
};

/* A named port of a container; those without a name cannot be referred to. */
struct svc_named_port {
    const char *name;
    uint16_t number;
    uint8_t protocol; /* enum svc_protocol */
};

/* An address on one of the networks. */
struct svc_network_ip {
    const char *namespace; /* of the network; NULL: not said */
    const char *network;
    const char *address; /* canonical */
};

struct svc_pod {
    const char *namespace;
    const char *name;
    const char *uid;
    const char *node;
    const char *hostname;
    const char *subdomain;
    const struct svc_label *labels;
    const struct svc_named_port *ports;
    const struct svc_network_ip *network_ips; /* in the order of the annotation */
    uint16_t label_count;
    uint16_t port_count;
    uint16_t network_ip_count;
    bool is_macvlan;    /* has both annotations, ip and subnet, whatever they hold */
    bool is_unserved;   /* macvlanService is disable or disabled */
    bool is_ready;      /* condition Ready is True */
    bool is_deleted;    /* has a deletionTimestamp */
    bool is_terminated; /* phase Succeeded or Failed */
};

/*
 * From a Pod, or from a workload's pod template in its namespace (`spec.template`: what a template
 * has not is absent). NULL where `pod` is no object. Members of a wrong type count as absent, a
 * network status that cannot be read as empty.
 */
struct svc_pod *svc_pod_new(const cJSON *pod);
void svc_pod_free(struct svc_pod *p); /* NULL is fine */

/* False when it must not be an endpoint: it is being deleted or has ended. */
bool svc_pod_is_alive(const struct svc_pod *p);

/* Whether all members of `selector` (name: value) are labels of the pod. An empty or absent
 * selector selects nothing. */
bool svc_pod_is_selected(const struct svc_pod *p, const cJSON *selector);

/*
 * The nth (from 0) address that the pod has on `network`, from the status annotation, borrowed from
 * p; NULL behind the last. A status without a namespace stands for any (macvlan-system 4.5).
 */
const char *svc_pod_network_ip(const struct svc_pod *p, const struct svc_network *network,
                               size_t n);

/* The number of the container port of that name and protocol, or 0. */
uint16_t svc_pod_port(const struct svc_pod *p, const char *name, enum svc_protocol protocol);

/* "TCP", "UDP" or "SCTP"; an absent name is TCP, as in Kubernetes. -EINVAL for others. */
int svc_protocol_parse(const char *name);
const char *svc_protocol_name(enum svc_protocol protocol);

#define auto_svc_pod __attribute__((cleanup(svc_pod_cleanup)))
void svc_pod_cleanup(struct svc_pod **p);
