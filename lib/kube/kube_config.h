#pragma once
/*
 * kubeconfig: which API server, whom it is to be trusted by, and as whom to speak to it. The files,
 * the order in which several of them count and the meaning of each field are kubectl's
 * (kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig, and
 * kubeconfig.v1 of the configuration API). YAML, so JSON too.
 *
 * Refused by name, because leaving them out would speak as somebody else: auth-provider, user name
 * and password, and impersonation; exec too, but for programs that people start.
 */
#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define KUBE_CONFIG_MAX (1u << 20) /* bytes of a kubeconfig, and of each file that it names */

/* Something that is in the kubeconfig itself, or in a file of its own. */
struct kube_part {
    struct buf bytes; /* empty: not given, or not loaded yet */
    char *file;       /* absolute, or relative to the working directory; NULL: none */
};

/* A program that knows the credentials (users[].user.exec). */
struct kube_exec_plugin {
    char *api_version, *hint; /* what to do where it is not installed; NULL: not said */
    char **argv;              /* argv[0] is a path, or a name for PATH; NULL-terminated */
    char **env;               /* "NAME=VALUE" on top of the environment; NULL-terminated */
    bool wants_cluster;       /* provideClusterInfo */
};

struct kube_config {
    char *context;  /* its name */
    char *server;   /* as written: "https://10.0.0.1:6443", maybe with a path */
    char *tls_name; /* whom the server's certificate is for, where that is not its host; or NULL */
    char *proxy;    /* proxy-url, or NULL */
    bool insecure;  /* the server's certificate is not verified */
    bool no_proxy;  /* the proxies of the environment do not count */
    struct kube_part ca; /* PEM; neither bytes nor file: the system's set */
    struct kube_part cert, key;
    struct kube_part token;        /* a file counts before the token that stands beside it */
    struct kube_exec_plugin *exec; /* only after kube_config_parse; or NULL */
};

/* The text of one kubeconfig. */
struct kube_source {
    const char *path;
    const char *text;
    size_t len;
};

/*
 * Reads `n` texts, of which the first that has something wins, without looking at other files.
 * `context` is a name, or NULL for the current one. -EINVAL: what is wrong, with the path of the
 * text that it stands in.
 */
int kube_config_parse(const struct kube_source *sources, size_t n, const char *context,
                      struct kube_config *out, struct err **e);

/*
 * The same from the file `path`; NULL: from those that KUBECONFIG lists (one that is missing is
 * passed over), else from ~/.kube/config. Then the bytes of every part are there. -ENOENT: no file.
 */
int kube_config_load(const char *path, const char *context, struct kube_config *out,
                     struct err **e);
/* The same for a program that somebody has started, which may run another one for credentials. Its
 * failure is -EKEYREJECTED. */
int kube_config_load_user(const char *path, const char *context, struct kube_config *out,
                          struct err **e);
void kube_config_release(struct kube_config *c);

#define auto_kube_config __attribute__((cleanup(kube_config_release)))
