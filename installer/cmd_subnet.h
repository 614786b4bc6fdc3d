#pragma once
/* Shared by the files of flatnet subnet and flatnet workload. */
#include "cluster.h"
#include "macvlan/alloc.h"
#include "macvlan/subnet.h"
#include "netview.h"

#define SUBNETS_PATH "/apis/macvlan.cluster.cattle.io/v1/namespaces/kube-system/macvlansubnets"
#define SUBNET_SCHEMA 1

/* One line of compact JSON on standard output. */
void subnet_print_json(const cJSON *root);
/* "Active", "Failed", "Terminating", or "Pending" while the controller has not seen it. */
const char *subnet_phase(const cJSON *object, const struct subnet *s);
/* The member "addresses". */
void subnet_add_counts(cJSON *item, const struct alloc_counts *n);
/* -ENOENT: says that there is no subnet of that name, and which one may be meant. */
int subnet_missing(const struct netview *v, const char *name, struct err **e);
