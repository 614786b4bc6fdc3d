#pragma once
/*
 * Images of one program each, as an OCI image layout (image-spec v1.1): one name for all platforms
 * of an image. docker's manifest.json lies beside index.json, so that a tar of the folder is also
 * what `docker load` of any version takes. The same programs give the same bytes.
 */
#include "bundle.h"
#include "err.h"

#include <stddef.h>
#include <stdint.h>

struct layout {
    const char *folder;        /* borrowed; must not hold another layout */
    char *created;             /* RFC 3339 */
    struct bundle_index index; /* its images; nothing else of it is used */
};

/* What an image is; all borrowed. */
struct layout_recipe {
    const char *name; /* of the program, in the image's /bin, and of the repository */
    const char *user; /* numeric, "65534:65534"; NULL is root */
    const char *description;
};

struct layout_program {
    const char *arch; /* "amd64" */
    const char *bytes;
    size_t len;
};

/* `created` is in seconds since 1970. */
int layout_init(struct layout *l, const char *folder, int64_t created, struct err **e);
void layout_release(struct layout *l);

/* One image; the first program is the platform that docker gets. */
int layout_add(struct layout *l, const struct layout_recipe *recipe,
               const struct layout_program *programs, size_t n_programs, struct err **e);
/* What makes a layout of the folder. */
int layout_finish(struct layout *l, struct err **e);

#define auto_layout __attribute__((cleanup(layout_release)))
