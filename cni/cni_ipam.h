#pragma once
/*
 * static-ipam: the IPAM plugin that the NAD of 2019 names. It gives out the addresses that it is
 * told, as the `static` plugin of the reference does, from the first of these that has any:
 * runtimeConfig.ips, args.cni.ips, ipam.addresses with CNI_ARGS' IP (and GATEWAY). Pure.
 */
#include "cni_env.h"
#include "err.h"

#include <cjson/cJSON.h>

/*
 * `tree` is the configuration. ADD: *out is the result, to be freed; others: NULL. CHECK compares
 * with prevResult: -EUCLEAN. -EINVAL, -EPROTONOSUPPORT: the configuration.
 */
int cni_ipam_run(const cJSON *tree, const struct cni_env *env, char **out, struct err **e);
