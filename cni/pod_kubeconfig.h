#pragma once
/* Where the plugin's kubeconfig is. */
#include "err.h"

/*
 * `given` (from the configuration), or where `given` is NULL the first that is there of: the one
 * that our DaemonSet writes, then multus's, each in the folders of plain Kubernetes, RKE2 and K3s.
 * `root`: a folder that stands for /, or NULL. -EAGAIN: none is there (yet); the message names
 * those that were looked for.
 */
int pod_kubeconfig_find(const char *given, const char *root, char **out_path, struct err **e);
