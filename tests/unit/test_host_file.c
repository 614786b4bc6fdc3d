/* Files taken and put back whole, below a root that links cannot leave. */
#include "host_file.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "tempdir.h"

static char root[96];

static int enter(void **state)
{
    int r = tempdir_enter(state);

    (void)snprintf(root, sizeof(root), "%s/root", tempdir_path);
    return r == 0 && mkdir("root", 0755) == 0 && mkdir("root/etc", 0755) == 0 ? 0 : -1;
}

static void write_text(const char *path, const char *text)
{
    assert_int_equal(fs_write_file(path, text, strlen(text), 0644, NULL), 0);
}

static void test_whole_state_comes_back(void **state)
{
    auto_host_file struct host_file before = {.kind = HOST_ABSENT}, copy = {.kind = HOST_ABSENT};
    auto_host_file struct host_file other = {.kind = HOST_ABSENT};
    auto_json cJSON *tree = NULL;
    struct timespec times[2] = {{.tv_sec = 1500000000}, {.tv_sec = 1500000001, .tv_nsec = 42}};
    char value[16] = "";
    struct stat st;

    (void)state;
    write_text("root/etc/fstab", "a\0b\n");
    assert_int_equal(chown("root/etc/fstab", 12, 34), 0);
    assert_int_equal(chmod("root/etc/fstab", 0640), 0);
    assert_int_equal(setxattr("root/etc/fstab", "user.flatnet", "v\0w", 3, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, "root/etc/fstab", times, 0), 0);
    assert_int_equal(host_file_get(root, "/etc/fstab", &before, NULL), 0);
    /* By way of JSON, as the journal does it. */
    tree = host_file_json(&before);
    assert_int_equal(host_file_from_json(tree, &copy, NULL), 0);
    host_file_init(&other, HOST_REGULAR, "other\n");
    assert_int_equal(host_file_put(root, "/etc/fstab", &other, NULL), 0);
    assert_int_equal(host_file_put(root, "/etc/fstab", &copy, NULL), 0);
    assert_int_equal(stat("root/etc/fstab", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_uid, 12);
    assert_int_equal(st.st_gid, 34);
    assert_int_equal(st.st_mtim.tv_sec, 1500000001);
    assert_int_equal(st.st_mtim.tv_nsec, 42);
    assert_int_equal(getxattr("root/etc/fstab", "user.flatnet", value, sizeof(value)), 3);
    assert_memory_equal(value, "v\0w", 3);
    host_file_release(&other);
    assert_int_equal(host_file_get(root, "/etc/fstab", &other, NULL), 0);
    assert_true(host_file_same(&other, &before));
}

static void test_kinds(void **state)
{
    auto_host_file struct host_file link = {.kind = HOST_ABSENT}, now = {.kind = HOST_ABSENT};

    (void)state;
    host_file_init(&link, HOST_SYMLINK, "/dev/null");
    assert_int_equal(host_file_put(root, "/etc/masked", &link, NULL), 0);
    assert_int_equal(host_file_get(root, "/etc/masked", &now, NULL), 0);
    assert_int_equal(now.kind, HOST_SYMLINK);
    assert_true(host_file_same(&now, &link));
    host_file_release(&now);
    host_file_init(&now, HOST_ABSENT, "");
    assert_int_equal(host_file_put(root, "/etc/masked", &now, NULL), 0);
    assert_int_equal(access("root/etc/masked", F_OK), -1);
    assert_int_equal(host_file_put(root, "/etc/masked", &now, NULL), 0);
    assert_int_equal(host_file_put(root, "/none/masked", &now, NULL), 0);
    assert_int_equal(host_file_put(root, "/none/masked", &link, NULL), -ENOENT);
    host_file_release(&now);
    assert_int_equal(host_file_get(root, "/none/at/all", &now, NULL), 0);
    assert_int_equal(now.kind, HOST_ABSENT);
    host_file_release(&now);
    assert_int_equal(host_file_get(root, "/etc", &now, NULL), -EINVAL);
}

static void test_links_stay_inside(void **state)
{
    auto_free char *text = NULL, *other = NULL;

    (void)state;
    write_text("secret", "outside\n");
    write_text("root/inside", "inside\n");
    assert_int_equal(symlink("../../secret", "root/etc/up"), 0);
    assert_int_equal(symlink("/inside", "root/etc/absolute"), 0);
    assert_false(host_text(root, "/etc/up", &text));
    assert_string_equal(text, "");
    assert_true(host_text(root, "/etc/absolute", &other));
    assert_string_equal(other, "inside\n");
}

static void test_fifo_is_not_waited_for(void **state)
{
    auto_host_file struct host_file f = {.kind = HOST_ABSENT};
    auto_free char *text = NULL;

    (void)state;
    assert_int_equal(mkfifo("root/etc/fifo", 0600), 0);
    (void)host_text(root, "/etc/fifo", &text);
    assert_string_equal(text, "");
    assert_int_equal(host_file_get(root, "/etc/fifo", &f, NULL), -EINVAL);
}

static void test_bad_json(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"kind\":\"file\"}",
        "{\"kind\":\"file\",\"mode\":4096,\"uid\":0,\"gid\":0,\"mtime\":0,\"mtimeNanoseconds\":0,"
        "\"content\":\"\",\"xattrs\":{}}",
        "{\"kind\":\"file\",\"mode\":420,\"uid\":0,\"gid\":0,\"mtime\":0,\"mtimeNanoseconds\":0,"
        "\"content\":\"0\",\"xattrs\":{}}",
        "{\"kind\":\"file\",\"mode\":420,\"uid\":0,\"gid\":0,\"mtime\":0,\"mtimeNanoseconds\":0,"
        "\"content\":\"zz\",\"xattrs\":{}}",
        "{\"kind\":\"file\",\"mode\":420,\"uid\":0,\"gid\":0,\"mtime\":0,\"mtimeNanoseconds\":0,"
        "\"content\":\"\",\"xattrs\":{\"user.a\":5}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        auto_json cJSON *tree = cJSON_Parse(texts[i]);
        struct host_file f;

        assert_non_null(tree);
        assert_int_equal(host_file_from_json(tree, &f, NULL), -EBADMSG);
    }
}

static void test_list_is_sorted(void **state)
{
    auto_host_names struct host_names names = {.names = NULL};

    (void)state;
    write_text("root/etc/b", "");
    write_text("root/etc/a", "");
    write_text("root/etc/.hidden", "");
    host_list(root, "/etc", &names);
    assert_int_equal(names.count, 2);
    assert_string_equal(names.names[0], "a");
    assert_string_equal(names.names[1], "b");
    host_names_release(&names);
    host_list(root, "/none", &names);
    assert_int_equal(names.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_state_comes_back, enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_kinds, enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_links_stay_inside, enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_fifo_is_not_waited_for, enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_bad_json, enter, tempdir_leave),
        cmocka_unit_test_setup_teardown(test_list_is_sorted, enter, tempdir_leave),
    };

    return cmocka_run_group_tests_name("host_file", tests, NULL, NULL);
}
