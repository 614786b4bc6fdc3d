#pragma once
/* Shared by the files of 'addons render'. */
#include "addons_cluster.h"
#include "err.h"
#include "findings.h"

#include <stddef.h>

/* Files that were written, and what of them RKE is to include. */
struct render_result {
    char **files; /* names below the output folder, NULL-terminated */
    size_t n_files;
    const char **includes; /* of those, NULL-terminated; borrowed */
    char *summary;         /* one line */
};

void render_add_file(struct render_result *r, const char *name, bool is_included);
void render_result_release(struct render_result *r);

/* Edits every YAML file of the folder `from` into the folder `output`, which may be the same. */
int render_from(const struct addons_settings *s, const char *from, const char *output,
                struct render_result *out, struct findings *f, struct err **e);
/* Edits the user's cluster YAML in its place, keeping its mode. Returns 1 where it changed, 0 where
 * it already was as it should be. */
int render_cluster_yaml(const struct addons_settings *s, const struct addons_places *places,
                        const char *path, struct err **e);
