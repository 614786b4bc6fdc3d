#pragma once
/*
 * What is deployed and how it does, put together from what the server says. Reading is in status.c,
 * verdicts (pure) in status_judge.c, printing in cmd_status.c.
 */
#include "deploy_inventory.h"
#include "deploy_server.h"
#include "deploy_wait.h"
#include "err.h"
#include "findings.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct status_object {
    struct deploy_name name;
    char *image; /* of its first container, or NULL */
    char *text;  /* "2 of 2 nodes ready", "missing", or NULL: it is there, which is all */
    bool is_ready;
};

struct status_node {
    const char *name; /* borrowed from `nodes` */
    bool is_ready;
    bool has_plugin; /* the plugin's pod is Ready: programs, kubeconfig and configuration are there
                      */
    char *cause;     /* why not, or NULL */
};

struct status_subnet {
    const char *name, *phase, *message; /* borrowed from `subnets`; NULL where it is not said */
    int64_t total, used, free;          /* -1: not said */
};

struct status {
    struct deploy_inventory inventory;
    struct deploy_site site;
    struct deploy_leader leader;
    bool has_leader; /* the controller is of a kind that elects one */
    struct status_object *objects;
    size_t n_objects;
    struct status_node *nodes;
    size_t n_nodes;
    struct status_subnet *subnets;
    size_t n_subnets;
    cJSON *node_list, *subnet_list;
};

/* `watch_ms`: how long to watch whether the leader renews. */
int status_read(const struct deploy_server *s, int64_t watch_ms, struct status *out,
                struct err **e);
void status_release(struct status *st);
#define auto_status __attribute__((cleanup(status_release)))

/* One node from its object and the plugin's pods. */
void status_judge_node(const cJSON *node, const cJSON *pods, struct status_node *out);
/* One subnet from its object. */
void status_judge_subnet(const cJSON *subnet, struct status_subnet *out);
/* All that is not as it should be: errors and warnings. */
void status_judge(const struct status *st, struct findings *out);
