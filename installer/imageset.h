#pragma once
/*
 * The image sets that the program carries. The lists lie in images/; embed.S and the table in
 * imageset.c name the files.
 */
#include "buf.h"
#include "err.h"
#include "ref.h"

#include <stdbool.h>
#include <stddef.h>

#define IMAGESET_DEFAULT "default"

/* The names of all sets, NULL-terminated; the default is the first. */
const char *const *imageset_names(void);

/* The list of a set, with `version` as the tag of our own images, appended to `out`.
 * -EINVAL: no such set; the message names those there are. */
int imageset_text(const char *set, const char *version, struct buf *out, struct err **e);

/* True for the images that flatnet's own build makes. */
bool imageset_is_ours(const struct ref *ref);
/* True for the rancher-server image, which no addon YAML can name. */
bool imageset_is_server(const struct ref *ref);
