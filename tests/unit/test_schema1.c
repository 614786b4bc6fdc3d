/*
 * Schema 1 to schema 2. tests/data/schema1/signed.json was signed by the registry of Debian 12
 * (distribution 2.8.2), which named its digest in Docker-Content-Digest.
 */
#include "fs.h"
#include "json.h"
#include "mem.h"
#include "schema1.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIGNED "tests/data/schema1/signed.json"
#define SIGNED_DIGEST "sha256:c6bb843e1ed2a42b8401820cb4073cf1cdbd382a0ba6211e786f46e5b52ab54b"
#define LOWER "sha256:af7c0561eca49ff142f8c7d89e21db27ac874e228242920f5a8f542cf3dcce34"
#define UPPER "sha256:bb66e7a59afa6020a52ac9a1de4ba65af80ab641d314bdde5006709803de0103"
#define D1 DIGEST_PREFIX "1111111111111111111111111111111111111111111111111111111111111111"
#define D2 DIGEST_PREFIX "2222222222222222222222222222222222222222222222222222222222222222"
#define D3 DIGEST_PREFIX "3333333333333333333333333333333333333333333333333333333333333333"

static void load(struct buf *out)
{
    buf_init(out, MANIFEST_MAX_SIZE);
    assert_int_equal(fs_read_file(SIGNED, out, NULL), 0);
}

static void reads_what_a_registry_signed(void **state)
{
    auto_schema1 struct schema1 s = {.n_layers = 0};
    auto_buf struct buf text;
    auto_err struct err *e = NULL;
    char platform[PLATFORM_TEXT];

    (void)state;
    load(&text);
    if (schema1_parse(text.data, text.len, &s, &e) < 0)
        fail_msg("%s", err_text(e));
    assert_string_equal(s.digest, SIGNED_DIGEST);
    assert_string_equal(platform_format(&s.platform, platform), "linux/amd64");
    assert_int_equal(s.n_layers, 2);
    assert_string_equal(s.layers[0].digest, LOWER);
    assert_string_equal(s.layers[1].digest, UPPER);
}

/* The configuration keeps what the image had, down to the spelling of strings and numbers. */
static void renders_the_configuration(void **state)
{
    static const char expected[] =
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"author\":\"A \\u003ca@b\\u003e\","
        "\"config\":{\"Env\":[\"PATH=/bin\"],\"Cmd\":[\"/bin/sh\",\"-c\",\"a \\u0026 \\\"b\\\" "
        "\\u003cx\\u003e\"],\"Labels\":{\"n\":\"12345678901234567890\"}},"
        "\"created\":\"2016-01-02T03:04:05Z\",\"docker_version\":\"1.12.6\",\"history\":["
        "{\"created\":\"2016-01-01T00:00:00Z\",\"created_by\":\"/bin/sh -c #(nop) ADD file:x in / "
        "\"},"
        "{\"created\":\"2016-01-01T00:00:01Z\",\"created_by\":\"/bin/sh -c #(nop) ENV A=1\","
        "\"empty_layer\":true},"
        "{\"created\":\"2016-01-02T00:00:01Z\",\"author\":\"A <a@b>\",\"created_by\":\"/bin/sh -c "
        "make \\\"x\\\"\",\"comment\":\"c\"},"
        "{\"created\":\"2016-01-02T03:04:05Z\",\"author\":\"A <a@b>\",\"empty_layer\":true}],"
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\",\"" D2 "\"]}}";
    static const char diff_ids[][DIGEST_SIZE] = {D1, D2};
    auto_schema1 struct schema1 s = {.n_layers = 0};
    auto_schema1_documents struct schema1_documents d = {.config_digest = ""};
    auto_config struct image_config c = {.n_diff_ids = 0};
    auto_manifest struct manifest m = {.n_layers = 0};
    auto_buf struct buf text;
    char digest[DIGEST_SIZE];

    (void)state;
    load(&text);
    assert_int_equal(schema1_parse(text.data, text.len, &s, NULL), 0);
    s.layers[0].size = 103;
    s.layers[1].size = 105;
    assert_int_equal(schema1_render(&s, diff_ids, &d, NULL), 0);
    assert_string_equal(d.config.data, expected);
    assert_int_equal(image_config_parse(d.config.data, d.config.len, &c, NULL), 0);
    assert_int_equal(c.n_diff_ids, 2);
    hash_digest(d.config.data, d.config.len, digest);
    assert_string_equal(digest, d.config_digest);

    assert_int_equal(manifest_parse(d.manifest.data, d.manifest.len, MT_DOCKER_MANIFEST, &m, NULL),
                     0);
    assert_string_equal(m.config.digest, d.config_digest);
    assert_int_equal(m.config.size, d.config.len);
    assert_int_equal(m.n_layers, 2);
    assert_string_equal(m.layers[1].digest, UPPER);
    assert_string_equal(m.layers[1].media_type, MT_DOCKER_LAYER_GZIP);
    assert_int_equal(m.layers[1].size, 105);
    hash_digest(d.manifest.data, d.manifest.len, digest);
    assert_string_equal(digest, d.manifest_digest);
}

static void lengths_do_not_depend_on_diff_ids(void **state)
{
    static const char diff_ids[][DIGEST_SIZE] = {D3, D1};
    auto_schema1 struct schema1 s = {.n_layers = 0};
    auto_buf struct buf text;

    (void)state;
    load(&text);
    assert_int_equal(schema1_parse(text.data, text.len, &s, NULL), 0);
    for (int64_t size = 1; size < LAYER_MAX_SIZE; size *= 7) {
        auto_schema1_documents struct schema1_documents before = {.config_digest = ""};
        auto_schema1_documents struct schema1_documents after = {.config_digest = ""};

        s.layers[0].size = size;
        s.layers[1].size = size / 3 + 1;
        assert_int_equal(schema1_render(&s, NULL, &before, NULL), 0);
        assert_int_equal(schema1_render(&s, diff_ids, &after, NULL), 0);
        assert_int_equal(before.config.len, after.config.len);
        assert_int_equal(before.manifest.len, after.manifest.len);
        assert_string_not_equal(before.config_digest, after.config_digest);
    }
}

/* An unsigned manifest of `n` steps, newest first: blob and v1Compatibility of each. */
static char *unsigned_manifest(const char *const (*steps)[2], size_t n)
{
    auto_json cJSON *tree = cJSON_CreateObject();
    cJSON *layers = cJSON_AddArrayToObject(tree, "fsLayers");
    cJSON *history = cJSON_AddArrayToObject(tree, "history");

    json_add_int(tree, "schemaVersion", 1);
    json_add_str(tree, "architecture", "arm64");
    for (size_t i = 0; i < n; i++) {
        cJSON *layer = cJSON_CreateObject(), *entry = cJSON_CreateObject();

        json_add_str(layer, "blobSum", steps[i][0]);
        json_add_str(entry, "v1Compatibility", steps[i][1]);
        (void)cJSON_AddItemToArray(layers, layer);
        (void)cJSON_AddItemToArray(history, entry);
    }
    return json_print(tree);
}

static void drops_layers_that_hold_nothing(void **state)
{
    static const char *const steps[][2] = {
        {D3, "{\"id\":\"d\",\"parent\":\"c\",\"throwaway\":true}"},
        {SCHEMA1_EMPTY_LAYER, "{\"id\":\"c\",\"parent\":\"b\"}"},
        {D2, "{\"id\":\"b\",\"parent\":\"a\",\"throwaway\":false,\"container_config\":"
             "{\"Cmd\":[\"sh\",\"-c\",\"x\"]}}"},
        {D1, "{\"id\":\"a\",\"container_config\":{\"Cmd\":null}}"},
    };
    auto_free char *text = unsigned_manifest(steps, 4);
    auto_schema1 struct schema1 s = {.n_layers = 0};
    auto_err struct err *e = NULL;
    char digest[DIGEST_SIZE];

    (void)state;
    if (schema1_parse(text, strlen(text), &s, &e) < 0)
        fail_msg("%s", err_text(e));
    assert_int_equal(s.n_layers, 2);
    assert_string_equal(s.layers[0].digest, D1);
    assert_string_equal(s.layers[1].digest, D2);
    assert_string_equal(
        s.history,
        "[{},{\"created_by\":\"sh -c x\"},{\"empty_layer\":true},{\"empty_layer\":true}]");
    hash_digest(text, strlen(text), digest);
    assert_string_equal(s.digest, digest);
    assert_string_equal(s.platform.arch, "arm64");
    assert_string_equal(s.platform.os, "linux");
}

/* docker up to 1.9 sometimes pushed one entry twice in a row. */
static void drops_repeated_entries(void **state)
{
    static const char *const steps[][2] = {
        {D3, "{\"id\":\"b\",\"parent\":\"a\",\"comment\":\"new\"}"},
        {D2, "{\"id\":\"b\",\"parent\":\"a\",\"comment\":\"old\"}"},
        {D1, "{\"id\":\"a\"}"},
    };
    auto_free char *text = unsigned_manifest(steps, 3);
    auto_schema1 struct schema1 s = {.n_layers = 0};

    (void)state;
    assert_int_equal(schema1_parse(text, strlen(text), &s, NULL), 0);
    assert_int_equal(s.n_layers, 2);
    assert_string_equal(s.layers[1].digest, D2);
    assert_string_equal(s.members, ",\"comment\":\"old\"");
}

/* Members come over as they are written; those with a meaning of their own are written anew. */
static void takes_members_over(void **state)
{
    static const char *const steps[][2] = {{
        D1,
        " { \"id\" : \"a\", \"Size\":5, \"big\": 123456789012345678901 ,\"s\":\"},:\\\"{\","
        "\"o\":{\"a\":[1,{\"b\":\",\"}]},\"rootfs\":{\"type\":\"x\"},\"history\":[1],"
        "\"architecture\":\"aarch64\",\"variant\":\"v8\",\"os\":\"\",\"r\\u006f\":1 } ",
    }};
    auto_free char *text = unsigned_manifest(steps, 1);
    auto_schema1 struct schema1 s = {.n_layers = 0};
    auto_schema1_documents struct schema1_documents d = {.config_digest = ""};

    (void)state;
    assert_int_equal(schema1_parse(text, strlen(text), &s, NULL), 0);
    s.layers[0].size = 1;
    assert_int_equal(schema1_render(&s, NULL, &d, NULL), 0);
    assert_string_equal(
        d.config.data,
        "{\"architecture\":\"arm64\",\"os\":\"linux\", \"big\": 123456789012345678901 ,"
        "\"s\":\"},:\\\"{\",\"o\":{\"a\":[1,{\"b\":\",\"}]},\"r\\u006f\":1 ,"
        "\"history\":[{}],\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST_PREFIX
        "0000000000000000000000000000000000000000000000000000000000000000\"]}}");
}

static void refuses_steps(void **state)
{
    static const struct {
        const char *newest, *oldest, *why;
    } table[] = {
        {"{\"id\":\"b\",\"parent\":\"x\"}", "{\"id\":\"a\"}",
         "history entry 1 names the parent 'x', the entry behind it is 'a'"},
        {"{\"id\":\"b\",\"parent\":\"a\"}", "{\"id\":\"a\",\"parent\":\"z\"}",
         "history entry 2 names the parent 'z', the entry behind it is ''"},
        {"{\"id\":\"b\"}", "{\"id\":\"a\"}", "history entry 1 names the parent ''"},
        {"{\"parent\":\"a\"}", "{\"id\":\"a\"}", "history entry 1: it has no id"},
        {"[]", "{\"id\":\"a\"}", "history entry 1: its v1Compatibility is not a JSON object"},
        {"{", "{\"id\":\"a\"}", "history entry 1: not valid JSON"},
        {"{\"id\":\"b\",\"parent\":\"a\",\"ID\":\"c\"}", "{\"id\":\"a\"}", "'id' is there twice"},
        {"{\"id\":\"b\",\"parent\":\"a\",\"os\":[]}", "{\"id\":\"a\"}", "'os' is not a string"},
        {"{\"id\":\"b\",\"parent\":\"a\",\"os\":\"a/b\"}", "{\"id\":\"a\"}", "its platform"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *const steps[][2] = {{D2, table[i].newest}, {D1, table[i].oldest}};
        auto_free char *text = unsigned_manifest(steps, 2);
        struct schema1 s = {.n_layers = 0};
        auto_err struct err *e = NULL;

        assert_int_equal(schema1_parse(text, strlen(text), &s, &e), -EBADMSG);
        if (!strstr(err_text(e), table[i].why))
            fail_msg("%zu: %s", i, err_text(e));
        assert_null(s.layers);
    }
}

#define LAYER "{\"blobSum\":\"" D1 "\"}"
#define ENTRY "{\"v1Compatibility\":\"{\\\"id\\\":\\\"a\\\"}\"}"

static void refuses_documents(void **state)
{
    static const struct {
        const char *text, *why;
    } table[] = {
        {"{\"schemaVersion\":2,\"fsLayers\":[" LAYER "],\"history\":[" ENTRY "]}",
         "not a schema 1 manifest"},
        {"{\"schemaVersion\":1,\"fsLayers\":[],\"history\":[]}", "fsLayers has not 1 to 1024"},
        {"{\"schemaVersion\":1,\"fsLayers\":[" LAYER "],\"history\":[]}", "differ in length"},
        {"{\"schemaVersion\":1,\"fsLayers\":[{\"blobSum\":\"sha256:1\"}],\"history\":[" ENTRY "]}",
         "blobSum is not"},
        {"{\"schemaVersion\":1,\"fsLayers\":[" LAYER "],\"history\":[{}]}", "no v1Compatibility"},
        {"{\"schemaVersion\":1,\"fsLayers\":[" LAYER "],\"history\":[" ENTRY "],\"History\":[]}",
         "'history' is there twice or in another case"},
        {"{\"schemaVersion\":1,\"signatures\":[{}]}", "no protected header"},
        {"{\"schemaVersion\":1,\"signatures\":[{\"protected\":\"!!\"}]}", "no protected header"},
        {"{\"schemaVersion\":1,\"signatures\":[{\"protected\":\"e30\"}]}", "lacks formatLength"},
        /* {"formatLength":9999,"formatTail":"fQ"} */
        {"{\"schemaVersion\":1,\"signatures\":[{\"protected\":"
         "\"eyJmb3JtYXRMZW5ndGgiOjk5OTksImZvcm1hdFRhaWwiOiJmUSJ9\"}]}",
         "longer than the manifest"},
        {"[1]", "not a schema 1 manifest"},
        {"", "not valid JSON"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct schema1 s = {.n_layers = 0};
        auto_err struct err *e = NULL;

        assert_int_equal(schema1_parse(table[i].text, strlen(table[i].text), &s, &e), -EBADMSG);
        if (!strstr(err_text(e), table[i].why))
            fail_msg("%zu: %s", i, err_text(e));
    }
}

/* What stands outside the signed part is not read. */
static void reads_the_payload_only(void **state)
{
    auto_schema1 struct schema1 s = {.n_layers = 0};
    auto_buf struct buf text, payload;
    char *signatures;

    (void)state;
    buf_init(&payload, MANIFEST_MAX_SIZE);
    load(&text);
    signatures = strstr(text.data, "\"signatures\"");
    assert_non_null(signatures);
    assert_int_equal(schema1_payload(text.data, text.len, &payload, NULL), 0);
    assert_int_equal(payload.len, 2011);
    assert_null(strstr(payload.data, "signatures"));
    /* A changed byte of the payload is a changed digest; of the rest it is not. */
    memcpy(strstr(signatures, "P-256"), "P-999", 5);
    assert_int_equal(schema1_parse(text.data, text.len, &s, NULL), 0);
    assert_string_equal(s.digest, SIGNED_DIGEST);
    schema1_release(&s);
    memcpy(strstr(text.data, "t/img"), "u/img", 5);
    assert_int_equal(schema1_parse(text.data, text.len, &s, NULL), 0);
    assert_string_not_equal(s.digest, SIGNED_DIGEST);
}

static void signatures_must_agree(void **state)
{
    /* {"formatLength":1,"formatTail":"fQ"} and {"formatLength":2,"formatTail":"fQ"} */
    static const char text[] =
        "{\"signatures\":[{\"protected\":\"eyJmb3JtYXRMZW5ndGgiOjEsImZvcm1hdFRhaWwiOiJmUSJ9\"},"
        "{\"protected\":\"eyJmb3JtYXRMZW5ndGgiOjIsImZvcm1hdFRhaWwiOiJmUSJ9\"}]}";
    auto_buf struct buf payload;
    auto_err struct err *e = NULL;

    (void)state;
    buf_init(&payload, 100);
    assert_int_equal(schema1_payload(text, strlen(text), &payload, &e), -EBADMSG);
    assert_string_equal(err_text(e), "the signatures sign different payloads");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_a_registry_signed),
        cmocka_unit_test(renders_the_configuration),
        cmocka_unit_test(lengths_do_not_depend_on_diff_ids),
        cmocka_unit_test(drops_layers_that_hold_nothing),
        cmocka_unit_test(drops_repeated_entries),
        cmocka_unit_test(takes_members_over),
        cmocka_unit_test(refuses_steps),
        cmocka_unit_test(refuses_documents),
        cmocka_unit_test(reads_the_payload_only),
        cmocka_unit_test(signatures_must_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
