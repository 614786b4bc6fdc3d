#pragma once
/*
 * The probe pods of `flatnet test cluster`: where they are to run, made, waited for, asked, and
 * removed. For each subnet there are two namespaces, so that a subnet of a project is used by
 * namespaces of that project.
 */
#include "err.h"
#include "ip.h"
#include "kube/kube_client.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define TESTPODS_LABEL "flatnet.io/test" /* on all that a run makes; its value is the run's id */
#define TESTPODS_SUBNET_LABEL "flatnet.io/subnet"

/* What of a MacvlanSubnet concerns the tests. */
struct testnet {
    char *name, *master, *project; /* project: NULL: none */
    unsigned vlan;
    struct ip_addr gateway; /* or no address */
    bool is_default_route;  /* podDefaultGateway.enable */
    char *spaces[2];        /* the namespaces of its pods */
};

struct testpod {
    char *name, *node;
    const char *space; /* borrowed from the subnet */
    const struct testnet *net;
    /* NULL: not fixed. */
    char *wanted_ip, *wanted_mac;
    /* Filled by testpods_wait: */
    bool is_ready;
    char *why;             /* not ready: the last that is known; or NULL */
    struct ip_net address; /* of its MacvlanIP */
    struct ip_mac mac;
    struct ip_addr overlay; /* status.podIP, where that is another */
};

struct testpods {
    struct kube_client *kube; /* borrowed */
    const char *image, *pull_secret;
    char *run; /* its id */
    struct testnet *nets;
    size_t n_nets;
    struct testpod *pods;
    size_t n_pods;
};

/* From the items of a list of MacvlanSubnets: those named in `only` (ended by NULL), or all; those
 * that are being deleted are left out. -ENOENT: one that is not there, or none at all. Pure. */
int testnets_read(const cJSON *items, const char *const *only, struct testpods *out,
                  struct err **e);

/* Plans the pods of each subnet: one on each node (a1, a2, ...), a second on the first (b1), and
 * one on the last in the subnet's other namespace (c2). Pure. */
void testpods_plan(struct testpods *t, char *const *nodes, size_t n_nodes);

/* Makes the namespaces. */
int testpods_open(struct testpods *t, struct err **e);
/* Makes one pod. */
int testpods_create(struct testpods *t, const struct testpod *pod, struct err **e);
/* Waits until each of the `n` pods runs with an address, or the time is over: what then is missing
 * is in `why`. Fails only for what concerns them all. */
int testpods_wait(struct testpods *t, struct testpod *const *pods, size_t n, int timeout_s,
                  struct err **e);
/* Deletes the `n` pods and waits until they and their addresses are gone. They are not ready then.
 */
int testpods_delete(struct testpods *t, struct testpod *const *pods, size_t n, int timeout_s,
                    struct err **e);
/* Asks the agent in the pod; see agent.h. */
int testpods_ask(struct testpods *t, const struct testpod *pod, const cJSON *question, cJSON **out,
                 struct err **e);
/* Removes the namespaces with all that is in them; with a time, the pods first, and waits until all
 * is gone. */
int testpods_close(struct testpods *t, int timeout_s, struct err **e);

void testpods_release(struct testpods *t);
void testpod_release(struct testpod *p);
