#pragma once
/* Differences between objects of Kubernetes, as people read them: of their YAML. Pure. */
#include "buf.h"

#include <cjson/cJSON.h>

/*
 * A unified diff with three lines of context between two texts, under the headings "--- old" and
 * "+++ new"; nothing where they are equal.
 */
void objdiff_text(const char *old_name, const char *old_text, const char *new_name,
                  const char *new_text, struct buf *out);

/*
 * The same between two objects, either of which may be NULL (it is not there). What a server keeps
 * about an object is left out: managedFields, resourceVersion, generation, uid, creationTimestamp,
 * selfLink, the status, and the annotation in which kubectl keeps what it applied.
 */
void objdiff_objects(const char *name, const cJSON *before, const cJSON *after, struct buf *out);
