#pragma once
/*
 * YAML documents as JSON, as Kubernetes' own tools read them (YAML 1.1 with the rules of
 * sigs.k8s.io/yaml): which plain scalars are null, booleans and numbers, and that aliases are
 * written out. Pure.
 */
#include "err.h"
#include "yamltree.h"

#include <cjson/cJSON.h>

#define YAMLJSON_MAX_NODES 50000 /* with what aliases stand for written out */

/*
 * One node of a tree (a document, say) as a new JSON tree, to be deleted by the caller. An empty
 * document is null; a scalar with a tag is text. -EINVAL with "line N: ...": a key that is no
 * scalar or is there twice, a merge key, a number that a double does not hold exactly, an alias
 * inside of what it stands for, a NUL, more than YAMLJSON_MAX_NODES.
 */
int yamljson_make(const struct yamlnode *node, cJSON **out, struct err **e);
