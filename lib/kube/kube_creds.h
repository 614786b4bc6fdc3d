#pragma once
/*
 * Credentials that change while a program runs: those that Kubernetes mounts into every pod, and
 * the files that any kubeconfig names. Tokens of service accounts live an hour or less
 * (bound tokens, the default from 1.21), so their files are read again and again.
 */
#include "err.h"
#include "kube_config.h"

#include <stdbool.h>

#define KUBE_SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/*
 * The server and the service account of the pod that this program runs in: the environment's
 * KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, and token, ca.crt and namespace in `folder`
 * (NULL: KUBE_SERVICE_ACCOUNT). *out_namespace is the pod's, to be freed. -ENOENT: this is no pod.
 * -EINVAL: a value that cannot be used. A file that cannot be read: the number of open or read.
 */
int kube_creds_in_cluster(const char *folder, struct kube_config *out, char **out_namespace,
                          struct err **e);

/*
 * Reads the files of `c` again. What cannot be read or makes no sense now stays as it was: a file
 * may be in the middle of its replacement. True when anything is different. Old bytes are freed.
 */
bool kube_creds_refresh(struct kube_config *c);
