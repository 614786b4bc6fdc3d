#pragma once
/*
 * Reading YAML from outside, on libyaml's event parser: bounded in size and depth, in one pass,
 * without a tree. UTF-8 only.
 */
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define YAML_MAX_SIZE (4u << 20)
#define YAML_MAX_DEPTH 64

/* A scalar that is a value: not a key. All strings are borrowed for the time of the call. */
struct yaml_scalar {
    size_t document; /* which one of the stream, from 1 */
    const char *key; /* its mapping's key for it; NULL in a list or at the top */
    const char
        *parent;       /* the key under which that mapping stands, lists in between skipped; NULL */
    const char *value; /* NUL-terminated; `len` differs from its strlen where it holds NULs */
    size_t len;
    bool is_plain; /* written without quotes and not as a block, so that "null" and "~" are null */
    size_t line, column; /* from 1; of an alias, where the alias is */
};

/*
 * Calls `fn` for every value scalar of every document, in order; a negative return ends the walk
 * and is returned. An alias of a scalar is reported like that scalar; what an alias of a mapping or
 * list holds is reported where it was written, and not again, so no input makes the walk longer
 * than itself. -EINVAL with "line N: ..." for what is not YAML, an alias without anchor, a key that
 * is no scalar, more than YAML_MAX_SIZE or YAML_MAX_DEPTH.
 */
int yaml_each_scalar(const char *text, size_t len,
                     int (*fn)(void *arg, const struct yaml_scalar *s, struct err **e), void *arg,
                     struct err **e);
