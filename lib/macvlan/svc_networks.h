#pragma once
/*
 * The annotations of the network plumbing group's de-facto standard (v1, sections 3 and 5):
 * `k8s.v1.cni.cncf.io/networks` asks for networks, `networks-status` (2019) and `network-status`
 * (today) say what a pod got. Their texts come from whoever may write pods and services, so that
 * sizes and every field are checked here.
 */
#include "err.h"

#include <cjson/cJSON.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define SVC_NETWORKS_KEY "k8s.v1.cni.cncf.io/networks"
#define SVC_STATUS_KEY "k8s.v1.cni.cncf.io/network-status"
#define SVC_STATUS_OLD_KEY "k8s.v1.cni.cncf.io/networks-status"
/* The network that every namespace has from us. */
#define SVC_MACVLAN_NETWORK "static-macvlan-cni-attach"

#define SVC_NETWORKS_MAX_TEXT 65536 /* bytes of one annotation */
#define SVC_NETWORKS_MAX 32         /* networks of one pod */
#define SVC_NETWORK_MAX_IPS 16      /* addresses on one of them */
#define SVC_ADDRESS_SIZE INET6_ADDRSTRLEN

/* One network that is asked for. */
struct svc_network {
    char *namespace; /* NULL: that of whoever asks */
    char *name;
    char *interface; /* NULL: chosen by multus */
};

/* What a pod has on one network. */
struct svc_network_status {
    struct svc_network network; /* the 2019 multus writes no namespace */
    char *mac;                  /* NULL: not said */
    char **ips;                 /* canonical text, without a prefix */
    size_t ip_count;
    bool is_default; /* the pod's eth0 */
};

struct svc_networks {
    struct svc_network *items;
    size_t count;
};

struct svc_statuses {
    struct svc_network_status *items;
    size_t count;
};

/*
 * Parses the text of `networks`: a JSON list of objects or `[namespace/]name[@interface]` joined by
 * commas. An empty text gives no networks. -EINVAL: anything else, a name that no object can bear,
 * an interface that Linux refuses, or more than SVC_NETWORKS_MAX.
 */
int svc_networks_parse(const char *text, struct svc_networks *out_networks, struct err **e);
void svc_networks_release(struct svc_networks *n);

/*
 * Parses the text of either status annotation, a JSON list. Left out are networks with a name that
 * no annotation can ask for (that of the cluster's own network is free) and addresses that no
 * endpoint can have. -EINVAL: no list in JSON, or more networks or addresses than may be.
 */
int svc_statuses_parse(const char *text, struct svc_statuses *out_statuses, struct err **e);
void svc_statuses_release(struct svc_statuses *s);

/*
 * The network whose addresses a Service asks for by the `networks` annotation: 1 with *out_network
 * (to be released by svc_network_release), or 0 when there is no such annotation. -EINVAL when it
 * is not readable or names more than one network; the message is meant for an event.
 */
int svc_networks_of_service(const cJSON *service, struct svc_network *out_network, struct err **e);
void svc_network_release(struct svc_network *n);

/*
 * The canonical text of an address that Endpoints may hold: IPv4 or IPv6, and not one of those that
 * the API server refuses there (unspecified, loopback, link-local, link-local multicast; validation
 * of EndpointAddress). Other multicast is refused too. -EINVAL otherwise; out is then unchanged.
 */
int svc_address_canonical(const char *text, char out_address[SVC_ADDRESS_SIZE]);

/* A DNS subdomain (RFC 1123, lower case, up to 253 bytes), as names of objects are. */
bool svc_name_is_valid(const char *name);

#define auto_networks __attribute__((cleanup(svc_networks_release)))
#define auto_statuses __attribute__((cleanup(svc_statuses_release)))
#define auto_network __attribute__((cleanup(svc_network_release)))
