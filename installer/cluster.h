#pragma once
/* The cluster that a verb speaks to: --kubeconfig, --context, and what follows from them. */
#include "cli.h"
#include "err.h"
#include "kube/kube_client.h"
#include "kube/kube_config.h"

struct cluster_options {
    const char *kubeconfig, *context; /* NULL: as kubectl takes them */
};

/* The rows of a verb's table of options. */
#define CLUSTER_OPTIONS(o)                                                                         \
    {"kubeconfig",    0,                                                                           \
     CLI_STRING,      "FILE",                                                                      \
     &(o).kubeconfig, "the cluster ($KUBECONFIG, ~/.kube/config, or the pod's service account)"},  \
    {                                                                                              \
        "context", 0, CLI_STRING, "NAME", &(o).context, "context of the kubeconfig"                \
    }

struct cluster {
    struct kube_config config;
    struct kube_client *kube;
    int minor; /* of the server's Kubernetes 1.x */
};

/*
 * Finds the configuration as kubectl does (inside of a pod without a kubeconfig: its service
 * account), and asks the server for its version. An interrupt ends requests from then on.
 * -ENOENT: no configuration. -EPROTO: the answer is that of no Kubernetes 1.x. To be closed also
 * after an error.
 */
int cluster_open(const struct cluster_options *o, struct cluster *out, struct err **e);
void cluster_close(struct cluster *c);
#define auto_cluster __attribute__((cleanup(cluster_close)))
