#pragma once
/* Shared by the files of 'addons copy'. */
#include "addons_tar.h"
#include "err.h"

#include <cjson/cJSON.h>

/* The lines of addons_include for files that are at `path` now. */
void copy_print_include(const struct addons_listing *files, const char *path);
/* "path", "files" and "addonsInclude". */
void copy_add_json(cJSON *root, const struct addons_listing *files, const char *path);
/* Files that were at `path` already. */
void copy_warn_others(const struct addons_listing *others, const char *path, const char *where);

struct copy_pods {
    const char *folder;
    const char *kubeconfig; /* NULL: where kubectl looks */
    const char *context;    /* NULL: the current one */
    const char *namespace;
    const char *container; /* NULL: rancher */
    const char *path;
};
/* Into the pods of a highly available Rancher. Returns the exit status, or a negative errno. */
int copy_pods(const struct copy_pods *o, struct err **e);
