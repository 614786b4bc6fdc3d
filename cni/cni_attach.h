#pragma once
/* What ADD, DEL and CHECK have in common: whose interface it is, and what it must be. */
#include "cni_call.h"
#include "pod_ask.h"
#include "podif.h"

/* Borrows all of it from the call. */
struct podif_id attach_id(const struct cni_call *call);

/*
 * Asks the API server, and puts what the configuration says in the subnet's place. A pod whose only
 * interface is ours has its default route there. Chained, whatever is no pod of Kubernetes passes
 * through, and nobody is asked. Errors as pod_ask.
 */
int attach_ask(const struct cni_call *call, int timeout_ms, struct pod_answer *out, struct err **e);
