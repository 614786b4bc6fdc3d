/* The folder as a tar: what is sent, that it reads back, and hostile answers. */
#include "addons_tar.h"
#include "fs.h"
#include "mem.h"
#include "tempdir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void put(const char *path, const char *text)
{
    assert_int_equal(fs_write_file(path, text, strlen(text), 0600, NULL), 0);
}

static void goes_there_and_back(void **state)
{
    auto_addons_listing struct addons_listing sent = {.n_items = 0}, back = {.n_items = 0};
    auto_buf struct buf tar;

    (void)state;
    assert_int_equal(fs_mkdirs("d/sub", 0700, NULL), 0);
    put("d/b.yml", "b: 1\n");
    put("d/a.yml", "");
    put("d/sub/c", "text");
    put("d/.hidden", "no");
    assert_int_equal(symlink("b.yml", "d/link.yml"), 0);
    buf_init(&tar, 1 << 20);
    assert_int_equal(addons_tar_folder("d", "x/", &tar, &sent, NULL), 0);
    assert_int_equal(addons_tar_list(tar.data, tar.len, &back, NULL), 0);
    assert_int_equal(sent.n_items, 4);
    assert_int_equal(back.n_items, 4);
    for (size_t i = 0; i < sent.n_items; i++) {
        const struct addons_entry *entry = addons_listing_find(&back, sent.items[i].path);

        assert_non_null(entry);
        assert_string_equal(entry->digest, sent.items[i].digest);
        assert_int_equal(entry->size, sent.items[i].size);
        assert_int_equal(entry->mode, 0644);
        assert_int_equal(entry->uid, 0);
        assert_int_equal(entry->gid, 0);
    }
    assert_string_equal(sent.items[0].path, "a.yml");
    assert_non_null(addons_listing_find(&back, "sub/c"));
    assert_null(addons_listing_find(&back, ".hidden"));
}

static void refuses_what_is_no_addon(void **state)
{
    auto_addons_listing struct addons_listing sent = {.n_items = 0};
    auto_err struct err *e = NULL;
    auto_buf struct buf tar;

    (void)state;
    buf_init(&tar, 1 << 20);
    assert_int_equal(addons_tar_folder("none", "", &tar, &sent, &e), -ENOENT);
    assert_int_equal(fs_mkdirs("d", 0700, NULL), 0);
    assert_int_equal(addons_tar_folder("d", "", &tar, &sent, &e), -EINVAL);
    assert_string_equal(err_text(e), "no file is in 'd'");
    assert_int_equal(mkfifo("d/pipe", 0600), 0);
    assert_int_equal(addons_tar_folder("d", "", &tar, &sent, &e), -EINVAL);
    assert_int_equal(unlink("d/pipe"), 0);
    assert_int_equal(symlink("nowhere", "d/x"), 0);
    assert_int_equal(addons_tar_folder("d", "", &tar, &sent, &e), -ENOENT);
    assert_int_equal(unlink("d/x"), 0);
    assert_int_equal(symlink(".", "d/loop"), 0);
    assert_int_equal(addons_tar_folder("d", "", &tar, &sent, &e), -EINVAL);
    assert_int_equal(sent.n_items, 0);
}

static void refuses_too_much(void **state)
{
    auto_addons_listing struct addons_listing sent = {.n_items = 0};
    auto_err struct err *e = NULL;
    auto_buf struct buf tar;

    (void)state;
    buf_init(&tar, 2 * ADDONS_TOTAL_MAX);
    assert_int_equal(fs_mkdirs("d", 0700, NULL), 0);
    put("d/a", "a");
    put("d/b", "b");
    assert_int_equal(truncate("d/b", ADDONS_TOTAL_MAX), 0);
    assert_int_equal(addons_tar_folder("d", "", &tar, &sent, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "are no addons"));
}

static void does_not_trust_what_comes_back(void **state)
{
    auto_addons_listing struct addons_listing sent = {.n_items = 0}, back = {.n_items = 0};
    auto_err struct err *e = NULL;
    auto_buf struct buf tar;

    (void)state;
    assert_int_equal(fs_mkdirs("d", 0700, NULL), 0);
    put("d/a.yml", "some text");
    buf_init(&tar, 1 << 20);
    assert_int_equal(addons_tar_list("no tar at all", 13, &back, &e), -EBADMSG);
    assert_int_equal(addons_tar_folder("d", "", &tar, &sent, NULL), 0);
    /* Without a folder before its name it is nothing that was asked for. */
    assert_int_equal(addons_tar_list(tar.data, tar.len, &back, &e), -EBADMSG);
    addons_listing_release(&sent);
    buf_clear(&tar);
    assert_int_equal(addons_tar_folder("d", "x/", &tar, &sent, NULL), 0);
    assert_int_equal(addons_tar_list(tar.data, 512 + 512 + 4, &back, &e), -EBADMSG);
    assert_int_equal(back.n_items, 0);
}

static void compares_what_came_back(void **state)
{
    static const struct {
        struct addons_entry back[2];
        size_t n_back, n_others;
        const char *message; /* NULL: it is as it was sent */
    } table[] = {
        {{{.path = "a", .digest = "x", .mode = 0644}}, 1, 0, NULL},
        {{{.path = "b"}, {.path = "a", .digest = "x", .mode = 0644}}, 2, 1, NULL},
        {{{.path = "b"}}, 1, 0, "'a' was sent and is not there"},
        {{{.path = "a", .digest = "y", .mode = 0644}}, 1, 0, "with digest y instead of x"},
        {{{.path = "a", .digest = "x", .mode = 0600}}, 1, 0, "has mode 600 and owner 0:0"},
        {{{.path = "a", .digest = "x", .mode = 0644, .uid = 5}}, 1, 0, "owner 5:0 instead"},
        {{{.path = "a", .digest = "x", .mode = 0644, .gid = 6}}, 1, 0, "owner 0:6 instead"},
    };
    struct addons_entry mine = {.path = (char *)"a", .digest = "x", .mode = 0644};
    const struct addons_listing sent = {.items = &mine, .n_items = 1};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct addons_listing back = {.items = (struct addons_entry *)table[i].back,
                                            .n_items = table[i].n_back};
        auto_addons_listing struct addons_listing others = {.n_items = 0};
        auto_err struct err *e = NULL;

        assert_int_equal(addons_listing_compare(&sent, &back, &others, &e),
                         table[i].message ? -EBADMSG : 0);
        assert_int_equal(others.n_items, table[i].n_others);
        if (table[i].message)
            assert_non_null(strstr(err_text(e), table[i].message));
    }
}

static void knows_what_is_below(void **state)
{
    static const struct {
        const char *mount, *path;
        bool is_below;
    } table[] = {
        {"/", "/a", true},         {"/a", "/a", true},   {"/a", "/a/b", true},
        {"/a/", "/a/b", true},     {"/a", "/ab", false}, {"/a/b", "/a", false},
        {"/var/lib", "/a", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_int_equal(addons_is_below(table[i].mount, table[i].path), table[i].is_below);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(goes_there_and_back, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_addon, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(refuses_too_much, tempdir_enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(does_not_trust_what_comes_back, tempdir_enter,
                                        tempdir_leave),
        cmocka_unit_test(compares_what_came_back),
        cmocka_unit_test(knows_what_is_below),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
