#pragma once
/* The part of a cluster's YAML that goes with the addons. Pure. */
#include "addons_settings.h"
#include "buf.h"
#include "err.h"

enum addons_layout {
    ADDONS_RKE,     /* at the top level: RKE's cluster.yml, and Rancher up to 2.2 */
    ADDONS_RANCHER, /* under rancher_kubernetes_engine_config: later versions of Rancher */
};

/* Where RKE finds the addons. */
struct addons_places {
    const char *folder;       /* inside rancher-server */
    const char *url;          /* where the same folder is served; or NULL */
    const char *const *names; /* of the files to include, NULL-terminated */
};

/* Appends network.plugin, the services' networks where they are not RKE's defaults, and
 * addons_include with the paths; where there is a URL, the addresses follow as comments. */
void addons_cluster_text(const struct addons_settings *s, enum addons_layout layout,
                         const struct addons_places *places, struct buf *out);

/*
 * The user's own cluster YAML with the same things set, appended to `out`: below
 * rancher_kubernetes_engine_config where that is there, else at the top. Nothing else changes. The
 * services are only touched for networks that were given. -EINVAL: no YAML, more than one document,
 * or a shape in which they cannot be set; the message says which.
 */
int addons_cluster_edit(const struct addons_settings *s, const struct addons_places *places,
                        const char *text, size_t len, struct buf *out, struct err **e);

/* "FOLDER/NAME" with one slash between, to be freed. */
char *addons_join(const char *folder, const char *name);
