#pragma once
/* Shared by the files of 'addons render'. */
#include "addons_cluster.h"
#include "cli.h"
#include "err.h"
#include "findings.h"

#include <stddef.h>

/* The rows by which addons are chosen, for a struct with the members settings (addons_options),
 * ifaces and regexes (cli_list). */
#define ADDONS_OPTIONS(o)                                                                          \
    {"mode",                                                                                       \
     0,                                                                                            \
     CLI_STRING,                                                                                   \
     "multus|chained",                                                                             \
     &(o).settings.mode,                                                                           \
     "how the plugin is called (default multus)"},                                                 \
        {"images",          0,                                                                     \
         CLI_STRING,        "SET",                                                                 \
         &(o).settings.set, "embedded image set: default, 2019-original, current"},                \
        {"webhook",                                                                                \
         0,                                                                                        \
         CLI_FLAG,                                                                                 \
         NULL,                                                                                     \
         &(o).settings.has_webhook,                                                                \
         "subnets and workloads are checked as they are written"},                                 \
        {"registry",                                                                               \
         0,                                                                                        \
         CLI_STRING,                                                                               \
         "HOST[/PREFIX]",                                                                          \
         &(o).settings.registry,                                                                   \
         "take the images from there, named as by 'images push'"},                                 \
        {"pod-cidr",                                                                               \
         0,                                                                                        \
         CLI_STRING,                                                                               \
         "CIDR",                                                                                   \
         &(o).settings.pod_cidr,                                                                   \
         "network of the pods (default " ADDONS_POD_CIDR ")"},                                     \
        {"service-cidr",                                                                           \
         0,                                                                                        \
         CLI_STRING,                                                                               \
         "CIDR",                                                                                   \
         &(o).settings.service_cidr,                                                               \
         "network of the services (default " ADDONS_SERVICE_CIDR ")"},                             \
        {"iface", 0, CLI_LIST, "NAME|ADDR", &(o).ifaces, "flannel's interface; may be repeated"},  \
    {                                                                                              \
        "iface-regex", 0, CLI_LIST, "REGEX", &(o).regexes,                                         \
            "the same by regular expression; may be repeated"                                      \
    }

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
