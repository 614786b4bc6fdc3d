#pragma once
/*
 * YAML of Kubernetes objects to JSON and back, by the rules of the API server and kubectl
 * (sigs.k8s.io/yaml on go-yaml 2, so YAML 1.1: a plain `yes` is true). Pure.
 */
#include "buf.h"
#include "err.h"
#include "yamltree.h"

#include <cjson/cJSON.h>

#define YAMLJSON_MAX_NODES 400000 /* of the result; aliases count as often as they are used */

/*
 * A new tree for a node and what is below. -EINVAL with "line N: ...": tags, merge keys, keys that
 * are no scalars or stand twice, numbers that JSON does not have, more than YAMLJSON_MAX_NODES.
 */
int yamljson_convert(const struct yamlnode *node, cJSON **out, struct err **e);

/* Appends the tree as YAML in block style, keys in alphabetical order, which yamljson_convert reads
 * as the same; NULL appends nothing. -EFBIG */
int yamljson_print(const cJSON *tree, struct buf *out);
