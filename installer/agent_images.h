#pragma once
/*
 * rke2 and k3s import every archive in a folder of theirs when they start
 * (<data dir>/agent/images; docs.k3s.io, "Air-Gap Install"). One archive of the chosen images goes
 * there: an OCI layout that is a docker archive too, named after its contents, so that the same
 * choice is the same file and another one does not replace it.
 */
#include "load.h"

struct agent_images {
    char *path; /* of the archive; NULL where none was written */
    int64_t size;
    bool was_there; /* with the same bytes */
};

/*
 * Writes ROOT/var/lib/rancher/KIND/agent/images/flatnet-<12 hex digits>.tar under a temporary name,
 * syncs it, reads it back and renames. Images whose blobs are corrupt or missing are failed in `l`
 * and left out; the others are LOAD_WRITTEN (LOAD_PRESENT where the file was there). -ENOSPC
 * before the first byte where there is no room.
 */
int agent_images_place(const char *kind, const char *root, const struct bundle *b, struct load *l,
                       struct agent_images *out, struct err **e);
void agent_images_release(struct agent_images *a);
