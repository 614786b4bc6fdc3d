#pragma once
/* The TLS session for a kubeconfig (http_session.h). */
#include "kube/kube_config.h"

#define POD_SESSIONS "/run/flatnet/tls"

struct http_session;

/* The identity is all that the file at `path` says about the server, whom it is to be trusted by,
 * and a client certificate; a token is not part of it, since each request shows it. NULL where the
 * server is not verified, or `folder` is NULL. */
struct http_session *pod_session_new(const char *folder, const char *path,
                                     const struct kube_config *config);
