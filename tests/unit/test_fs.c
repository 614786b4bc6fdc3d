/* File work: whole files, folders, and nothing outside the folder. */
#include "fs.h"

#include "mem.h"
#include "tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void knows_plain_paths(void **state)
{
    static const char *const plain[] = {"a", "a/b", "a/b.c/..d", "...", ".a", "a b", "\xc3\xa9/x"};
    static const char *const other[] = {
        "",    "/",   "/a",   "a/",     "a//b", ".",    "..",
        "./a", "a/.", "a/..", "a/../b", "../a", "a\nb", "a\x7f",
    };
    auto_free char *longest = xmalloc(PATH_MAX + 1);

    (void)state;
    for (size_t i = 0; i < COUNT(plain); i++)
        assert_true(fs_path_is_plain(plain[i]));
    for (size_t i = 0; i < COUNT(other); i++)
        assert_false(fs_path_is_plain(other[i]));
    memset(longest, 'x', PATH_MAX);
    longest[PATH_MAX] = '\0';
    assert_false(fs_path_is_plain(longest));
    longest[PATH_MAX - 1] = '\0';
    assert_true(fs_path_is_plain(longest));
}

static void check_content(const char *path, const char *wanted)
{
    auto_buf struct buf have;

    buf_init(&have, 1000);
    assert_int_equal(fs_read_file(path, &have, NULL), 0);
    assert_string_equal(have.data, wanted);
}

static void reads_whole_files_within_a_limit(void **state)
{
    auto_err struct err *e = NULL;
    auto_buf struct buf b;

    (void)state;
    assert_int_equal(fs_write_file("x", "12345", 5, 0600, NULL), 0);
    buf_init(&b, 9);
    assert_int_equal(fs_read_file("x", &b, NULL), 0);
    assert_string_equal(b.data, "12345");
    assert_int_equal(fs_read_file("x", &b, &e), -EFBIG);
    assert_non_null(strstr(err_text(e), "'x' is larger than the 9 bytes"));
    assert_int_equal(fs_read_file("absent", &b, &e), -ENOENT);
    assert_non_null(strstr(err_text(e), "cannot open 'absent'"));
    assert_int_equal(fs_read_file(".", &b, &e), -EISDIR);
}

static void replaces_a_file_whole(void **state)
{
    auto_close int before = -1;
    char old[4] = "";
    struct stat st;

    (void)state;
    assert_int_equal(fs_write_file("x", "old", 3, 0600, NULL), 0);
    before = open("x", O_RDONLY | O_CLOEXEC);
    assert_int_equal(link("x", "twin"), 0);
    assert_int_equal(fs_write_file("x", "new text", 8, 0640, NULL), 0);
    check_content("x", "new text");
    /* Whoever had the old one open, or another name of it, still has the old bytes. */
    assert_int_equal(fs_pread(before, old, 3, 0), 0);
    assert_string_equal(old, "old");
    check_content("twin", "old");
    assert_int_equal(stat("x", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(unlink("x"), 0);
    assert_int_equal(unlink("twin"), 0);
    assert_int_equal(rmdir(tempdir_path), 0); /* nothing else is there */
}

static void a_write_that_fails_leaves_nothing(void **state)
{
    auto_err struct err *e = NULL;

    (void)state;
    assert_int_equal(mkdir("taken", 0755), 0);
    assert_true(fs_write_file("taken", "x", 1, 0644, &e) < 0);
    assert_non_null(strstr(err_text(e), "'taken'"));
    assert_int_equal(fs_write_file("absent/x", "x", 1, 0644, &e), -ENOENT);
    assert_int_equal(rmdir("taken"), 0);
    assert_int_equal(rmdir(tempdir_path), 0);
}

static void reads_and_writes_at_offsets(void **state)
{
    auto_close int fd = open("x", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char bytes[8] = "";

    (void)state;
    assert_int_equal(fs_pwrite(fd, "abc", 3, 5), 0);
    assert_int_equal(fs_pread(fd, bytes, 3, 5), 0);
    assert_string_equal(bytes, "abc");
    assert_int_equal(fs_pread(fd, bytes, 4, 5), -EIO);
    assert_int_equal(fs_pread(fd, bytes, 0, 500), 0);
    assert_int_equal(fs_pread(-1, bytes, 1, 0), -EBADF);
    assert_int_equal(fs_pwrite(-1, bytes, 1, 0), -EBADF);
    assert_int_equal(fs_write(fd, "xy", 2), 0);
    assert_int_equal(fs_pread(fd, bytes, 8, 0), 0);
    assert_memory_equal(bytes, "xy\0\0\0abc", 8);
}

static void makes_folders(void **state)
{
    static const char *const good[] = {"a", "a/b/c", "a/b/c", "d//e/", "./f"};
    auto_err struct err *e = NULL;
    struct stat st;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(fs_mkdirs(good[i], 0755, NULL), 0);
        assert_int_equal(stat(good[i], &st), 0);
        assert_true(S_ISDIR(st.st_mode));
    }
    assert_int_equal(fs_write_file("file", "", 0, 0644, NULL), 0);
    assert_int_equal(fs_mkdirs("file", 0755, &e), -ENOTDIR);
    assert_int_equal(fs_mkdirs("file/x", 0755, &e), -ENOTDIR);
    assert_non_null(strstr(err_text(e), "file"));
}

static void opens_beneath_a_folder_only(void **state)
{
    static const struct {
        const char *path;
        int flags, result; /* 0: opened */
    } table[] = {
        {"in", O_RDONLY, 0},
        {"deep/er/in", O_RDONLY, 0},
        {"deep/er", O_RDONLY | O_DIRECTORY, 0},
        {"new/folder/file", O_WRONLY | O_CREAT | O_TRUNC, 0},
        {"deep/new", O_WRONLY | O_CREAT | O_TRUNC, 0},
        {"absent", O_RDONLY, -ENOENT},
        {"absent/x", O_RDONLY, -ENOENT},
        {"../out", O_RDONLY, -EINVAL},
        {"/etc/hostname", O_RDONLY, -EINVAL},
        {"deep/../in", O_RDONLY, -EINVAL},
        {"", O_RDONLY, -EINVAL},
        {"link", O_RDONLY, -ELOOP},
        {"link", O_WRONLY | O_CREAT | O_TRUNC, -ELOOP},
        {"dangling", O_WRONLY | O_CREAT | O_TRUNC, -ELOOP},
        {"linkdir/in", O_RDONLY, -ELOOP},
        {"linkdir/x", O_WRONLY | O_CREAT | O_TRUNC, -ELOOP},
        {"linkdir/x/y", O_WRONLY | O_CREAT | O_TRUNC, -ELOOP},
        {"outdir/x", O_WRONLY | O_CREAT | O_TRUNC, -ELOOP},
    };
    auto_close int dir = -1;

    (void)state;
    assert_int_equal(fs_mkdirs("root/deep/er", 0755, NULL), 0);
    assert_int_equal(fs_write_file("out", "secret", 6, 0644, NULL), 0);
    assert_int_equal(fs_write_file("root/in", "x", 1, 0644, NULL), 0);
    assert_int_equal(fs_write_file("root/deep/er/in", "x", 1, 0644, NULL), 0);
    assert_int_equal(symlink("in", "root/link"), 0);
    assert_int_equal(symlink("../made", "root/dangling"), 0);
    assert_int_equal(symlink("deep/er", "root/linkdir"), 0);
    assert_int_equal(symlink("..", "root/outdir"), 0);
    dir = open("root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_err struct err *e = NULL;
        auto_close int fd = fs_open_beneath(dir, table[i].path, table[i].flags, 0640, &e);

        assert_int_equal(fd < 0 ? fd : 0, table[i].result);
        assert_int_equal(e != NULL, fd < 0);
    }
    assert_int_equal(access("made", F_OK), -1);
    assert_int_equal(access("x", F_OK), -1);
    assert_int_equal(access("root/deep/er/x", F_OK), -1);
    check_content("out", "secret");
}

static void asks_for_free_space_where_the_file_will_be(void **state)
{
    int64_t here = -1, deeper = -1, top = -1;

    (void)state;
    assert_int_equal(fs_free_space("x", &here, NULL), 0);
    assert_int_equal(fs_free_space("no/such/folder/x", &deeper, NULL), 0);
    assert_int_equal(fs_free_space("/x", &top, NULL), 0);
    assert_true(here > 0 && deeper > 0 && top > 0);
    assert_int_equal(fs_sync_parent("x", NULL), 0);
    assert_int_equal(fs_sync_parent("absent/x", NULL), -ENOENT);
}

static void removes_files_and_what_they_leave_empty(void **state)
{
    (void)state;
    assert_int_equal(fs_mkdirs("d/sub", 0755, NULL), 0);
    assert_int_equal(fs_write_file("d/file", "1", 1, 0600, NULL), 0);
    assert_int_equal(fs_write_file("other", "1", 1, 0600, NULL), 0);
    assert_int_equal(symlink("../other", "d/link"), 0);
    fs_remove_files("d");
    assert_int_equal(access("d/file", F_OK), -1);
    assert_int_equal(access("d/sub", F_OK), 0);
    fs_remove_files("d/sub");
    fs_remove_files("d");
    assert_int_equal(access("d", F_OK), -1);
    assert_int_equal(access("other", F_OK), 0);
    fs_remove_files("d");
}

#define test(name) cmocka_unit_test_setup_teardown(name, tempdir_enter, tempdir_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_plain_paths),
        test(reads_whole_files_within_a_limit),
        cmocka_unit_test_setup_teardown(replaces_a_file_whole, tempdir_enter, NULL),
        cmocka_unit_test_setup_teardown(a_write_that_fails_leaves_nothing, tempdir_enter, NULL),
        test(reads_and_writes_at_offsets),
        test(makes_folders),
        test(opens_beneath_a_folder_only),
        test(removes_files_and_what_they_leave_empty),
        test(asks_for_free_space_where_the_file_will_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
