#pragma once
/*
 * What is deployed in a cluster. 'flatnet deploy' writes it into the ConfigMap kube-system/flatnet
 * before it changes anything; what came by 'kubectl apply' of a rendering is known by its labels.
 */
#include "addons_settings.h"
#include "deploy_object.h"
#include "deploy_plan.h"
#include "deploy_server.h"
#include "err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define DEPLOY_INVENTORY "flatnet" /* its name */

struct deploy_inventory {
    cJSON *live;    /* the ConfigMap, NULL: there is none */
    cJSON *facts;   /* an object of strings: version, mode, imageSet, kubernetes, cniImage, lock */
    bool is_begun;  /* a deploy or undeploy has not come to its end */
    bool has_other; /* some of it is known by labels alone */
    struct deploy_name *names;
    size_t n_names;
};

/* Reads the ConfigMap, and with `by_labels` looks for objects that are ours by their labels. */
int deploy_inventory_read(const struct deploy_server *s, bool by_labels,
                          struct deploy_inventory *out, struct err **e);
/* NULL where it is not known. */
const char *deploy_inventory_fact(const struct deploy_inventory *inv, const char *fact);
void deploy_inventory_set(struct deploy_inventory *inv, const char *fact, const char *value);
bool deploy_inventory_has(const struct deploy_inventory *inv, const struct deploy_name *n);
void deploy_inventory_add(struct deploy_inventory *inv, const struct deploy_name *n);
void deploy_inventory_remove(struct deploy_inventory *inv, const struct deploy_name *n);
/* Writes it where it differs from what is there. -EAGAIN: somebody else has just written it. */
int deploy_inventory_write(const struct deploy_server *s, struct deploy_inventory *inv,
                           struct err **e);
int deploy_inventory_delete(const struct deploy_server *s, struct err **e);
void deploy_inventory_release(struct deploy_inventory *inv);
#define auto_inventory __attribute__((cleanup(deploy_inventory_release)))

/* What the facts of a rendering are: mode and lock from the arguments of the containers, images. */
void deploy_inventory_learn(struct deploy_inventory *inv, const struct deploy_plan *p);

/* What else a cluster has that a deploy has to know of. */
struct deploy_site {
    char *rke_config;               /* the ConfigMap by which RKE has brought our addons, or NULL */
    char *other_network;            /* a DaemonSet that looks like another pod network, or NULL */
    struct deploy_name obsolete[8]; /* workloads of the 2019 file that ours replace */
    size_t n_obsolete;
};

int deploy_site_read(const struct deploy_server *s, struct deploy_site *out, struct err **e);
/* What RKE does with a cluster whose addons it has brought, and what to do instead. To be freed. */
char *deploy_rke_text(const struct deploy_site *site);
void deploy_site_release(struct deploy_site *site);
#define auto_site __attribute__((cleanup(deploy_site_release)))
