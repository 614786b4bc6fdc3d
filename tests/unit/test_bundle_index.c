/* flatnet.json: written, read back, and every way to break it. */
#include "bundle_index.h"

#include "json.h"
#include "mem.h"
#include "tar.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define DIGEST(c) "sha256:" HEX(c)
#define HEX(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define LAYER DIGEST("ee")
#define LARGE (INT64_C(9) << 30)

static struct descriptor make_descriptor(const char *type, const char *digest, int64_t size)
{
    struct descriptor d = {.media_type = xstrdup(type), .size = size};

    memcpy(d.digest, digest, DIGEST_SIZE);
    return d;
}

static void add_platform(struct bundle_image *image, const char *platform, const char *manifest,
                         const char *config)
{
    struct bundle_platform p = {.manifest = make_descriptor(MT_OCI_MANIFEST, manifest, 400)};

    assert_int_equal(platform_parse(platform, &p.platform, NULL), 0);
    p.parsed.media_type = xstrdup(MT_OCI_MANIFEST);
    p.parsed.config = make_descriptor(MT_OCI_CONFIG, config, 300);
    p.parsed.layers = xcalloc(1, sizeof(struct descriptor));
    p.parsed.layers[0] = make_descriptor(MT_OCI_LAYER_GZIP, LAYER, 1000);
    p.parsed.n_layers = 1;
    array_grow(image->platforms, image->n_platforms);
    image->platforms[image->n_platforms++] = p;
}

/* An image for two platforms, one that was converted, a delta, a layer of 9 GiB. */
static void make_index(struct bundle_index *index)
{
    static const char *const blobs[] = {DIGEST("a1"), DIGEST("a2"), DIGEST("a3"), DIGEST("b1"),
                                        DIGEST("b2"), DIGEST("b3"), DIGEST("c1"), DIGEST("c2")};

    *index = (struct bundle_index){0};
    index->n_images = 2;
    index->images = xcalloc(2, sizeof(struct bundle_image));
    index->images[0].reference = xstrdup("docker.io/library/two:1");
    add_platform(&index->images[0], "linux/amd64", DIGEST("a1"), DIGEST("a2"));
    add_platform(&index->images[0], "linux/arm/v7", DIGEST("b1"), DIGEST("b2"));
    index->images[0].index = make_descriptor(MT_OCI_INDEX, DIGEST("a3"), 500);
    index->images[0].upstream_index = make_descriptor(MT_DOCKER_LIST, DIGEST("b3"), 600);
    index->images[1].reference = xstrdup("127.0.0.1:5000/old/one:1@" DIGEST("c1"));
    add_platform(&index->images[1], "linux/amd64", DIGEST("c1"), DIGEST("c2"));
    memcpy(index->images[1].converted_from, DIGEST("cc"), DIGEST_SIZE);
    memcpy(index->base_receipt, DIGEST("ba"), DIGEST_SIZE);
    index->n_missing = 2;
    index->missing = xcalloc(2, sizeof(struct bundle_missing));
    index->missing[0] = (struct bundle_missing){.digest = DIGEST("d1"), .size = 7};
    index->missing[1] = (struct bundle_missing){.digest = DIGEST("d2"), .size = 8};
    bundle_index_add(index, "oci-layout", DIGEST("01"), 30);
    bundle_index_add(index, "index.json", DIGEST("02"), 700);
    bundle_index_add(index, "manifest.json", DIGEST("03"), 512);
    bundle_index_add(index, "addons/a.yml", DIGEST("04"), 0);
    bundle_index_add(index, "addons/sub/b.yml", DIGEST("05"), 5);
    bundle_index_add(index, "bin/linux-amd64/flatnet", DIGEST("06"), 1000);
    for (size_t i = 0; i < COUNT(blobs); i++)
        bundle_index_add_blob(index, blobs[i], 300);
    bundle_index_add_blob(index, LAYER, LARGE);
}

static char *make_text(void)
{
    struct bundle_index index;
    char *text;

    make_index(&index);
    (void)bundle_index_place(&index);
    text = bundle_index_render(&index);
    bundle_index_release(&index);
    return text;
}

/* `text` with the first `from` made `to`, to be freed. */
static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);

    assert_non_null(at);
    return xasprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

static void comes_back_as_it_was(void **state)
{
    struct bundle_index index, back;
    auto_free char *text = make_text();
    auto_free char *again = NULL;

    (void)state;
    make_index(&index);
    (void)bundle_index_place(&index);
    assert_int_equal(bundle_index_parse(text, strlen(text), &back, NULL), 0);
    again = bundle_index_render(&back);
    assert_string_equal(again, text);
    assert_int_equal(back.n_images, 2);
    assert_string_equal(back.images[1].converted_from, DIGEST("cc"));
    assert_string_equal(back.images[0].platforms[1].platform.variant, "v7");
    assert_int_equal(back.images[0].upstream_index.size, 600);
    assert_string_equal(back.base_receipt, DIGEST("ba"));
    assert_int_equal(back.n_entries, index.n_entries);
    for (size_t i = 0; i < index.n_entries; i++) {
        assert_string_equal(back.entries[i].path, index.entries[i].path);
        assert_string_equal(back.entries[i].digest, index.entries[i].digest);
        assert_true(back.entries[i].offset == index.entries[i].offset);
    }
    bundle_index_release(&index);
    bundle_index_release(&back);
}

static void places_entries_one_after_the_other(void **state)
{
    struct bundle_index index;
    int64_t at = 0, end;

    (void)state;
    make_index(&index);
    end = bundle_index_place(&index);
    for (size_t i = 0; i < index.n_entries; i++) {
        const struct bundle_entry *entry = &index.entries[i];

        at += (int64_t)tar_header_len(entry->size);
        assert_true(entry->offset == at);
        at += entry->size + (int64_t)tar_padding(entry->size);
    }
    assert_true(at == end);
    assert_true(bundle_data_start(1) == 1024 && bundle_data_start(512) == 1024);
    assert_true(bundle_data_start(513) == 1536);
    /* Index, entries, header and content of the trailer, two blocks. */
    assert_true(bundle_total_length(513, end) == 1536 + end + 1024 + 1024);
    bundle_index_release(&index);
}

/* What is changed in a good text, and what is said to it. */
static const struct {
    const char *from, *to, *message;
} breaks[] = {
    {"{\"formatVersion\":1,", "{\"formatVersion\":2,", "format version 2"},
    {"\"formatVersion\":1,", "", "no format version"},
    {"\"formatVersion\":1,", "\"formatVersion\":\"1\",", "no format version"},
    {"\"images\":[", "\"images\":7,\"x\":[", "no usable list of images"},
    {"docker.io/library/two:1", "two:1", "image 1 of flatnet.json is malformed"},
    {"docker.io/library/two:1", "docker.io/library/two", "image 1 of flatnet.json is malformed"},
    {"docker.io/library/two:1", "../../etc", "image 1 of flatnet.json is malformed"},
    {"\"reference\":\"docker.io", "\"name\":\"docker.io", "image 1 of flatnet.json is malformed"},
    {"127.0.0.1:5000/old/one:1@" DIGEST("c1"), "docker.io/library/two:1", "stands twice"},
    {"\"linux/amd64\"", "\"linux\"", "image 1 of flatnet.json is malformed"},
    {"\"linux/arm/v7\"", "\"linux/x86_64\"", "canonical"},
    {"\"index\":{", "\"indeks\":{", "image 1 of flatnet.json is malformed"},
    {"\"convertedFrom\":",
     "\"index\":{\"mediaType\":\"x\",\"digest\":\"" DIGEST("a3") "\",\"size\":1},"
                                                                 "\"convertedFrom\":",
     "image 2 of flatnet.json is malformed"},
    {"\"convertedFrom\":\"sha256:c", "\"convertedFrom\":\"sha256:C", "image 2 of flatnet.json"},
    {"\"size\":400", "\"size\":0", "image 1 of flatnet.json is malformed"},
    {"\"size\":400", "\"size\":-400", "image 1 of flatnet.json is malformed"},
    {"\"size\":400", "\"size\":4e2", "canonical"},
    {"\"size\":400", "\"size\":400.5", "image 1 of flatnet.json is malformed"},
    {"\"mediaType\":", "\"mediatype\":", "image 1 of flatnet.json is malformed"},
    {"\"receipt\":\"sha256:ba", "\"receipt\":\"ba", "the base in flatnet.json is malformed"},
    {DIGEST("d1") "\",\"size\":7", DIGEST("d3") "\",\"size\":7", "left to the base"},
    {DIGEST("d1") "\",\"size\":7", DIGEST("d2") "\",\"size\":7", "left to the base"},
    {"\"size\":7}", "\"size\":-7}", "left to the base"},
    {"\"entries\":[", "\"entries\":[7,", "entry 1 of flatnet.json is malformed"},
    {"\"entries\":[", "\"entries\":[],\"x\":[", "too few entries"},
    {"\"addons/a.yml\"", "\"addons/../a\"", "'addons/../a' has no place"},
    {"\"addons/a.yml\"", "\"/etc/passwd\"", "'/etc/passwd' has no place"},
    {"\"addons/a.yml\"", "\"../a\"", "'../a' has no place"},
    {"\"addons/a.yml\"", "\"addons/\"", "'addons/' has no place"},
    {"\"addons/a.yml\"", "\"addons//a\"", "'addons//a' has no place"},
    {"\"addons/a.yml\"", "\"addons/./a\"", "'addons/./a' has no place"},
    {"\"addons/a.yml\"", "\"addons/a\\u000ab\"", "has no place"},
    {"\"addons/a.yml\"", "\"addons\"", "'addons' has no place"},
    {"\"addons/a.yml\"", "\"flatnet.json\"", "'flatnet.json' has no place"},
    {"\"addons/a.yml\"", "\"flatnet.trailer\"", "'flatnet.trailer' has no place"},
    {"\"addons/a.yml\"", "\"repositories\"", "'repositories' has no place"},
    {"\"addons/a.yml\"", "\"oci-layout\"", "'oci-layout' is out of order"},
    {"\"addons/a.yml\"", "\"addons/sub/b.yml\"", "'addons/sub/b.yml' stands twice"},
    {"\"addons/a.yml\"", "\"bin/a\"", "'addons/sub/b.yml' is out of order"},
    {"\"addons/a.yml\"", "\"addons/" HEX("aa") HEX("bb") "\"", "has no place"},
    {"blobs/sha256/a1", "blobs/sha256/A1", "has no place"},
    {"blobs/sha256/a1", "blobs/sha512/a1", "has no place"},
    {"blobs/sha256/" HEX("a1"), "blobs/sha256/" HEX("a2"), "has no place"},
    {"\"index.json\"", "\"oci-layout\"", "'oci-layout' is out of order"},
    {"\"oci-layout\"", "\"index.json\"", "'index.json' is out of order"},
    {"\"sha256\":\"01", "\"sha256\":\"0x", "entry 1 of flatnet.json is malformed"},
    {"\"sha256\":\"01", "\"sha\":\"01", "entry 1 of flatnet.json is malformed"},
    {"\"path\":\"oci-layout\"", "\"path\":7", "entry 1 of flatnet.json is malformed"},
    {"\"size\":30,", "\"size\":\"30\",", "entry 1 of flatnet.json is malformed"},
    {"\"size\":30,", "\"size\":-1,", "entry 1 of flatnet.json is malformed"},
    {"\"size\":30,", "\"size\":600,", "entry 'index.json' has a wrong offset"},
    {"\"size\":30,", "\"size\":31,", NULL}, /* another bundle, but a possible one */
    {"\"size\":30,", "\"size\":9007199254740992,", "do not fit"},
    {"\"size\":30,", "\"size\":18446744073709551616,", "entry 1 of flatnet.json is malformed"},
    {"\"offset\":512}", "\"offset\":1024}", "entry 'oci-layout' has a wrong offset"},
    {"\"offset\":512}", "\"offset\":-512}", "entry 1 of flatnet.json is malformed"},
    {"\"offset\":512}", "\"offset\":512,\"more\":1}", "canonical"},
    {"{\"formatVersion\":1,", "{ \"formatVersion\":1,", "canonical"},
    {"{\"formatVersion\":1,", "{\"formatVersion\":1,\"formatVersion\":1,", "canonical"},
    {"{\"formatVersion\":1,", "{\"formatVersion\":1,\"entries\":[],", "too few entries"},
    {"{\"formatVersion\":1,", "[1,", "flatnet.json: not valid JSON"},
};

static void every_break_is_named(void **state)
{
    auto_free char *text = make_text();

    (void)state;
    for (size_t i = 0; i < COUNT(breaks); i++) {
        auto_free char *broken = replaced(text, breaks[i].from, breaks[i].to);
        struct bundle_index index = {.n_images = 77};
        auto_err struct err *e = NULL;
        int r = bundle_index_parse(broken, strlen(broken), &index, &e);

        if (!breaks[i].message) {
            assert_int_equal(r, 0);
            bundle_index_release(&index);
            continue;
        }
        assert_int_equal(r, -EBADMSG);
        assert_int_equal(index.n_images, 77);
        if (!strstr(err_text(e), breaks[i].message))
            assert_string_equal(err_text(e), breaks[i].message);
    }
}

/* A bit that flips is refused, or makes another text that is canonical too; never a crash. */
static void any_flipped_bit_is_harmless(void **state)
{
    auto_free char *text = make_text();
    size_t len = strlen(text);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        struct bundle_index index;
        auto_err struct err *e = NULL;

        text[i] ^= (char)(1 << i % 8);
        if (bundle_index_parse(text, len, &index, &e) == 0) {
            auto_free char *again = bundle_index_render(&index);

            assert_memory_equal(again, text, len);
            bundle_index_release(&index);
        }
        text[i] ^= (char)(1 << i % 8);
        assert_int_equal(bundle_index_parse(text, i, &index, &e), -EBADMSG);
    }
}

static void names_for_docker_and_containerd(void **state)
{
    static const struct {
        const char *reference, *docker, *containerd;
    } table[] = {
        {"docker.io/library/a:1", "docker.io/library/a:1", "docker.io/library/a:1"},
        {"h:5000/b/c:t@" DIGEST("ab"), "h:5000/b/c:t", "h:5000/b/c@" DIGEST("ab")},
        {"h:5000/b/c@" DIGEST("ab"), "h:5000/b/c:sha256-" HEX("ab"), "h:5000/b/c@" DIGEST("ab")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_free char *docker = bundle_docker_name(table[i].reference);
        auto_free char *containerd = bundle_containerd_name(table[i].reference);

        assert_string_equal(docker, table[i].docker);
        assert_string_equal(containerd, table[i].containerd);
    }
}

static void documents_follow_from_the_images(void **state)
{
    struct bundle_index index;
    auto_free char *oci = NULL;
    auto_free char *docker = NULL;
    auto_free char *image = NULL;

    (void)state;
    make_index(&index);
    oci = bundle_render_oci_index(&index);
    docker = bundle_render_docker(&index);
    image = bundle_render_image_index(&index.images[0]);
    assert_string_equal(
        oci, "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX "\",\"manifests\":["
             "{\"mediaType\":\"" MT_OCI_INDEX "\",\"digest\":\"" DIGEST(
                 "a3") "\",\"size\":500,"
                       "\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/two:1\","
                       "\"org.opencontainers.image.ref.name\":\"docker.io/library/two:1\"}},"
                       "{\"mediaType\":\"" MT_OCI_MANIFEST "\",\"digest\":\"" DIGEST(
                           "c1") "\",\"size\":400,"
                                 "\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"},"
                                 "\"annotations\":{"
                                 "\"io.containerd.image.name\":\"127.0.0.1:5000/old/one@" DIGEST(
                                     "c1") "\","
                                           "\"org.opencontainers.image.ref.name\":\"127.0.0.1:5000/"
                                           "old/one@" DIGEST("c1") "\"}}]}");
    assert_string_equal(
        docker, "[{\"Config\":\"blobs/sha256/" HEX(
                    "a2") "\",\"RepoTags\":[\"docker.io/library/two:1\"],"
                          "\"Layers\":[\"blobs/sha256/" HEX(
                              "ee") "\"]},"
                                    "{\"Config\":\"blobs/sha256/" HEX(
                                        "c2") "\",\"RepoTags\":[\"127.0.0.1:5000/old/one:1\"],"
                                              "\"Layers\":[\"blobs/sha256/" HEX("ee") "\"]}]");
    assert_string_equal(image,
                        "{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_INDEX "\",\"manifests\":["
                        "{\"mediaType\":\"" MT_OCI_MANIFEST "\",\"digest\":\"" DIGEST(
                            "a1") "\",\"size\":400,"
                                  "\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}},"
                                  "{\"mediaType\":\"" MT_OCI_MANIFEST "\",\"digest\":\"" DIGEST(
                                      "b1") "\",\"size\":400,"
                                            "\"platform\":{\"architecture\":\"arm\",\"os\":"
                                            "\"linux\",\"variant\":\"v7\"}}]}");
    bundle_index_release(&index);
}

static void the_trailer_pins_the_index(void **state)
{
    auto_free char *trailer = bundle_render_trailer("abc", 3);

    (void)state;
    assert_string_equal(trailer,
                        "flatnet-trailer 1\nindex-length 00000000000000000003\nindex-sha256 "
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(places_entries_one_after_the_other),
        cmocka_unit_test(every_break_is_named),
        cmocka_unit_test(any_flipped_bit_is_harmless),
        cmocka_unit_test(names_for_docker_and_containerd),
        cmocka_unit_test(documents_follow_from_the_images),
        cmocka_unit_test(the_trailer_pins_the_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
