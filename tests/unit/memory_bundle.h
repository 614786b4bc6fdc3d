#pragma once
/*
 * A bundle in memory, in place of installer/bundle.c: its blobs can be broken or absent. Included
 * by one test program, after cmocka.h.
 */
#include "bundle.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOBS_MAX 16

static struct blob {
    char digest[DIGEST_SIZE];
    char *bytes;
    int64_t size;
    bool corrupt, absent;
} blobs[BLOBS_MAX];
static size_t n_blobs;
static struct bundle_index the_index;

struct blob_reader {
    const struct blob *blob;
    int64_t at;
};

static struct blob *find(const char *digest)
{
    for (size_t i = 0; i < n_blobs; i++)
        if (!strcmp(blobs[i].digest, digest) && !blobs[i].absent)
            return &blobs[i];
    return NULL;
}

const struct bundle_index *bundle_index(const struct bundle *b)
{
    (void)b;
    return &the_index;
}

bool bundle_has_blob(const struct bundle *b, const char *digest)
{
    (void)b;
    return find(digest) != NULL;
}

int bundle_read_blob(const struct bundle *b, const char *digest, size_t max, struct buf *out,
                     struct err **e)
{
    const struct blob *blob = find(digest);

    (void)b;
    if (!blob)
        return err_set(e, -ENOENT, "no blob '%s'", digest);
    buf_init(out, max);
    return buf_add(out, blob->bytes, (size_t)blob->size);
}

int blob_reader_open(const struct bundle *b, const char *digest, struct blob_reader **out,
                     struct err **e)
{
    const struct blob *blob = find(digest);

    (void)b;
    if (!blob)
        return err_set(e, -ENOENT, "no blob '%s'", digest);
    *out = xcalloc(1, sizeof(**out));
    (*out)->blob = blob;
    return 0;
}

ssize_t blob_reader_read(struct blob_reader *r, void *bytes, size_t size, struct err **e)
{
    int64_t left = r->blob->size - r->at;
    size_t n = left < (int64_t)size ? (size_t)left : size;

    assert_true(size >= 64 * 1024);
    if (n == (size_t)left && r->blob->corrupt)
        return err_set(e, -EBADMSG, "blob '%s' has a wrong SHA-256", r->blob->digest);
    memcpy(bytes, r->blob->bytes + r->at, n);
    r->at += (int64_t)n;
    return (ssize_t)n;
}

int64_t blob_reader_size(const struct blob_reader *r)
{
    return r->blob->size;
}

void blob_reader_rewind(struct blob_reader *r)
{
    r->at = 0;
}

void blob_reader_free(struct blob_reader *r)
{
    free(r);
}

static struct blob *add_blob(const void *bytes, size_t size)
{
    struct blob *blob = &blobs[n_blobs++];

    assert_true(n_blobs <= BLOBS_MAX);
    *blob = (struct blob){.bytes = xmalloc(size), .size = (int64_t)size};
    memcpy(blob->bytes, bytes, size);
    hash_digest(bytes, size, blob->digest);
    return blob;
}
