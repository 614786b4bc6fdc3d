/* GC. */
#include "cni_call.h"

#include <errno.h>

int cmd_gc(const struct cni_call *call, struct err **e)
{
    (void)call;
    return err_set(e, -ENETDOWN, "not wired yet");
}
