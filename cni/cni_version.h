#pragma once
/* The versions of the CNI specification that the plugin speaks. */
#include "err.h"

#include <cjson/cJSON.h>

enum cni_version { CNI_0_3_0, CNI_0_3_1, CNI_0_4_0, CNI_1_0_0, CNI_1_1_0 };

#define CNI_NEWEST CNI_1_1_0

/* `text` as in the configuration; NULL or "": none, which means 0.1.0. -EPROTONOSUPPORT: none of
 * ours. */
int cni_version_parse(const char *text, enum cni_version *out, struct err **e);
const char *cni_version_text(enum cni_version version);
/* What VERSION answers, to be freed. */
char *cni_version_answer(void);
/* "0.3.0, 0.3.1, ..." */
const char *cni_version_list(void);
