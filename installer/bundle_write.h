#pragma once
/* Everything of a bundle that is not a layer: headers, documents, padding, the end. */
#include "output.h"
#include "plan.h"

/* Where the parts of a bundle begin, for cutting volumes: 0, each entry's header, the trailer's.
 * To be freed. */
int64_t *bundle_borders(const struct plan *p, size_t *out_count);

/* Writes all that is not a layer's content. `index_text` is what plan_finish gave. */
int bundle_write(const struct plan *p, const char *index_text, const struct output *o,
                 struct err **e);
