#pragma once
/*
 * YAML from outside as a tree that knows where in the text everything stands, for looking at whole
 * documents and for editing the text (yamledit.h). On libyaml's event parser; UTF-8 only; bounded
 * in size, depth and number of nodes. An alias is a node of its own that points to what it stands
 * for, so no input makes the tree larger than itself.
 */
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define YAMLTREE_MAX_SIZE (4u << 20)
#define YAMLTREE_MAX_DEPTH 64
#define YAMLTREE_MAX_NODES 400000

enum yamlnode_kind { YAMLNODE_SCALAR, YAMLNODE_MAPPING, YAMLNODE_LIST, YAMLNODE_ALIAS };
enum yamlnode_style {
    YAMLNODE_PLAIN,
    YAMLNODE_SINGLE,  /* 'x' */
    YAMLNODE_DOUBLE,  /* "x" */
    YAMLNODE_LITERAL, /* | */
    YAMLNODE_FOLDED,  /* > */
    YAMLNODE_BLOCK,   /* a mapping or list by indentation */
    YAMLNODE_FLOW,    /* {x: y}, [x] */
};

struct yamlnode {
    enum yamlnode_kind kind;
    enum yamlnode_style style; /* not of an alias */
    char *text;                /* of a scalar, NUL-terminated; `len` differs where it holds NULs */
    size_t len;
    /* Bytes of the text given, from the first up to (not including) `end`. An anchor or tag before
     * a scalar is not in it, one before a collection is. The end of a block collection or block
     * scalar is where the next token begins, so comments may be inside. */
    size_t start, end;
    size_t line, column; /* of start; from 1, the column in characters */
    bool has_tag, has_anchor;
    struct yamlnode **items; /* of a list; of a mapping: key, value, key, value ... */
    size_t n_items;
    const struct yamlnode *target; /* of an alias; NULL where it stands inside of that */
    char *anchor;                  /* its own name; of an alias the name it uses; or NULL */
};

struct yamltree {
    struct yamlnode **documents; /* an empty document is an empty plain scalar */
    size_t n_documents;
};

/* -EINVAL with "line N: ...": no YAML, an alias without anchor, beyond the limits. */
int yamltree_parse(const char *text, size_t len, struct yamltree *out, struct err **e);
void yamltree_release(struct yamltree *t);

/* What an alias stands for; any other node itself. NULL stays NULL. */
const struct yamlnode *yamlnode_deref(const struct yamlnode *n);
/* The value of a key in a mapping, behind aliases; NULL where there is none, or no mapping. Merge
 * keys ("<<") are not followed. */
const struct yamlnode *yamlnode_get(const struct yamlnode *mapping, const char *key);
/* The same along several keys, ended by NULL. */
const struct yamlnode *yamlnode_path(const struct yamlnode *mapping, const char *const *keys);
/* The text of a scalar; NULL for anything else, for null (plain "~", "null", "") and for text with
 * NUL bytes. */
const char *yamlnode_str(const struct yamlnode *n);

#define auto_yamltree __attribute__((cleanup(yamltree_release)))
