#pragma once
/* What the addons are made for: a cluster's version, networks, interface and registry. Pure. */
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDONS_KUBE_OLDEST 11 /* 1.11: older ones lack the status subresource */
#define ADDONS_KUBE_NEWEST 36 /* newer ones are taken for this one */

#define ADDONS_POD_CIDR "10.42.0.0/16" /* RKE's own defaults */
#define ADDONS_SERVICE_CIDR "10.43.0.0/16"
#define ADDONS_FOLDER "/var/lib/rancher/network-addons" /* inside rancher-server */
#define ADDONS_FILE "multus-flannel-macvlan.yml"        /* all addons in one file, */
#define ADDONS_FILE_OLD "macvlan-network.yml"           /* and by the name of the 2019 manual */

enum addons_mode {
    ADDONS_MULTUS,  /* multus runs flannel and, for a pod that asks, static-macvlan-cni */
    ADDONS_CHAINED, /* static-macvlan-cni stands behind flannel in one conflist */
};

/* As they are on a command line; borrowed. NULL takes the default. */
struct addons_options {
    const char *set;
    const char *kube_version; /* "1.13", "v1.13.5-rancher1-2" */
    const char *mode;         /* "multus", "chained" */
    const char *pod_cidr, *service_cidr;
    const char *const *ifaces; /* names or addresses, NULL-terminated; or NULL */
    const char *const *iface_regexes;
    const char *registry; /* HOST[/PREFIX] */
    bool has_webhook;
};

struct addons_cidr {
    char text[20]; /* "10.42.0.0/16" */
    uint32_t address;
    unsigned prefix;
    bool is_given; /* on the command line */
    bool is_default;
};

struct addons_settings {
    const char *set; /* a static string: one of imageset_names() */
    int kube_minor;  /* 13 for 1.13 */
    enum addons_mode mode;
    struct addons_cidr pod, service;
    char dns_server[16];  /* the tenth address of the service CIDR, as RKE has it */
    char **iface_args;    /* "--iface=ens4", NULL-terminated; NULL for none */
    const char *registry; /* borrowed; or NULL */
    bool has_webhook;     /* the controller answers the API server's questions */
};

/* Checks and fills in. -EINVAL: what is wrong and what would be right. */
int addons_settings_parse(const struct addons_options *o, struct addons_settings *out,
                          struct err **e);
void addons_settings_release(struct addons_settings *s);
const char *addons_mode_name(enum addons_mode mode);

/* A Kubernetes version's minor number. -EINVAL: none, or older than ADDONS_KUBE_OLDEST. */
int addons_kube_minor(const char *text, int *out_minor, struct err **e);

/* The name of an image below `registry` (NULL: as it is), to be freed; NULL with *e. */
char *addons_image_name(const char *reference, const char *registry, struct err **e);

#define auto_addons_settings __attribute__((cleanup(addons_settings_release)))
