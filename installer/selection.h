#pragma once
/* Which images of a bundle a command is about, and which platform of each. Pure. */
#include "bundle.h"
#include "err.h"

#include <stdbool.h>

/*
 * `patterns` are those of fnmatch(3), where '*' matches '/' too. An image is chosen when one of
 * them matches its full reference or its familiar form; all are when there are none (NULL or an
 * empty list). *out_chosen (to be freed) has one flag for each image. -EINVAL names a pattern that
 * matches nothing.
 */
int selection_match(const struct bundle_index *index, const char *const *patterns,
                    bool **out_chosen, struct err **e);

/* True if one of the patterns matches the reference, or there are none. */
bool selection_matches(const char *const *patterns, const char *reference);

/* The platform of an image for a host: equal to `wanted`, else the first that suits it; NULL where
 * none does. */
const struct bundle_platform *selection_platform(const struct bundle_image *image,
                                                 const struct platform *wanted);

/* "linux/amd64, linux/arm64", to be freed. */
char *selection_platforms(const struct bundle_image *image);

/* The short form that people write: "docker.io/library/nginx:1" is "nginx:1"; borrowed. */
const char *selection_familiar(const char *reference);
