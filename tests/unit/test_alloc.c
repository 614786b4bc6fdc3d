/* The allocator of one subnet: verdicts, order, reservations, waiting, other specs, size. */
#include "macvlan/alloc.h"

#include "json.h"
#include "mem.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* `ranges` is "FIRST LAST" pairs of last octets of 10.0.0.0, such as "10 20,30 40", or "". */
static struct subnet *subnet(const char *cidr, const char *ranges, bool legacy)
{
    auto_json cJSON *tree = cJSON_CreateObject();
    cJSON *spec = cJSON_AddObjectToObject(tree, "spec");
    cJSON *list = cJSON_AddArrayToObject(spec, "ranges");
    struct subnet *s = NULL;

    json_add_str(cJSON_AddObjectToObject(tree, "metadata"), "name", "s");
    json_add_str(spec, "master", "eth0");
    json_add_str(spec, "cidr", cidr);
    while (*ranges) {
        cJSON *range = cJSON_CreateObject();
        char *end;
        long first = strtol(ranges, &end, 10), last = strtol(end, &end, 10);
        auto_free char *from = xasprintf("10.0.0.%ld", first), *to = xasprintf("10.0.0.%ld", last);

        json_add_str(range, "rangeStart", from);
        json_add_str(range, "rangeEnd", to);
        (void)cJSON_AddItemToArray(list, range);
        ranges = end + (*end == ',');
    }
    assert_int_equal(subnet_parse(tree, legacy, &s, NULL), 0);
    assert_true(s->is_valid);
    return s;
}

static struct ip_addr addr(const char *text)
{
    struct ip_addr a = {.family = AF_UNSPEC};

    assert_int_equal(ip_parse(text, &a), 0);
    return a;
}

/* The next free address as text, "" when there is none. */
static const char *next(struct alloc *a)
{
    static char text[IP_TEXT_SIZE];
    struct ip_addr got = {.family = AF_UNSPEC};

    return alloc_claim_lowest(a, &got) ? ip_format(got, text) : "";
}

static void assert_counts(const struct alloc *a, struct alloc_counts expected)
{
    struct alloc_counts c;

    alloc_count(a, &c);
    assert_int_equal(c.total, expected.total);
    assert_int_equal(c.used, expected.used);
    assert_int_equal(c.free, expected.free);
    assert_int_equal(c.reserved, expected.reserved);
    assert_int_equal(c.cooling, expected.cooling);
    assert_int_equal(c.outside, expected.outside);
}

static void gives_the_lowest(void **state)
{
    static const struct {
        const char *cidr, *ranges;
        bool legacy;
        const char *expected[5]; /* up to "", when nothing is left */
    } table[] = {
        {"10.0.0.0/24", "", false, {"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}},
        {"10.0.0.0/24", "101 102", false, {"10.0.0.101", "10.0.0.102", ""}},
        {"10.0.0.0/24", "200 200,0 2", false, {"10.0.0.2", "10.0.0.200", ""}},
        {"10.0.0.0/24", "254 255", false, {"10.0.0.254", ""}},
        {"10.0.0.0/30", "", false, {"10.0.0.2", ""}},
        {"10.0.0.0/30", "", true, {"10.0.0.2", "10.0.0.3", ""}},
        {"10.0.0.252/30", "", true, {"10.0.0.252", "10.0.0.254", ""}},
        {"10.0.0.4/31", "", false, {"10.0.0.4", ""}},
        {"10.0.0.4/32", "", false, {"10.0.0.4", ""}},
        {"10.0.0.255/32", "", true, {""}},
        {"fd00::/64", "", false, {"fd00::2", "fd00::3", "fd00::4", "fd00::5", "fd00::6"}},
        {"fd00::/126", "", false, {"fd00::2", "fd00::3", ""}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_subnet struct subnet *s = subnet(table[i].cidr, table[i].ranges, table[i].legacy);
        struct alloc *a = alloc_new(s);

        for (size_t k = 0; k < 5 && table[i].expected[k]; k++)
            assert_string_equal(next(a), table[i].expected[k]);
        alloc_free(a);
    }
}

static void says_why_not(void **state)
{
    static const struct {
        const char *address;
        enum alloc_verdict verdict;
    } table[] = {
        {"10.0.0.1", ALLOC_GATEWAY}, {"10.0.0.0", ALLOC_NETWORK},  {"10.0.0.255", ALLOC_BROADCAST},
        {"10.0.1.5", ALLOC_OUTSIDE}, {"10.0.0.60", ALLOC_OUTSIDE}, {"fd00::5", ALLOC_OUTSIDE},
        {"10.0.0.5", ALLOC_USED},    {"10.0.0.6", ALLOC_RESERVED}, {"10.0.0.7", ALLOC_COOLING},
        {"10.0.0.8", ALLOC_OK},      {"::a00:8", ALLOC_OUTSIDE},
    };
    auto_subnet struct subnet *s = subnet("10.0.0.0/24", "0 50,200 255", false);
    struct alloc *a = alloc_new(s);

    (void)state;
    assert_int_equal(alloc_claim(a, addr("10.0.0.5"), false), ALLOC_OK);
    alloc_reserve(a, addr("10.0.0.6"));
    assert_int_equal(alloc_claim(a, addr("10.0.0.7"), false), ALLOC_OK);
    alloc_release(a, addr("10.0.0.7"), 1000);
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_int_equal(alloc_check(a, addr(table[i].address), false), table[i].verdict);
        assert_int_equal(alloc_claim(a, addr(table[i].address), false), table[i].verdict);
    }
    assert_int_equal(alloc_claim(a, addr("10.0.0.6"), true), ALLOC_OK);
    assert_int_equal(alloc_claim(a, addr("10.0.0.6"), true), ALLOC_USED);
    alloc_free(a);
}

static void counts_reservations(void **state)
{
    auto_subnet struct subnet *s = subnet("10.0.0.0/24", "10 13", false);
    struct alloc *a = alloc_new(s);

    (void)state;
    alloc_reserve(a, addr("10.0.0.10"));
    alloc_reserve(a, addr("10.0.0.10"));
    alloc_reserve(a, addr("10.0.0.99"));
    assert_counts(a, (struct alloc_counts){.total = 4, .free = 3, .reserved = 1});
    assert_string_equal(next(a), "10.0.0.11");
    alloc_unreserve(a, addr("10.0.0.10"));
    assert_string_equal(next(a), "10.0.0.12");
    assert_int_equal(alloc_claim(a, addr("10.0.0.10"), true), ALLOC_OK);
    assert_counts(a, (struct alloc_counts){.total = 4, .used = 3, .free = 1});
    alloc_release(a, addr("10.0.0.10"), 0);
    assert_counts(a, (struct alloc_counts){.total = 4, .used = 2, .free = 1, .reserved = 1});
    alloc_unreserve(a, addr("10.0.0.10"));
    alloc_unreserve(a, addr("10.0.0.10"));
    alloc_unreserve(a, addr("10.0.0.99"));
    assert_string_equal(next(a), "10.0.0.10");
    assert_string_equal(next(a), "10.0.0.13");
    assert_string_equal(next(a), "");
    alloc_reserve(a, addr("10.0.0.13"));
    alloc_unreserve(a, addr("10.0.0.13"));
    assert_string_equal(next(a), "");
    alloc_free(a);
}

static void waits_before_reuse(void **state)
{
    auto_subnet struct subnet *s = subnet("10.0.0.0/24", "10 12", false);
    struct alloc *a = alloc_new(s);

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_string_not_equal(next(a), "");
    assert_int_equal(alloc_expire(a, 5), 0);
    alloc_release(a, addr("10.0.0.11"), 200);
    alloc_release(a, addr("10.0.0.10"), 100);
    alloc_release(a, addr("10.0.0.12"), 200);
    alloc_reserve(a, addr("10.0.0.12"));
    assert_counts(a, (struct alloc_counts){.total = 3, .reserved = 1, .cooling = 2});
    assert_string_equal(next(a), "");
    assert_int_equal(alloc_claim(a, addr("10.0.0.12"), true), ALLOC_COOLING);
    assert_int_equal(alloc_expire(a, 99), 100);
    assert_string_equal(next(a), "");
    assert_int_equal(alloc_expire(a, 100), 200);
    assert_string_equal(next(a), "10.0.0.10");
    assert_string_equal(next(a), "");
    /* Somebody is found to have it all the same. */
    assert_true(alloc_adopt(a, addr("10.0.0.11")));
    assert_int_equal(alloc_expire(a, 1000), 0);
    assert_string_equal(next(a), "");
    assert_int_equal(alloc_claim(a, addr("10.0.0.12"), true), ALLOC_OK);
    alloc_unreserve(a, addr("10.0.0.12"));
    assert_counts(a, (struct alloc_counts){.total = 3, .used = 3});
    alloc_free(a);
}

static void follows_another_spec(void **state)
{
    auto_subnet struct subnet *narrow = subnet("10.0.0.0/24", "10 12", false);
    auto_subnet struct subnet *wide = subnet("10.0.0.0/24", "12 14,20 21", false);
    auto_subnet struct subnet *other = subnet("fd00::/64", "", false);
    struct alloc *a = alloc_new(narrow);

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_string_not_equal(next(a), "");
    alloc_reserve(a, addr("10.0.0.20"));
    assert_string_equal(next(a), "");
    assert_counts(a, (struct alloc_counts){.total = 3, .used = 3});

    alloc_replace(a, wide);
    assert_ptr_equal(alloc_subnet(a), wide);
    assert_counts(
        a, (struct alloc_counts){.total = 5, .used = 3, .free = 3, .reserved = 1, .outside = 2});
    assert_string_equal(next(a), "10.0.0.13");
    assert_int_equal(alloc_check(a, addr("10.0.0.10"), false), ALLOC_OUTSIDE);
    alloc_release(a, addr("10.0.0.10"), 0);
    assert_counts(
        a, (struct alloc_counts){.total = 5, .used = 3, .free = 2, .reserved = 1, .outside = 1});

    alloc_replace(a, other);
    assert_string_equal(next(a), "fd00::2");
    alloc_replace(a, narrow);
    assert_string_equal(next(a), "10.0.0.10");
    assert_string_equal(next(a), "");
    assert_counts(a, (struct alloc_counts){.total = 3, .used = 5, .outside = 2});
    alloc_free(a);
}

static void adopts_whatever_is_there(void **state)
{
    static const char *const table[] = {"10.0.0.1", "10.0.0.0", "10.0.0.255", "10.9.9.9",
                                        "10.0.0.7"};
    auto_subnet struct subnet *s = subnet("10.0.0.0/24", "", false);
    struct alloc *a = alloc_new(s);

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        assert_true(alloc_adopt(a, addr(table[i])));
        assert_false(alloc_adopt(a, addr(table[i])));
    }
    assert_counts(a, (struct alloc_counts){.total = 253, .used = 5, .free = 252, .outside = 4});
    for (size_t i = 0; i < COUNT(table); i++) {
        alloc_release(a, addr(table[i]), 0);
        alloc_release(a, addr(table[i]), 0);
    }
    assert_counts(a, (struct alloc_counts){.total = 253, .free = 253});
    alloc_free(a);
}

/* Each usable address is given exactly once, and again after all were released from the top. */
static void gives_all_of_a_network(void **state)
{
    static const bool rules[] = {false, true};

    (void)state;
    for (size_t i = 0; i < COUNT(rules); i++) {
        auto_subnet struct subnet *s = subnet("10.0.0.0/18", "", rules[i]);
        struct alloc *a = alloc_new(s);
        uint64_t total = rules[i] ? 16384 - 128 - 1 : 16384 - 3;

        for (int round = 0; round < 2; round++) {
            struct ip_addr got, last = addr("10.0.0.0");
            uint64_t n = 0;

            for (; alloc_claim_lowest(a, &got); n++, last = got)
                assert_true(ip_compare(last, got) < 0);
            assert_int_equal(n, total);
            assert_counts(a, (struct alloc_counts){.total = total, .used = total});
            for (got = addr("10.0.63.255"); got.value >= addr("10.0.0.0").value; got.value--)
                alloc_release(a, got, 0);
            assert_counts(a, (struct alloc_counts){.total = total, .free = total});
        }
        alloc_free(a);
    }
}

#define MANY 100000
#define MEMORY_MAX (2 << 20)

static void large_networks_cost_the_same(void **state)
{
    static const struct {
        const char *cidr, *first;
        bool legacy;
    } table[] = {
        {"10.0.0.0/8", "10.0.0.0", false},
        {"10.0.0.0/8", "10.0.0.0", true},
        {"fd00::/64", "fd00::", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        auto_subnet struct subnet *s = subnet(table[i].cidr, "", table[i].legacy);
        struct ip_addr got = addr(table[i].first), expected = got;
        size_t before = mallinfo2().uordblks;
        struct alloc *a = alloc_new(s);
        struct alloc_counts c;

        for (int k = 0; k < MANY; k++) {
            do
                expected.value++;
            while (subnet_place(s, expected) != SUBNET_USABLE);
            assert_true(alloc_claim_lowest(a, &got) && ip_compare(got, expected) == 0);
        }
        assert_true(mallinfo2().uordblks < before + MEMORY_MAX);
        alloc_count(a, &c);
        assert_int_equal(c.used, MANY);
        assert_int_equal(c.free, i == 2 ? UINT64_MAX - 1 - MANY : c.total - MANY);
        alloc_free(a);
    }
}

/* The worst case for intervals: every second address, in an order that is up, down or mixed. */
static void fills_many_holes(void **state)
{
    auto_subnet struct subnet *s = subnet("10.0.0.0/8", "", false);
    struct ip_addr got, first = addr("10.0.0.3");

    (void)state;
    for (unsigned order = 0; order < 3; order++) {
        size_t before = mallinfo2().uordblks;
        struct alloc *a = alloc_new(s);

        for (unsigned i = 0; i < MANY; i += 2) {
            unsigned at = order == 0 ? i : order == 1 ? MANY - 2 - i : i * 7919 % MANY;

            assert_int_equal(alloc_claim(a, (struct ip_addr){AF_INET, first.value + at}, false),
                             ALLOC_OK);
        }
        assert_true(mallinfo2().uordblks < before + MEMORY_MAX);
        for (unsigned i = 0; i < MANY; i += 2)
            assert_true(alloc_claim_lowest(a, &got) && got.value == first.value + i - 1);
        assert_true(alloc_claim_lowest(a, &got) && got.value == first.value + MANY - 1);
        alloc_free(a);
    }
}

/* As many used as in the worst case, and every second one let go. */
static void lets_go_of_every_second(void **state)
{
    auto_subnet struct subnet *s = subnet("10.0.0.0/8", "", false);
    size_t before = mallinfo2().uordblks;
    struct alloc *a = alloc_new(s);
    struct ip_addr got;

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        assert_true(alloc_claim_lowest(a, &got));
    for (unsigned i = 0; i < MANY; i += 2)
        alloc_release(a, (struct ip_addr){AF_INET, got.value - i}, 0);
    assert_true(mallinfo2().uordblks < before + MEMORY_MAX);
    alloc_free(a);
}

/* --- against a model that looks at every address --- */

#define SPACE 256

struct model {
    bool used[SPACE];
    unsigned reservations[SPACE];
    int64_t until[SPACE];
};

static unsigned next_random(uint64_t *seed, unsigned below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*seed >> 33) % below;
}

static bool is_free(const struct model *m, const struct subnet *s, unsigned i)
{
    struct ip_addr a = {AF_INET, addr("10.0.0.0").value + i};

    return subnet_place(s, a) == SUBNET_USABLE && !m->used[i] && !m->reservations[i] &&
           !m->until[i];
}

static void step(struct alloc *a, struct model *m, uint64_t *seed, int64_t now)
{
    unsigned i = next_random(seed, SPACE), expected = 0;
    struct ip_addr at = {AF_INET, addr("10.0.0.0").value + i}, got;
    const struct subnet *s = alloc_subnet(a);

    switch (next_random(seed, 7)) {
    case 0:
        while (expected < SPACE && !is_free(m, s, expected))
            expected++;
        assert_int_equal(alloc_claim_lowest(a, &got), expected < SPACE);
        if (expected == SPACE)
            break;
        assert_true(got.value == addr("10.0.0.0").value + expected);
        m->used[expected] = true;
        break;
    case 1:
        assert_int_equal(alloc_claim(a, at, false) == ALLOC_OK, is_free(m, s, i));
        m->used[i] |= is_free(m, s, i);
        break;
    case 2:
        assert_int_equal(alloc_adopt(a, at), !m->used[i]);
        m->used[i] = true;
        break;
    case 3:
        alloc_release(a, at, 0);
        m->used[i] = false;
        break;
    case 4:
        if (m->used[i])
            m->until[i] = now + 1 + i;
        alloc_release(a, at, now + 1 + i);
        m->used[i] = false;
        break;
    case 5:
        alloc_reserve(a, at);
        m->reservations[i]++;
        break;
    default:
        alloc_unreserve(a, at);
        m->reservations[i] -= m->reservations[i] > 0;
        break;
    }
}

static void compare(const struct alloc *a, const struct model *m)
{
    struct alloc_counts c = {0};

    for (unsigned i = 0; i < SPACE; i++) {
        struct ip_addr at = {AF_INET, addr("10.0.0.0").value + i};
        bool is_usable = subnet_place(alloc_subnet(a), at) == SUBNET_USABLE;
        bool is_kept = is_usable && !m->used[i];

        c.total += is_usable;
        c.used += m->used[i];
        c.outside += m->used[i] && !is_usable;
        c.reserved += is_kept && m->reservations[i];
        c.cooling += is_kept && !m->reservations[i] && m->until[i];
        c.free += is_free(m, alloc_subnet(a), i);
    }
    assert_counts(a, c);
}

static void agrees_with_a_model(void **state)
{
    struct subnet *all[] = {subnet("10.0.0.0/24", "", false), subnet("10.0.0.0/24", "", true),
                            subnet("10.0.0.0/24", "0 50,52 52,100 255", false),
                            subnet("10.0.0.64/26", "", false)};
    struct alloc *a = alloc_new(all[0]);
    struct model m = {.used = {false}};
    uint64_t seed = 20190524;

    (void)state;
    for (int64_t now = 1; now <= 20000; now++) {
        if (now % 200 == 0)
            alloc_replace(a, all[next_random(&seed, COUNT(all))]);
        if (now % 10 == 0) {
            (void)alloc_expire(a, now);
            for (unsigned i = 0; i < SPACE; i++)
                m.until[i] = m.until[i] <= now ? 0 : m.until[i];
        }
        step(a, &m, &seed, now);
        compare(a, &m);
    }
    alloc_free(a);
    for (size_t i = 0; i < COUNT(all); i++)
        subnet_free(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_lowest),       cmocka_unit_test(says_why_not),
        cmocka_unit_test(counts_reservations),    cmocka_unit_test(waits_before_reuse),
        cmocka_unit_test(follows_another_spec),   cmocka_unit_test(adopts_whatever_is_there),
        cmocka_unit_test(gives_all_of_a_network), cmocka_unit_test(large_networks_cost_the_same),
        cmocka_unit_test(fills_many_holes),       cmocka_unit_test(lets_go_of_every_second),
        cmocka_unit_test(agrees_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
