#pragma once
/*
 * JSON from outside, on cJSON: bounded in size and depth before a tree is built, nothing allowed
 * behind the document. Trees are freed with cJSON_Delete or auto_json.
 */
#include "err.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 64

/*
 * Parses `len` bytes (no NUL needed) into a new tree. Errors: -EBADMSG (not JSON, a NUL in it, text
 * behind the document, deeper than JSON_MAX_DEPTH); the message says what, and at which byte. Two
 * members of one name are not looked for.
 */
int json_parse(const char *text, size_t len, cJSON **out_tree, struct err **e);

/* Members of an object, borrowed; NULL when `obj` is no object or has no such member of that type.
 * Names are compared case-sensitively. */
const char *json_get_str(const cJSON *obj, const char *name);
const cJSON *json_get_obj(const cJSON *obj, const char *name);
const cJSON *json_get_arr(const cJSON *obj, const char *name);
/* A whole number from 0 to 2^53; returns 0, -ENOENT (absent) or -EINVAL (anything else there). */
int json_get_size(const cJSON *obj, const char *name, int64_t *out_value);

/* Adds a string member; a NULL value adds nothing. */
void json_add_str(cJSON *obj, const char *name, const char *value);
void json_add_int(cJSON *obj, const char *name, int64_t value);
/* Adds a copy of the member of that name of `from`, where there is one. */
void json_copy(cJSON *obj, const cJSON *from, const char *name);

/* Compact text of the tree, to be freed with free(). */
char *json_print(const cJSON *tree);

#define auto_json __attribute__((cleanup(json_cleanup)))
void json_cleanup(cJSON **tree);
