/* Where volumes are cut, and the files that take their final names in the end. */
#include "output.h"

#include "fs.h"
#include "mem.h"
#include "tempdir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define RECEIPT "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void reads_volume_sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t size;
    } table[] = {
        {"fat32", (INT64_C(4) << 30) - 1},
        {"dvd", 4700000000},
        {"4.7GB", 4700000000},
        {"300KB", 300000},
        {"65536", 65536},
        {"4GiB", INT64_C(4) << 30},
    };
    static const char *const bad[] = {"", "0", "65535", "FAT32", "cd", "-4GB", "4PB", "64KB"};
    auto_err struct err *e = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t size = 0;

        assert_int_equal(output_parse_volume_size(table[i].text, &size, NULL), 0);
        assert_true(size == table[i].size);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t size = 0;

        assert_int_equal(output_parse_volume_size(bad[i], &size, &e), -EINVAL);
    }
    assert_non_null(strstr(err_text(e), "65536"));
}

static void cuts(const int64_t *borders, size_t n_borders, int64_t total, int64_t room,
                 const int64_t *wanted, size_t n_wanted)
{
    auto_free int64_t *starts = NULL;
    size_t count = 0;

    assert_int_equal(output_cut(borders, n_borders, total, room + VOLUME_HEADER, &starts, &count,
                                NULL),
                     0);
    assert_int_equal(count, n_wanted);
    for (size_t i = 0; i < count; i++)
        assert_true(starts[i] == wanted[i]);
}

static void cuts_between_entries_where_the_next_fits(void **state)
{
    static const int64_t borders[] = {0, 40, 90, 100, 350};

    (void)state;
    /* One volume takes all. */
    cuts(borders, COUNT(borders), 400, 400, (const int64_t[]){0}, 1);
    cuts(borders, COUNT(borders), 400, 4000, (const int64_t[]){0}, 1);
    /* The entry at 90 fits whole into the next volume; the one at 100 fits into none. */
    cuts(borders, COUNT(borders), 400, 95, (const int64_t[]){0, 90, 185, 280, 350}, 5);
    /* An end at a border is not moved. */
    cuts(borders, COUNT(borders), 400, 100, (const int64_t[]){0, 100, 200, 300}, 4);
    /* Without a border it is cut anywhere. */
    cuts(borders, 1, 400, 150, (const int64_t[]){0, 150, 300}, 3);
}

static bool is_border(const int64_t *borders, size_t n, int64_t at)
{
    for (size_t i = 0; i < n; i++)
        if (borders[i] == at)
            return true;
    return false;
}

/* The first border behind `at`, or the end. */
static int64_t next_border(const int64_t *borders, size_t n, int64_t at, int64_t total)
{
    for (size_t i = 0; i < n; i++)
        if (borders[i] > at)
            return borders[i];
    return total;
}

static int64_t last_border(const int64_t *borders, size_t n, int64_t at)
{
    int64_t found = 0;

    for (size_t i = 0; i < n && borders[i] <= at; i++)
        found = borders[i];
    return found;
}

/* The rules, over many layouts that are not chosen by hand. */
static void check_rules(const int64_t *borders, size_t n, int64_t total, int64_t room)
{
    auto_free int64_t *starts = NULL;
    size_t count = 0;

    assert_int_equal(output_cut(borders, n, total, room + VOLUME_HEADER, &starts, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        int64_t end = i + 1 < count ? starts[i + 1] : total, border, span;

        assert_true(end > starts[i] && end - starts[i] <= room);
        border = last_border(borders, n, end);
        span = next_border(borders, n, border, total) - border;
        if (end < total && !is_border(borders, n, end))
            assert_true((border <= starts[i] || span > room) && end - starts[i] == room);
    }
}

static void keeps_the_rules_for_any_layout(void **state)
{
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        int64_t borders[20] = {0};
        size_t n = 1 + (size_t)rand_r(&seed) % 19;

        for (size_t i = 1; i < n; i++)
            borders[i] = borders[i - 1] + 1 + rand_r(&seed) % 200;
        check_rules(borders, n, borders[n - 1] + 1 + rand_r(&seed) % 200, 20 + rand_r(&seed) % 300);
    }
}

static void refuses_too_many_volumes(void **state)
{
    static const int64_t borders[] = {0};
    auto_err struct err *e = NULL;
    int64_t *starts = NULL;
    size_t count = 0;

    (void)state;
    assert_int_equal(output_cut(borders, 1, VOLUME_MAX, VOLUME_HEADER + 1, &starts, &count, NULL),
                     0);
    assert_int_equal(count, VOLUME_MAX);
    free(starts);
    starts = NULL;
    assert_int_equal(output_cut(borders, 1, VOLUME_MAX + 1, VOLUME_HEADER + 1, &starts, &count, &e),
                     -EINVAL);
    assert_non_null(strstr(err_text(e), "999 volumes"));
    assert_int_equal(output_cut(borders, 1, 10, VOLUME_HEADER, &starts, &count, &e), -EINVAL);
    assert_int_equal(output_cut(borders, 1, 10, 1, &starts, &count, &e), -EINVAL);
    assert_null(starts);
}

static void exists(const char *path, int64_t size)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size == size);
}

static void gone(const char *path)
{
    assert_int_equal(access(path, F_OK), -1);
}

static void a_plain_file_gets_its_name_at_the_end(void **state)
{
    struct output_shape shape = {.total = 1000};
    struct output o;

    (void)state;
    assert_int_equal(fs_write_file("b", "old", 3, 0644, NULL), 0);
    assert_int_equal(output_open("b", &shape, &o, NULL), 0);
    exists("b.partial", 1000);
    exists("b", 3);
    assert_int_equal(segfile_pwrite(&o.file, "x", 1, 999), 0);
    assert_int_equal(output_set_length(&o, 900, NULL), 0);
    exists("b.partial", 900);
    assert_int_equal(segfile_pwrite(&o.file, "x", 1, 900), -EIO);
    assert_int_equal(output_commit(&o, RECEIPT, NULL), 0);
    output_release(&o);
    exists("b", 900);
    gone("b.partial");
}

static const int64_t borders_of_volumes[] = {0, 1000, 2500, 2600};
static const struct output_shape volumes = {.borders = borders_of_volumes,
                                            .n_borders = 4,
                                            .total = 3000,
                                            .volume_size = VOLUME_HEADER + 1600};

static void volumes_say_what_they_are(void **state)
{
    struct volume_header *headers = NULL;
    size_t count = 0;
    struct segfile f;
    struct output o;
    char bytes[3000], back[3000];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 31);
    assert_int_equal(output_open("b", &volumes, &o, NULL), 0);
    exists("b.001.partial", VOLUME_HEADER + 1000);
    exists("b.002.partial", VOLUME_HEADER + 1600);
    exists("b.003.partial", VOLUME_HEADER + 400);
    assert_int_equal(segfile_pwrite(&o.file, bytes, sizeof(bytes), 0), 0);
    assert_int_equal(output_commit(&o, RECEIPT, NULL), 0);
    output_release(&o);
    assert_int_equal(segfile_open("b", &f, &headers, &count, NULL), 0);
    assert_int_equal(count, 3);
    assert_int_equal(segfile_pread(&f, back, sizeof(back), 0), 0);
    assert_memory_equal(back, bytes, sizeof(bytes));
    for (size_t i = 0; i < count; i++) {
        char digest[DIGEST_SIZE];

        hash_digest(bytes + headers[i].offset, (size_t)headers[i].length, digest);
        assert_string_equal(headers[i].sha256, digest);
        assert_string_equal(headers[i].set, RECEIPT);
        assert_int_equal(headers[i].total, 3000);
    }
    free(headers);
    segfile_release(&f);
    gone("b.001.partial");
    gone("b");
}

static void volumes_of_a_longer_set_go_away(void **state)
{
    struct output_shape one = volumes;
    struct output o;

    (void)state;
    assert_int_equal(output_open("b", &volumes, &o, NULL), 0);
    assert_int_equal(output_commit(&o, RECEIPT, NULL), 0);
    output_release(&o);
    one.volume_size = VOLUME_HEADER + 3000;
    assert_int_equal(output_open("b", &one, &o, NULL), 0);
    exists("b.001", VOLUME_HEADER + 1000);
    assert_int_equal(output_commit(&o, RECEIPT, NULL), 0);
    output_release(&o);
    exists("b.001", VOLUME_HEADER + 3000);
    gone("b.002");
    gone("b.003");
}

/* A run that was killed between two renames left volumes with either name. */
static void goes_on_after_a_half_done_rename(void **state)
{
    struct output_shape again = volumes;
    struct output o;
    char text[8] = "";

    (void)state;
    assert_int_equal(output_open("b", &volumes, &o, NULL), 0);
    assert_int_equal(segfile_pwrite(&o.file, "first", 5, 0), 0);
    assert_int_equal(segfile_pwrite(&o.file, "last", 4, 2996), 0);
    output_release(&o);
    assert_int_equal(rename("b.001.partial", "b.001"), 0);
    again.keep = again.named = true;
    assert_int_equal(output_open("b", &again, &o, NULL), 0);
    assert_int_equal(segfile_pread(&o.file, text, 5, 0), 0);
    assert_string_equal(text, "first");
    assert_int_equal(segfile_pread(&o.file, text, 4, 2996), 0);
    assert_memory_equal(text, "last", 4);
    assert_true(output_allocated(&o) > 0);
    output_discard(&o);
    output_release(&o);
    gone("b.001.partial");
    gone("b.003.partial");
}

static void without_keep_nothing_of_before_remains(void **state)
{
    struct output_shape shape = {.total = 100};
    struct output o;
    char byte = 'x';

    (void)state;
    assert_int_equal(fs_write_file("b.partial", "left over", 9, 0644, NULL), 0);
    assert_int_equal(output_open("b", &shape, &o, NULL), 0);
    assert_int_equal(segfile_pread(&o.file, &byte, 1, 0), 0);
    assert_int_equal(byte, '\0');
    output_release(&o);
    exists("b.partial", 100);
    shape.keep = true;
    assert_int_equal(fs_write_file("b.partial", "left over", 9, 0644, NULL), 0);
    assert_int_equal(output_open("b", &shape, &o, NULL), 0);
    assert_int_equal(segfile_pread(&o.file, &byte, 1, 0), 0);
    assert_int_equal(byte, 'l');
    output_release(&o);
    exists("b.partial", 100);
}

static void errors_name_the_file_and_what_to_do(void **state)
{
    auto_err struct err *e = NULL;
    struct output o;

    (void)state;
    assert_int_equal(output_open("b", &volumes, &o, NULL), 0);
    assert_int_equal(output_error(&o, -ENOSPC, 1200, &e), -ENOSPC);
    assert_non_null(strstr(err_text(e), "'b.002.partial'"));
    assert_non_null(strstr(err_text(e), "run the same command again"));
    assert_int_equal(output_error(&o, -EIO, 0, &e), -EIO);
    assert_non_null(strstr(err_text(e), "cannot write 'b.001.partial'"));
    output_release(&o);
    assert_int_equal(output_open("absent/b", &volumes, &o, &e), -ENOENT);
    assert_non_null(strstr(err_text(e), "'absent/b.001.partial'"));
}

#define test(name) cmocka_unit_test_setup_teardown(name, tempdir_enter, tempdir_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_volume_sizes),
        cmocka_unit_test(cuts_between_entries_where_the_next_fits),
        cmocka_unit_test(keeps_the_rules_for_any_layout),
        cmocka_unit_test(refuses_too_many_volumes),
        test(a_plain_file_gets_its_name_at_the_end),
        test(volumes_say_what_they_are),
        test(volumes_of_a_longer_set_go_away),
        test(goes_on_after_a_half_done_rename),
        test(without_keep_nothing_of_before_remains),
        test(errors_name_the_file_and_what_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
