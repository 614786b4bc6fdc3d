#pragma once
/*
 * What the runtime tells by its environment (SPEC 1.1.0, "Parameters", as strict as pkg/skel of the
 * reference library): pure. All is hostile.
 */
#include "cni_version.h"
#include "err.h"
#include "ip.h"

#include <stdbool.h>

enum cni_command { CNI_NONE, CNI_ADD, CNI_DEL, CNI_CHECK, CNI_GC, CNI_STATUS, CNI_VERSION };

#define CNI_IFNAME_MAX 15
#define CNI_ARGS_MAX (64u << 10)

/* CNI_ARGS: "KEY=VALUE;KEY=VALUE". Texts are NULL where it has none. */
struct cni_args {
    /* K8S_POD_..., names as Kubernetes has them. Without a namespace there is no name: it is not
     * Kubernetes that calls. */
    char *pod_namespace, *pod_name;
    char *pod_uid;      /* not from multus 3.2 */
    char *infra_id;     /* K8S_POD_INFRA_CONTAINER_ID */
    char *ip, *gateway; /* lists with commas, not looked into */
    bool has_mac;
    struct ip_mac mac;
};

/* Texts are borrowed from the environment, and NULL where it has none or an empty one. */
struct cni_env {
    enum cni_command command; /* CNI_NONE: CNI_COMMAND is not there */
    const char *container_id, *netns, *ifname, *path;
    bool may_be_host_netns; /* CNI_NETNS_OVERRIDE */
    struct cni_args args;
};

/*
 * `environment`: "NAME=VALUE", NULL-terminated. -EBADR: something is missing (all that is, in one
 * message), or makes no sense. Without CNI_COMMAND, and for VERSION, nothing else is looked at.
 */
int cni_env_parse(char *const *environment, struct cni_env *out, struct err **e);
void cni_env_release(struct cni_env *env);
const char *cni_command_text(enum cni_command command);
/* -EPROTONOSUPPORT: the version has no such command yet. */
int cni_command_check(enum cni_command command, enum cni_version version, struct err **e);

/*
 * A key that is not known is an error unless IgnoreUnknown is 1 or true (pkg/types/args.go).
 * Laxer than there: an empty pair is passed over. -EBADR.
 */
int cni_args_parse(const char *text, struct cni_args *out, struct err **e);
void cni_args_release(struct cni_args *args);

/* True for a name as a container's ID or a network has it: [A-Za-z0-9][A-Za-z0-9_.-]*. */
bool cni_name_is_valid(const char *name);
/* 1 to 15 bytes, not "." or "..", without '/', ':', blanks and control characters. */
bool cni_ifname_is_valid(const char *name);
/* -EXDEV: `netns` is the network namespace of this process. A file that is not there is fine. */
int cni_env_check_netns(const struct cni_env *env, struct err **e);
