#pragma once
/*
 * What the plugin tells its caller: one JSON document on standard output, or none. Everything else
 * that is written there by mistake goes to standard error.
 *
 * Errors become numbers here (SPEC 1.1.0, "Error"; 100 and above are ours):
 *   1   -EPROTONOSUPPORT  version          2  -EOPNOTSUPP  a field that is not supported
 *   4   -EBADR            environment      5  -EIO, -ENOSPC, -EDQUOT
 *   6   -EBADMSG, -EFBIG  decoding         7  -EINVAL      configuration
 *   8   -EXDEV            the namespace is the host's
 *   11  -EAGAIN, -EHOSTUNREACH, -EKEYREJECTED, -EPROTO, -EREMOTEIO, -ETIMEDOUT, -EBUSY: later
 *   50  -ENETDOWN         not available    51 -ENETUNREACH  the same, pods have little network, too
 *   101 -EADDRINUSE       somebody else has the address
 *   102 -EUCLEAN          CHECK found something different
 *   100                   everything else
 * 3, an unknown container, is not used: runtimes skip their clean-up on it.
 */
#include "err.h"

/* First of all: takes standard output away from everybody else. Ignores SIGPIPE. */
void cni_say_init(void);
/* The document, once in a program's life. -EIO: it cannot be written; -EALREADY: it was. */
int cni_say(const char *json, struct err **e);
/* The error as a document; `version` as the configuration has it, or NULL. */
int cni_say_error(const char *version, const struct err *e);
/* The text of it, to be freed. */
char *cni_error_print(const char *version, const struct err *e);

/* The one table; `status` is a negative errno. */
int cni_error_code(int status);
