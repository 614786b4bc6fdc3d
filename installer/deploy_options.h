#pragma once
/* The options of the last deploy, kept in the inventory, so that a later one does not change what
 * it was not asked to change. Pure. */
#include "addons_settings.h"
#include "deploy_inventory.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

/* What recalled options point to. */
struct deploy_options {
    cJSON *facts;
    char **ifaces, **regexes; /* NULL-terminated */
};

/* Fills in what is not given. What *o points to then lives as long as *out. */
void deploy_options_recall(const struct deploy_inventory *inv, struct addons_options *o,
                           bool *skips_flannel, struct deploy_options *out);
void deploy_options_release(struct deploy_options *o);
/* Writes them down; `s` is what came of them. */
void deploy_options_keep(struct deploy_inventory *inv, const struct addons_options *o,
                         const struct addons_settings *s, bool skips_flannel);
