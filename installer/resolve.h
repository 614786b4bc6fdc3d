#pragma once
/* From an image's name to its documents: the manifest for each wanted platform, configurations,
 * indexes. Out of an image file or a registry. */
#include "plan.h"

/*
 * Fills image->image and image->documents, or returns the error. `conn` is used where no image
 * file has the image.
 */
int resolve_image(struct plan_image *image, const struct plan *plan,
                  const struct imagefile *const *files, size_t n_files, struct registry_conn *conn,
                  struct err **e);
