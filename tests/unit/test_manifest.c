/* Manifests, indexes and configurations: what is read from good ones, what is refused and why. */
#include "buf.h"
#include "manifest.h"
#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define D1 DIGEST_PREFIX "1111111111111111111111111111111111111111111111111111111111111111"
#define D2 DIGEST_PREFIX "2222222222222222222222222222222222222222222222222222222222222222"
#define D3 DIGEST_PREFIX "3333333333333333333333333333333333333333333333333333333333333333"

#define DESC(type, digest, size)                                                                   \
    "{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":" size "}"
#define CONFIG "\"config\":" DESC(MT_OCI_CONFIG, D1, "100")
#define LAYERS "\"layers\":[" DESC(MT_OCI_LAYER_GZIP, D2, "200") "]"
#define V2 "\"schemaVersion\":2"
#define TYPE(type) "\"mediaType\":\"" type "\""
#define SCHEMA1 "{\"schemaVersion\":1,\"fsLayers\":[],\"history\":[]"

static int parse(const char *text, const char *type, struct manifest *out, struct err **e)
{
    return manifest_parse(text, strlen(text), type, out, e);
}

static void reads_an_image(void **state)
{
    static const char text[] = "{" V2 "," TYPE(MT_DOCKER_MANIFEST) ",\"config\":" DESC(
        MT_DOCKER_CONFIG, D1, "7023") ",\"layers\":[" DESC(MT_DOCKER_LAYER_GZIP, D2,
                                                           "32654") "," DESC(MT_OCI_LAYER_ZSTD, D3,
                                                                             "1099511627776") "]}";
    auto_manifest struct manifest m = {.n_layers = 0};

    (void)state;
    assert_int_equal(parse(text, MT_DOCKER_MANIFEST "; charset=utf-8", &m, NULL), 0);
    assert_int_equal(m.kind, MANIFEST_IMAGE);
    assert_string_equal(m.media_type, MT_DOCKER_MANIFEST);
    assert_string_equal(m.config.media_type, MT_DOCKER_CONFIG);
    assert_string_equal(m.config.digest, D1);
    assert_int_equal(m.config.size, 7023);
    assert_int_equal(m.n_layers, 2);
    assert_string_equal(m.layers[0].digest, D2);
    assert_false(media_type_is_zstd(m.layers[0].media_type));
    assert_true(media_type_is_zstd(m.layers[1].media_type));
    assert_int_equal(m.layers[1].size, LAYER_MAX_SIZE);
}

static void reads_an_index(void **state)
{
    static const char text[] =
        "{" V2 ",\"manifests\":["
        "{\"mediaType\":\"" MT_OCI_MANIFEST "\",\"digest\":\"" D1 "\",\"size\":5,"
        "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}},"
        "{\"mediaType\":\"application/vnd.acme.thing\",\"digest\":\"" D2 "\",\"size\":5},"
        "{\"mediaType\":\"" MT_OCI_MANIFEST "\",\"digest\":\"" D2 "\",\"size\":6,"
        "\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
        "{\"mediaType\":\"" MT_OCI_INDEX "\",\"digest\":\"" D3 "\",\"size\":7}]}";
    auto_manifest struct manifest m = {.n_layers = 0};

    (void)state;
    assert_int_equal(parse(text, NULL, &m, NULL), 0);
    assert_int_equal(m.kind, MANIFEST_INDEX);
    assert_string_equal(m.media_type, MT_OCI_INDEX);
    assert_int_equal(m.n_children, 3);
    assert_true(m.children[0].has_platform);
    assert_string_equal(m.children[0].platform.arch, "arm64");
    assert_string_equal(m.children[0].platform.variant, "");
    assert_false(m.children[0].is_attestation);
    assert_true(m.children[1].is_attestation);
    assert_false(m.children[2].has_platform);
    assert_string_equal(m.children[2].digest, D3);
}

/* Header, mediaType and shape together give the kind and the type, or a refusal. */
static void decides_the_kind(void **state)
{
    static const struct {
        const char *text, *content_type;
        int kind; /* -1: refused */
        const char *type;
    } table[] = {
        {"{" V2 "," CONFIG "," LAYERS "}", NULL, MANIFEST_IMAGE, MT_OCI_MANIFEST},
        {"{" V2 "," CONFIG "," LAYERS "}", "application/json", MANIFEST_IMAGE, MT_OCI_MANIFEST},
        {"{" V2 "," CONFIG "," LAYERS "}", MT_DOCKER_MANIFEST, MANIFEST_IMAGE, MT_DOCKER_MANIFEST},
        {"{" V2 "," CONFIG "," LAYERS "}", " Application/vnd.oci.image.manifest.v1+JSON ; a=b",
         MANIFEST_IMAGE, MT_OCI_MANIFEST},
        {"{" V2 "," CONFIG "," LAYERS "}", MT_OCI_INDEX, -1, NULL},
        {"{" V2 "," TYPE(MT_OCI_MANIFEST) "," CONFIG "," LAYERS "}", "text/plain", MANIFEST_IMAGE,
         MT_OCI_MANIFEST},
        {"{" V2 "," TYPE(MT_OCI_MANIFEST) "," CONFIG "," LAYERS "}", MT_DOCKER_MANIFEST, -1, NULL},
        {"{" V2 "," TYPE(MT_OCI_INDEX) "," CONFIG "," LAYERS "}", NULL, -1, NULL},
        {"{" V2 "," TYPE("application/vnd.acme") "," CONFIG "," LAYERS "}", NULL, -1, NULL},
        {"{" V2 "," TYPE(MT_DOCKER_LIST) ",\"manifests\":[]}", NULL, MANIFEST_INDEX,
         MT_DOCKER_LIST},
        {"{" V2 ",\"manifests\":[]}", NULL, MANIFEST_INDEX, MT_OCI_INDEX},
        {"{" V2 ",\"manifests\":[]," CONFIG "," LAYERS "}", NULL, -1, NULL},
        {"{" V2 "," TYPE(MT_OCI_INDEX) ",\"manifests\":[],\"layers\":[]}", NULL, -1, NULL},
        {"{" V2 "," LAYERS "}", NULL, -1, NULL},
        {"{" V2 "," CONFIG "}", NULL, -1, NULL},
        {"{\"schemaVersion\":3," CONFIG "," LAYERS "}", NULL, -1, NULL},
        {"{" CONFIG "," LAYERS "}", NULL, -1, NULL},
        {SCHEMA1 "}", NULL, MANIFEST_SCHEMA1, MT_DOCKER_SCHEMA1},
        {SCHEMA1 ",\"signatures\":[]}", MT_DOCKER_SCHEMA1, MANIFEST_SCHEMA1,
         MT_DOCKER_SCHEMA1_SIGNED},
        {SCHEMA1 "," CONFIG "," LAYERS "}", NULL, -1, NULL},
        {"[]", NULL, -1, NULL},
        {"null", NULL, -1, NULL},
        {"", NULL, -1, NULL},
        {"{}", NULL, -1, NULL},
        {"{" V2 "," CONFIG "," LAYERS "} x", NULL, -1, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_manifest struct manifest m = {.n_layers = 0};
        auto_err struct err *e = NULL;
        int r = parse(table[i].text, table[i].content_type, &m, &e);

        if (table[i].kind < 0) {
            assert_int_equal(r, -EBADMSG);
            assert_null(m.media_type);
            continue;
        }
        if (r < 0)
            fail_msg("%s: %s", table[i].text, err_text(e));
        assert_int_equal((int)m.kind, table[i].kind);
        assert_string_equal(m.media_type, table[i].type);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *text, *why;
    } table[] = {
        {"{" V2 "," CONFIG ",\"layers\":[" DESC(MT_OCI_LAYER, "sha256:22", "1") "]}",
         "layer 1: its digest 'sha256:22'"},
        {"{" V2 "," CONFIG ",\"layers\":[" DESC(MT_OCI_LAYER, D2, "0") "]}", "layer 1: its size"},
        {"{" V2 "," CONFIG ",\"layers\":[" DESC(MT_OCI_LAYER, D2, "-1") "]}", "its size"},
        {"{" V2 "," CONFIG ",\"layers\":[" DESC(MT_OCI_LAYER, D2, "1.5") "]}", "its size"},
        {"{" V2 "," CONFIG ",\"layers\":[" DESC(MT_OCI_LAYER, D2, "\"1\"") "]}", "its size"},
        {"{" V2 "," CONFIG ",\"layers\":[" DESC(MT_OCI_LAYER, D2, "1099511627777") "]}",
         "its size"},
        {"{" V2 "," CONFIG ",\"layers\":[" DESC(MT_OCI_LAYER, D2, "1") ",7]}",
         "layer 2: it is not an object"},
        {"{" V2 "," CONFIG
         ",\"layers\":[" DESC("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", D2,
                              "9") "]}",
         "foreign layers"},
        {"{" V2 "," CONFIG
         ",\"layers\":[" DESC("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", D2,
                              "9") "]}",
         "not a layer that a container runtime unpacks"},
        {"{" V2 "," CONFIG ",\"layers\":[" DESC(MT_OCI_CONFIG, D2, "9") "]}", "not a layer"},
        {"{" V2 ",\"config\":" DESC("application/vnd.cncf.helm.config.v1+json", D1, "9") "," LAYERS
                                                                                         "}",
         "artifact of another kind"},
        {"{" V2 ",\"config\":" DESC(MT_OCI_CONFIG, D1, "8388609") "," LAYERS "}",
         "configuration: its size"},
        {"{" V2 "," CONFIG "," CONFIG "," LAYERS "}", "'config' is there twice"},
        {"{" V2 "," CONFIG ",\"Layers\":[]," LAYERS "}", "'layers' is there twice or in another"},
        {"{" V2 "," CONFIG ",\"layers\":[{\"DIGEST\":\"" D1
         "\"," TYPE(MT_OCI_LAYER) ",\"digest\":\"" D2 "\",\"size\":1}]}",
         "layer 1: the member 'digest'"},
        {"{" V2 ",\"mediaType\":5," CONFIG "," LAYERS "}", "'mediaType' is not a string"},
        {"{" V2 ",\"manifests\":[" DESC(MT_OCI_MANIFEST, D1, "4194305") "]}",
         "manifest 1 of the index: its size"},
        {"{" V2 ",\"manifests\":[{" TYPE(
             MT_OCI_MANIFEST) ",\"digest\":\"" D1
                              "\",\"size\":1,\"platform\":{\"os\":\"linux\"}}]}",
         "its platform 'linux//' is not one"},
        {"{" V2 ",\"manifests\":[{" TYPE(MT_OCI_MANIFEST) ",\"digest\":\"" D1
                                                          "\",\"size\":1,\"platform\":{\"os\":\"a "
                                                          "b\",\"architecture\":\"x\"}}]}",
         "its platform"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_manifest struct manifest m = {.n_layers = 0};
        auto_err struct err *e = NULL;

        assert_int_equal(parse(table[i].text, NULL, &m, &e), -EBADMSG);
        if (!strstr(err_text(e), table[i].why))
            fail_msg("%s: %s", table[i].text, err_text(e));
    }
}

/* `count` times `item` inside `head` and `tail`. */
static int parse_many(const char *head, const char *item, size_t count, const char *tail)
{
    auto_manifest struct manifest m = {.n_layers = 0};
    auto_buf struct buf text;

    buf_init(&text, MANIFEST_MAX_SIZE);
    (void)buf_addstr(&text, head);
    for (size_t i = 0; i < count; i++)
        (void)buf_addf(&text, "%s%s", i ? "," : "", item);
    assert_int_equal(buf_addstr(&text, tail), 0);
    return manifest_parse(text.data, text.len, NULL, &m, NULL);
}

static void limits(void **state)
{
    static const char layer[] = DESC(MT_OCI_LAYER, D2, "1"), child[] = DESC(MT_OCI_INDEX, D2, "1");
    auto_free char *large = xcalloc(MANIFEST_MAX_SIZE + 1, 1);
    auto_manifest struct manifest m = {.n_layers = 0};

    (void)state;
    assert_int_equal(parse_many("{" V2 "," CONFIG ",\"layers\":[", layer, MANIFEST_MAX_LAYERS,
                                "]}"),
                     0);
    assert_int_equal(parse_many("{" V2 "," CONFIG ",\"layers\":[", layer, MANIFEST_MAX_LAYERS + 1,
                                "]}"),
                     -EBADMSG);
    assert_int_equal(parse_many("{" V2 ",\"manifests\":[", child, MANIFEST_MAX_CHILDREN, "]}"), 0);
    assert_int_equal(parse_many("{" V2 ",\"manifests\":[", child, MANIFEST_MAX_CHILDREN + 1, "]}"),
                     -EBADMSG);
    memset(large, ' ', MANIFEST_MAX_SIZE + 1);
    memcpy(large, "{" V2 ",\"manifests\":[]}", strlen("{" V2 ",\"manifests\":[]}"));
    assert_int_equal(manifest_parse(large, MANIFEST_MAX_SIZE, NULL, &m, NULL), 0);
    manifest_release(&m);
    assert_int_equal(manifest_parse(large, MANIFEST_MAX_SIZE + 1, NULL, &m, NULL), -EBADMSG);
}

static void reads_a_configuration(void **state)
{
    static const char text[] =
        "{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\","
        "\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\",\"" D2 "\"]}}";
    auto_config struct image_config c = {.n_diff_ids = 0};
    char platform[PLATFORM_TEXT];

    (void)state;
    assert_int_equal(image_config_parse(text, strlen(text), &c, NULL), 0);
    assert_string_equal(platform_format(&c.platform, platform), "linux/arm/v7");
    assert_int_equal(c.n_diff_ids, 2);
    assert_string_equal(c.diff_ids[0], D1);
    assert_string_equal(c.diff_ids[1], D2);
}

#define ROOTFS(ids) "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" ids "]}"

static void judges_configurations(void **state)
{
    static const struct {
        const char *text, *why; /* NULL: good */
    } table[] = {
        {"{\"architecture\":\"amd64\"," ROOTFS("") "}", NULL},
        {"{\"os\":\"linux\"," ROOTFS("") "}", "its platform"},
        {"{\"architecture\":\"amd64\"}", "not of the type 'layers'"},
        {"{\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers+base\"}}", "not of the type"},
        {"{\"architecture\":\"amd64\"," ROOTFS("\"sha256:1\"") "}", "diff id 1"},
        {"{\"architecture\":\"amd64\"," ROOTFS("\"" D1 "\",4") "}", "diff id 2"},
        {"{\"architecture\":\"amd64\"," ROOTFS("") ",\"RootFS\":{}}", "'rootfs' is there twice"},
        {"{\"architecture\":{}," ROOTFS("") "}", "'architecture' is not a string"},
        {"[]", "its platform"},
        {"{", "not valid JSON"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_config struct image_config c = {.n_diff_ids = 0};
        auto_err struct err *e = NULL;
        int r = image_config_parse(table[i].text, strlen(table[i].text), &c, &e);

        assert_int_equal(r, table[i].why ? -EBADMSG : 0);
        if (table[i].why && !strstr(err_text(e), table[i].why))
            fail_msg("%s: %s", table[i].text, err_text(e));
    }
}

static void copies_descriptors(void **state)
{
    struct descriptor d = {.media_type = xstrdup(MT_OCI_LAYER), .digest = D1, .size = 5}, copy;

    (void)state;
    descriptor_copy(&copy, &d);
    descriptor_release(&d);
    assert_null(d.media_type);
    assert_string_equal(copy.media_type, MT_OCI_LAYER);
    assert_string_equal(copy.digest, D1);
    assert_int_equal(copy.size, 5);
    descriptor_release(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_an_image),
        cmocka_unit_test(reads_an_index),
        cmocka_unit_test(decides_the_kind),
        cmocka_unit_test(refuses),
        cmocka_unit_test(limits),
        cmocka_unit_test(reads_a_configuration),
        cmocka_unit_test(judges_configurations),
        cmocka_unit_test(copies_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
