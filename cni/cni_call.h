#pragma once
/*
 * One call by a runtime, and what does it. Commands are in files of their own; each leaves nothing
 * half-done. Errors become the numbers of cni_say.h.
 */
#include "cni_conf.h"
#include "cni_env.h"
#include "err.h"

struct cni_call {
    struct cni_env env;
    struct cni_conf conf;
};

/* *out_result: the document for the runtime, to be freed. */
int cmd_add(const struct cni_call *call, char **out_result, struct err **e);
int cmd_del(const struct cni_call *call, struct err **e);
/* The version allows it (0.4.0 on) and there is a prevResult. */
int cmd_check(const struct cni_call *call, struct err **e);
/* The version allows them (1.1.0 on). GC's list is there. */
int cmd_gc(const struct cni_call *call, struct err **e);
int cmd_status(const struct cni_call *call, struct err **e);
