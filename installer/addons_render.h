#pragma once
/*
 * The addons as files, made from the templates that the program carries (addons/templates) and the
 * image list of a set. Pure: nothing is read or written. The same settings give the same bytes.
 */
#include "addons_settings.h"
#include "err.h"
#include "findings.h"

#include <stddef.h>

#define ADDONS_FILES_MAX 9

struct addons_file {
    const char *name; /* static: "flannel-daemonset.yml" */
    char *text;
    size_t len;
};

struct addons_files {
    struct addons_file items[ADDONS_FILES_MAX]; /* the combined file first, under both names */
    size_t n_items;
};

/* What the settings may have against them in use is a warning in `f`. */
int addons_render(const struct addons_settings *s, struct addons_files *out, struct findings *f,
                  struct err **e);
void addons_files_release(struct addons_files *files);

/* Every name that a rendering may use, NULL-terminated; the first two are the combined file. */
const char *const *addons_file_names(void);

#define auto_addons_files __attribute__((cleanup(addons_files_release)))
