#pragma once
/*
 * The user's own addon YAML, changed for a cluster: only the bytes that must change do, and what
 * has a shape that is not known is left alone and named. Pure.
 */
#include "addons_settings.h"
#include "buf.h"
#include "err.h"
#include "findings.h"
#include "yamledit.h"

struct addons_edited {
    size_t images;   /* names moved below the registry */
    size_t ifaces;   /* containers whose flannel got its interface */
    size_t networks; /* net-conf.json with the pod network */
    size_t versions; /* multus configurations that got their cniVersion */
};

/*
 * Changes the images (where settings name a registry), flannel's arguments (where they name
 * interfaces), flannel's network (where a pod CIDR was given) and a missing cniVersion of multus.
 * Appends the new text to `out` and adds to *counts. -EINVAL: the file is no YAML, or would not be
 * any more.
 */
int addons_edit(const struct addons_settings *s, const char *file, const char *text, size_t len,
                struct buf *out, struct addons_edited *counts, struct findings *f, struct err **e);

/* --- its parts --- */

struct addons_editing {
    const struct addons_settings *s;
    const char *file;
    struct yamledit ed;
    struct addons_edited counts;
    struct findings *f;
};

/* The arguments of one container, if it runs flanneld (addons_edit_args.c). */
void addons_edit_args(struct addons_editing *in, const struct yamlnode *container);
/* The JSON documents of one ConfigMap (addons_edit_json.c). */
void addons_edit_configmap(struct addons_editing *in, const struct yamlnode *object);

/* The value of a member of the outermost object of JSON text: its bytes, quotes included. False
 * where there is none. With a NULL name: the bytes between '{' and the first member. */
bool addons_json_find(const char *text, size_t len, const char *name, size_t *out_start,
                      size_t *out_end);
