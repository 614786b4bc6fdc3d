#pragma once
/* Shared by docker.c and docker_images.c only. */
#include "docker.h"
#include "json.h"

/* Sends `req` (its address and TLS are filled in here) to `path` below the agreed API version.
 * Statuses other than `expected` are errors that carry the daemon's message: -ENOENT for 404, else
 * -EREMOTEIO. */
int docker_call(struct docker *d, struct http_request *req, const char *path, int expected,
                struct http_response *resp, struct err **e);
int docker_get_json(struct docker *d, const char *path, cJSON **out, struct err **e);
/* -EREMOTEIO with "docker WHAT: REASON". */
int docker_refused(const struct docker *d, const char *what, const char *reason, struct err **e);
