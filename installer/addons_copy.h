#pragma once
/*
 * Putting the addon folder into the rancher-server container, through Docker's archive endpoint,
 * and reading it back (Engine API: containers, "Get an archive of a filesystem resource").
 */
#include "addons_tar.h"
#include "docker.h"
#include "err.h"

#include <stdbool.h>

#define ADDONS_CONTAINER "rancher-server"

struct addons_container {
    char *id;
    char *name; /* "rancher-server" */
    char *image;
    const char *found_by; /* static: "as named", "by its name", "by its image" */
    bool is_running;
    char **mounts; /* where volumes are, NULL-terminated */
};

/*
 * The container called `name`; without one (NULL) that called rancher-server, else the one that
 * runs an image of Rancher. -ENOENT: there is none; -EINVAL: several, which are listed.
 */
int addons_find_container(struct docker *d, const char *name, struct addons_container *out,
                          struct err **e);
void addons_container_release(struct addons_container *c);
/* True if what is put at `path` outlives the container. */
bool addons_is_on_volume(const struct addons_container *c, const char *path);

struct addons_copied {
    struct addons_listing files;
    struct addons_listing others; /* what was there besides */
};

/* Copies the files of `folder` to `path` and reads them back. -EBADMSG: something is not there as
 * it was sent. */
int addons_copy(struct docker *d, const struct addons_container *c, const char *folder,
                const char *path, struct addons_copied *out, struct err **e);
void addons_copied_release(struct addons_copied *c);
