#pragma once
/* Shared by the verbs deploy, undeploy and status. */
#include "cluster.h"
#include "deploy_inventory.h"
#include "deploy_plan.h"
#include "deploy_server.h"
#include "err.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

#define DEPLOY_TIMEOUT_S 300

#define DEPLOY_CLEANUP "flatnet-cleanup"

/* One line of progress on standard output: "created    DaemonSet kube-system/x". */
void deploy_print_item(const char *what, const struct deploy_name *n, const char *note);
/* The same for --format json, into the array `list`. */
void deploy_add_json(cJSON *list, const char *what, const struct deploy_name *n, const char *note);

/* What goes besides the plugin's configuration. */
struct deploy_cleanup {
    const char *const *files; /* below the folder of configurations, NULL-terminated */
    bool purges;              /* programs and devices, too: no pod needs them any more */
};
/* The DaemonSet that puts the network configuration of the nodes back, made from the one of the
 * plugin as it runs: the same image, nodes and folders. NULL where `cni` is not of our image. Pure;
 * in deploy_cleanup.c. */
cJSON *deploy_cleanup_make(const cJSON *cni, const struct deploy_cleanup *c);

/* Custom resources; in deploy_purge.c. */
struct deploy_resources {
    cJSON *subnets, *ips, *networks; /* lists; networks are the attachment definitions */
    size_t n_in_use;                 /* addresses whose pods run */
    size_t n_own_networks;           /* of networks: those that the controller made */
};
int deploy_resources_read(const struct deploy_server *s, struct deploy_resources *out,
                          struct err **e);
void deploy_resources_release(struct deploy_resources *r);
#define auto_resources __attribute__((cleanup(deploy_resources_release)))
/* Deletes them, without asking the controller, which is gone: finalizers of its own are taken away
 * first. */
int deploy_resources_purge(const struct deploy_server *s, const struct deploy_resources *r,
                           struct err **e);
/* What the controller leaves behind: its lock and its certificate. */
int deploy_leftovers_delete(const struct deploy_server *s, struct err **e);
