/* Volume headers, and finding a set by any of its names. */
#include "segfile.h"

#include "fs.h"
#include "mem.h"
#include "tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define SET_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SET_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct volume_header make_header(unsigned number)
{
    return (struct volume_header){.set = SET_A,
                                  .sha256 = SET_B,
                                  .number = number,
                                  .count = 3,
                                  .offset = ((int64_t)number - 1) * 10,
                                  .length = 10,
                                  .total = 30};
}

static void comes_back_as_it_was(void **state)
{
    static const struct volume_header table[] = {
        {.set = SET_A, .sha256 = SET_B, .number = 1, .count = 1, .length = 1, .total = 1},
        {.set = SET_B,
         .sha256 = SET_A,
         .number = 999,
         .count = 999,
         .offset = (INT64_C(1) << 53) - 5,
         .length = 5,
         .total = INT64_C(1) << 53},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct volume_header back;
        char block[VOLUME_HEADER];

        volume_header_format(&table[i], block);
        assert_true(volume_header_is(block, sizeof(block)));
        assert_int_equal(volume_header_parse(block, &back), 0);
        assert_memory_equal(back.set, table[i].set, DIGEST_SIZE);
        assert_memory_equal(back.sha256, table[i].sha256, DIGEST_SIZE);
        assert_int_equal(back.number, table[i].number);
        assert_int_equal(back.count, table[i].count);
        assert_true(back.offset == table[i].offset && back.length == table[i].length &&
                    back.total == table[i].total);
    }
}

/* No bit of the block is free: each flip is refused, or says something else. */
static void every_bit_counts(void **state)
{
    struct volume_header h = make_header(2), back;
    char block[VOLUME_HEADER], again[VOLUME_HEADER];
    size_t taken = 0;

    (void)state;
    volume_header_format(&h, block);
    for (size_t bit = 0; bit < sizeof(block) * 8; bit++) {
        block[bit / 8] ^= (char)(1 << bit % 8);
        if (volume_header_parse(block, &back) == 0) {
            volume_header_format(&back, again);
            assert_memory_equal(again, block, sizeof(block));
            taken++;
        }
        block[bit / 8] ^= (char)(1 << bit % 8);
    }
    /* Digits that became other digits: not many, and the set does not fit together then. */
    assert_in_range(taken, 1, 400);
}

static void refuses_what_cannot_be(void **state)
{
    static const char *const table[][2] = {
        {"volume 2\n", "volume 0\n"},
        {"volume 2\n", "volume 4\n"},
        {"volume 2\n", "volume 02\n"},
        {"volume 2\n", "volume +2\n"},
        {"volume 2\n", "volume -2\n"},
        {"volume 2\n", "volume 2 \n"},
        {"count 3\n", "count 1000\n"},
        {"length 10\n", "length 0\n"},
        {"length 10\n", "length 21\n"},
        {"total 30\n", "total 19\n"},
        {"total 30\n", "total 9007199254740993\n"},
        {"offset 10\n", "offset 1e1\n"},
        {"offset 10\n", "offset\n"},
        {"set aa", "set Aa"},
        {"sha256 bb", "sha256 b"},
        {"sha256 bb", "sha256 bbb"},
        {"volume 1\nset", "volume 2\nset"},
        {"count 3\n", ""},
        {"count 3\n", "count 3\ncount 3\n"},
        {"count 3\n", "count 3\n\n"},
    };
    struct volume_header h = make_header(2), kept = make_header(1);
    char block[VOLUME_HEADER];

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char changed[VOLUME_HEADER * 2] = "";
        const char *at;

        volume_header_format(&h, block);
        at = strstr(block, table[i][0]);
        assert_non_null(at);
        (void)snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - block), block, table[i][1],
                       at + strlen(table[i][0]));
        assert_int_equal(volume_header_parse(changed, &kept), -EBADMSG);
        assert_int_equal(kept.number, 1);
    }
    volume_header_format(&h, block);
    block[VOLUME_HEADER - 1] = 'x';
    assert_int_equal(volume_header_parse(block, &kept), -EBADMSG);
    assert_false(volume_header_is(block, 10));
    assert_false(volume_header_is("", 0));
}

/* A volume file whose ten bytes of content are its number. */
static void write_volume(const char *path, const struct volume_header *h)
{
    char bytes[VOLUME_HEADER + 10];

    volume_header_format(h, bytes);
    memset(bytes + VOLUME_HEADER, '0' + (int)h->number, 10);
    assert_int_equal(fs_write_file(path, bytes, sizeof(bytes), 0644, NULL), 0);
}

static void write_set(void)
{
    static const char *const names[] = {"b.tar.001", "b.tar.002", "b.tar.003"};

    for (unsigned i = 0; i < 3; i++) {
        struct volume_header h = make_header(i + 1);
        write_volume(names[i], &h);
    }
}

static void opens(const char *path)
{
    struct volume_header *headers = NULL;
    size_t volumes = 0;
    struct segfile f;
    char bytes[31] = "";

    assert_int_equal(segfile_open(path, &f, &headers, &volumes, NULL), 0);
    assert_int_equal(volumes, 3);
    assert_int_equal(f.length, 30);
    assert_int_equal(segfile_pread(&f, bytes, 30, 0), 0);
    assert_string_equal(bytes, "111111111122222222223333333333");
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(headers[i].number, i + 1);
    free(headers);
    segfile_release(&f);
}

static void refused(const char *path, int status, const char *message)
{
    struct volume_header *headers = NULL;
    auto_err struct err *e = NULL;
    size_t volumes = 0;
    struct segfile f;

    assert_int_equal(segfile_open(path, &f, &headers, &volumes, &e), status);
    if (!strstr(err_text(e), message))
        assert_string_equal(err_text(e), message);
    assert_null(headers);
}

static void any_name_finds_the_set(void **state)
{
    (void)state;
    write_set();
    opens("b.tar.001");
    opens("b.tar.002");
    opens("b.tar.003");
    opens("b.tar");
    opens("./b.tar");
    /* The header has the order, not the name; a file that is no volume does not disturb. */
    assert_int_equal(rename("b.tar.001", "x"), 0);
    assert_int_equal(rename("b.tar.003", "b.tar.001"), 0);
    assert_int_equal(rename("x", "b.tar.017"), 0);
    assert_int_equal(fs_write_file("b.tar.900", "something else", 14, 0644, NULL), 0);
    opens("b.tar");
    opens("b.tar.017");
    assert_int_equal(fs_mkdirs("odd[a-z]*?\\", 0755, NULL), 0);
    for (unsigned i = 1; i <= 3; i++) {
        struct volume_header h = make_header(i);
        auto_free char *path = xasprintf("odd[a-z]*?\\/v.%03u", i);
        write_volume(path, &h);
    }
    opens("odd[a-z]*?\\/v");
}

static void a_missing_volume_is_named(void **state)
{
    static const char *const names[] = {"b.tar.001", "b.tar.002", "b.tar.003"};
    static const char *const said[] = {"volume 1 of 3 of 'b.tar' is missing",
                                       "volume 2 of 3 of 'b.tar' is missing",
                                       "volume 3 of 3 of 'b.tar' is missing"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        write_set();
        assert_int_equal(unlink(names[i]), 0);
        refused("b.tar", -ENOENT, said[i]);
        refused(names[(i + 1) % 3], -ENOENT, said[i]);
    }
    assert_int_equal(unlink("b.tar.001"), 0);
    assert_int_equal(unlink("b.tar.002"), 0);
    refused("b.tar", -ENOENT, "'b.tar'");
}

static void sets_that_do_not_fit_are_refused(void **state)
{
    struct volume_header h = make_header(2);

    (void)state;
    write_set();
    memcpy(h.set, SET_B, DIGEST_SIZE);
    write_volume("b.tar.002", &h);
    refused("b.tar", -EBADMSG, "'b.tar.001' and 'b.tar.002' are volumes of different bundles");
    write_set();
    h = make_header(2);
    write_volume("b.tar.004", &h);
    refused("b.tar", -EBADMSG, "volume 2 of 'b.tar' stands twice");
    assert_int_equal(unlink("b.tar.004"), 0);
    h.offset = 11;
    write_volume("b.tar.002", &h);
    refused("b.tar", -EBADMSG, "does not join");
    write_set();
    for (unsigned i = 1; i <= 3; i++) {
        auto_free char *path = xasprintf("b.tar.00%u", i);
        h = make_header(i);
        h.total = 31;
        write_volume(path, &h);
    }
    refused("b.tar", -EBADMSG, "do not make up its 31 bytes");
}

/* What was a volume once and is damaged is not the same as one that is not there. */
static void damage_is_not_absence(void **state)
{
    struct volume_header h = make_header(2);
    char bytes[VOLUME_HEADER + 10] = "flatnet-volume 1\n";

    (void)state;
    write_set();
    assert_int_equal(fs_write_file("b.tar.002", bytes, sizeof(bytes), 0644, NULL), 0);
    refused("b.tar.001", -EBADMSG, "the volume header of 'b.tar.002' is damaged");
    assert_int_equal(fs_write_file("b.tar.002", bytes, 100, 0644, NULL), 0);
    refused("b.tar.001", -EBADMSG, "the volume header of 'b.tar.002' is damaged");
    volume_header_format(&h, bytes);
    bytes[3] ^= 1;
    assert_int_equal(fs_write_file("b.tar.002", bytes, sizeof(bytes), 0644, NULL), 0);
    refused("b.tar.001", -EBADMSG, "'b.tar.002' is damaged");
    assert_int_equal(fs_write_file("b.tar.002", "", 0, 0644, NULL), 0);
    refused("b.tar.001", -EBADMSG, "'b.tar.002' is damaged");
    write_set();
    assert_int_equal(truncate("b.tar.003", VOLUME_HEADER + 9), 0);
    refused("b.tar", -EBADMSG, "volume 'b.tar.003' has 521 bytes where its header says 522");
    assert_int_equal(truncate("b.tar.003", VOLUME_HEADER + 11), 0);
    refused("b.tar", -EBADMSG, "volume 'b.tar.003' has 523 bytes where its header says 522");
}

#define test(name) cmocka_unit_test_setup_teardown(name, tempdir_enter, tempdir_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(refuses_what_cannot_be),
        test(any_name_finds_the_set),
        test(a_missing_volume_is_named),
        test(sets_that_do_not_fit_are_refused),
        test(damage_is_not_absence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
