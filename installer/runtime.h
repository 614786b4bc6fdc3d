#pragma once
/*
 * A container runtime of this host: what `images load` and `images ls` want of docker and of
 * containerd alike.
 */
#include "bundle.h"
#include "err.h"
#include "platform.h"
#include "progress.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct runtime_options {
    const char *kind;    /* "auto", "docker" or "containerd" */
    const char *address; /* of containerd; NULL: CONTAINERD_ADDRESS, else the usual sockets */
    const char *space;   /* containerd's namespace; NULL: CONTAINERD_NAMESPACE, else "k8s.io" */
    const char *root;    /* put before the paths of the usual sockets; "" for the host itself */
};

#define RUNTIME_IDS_MAX 3

/* One image of a bundle as it shall be in the runtime. */
struct runtime_image {
    const struct bundle_image *image;
    const struct bundle_platform *platform;
    char *name; /* there; differs from the reference where the runtime cannot hold that */
    /* What the runtime may call the image that this is. The first is what a load from the bundle
     * gives it, the others come from pulls of several platforms. */
    char ids[RUNTIME_IDS_MAX][DIGEST_SIZE];
    size_t n_ids;
};

struct runtime_entry {
    char *name; /* full reference */
    char id[DIGEST_SIZE];
    int64_t size; /* -1: not known */
};

struct runtime_list {
    struct runtime_entry *entries; /* sorted by name */
    size_t count;
};

/* One image on its way, and what came of it. */
struct runtime_job {
    const struct bundle *bundle;
    const struct runtime_image *image;
    struct progress *progress;
    size_t item;  /* of progress */
    int64_t size; /* what progress expects of it */

    int64_t sent;    /* bytes handed to the runtime, all tries together */
    int64_t counted; /* bytes told to progress */
    size_t omitted;  /* layers that were not sent, since they are there */
};

struct runtime {
    const struct runtime_ops *ops;
    void *impl;
    const char *kind; /* "docker", "containerd" */
    char *version;
    char *address;
    char *store;  /* docker: its storage driver or "containerd"; containerd: the namespace */
    char *reason; /* why this one: "DOCKER_HOST is set" */
    struct platform platform;
};

/* What a kind of runtime can do. `name` and `id` are those of a struct runtime_image. */
struct runtime_ops {
    /* Fills name and ids; image and platform are set. */
    void (*name)(void *impl, struct runtime_image *image);
    /* 1: *out_id is what stands under that name, 0: nothing does. */
    int (*find)(void *impl, const char *name, char out_id[DIGEST_SIZE], struct err **e);
    /* 1: the image with that id was there and has the name now too, 0: there is none. */
    int (*adopt)(void *impl, const char *id, const char *name, struct err **e);
    /* Sends the image. -EREMOTEIO: refused. */
    int (*load)(void *impl, struct runtime_job *job, struct err **e);
    /* Keeps the image from being collected as garbage; NULL where nothing collects. */
    int (*keep)(void *impl, const char *name, struct err **e);
    int (*list)(void *impl, struct runtime_list *out, struct err **e);
    /* True if containers exist that are this runtime's own; only containerd is asked. */
    bool (*is_in_use)(void *impl);
    void (*free)(void *impl);
};

/* Finds the runtime; out->reason says how it was chosen. -EHOSTUNREACH: none answers; the message
 * says which were asked and why they did not. */
int runtime_open(const struct runtime_options *options, struct runtime *out, struct err **e);
void runtime_close(struct runtime *r);

/* Fills ids for a store in which an image is its manifest or index. */
void runtime_image_manifest_ids(struct runtime_image *image);
void runtime_image_release(struct runtime_image *image);
/* True if `id` is one of the image's. */
bool runtime_image_is(const struct runtime_image *image, const char *id);

void runtime_list_add(struct runtime_list *list, const char *name, const char *id, int64_t size);
void runtime_list_sort(struct runtime_list *list);
/* Compares two struct runtime_entry by name, for qsort and bsearch. */
int runtime_entry_compare(const void *a, const void *b);
void runtime_list_release(struct runtime_list *list);

/* Each fills everything but `reason`. */
int runtime_open_docker(const struct runtime_options *options, struct runtime *out, struct err **e);
int runtime_open_containerd(const struct runtime_options *options, struct runtime *out,
                            struct err **e);

struct imagetar;

/* A http_source and child_source: the bytes of an image tar, counted into a job. */
struct runtime_feed {
    struct runtime_job *job;
    struct imagetar *tar;
    int64_t given;
};
ssize_t runtime_feed_read(void *feed, void *bytes, size_t size, struct err **e);
