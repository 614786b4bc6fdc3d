#pragma once
/*
 * Runs a command in a container of a pod (the subresource pods/exec) over a WebSocket, with the
 * protocol v5.channel.k8s.io or v4.channel.k8s.io: the first byte of a message says which stream it
 * belongs to. This GET needs the verb "get" on pods/exec; servers from Kubernetes 1.35 on ask for
 * "create" as well.
 */
#include "buf.h"
#include "err.h"
#include "kube_client.h"

#include <stddef.h>

struct kube_exec {
    const char *namespace;
    const char *pod;
    const char *container;
    const char *const *argv; /* NULL-terminated */
    /* Standard input; len 0: none. v4 cannot say where it ends, so that the command has to know how
     * much it is to read. */
    const void *input;
    size_t input_len;
};

/*
 * 0 when the command ended with status 0; its standard output is then appended to *out, whose
 * ceiling is the limit (more is -EFBIG). -EREMOTEIO when it failed or could not be started: the
 * message is the last line that it wrote to standard error, or the server's. Others are those of
 * kube_get and ws_step.
 */
int kube_exec(struct kube_client *c, const struct kube_exec *x, struct buf *out, struct err **e);
