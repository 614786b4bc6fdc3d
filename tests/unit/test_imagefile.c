/* Image files of other tools, in all their forms, and what passes for one and is none. */
#include "imagefile.h"

#include "fs.h"
#include "mem.h"
#include "tempdir.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define SHA_OF_NOTHING "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define LAYOUT "{\"imageLayoutVersion\": \"1.0.0\"}"

/* A file of an archive; `target` makes it a link. */
struct piece {
    const char *path, *text, *target;
    bool is_hard;
};

/* One image, in the words of both formats. Layers are texts here; nobody unpacks them. */
static struct {
    char one[DIGEST_SIZE], two[DIGEST_SIZE]; /* layers */
    char *config, *manifest, *index, *docker;
    char *config_path, *manifest_path, *one_path, *two_path;
} image;

static char *blob_path(const char *digest)
{
    return xasprintf("blobs/sha256/%s", digest_hex(digest));
}

static void make_image(void)
{
    char config[DIGEST_SIZE], manifest[DIGEST_SIZE];

    hash_digest("layer one", 9, image.one);
    hash_digest("layer two", 9, image.two);
    image.config = xasprintf("{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":"
                             "\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
                             image.one, image.two);
    hash_digest(image.config, strlen(image.config), config);
    image.manifest =
        xasprintf("{\"schemaVersion\":2,\"mediaType\":\"" MT_OCI_MANIFEST
                  "\",\"config\":{\"mediaType\":\"" MT_OCI_CONFIG
                  "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":\"" MT_OCI_LAYER
                  "\",\"digest\":\"%s\",\"size\":9},{\"mediaType\":\"" MT_OCI_LAYER
                  "\",\"digest\":\"%s\",\"size\":9}]}",
                  config, strlen(image.config), image.one, image.two);
    hash_digest(image.manifest, strlen(image.manifest), manifest);
    image.index = xasprintf(
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" MT_OCI_MANIFEST
        "\",\"digest\":\"%s\","
        "\"size\":%zu,\"annotations\":{\"org.opencontainers.image.ref.name\":\"t/a:1\"}}]}",
        manifest, strlen(image.manifest));
    image.docker =
        xasprintf("[{\"Config\":\"%s.json\",\"RepoTags\":[\"t/a:1\",\"t/a:2\"],\"Layers\":["
                  "\"one/layer.tar\",\"two/layer.tar\"]}]",
                  digest_hex(config));
    image.config_path = blob_path(config);
    image.manifest_path = blob_path(manifest);
    image.one_path = blob_path(image.one);
    image.two_path = blob_path(image.two);
}

static void write_archive(const char *path, int filter, const struct piece *pieces, size_t count)
{
    struct archive *a = archive_write_new();

    assert_int_equal(archive_write_add_filter(a, filter), ARCHIVE_OK);
    assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++) {
        struct archive_entry *entry = archive_entry_new();
        size_t len = pieces[i].text ? strlen(pieces[i].text) : 0;

        archive_entry_set_pathname(entry, pieces[i].path);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_filetype(entry,
                                   pieces[i].text || pieces[i].is_hard ? AE_IFREG : AE_IFDIR);
        archive_entry_set_size(entry, (la_int64_t)len);
        if (pieces[i].target && pieces[i].is_hard)
            archive_entry_set_hardlink(entry, pieces[i].target);
        else if (pieces[i].target)
            archive_entry_set_symlink(entry, pieces[i].target);
        if (pieces[i].target && !pieces[i].is_hard)
            archive_entry_set_filetype(entry, AE_IFLNK);
        assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
        if (len)
            assert_int_equal(archive_write_data(a, pieces[i].text, len), len);
        archive_entry_free(entry);
    }
    assert_int_equal(archive_write_free(a), ARCHIVE_OK);
}

static void write_oci_archive(const char *path, int filter, const char *prefix)
{
    const char *const names[] = {"oci-layout",      "index.json",   image.manifest_path,
                                 image.config_path, image.one_path, image.two_path};
    const char *const texts[] = {LAYOUT,       image.index, image.manifest,
                                 image.config, "layer one", "layer two"};
    struct piece pieces[8] = {{.path = "blobs/"}, {.path = "blobs/sha256/"}};
    char *paths[6];

    for (size_t i = 0; i < 6; i++) {
        paths[i] = xasprintf("%s%s", prefix, names[i]);
        pieces[2 + i] = (struct piece){.path = paths[i], .text = texts[i]};
    }
    write_archive(path, filter, pieces, 8);
    for (size_t i = 0; i < 6; i++)
        free(paths[i]);
}

static void write_folder(const char *path)
{
    const char *const names[] = {"oci-layout",      "index.json",   image.manifest_path,
                                 image.config_path, image.one_path, image.two_path};
    const char *const texts[] = {LAYOUT,       image.index, image.manifest,
                                 image.config, "layer one", "layer two"};
    auto_free char *blobs = xasprintf("%s/blobs/sha256", path);

    assert_int_equal(fs_mkdirs(blobs, 0755, NULL), 0);
    for (size_t i = 0; i < 6; i++) {
        auto_free char *full = xasprintf("%s/%s", path, names[i]);
        assert_int_equal(fs_write_file(full, texts[i], strlen(texts[i]), 0644, NULL), 0);
    }
}

/* As docker save before 25 wrote it: the second image's layer is a link to the first's. */
static void write_docker_archive(const char *path, int filter)
{
    auto_free char *config = xasprintf("%s.json", image.config_path + strlen("blobs/sha256/"));
    const struct piece pieces[] = {
        {.path = config, .text = image.config},
        {.path = "one/"},
        {.path = "one/VERSION", .text = "1.0"},
        {.path = "one/json", .text = "{\"id\":\"one\"}"},
        {.path = "one/layer.tar", .target = "../three/layer.tar"},
        {.path = "two/layer.tar", .text = "layer two"},
        {.path = "manifest.json", .text = image.docker},
        {.path = "repositories", .text = "{}"},
        {.path = "three/layer.tar", .text = "layer one"},
    };

    write_archive(path, filter, pieces, COUNT(pieces));
}

/* Collects the layers of a stream, in order. */
struct taken {
    struct buf bytes;
    size_t begun, ended;
    int fail_with;
};

static int want_layers(void *arg, const char *digest)
{
    struct taken *t = arg;

    if (strcmp(digest, image.one) && strcmp(digest, image.two))
        return 0;
    t->begun++;
    return 1;
}

static int take_layer(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct taken *t = arg;

    if (t->fail_with)
        return err_set(e, t->fail_with, "the taker is full");
    return buf_add(&t->bytes, bytes, len);
}

static int end_layer(void *arg, struct err **e)
{
    struct taken *t = arg;

    (void)e;
    t->ended++;
    return buf_addch(&t->bytes, ';');
}

static void check_layers(const struct imagefile *f)
{
    struct taken t = {.begun = 0};
    struct imagefile_taker taker = {want_layers, take_layer, end_layer, &t};
    auto_err struct err *e = NULL;

    buf_init(&t.bytes, 1000);
    assert_int_equal(imagefile_stream(f, &taker, NULL), 0);
    assert_int_equal(t.begun, 2);
    assert_int_equal(t.ended, 2);
    assert_non_null(strstr(t.bytes.data, "layer one;"));
    assert_non_null(strstr(t.bytes.data, "layer two;"));
    assert_int_equal(t.bytes.len, 20);
    t.fail_with = -ENOSPC;
    assert_int_equal(imagefile_stream(f, &taker, &e), -ENOSPC);
    assert_string_equal(err_text(e), "the taker is full");
    assert_int_equal(t.ended, 2);
    buf_release(&t.bytes);
}

/* Manifest, configuration, sizes and layers of the one image of a file. */
static void check_image(const struct imagefile *f, const struct imagefile_image *i)
{
    auto_manifest struct manifest m = {.n_layers = 0};
    const char *bytes = NULL;
    int64_t size = 0;
    size_t len = 0;

    assert_int_equal(imagefile_document(f, i->manifest.digest, &bytes, &len, NULL), 0);
    assert_int_equal(len, i->manifest.size);
    assert_int_equal(manifest_parse(bytes, len, i->manifest.media_type, &m, NULL), 0);
    assert_int_equal(m.n_layers, 2);
    assert_string_equal(m.layers[0].digest, image.one);
    assert_string_equal(m.layers[1].digest, image.two);
    assert_int_equal(imagefile_blob_size(f, image.one, &size), 0);
    assert_int_equal(size, 9);
    assert_int_equal(imagefile_document(f, m.config.digest, &bytes, &len, NULL), 0);
    assert_string_equal(bytes, image.config);
    assert_int_equal(imagefile_blob_size(f, SHA_OF_NOTHING, &size), -ENOENT);
    assert_int_equal(imagefile_document(f, SHA_OF_NOTHING, &bytes, &len, NULL), -ENOENT);
    check_layers(f);
}

static void check_file(const char *path, size_t n_names)
{
    struct imagefile *f = NULL;
    const struct imagefile_image *images;
    size_t n = 0;

    assert_int_equal(imagefile_open(path, &f, NULL), 0);
    assert_string_equal(imagefile_path(f), path);
    images = imagefile_images(f, &n);
    assert_int_equal(n, n_names);
    assert_string_equal(images[0].reference, "docker.io/t/a:1");
    if (n_names > 1)
        assert_string_equal(images[1].reference, "docker.io/t/a:2");
    check_image(f, &images[n - 1]);
    imagefile_free(f);
}

static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_ZSTD,
                              ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_BZIP2};

static void takes_oci_layouts(void **state)
{
    (void)state;
    write_folder("folder");
    check_file("folder", 1);
    for (size_t i = 0; i < COUNT(filters); i++) {
        write_oci_archive("a.tar", filters[i], "");
        check_file("a.tar", 1);
    }
    write_oci_archive("dots.tar", ARCHIVE_FILTER_NONE, "./");
    check_file("dots.tar", 1);
}

static void takes_docker_archives(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(filters); i++) {
        write_docker_archive("d.tar", filters[i]);
        check_file("d.tar", 2);
    }
}

static void links_lead_to_layers(void **state)
{
    /* Each row: where the layer is, where the link is, what it says. */
    static const struct {
        const char *layer, *path, *target;
        bool is_hard;
    } table[] = {
        {"one.tar", "one/layer.tar", "../one.tar", false},
        {"one/real.tar", "one/layer.tar", "real.tar", false},
        {"x/layer.tar", "one/layer.tar", "../x/layer.tar", false},
        {"one.tar", "one/layer.tar", "one.tar", true},
        {"one.tar", "one/layer.tar", "./one.tar", true},
    };
    auto_free char *config = xasprintf("%s.json", image.config_path + strlen("blobs/sha256/"));

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        const struct piece pieces[] = {
            {.path = config, .text = image.config},
            {.path = table[i].layer, .text = "layer one"},
            {.path = "two/layer.tar", .text = "layer two"},
            {.path = table[i].path, .target = table[i].target, .is_hard = table[i].is_hard},
            {.path = "manifest.json", .text = image.docker},
        };

        write_archive("links.tar", ARCHIVE_FILTER_NONE, pieces, COUNT(pieces));
        check_file("links.tar", 2);
    }
}

static void names_come_from_annotations(void **state)
{
    static const struct {
        const char *annotations, *name; /* NULL: none */
    } table[] = {
        {"\"org.opencontainers.image.ref.name\":\"1\"", NULL},
        {"\"org.opencontainers.image.ref.name\":\"latest\"", NULL},
        {"\"org.opencontainers.image.ref.name\":\"h:5000/x\"", "h:5000/x:latest"},
        {"\"org.opencontainers.image.ref.name\":\"Not/A Name\"", NULL},
        {"\"org.opencontainers.image.ref.name\":7", NULL},
        {"\"org.opencontainers.image.ref.name\":\"1\",\"io.containerd.image.name\":\"docker.io/t/"
         "b:1\"",
         "docker.io/t/b:1"},
        {"\"org.opencontainers.image.ref.name\":\"t/c:1\",\"io.containerd.image.name\":\"t/b:1\"",
         "docker.io/t/b:1"},
        {"\"x\":\"t/b:1\"", NULL},
    };

    (void)state;
    write_folder("folder");
    for (size_t i = 0; i < COUNT(table); i++) {
        const char *old = "\"org.opencontainers.image.ref.name\":\"t/a:1\"";
        const char *at = strstr(image.index, old);
        auto_free char *text = xasprintf("%.*s%s%s", (int)(at - image.index), image.index,
                                         table[i].annotations, at + strlen(old));
        const struct imagefile_image *images;
        struct imagefile *f = NULL;
        size_t n = 0;

        assert_int_equal(fs_write_file("folder/index.json", text, strlen(text), 0644, NULL), 0);
        assert_int_equal(imagefile_open("folder", &f, NULL), 0);
        images = imagefile_images(f, &n);
        assert_int_equal(n, 1);
        if (table[i].name)
            assert_string_equal(images[0].reference, table[i].name);
        else
            assert_null(images[0].reference);
        imagefile_free(f);
    }
}

static void only_a_single_image_is_named(void **state)
{
    struct imagefile *f = NULL;
    auto_err struct err *e = NULL;
    size_t n = 0;

    (void)state;
    write_folder("folder");
    assert_int_equal(imagefile_open("folder", &f, NULL), 0);
    assert_int_equal(imagefile_set_name(f, "x:2", NULL), 0);
    assert_string_equal(imagefile_images(f, &n)[0].reference, "docker.io/library/x:2");
    assert_int_equal(imagefile_set_name(f, "X:2", &e), -EINVAL);
    assert_string_equal(imagefile_images(f, &n)[0].reference, "docker.io/library/x:2");
    imagefile_free(f);
    write_docker_archive("d.tar", ARCHIVE_FILTER_NONE);
    assert_int_equal(imagefile_open("d.tar", &f, NULL), 0);
    assert_int_equal(imagefile_set_name(f, "x:2", &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "'d.tar' holds 2 images"));
    imagefile_free(f);
    imagefile_free(NULL);
}

static void refused(const char *path, const char *message)
{
    struct imagefile *f = NULL;
    auto_err struct err *e = NULL;

    assert_int_equal(imagefile_open(path, &f, &e), -EBADMSG);
    assert_null(f);
    if (!strstr(err_text(e), message))
        assert_string_equal(err_text(e), message);
}

static void refuses_what_is_neither(void **state)
{
    struct imagefile *f = NULL;

    (void)state;
    assert_int_equal(imagefile_open("absent", &f, NULL), -ENOENT);
    assert_int_equal(fs_mkdirs("empty", 0755, NULL), 0);
    refused("empty", "has no folder blobs/sha256/");
    assert_int_equal(fs_mkdirs("bare/blobs/sha256", 0755, NULL), 0);
    refused("bare", "neither an OCI layout nor a docker archive");
    assert_int_equal(fs_write_file("text", "hello\n", 6, 0644, NULL), 0);
    refused("text", "'text'");
    assert_int_equal(fs_write_file("nothing", "", 0, 0644, NULL), 0);
    refused("nothing", "'nothing'");
    write_archive("other.tar", ARCHIVE_FILTER_NONE, &(struct piece){.path = "a", .text = "b"}, 1);
    refused("other.tar", "neither an OCI layout nor a docker archive");
}

static void refuses_odd_paths(void **state)
{
    static const char *const paths[] = {"/etc/passwd", "../x", "a/../b", "a//b", "a\nb", "."};

    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        const struct piece pieces[] = {{.path = "oci-layout", .text = LAYOUT},
                                       {.path = "index.json", .text = image.index},
                                       {.path = paths[i], .text = "x"}};

        write_archive("odd.tar", ARCHIVE_FILTER_NONE, pieces, COUNT(pieces));
        refused("odd.tar", "which is refused");
    }
}

static void refuses_docker_archives_that_lack_something(void **state)
{
    auto_free char *config = xasprintf("%s.json", image.config_path + strlen("blobs/sha256/"));
    const struct {
        const char *manifest, *config, *layer, *message;
    } table[] = {
        {"{}", image.config, "one/layer.tar", "is no list"},
        {"[]", image.config, "one/layer.tar", "holds no image"},
        {"[7]", image.config, "one/layer.tar", "configuration of an image is not in"},
        {"[{}]", image.config, "one/layer.tar", "configuration of an image is not in"},
        {"[{\"Config\":\"absent.json\"}]", image.config, "one/layer.tar",
         "configuration of an image"},
        {image.docker, "{", "one/layer.tar", "not valid JSON"},
        {image.docker, "{}", "one/layer.tar", "'"},
        {image.docker, image.config, "other/layer.tar",
         "layer 'one/layer.tar' is not in 'bad.tar'"},
        {"[{", image.config, "one/layer.tar", "manifest.json in 'bad.tar'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        const struct piece pieces[] = {{.path = config, .text = table[i].config},
                                       {.path = table[i].layer, .text = "layer one"},
                                       {.path = "two/layer.tar", .text = "layer two"},
                                       {.path = "manifest.json", .text = table[i].manifest}};

        write_archive("bad.tar", ARCHIVE_FILTER_NONE, pieces, COUNT(pieces));
        refused("bad.tar", table[i].message);
    }
}

static void a_changed_configuration_is_found(void **state)
{
    auto_free char *config = xasprintf("%s.json", image.config_path + strlen("blobs/sha256/"));
    auto_free char *changed = xstrdup(image.config);
    const struct piece pieces[] = {{.path = config, .text = changed},
                                   {.path = "one/layer.tar", .text = "layer one"},
                                   {.path = "two/layer.tar", .text = "layer two"},
                                   {.path = "manifest.json", .text = image.docker}};

    (void)state;
    memcpy(strstr(changed, "amd64"), "arm64", 5);
    write_archive("d.tar", ARCHIVE_FILTER_NONE, pieces, COUNT(pieces));
    refused("d.tar", "has a wrong SHA-256");
}

static void a_changed_document_is_found_when_it_is_read(void **state)
{
    auto_free char *path = xasprintf("folder/%s", image.manifest_path);
    auto_free char *changed = xstrdup(image.manifest);
    auto_err struct err *e = NULL;
    struct imagefile *f = NULL;
    const char *bytes = NULL;
    size_t n = 0, len = 0;

    (void)state;
    write_folder("folder");
    changed[strlen(changed) - 4] ^= 1;
    assert_int_equal(fs_write_file(path, changed, strlen(changed), 0644, NULL), 0);
    assert_int_equal(imagefile_open("folder", &f, NULL), 0);
    assert_int_equal(imagefile_document(f, imagefile_images(f, &n)[0].manifest.digest, &bytes, &len,
                                        &e),
                     -EBADMSG);
    assert_non_null(strstr(err_text(e), "has a wrong SHA-256"));
    imagefile_free(f);
}

static void links_in_a_folder_are_not_followed(void **state)
{
    auto_free char *path = xasprintf("folder/%s", image.one_path);
    struct imagefile *f = NULL;
    int64_t size = 0;

    (void)state;
    write_folder("folder");
    assert_int_equal(rename(path, "outside"), 0);
    assert_int_equal(symlink("../../../outside", path), 0);
    assert_int_equal(imagefile_open("folder", &f, NULL), 0);
    assert_int_equal(imagefile_blob_size(f, image.one, &size), -ENOENT);
    imagefile_free(f);
}

static void links_that_lead_nowhere_end(void **state)
{
    auto_free char *config = xasprintf("%s.json", image.config_path + strlen("blobs/sha256/"));
    static const char *const targets[] = {"../one/layer.tar", "layer.tar", "../../x", "/etc/passwd",
                                          "../a"};

    (void)state;
    for (size_t i = 0; i < COUNT(targets); i++) {
        const struct piece pieces[] = {{.path = config, .text = image.config},
                                       {.path = "one/layer.tar", .target = targets[i]},
                                       {.path = "two/layer.tar", .text = "layer two"},
                                       {.path = "manifest.json", .text = image.docker}};

        write_archive("loop.tar", ARCHIVE_FILTER_NONE, pieces, COUNT(pieces));
        refused("loop.tar", "layer 'one/layer.tar' is not in 'loop.tar'");
    }
}

static void a_short_archive_is_refused(void **state)
{
    static const off_t lengths[] = {700, 1500, 3000};

    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        write_docker_archive("d.tar", ARCHIVE_FILTER_NONE);
        assert_int_equal(truncate("d.tar", lengths[i]), 0);
        refused("d.tar", "'d.tar'");
    }
}

static int make_all(void **state)
{
    (void)state;
    make_image();
    return 0;
}

static int free_all(void **state)
{
    char *const all[] = {image.config,      image.manifest,      image.index,    image.docker,
                         image.config_path, image.manifest_path, image.one_path, image.two_path};

    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        free(all[i]);
    return 0;
}

#define test(name) cmocka_unit_test_setup_teardown(name, tempdir_enter, tempdir_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(takes_oci_layouts),
        test(takes_docker_archives),
        test(links_lead_to_layers),
        test(names_come_from_annotations),
        test(only_a_single_image_is_named),
        test(refuses_what_is_neither),
        test(refuses_odd_paths),
        test(refuses_docker_archives_that_lack_something),
        test(a_changed_configuration_is_found),
        test(a_changed_document_is_found_when_it_is_read),
        test(links_in_a_folder_are_not_followed),
        test(links_that_lead_nowhere_end),
        test(a_short_archive_is_refused),
    };

    return cmocka_run_group_tests(tests, make_all, free_all);
}
