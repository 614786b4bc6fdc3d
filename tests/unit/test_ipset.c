/* The set of intervals: merging and splitting, its edges, and a comparison with a plain bitmap. */
#include "macvlan/ipset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define TOP (~(ip_num)0)

/* "10-20,30-30" of sets with small numbers. */
static const char *text_of(const struct ipset *s)
{
    static char text[4096];
    struct ip_range r;
    size_t len = 0;

    text[0] = '\0';
    for (ip_num from = 0; ipset_next(s, from, &r); from = r.last + 1)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u-%u", len ? "," : "",
                                (unsigned)r.first, (unsigned)r.last);
    return text;
}

static void adds_and_merges(void **state)
{
    static const struct {
        unsigned first, last;
        const char *set;
    } table[] = {
        {10, 10, "10-10"},         {12, 12, "10-10,12-12"},       {11, 11, "10-12"},
        {11, 12, "10-12"},         {20, 30, "10-12,20-30"},       {31, 31, "10-12,20-31"},
        {19, 19, "10-12,19-31"},   {40, 50, "10-12,19-31,40-50"}, {15, 60, "10-12,15-60"},
        {0, 0, "0-0,10-12,15-60"}, {5, 8, "0-0,5-8,10-12,15-60"}, {8, 14, "0-0,5-60"},
        {0, 100, "0-100"},
    };
    struct ipset s;

    (void)state;
    ipset_init(&s);
    for (size_t i = 0; i < COUNT(table); i++) {
        ipset_add(&s, table[i].first, table[i].last);
        assert_string_equal(text_of(&s), table[i].set);
    }
    assert_int_equal(ipset_count(&s), 101);
    ipset_release(&s);
    assert_int_equal(ipset_count(&s), 0);
}

static void removes_shrinks_and_splits(void **state)
{
    static const struct {
        unsigned first, last;
        const char *set;
    } table[] = {
        {200, 300, "10-100"},
        {0, 9, "10-100"},
        {10, 10, "11-100"},
        {100, 101, "11-99"},
        {50, 50, "11-49,51-99"},
        {50, 50, "11-49,51-99"},
        {40, 60, "11-39,61-99"},
        {20, 30, "11-19,31-39,61-99"},
        {15, 70, "11-14,71-99"},
        {0, 1000, ""},
        {5, 5, ""},
    };
    struct ipset s;

    (void)state;
    ipset_init(&s);
    ipset_add(&s, 10, 100);
    for (size_t i = 0; i < COUNT(table); i++) {
        ipset_remove(&s, table[i].first, table[i].last);
        assert_string_equal(text_of(&s), table[i].set);
    }
    ipset_release(&s);
}

static void works_at_both_ends(void **state)
{
    struct ip_range r;
    struct ipset s;
    ip_num gap;

    (void)state;
    ipset_init(&s);
    assert_false(ipset_next(&s, 0, &r));
    ipset_add(&s, TOP, TOP);
    ipset_add(&s, 0, 0);
    assert_true(ipset_count(&s) == 2);
    assert_true(ipset_has(&s, 0) && ipset_has(&s, TOP) && !ipset_has(&s, 1));
    assert_true(ipset_gap(&s, 0, TOP, &gap) && gap == 1);
    assert_false(ipset_gap(&s, TOP, TOP, &gap));
    ipset_add(&s, 1, TOP - 1);
    assert_int_equal(s.n_spans, 1);
    assert_true(ipset_count(&s) == TOP);
    assert_false(ipset_gap(&s, 0, TOP, &gap));
    ipset_remove(&s, TOP, TOP);
    assert_true(ipset_count(&s) == TOP);
    assert_true(ipset_next(&s, 5, &r) && r.first == 0 && r.last == TOP - 1);
    assert_false(ipset_next(&s, TOP, &r));
    ipset_remove(&s, 0, TOP);
    assert_int_equal(s.n_spans, 0);
    assert_true(ipset_count(&s) == 0);
    ipset_release(&s);
}

static void finds_gaps(void **state)
{
    static const struct {
        unsigned first, last;
        int gap; /* -1: none */
    } table[] = {
        {0, 100, 0},  {10, 100, 21}, {15, 15, -1},  {15, 20, -1}, {15, 21, 21}, {21, 21, 21},
        {22, 40, 31}, {30, 30, -1},  {31, 400, 31}, {41, 50, -1}, {40, 51, 51}, {51, 51, 51},
    };
    struct ipset s;

    (void)state;
    ipset_init(&s);
    ipset_add(&s, 10, 20);
    ipset_add(&s, 22, 30);
    ipset_add(&s, 40, 50);
    for (size_t i = 0; i < COUNT(table); i++) {
        ip_num gap = 0;
        bool found = ipset_gap(&s, table[i].first, table[i].last, &gap);

        assert_int_equal(found ? (int)gap : -1, table[i].gap);
    }
    ipset_release(&s);
}

#define SPACE 512

/* Numbers that are the same in every run. */
static unsigned next_random(uint64_t *seed, unsigned below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*seed >> 33) % below;
}

static void compare_all(const struct ipset *s, const bool bitmap[SPACE], unsigned probe)
{
    size_t count = 0, spans = 0;
    ip_num gap = SPACE;
    unsigned expected = probe;

    for (unsigned i = 0; i < SPACE; i++) {
        assert_int_equal(ipset_has(s, i), bitmap[i]);
        count += bitmap[i];
        spans += bitmap[i] && (!i || !bitmap[i - 1]);
    }
    assert_int_equal(ipset_count(s), count);
    assert_int_equal(s->n_spans, spans);
    while (expected < SPACE && bitmap[expected])
        expected++;
    assert_int_equal(ipset_gap(s, probe, SPACE - 1, &gap), expected < SPACE);
    assert_int_equal(gap, expected);
}

static void agrees_with_a_bitmap(void **state)
{
    static bool bitmap[SPACE];
    uint64_t seed = 20190527;
    struct ipset s;

    (void)state;
    ipset_init(&s);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned first = next_random(&seed, SPACE);
        unsigned longest = round % 7 ? 4 : 200;
        unsigned last = first + next_random(&seed, longest);
        bool is_added = next_random(&seed, 2);

        last = last < SPACE ? last : SPACE - 1;
        if (is_added)
            ipset_add(&s, first, last);
        else
            ipset_remove(&s, first, last);
        memset(bitmap + first, is_added, last - first + 1);
        compare_all(&s, bitmap, next_random(&seed, SPACE));
    }
    ipset_release(&s);
}

/* The same, with places that lie up to the whole space apart. */
static void agrees_with_a_bitmap_far_apart(void **state)
{
    static bool bitmap[SPACE];
    const ip_num step = TOP / SPACE;
    uint64_t seed = 20190528;
    struct ipset s;

    (void)state;
    ipset_init(&s);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned first = next_random(&seed, SPACE), last = first + next_random(&seed, 5);
        bool is_added = next_random(&seed, 2);
        ip_num from, to, width;

        last = last < SPACE ? last : SPACE - 1;
        /* Whole steps, or only the first numbers of each. */
        width = round / 5000 % 2 ? step : 1000;
        for (unsigned i = first; i <= last; i++) {
            from = step * i;
            to = from + width - 1;
            if (is_added)
                ipset_add(&s, from, to);
            else
                ipset_remove(&s, from, from + step - 1);
            bitmap[i] = is_added;
        }
        for (unsigned i = 0; i < SPACE; i++)
            assert_int_equal(ipset_has(&s, step * i + 999), bitmap[i]);
    }
    ipset_release(&s);
    assert_int_equal(s.n_spans, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_and_merges),      cmocka_unit_test(removes_shrinks_and_splits),
        cmocka_unit_test(works_at_both_ends),   cmocka_unit_test(finds_gaps),
        cmocka_unit_test(agrees_with_a_bitmap), cmocka_unit_test(agrees_with_a_bitmap_far_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
