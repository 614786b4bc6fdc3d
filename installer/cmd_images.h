#pragma once
/* What the verbs `images load` and `images ls` share. */
#include "bundle.h"
#include "cli.h"
#include "json.h"
#include "runtime.h"

struct images_options {
    const char *runtime; /* --runtime: one of auto, docker, containerd, rke2, k3s */
    struct cli_list only;
    const char *base;
    const char *platform;
    const char *address;
    const char *space;
    const char *root;
};

/* The rows of an option table for `o`, to be put into a struct cli_option array. */
#define IMAGES_OPTIONS(o)                                                                          \
    {"runtime",    0,                                                                              \
     CLI_STRING,   "NAME",                                                                         \
     &(o).runtime, "auto, docker, containerd, rke2 or k3s (default auto)"},                        \
        {"only",    0,         CLI_LIST,                                                           \
         "PATTERN", &(o).only, "only images whose full or short name matches; may be repeated"},   \
        {"base", 0, CLI_STRING, "OLD", &(o).base, "the bundle that a delta was made against"},     \
        {"platform",    0,                                                                         \
         CLI_STRING,    "OS/ARCH",                                                                 \
         &(o).platform, "of images with several (default: the runtime's own)"},                    \
        {"address",    0,                                                                          \
         CLI_STRING,   "SOCKET",                                                                   \
         &(o).address, "of containerd (default $CONTAINERD_ADDRESS, else the usual ones)"},        \
        {"namespace", 0,          CLI_STRING,                                                      \
         "NAME",      &(o).space, "of containerd (default $CONTAINERD_NAMESPACE, else k8s.io)"},   \
    {                                                                                              \
        "root", 0, CLI_STRING, "DIR", &(o).root,                                                   \
            "take DIR for / when looking for sockets and rke2's and k3s's folders"                 \
    }

/* Checks --runtime, --platform and --root (without a slash at its end, in *out_root, to be freed).
 * *out_wanted stays as it is without --platform. */
int images_check_options(const struct images_options *o, struct platform *out_wanted,
                         char **out_root, struct err **e);
bool images_is_agent(const struct images_options *o); /* rke2 or k3s */

/* The first 12 digits of an id, as docker shows it, into `out`, which is returned. */
#define IMAGES_SHORT_ID 13
const char *images_short_id(const char *id, char out[IMAGES_SHORT_ID]);
/* The facts about a runtime as JSON. */
void images_add_runtime(cJSON *root, const struct runtime *rt);
