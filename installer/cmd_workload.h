#pragma once
/* Shared by the files of flatnet workload. */
#include "cmd_subnet.h"
#include "workload.h"

/* The workload as the server has it; *out_path (to be freed) is where. -ENOENT */
int workload_get(struct cluster *c, const struct workload_ref *ref, const char *namespace,
                 cJSON **out, char **out_path, struct err **e);
