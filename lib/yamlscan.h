#pragma once
/*
 * Reading YAML from outside, on libyaml's event parser: bounded in size and depth, in one pass,
 * without a tree. UTF-8 only. (Not "yaml.h": that is the name of libyaml's own header.)
 */
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define YAMLSCAN_MAX_SIZE (4u << 20)
#define YAMLSCAN_MAX_DEPTH 64
#define YAMLSCAN_MAX_ANCHORS 256 /* of one document */

/* A scalar that is a value, not a key. All strings are borrowed for the time of the call. */
struct yamlscan_value {
    size_t document;    /* which one of the stream, from 1 */
    const char *key;    /* what its mapping calls it; NULL in a list or at the top */
    const char *parent; /* what that mapping (or the lists around it) is called; NULL at the top */
    const char *text;   /* NUL-terminated; `len` differs from its strlen where it holds NULs */
    size_t len;
    bool is_plain;       /* without quotes and not a block, so that "null" and "~" are null */
    size_t line, column; /* from 1; of an alias, where the alias is */
};

struct yaml_parser_s; /* libyaml's */

typedef int (*yamlscan_fn)(void *arg, const struct yamlscan_value *value, struct err **e);

/*
 * Calls `fn` for every scalar value of every document, in order; a negative return ends the walk
 * and is returned. An alias of a scalar is reported like that scalar; what an alias of a mapping or
 * list holds is reported where it was written, and not again, so no input makes the walk longer
 * than itself. -EINVAL with "line N: ..." for what is not YAML, an alias without anchor, a key that
 * is no scalar, and more than the limits above.
 */
int yamlscan_each(const char *text, size_t len, yamlscan_fn fn, void *arg, struct err **e);

/* -EINVAL with where and why that parser of libyaml gave up. */
int yamlscan_parser_error(const struct yaml_parser_s *parser, struct err **e);
