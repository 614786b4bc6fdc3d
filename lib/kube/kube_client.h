#pragma once
/*
 * A client of the Kubernetes API for what may block, as the command line: JSON over HTTP, one
 * request at a time, nothing generated. A client belongs to one thread.
 *
 * Errors are those of struct kube_reply in kube_io.h. Messages carry the server's own reason.
 */
#include "err.h"
#include "kube_config.h"
#include "kube_io.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#define KUBE_BODY_MAX (32u << 20) /* bytes of an answer */

struct kube_client;

/* `config` is borrowed until kube_client_free. -EINVAL: its server or token cannot be used. Nothing
 * is sent yet. */
int kube_client_new(const struct kube_config *config, struct kube_client **out, struct err **e);
void kube_client_free(struct kube_client *c); /* NULL is fine */

/* Asked at least once a second while a request runs; true ends it with -ECANCELED. */
void kube_client_cancel_when(struct kube_client *c, bool (*is_cancelled)(void));

/*
 * One request. *out is the object that a 2xx answer carries, to be deleted by the caller; NULL
 * where the body went to the request's sink. `timeout_ms` is how long the server may be silent (0:
 * 60 s); `idle_timeout_ms` and `is_urgent` mean nothing here. `out` may be NULL.
 */
int kube_do(struct kube_client *c, const struct kube_request *request, cJSON **out, struct err **e);

/* GETs an object or list; `path` with its query, percent-encoded: "/api/v1/nodes/x". */
int kube_get(struct kube_client *c, const char *path, cJSON **out, struct err **e);

/* All items of a list as a JSON array, read in pages; when the server forgets the list in the
 * middle (410), from the start once more. `path` may have a query, without limit and continue. */
int kube_list(struct kube_client *c, const char *path, cJSON **out_items, struct err **e);

/* True for a name as namespaces, pods and containers have it: letters in lower case, digits, '-',
 * '.', 253 at most. NULL is none. */
bool kube_name_is_valid(const char *name);
