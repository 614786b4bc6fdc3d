#pragma once
/*
 * Looking through addon YAML for what would make it fail in the cluster, where RKE itself looks at
 * the first document only and nobody sees what became of the others. Pure.
 */
#include "findings.h"
#include "imagelist.h"
#include "yamltree.h"

#include <stdbool.h>
#include <stddef.h>

#define ADDONS_CONFIGMAP_MAX (1u << 20)    /* what RKE stores all addons in */
#define ADDONS_ANNOTATION_MAX (256u << 10) /* what 'kubectl apply' keeps of one object */

struct addons_seen {
    char *what; /* identity of an object, or namespace and selector of a DaemonSet */
    char *file;
    size_t line;
};

struct addons_lint {
    int kube_minor;
    struct findings *f;

    struct addons_seen *objects, *selectors; /* of the files that are applied together */
    size_t n_objects, n_selectors;
    size_t n_documents; /* of all files, empty ones not counted */
    size_t n_bytes;     /* of the files that are applied together */
};

/* Looks through one file. Everything is said in `l->f`. */
void addons_lint_file(struct addons_lint *l, const char *file, const char *text, size_t len);
/* The files so far were applied together; what comes next stands alone. */
void addons_lint_cut(struct addons_lint *l);

/* One document (or item of a List); for addons_lint_file. */
void addons_lint_object(struct addons_lint *l, const char *file, const struct yamlnode *object);

/*
 * Warns of what a cluster made by RKE needs besides the addons and the list lacks: the agent of
 * the same version as the server in the list, and Kubernetes 1.`kube_minor` itself. Images count
 * by the last two parts of their repository, whatever the host.
 */
void addons_lint_system_images(const struct imagelist *have, int kube_minor, struct findings *f);

#define auto_addons_lint __attribute__((cleanup(addons_lint_release)))
void addons_lint_release(struct addons_lint *l);
