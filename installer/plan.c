/* Planning a bundle: resolving the images and laying out the entries. */
#include "plan.h"

#include "log.h"
#include "mem.h"
#include "pool.h"
#include "resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void plan_image_release(struct plan_image *image)
{
    for (size_t i = 0; i < image->n_documents; i++)
        free(image->documents[i].bytes);
    free(image->documents);
    bundle_image_release(&image->image);
    ref_release(&image->ref);
    free(image->origin);
    schema1_free(image->schema1);
    err_free(image->error);
}

static void layout_release(struct plan *p)
{
    for (size_t i = 0; i < p->n_layers; i++) {
        descriptor_release(&p->layers[i].blob);
        free(p->layers[i].images);
        err_free(p->layers[i].error);
    }
    free(p->layers);
    free(p->documents);
    bundle_index_release(&p->index);
    p->layers = NULL;
    p->documents = NULL;
    p->n_layers = 0;
    p->layer_bytes = p->shared_bytes = 0;
    p->blobs_named = 0;
}

void plan_release(struct plan *p)
{
    for (size_t i = 0; i < p->n_images; i++)
        plan_image_release(&p->images[i]);
    for (size_t i = 0; i < p->n_files; i++) {
        free(p->files[i].path);
        free(p->files[i].bytes);
    }
    layout_release(p);
    free(p->images);
    free(p->files);
    *p = (struct plan){0};
}

void plan_unlayout(struct plan *p)
{
    for (size_t i = 0; i < p->n_images; i++) {
        struct plan_image *image = &p->images[i];
        if (!image->is_placed)
            continue;
        image->image = p->index.images[image->number];
        p->index.images[image->number] = (struct bundle_image){0};
        image->is_placed = false;
    }
    layout_release(p);
}

/* What the resolving threads share; each has a connection of its own. */
struct resolve_job {
    struct plan *plan;
    const struct imagefile *const *files;
    size_t n_files;
    struct registry *registry;
    struct registry_conn *conns[POOL_MAX_JOBS];
};

static int resolve_task(void *arg, size_t worker, size_t task)
{
    struct resolve_job *job = arg;
    struct plan_image *image = &job->plan->images[task];

    if (!job->conns[worker])
        job->conns[worker] = registry_connect(job->registry);
    log_debug("resolving '%s/%s'", image->ref.host, image->ref.repo);
    (void)resolve_image(image, job->plan, job->files, job->n_files, job->conns[worker],
                        &image->error);
    return 0;
}

size_t plan_resolve(struct plan *p, const struct imagefile *const *files, size_t n_files,
                    struct registry *registry, size_t jobs)
{
    struct resolve_job job = {.plan = p, .files = files, .n_files = n_files, .registry = registry};
    size_t failed = 0;

    (void)pool_run(jobs, p->n_images, resolve_task, &job);
    for (size_t i = 0; i < POOL_MAX_JOBS; i++)
        registry_conn_free(job.conns[i]);
    for (size_t i = 0; i < p->n_images; i++)
        failed += p->images[i].error != NULL;
    return failed;
}

size_t plan_find_blob(const struct plan *p, const char *digest)
{
    for (size_t i = 0; i < p->index.n_entries; i++)
        if (!strcmp(p->index.entries[i].digest, digest) &&
            !strncmp(p->index.entries[i].path, BUNDLE_BLOB_DIR, sizeof(BUNDLE_BLOB_DIR) - 1))
            return i;
    return SIZE_MAX;
}

static void remember_document(struct plan *p, struct document *d)
{
    p->documents = xreallocarray(p->documents, p->index.n_entries, sizeof(struct document *));
    p->documents[p->index.n_entries - 1] = d;
}

static void add_document(struct plan *p, struct document *d)
{
    p->blobs_named++;
    if (plan_find_blob(p, d->digest) != SIZE_MAX)
        return;
    bundle_index_add_blob(&p->index, d->digest, (int64_t)d->len);
    remember_document(p, d);
}

static void add_file(struct plan *p, const struct plan_file *file)
{
    char digest[DIGEST_SIZE];

    hash_digest(file->bytes, file->len, digest);
    bundle_index_add(&p->index, file->path, digest, (int64_t)file->len);
    remember_document(p, NULL);
}

static struct plan_layer *find_layer(const struct plan *p, const char *digest)
{
    for (size_t i = 0; i < p->n_layers; i++)
        if (!strcmp(p->layers[i].blob.digest, digest))
            return &p->layers[i];
    return NULL;
}

static void add_missing(struct bundle_index *index, const struct descriptor *blob)
{
    struct bundle_missing m = {.size = blob->size};

    for (size_t i = 0; i < index->n_missing; i++)
        if (!strcmp(index->missing[i].digest, blob->digest))
            return;
    memcpy(m.digest, blob->digest, DIGEST_SIZE);
    array_grow(index->missing, index->n_missing);
    index->missing[index->n_missing++] = m;
}

static void layer_add_image(struct plan_layer *layer, size_t image)
{
    if (layer->n_images && layer->images[layer->n_images - 1] == image)
        return;
    array_grow(layer->images, layer->n_images);
    layer->images[layer->n_images++] = image;
}

static int add_layer(struct plan *p, size_t image, const struct descriptor *blob, bool convert,
                     const struct bundle *base, struct err **e)
{
    struct plan_layer *layer = find_layer(p, blob->digest);

    p->blobs_named++;
    if (base && bundle_find_blob(base, blob->digest) && !convert) {
        add_missing(&p->index, blob);
        return 0;
    }
    if (layer && layer->blob.size != blob->size)
        return err_set(e, -EBADMSG, "blob '%s' has %lld bytes for one image and %lld for another",
                       blob->digest, (long long)layer->blob.size, (long long)blob->size);
    if (layer) {
        p->shared_bytes += blob->size;
    } else {
        array_grow(p->layers, p->n_layers);
        layer = &p->layers[p->n_layers++];
        *layer = (struct plan_layer){.entry = p->index.n_entries};
        descriptor_copy(&layer->blob, blob);
        bundle_index_add_blob(&p->index, blob->digest, blob->size);
        remember_document(p, NULL);
        p->layer_bytes += blob->size;
    }
    layer_add_image(layer, image);
    layer->needs_diff_id |= convert;
    return 0;
}

static int add_image_blobs(struct plan *p, size_t number, const struct bundle *base, struct err **e)
{
    struct plan_image *image = &p->images[number];
    int r = 0;

    for (size_t i = 0; i < image->n_documents; i++)
        add_document(p, &image->documents[i]);
    for (size_t i = 0; i < image->image.n_platforms && r == 0; i++) {
        const struct manifest *m = &image->image.platforms[i].parsed;
        for (size_t j = 0; j < m->n_layers && r == 0; j++)
            r = add_layer(p, number, &m->layers[j], image->schema1 != NULL, base, e);
    }
    return r;
}

static int compare_missing(const void *a, const void *b)
{
    const struct bundle_missing *x = a, *y = b;
    return strcmp(x->digest, y->digest);
}

/* A blob that a converted image brought in after all is not left to the base. */
static void drop_fetched_from_missing(struct plan *p)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->index.n_missing; i++)
        if (!find_layer(p, p->index.missing[i].digest))
            p->index.missing[kept++] = p->index.missing[i];
    p->index.n_missing = kept;
    if (kept)
        qsort(p->index.missing, kept, sizeof(*p->index.missing), compare_missing);
}

/* Moves the resolved images into the index; those with errors stay behind. */
static void take_images(struct plan *p)
{
    for (size_t i = 0; i < p->n_images; i++) {
        if (p->images[i].error)
            continue;
        array_grow(p->index.images, p->index.n_images);
        p->images[i].number = p->index.n_images;
        p->index.images[p->index.n_images++] = p->images[i].image;
        p->images[i].image = (struct bundle_image){0};
        p->images[i].is_placed = true;
    }
}

/* The three documents of other programs, with their sizes; their bytes are final only once the
 * digests of all images are. */
void plan_set_documents(struct plan *p)
{
    auto_free char *oci = bundle_render_oci_index(&p->index);
    auto_free char *docker = bundle_render_docker(&p->index);
    const char *const texts[] = {BUNDLE_OCI_LAYOUT, oci, docker};

    for (size_t i = 0; i < 3; i++) {
        p->index.entries[i].size = (int64_t)strlen(texts[i]);
        hash_digest(texts[i], strlen(texts[i]), p->index.entries[i].digest);
    }
}

static int check_docker_names(const struct plan *p, struct err **e)
{
    int r = 0;

    for (size_t i = 0; i < p->index.n_images && r == 0; i++) {
        auto_free char *name = bundle_docker_name(p->index.images[i].reference);
        for (size_t j = 0; j < i && r == 0; j++) {
            auto_free char *other = bundle_docker_name(p->index.images[j].reference);
            if (!strcmp(name, other))
                r = err_set(e, -EINVAL,
                            "'%s' and '%s' are one name to docker, which would keep only one; "
                            "leave one out",
                            p->index.images[j].reference, p->index.images[i].reference);
        }
    }
    return r;
}

int plan_layout(struct plan *p, const struct bundle *base, struct err **e)
{
    static const char *const fixed[] = {BUNDLE_LAYOUT_PATH, BUNDLE_OCI_INDEX_PATH,
                                        BUNDLE_DOCKER_PATH};
    auto_free char *index_text = NULL;
    int64_t data_len;
    int r = 0;

    for (size_t i = 0; i < 3; i++) {
        bundle_index_add(&p->index, fixed[i], NULL, 0);
        remember_document(p, NULL);
    }
    for (size_t i = 0; i < p->n_files; i++)
        add_file(p, &p->files[i]);
    for (size_t i = 0; i < p->n_images && r == 0; i++)
        if (!p->images[i].error)
            r = add_image_blobs(p, i, base, e);
    if (r < 0)
        return r;
    drop_fetched_from_missing(p);
    if (base)
        memcpy(p->index.base_receipt, bundle_receipt(base), DIGEST_SIZE);
    take_images(p);
    r = check_docker_names(p, e);
    if (r < 0)
        return r;
    plan_set_documents(p);
    data_len = bundle_index_place(&p->index);
    index_text = bundle_index_render(&p->index);
    p->index_len = strlen(index_text);
    if (p->index_len > BUNDLE_INDEX_MAX)
        return err_set(e, -EFBIG, "the bundle would hold too many entries; make two of it");
    p->data_start = bundle_data_start(p->index_len);
    p->total_length = bundle_total_length(p->index_len, data_len);
    return 0;
}

void plan_digest(const struct plan *p, char out_digest[DIGEST_SIZE])
{
    auto_free char *text = bundle_index_render(&p->index);

    hash_digest(text, strlen(text), out_digest);
}
