/* Unpacking a zstd layer on its way to a daemon that cannot. */
#include "zstd_reader.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define CHUNK (64 * 1024) /* the least that blob_reader_read takes */

struct zstd_reader {
    struct blob_reader *blob;
    ZSTD_DStream *stream;
    unsigned char *chunk;
    ZSTD_inBuffer in;
    char digest[DIGEST_SIZE];
    bool inside; /* of a frame: more input must come */
    bool drained;
};

int zstd_blob_is(const struct bundle *b, const char *digest, bool *out_is, struct err **e)
{
    static const unsigned char magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    auto_free unsigned char *chunk = xmalloc(CHUNK);
    struct blob_reader *blob = NULL;
    ssize_t n;
    int r = blob_reader_open(b, digest, &blob, e);

    if (r < 0)
        return r;
    n = blob_reader_read(blob, chunk, CHUNK, e);
    blob_reader_free(blob);
    if (n < 0)
        return (int)n;
    *out_is = n >= (ssize_t)sizeof(magic) && !memcmp(chunk, magic, sizeof(magic));
    return 0;
}

int zstd_reader_open(const struct bundle *b, const char *digest, struct zstd_reader **out,
                     struct err **e)
{
    struct blob_reader *blob = NULL;
    struct zstd_reader *r;
    int result = blob_reader_open(b, digest, &blob, e);

    if (result < 0)
        return result;
    r = xcalloc(1, sizeof(*r));
    r->blob = blob;
    r->stream = ZSTD_createDStream();
    if (!r->stream)
        abort();
    r->chunk = xmalloc(CHUNK);
    r->inside = true;
    memcpy(r->digest, digest, DIGEST_SIZE);
    *out = r;
    return 0;
}

/* Makes sure that there is input, unless the blob has ended. */
static int refill(struct zstd_reader *r, struct err **e)
{
    ssize_t n;

    if (r->in.pos < r->in.size || r->drained)
        return 0;
    n = blob_reader_read(r->blob, r->chunk, CHUNK, e);
    if (n < 0)
        return (int)n;
    r->drained = n == 0;
    r->in = (ZSTD_inBuffer){.src = r->chunk, .size = (size_t)n};
    return 0;
}

ssize_t zstd_reader_read(struct zstd_reader *r, void *bytes, size_t size, struct err **e)
{
    ZSTD_outBuffer out = {.dst = bytes, .size = size};

    while (out.pos == 0) {
        size_t hint;
        int result = refill(r, e);

        if (result < 0)
            return result;
        /* Outside of a frame the library would take a call as the start of another one. */
        if (r->drained && !r->inside)
            return 0;
        hint = ZSTD_decompressStream(r->stream, &out, &r->in);
        if (ZSTD_isError(hint))
            return err_set(e, -EBADMSG, "layer '%s' is not valid zstd: %s", r->digest,
                           ZSTD_getErrorName(hint));
        r->inside = hint != 0;
        if (r->drained && r->inside && out.pos == 0)
            return err_set(e, -EBADMSG, "layer '%s' ends inside a zstd frame", r->digest);
    }
    return (ssize_t)out.pos;
}

void zstd_reader_free(struct zstd_reader *r)
{
    if (!r)
        return;
    blob_reader_free(r->blob);
    (void)ZSTD_freeDStream(r->stream);
    free(r->chunk);
    free(r);
}

void zstd_reader_cleanup(struct zstd_reader **r)
{
    zstd_reader_free(*r);
    *r = NULL;
}
