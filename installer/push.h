#pragma once
/*
 * Bringing images of a bundle into a registry: every blob once, by its digest; then the manifests;
 * then the index, where there is one. An image that fails does not stop the others. push_plan.c
 * says what goes where, push.c does it.
 */
#include "bundle.h"
#include "err.h"
#include "ref.h"
#include "registry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What becomes of docker.io/library/x:1 below HOST/PREFIX. */
enum push_naming {
    PUSH_DROP_HOST, /* HOST/PREFIX/library/x:1 */
    PUSH_KEEP_HOST, /* HOST/PREFIX/docker.io/library/x:1; a port is put behind '-' */
    PUSH_FLAT,      /* HOST/PREFIX/x:1 */
};

enum push_result { PUSH_WAITING, PUSH_PUSHED, PUSH_PRESENT, PUSH_FAILED };
#define PUSH_RESULTS 4

struct push_image {
    const struct bundle_image *image;
    struct ref target;
    char *name; /* the target as it is written into YAML */
    /* What gets the target's tag: the upstream index if the bundle has all that it names, else the
     * index of the present platforms, else the only manifest. Borrowed from image. */
    const struct descriptor *top;
    enum push_result result;
    struct err *error; /* why it failed; or NULL */
};

/* A blob in one repository of the registry. */
struct push_use {
    size_t image; /* the first that needs it there; names the repository */
    bool is_there;
    struct err *error; /* why it could not be brought there; or NULL */
};

struct push_blob {
    const char *digest; /* borrowed from the bundle's index */
    int64_t size;
    struct push_use *uses; /* one per repository */
    size_t n_uses;
};

struct push {
    struct push_image *images;
    size_t n_images;
    struct push_blob *blobs; /* the largest first, once push_run has begun */
    size_t n_blobs;

    size_t results[PUSH_RESULTS]; /* how many images of each */
    size_t blobs_sent, blobs_mounted;
    int64_t bytes_sent;
};

/* `registry` is HOST[/PREFIX]; `chosen` has a flag per image. -EINVAL: that is none, a name that
 * no registry takes, or two images that would get one name. */
int push_plan(const struct bundle *b, const bool *chosen, const char *registry,
              enum push_naming naming, struct push *out, struct err **e);
/* Does it with up to `jobs` transfers at a time and fills in what became of each image. Negative
 * only where nothing can go on: -EHOSTUNREACH before the first image, -ECANCELED. */
int push_run(struct push *p, const struct bundle *b, struct registry *registry, size_t jobs,
             struct err **e);
void push_release(struct push *p);
/* True if the blob is a configuration or layer of the image. */
bool push_uses_blob(const struct push_image *image, const char *digest);
const char *push_result_name(enum push_result result); /* "pushed" */

/* The name of `reference` below `registry`, to be freed, without a digest; NULL with *e. Pure. */
char *push_map_name(const struct ref *reference, const char *registry, enum push_naming naming,
                    struct err **e);
