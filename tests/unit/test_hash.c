/* SHA-256 against the examples of FIPS 180-4, and what a digest looks like. */
#include "hash.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define MILLION "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void knows_the_standards_examples(void **state)
{
    static const char *const table[][2] = {
        {"", EMPTY},
        {"abc", ABC},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char digest[DIGEST_SIZE];

        hash_digest(table[i][0], strlen(table[i][0]), digest);
        assert_string_equal(digest, table[i][1]);
    }
}

static void takes_bytes_in_any_pieces_and_starts_over(void **state)
{
    auto_hash struct hash *h = hash_new();
    auto_free char *text = xmalloc(1000000);
    char digest[DIGEST_SIZE];

    (void)state;
    memset(text, 'a', 1000000);
    for (size_t piece = 1; piece <= 1000000; piece *= 10) {
        for (size_t at = 0; at < 1000000; at += piece)
            hash_update(h, text + at, piece);
        hash_final(h, digest);
        assert_string_equal(digest, MILLION);
    }
    hash_update(h, "junk", 4);
    hash_reset(h);
    hash_update(h, "abc", 3);
    hash_final(h, digest);
    assert_string_equal(digest, ABC);
    hash_final(h, digest);
    assert_string_equal(digest, EMPTY);
}

/* The examples of the FNV draft. */
static void hashes_texts(void **state)
{
    (void)state;
    assert_true(hash_text("") == 0xcbf29ce484222325u);
    assert_true(hash_text("a") == 0xaf63dc4c8601ec8cu);
    assert_true(hash_text("foobar") == 0x85944171f73967e8u);
}

static void tells_digests_from_other_texts(void **state)
{
    static const char *const bad[] = {
        NULL,
        "",
        "sha256:",
        ABC "0",
        "SHA256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:a7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        " " ABC,
        ABC "\n",
    };

    (void)state;
    assert_true(digest_is_valid(ABC));
    assert_string_equal(digest_hex(ABC), &ABC[7]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(digest_is_valid(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_standards_examples),
        cmocka_unit_test(takes_bytes_in_any_pieces_and_starts_over),
        cmocka_unit_test(hashes_texts),
        cmocka_unit_test(tells_digests_from_other_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
