#pragma once
/*
 * Runs another program to its end, without a shell: its input comes from a callback, its output is
 * kept within limits. The program dies with SIGKILL when its input cannot be made, so it never
 * takes a part for the whole.
 */
#include "buf.h"
#include "err.h"

#include <sys/types.h>

/* Gives up to `size` bytes of standard input; 0 is its end; negative errno (with *e) kills. */
typedef ssize_t (*child_source)(void *arg, void *bytes, size_t size, struct err **e);

struct child {
    const char *const *argv; /* argv[0] is a path; NULL-terminated */
    const char *const *env;  /* "NAME=VALUE"..., NULL-terminated; NULL: that of this process */
    child_source source;     /* NULL: /dev/null */
    void *source_arg;
};

/*
 * 0 when the program ended with status 0; its standard output is then in *out, whose ceiling is the
 * limit (more is -EFBIG). -EREMOTEIO when it failed: the message is the last line that it wrote to
 * standard error. What the source returned comes back as is.
 */
int child_run(const struct child *c, struct buf *out, struct err **e);

/* The path of a program that can be executed: in PATH, or at one of the NULL-terminated `places`
 * (full paths). To be freed; NULL where there is none. */
char *child_find(const char *name, const char *const *places);
