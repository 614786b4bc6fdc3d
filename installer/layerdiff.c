/*
 * Diff ids by zlib and libzstd in their streaming forms. The two libraries fail to start only when
 * they are out of memory, which ends the program like any other allocation that fails.
 */
#include "layerdiff.h"

#include "mem.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#define HEAD_LEN 6 /* the longest magic number below */
#define PIECE (1u << 20)
#define OUT_SIZE (128u << 10)

struct layerdiff {
    struct hash *hash;
    int64_t unpacked;
    enum layer_compression compression;
    unsigned char head[HEAD_LEN]; /* held back until the compression is known */
    size_t head_len;
    bool at_end; /* a member or frame is complete and no other has begun */
    z_stream gzip;
    ZSTD_DCtx *zstd;
    unsigned char out[OUT_SIZE];
};

struct layerdiff *layerdiff_new(void)
{
    struct layerdiff *d = xcalloc(1, sizeof(*d));

    d->hash = hash_new();
    return d;
}

void layerdiff_free(struct layerdiff *d)
{
    if (!d)
        return;
    if (d->compression == LAYER_GZIP)
        (void)inflateEnd(&d->gzip);
    (void)ZSTD_freeDCtx(d->zstd);
    hash_free(d->hash);
    free(d);
}

void layerdiff_cleanup(struct layerdiff **d)
{
    layerdiff_free(*d);
    *d = NULL;
}

static bool starts_with(const struct layerdiff *d, const char *magic, size_t len)
{
    return !memcmp(d->head, magic, len);
}

/* A skippable frame (RFC 8878, section 3.1.2) may come first, too. */
static bool is_zstd(const struct layerdiff *d)
{
    return starts_with(d, "\x28\xb5\x2f\xfd", 4) ||
           ((d->head[0] & 0xf0) == 0x50 && !memcmp(d->head + 1, "\x2a\x4d\x18", 3));
}

static int choose(struct layerdiff *d, struct err **e)
{
    if (starts_with(d, "BZh", 3) || starts_with(d,
                                                "\xfd"
                                                "7zXZ\0",
                                                6))
        return err_set(e, -EBADMSG, "the layer is compressed with %s, which is not supported",
                       d->head[0] == 'B' ? "bzip2" : "xz");
    if (starts_with(d, "\x1f\x8b", 2)) {
        if (inflateInit2(&d->gzip, 15 + 16) != Z_OK)
            abort();
        d->compression = LAYER_GZIP;
    } else if (is_zstd(d)) {
        d->zstd = ZSTD_createDCtx();
        if (!d->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax,
                                                            LAYERDIFF_WINDOW_LOG)))
            abort();
        d->compression = LAYER_ZSTD;
    } else {
        d->compression = LAYER_PLAIN;
        d->at_end = true;
    }
    return 0;
}

static int take_unpacked(struct layerdiff *d, const void *bytes, size_t len, struct err **e)
{
    d->unpacked += (int64_t)len;
    if (d->unpacked > LAYERDIFF_MAX)
        return err_set(e, -EBADMSG, "the layer unpacks to more than %lld bytes",
                       (long long)LAYERDIFF_MAX);
    hash_update(d->hash, bytes, len);
    return 0;
}

static int push_gzip(struct layerdiff *d, const unsigned char *bytes, size_t len, struct err **e)
{
    z_stream *z = &d->gzip;
    int status, r;

    z->next_in = bytes;
    z->avail_in = (uInt)len;
    do {
        if (d->at_end && inflateReset(z) != Z_OK)
            abort();
        z->next_out = d->out;
        z->avail_out = OUT_SIZE;
        status = inflate(z, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return err_set(e, -EBADMSG, "the layer is not valid gzip: %s",
                           z->msg ? z->msg : zError(status));
        d->at_end = status == Z_STREAM_END;
        if ((r = take_unpacked(d, d->out, OUT_SIZE - z->avail_out, e)) < 0)
            return r;
    } while (z->avail_in || (!d->at_end && !z->avail_out));
    return 0;
}

static int push_zstd(struct layerdiff *d, const unsigned char *bytes, size_t len, struct err **e)
{
    ZSTD_inBuffer in = {bytes, len, 0};
    ZSTD_outBuffer out = {d->out, OUT_SIZE, 0};
    int r;

    do {
        size_t left;

        out.pos = 0;
        left = ZSTD_decompressStream(d->zstd, &out, &in);
        if (ZSTD_isError(left))
            return err_set(e, -EBADMSG, "the layer is not valid zstd: %s", ZSTD_getErrorName(left));
        d->at_end = left == 0;
        if ((r = take_unpacked(d, d->out, out.pos, e)) < 0)
            return r;
    } while (in.pos < in.size || (!d->at_end && out.pos == out.size));
    return 0;
}

static int push_piece(struct layerdiff *d, const unsigned char *bytes, size_t len, struct err **e)
{
    if (d->compression == LAYER_GZIP)
        return push_gzip(d, bytes, len, e);
    if (d->compression == LAYER_ZSTD)
        return push_zstd(d, bytes, len, e);
    return take_unpacked(d, bytes, len, e);
}

/* Fills the head; once it is full the compression is known and the head is the first piece. */
static int push_head(struct layerdiff *d, const unsigned char **bytes, size_t *len, struct err **e)
{
    size_t n = HEAD_LEN - d->head_len < *len ? HEAD_LEN - d->head_len : *len;
    int r;

    memcpy(d->head + d->head_len, *bytes, n);
    d->head_len += n;
    *bytes += n;
    *len -= n;
    if (d->head_len < HEAD_LEN)
        return 0;
    r = choose(d, e);
    return r < 0 ? r : push_piece(d, d->head, HEAD_LEN, e);
}

int layerdiff_push(struct layerdiff *d, const void *bytes, size_t len, struct err **e)
{
    const unsigned char *p = bytes;
    int r = 0;

    if (len && d->compression == LAYER_UNKNOWN)
        r = push_head(d, &p, &len, e);
    while (len && r == 0) {
        size_t n = len < PIECE ? len : PIECE;

        r = push_piece(d, p, n, e);
        p += n;
        len -= n;
    }
    return r;
}

int layerdiff_final(struct layerdiff *d, char out_diff_id[DIGEST_SIZE], struct err **e)
{
    if (d->compression == LAYER_UNKNOWN)
        return err_set(e, -EBADMSG, "the layer ends after %zu bytes", d->head_len);
    if (!d->at_end)
        return err_set(e, -EBADMSG, "the layer ends in the middle of its compressed data");
    hash_final(d->hash, out_diff_id);
    return 0;
}

int64_t layerdiff_unpacked(const struct layerdiff *d)
{
    return d->unpacked;
}

enum layer_compression layerdiff_compression(const struct layerdiff *d)
{
    return d->compression;
}
