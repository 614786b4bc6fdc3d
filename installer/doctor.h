#pragma once
/*
 * What support asks for, in one tar: the output of flatnet's own checks, what the API server says
 * of our objects, logs, and files of this host; without secrets (scrub.h). What cannot be had is
 * named in summary.txt inside and does not end the work.
 */
#include "err.h"
#include "kube/kube_client.h"

#include <stdbool.h>
#include <stddef.h>

struct doctor_options {
    const char *kubeconfig, *context; /* for the checks that are run; NULL: not given */
    struct kube_client *kube;         /* NULL: the cluster cannot be asked */
    const char *why_no_cluster;       /* then */
    bool with_host;                   /* this host is part of what is looked at */
    int log_lines;                    /* of each container */
};

struct doctor_item {
    char *name; /* of the file below the folder of the tar */
    size_t size;
    char *problem; /* NULL: it is complete */
};

struct doctor_items {
    struct doctor_item *items;
    size_t count, n_problems;
};

/* Writes the tar to `path`, a new file (0600). -ECANCELED: interrupted, nothing is written. */
int doctor_collect(const struct doctor_options *o, const char *folder, const char *path,
                   struct doctor_items *out, struct err **e);
void doctor_items_release(struct doctor_items *d);
