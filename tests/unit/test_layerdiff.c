/*
 * Diff ids. The files of tests/data/layers are one tar, packed by GNU gzip and zstd in the ways in
 * which layers come: in one piece, in several members or frames, between skippable frames.
 */
#include "buf.h"
#include "fs.h"
#include "layerdiff.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#define TAR_DIGEST "sha256:c642bb487b8117b8bec7ceade50295dadba229af675d21f5f365ae1cc5a885ba"
#define TAR_SIZE 20480

static void load(const char *name, struct buf *out)
{
    auto_free char *path = xasprintf("tests/data/layers/%s", name);

    buf_init(out, 1 << 20);
    assert_int_equal(fs_read_file(path, out, NULL), 0);
}

/* Pushes `len` bytes, `step` at a time. */
static int diff(const void *bytes, size_t len, size_t step, char out[DIGEST_SIZE],
                int64_t *out_unpacked, struct err **e)
{
    auto_layerdiff struct layerdiff *d = layerdiff_new();
    const char *p = bytes;
    int r = 0;

    while (len && r == 0) {
        size_t n = len < step ? len : step;
        /* A copy of the exact size, so that a read behind it is seen. */
        auto_free char *piece = xmalloc(n);

        memcpy(piece, p, n);
        r = layerdiff_push(d, piece, n, e);
        p += n;
        len -= n;
    }
    if (out_unpacked)
        *out_unpacked = layerdiff_unpacked(d);
    return r < 0 ? r : layerdiff_final(d, out, e);
}

static void unpacks_every_form(void **state)
{
    static const char *const names[] = {"plain.tar.gz", "two-members.tar.gz", "two-frames.tar.zst",
                                        "skippable.tar.zst"};
    static const size_t steps[] = {1, 2, 5, 7, 1000, 1 << 20};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        auto_buf struct buf blob;

        load(names[i], &blob);
        for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
            char digest[DIGEST_SIZE];
            auto_err struct err *e = NULL;
            int64_t unpacked = 0;

            if (diff(blob.data, blob.len, steps[j], digest, &unpacked, &e) < 0)
                fail_msg("'%s' in steps of %zu: %s", names[i], steps[j], err_text(e));
            assert_string_equal(digest, TAR_DIGEST);
            assert_int_equal(unpacked, TAR_SIZE);
        }
    }
}

static void takes_plain_bytes_as_they_are(void **state)
{
    static const char tar[] = "etc/hello\0\0\0 and so on";
    char digest[DIGEST_SIZE], expected[DIGEST_SIZE];

    (void)state;
    hash_digest(tar, sizeof(tar), expected);
    for (size_t step = 1; step < 20; step++) {
        assert_int_equal(diff(tar, sizeof(tar), step, digest, NULL, NULL), 0);
        assert_string_equal(digest, expected);
    }
}

static void tells_the_compression(void **state)
{
    static const struct {
        const char *bytes;
        enum layer_compression compression;
    } table[] = {
        {"\x1f\x8b\x08\x00\x01\x02", LAYER_GZIP},
        {"\x28\xb5\x2f\xfd\x04\x00", LAYER_ZSTD},
        {"\x5f\x2a\x4d\x18\x04\x00", LAYER_ZSTD},
        {"\x4f\x2a\x4d\x18\x04\x00", LAYER_PLAIN},
        {"./\0\0\0\0", LAYER_PLAIN},
        {"\x1f\x00\x08\x00\x01\x02", LAYER_PLAIN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_layerdiff struct layerdiff *d = layerdiff_new();

        assert_int_equal(layerdiff_push(d, table[i].bytes, 5, NULL), 0);
        assert_int_equal(layerdiff_compression(d), LAYER_UNKNOWN);
        assert_int_equal(layerdiff_push(d, table[i].bytes + 5, 1, NULL), 0);
        assert_int_equal(layerdiff_compression(d), table[i].compression);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *why;
    } table[] = {
        {"", 0, "ends after 0 bytes"},
        {"\x1f\x8b", 2, "ends after 2 bytes"},
        {"BZh91AY&SY", 10, "compressed with bzip2"},
        {"\xfd"
         "7zXZ\0\0\4",
         8, "compressed with xz"},
        {"\x1f\x8b\x07\x00\x00\x00\x00\x00", 8, "not valid gzip"},
        {"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff", 12, "not valid gzip"},
        {"\x28\xb5\x2f\xfd\x00\x58\xff\xff\xff\xff\xff", 11, "not valid zstd"},
        {"\x28\xb5\x2f\xfd\x00\x58", 6, "in the middle"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_err struct err *e = NULL;
        char digest[DIGEST_SIZE];

        assert_int_equal(diff(table[i].bytes, table[i].len, 3, digest, NULL, &e), -EBADMSG);
        if (!strstr(err_text(e), table[i].why))
            fail_msg("%zu: %s", i, err_text(e));
    }
}

static void refuses_real_xz(void **state)
{
    auto_buf struct buf blob;
    char digest[DIGEST_SIZE];

    (void)state;
    load("layer.tar.xz", &blob);
    assert_int_equal(diff(blob.data, blob.len, blob.len, digest, NULL, NULL), -EBADMSG);
}

/* A shorter part of one gzip member is a failure, and so is a byte behind it. */
static void notices_a_wrong_length(void **state)
{
    auto_buf struct buf blob;
    char digest[DIGEST_SIZE];

    (void)state;
    load("plain.tar.gz", &blob);
    for (size_t len = 0; len < blob.len; len += len < 32 || len + 32 > blob.len ? 1 : 41)
        assert_int_equal(diff(blob.data, len, 4096, digest, NULL, NULL), -EBADMSG);
    assert_int_equal(buf_addch(&blob, '\0'), 0);
    assert_int_equal(diff(blob.data, blob.len, 4096, digest, NULL, NULL), -EBADMSG);
}

/* A damaged byte of the packed data or the check sum is an error or another diff id. */
static void notices_damage(void **state)
{
    auto_buf struct buf blob;

    (void)state;
    load("plain.tar.gz", &blob);
    for (size_t i = 10; i < blob.len; i += 13) {
        char digest[DIGEST_SIZE];

        blob.data[i] ^= 0x10;
        assert_int_equal(diff(blob.data, blob.len, 4096, digest, NULL, NULL), -EBADMSG);
        blob.data[i] ^= 0x10;
    }
}

static size_t gzip_zeros(unsigned char *out, size_t room, size_t len)
{
    auto_free unsigned char *zeros = xcalloc(len, 1);
    z_stream z = {.next_in = zeros,
                  .avail_in = (uInt)len,
                  .next_out = out,
                  .avail_out = (uInt)room};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(deflateEnd(&z), Z_OK);
    return room - z.avail_out;
}

/* Few bytes that stand for many, all of whose output must be fetched before the next push. */
static void unpacks_more_than_its_buffer(void **state)
{
    const size_t len = 8u << 20;
    auto_free unsigned char *blob = xmalloc(1 << 20), *zeros = xcalloc(len, 1);
    size_t packed = gzip_zeros(blob, 1 << 20, len);
    char digest[DIGEST_SIZE], expected[DIGEST_SIZE];
    int64_t unpacked = 0;

    (void)state;
    hash_digest(zeros, len, expected);
    assert_int_equal(diff(blob, packed, packed, digest, &unpacked, NULL), 0);
    assert_string_equal(digest, expected);
    assert_int_equal(unpacked, len);
    packed = ZSTD_compress(blob, 1 << 20, zeros, len, 1);
    assert_false(ZSTD_isError(packed));
    assert_int_equal(diff(blob, packed, packed, digest, &unpacked, NULL), 0);
    assert_string_equal(digest, expected);
    assert_int_equal(unpacked, len);
}

/* The window of the frame, not its content, decides what memory it takes. */
static int diff_with_window(int window_log)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    unsigned char blob[1000];
    ZSTD_inBuffer in = {"some bytes", 10, 0};
    ZSTD_outBuffer out = {blob, sizeof(blob), 0};
    char digest[DIGEST_SIZE];

    assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log)));
    assert_int_equal(ZSTD_compressStream2(c, &out, &in, ZSTD_e_flush), 0);
    assert_int_equal(ZSTD_compressStream2(c, &out, &in, ZSTD_e_end), 0);
    (void)ZSTD_freeCCtx(c);
    return diff(blob, out.pos, out.pos, digest, NULL, NULL);
}

static void bounds_the_window(void **state)
{
    (void)state;
    assert_int_equal(diff_with_window(20), 0);
    assert_int_equal(diff_with_window(LAYERDIFF_WINDOW_LOG), 0);
    assert_int_equal(diff_with_window(LAYERDIFF_WINDOW_LOG + 1), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpacks_every_form),    cmocka_unit_test(takes_plain_bytes_as_they_are),
        cmocka_unit_test(tells_the_compression), cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_real_xz),       cmocka_unit_test(notices_a_wrong_length),
        cmocka_unit_test(notices_damage),        cmocka_unit_test(unpacks_more_than_its_buffer),
        cmocka_unit_test(bounds_the_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
