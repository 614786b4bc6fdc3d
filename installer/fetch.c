/* Layers from registries and image files, straight into their places in the output. */
#include "fetch.h"

#include "interrupt.h"
#include "layerdiff.h"
#include "log.h"
#include "mem.h"
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define REHASH_CHUNK (256u << 10)
#define WRITE_CHUNK (256u << 10) /* libcurl hands over 16 KiB at a time */
#define JOURNAL_STEP (1u << 20)  /* bytes between two records */

/* What the fetching threads share. */
struct job {
    struct fetch *fetch;
    struct progress *progress;
    struct registry_conn *conns[POOL_MAX_JOBS];
    const struct imagefile **files; /* each is one task, before the layers */
    size_t n_files;
    struct plan_layer **order; /* layers of registries, the largest first */
    size_t n_order;
    pthread_mutex_t lock; /* guards fatal */
    struct err *fatal;
};

/* One layer on its way. */
struct transfer {
    struct job *job;
    struct plan_layer *layer;
    struct hash *hash;
    struct layerdiff *diff; /* or NULL */
    int64_t at;             /* content offset of the entry in the output */
    int64_t done, recorded; /* written and hashed; in the journal */
    char *chunk;            /* WRITE_CHUNK bytes, of which so many came after `done` */
    size_t pending;
    size_t item;
};

static int set_fatal(struct job *job, struct err *e)
{
    int status = e->status;

    pthread_mutex_lock(&job->lock);
    if (!job->fatal)
        job->fatal = e;
    else
        err_free(e);
    pthread_mutex_unlock(&job->lock);
    return status;
}

/* "library/nginx 0123456789ab", to be freed: what a person can place. */
static char *layer_name(const struct plan *plan, const struct plan_layer *layer)
{
    return xasprintf("%s %.12s", plan->images[layer->images[0]].ref.repo,
                     digest_hex(layer->blob.digest));
}

static void transfer_start(struct transfer *t, struct job *job, struct plan_layer *layer)
{
    const struct plan *plan = job->fetch->plan;
    auto_free char *name = layer_name(plan, layer);

    *t = (struct transfer){.job = job, .layer = layer, .hash = hash_new()};
    t->diff = layer->needs_diff_id ? layerdiff_new() : NULL;
    t->chunk = xmalloc(WRITE_CHUNK);
    t->at = plan->data_start + plan->index.entries[layer->entry].offset;
    t->item = progress_start(job->progress, name, layer->blob.size, 0);
}

static void transfer_end(struct transfer *t)
{
    progress_end(t->job->progress, t->item);
    hash_free(t->hash);
    layerdiff_free(t->diff);
    free(t->chunk);
}

static void transfer_restart(struct transfer *t)
{
    progress_add(t->job->progress, t->item, -t->done);
    hash_reset(t->hash);
    layerdiff_free(t->diff);
    t->diff = t->layer->needs_diff_id ? layerdiff_new() : NULL;
    t->done = t->recorded = 0;
    t->pending = 0;
}

static int take_bytes(struct transfer *t, const void *bytes, size_t len, struct err **e)
{
    hash_update(t->hash, bytes, len);
    if (t->diff) {
        int r = layerdiff_push(t->diff, bytes, len, e);
        if (r < 0)
            return r;
    }
    t->done += (int64_t)len;
    progress_add(t->job->progress, t->item, (int64_t)len);
    return 0;
}

static int record(struct transfer *t)
{
    segfile_write_back(&t->job->fetch->output->file, t->at + t->recorded,
                       (size_t)(t->done - t->recorded));
    t->recorded = t->done;
    return journal_put(t->job->fetch->journal, t->layer->entry, t->done);
}

static int write_bytes(struct transfer *t, const void *bytes, size_t len, struct err **e)
{
    struct output *output = t->job->fetch->output;
    int r = segfile_pwrite(&output->file, bytes, len, t->at + t->done);

    if (r < 0)
        return output_error(output, r, t->at + t->done, e);
    r = take_bytes(t, bytes, len, e);
    if (r < 0 || t->done - t->recorded < JOURNAL_STEP)
        return r;
    r = record(t);
    return r < 0 ? output_error(output, r, t->at, e) : 0;
}

static int write_pending(struct transfer *t, struct err **e)
{
    size_t len = t->pending;

    t->pending = 0;
    return len ? write_bytes(t, t->chunk, len, e) : 0;
}

static int on_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct transfer *t = arg;
    int r = interrupt_check(e);

    if (r < 0)
        return r;
    if ((int64_t)len > t->layer->blob.size - t->done - (int64_t)t->pending)
        return err_set(e, -EBADMSG, "the blob is longer than the %lld bytes of its manifest",
                       (long long)t->layer->blob.size);
    if (len > WRITE_CHUNK - t->pending) {
        r = write_pending(t, e);
        if (r < 0)
            return r;
    }
    if (len >= WRITE_CHUNK)
        return write_bytes(t, bytes, len, e);
    memcpy(t->chunk + t->pending, bytes, len);
    t->pending += len;
    return 0;
}

/* Hashes what an earlier run wrote; what cannot be read is fetched again. */
static void rehash(struct transfer *t, int64_t known)
{
    auto_free char *chunk = xmalloc(REHASH_CHUNK);

    while (t->done < known) {
        size_t n = known - t->done < REHASH_CHUNK ? (size_t)(known - t->done) : REHASH_CHUNK;
        if (segfile_pread(&t->job->fetch->output->file, chunk, n, t->at + t->done) < 0 ||
            take_bytes(t, chunk, n, NULL) < 0) {
            transfer_restart(t);
            return;
        }
    }
    t->recorded = t->done;
}

/* The digest of everything that came; fills the diff id too. */
static int finish(struct transfer *t, struct err **e)
{
    struct plan_layer *layer = t->layer;
    char digest[DIGEST_SIZE];
    int r = write_pending(t, e);

    if (r < 0)
        return r;
    if (t->done != layer->blob.size)
        return err_set(e, -EBADMSG, "the blob has %lld bytes, its manifest says %lld",
                       (long long)t->done, (long long)layer->blob.size);
    hash_final(t->hash, digest);
    if (strcmp(digest, layer->blob.digest) != 0)
        return err_set(e, -EBADMSG, "the blob has the SHA-256 %s", digest);
    if (t->diff) {
        r = layerdiff_final(t->diff, layer->diff_id, e);
        if (r < 0)
            return r;
    }
    r = record(t);
    if (r < 0)
        return output_error(t->job->fetch->output, r, t->at, e);
    layer->done = true;
    return 0;
}

/* One try with one of the images that share the layer. */
static int fetch_once(struct transfer *t, struct registry_conn *conn, const struct ref *ref,
                      struct err **e)
{
    int r = 0;

    if (t->done < t->layer->blob.size)
        r = registry_get_blob(conn, ref, &t->layer->blob, t->done, on_bytes, t, e);
    return r < 0 ? r : finish(t, e);
}

static bool is_fatal(int status)
{
    return status == -ENOSPC || status == -EDQUOT || status == -ECANCELED || status == -EIO;
}

/* Wrong bytes, an earlier run's or a bad connection's, are dropped once and fetched anew; then each
 * image's place is tried. */
static int fetch_from_any(struct transfer *t, struct registry_conn *conn, struct err **e)
{
    const struct plan *plan = t->job->fetch->plan;
    bool again = true;
    int r = -ENOENT;

    for (size_t i = 0; i < t->layer->n_images; i++) {
        const struct plan_image *image = &plan->images[t->layer->images[i]];
        if (image->archive)
            continue;
        r = fetch_once(t, conn, &image->ref, e);
        if (r == -EBADMSG && again) {
            log_info("layer %s: %s; fetching it once more", t->layer->blob.digest,
                     e ? err_text(*e) : "wrong bytes");
            again = false;
            transfer_restart(t);
            r = fetch_once(t, conn, &image->ref, e);
        }
        if (r == 0 || is_fatal(r))
            return r;
        transfer_restart(t);
    }
    return r;
}

static int fetch_layer(struct job *job, struct registry_conn *conn, struct plan_layer *layer)
{
    struct err *e = NULL;
    struct transfer t;
    int r;

    transfer_start(&t, job, layer);
    rehash(&t, journal_get(job->fetch->journal, layer->entry));
    r = fetch_from_any(&t, conn, &e);
    /* What stops the run stops it between two records, and each byte may have been dear. */
    if (is_fatal(r) && write_pending(&t, NULL) == 0)
        (void)record(&t);
    transfer_end(&t);
    if (r == 0) {
        err_free(e);
        return 0;
    }
    if (is_fatal(r))
        return set_fatal(job, e);
    layer->error = e;
    return 0;
}

/* Layers that come from an image file, in its order. */
struct file_copy {
    struct job *job;
    const struct imagefile *file;
    struct transfer current;
};

static bool is_from(const struct plan *plan, const struct plan_layer *layer,
                    const struct imagefile *file)
{
    for (size_t i = 0; i < layer->n_images; i++)
        if (plan->images[layer->images[i]].archive == file)
            return true;
    return false;
}

static int copy_wants(void *arg, const char *digest)
{
    struct file_copy *copy = arg;
    const struct plan *plan = copy->job->fetch->plan;

    for (size_t i = 0; i < plan->n_layers; i++) {
        struct plan_layer *layer = &plan->layers[i];
        if (layer->done || strcmp(layer->blob.digest, digest) || !is_from(plan, layer, copy->file))
            continue;
        transfer_start(&copy->current, copy->job, layer);
        return 1;
    }
    return 0;
}

static int copy_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct file_copy *copy = arg;
    return on_bytes(&copy->current, bytes, len, e);
}

static int copy_end(void *arg, struct err **e)
{
    struct file_copy *copy = arg;
    int r = finish(&copy->current, e);

    if (r < 0)
        (void)err_wrap(e, "layer %s in '%s'", copy->current.layer->blob.digest,
                       imagefile_path(copy->file));
    transfer_end(&copy->current);
    copy->current = (struct transfer){0};
    return r;
}

static void fail_layers_of(struct job *job, const struct imagefile *file, const struct err *e)
{
    struct plan *plan = job->fetch->plan;

    for (size_t i = 0; i < plan->n_layers; i++)
        if (!plan->layers[i].done && is_from(plan, &plan->layers[i], file))
            plan->layers[i].error = err_copy(e);
}

static int copy_file(struct job *job, const struct imagefile *file)
{
    struct file_copy copy = {.job = job, .file = file};
    struct imagefile_taker taker = {copy_wants, copy_bytes, copy_end, &copy};
    struct err *e = NULL;
    int r = imagefile_stream(file, &taker, &e);

    if (copy.current.hash)
        transfer_end(&copy.current);
    if (r < 0 && is_fatal(r))
        return set_fatal(job, e);
    if (r == 0)
        (void)err_set(&e, -EBADMSG, "the layer is not in '%s'", imagefile_path(file));
    fail_layers_of(job, file, e);
    err_free(e);
    return 0;
}

static int run_task(void *arg, size_t worker, size_t task)
{
    struct job *job = arg;

    if (task < job->n_files)
        return copy_file(job, job->files[task]);
    if (!job->conns[worker])
        job->conns[worker] = registry_connect(job->fetch->registry);
    return fetch_layer(job, job->conns[worker], job->order[task - job->n_files]);
}

static int larger_first(const void *a, const void *b)
{
    const struct plan_layer *const *x = a, *const *y = b;
    return ((*x)->blob.size < (*y)->blob.size) - ((*x)->blob.size > (*y)->blob.size);
}

static void add_file_task(struct job *job, const struct imagefile *file)
{
    for (size_t i = 0; i < job->n_files; i++)
        if (job->files[i] == file)
            return;
    array_grow(job->files, job->n_files);
    job->files[job->n_files++] = file;
}

/* A layer that an image file has is not asked of a registry. */
static void make_tasks(struct job *job)
{
    struct plan *plan = job->fetch->plan;

    job->order = xcalloc(plan->n_layers, sizeof(struct plan_layer *));
    for (size_t i = 0; i < plan->n_layers; i++) {
        struct plan_layer *layer = &plan->layers[i];
        const struct imagefile *file = NULL;

        for (size_t j = 0; j < layer->n_images && !file; j++)
            file = plan->images[layer->images[j]].archive;
        if (file)
            add_file_task(job, file);
        else
            job->order[job->n_order++] = layer;
    }
    qsort(job->order, job->n_order, sizeof(struct plan_layer *), larger_first);
}

int fetch_layers(struct fetch *f, struct err **e)
{
    struct job job = {.fetch = f};
    int r, failed = 0;

    pthread_mutex_init(&job.lock, NULL);
    make_tasks(&job);
    job.progress = progress_new("fetching", f->plan->layer_bytes, 0);
    r = pool_run(f->jobs, job.n_files + job.n_order, run_task, &job);
    progress_free(job.progress);
    for (size_t i = 0; i < POOL_MAX_JOBS; i++)
        registry_conn_free(job.conns[i]);
    for (size_t i = 0; i < f->plan->n_layers; i++)
        failed += !f->plan->layers[i].done;
    free(job.files);
    free(job.order);
    pthread_mutex_destroy(&job.lock);
    if (r < 0 && job.fatal) {
        r = err_set(e, job.fatal->status, "%s", job.fatal->msg);
        err_free(job.fatal);
    }
    return r < 0 ? r : failed;
}
