/*
 * Small bundles, written by the writer's own steps, read by the reader, by verify and through a
 * pipe: whole, with every byte changed, and cut at every length.
 */
#include "bundle.h"

#include "bundle_write.h"
#include "cli.h"
#include "fs.h"
#include "mem.h"
#include "segfile.h"
#include "tar.h"
#include "tempdir.h"
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#define LAYER_A "layer a: not a real tar, but nobody unpacks it here"
#define LAYER_B "layer b"

static const struct platform amd64 = {.os = "linux", .arch = "amd64"};

static void add_document(struct plan_image *image, const char *text, char out_digest[DIGEST_SIZE])
{
    struct document d = {.bytes = xstrdup(text), .len = strlen(text)};

    hash_digest(text, d.len, d.digest);
    memcpy(out_digest, d.digest, DIGEST_SIZE);
    array_grow(image->documents, image->n_documents);
    image->documents[image->n_documents++] = d;
}

/* An image with one layer, as resolving it would have filled the plan. */
static void add_image(struct plan *p, const char *reference, const char *layer)
{
    char layer_digest[DIGEST_SIZE], config_digest[DIGEST_SIZE];
    struct bundle_platform platform = {.platform = amd64};
    auto_free char *config = NULL;
    auto_free char *manifest = NULL;
    struct plan_image image = {.origin = xstrdup("test")};

    hash_digest(layer, strlen(layer), layer_digest);
    config =
        xasprintf("{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
                  "\"diff_ids\":[\"%s\"]},\"author\":\"%s\"}",
                  layer_digest, reference);
    hash_digest(config, strlen(config), config_digest);
    manifest = xasprintf("{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST "\",\"config\":{"
                         "\"mediaType\":\"" MT_OCI_CONFIG "\",\"digest\":\"%s\",\"size\":%zu},"
                         "\"layers\":[{\"mediaType\":\"" MT_OCI_LAYER "\",\"digest\":\"%s\","
                         "\"size\":%zu}]}",
                         config_digest, strlen(config), layer_digest, strlen(layer));
    assert_int_equal(ref_parse(reference, &image.ref, NULL), 0);
    add_document(&image, manifest, platform.manifest.digest);
    add_document(&image, config, config_digest);
    assert_int_equal(manifest_parse(manifest, strlen(manifest), NULL, &platform.parsed, NULL), 0);
    platform.manifest.media_type = xstrdup(MT_OCI_MANIFEST);
    platform.manifest.size = (int64_t)strlen(manifest);
    image.image.reference = ref_format(&image.ref);
    image.image.platforms = xcalloc(1, sizeof(platform));
    image.image.platforms[0] = platform;
    image.image.n_platforms = 1;
    array_grow(p->images, p->n_images);
    p->images[p->n_images++] = image;
}

static void add_file(struct plan *p, const char *path, const char *text)
{
    array_grow(p->files, p->n_files);
    p->files[p->n_files++] =
        (struct plan_file){.path = xstrdup(path), .bytes = xstrdup(text), .len = strlen(text)};
}

static void write_layer(const struct plan *p, const struct output *o, const char *layer)
{
    char digest[DIGEST_SIZE];
    size_t number;

    hash_digest(layer, strlen(layer), digest);
    number = plan_find_blob(p, digest);
    if (number != SIZE_MAX)
        assert_int_equal(segfile_pwrite(&o->file, layer, strlen(layer),
                                        p->data_start + p->index.entries[number].offset),
                         0);
}

/* The last steps of `bundle create`, without a registry. Releases the plan. */
static void write_plan(struct plan *p, const char *name, int64_t volume_size,
                       const struct bundle *base)
{
    auto_free char *index_text = NULL;
    auto_free int64_t *borders = NULL;
    struct output_shape shape = {.volume_size = volume_size};
    char receipt[DIGEST_SIZE];
    struct output o;

    p->platforms = &amd64;
    p->n_platforms = 1;
    assert_int_equal(plan_layout(p, base, NULL), 0);
    borders = bundle_borders(p, &shape.n_borders);
    shape.borders = borders;
    shape.total = p->total_length;
    assert_int_equal(output_open(name, &shape, &o, NULL), 0);
    write_layer(p, &o, LAYER_A);
    write_layer(p, &o, LAYER_B);
    assert_int_equal(plan_finish(p, &index_text, NULL), 0);
    assert_int_equal(bundle_write(p, index_text, &o, NULL), 0);
    hash_digest(index_text, p->index_len, receipt);
    assert_int_equal(output_commit(&o, receipt, NULL), 0);
    output_release(&o);
    plan_release(p);
}

/* Two images that share a layer, one more with its own, two files. */
static void write_bundle(const char *name, int64_t volume_size)
{
    struct plan p = {.images = NULL};

    add_file(&p, "addons/a.yml", "kind: x\n");
    add_file(&p, "bin/linux-amd64/flatnet", "");
    add_image(&p, "docker.io/t/a:1", LAYER_A);
    add_image(&p, "docker.io/t/a:2", LAYER_A);
    add_image(&p, "docker.io/t/b:1", LAYER_B);
    write_plan(&p, name, volume_size, NULL);
}

static char *read_bundle(const char *name, size_t *out_len)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    assert_int_equal(fs_read_file(name, &b, NULL), 0);
    *out_len = b.len;
    return buf_steal(&b);
}

/* Opening and checking every byte, as `bundle verify FILE` does. */
static int verify_file(const char *path, const char *base, struct err **e)
{
    auto_bundle struct bundle *b = NULL;
    struct verified v;
    int r = bundle_open(path, base, &b, e);

    return r < 0 ? r : verify_bundle(b, 1, true, &v, e);
}

/* The same through a descriptor that is only read forwards, as `bundle verify -` does. */
static int verify_bytes(const void *bytes, size_t len, struct err **e)
{
    auto_close int fd = memfd_create("bundle", MFD_CLOEXEC);
    unsigned char first[TAR_BLOCK];
    struct verified v;

    assert_true(len >= sizeof(first));
    assert_int_equal(fs_write(fd, bytes, len), 0);
    assert_int_equal(lseek(fd, sizeof(first), SEEK_SET), sizeof(first));
    memcpy(first, bytes, sizeof(first));
    return verify_stream(fd, first, &v, e);
}

static void is_whole(void **state)
{
    auto_bundle struct bundle *b = NULL;
    auto_free char *bytes = NULL;
    struct verified v;
    size_t len;

    (void)state;
    write_bundle("b", 0);
    bytes = read_bundle("b", &len);
    assert_int_equal(bundle_open("b", NULL, &b, NULL), 0);
    assert_int_equal(bundle_length(b), len);
    assert_int_equal(bundle_index(b)->n_images, 3);
    assert_string_equal(bundle_index(b)->images[1].reference, "docker.io/t/a:2");
    assert_int_equal(bundle_index(b)->images[2].platforms[0].parsed.n_layers, 1);
    assert_int_equal(verify_bundle(b, 3, true, &v, NULL), 0);
    assert_int_equal(v.images, 3);
    assert_int_equal(v.bytes, len);
    assert_string_equal(v.receipt, bundle_receipt(b));
    assert_int_equal(verify_bytes(bytes, len, NULL), 0);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
    auto_free char *first = NULL;
    auto_free char *second = NULL;
    size_t len, again;

    (void)state;
    write_bundle("one", 0);
    write_bundle("two", 0);
    first = read_bundle("one", &len);
    second = read_bundle("two", &again);
    assert_int_equal(len, again);
    assert_memory_equal(first, second, len);
}

static void put_byte(int fd, size_t at, unsigned char byte)
{
    assert_int_equal(fs_pwrite(fd, &byte, 1, (int64_t)at), 0);
}

/* Every byte in turn gets one other value; both ways of reading must see it. */
static void every_changed_byte_is_found(void **state)
{
    auto_free char *bytes = NULL;
    auto_close int fd = -1;
    unsigned seed = 7;
    size_t len;

    (void)state;
    write_bundle("b", 0);
    bytes = read_bundle("b", &len);
    fd = open("b", O_RDWR | O_CLOEXEC);
    for (size_t at = 0; at < len; at++) {
        auto_err struct err *e = NULL;
        char was = bytes[at];

        bytes[at] = (char)(was ^ 1 << rand_r(&seed) % 8);
        put_byte(fd, at, (unsigned char)bytes[at]);
        if (verify_file("b", NULL, &e) != -EBADMSG || verify_bytes(bytes, len, &e) != -EBADMSG)
            fail_msg("a change at offset %zu of %zu went through: %s", at, len, err_text(e));
        bytes[at] = was;
        put_byte(fd, at, (unsigned char)was);
    }
    assert_int_equal(verify_file("b", NULL, NULL), 0);
}

/* Without the sync that fs_write_file ends with. */
static void put_file(const char *path, const void *bytes, size_t len)
{
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fs_write(fd, bytes, len), 0);
}

static void every_other_length_is_found(void **state)
{
    static const char tail[2 * TAR_BLOCK] = "";
    auto_free char *bytes = NULL;
    auto_free char *longer = NULL;
    auto_err struct err *e = NULL;
    size_t len;

    (void)state;
    write_bundle("b", 0);
    bytes = read_bundle("b", &len);
    for (size_t cut = 0; cut < len; cut += cut % 3 ? 1 : 2) {
        put_file("cut", bytes, cut);
        if (verify_file("cut", NULL, &e) != -EBADMSG ||
            (cut >= TAR_BLOCK && verify_bytes(bytes, cut, &e) != -EBADMSG))
            fail_msg("%zu of %zu bytes went through: %s", cut, len, err_text(e));
    }
    longer = xmalloc(len + sizeof(tail));
    memcpy(longer, bytes, len);
    memcpy(longer + len, tail, sizeof(tail));
    for (size_t more = 1; more <= sizeof(tail); more += 511) {
        put_file("longer", longer, len + more);
        assert_int_equal(verify_file("longer", NULL, &e), -EBADMSG);
        assert_non_null(strstr(err_text(e), "behind the end of the bundle, from offset"));
        assert_int_equal(verify_bytes(longer, len + more, &e), -EBADMSG);
        assert_non_null(strstr(err_text(e), "behind the end of the bundle, from offset"));
    }
}

/* Blob and entry of the first layer, in a bundle with one byte of it changed. */
static struct bundle *open_damaged(const struct bundle_entry **out_layer)
{
    struct bundle *b = NULL;
    struct stat st;
    size_t index_len;
    char digest[DIGEST_SIZE];
    auto_close int fd = -1;

    write_bundle("b", 0);
    assert_int_equal(bundle_open("b", NULL, &b, NULL), 0);
    hash_digest(LAYER_A, strlen(LAYER_A), digest);
    *out_layer = bundle_find_blob(b, digest);
    assert_non_null(*out_layer);
    (void)bundle_index_text(b, &index_len);
    fd = open("b", O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    put_byte(fd, (size_t)(bundle_data_start(index_len) + (*out_layer)->offset), 'L');
    return b;
}

static void a_damaged_blob_is_never_given_whole(void **state)
{
    const struct bundle_entry *layer = NULL;
    auto_bundle struct bundle *b = open_damaged(&layer);
    auto_err struct err *e = NULL;
    auto_buf struct buf all;
    struct blob_reader *r = NULL;
    char bytes[8];
    size_t given = 0;
    ssize_t n;

    (void)state;
    assert_int_equal(blob_reader_open(b, layer->digest, &r, NULL), 0);
    assert_int_equal(blob_reader_size(r), strlen(LAYER_A));
    while ((n = blob_reader_read(r, bytes, sizeof(bytes), &e)) > 0)
        given += (size_t)n;
    assert_int_equal(n, -EBADMSG);
    assert_true(given < strlen(LAYER_A));
    assert_non_null(strstr(err_text(e), layer->path));
    blob_reader_free(r);
    assert_int_equal(bundle_read_blob(b, layer->digest, 1000, &all, &e), -EBADMSG);
    assert_int_equal(all.len, 0);
    /* What is not damaged still comes. */
    buf_release(&all);
    assert_int_equal(bundle_read_path(b, "addons/a.yml", 1000, &all, NULL), 0);
    assert_string_equal(all.data, "kind: x\n");
}

static void blobs_and_paths_are_read_whole(void **state)
{
    auto_bundle struct bundle *b = NULL;
    auto_err struct err *e = NULL;
    auto_buf struct buf all;
    char digest[DIGEST_SIZE], bytes[100] = "";
    struct blob_reader *r = NULL;

    (void)state;
    write_bundle("b", 0);
    assert_int_equal(bundle_open("b", NULL, &b, NULL), 0);
    hash_digest(LAYER_B, strlen(LAYER_B), digest);
    assert_true(bundle_has_blob(b, digest));
    assert_int_equal(blob_reader_open(b, digest, &r, NULL), 0);
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(blob_reader_read(r, bytes, 3, NULL), 3);
        blob_reader_rewind(r);
        assert_int_equal(blob_reader_read(r, bytes, sizeof(bytes), NULL), strlen(LAYER_B));
        assert_string_equal(bytes, LAYER_B);
        assert_int_equal(blob_reader_read(r, bytes, sizeof(bytes), NULL), 0);
        blob_reader_rewind(r);
    }
    blob_reader_free(r);
    assert_int_equal(bundle_read_path(b, "addons/a.yml", 7, &all, &e), -EBADMSG);
    assert_non_null(strstr(err_text(e), "larger than the 7 bytes"));
    assert_int_equal(bundle_read_path(b, "addons/none", 7, &all, &e), -ENOENT);
    hash_digest("absent", 6, digest);
    assert_false(bundle_has_blob(b, digest));
    assert_int_equal(blob_reader_open(b, digest, &r, &e), -ENOENT);
    assert_int_equal(bundle_read_blob(b, digest, 7, &all, &e), -ENOENT);
    buf_init(&all, 0);
}

static void volumes_are_the_same_bundle(void **state)
{
    auto_bundle struct bundle *whole = NULL;
    auto_bundle struct bundle *b = NULL;
    size_t n = 0;

    (void)state;
    write_bundle("whole", 0);
    write_bundle("b", VOLUME_HEADER + 3000);
    assert_int_equal(bundle_open("whole", NULL, &whole, NULL), 0);
    assert_int_equal(bundle_open("b.002", NULL, &b, NULL), 0);
    assert_string_equal(bundle_receipt(b), bundle_receipt(whole));
    assert_int_equal(bundle_length(b), bundle_length(whole));
    assert_non_null(bundle_volumes(b, &n));
    assert_in_range(n, 3, 20);
    assert_null(bundle_volumes(whole, &n));
    assert_int_equal(n, 0);
    assert_int_equal(verify_file("b", NULL, NULL), 0);
}

/* Headers and contents of volumes: every fifth byte, and each byte of the headers' text. */
static void every_changed_byte_of_a_volume_is_found(void **state)
{
    unsigned seed = 3;

    (void)state;
    write_bundle("b", VOLUME_HEADER + 3000);
    for (int volume = 1; volume <= 3; volume++) {
        auto_free char *path = xasprintf("b.00%d", volume);
        size_t len;
        auto_free char *bytes = read_bundle(path, &len);
        auto_close int fd = open(path, O_RDWR | O_CLOEXEC);

        for (size_t at = 0; at < len; at += at < 350 ? 1 : 5) {
            auto_err struct err *e = NULL;

            put_byte(fd, at, (unsigned char)(bytes[at] ^ 1 << rand_r(&seed) % 8));
            if (verify_file(volume == 1 ? "b.002" : "b.001", NULL, &e) != -EBADMSG)
                fail_msg("a change at offset %zu of '%s' went through: %s", at, path, err_text(e));
            put_byte(fd, at, (unsigned char)bytes[at]);
        }
    }
    assert_int_equal(verify_file("b", NULL, NULL), 0);
}

static void volumes_of_another_bundle_do_not_fit(void **state)
{
    struct volume_header h;
    char block[VOLUME_HEADER];
    auto_err struct err *e = NULL;

    (void)state;
    write_bundle("b", VOLUME_HEADER + 3000);
    /* All volumes agree with each other, and none with the index inside. */
    for (int volume = 1; volume < 10; volume++) {
        auto_free char *path = xasprintf("b.00%d", volume);
        auto_close int fd = open(path, O_RDWR | O_CLOEXEC);

        if (fd < 0)
            break;
        assert_int_equal(fs_pread(fd, block, sizeof(block), 0), 0);
        assert_int_equal(volume_header_parse(block, &h), 0);
        h.set[10] = h.set[10] == '0' ? '1' : '0';
        volume_header_format(&h, block);
        assert_int_equal(fs_pwrite(fd, block, sizeof(block), 0), 0);
    }
    assert_int_equal(verify_file("b", NULL, &e), -EBADMSG);
    assert_non_null(strstr(err_text(e), "belongs to another bundle"));
}

static void write_delta(const char *name, const char *base_name)
{
    auto_bundle struct bundle *base = NULL;
    struct plan p = {.images = NULL};

    assert_int_equal(bundle_open(base_name, NULL, &base, NULL), 0);
    add_image(&p, "docker.io/t/a:3", LAYER_A);
    write_plan(&p, name, 0, base);
}

static void a_delta_needs_its_base(void **state)
{
    auto_bundle struct bundle *b = NULL;
    auto_err struct err *e = NULL;
    struct blob_reader *r = NULL;
    char digest[DIGEST_SIZE], bytes[100] = "";
    struct plan other = {.images = NULL};

    (void)state;
    write_bundle("base", 0);
    write_delta("delta", "base");
    add_image(&other, "docker.io/t/other:1", LAYER_A);
    write_plan(&other, "other", 0, NULL);
    hash_digest(LAYER_A, strlen(LAYER_A), digest);
    assert_int_equal(verify_file("delta", NULL, &e), -ENOENT);
    assert_non_null(strstr(err_text(e), "--base"));
    assert_int_equal(verify_file("delta", "base", NULL), 0);
    assert_int_equal(verify_file("delta", "other", &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "'other' is not the base of 'delta'"));
    assert_int_equal(verify_file("base", "other", &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "'base' is no delta"));
    assert_int_equal(bundle_open("delta", NULL, &b, NULL), 0);
    assert_int_equal(bundle_index(b)->n_missing, 1);
    assert_false(bundle_has_blob(b, digest));
    assert_int_equal(blob_reader_open(b, digest, &r, &e), -ENOENT);
    assert_non_null(strstr(err_text(e), "was left to the base"));
    bundle_cleanup(&b);
    assert_int_equal(bundle_open("delta", "base", &b, NULL), 0);
    assert_true(bundle_has_blob(b, digest));
    assert_string_equal(bundle_path(bundle_base(b)), "base");
    assert_int_equal(blob_reader_open(b, digest, &r, NULL), 0);
    assert_int_equal(blob_reader_read(r, bytes, sizeof(bytes), NULL), strlen(LAYER_A));
    assert_string_equal(bytes, LAYER_A);
    blob_reader_free(r);
}

#define test(name) cmocka_unit_test_setup_teardown(name, tempdir_enter, tempdir_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(is_whole),
        test(the_same_input_gives_the_same_bytes),
        test(every_changed_byte_is_found),
        test(every_other_length_is_found),
        test(a_damaged_blob_is_never_given_whole),
        test(blobs_and_paths_are_read_whole),
        test(volumes_are_the_same_bundle),
        test(every_changed_byte_of_a_volume_is_found),
        test(volumes_of_another_bundle_do_not_fit),
        test(a_delta_needs_its_base),
    };

    cli_common.quiet = true; /* no progress among the results */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
