/* The one header form that is written, read back by libarchive. */
#include "tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define GIB (INT64_C(1) << 30)
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const int64_t sizes[] = {
    0, 1, 511, 512, 513, 1000000, 8 * GIB - 1, 8 * GIB, 8 * GIB + 1, 10000000000, 1024 * GIB,
};

static void check_with_libarchive(const char *path, int64_t size, int mode)
{
    unsigned char header[TAR_HEADER_MAX];
    size_t len = tar_header(path, size, header);
    struct archive *a = archive_read_new();
    struct archive_entry *entry;

    assert_int_equal(len, tar_header_len(size));
    assert_int_equal(archive_read_support_format_tar(a), ARCHIVE_OK);
    assert_int_equal(archive_read_open_memory(a, header, len), ARCHIVE_OK);
    assert_int_equal(archive_read_next_header(a, &entry), ARCHIVE_OK);
    assert_string_equal(archive_entry_pathname(entry), path);
    assert_true(archive_entry_size(entry) == size);
    assert_int_equal(archive_entry_filetype(entry), AE_IFREG);
    assert_int_equal(archive_entry_perm(entry), mode);
    assert_int_equal(archive_entry_mtime(entry), 0);
    assert_int_equal(archive_entry_uid(entry), 0);
    assert_int_equal(archive_entry_gid(entry), 0);
    assert_string_equal(archive_entry_uname(entry), "");
    assert_string_equal(archive_entry_gname(entry), "");
    assert_null(archive_entry_hardlink(entry));
    assert_int_equal(archive_format(a) & ARCHIVE_FORMAT_BASE_MASK, ARCHIVE_FORMAT_TAR);
    assert_int_equal(archive_read_free(a), ARCHIVE_OK);
}

static void is_read_by_another_program(void **state)
{
    char longest[TAR_PATH_MAX + 1];

    (void)state;
    memset(longest, 'x', TAR_PATH_MAX);
    memcpy(longest, "addons/", 7);
    longest[TAR_PATH_MAX] = '\0';
    for (size_t i = 0; i < COUNT(sizes); i++) {
        check_with_libarchive("blobs/sha256/00", sizes[i], 0644);
        check_with_libarchive("bin/linux-amd64/flatnet", sizes[i], 0755);
        check_with_libarchive(longest, sizes[i], 0644);
    }
}

static void has_one_form_for_each_name_and_size(void **state)
{
    unsigned char first[TAR_HEADER_MAX], second[TAR_HEADER_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t len = tar_header("a", sizes[i], first);

        memset(second, 0xff, sizeof(second));
        assert_int_equal(tar_header("a", sizes[i], second), len);
        assert_memory_equal(first, second, len);
        for (size_t j = 0; j < i; j++)
            if (tar_header("a", sizes[j], second) == len)
                assert_memory_not_equal(first, second, len);
    }
}

static void only_large_sizes_need_a_pax_record(void **state)
{
    static const struct {
        int64_t size;
        const char *record;
    } table[] = {
        {8 * GIB - 1, NULL},
        {8 * GIB, "19 size=8589934592\n"},
        {INT64_C(99999999999), "20 size=99999999999\n"},
        {1024 * GIB, "22 size=1099511627776\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        unsigned char header[TAR_HEADER_MAX];
        size_t len = tar_header("a", table[i].size, header);

        assert_int_equal(len, table[i].record ? TAR_HEADER_MAX : TAR_BLOCK);
        assert_int_equal(header[156], table[i].record ? 'x' : '0');
        if (table[i].record)
            assert_string_equal((char *)header + TAR_BLOCK, table[i].record);
    }
}

static void pads_to_whole_blocks(void **state)
{
    static const struct {
        int64_t size;
        size_t padding;
    } table[] = {{0, 0}, {1, 511}, {511, 1}, {512, 0}, {513, 511}, {8 * GIB + 1, 511}};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++)
        assert_int_equal(tar_padding(table[i].size), table[i].padding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_read_by_another_program),
        cmocka_unit_test(has_one_form_for_each_name_and_size),
        cmocka_unit_test(only_large_sizes_need_a_pax_record),
        cmocka_unit_test(pads_to_whole_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
