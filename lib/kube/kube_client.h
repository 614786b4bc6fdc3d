#pragma once
/*
 * A client of the Kubernetes API: JSON over HTTP, one request at a time, nothing generated. A
 * client belongs to one thread.
 *
 * Besides the numbers of err.h: -EREMOTEIO means that the server answered and refused, for a reason
 * that has no number of its own; -EAGAIN is a conflict (409). Messages carry the server's own
 * reason.
 */
#include "err.h"
#include "kube_config.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define KUBE_BODY_MAX (32u << 20) /* bytes of an answer */

struct kube_client;

/* `config` is borrowed until kube_client_free. -EINVAL: its server or token cannot be used. Nothing
 * is sent yet. */
int kube_client_new(const struct kube_config *config, struct kube_client **out, struct err **e);
void kube_client_free(struct kube_client *c); /* NULL is fine */

/* GETs an object or list; `path` with its query, percent-encoded: "/api/v1/nodes/x". */
int kube_get(struct kube_client *c, const char *path, cJSON **out, struct err **e);

/* True for a name as namespaces, pods and containers have it: letters in lower case, digits, '-',
 * '.', 253 at most. NULL is none. */
bool kube_name_is_valid(const char *name);
