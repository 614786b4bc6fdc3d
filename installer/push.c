/*
 * The four rounds of a push: which images are there already, which blobs are, then the blobs that
 * are not, then manifests and indexes. Each round runs on all threads.
 */
#include "push.h"

#include "interrupt.h"
#include "log.h"
#include "mem.h"
#include "pool.h"
#include "progress.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE_CHUNK (256u << 10)

/* What the threads share. */
struct job {
    struct push *push;
    const struct bundle *bundle;
    struct registry *registry;
    struct registry_conn *conns[POOL_MAX_JOBS];
    struct progress *progress;
    pthread_mutex_t lock; /* guards the sums of push */
};

static struct registry_conn *conn_of(struct job *job, size_t worker)
{
    if (!job->conns[worker])
        job->conns[worker] = registry_connect(job->registry);
    return job->conns[worker];
}

static void fail_image(struct push_image *image, struct err *why)
{
    image->result = PUSH_FAILED;
    image->error = why;
    log_error("'%s': %s", image->image->reference, err_text(why));
}

/* A tag where there is one: a digest would not move it. */
static const char *selector_of(const struct push_image *image)
{
    return image->target.tag ? image->target.tag : image->target.digest;
}

/* --- first round: images --- */

static int check_image(struct job *job, size_t worker, struct push_image *image, struct err **e)
{
    char digest[DIGEST_SIZE];
    int r =
        registry_has_manifest(conn_of(job, worker), &image->target, selector_of(image), digest, e);

    if (r > 0 && !strcmp(digest, image->top->digest))
        image->result = PUSH_PRESENT;
    return r;
}

static int check_image_task(void *arg, size_t worker, size_t task)
{
    struct job *job = arg;
    struct err *e = NULL;

    /* The first one was checked before the others. */
    if (check_image(job, worker, &job->push->images[task + 1], &e) < 0)
        fail_image(&job->push->images[task + 1], e);
    return interrupt_check(NULL);
}

/* --- second round: what is missing --- */

static struct push_image *image_of(struct job *job, const struct push_use *use)
{
    return &job->push->images[use->image];
}

/* True if an image in that state needs the blob in the repository of `use`. */
static bool is_used_by(struct job *job, const struct push_blob *blob, const struct push_use *use,
                       enum push_result state)
{
    const struct push *p = job->push;

    for (size_t i = use->image; i < p->n_images; i++)
        if (p->images[i].result == state &&
            !strcmp(p->images[i].target.repo, image_of(job, use)->target.repo) &&
            push_uses_blob(&p->images[i], blob->digest))
            return true;
    return false;
}

static bool is_needed(struct job *job, const struct push_blob *blob, const struct push_use *use)
{
    return is_used_by(job, blob, use, PUSH_WAITING);
}

static int check_blob_task(void *arg, size_t worker, size_t task)
{
    struct job *job = arg;
    struct push_blob *blob = &job->push->blobs[task];

    for (size_t i = 0; i < blob->n_uses; i++) {
        struct push_use *use = &blob->uses[i];
        int r;

        /* What an image in the registry consists of is there, and can be mounted from there. */
        use->is_there = is_used_by(job, blob, use, PUSH_PRESENT);
        if (use->is_there || !is_needed(job, blob, use))
            continue;
        r = registry_has_blob(conn_of(job, worker), &image_of(job, use)->target, blob->digest,
                              &use->error);
        use->is_there = r > 0;
        if (interrupt_seen())
            return -ECANCELED;
    }
    return 0;
}

/* --- third round: blobs --- */

/* A blob of the bundle on its way up. */
struct reading {
    struct job *job;
    struct blob_reader *reader;
    char *chunk;
    size_t pos, len;
    size_t item;
    int64_t sent; /* in this try */
};

static ssize_t read_blob(void *arg, void *bytes, size_t size, struct err **e)
{
    struct reading *r = arg;
    ssize_t n = interrupt_check(e);

    if (n == 0 && r->pos == r->len) {
        n = blob_reader_read(r->reader, r->chunk, SOURCE_CHUNK, e);
        r->pos = 0;
        r->len = n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        return n;
    if (size > r->len - r->pos)
        size = r->len - r->pos;
    memcpy(bytes, r->chunk + r->pos, size);
    r->pos += size;
    r->sent += (int64_t)size;
    progress_add(r->job->progress, r->item, (int64_t)size);
    return (ssize_t)size;
}

static int rewind_blob(void *arg, struct err **e)
{
    struct reading *r = arg;

    (void)e;
    blob_reader_rewind(r->reader);
    progress_add(r->job->progress, r->item, -r->sent);
    r->pos = r->len = 0;
    r->sent = 0;
    return 0;
}

static void count_sent(struct job *job, size_t sent, size_t mounted, int64_t bytes)
{
    pthread_mutex_lock(&job->lock);
    job->push->blobs_sent += sent;
    job->push->blobs_mounted += mounted;
    job->push->bytes_sent += bytes;
    pthread_mutex_unlock(&job->lock);
}

static int send_blob(struct job *job, struct registry_conn *conn, const struct push_blob *blob,
                     const struct ref *target, struct err **e)
{
    struct reading reading = {.job = job};
    int r;

    if (!bundle_has_blob(job->bundle, blob->digest))
        return err_set(e, -ENOENT,
                       "blob '%s' is neither in the bundle nor in the registry; name the bundle "
                       "that this delta was made against with --base",
                       blob->digest);
    r = blob_reader_open(job->bundle, blob->digest, &reading.reader, e);
    if (r < 0)
        return r;
    reading.chunk = xmalloc(SOURCE_CHUNK);
    reading.item = progress_start(job->progress, blob->digest, blob->size, 0);
    r = registry_put_blob(conn, target, blob->digest, blob->size, read_blob, rewind_blob, &reading,
                          e);
    progress_end(job->progress, reading.item);
    blob_reader_free(reading.reader);
    free(reading.chunk);
    if (r == 0)
        count_sent(job, 1, 0, blob->size);
    return r;
}

/* From a repository that has it, else from here. */
static void bring_blob(struct job *job, struct registry_conn *conn, const struct push_blob *blob,
                       const char *from_repo, struct push_use *use)
{
    const struct ref *target = &image_of(job, use)->target;
    int r = from_repo ? registry_mount_blob(conn, target, blob->digest, from_repo, &use->error) : 0;

    if (r > 0)
        count_sent(job, 0, 1, 0);
    else if (r == 0)
        r = send_blob(job, conn, blob, target, &use->error);
    use->is_there = r >= 0;
}

static int send_blob_task(void *arg, size_t worker, size_t task)
{
    struct job *job = arg;
    struct push_blob *blob = &job->push->blobs[task];
    const char *from_repo = NULL;

    for (size_t i = 0; i < blob->n_uses && !from_repo; i++)
        if (blob->uses[i].is_there)
            from_repo = image_of(job, &blob->uses[i])->target.repo;
    for (size_t i = 0; i < blob->n_uses; i++) {
        struct push_use *use = &blob->uses[i];

        if (use->is_there || use->error || !is_needed(job, blob, use))
            continue;
        bring_blob(job, conn_of(job, worker), blob, from_repo, use);
        if (use->is_there && !from_repo)
            from_repo = image_of(job, use)->target.repo;
        if (interrupt_seen())
            return -ECANCELED;
    }
    return 0;
}

/* Bytes that the third round has to send, as far as every mount succeeds. */
static int64_t bytes_to_send(struct job *job)
{
    int64_t sum = 0;

    for (size_t i = 0; i < job->push->n_blobs; i++) {
        const struct push_blob *blob = &job->push->blobs[i];
        bool is_somewhere = false, is_wanted = false;

        for (size_t j = 0; j < blob->n_uses; j++) {
            is_somewhere |= blob->uses[j].is_there;
            is_wanted |= !blob->uses[j].error && is_needed(job, blob, &blob->uses[j]);
        }
        sum += is_wanted && !is_somewhere ? blob->size : 0;
    }
    return sum;
}

/* --- fourth round: manifests --- */

static int put_document(struct job *job, struct registry_conn *conn, const struct push_image *image,
                        const struct descriptor *d, const char *selector, struct err **e)
{
    auto_buf struct buf bytes = {0};
    int r = bundle_read_blob(job->bundle, d->digest, MANIFEST_MAX_SIZE, &bytes, e);

    if (r < 0)
        return r;
    return registry_put_manifest(conn, &image->target, selector, d->media_type, bytes.data,
                                 bytes.len, e);
}

static int put_children(struct job *job, struct registry_conn *conn, const struct push_image *image,
                        struct err **e)
{
    for (size_t i = 0; i < image->image->n_platforms; i++) {
        const struct descriptor *d = &image->image->platforms[i].manifest;
        char digest[DIGEST_SIZE];
        int r;

        if (d == image->top)
            continue;
        r = registry_has_manifest(conn, &image->target, d->digest, digest, e);
        if (r == 0)
            r = put_document(job, conn, image, d, d->digest, e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Why a blob of the image is not in its repository, borrowed; NULL where all are. */
static const struct err *missing_blob(struct job *job, const struct push_image *image)
{
    const struct push *p = job->push;

    for (size_t i = 0; i < p->n_blobs; i++)
        for (size_t j = 0; j < p->blobs[i].n_uses; j++) {
            const struct push_use *use = &p->blobs[i].uses[j];
            bool is_ours =
                use->error && !strcmp(image_of(job, use)->target.repo, image->target.repo);

            if (is_ours && push_uses_blob(image, p->blobs[i].digest))
                return use->error;
        }
    return NULL;
}

static int put_image_task(void *arg, size_t worker, size_t task)
{
    struct job *job = arg;
    struct push_image *image = &job->push->images[task];
    struct registry_conn *conn = conn_of(job, worker);
    const struct err *missing;
    struct err *e = NULL;
    int r;

    if (image->result != PUSH_WAITING)
        return 0;
    missing = missing_blob(job, image);
    if (missing) {
        fail_image(image, err_copy(missing));
        return 0;
    }
    r = put_children(job, conn, image, &e);
    if (r == 0)
        r = put_document(job, conn, image, image->top, selector_of(image), &e);
    if (r < 0)
        fail_image(image, e);
    else
        image->result = PUSH_PUSHED;
    return interrupt_check(NULL);
}

/* --- the rounds --- */

static int larger_first(const void *a, const void *b)
{
    const struct push_blob *x = a, *y = b;

    return (x->size < y->size) - (x->size > y->size);
}

static int run_rounds(struct job *job, size_t jobs, struct err **e)
{
    struct push *p = job->push;
    int r;

    /* One request alone, so that a registry that is not there fails once. */
    r = check_image(job, 0, &p->images[0], e);
    if (r == -EHOSTUNREACH)
        return r;
    if (r < 0)
        fail_image(&p->images[0], e ? take(*e) : NULL);
    r = pool_run(jobs, p->n_images - 1, check_image_task, job);
    if (r == 0)
        r = pool_run(jobs, p->n_blobs, check_blob_task, job);
    if (r == 0) {
        job->progress = progress_new("pushing", bytes_to_send(job), 0);
        r = pool_run(jobs, p->n_blobs, send_blob_task, job);
        progress_free(job->progress);
    }
    if (r == 0)
        r = pool_run(jobs, p->n_images, put_image_task, job);
    return r < 0 ? err_set(e, r, "interrupted") : 0;
}

int push_run(struct push *p, const struct bundle *b, struct registry *registry, size_t jobs,
             struct err **e)
{
    struct job job = {.push = p, .bundle = b, .registry = registry};
    int r;

    if (!p->n_images)
        return 0;
    pthread_mutex_init(&job.lock, NULL);
    qsort(p->blobs, p->n_blobs, sizeof(*p->blobs), larger_first);
    r = run_rounds(&job, jobs, e);
    for (size_t i = 0; i < POOL_MAX_JOBS; i++)
        registry_conn_free(job.conns[i]);
    pthread_mutex_destroy(&job.lock);
    for (size_t i = 0; i < p->n_images; i++)
        p->results[p->images[i].result]++;
    return r;
}
