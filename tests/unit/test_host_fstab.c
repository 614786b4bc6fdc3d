/* fstab: which rows are swap rows, and that nothing else is ever touched. */
#include "host_fstab.h"

#include "mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void text_init(struct buf *b, const char *text)
{
    buf_init(b, 1u << 20);
    (void)buf_addstr(b, text);
}

static void test_rows(void **state)
{
    static const struct {
        const char *line;
        bool is_swap;
    } rows[] = {
        {"/dev/sda2 none swap sw 0 0\n", true},
        {"UUID=1234-ab\tnone\tswap\tdefaults\t0\t0\n", true},
        {"  /swapfile   swap   swap  pri=5,discard\n", true},
        {"/dev/sda2 none swap", true},
        {"\t/dev/sda2\tnone\tswap\n", true},
        {"# /dev/sda2 none swap sw 0 0\n", false},
        {"#/dev/sda2 none swap sw 0 0\n", false},
        {"   #/dev/sda2 none swap sw 0 0\n", false},
        {"/dev/sda3 /swap ext4 defaults 0 0\n", false},
        {"/dev/sda3 swap ext4 swap 0 0\n", false},
        {"tmpfs /x tmpfs size=1G,swap 0 0\n", false},
        {"/dev/sda2 none swapfs sw 0 0\n", false},
        {"/dev/sda2 none SWAP sw 0 0\n", false},
        {"swap swap\n", false},
        {"swap swap swap\n", true},
        {"\n", false},
        {"   \t \n", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *p = rows[i].line, *end = p + strlen(p);
        struct fstab_line line;

        assert_true(fstab_next(&p, end, &line));
        if (line.is_swap != rows[i].is_swap)
            fail_msg("'%s' is taken for %s", rows[i].line,
                     line.is_swap ? "swap" : "something else");
        assert_int_equal(line.len, strlen(rows[i].line));
        assert_false(fstab_next(&p, end, &line));
    }
}

static void test_fields(void **state)
{
    const char *text = "/dev/disk/by-label/my\\040swap none swap nofail,pri=7,discard=once 0 0\n";
    const char *p = text;
    struct fstab_line line;
    struct fstab_swap options;
    auto_free char *spec = NULL;

    (void)state;
    assert_true(fstab_next(&p, text + strlen(text), &line));
    spec = fstab_unescape(line.spec, line.spec_len);
    assert_string_equal(spec, "/dev/disk/by-label/my swap");
    fstab_swap_options(line.options, line.options_len, &options);
    assert_int_equal(options.priority, 7);
    assert_int_equal(options.flags, FSTAB_DISCARD | FSTAB_DISCARD_ONCE);
}

static void test_options(void **state)
{
    static const struct {
        const char *text;
        int priority;
        unsigned flags;
    } cases[] = {
        {"", -1, 0},
        {"sw", -1, 0},
        {"defaults,pri=0", 0, 0},
        {"pri=32767", 32767, 0},
        {"pri=32768", -1, 0},
        {"pri=", -1, 0},
        {"pri=-5", -1, 0},
        {"pri=99999999999999999999", -1, 0},
        {"discard", -1, FSTAB_DISCARD},
        {"discard=pages,pri=3", 3, FSTAB_DISCARD | FSTAB_DISCARD_PAGES},
        {"discard=never", -1, 0},
        {"nodiscard", -1, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fstab_swap got;

        fstab_swap_options(cases[i].text, strlen(cases[i].text), &got);
        assert_int_equal(got.priority, cases[i].priority);
        assert_int_equal(got.flags, cases[i].flags);
    }
}

static void test_edited_by_another(void **state)
{
    auto_buf struct buf before, now, got;

    (void)state;
    text_init(&before, "/dev/a / ext4\n/dev/b none swap sw\n/dev/c none swap\n");
    /* One row was removed, one added, and a row that only looks like ours is left. */
    text_init(&now, "/dev/new /srv xfs\n" FSTAB_MARKER "/dev/b none swap sw\n" FSTAB_MARKER
                    "/dev/d none swap\n/dev/e none swap\n");
    text_init(&got, "");
    assert_int_equal(fstab_uncomment_swap(&now, &before, &got), 1);
    assert_string_equal(got.data, "/dev/new /srv xfs\n/dev/b none swap sw\n" FSTAB_MARKER
                                  "/dev/d none swap\n/dev/e none swap\n");
}

/* --- generated tables --- */

static uint64_t seed;

static size_t any(size_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % below;
}

static const char *pick(const char *const *words, size_t count)
{
    return words[any(count)];
}
#define PICK(words) pick(words, sizeof(words) / sizeof(words[0]))

static void add_gap(struct buf *b)
{
    static const char *const gaps[] = {" ", "\t", "   ", "\t\t", " \t "};

    (void)buf_addstr(b, PICK(gaps));
}

/* Adds a row without its newline; returns whether it is a swap row. Some bytes are no text. */
static bool add_row(struct buf *b)
{
    static const char *const specs[] = {"UUID=0f-swap", "LABEL=swap",  "/dev/sda2",
                                        "/swap",        "swap",        "/a\\040b",
                                        "\xff\xfe/dev", "server:/swap"};
    static const char *const dirs[] = {"none", "swap", "/swap", "/mnt/swap", "/"};
    static const char *const types[] = {"swap", "swap", "ext4", "xfs", "swapfs", "Swap", "nfs"};
    static const char *const options[] = {"swap", "sw,pri=3", "defaults", "noauto,swap",
                                          "swap=swap"};
    static const char *const others[] = {
        "",          "   ", "# a b swap", "#swap swap swap",      " \t# x y swap z",
        "swap swap", "one", FSTAB_MARKER, FSTAB_MARKER "a b ext4"};
    const char *type = PICK(types);

    if (any(3) == 0) {
        (void)buf_addstr(b, PICK(others));
        return false;
    }
    if (any(4) == 0)
        add_gap(b);
    (void)buf_addstr(b, PICK(specs));
    add_gap(b);
    (void)buf_addstr(b, PICK(dirs));
    add_gap(b);
    (void)buf_addstr(b, type);
    for (size_t fields = any(4); fields > 0; fields--) {
        add_gap(b);
        (void)buf_addstr(b, fields > 1 ? PICK(options) : "0");
    }
    if (any(5) == 0)
        add_gap(b);
    return !strcmp(type, "swap");
}

static void check_table(size_t rows)
{
    auto_buf struct buf table, expected, got, back;
    size_t swaps = 0;

    text_init(&table, "");
    text_init(&expected, "");
    text_init(&got, "");
    text_init(&back, "");
    for (size_t i = 0; i < rows; i++) {
        auto_buf struct buf row;
        bool is_swap, has_newline = i + 1 < rows || any(2);

        text_init(&row, "");
        is_swap = add_row(&row);
        swaps += is_swap;
        if (has_newline)
            (void)buf_addch(&row, '\n');
        (void)buf_add(&table, row.data, row.len);
        (void)buf_addstr(&expected, is_swap ? FSTAB_MARKER : "");
        (void)buf_add(&expected, row.data, row.len);
    }
    assert_int_equal(fstab_count_swap(&table), swaps);
    assert_int_equal(fstab_comment_swap(&table, &got), swaps);
    assert_int_equal(got.len, expected.len);
    assert_memory_equal(got.data, expected.data, got.len);
    assert_int_equal(fstab_count_swap(&got), 0);
    assert_int_equal(fstab_uncomment_swap(&got, &table, &back), swaps);
    assert_int_equal(back.len, table.len);
    assert_memory_equal(back.data, table.data, back.len);
}

static void test_property(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        seed = i * 0x9e3779b97f4a7c15u + 1;
        check_table(any(12));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),     cmocka_unit_test(test_fields),
        cmocka_unit_test(test_options),  cmocka_unit_test(test_edited_by_another),
        cmocka_unit_test(test_property),
    };

    return cmocka_run_group_tests_name("host_fstab", tests, NULL, NULL);
}
