/* The archive made on the fly, over a bundle in memory that can be made to fail. */
#include "imagetar.h"

#include "bundle_index.h"
#include "mem.h"
#include "tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#include "memory_bundle.h"

/* --- an image of it --- */

#define LAYERS 3

static struct descriptor layers[LAYERS];
static struct bundle_platform platform;
static char *plain[LAYERS]; /* what a layer unpacks to */
static size_t plain_size[LAYERS];
static struct blob *layer_blob[LAYERS];

static void describe(struct descriptor *d, const struct blob *blob, const char *type)
{
    *d = (struct descriptor){.media_type = (char *)type, .size = blob->size};
    memcpy(d->digest, blob->digest, DIGEST_SIZE);
}

static void set_layer(size_t i, const void *bytes, size_t size, const char *type)
{
    layer_blob[i] = add_blob(bytes, size);
    describe(&layers[i], layer_blob[i], type);
}

static void set_zstd_layer(size_t i, const char *type)
{
    size_t bound = ZSTD_compressBound(plain_size[i]);
    auto_free char *packed = xmalloc(bound);
    size_t size = ZSTD_compress(packed, bound, plain[i], plain_size[i], 3);

    set_layer(i, packed, size, type);
}

/* Sizes around the block and the buffer of an archive. */
static int setup(void **state)
{
    static const size_t sizes[LAYERS] = {700000, 512, 256 * 1024 + 1};
    char ids[LAYERS][DIGEST_SIZE];
    auto_free char *config = NULL;

    (void)state;
    for (size_t i = 0; i < LAYERS; i++) {
        plain_size[i] = sizes[i];
        plain[i] = xmalloc(sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++)
            plain[i][j] = (char)(j * (i + 3) / 7 + j / 1000);
        hash_digest(plain[i], sizes[i], ids[i]);
        set_layer(i, plain[i], sizes[i], MT_OCI_LAYER_GZIP);
    }
    config = xasprintf("{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":"
                       "\"layers\",\"diff_ids\":[\"%s\",\"%s\",\"%s\"]}}",
                       ids[0], ids[1], ids[2]);
    platform = (struct bundle_platform){.platform = {.os = "linux", .arch = "amd64"},
                                        .parsed = {.layers = layers, .n_layers = LAYERS}};
    describe(&platform.parsed.config, add_blob(config, strlen(config)), MT_OCI_CONFIG);
    describe(&platform.manifest, add_blob("{manifest}", 10), MT_OCI_MANIFEST);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_blobs; i++)
        free(blobs[i].bytes);
    for (size_t i = 0; i < LAYERS; i++)
        free(plain[i]);
    n_blobs = 0;
    return 0;
}

/* --- reading archives --- */

struct entries {
    char *names[32];
    char *contents[32];
    size_t sizes[32];
    size_t count;
};

static void entries_release(struct entries *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->names[i]);
        free(list->contents[i]);
    }
    list->count = 0;
}

static void read_entries(const char *bytes, size_t len, struct entries *out)
{
    struct archive *a = archive_read_new();
    struct archive_entry *entry;

    out->count = 0;
    assert_int_equal(archive_read_support_format_tar(a), ARCHIVE_OK);
    assert_int_equal(archive_read_open_memory(a, bytes, len), ARCHIVE_OK);
    while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
        size_t size = (size_t)archive_entry_size(entry), n = out->count++;

        out->names[n] = xstrdup(archive_entry_pathname(entry));
        out->contents[n] = xcalloc(size + 1, 1);
        out->sizes[n] = size;
        assert_int_equal(archive_read_data(a, out->contents[n], size), (ssize_t)size);
    }
    assert_int_equal(archive_errno(a), 0);
    archive_read_free(a);
}

static size_t entry_of(const struct entries *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->names[i], name))
            return i;
    return SIZE_MAX;
}

static bool has_blob(const struct entries *list, const char *digest)
{
    auto_free char *path = bundle_blob_path(digest);

    return entry_of(list, path) != SIZE_MAX;
}

/* The whole archive, read `step` bytes at a time. To be freed. */
static char *read_archive(struct imagetar *t, size_t step, size_t *out_len)
{
    size_t size = (size_t)imagetar_size(t), at = 0;
    char *bytes = xmalloc(size + step);
    ssize_t n;

    while ((n = imagetar_read(t, bytes + at, step, NULL)) > 0) {
        assert_true((size_t)n <= step);
        at += (size_t)n;
        assert_true(at <= size);
    }
    assert_int_equal(n, 0);
    assert_int_equal(at, size);
    assert_null(imagetar_current_blob(t));
    *out_len = at;
    return bytes;
}

static void make_entries(const bool *omit, const struct imagetar_options *options,
                         struct entries *out)
{
    struct imagetar_image image = {.platform = &platform,
                                   .name = "docker.io/library/x:1",
                                   .omit = omit};
    auto_imagetar struct imagetar *t = NULL;
    auto_free char *bytes = NULL;
    size_t len;

    assert_int_equal(imagetar_new(NULL, &image, 1, options, &t, NULL), 0);
    bytes = read_archive(t, 65536, &len);
    read_entries(bytes, len, out);
}

/* --- tests --- */

static void docker_form_holds_the_image(void **state)
{
    static const struct imagetar_options options = {0};
    auto_free char *config = bundle_blob_path(platform.parsed.config.digest);
    struct entries list;

    (void)state;
    make_entries(NULL, &options, &list);
    assert_int_equal(list.count, 1 + LAYERS + 1);
    assert_string_equal(list.names[0], config);
    assert_string_equal(list.names[list.count - 1], "manifest.json");
    for (size_t i = 0; i < LAYERS; i++) {
        assert_int_equal(list.sizes[1 + i], plain_size[i]);
        assert_memory_equal(list.contents[1 + i], plain[i], plain_size[i]);
    }
    assert_non_null(strstr(list.contents[list.count - 1], "[\"docker.io/library/x:1\"]"));
    assert_non_null(strstr(list.contents[list.count - 1], config));
    entries_release(&list);
}

static void oci_form_names_what_it_holds_last(void **state)
{
    static const struct imagetar_options options = {.oci = true};
    static const char *const last[] = {"index.json", "oci-layout", "manifest.json"};
    struct entries list;

    (void)state;
    make_entries(NULL, &options, &list);
    assert_int_equal(list.count, 1 + LAYERS + 1 + 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(list.names[list.count - 3 + i], last[i]);
    assert_true(has_blob(&list, platform.manifest.digest));
    assert_non_null(strstr(list.contents[list.count - 3], platform.manifest.digest));
    assert_non_null(strstr(list.contents[list.count - 3],
                           "\"io.containerd.image.name\":\"docker.io/library/x:1\""));
    entries_release(&list);
}

static void any_step_reads_the_same_bytes(void **state)
{
    static const size_t steps[] = {1, 511, 512, 4096, 65536, 300000, 5000000};
    struct imagetar_image image = {.platform = &platform, .name = "docker.io/library/x:1"};
    struct imagetar_options options = {.oci = true};
    auto_free char *first = NULL;
    size_t first_len = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        auto_imagetar struct imagetar *t = NULL;
        auto_free char *bytes = NULL;
        size_t len;

        assert_int_equal(imagetar_new(NULL, &image, 1, &options, &t, NULL), 0);
        bytes = read_archive(t, steps[i], &len);
        if (i == 0) {
            first_len = len;
            first = take(bytes);
            continue;
        }
        assert_int_equal(len, first_len);
        assert_memory_equal(bytes, first, len);
    }
}

static void omitted_layers_are_named_but_not_held(void **state)
{
    static const struct imagetar_options options = {0};
    static const bool omit[LAYERS] = {true, true, false};
    struct entries list;

    (void)state;
    layer_blob[0]->absent = true; /* a delta: not even the bundle has it */
    make_entries(omit, &options, &list);
    assert_int_equal(list.count, 1 + 1 + 1);
    assert_false(has_blob(&list, layers[0].digest));
    assert_true(has_blob(&list, layers[2].digest));
    for (size_t i = 0; i < LAYERS; i++)
        assert_non_null(strstr(list.contents[list.count - 1], digest_hex(layers[i].digest)));
    entries_release(&list);
}

static void a_layer_that_stands_twice_is_held_once(void **state)
{
    static const struct imagetar_options options = {0};
    static const bool omit[LAYERS] = {true, false, false};
    struct entries list;

    (void)state;
    layers[2] = layers[0];
    make_entries(NULL, &options, &list);
    assert_int_equal(list.count, 1 + 2 + 1);
    entries_release(&list);
    /* Left out below, it is still needed above. */
    make_entries(omit, &options, &list);
    assert_true(has_blob(&list, layers[0].digest));
    entries_release(&list);
}

static void zstd_layers_become_plain_tars(void **state)
{
    static const struct imagetar_options options = {.unpack_zstd = true};
    char id[DIGEST_SIZE];
    struct entries list;

    (void)state;
    set_zstd_layer(0, MT_OCI_LAYER_ZSTD);
    set_zstd_layer(2, MT_OCI_LAYER_GZIP); /* found out by its first bytes */
    make_entries(NULL, &options, &list);
    for (size_t i = 0; i < LAYERS; i++) {
        auto_free char *path = NULL;
        size_t n;

        hash_digest(plain[i], plain_size[i], id);
        path = bundle_blob_path(id);
        n = entry_of(&list, path);
        assert_true(n != SIZE_MAX);
        assert_int_equal(list.sizes[n], plain_size[i]);
        assert_memory_equal(list.contents[n], plain[i], plain_size[i]);
        assert_non_null(strstr(list.contents[list.count - 1], digest_hex(id)));
    }
    assert_false(has_blob(&list, layers[0].digest));
    entries_release(&list);
}

static void break_content(struct blob *blob)
{
    memset(blob->bytes + 4, 0xff, 8);
}

static void break_end(struct blob *blob)
{
    blob->size -= 5;
}

static void break_digest(struct blob *blob)
{
    blob->corrupt = true;
}

static void empty_frame(struct blob *blob)
{
    memcpy(blob->bytes, "\x28\xb5\x2f\xfd\x00\x00\x01\x00\x00", 9);
    blob->size = 9;
}

static void broken_zstd_layers_are_found_before_anything_is_given(void **state)
{
    static const struct {
        void (*apply)(struct blob *blob);
        const char *message;
    } table[] = {
        {break_content, "not valid zstd"},
        {break_end, "ends inside a zstd frame"},
        {break_digest, "wrong SHA-256"},
        {empty_frame, "unpacks to"},
    };
    static const struct imagetar_options options = {.unpack_zstd = true};
    struct imagetar_image image = {.platform = &platform, .name = "docker.io/library/x:1"};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_err struct err *e = NULL;
        struct imagetar *t = NULL;

        set_zstd_layer(0, MT_OCI_LAYER_ZSTD);
        table[i].apply(layer_blob[0]);
        assert_int_equal(imagetar_new(NULL, &image, 1, &options, &t, &e), -EBADMSG);
        assert_non_null(strstr(err_text(e), table[i].message));
        assert_null(t);
        layer_blob[0]->absent = true;
    }
}

/* Bytes that a file takes in an archive. */
static int64_t span(int64_t size)
{
    return (int64_t)tar_header_len(size) + size + (int64_t)tar_padding(size);
}

static void a_corrupt_blob_is_never_given_whole(void **state)
{
    struct imagetar_image image = {.platform = &platform, .name = "docker.io/library/x:1"};
    int64_t given = 0, end = span(platform.parsed.config.size) + span(layers[0].size) +
                             span(layers[1].size) + TAR_BLOCK + layers[2].size;
    struct imagetar_options options = {0};
    auto_imagetar struct imagetar *t = NULL;
    auto_err struct err *e = NULL;
    char chunk[4096];
    ssize_t n;

    (void)state;
    layer_blob[2]->corrupt = true;
    assert_int_equal(imagetar_new(NULL, &image, 1, &options, &t, &e), 0);
    while ((n = imagetar_read(t, chunk, sizeof(chunk), &e)) > 0)
        given += n;
    assert_int_equal(n, -EBADMSG);
    assert_string_equal(imagetar_current_blob(t), layers[2].digest);
    assert_true(given < end);
}

static void what_is_missing_is_listed(void **state)
{
    struct imagetar_image image = {.platform = &platform, .name = "docker.io/library/x:1"};
    struct imagetar_options options = {0};
    auto_err struct err *e = NULL;
    struct imagetar *t = NULL;

    (void)state;
    (void)snprintf(the_index.base_receipt, DIGEST_SIZE, "sha256:base");
    layer_blob[0]->absent = layer_blob[2]->absent = true;
    assert_int_equal(imagetar_new(NULL, &image, 1, &options, &t, &e), -ENOENT);
    assert_non_null(strstr(err_text(e), layers[0].digest));
    assert_null(strstr(err_text(e), layers[1].digest));
    assert_non_null(strstr(err_text(e), layers[2].digest));
    assert_non_null(strstr(err_text(e), "sha256:base"));
    assert_non_null(strstr(err_text(e), "--base"));
}

static void a_blob_of_another_size_is_refused(void **state)
{
    struct imagetar_image image = {.platform = &platform, .name = "docker.io/library/x:1"};
    struct imagetar_options options = {0};
    auto_imagetar struct imagetar *t = NULL;
    auto_err struct err *e = NULL;
    char chunk[4096];
    ssize_t n;

    (void)state;
    layers[1].size++;
    assert_int_equal(imagetar_new(NULL, &image, 1, &options, &t, &e), 0);
    while ((n = imagetar_read(t, chunk, sizeof(chunk), &e)) > 0)
        ;
    assert_int_equal(n, -EBADMSG);
    assert_non_null(strstr(err_text(e), layers[1].digest));
}

static void several_images_share_their_blobs(void **state)
{
    struct imagetar_image images[] = {
        {.platform = &platform, .name = "docker.io/library/x:1"},
        {.platform = &platform,
         .name = "quay.io/y/z@sha256:0123456789abcdef0123456789abcdef"
                 "0123456789abcdef0123456789abcdef"},
    };
    struct imagetar_options options = {.oci = true};
    auto_imagetar struct imagetar *t = NULL;
    auto_free char *bytes = NULL;
    struct entries list;
    size_t len;

    (void)state;
    assert_int_equal(imagetar_new(NULL, images, 2, &options, &t, NULL), 0);
    bytes = read_archive(t, 100000, &len);
    read_entries(bytes, len, &list);
    assert_int_equal(list.count, 1 + LAYERS + 1 + 3);
    assert_non_null(strstr(list.contents[list.count - 3], images[0].name));
    assert_non_null(strstr(list.contents[list.count - 3], images[1].name));
    assert_non_null(strstr(list.contents[list.count - 1], "quay.io/y/z:sha256-0123456789abcdef"));
    entries_release(&list);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(docker_form_holds_the_image),
        test(oci_form_names_what_it_holds_last),
        test(any_step_reads_the_same_bytes),
        test(omitted_layers_are_named_but_not_held),
        test(a_layer_that_stands_twice_is_held_once),
        test(zstd_layers_become_plain_tars),
        test(broken_zstd_layers_are_found_before_anything_is_given),
        test(a_corrupt_blob_is_never_given_whole),
        test(what_is_missing_is_listed),
        test(a_blob_of_another_size_is_refused),
        test(several_images_share_their_blobs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
