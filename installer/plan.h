#pragma once
/*
 * What `bundle create` is going to write: images resolved to manifests, every blob once, and the
 * layout with all offsets. Made before the first layer is fetched.
 */
#include "bundle_index.h"
#include "err.h"
#include "imagefile.h"
#include "ref.h"
#include "registry.h"
#include "schema1.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes that are at hand and become an entry: a manifest, a configuration, an index. */
struct document {
    char digest[DIGEST_SIZE]; /* empty while a schema 1 image is not converted yet */
    char *bytes;
    size_t len;
};

/* One image of the command line, and what became of it. */
struct plan_image {
    struct ref ref;
    char *origin;              /* "images.list:3", for messages */
    struct bundle_image image; /* until plan_layout moves it into the index */
    size_t number;             /* its place there */
    bool is_placed;
    struct document *documents;
    size_t n_documents;
    struct schema1 *schema1;         /* not NULL: converted once its layers are there */
    const struct imagefile *archive; /* where it is from; NULL: a registry */
    struct err *error;               /* why it could not be had */
};

/* A file beneath addons/ or bin/. */
struct plan_file {
    char *path; /* in the bundle */
    char *bytes;
    size_t len;
};

/* A layer to fetch, once, whoever shares it. */
struct plan_layer {
    struct descriptor blob;
    size_t entry;   /* its number in index.entries */
    size_t *images; /* who needs it, numbers in images */
    size_t n_images;
    bool needs_diff_id; /* for the configuration of a converted image */
    char diff_id[DIGEST_SIZE];
    struct err *error;
    bool done;
};

struct plan {
    struct plan_image *images;
    size_t n_images;
    struct plan_file *files;
    size_t n_files;
    const struct platform *platforms; /* wanted, the first is docker's; borrowed */
    size_t n_platforms;

    struct bundle_index index;   /* from here on: filled by plan_layout */
    struct document **documents; /* by entry number; NULL for layers and files */
    struct plan_layer *layers;
    size_t n_layers;
    size_t index_len;
    int64_t data_start, total_length;
    size_t blobs_named;   /* by all images, shared ones each time */
    int64_t layer_bytes;  /* to fetch */
    int64_t shared_bytes; /* not fetched again, because several images share layers */
};

void plan_release(struct plan *p);

/*
 * Resolves all images, `jobs` at a time, first in the archives, then in registries. An image
 * that cannot be had carries its error and the rest goes on; returns the number of those.
 */
size_t plan_resolve(struct plan *p, const struct imagefile *const *archives, size_t n_archives,
                    struct registry *registry, size_t jobs);

/* Lays out everything that has no error. `base` (or NULL) has blobs that are left out. */
int plan_layout(struct plan *p, const struct bundle *base, struct err **e);
/* Takes the layout back, so that plan_layout can be called again with fewer images. */
void plan_unlayout(struct plan *p);
/* The number of a blob's entry, or SIZE_MAX. */
size_t plan_find_blob(const struct plan *p, const char *digest);
/* Sizes and digests of the first three entries, from the images as they are now. */
void plan_set_documents(struct plan *p);
/* The digest that names this plan in the journal. To be called after plan_layout. */
void plan_digest(const struct plan *p, char out_digest[DIGEST_SIZE]);
/* After all layers are there: converts schema 1 images and renders the index with the real
 * digests; no size may change. */
int plan_finish(struct plan *p, char **out_index_text, struct err **e);
