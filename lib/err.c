/* Error objects: built where the facts are, printed by main(). */
#include "err.h"

#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static __attribute__((format(printf, 1, 0))) char *format_text(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        return xstrdup("out of memory");
    return text;
}

int err_set(struct err **e, int status, const char *format, ...)
{
    va_list args;
    char *text;

    if (!e)
        return status;
    va_start(args, format);
    text = format_text(format, args);
    va_end(args);
    err_free(*e);
    *e = xmalloc(sizeof(**e));
    **e = (struct err){.status = status, .msg = text};
    return status;
}

int err_wrap(struct err **e, const char *format, ...)
{
    auto_free char *prefix = NULL;
    va_list args;
    char *text;

    if (!e || !*e)
        return -EIO;
    va_start(args, format);
    prefix = format_text(format, args);
    va_end(args);
    text = xasprintf("%s: %s", prefix, (*e)->msg);
    free((*e)->msg);
    (*e)->msg = text;
    return (*e)->status;
}

struct err *err_copy(const struct err *e)
{
    struct err *copy = NULL;

    if (e)
        (void)err_set(&copy, e->status, "%s", e->msg);
    return copy;
}

void err_free(struct err *e)
{
    if (!e)
        return;
    free(e->msg);
    free(e);
}

const char *err_text(const struct err *e)
{
    return e ? e->msg : "unknown error";
}

int err_exit_status(int status)
{
    switch (-status) {
    case EINVAL:
        return EXIT_USAGE;
    case EBADMSG:
        return EXIT_VERIFY;
    case ENOSPC:
    case EDQUOT:
        return EXIT_SPACE;
    case EHOSTUNREACH:
    case EKEYREJECTED:
    case EPROTO:
        return EXIT_NETWORK;
    case ECANCELED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_FAILED;
    }
}

void err_cleanup(struct err **e)
{
    int saved = errno;

    err_free(*e);
    *e = NULL;
    errno = saved;
}
