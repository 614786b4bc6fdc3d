#pragma once
/*
 * The one error object. A function that can fail in more than one way takes `struct err **e`
 * as its last parameter and returns 0 or a positive number when it worked, else a negative
 * errno with *e filled. `e` may be NULL where the caller only wants the number.
 *
 * Some numbers carry the exit status that a program ends with (see err_exit_status):
 *   -EINVAL         input that the user can mend: arguments, lists, configuration
 *   -EBADMSG        bytes that do not verify: a digest, a bundle rule, a broken archive
 *   -ENOSPC, -EDQUOT  no room
 *   -EHOSTUNREACH   the network or the peer: resolving, connecting, TLS, a connection that broke
 *   -EKEYREJECTED   the peer wants other credentials (401, 403)
 *   -EPROTO         the peer answered something that its protocol does not allow
 *   -ENOENT         the thing asked for is not there (404)
 *   -ECANCELED      the user interrupted
 */
#include <stdarg.h>

struct err {
    int status; /* negative errno */
    char *msg;  /* never NULL */
};

/* Fills *e (an error already there is replaced) and returns `status`. */
int err_set(struct err **e, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "format: " before the message of *e; for module borders. Returns the status of *e. */
int err_wrap(struct err **e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A copy of the error for a second owner; NULL gives NULL. */
struct err *err_copy(const struct err *e);
/* NULL is fine. */
void err_free(struct err *e);
/* The text, also for NULL ("unknown error"), borrowed from e. */
const char *err_text(const struct err *e);

/* Exit statuses of every program, from design: Output. */
enum exit_status {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CHECKS = 3,
    EXIT_VERIFY = 4,
    EXIT_PARTIAL = 5,
    EXIT_SPACE = 6,
    EXIT_NETWORK = 7,
    EXIT_INTERRUPTED = 130,
};

/* The one table from error numbers to exit statuses. `status` is a negative errno. */
int err_exit_status(int status);

#define auto_err __attribute__((cleanup(err_cleanup)))
void err_cleanup(struct err **e);
