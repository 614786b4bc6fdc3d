#pragma once
/*
 * Putting the addon folder into each pod of a highly available Rancher (the Deployment of its Helm
 * chart), through the API server, and reading it back. In the pods sh, mkdir, head and tar are
 * needed, which Rancher's images have.
 */
#include "addons_tar.h"
#include "err.h"
#include "kube/kube_client.h"

#include <stdbool.h>
#include <stddef.h>

#define ADDONS_POD_NAMESPACE "cattle-system"
#define ADDONS_POD_APP "rancher" /* the value of the label app */
#define ADDONS_POD_CONTAINER "rancher"

struct addons_target {
    const char *namespace;
    const char *container;
    const char *path; /* absolute */
};

struct addons_pod {
    char *name;
    bool is_on_volume;            /* of a kind that outlives the pod */
    struct addons_listing others; /* what was there besides */
    struct err *error;            /* NULL: the files are there */
};

struct addons_pods {
    struct addons_pod *items;
    size_t n_items;
    size_t n_failed;
    struct addons_listing files; /* what was sent */
};

/*
 * The pods that ought to have the files: labelled app=rancher, neither ended nor being deleted. One
 * whose container does not run is among them with an error. -ENOENT: there is none.
 */
int addons_find_pods(struct kube_client *k, const struct addons_target *t, struct addons_pods *out,
                     struct err **e);

/* Copies the files of `folder` to every pod without an error, reads them back and notes what went
 * wrong there. Fails only for what concerns all of them: the folder. */
int addons_copy_pods(struct kube_client *k, const struct addons_target *t, const char *folder,
                     struct addons_pods *pods, struct err **e);
void addons_pods_release(struct addons_pods *pods);
