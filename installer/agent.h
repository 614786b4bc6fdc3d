#pragma once
/*
 * What runs inside of a probe pod of `flatnet test cluster`: it answers TCP and UDP on one port,
 * and looks at the network from there when it is asked to, by a JSON object on its command line.
 *
 * The question: {"link", "timeoutMs", "pings": [{"to", "from", "link", "size", "count"}],
 * "arps": ["10.1.0.1"], "tcp": [{"to", "port"}], "names": ["kubernetes.default"]}; everything
 * optional. `link` is that of arps; a ping has its own.
 * The answer has the same members, with one result for each, and "links", "defaultLinks".
 */
#include "err.h"

#include <cjson/cJSON.h>

#define AGENT_PORT 7472
#define AGENT_QUESTIONS_MAX 4096

/* -EINVAL: the question makes no sense. What cannot be done is said in its result. */
int agent_answer(const cJSON *question, cJSON **out, struct err **e);
/* Serves AGENT_PORT until a signal ends it. */
int agent_serve(struct err **e);
