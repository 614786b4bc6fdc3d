#pragma once
/*
 * Results of plugins (SPEC, "Success"): one form inside, that of each version outside. Pure.
 */
#include "cni_version.h"
#include "err.h"
#include "ip.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

struct cni_interface {
    char *name;
    char *mac;               /* NULL: not told; the same for the others */
    char *sandbox;           /* NULL: on the host */
    char *socket_path, *pci; /* from 1.1.0 */
    unsigned mtu;            /* from 1.1.0; 0: not told */
};

struct cni_ip {
    int interface; /* index into the interfaces; -1: none */
    struct ip_net address;
    struct ip_addr gateway; /* AF_UNSPEC: none */
};

struct cni_route {
    struct ip_net dst;
    struct ip_addr gw; /* AF_UNSPEC: none */
    /* From 1.1.0; -1: not told. */
    int64_t mtu, advmss, priority, table, scope;
};

struct cni_result {
    struct cni_interface *interfaces;
    size_t n_interfaces;
    struct cni_ip *ips;
    size_t n_ips;
    struct cni_route *routes;
    size_t n_routes;
    cJSON *dns; /* an object, or NULL */
};

/*
 * From what a plugin of any of our versions has printed. -EINVAL: it is none; the message names the
 * member. What only a reader would stumble over is let pass: an index without an interface, an
 * address without `version`.
 */
int cni_result_parse(const cJSON *tree, struct cni_result *out, struct err **e);
void cni_result_release(struct cni_result *r);
/* One document, to be freed, as `version` has it. */
char *cni_result_print(const struct cni_result *r, enum cni_version version);
/* A document that goes on as it came, but for its cniVersion. */
char *cni_result_pass(const cJSON *tree, enum cni_version version);

/* Each returns the new last member, whose texts are the result's. */
struct cni_interface *cni_result_add_interface(struct cni_result *r, const char *name);
struct cni_ip *cni_result_add_ip(struct cni_result *r, struct ip_net address);
struct cni_route *cni_result_add_route(struct cni_result *r, struct ip_net dst, struct ip_addr gw);
/* Puts all of `more` behind what is in *r; indices move along. Its dns counts where *r has none. */
void cni_result_merge(struct cni_result *r, const struct cni_result *more);

/* The interface of that name in the namespace of the pod (one with a sandbox), or -1. */
int cni_result_find(const struct cni_result *r, const char *name);

/* A list of routes as results and configurations have them, behind those of *r. -EINVAL. */
int cni_routes_parse(const cJSON *list, struct cni_result *r, struct err **e);
/* An object with lists of texts, as results and configurations have it, or NULL or null: copied
 * into *out, NULL where it is empty. -EINVAL. */
int cni_dns_parse(const cJSON *dns, cJSON **out, struct err **e);

#define auto_cni_result __attribute__((cleanup(cni_result_release)))
