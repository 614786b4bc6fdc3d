#pragma once
/*
 * containerd by way of its command line tool: `ctr`, or `k3s ctr`, found in PATH or where the
 * packages of Kubernetes distributions put it. ctr's tables are read by their first columns, which
 * hold no blanks; those have stood as they are since containerd 1.0.
 *
 * -EREMOTEIO: ctr said no; the message is its last line.
 */
#include "child.h"
#include "err.h"
#include "hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct containerd;

/* `address` is a socket's path or NULL (CONTAINERD_ADDRESS, else the first of k3s's and the usual
 * one below `root`), `space` a namespace or NULL (CONTAINERD_NAMESPACE, else k8s.io).
 * -EHOSTUNREACH: nothing listens there; -ENOENT: there is no ctr. */
int containerd_open(const char *address, const char *space, const char *root,
                    struct containerd **out, struct err **e);
void containerd_free(struct containerd *c); /* NULL is fine */
const char *containerd_address(const struct containerd *c);
const char *containerd_space(const struct containerd *c);
/* Version of the daemon. To be freed. */
int containerd_version(struct containerd *c, char **out, struct err **e);
/* 1: containers exist in the namespace, so a kubelet (or somebody) works there; 0: none do. */
int containerd_is_in_use(struct containerd *c, struct err **e);

struct containerd_image {
    char *name;
    char digest[DIGEST_SIZE]; /* of the manifest or index that the name stands for */
    int64_t size;             /* of its blobs; -1: not known */
    bool pinned;              /* has the label that kubelet's garbage collection obeys */
    /* Its blobs are all there, or its layers are unpacked. An import that failed half-way leaves a
     * name without that. */
    bool usable;
};
struct containerd_images {
    struct containerd_image *images;
    size_t count;
};
/* All images, or only the one of `name` (else NULL). */
int containerd_images(struct containerd *c, const char *name, struct containerd_images *out,
                      struct err **e);
/* The table that `ctr images ls` prints; nothing in it says `usable`. Rows that cannot be read are
 * -EPROTO. */
int containerd_parse_images(const char *table, struct containerd_images *out, struct err **e);
/* Sets `usable` from the table that `ctr images check` prints. */
void containerd_parse_check(const char *table, struct containerd_images *images);
void containerd_images_release(struct containerd_images *list);

struct containerd_blobs {
    char (*digests)[DIGEST_SIZE]; /* sorted */
    size_t count;
};
/* Digests of all blobs that the namespace has. */
int containerd_blobs(struct containerd *c, struct containerd_blobs *out, struct err **e);
bool containerd_blobs_have(const struct containerd_blobs *blobs, const char *digest);
void containerd_blobs_release(struct containerd_blobs *blobs);

/* Imports an archive; `platform` ("linux/arm64") where it is not the host's own, else NULL. */
int containerd_import(struct containerd *c, child_source source, void *arg, const char *platform,
                      struct err **e);
/* Gives the image `from` one more name. */
int containerd_tag(struct containerd *c, const char *from, const char *to, struct err **e);
int containerd_remove(struct containerd *c, const char *name, struct err **e);
/* Labels an image as managed by CRI and pinned. */
int containerd_pin(struct containerd *c, const char *name, struct err **e);
