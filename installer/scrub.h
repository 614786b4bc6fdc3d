#pragma once
/*
 * Secrets out of what is handed on to others: of texts and of objects of Kubernetes. Pure. It errs
 * towards taking too much.
 */
#include "buf.h"

#include <cjson/cJSON.h>
#include <stddef.h>

#define SCRUBBED "REDACTED"

/*
 * Appends `text` without private keys (PEM), tokens that are JWTs, credentials of Authorization
 * headers, and without what stands behind a name that ends with token, password, passwd, secret,
 * apikey or key-data and ':' or '='. -EFBIG: more than *out may hold.
 */
int scrub_text(const char *text, size_t len, struct buf *out);

/*
 * In place, at any depth: values of members whose names say so, as above; values of environment
 * variables (objects with "name" and "value") whose names do; managedFields and the annotation that
 * repeats an object; and all strings as scrub_text does. data and stringData of a Secret go whole.
 */
void scrub_object(cJSON *tree);
