/* Checking every byte of a bundle that lies in files. */
#include "verify.h"

#include "buf.h"
#include "bundle_index.h"
#include "interrupt.h"
#include "mem.h"
#include "num.h"
#include "pool.h"
#include "progress.h"
#include "segfile.h"
#include "tar.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (256u << 10)
#define MISSING_TEXT_MAX 8192 /* of the digests that an error lists: about a hundred */

/* A run of bytes with a known SHA-256, and for entries what stands around it. */
struct piece {
    const struct bundle *bundle;
    const char *name;   /* for messages */
    const char *path;   /* whose tar header stands before it; NULL: no header, no padding */
    const char *digest; /* NULL: the content was checked when the bundle was opened */
    int64_t offset, size;
};

struct verification {
    struct piece *pieces;
    size_t n_pieces;
    struct progress *progress;
    pthread_mutex_t lock; /* guards error */
    struct err *error;
    char *chunks[POOL_MAX_JOBS];
};

static int read_run(const struct piece *p, void *bytes, size_t len, int64_t offset, struct err **e)
{
    int r = segfile_pread(bundle_file(p->bundle), bytes, len, offset);

    if (r < 0)
        return err_set(e, r, "cannot read '%s' at offset %lld: %s", p->name, (long long)offset,
                       strerror(-r));
    return 0;
}

static int check_content(struct verification *v, const struct piece *p, char *chunk, struct err **e)
{
    auto_hash struct hash *hash = hash_new();
    char digest[DIGEST_SIZE];
    size_t item = progress_start(v->progress, p->name, p->size, 0);
    int r = 0;

    for (int64_t done = 0; done < p->size && r == 0;) {
        size_t n = p->size - done < CHUNK ? (size_t)(p->size - done) : CHUNK;
        r = read_run(p, chunk, n, p->offset + done, e);
        if (r == 0)
            r = interrupt_check(e);
        hash_update(hash, chunk, n);
        done += (int64_t)n;
        progress_add(v->progress, item, (int64_t)n);
    }
    progress_end(v->progress, item);
    if (r < 0)
        return r;
    hash_final(hash, digest);
    if (strcmp(digest, p->digest) != 0)
        return err_set(e, -EBADMSG, "entry '%s' at offset %lld has a wrong SHA-256", p->name,
                       (long long)p->offset);
    return 0;
}

static int check_header(const struct piece *p, struct err **e)
{
    unsigned char wanted[TAR_HEADER_MAX], have[TAR_HEADER_MAX];
    size_t len = tar_header(p->path, p->size, wanted);
    int64_t at = p->offset - (int64_t)len;
    int r = read_run(p, have, len, at, e);

    if (r == 0 && memcmp(wanted, have, len) != 0)
        r = err_set(e, -EBADMSG, "the header of entry '%s' at offset %lld is damaged", p->name,
                    (long long)at);
    return r;
}

static int check_zeros(const struct piece *p, size_t len, int64_t at, struct err **e)
{
    unsigned char have[TAR_END];
    int r = read_run(p, have, len, at, e);

    for (size_t i = 0; i < len && r == 0; i++)
        if (have[i])
            r = err_set(e, -EBADMSG, "the padding behind entry '%s' at offset %lld is not zero",
                        p->name, (long long)at + (long long)i);
    return r;
}

static int check_piece(void *arg, size_t worker, size_t task)
{
    struct verification *v = arg;
    const struct piece *p = &v->pieces[task];
    struct err *e = NULL;
    int r = 0;

    if (!v->chunks[worker])
        v->chunks[worker] = xmalloc(CHUNK);
    if (p->digest)
        r = check_content(v, p, v->chunks[worker], &e);
    if (r == 0 && p->path)
        r = check_header(p, &e);
    if (r == 0 && p->path)
        r = check_zeros(p, tar_padding(p->size), p->offset + p->size, &e);
    if (r == 0)
        return 0;
    (void)err_wrap(&e, "'%s'", bundle_path(p->bundle));
    pthread_mutex_lock(&v->lock);
    if (!v->error)
        v->error = e;
    else
        err_free(e);
    pthread_mutex_unlock(&v->lock);
    return r;
}

static void add_piece(struct verification *v, const struct piece *p)
{
    array_grow(v->pieces, v->n_pieces);
    v->pieces[v->n_pieces++] = *p;
}

static int64_t data_start_of(const struct bundle *b)
{
    size_t len;

    (void)bundle_index_text(b, &len);
    return bundle_data_start(len);
}

static void add_entry(struct verification *v, const struct bundle *b,
                      const struct bundle_entry *entry)
{
    add_piece(v, &(struct piece){.bundle = b,
                                 .name = entry->path,
                                 .path = entry->path,
                                 .digest = entry->digest,
                                 .offset = data_start_of(b) + entry->offset,
                                 .size = entry->size});
}

/* flatnet.json and the trailer: bundle_open compared their contents, the rest remains. */
static void add_ends(struct verification *v, const struct bundle *b, size_t trailer_len)
{
    size_t index_len;
    int64_t end = bundle_length(b) - TAR_END, size = (int64_t)trailer_len;

    (void)bundle_index_text(b, &index_len);
    add_piece(v, &(struct piece){.bundle = b,
                                 .name = BUNDLE_INDEX_PATH,
                                 .path = BUNDLE_INDEX_PATH,
                                 .offset = TAR_BLOCK,
                                 .size = (int64_t)index_len});
    add_piece(v, &(struct piece){.bundle = b,
                                 .name = BUNDLE_TRAILER_PATH,
                                 .path = BUNDLE_TRAILER_PATH,
                                 .offset = end - (int64_t)tar_padding(size) - size,
                                 .size = size});
}

static void add_volumes(struct verification *v, const struct bundle *b)
{
    size_t n;
    const struct volume_header *volumes = bundle_volumes(b, &n);

    for (size_t i = 0; i < n; i++)
        add_piece(v, &(struct piece){.bundle = b,
                                     .name = bundle_file(b)->segments[i].path,
                                     .digest = volumes[i].sha256,
                                     .offset = volumes[i].offset,
                                     .size = volumes[i].length});
}

/* The blobs that a delta leaves to its base are read there. */
static int add_missing(struct verification *v, const struct bundle *b, bool need_base,
                       struct err **e)
{
    const struct bundle_index *index = bundle_index(b);
    const struct bundle *base = bundle_base(b);
    auto_buf struct buf names;
    int64_t bytes = 0;

    buf_init(&names, MISSING_TEXT_MAX);

    for (size_t i = 0; i < index->n_missing; i++) {
        const struct bundle_entry *entry =
            base ? bundle_find_blob(base, index->missing[i].digest) : NULL;
        bytes += index->missing[i].size;
        (void)buf_addf(&names, "\n  %s", index->missing[i].digest);
        if (base && !entry)
            return err_set(e, -EBADMSG, "the base '%s' has no blob '%s'", bundle_path(base),
                           index->missing[i].digest);
        if (entry)
            add_entry(v, base, entry);
    }
    if (index->n_missing && !base && need_base)
        return err_set(
            e, -ENOENT,
            "'%s' is a delta: name with --base the bundle with the receipt %s, which has %zu "
            "layer%s (%lld bytes) of it:%s",
            bundle_path(b), index->base_receipt, index->n_missing, num_plural(index->n_missing),
            (long long)bytes, names.data);
    return 0;
}

static int larger_first(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    return (x->size < y->size) - (x->size > y->size);
}

static int run(struct verification *v, const struct bundle *b, size_t jobs, struct err **e)
{
    struct piece end = {.bundle = b, .name = BUNDLE_TRAILER_PATH};
    int64_t bytes = 0;
    int r;

    qsort(v->pieces, v->n_pieces, sizeof(*v->pieces), larger_first);
    for (size_t i = 0; i < v->n_pieces; i++)
        bytes += v->pieces[i].digest ? v->pieces[i].size : 0;
    v->progress = progress_new("verifying", bytes, 0);
    r = pool_run(jobs, v->n_pieces, check_piece, v);
    progress_free(v->progress);
    if (r < 0) {
        r = err_set(e, v->error->status, "%s", v->error->msg);
        err_free(v->error);
        return r;
    }
    return check_zeros(&end, TAR_END, bundle_length(b) - TAR_END, e);
}

int verify_bundle(const struct bundle *b, size_t jobs, bool need_base, struct verified *out,
                  struct err **e)
{
    const struct bundle_index *index = bundle_index(b);
    struct verification v = {.pieces = NULL};
    size_t index_len;
    const char *index_text = bundle_index_text(b, &index_len);
    auto_free char *trailer = bundle_render_trailer(index_text, index_len);
    int r;

    pthread_mutex_init(&v.lock, NULL);
    for (size_t i = 0; i < index->n_entries; i++)
        add_entry(&v, b, &index->entries[i]);
    add_ends(&v, b, strlen(trailer));
    add_volumes(&v, b);
    r = add_missing(&v, b, need_base, e);
    if (r == 0)
        r = run(&v, b, jobs, e);
    if (r == 0) {
        *out = (struct verified){.kind = "bundle",
                                 .images = index->n_images,
                                 .entries = index->n_entries + 2,
                                 .bytes = bundle_length(b),
                                 .jobs = jobs};
        (void)bundle_volumes(b, &out->volumes);
        memcpy(out->receipt, bundle_receipt(b), DIGEST_SIZE);
    }
    for (size_t i = 0; i < POOL_MAX_JOBS; i++)
        free(v.chunks[i]);
    free(v.pieces);
    pthread_mutex_destroy(&v.lock);
    return r;
}
