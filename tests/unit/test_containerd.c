/* Reading what ctr prints. */
#include "containerd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define TYPE "application/vnd.oci.image.manifest.v1+json"

static const char listed[] =
    "REF                   TYPE   DIGEST   SIZE      PLATFORMS   LABELS                 \n"
    "docker.io/library/a:1 " TYPE " " A " 1.5 MiB   linux/amd64 -                      \n"
    "quay.io/b@" B " " TYPE " " B " 700.0 B   linux/amd64,linux/arm64 x=y,io.cri-containerd"
    ".image=managed,io.cri-containerd.pinned=pinned \n"
    "c:1 " TYPE " " A " -   -   -\n";

static const char checked[] =
    "REF                   TYPE   DIGEST   STATUS         SIZE            UNPACKED \n"
    "docker.io/library/a:1 " TYPE " " A " complete (5/5) 1.5 MiB/1.5 MiB true     \n"
    "quay.io/b@" B " " TYPE " " B " incomplete (1/5) 1.5 MiB/1.5 MiB false \n"
    "c:1 " TYPE " " A " incomplete (2/3) 1.5 MiB/1.5 MiB true \n";

static void reads_the_list(void **state)
{
    struct containerd_images list = {.count = 0};

    (void)state;
    assert_int_equal(containerd_parse_images(listed, &list, NULL), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.images[0].name, "docker.io/library/a:1");
    assert_string_equal(list.images[0].digest, A);
    assert_int_equal(list.images[0].size, 1572864);
    assert_false(list.images[0].pinned);
    assert_string_equal(list.images[1].name, "quay.io/b@" B);
    assert_int_equal(list.images[1].size, 700);
    assert_true(list.images[1].pinned);
    assert_int_equal(list.images[2].size, -1);
    assert_false(list.images[0].usable);
    containerd_parse_check(checked, &list);
    assert_true(list.images[0].usable);
    assert_false(list.images[1].usable);
    assert_true(list.images[2].usable); /* unpacked, though blobs were thrown away since */
    containerd_images_release(&list);
}

static void an_empty_list_is_empty(void **state)
{
    static const char *const table[] = {"", "\n", "REF TYPE DIGEST SIZE PLATFORMS LABELS ",
                                        "REF TYPE DIGEST SIZE PLATFORMS LABELS \n"};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct containerd_images list = {.count = 7};

        assert_int_equal(containerd_parse_images(table[i], &list, NULL), 0);
        assert_int_equal(list.count, 0);
        containerd_parse_check(table[i], &list);
    }
}

static void other_text_is_refused(void **state)
{
    static const char *const table[] = {
        "a:1\n",
        "a:1 type\n",
        "a:1 type sha256:abc 1 MiB - -\n",
        "a:1 " TYPE " " A " 1 MiB - -\n\nb:1 " TYPE " " B " 1 MiB - -\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct containerd_images list = {.count = 7};
        auto_err struct err *e = NULL;

        assert_int_equal(containerd_parse_images(table[i], &list, &e), -EPROTO);
        assert_int_equal(list.count, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_list),
        cmocka_unit_test(an_empty_list_is_empty),
        cmocka_unit_test(other_text_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
