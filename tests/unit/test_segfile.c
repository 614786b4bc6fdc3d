/* One run of bytes in several files: every offset, every length, every border. */
#include "segfile.h"

#include "mem.h"
#include "tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LENGTH 100

/* Files of 1, 49, 30 and 20 bytes of the run; every other one has a header before them. */
static void make_run(struct segfile *f)
{
    static const int64_t lengths[] = {1, 49, 30, 20};

    segfile_init(f);
    for (size_t i = 0; i < 4; i++) {
        auto_free char *path = xasprintf("part%zu", i);
        size_t skip = i % 2 ? 7 : 0;
        auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, (off_t)skip + lengths[i]), 0);
        segfile_add(f, path, take_fd(&fd), lengths[i], skip);
    }
    assert_int_equal(f->length, LENGTH);
}

static void reads_what_was_written_across_borders(void **state)
{
    unsigned char wanted[LENGTH], have[LENGTH], header[7];
    struct segfile f;

    (void)state;
    make_run(&f);
    for (int i = 0; i < LENGTH; i++)
        wanted[i] = (unsigned char)(i * 7 + 1);
    assert_int_equal(segfile_pwrite(&f, wanted, LENGTH, 0), 0);
    for (size_t at = 0; at < LENGTH; at++)
        for (size_t len = 0; at + len <= LENGTH; len++) {
            memset(have, 0xee, sizeof(have));
            assert_int_equal(segfile_pread(&f, have, len, (int64_t)at), 0);
            assert_memory_equal(have, wanted + at, len);
            assert_true(len == LENGTH || have[len] == 0xee);
        }
    /* The headers were left alone. */
    assert_int_equal(pread(f.segments[1].fd, header, 7, 0), 7);
    assert_memory_equal(header, "\0\0\0\0\0\0\0", 7);
    segfile_release(&f);
}

static void writes_in_pieces_of_any_size(void **state)
{
    unsigned char wanted[LENGTH], have[LENGTH];
    struct segfile f;

    (void)state;
    make_run(&f);
    for (size_t piece = 1; piece <= LENGTH; piece++) {
        memset(wanted, (int)piece, sizeof(wanted));
        for (size_t at = 0; at < LENGTH; at += piece) {
            size_t len = LENGTH - at < piece ? LENGTH - at : piece;
            assert_int_equal(segfile_pwrite(&f, wanted + at, len, (int64_t)at), 0);
        }
        assert_int_equal(segfile_pread(&f, have, LENGTH, 0), 0);
        assert_memory_equal(have, wanted, LENGTH);
    }
    segfile_release(&f);
}

static void knows_which_file_holds_a_byte(void **state)
{
    struct segfile f;

    (void)state;
    make_run(&f);
    assert_string_equal(segfile_at(&f, 0)->path, "part0");
    assert_string_equal(segfile_at(&f, 1)->path, "part1");
    assert_string_equal(segfile_at(&f, 49)->path, "part1");
    assert_string_equal(segfile_at(&f, 50)->path, "part2");
    assert_string_equal(segfile_at(&f, 80)->path, "part3");
    assert_string_equal(segfile_at(&f, 99)->path, "part3");
    segfile_release(&f);
}

static void refuses_what_is_not_inside(void **state)
{
    static const struct {
        int64_t offset;
        size_t len;
    } table[] = {{-1, 1}, {100, 1}, {99, 2}, {0, 101}, {INT64_MAX, 1}, {1, SIZE_MAX / 2}};
    struct segfile f;
    char byte[4] = "";

    (void)state;
    make_run(&f);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(segfile_pread(&f, byte, table[i].len, table[i].offset), -EIO);
        assert_int_equal(segfile_pwrite(&f, byte, table[i].len, table[i].offset), -EIO);
    }
    assert_int_equal(segfile_pread(&f, byte, 0, 100), 0);
    /* A file that is shorter than it was. */
    assert_int_equal(ftruncate(f.segments[2].fd, 10), 0);
    assert_int_equal(segfile_pread(&f, byte, 2, 58), 0);
    assert_int_equal(segfile_pread(&f, byte, 2, 59), -EIO);
    segfile_release(&f);
    assert_int_equal(f.count, 0);
}

static void opens_plain_files_only(void **state)
{
    struct volume_header *headers = NULL;
    auto_err struct err *e = NULL;
    size_t volumes = 9;
    struct segfile f;

    (void)state;
    make_run(&f);
    segfile_release(&f);
    assert_int_equal(segfile_open("part1", &f, &headers, &volumes, NULL), 0);
    assert_int_equal(f.length, 56);
    assert_int_equal(volumes, 0);
    assert_null(headers);
    segfile_release(&f);
    assert_int_equal(segfile_open("absent", &f, &headers, &volumes, &e), -ENOENT);
    assert_non_null(strstr(err_text(e), "'absent.001'"));
    assert_int_equal(segfile_open(".", &f, &headers, &volumes, &e), -EINVAL);
    assert_non_null(strstr(err_text(e), "not a regular file"));
    assert_int_equal(segfile_open("/dev/null", &f, &headers, &volumes, &e), -EINVAL);
}

#define test(name) cmocka_unit_test_setup_teardown(name, tempdir_enter, tempdir_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(reads_what_was_written_across_borders),
        test(writes_in_pieces_of_any_size),
        test(knows_which_file_holds_a_byte),
        test(refuses_what_is_not_inside),
        test(opens_plain_files_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
