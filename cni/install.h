#pragma once
/*
 * `static-macvlan-cni install`: what one node needs of the plugin, put there and kept true as long
 * as this runs: the executables, the kubeconfig that they read, in chained mode the configuration
 * that comes first. `static-macvlan-cni uninstall` takes the last two away again, and with --purge
 * all; nothing else does: a stop, an upgrade or a reboot leaves them, so that pods go on.
 */
#include "err.h"

#include <stdbool.h>
#include <stddef.h>

#define INSTALL_CONFLIST "05-flatnet.conflist"
#define INSTALL_KUBECONFIG "flatnet.d/flatnet.kubeconfig" /* below the folder of configurations */

#define INSTALL_ALSO_MAX 8

struct install_options {
    const char *conf_dir, *bin_dir; /* as this process sees them */
    const char *service_account;    /* folder; NULL: where Kubernetes mounts it */
    const char *run_dir;            /* what it shares with the plugin: "/run/flatnet" */
    const char *listen;
    bool is_chained;
    const char *also[INSTALL_ALSO_MAX]; /* uninstall: files below conf_dir that go too */
    bool purges;                        /* uninstall: programs and devices go too */
    bool stays;                         /* uninstall: then waits for SIGTERM */
};

/* --- install_files.c --- */

/* Puts this executable into bin_dir by rename, under both of its names. 1: something was written,
 * 0: all was there already. */
int install_programs(const struct install_options *o, struct err **e);
/* Writes the kubeconfig from the service account of the pod where it differs; 1 and 0 as above.
 * Errors as kube_creds_in_cluster. */
int install_kubeconfig(const struct install_options *o, struct err **e);
/* Writes the configuration of chained mode; 1 and 0 as above. -ENOENT: there is none that ours
 * could be chained to. -EBADMSG: that one cannot be used; ours stays as it is. */
int install_conflist(const struct install_options *o, struct err **e);
/* Removes what the two above have written, and the files of o->also with the folders that they
 * leave empty. */
int install_remove(const struct install_options *o, struct err **e);
/* Removes the executables in bin_dir that are copies of this one. */
int install_remove_programs(const struct install_options *o, struct err **e);

/* --- install_conflist.c, pure --- */

/*
 * Our configuration list, made of the text of another's (a list, or a single plugin): its plugins,
 * and ours behind them. To be freed. -EBADMSG: that is no configuration; the message says why.
 */
int install_chain(const char *text, size_t len, char **out_text, struct err **e);

/* --- install_net.c --- */

struct install_net;

/* `locks` is the folder of vlandev.h. */
int install_net_new(const char *locks, struct install_net **out, struct err **e);
void install_net_free(struct install_net *n); /* NULL is fine */
/* Is readable when links have changed. */
int install_net_fd(const struct install_net *n);
/* Reads that; true from the first change that concerns us until the next look. */
bool install_net_changed(struct install_net *n);
/* Looks at everything once; 1: something was put right, 0: all was well. What could not be is tried
 * again by the next call. */
int install_net_keep(struct install_net *n, struct err **e);

/* --- install_run.c --- */

/* Runs until SIGTERM; the exit status. */
int install_run(const struct install_options *o);

/* `static-macvlan-cni install|uninstall [OPTION]...` (argv[0] is the verb); the exit status. */
int install_main(int argc, char **argv);
