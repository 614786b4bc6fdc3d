/* The frames that ask for an address, and what counts as an answer. */
#include "addrprobe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct ip_mac own = {{0x02, 0, 0, 0, 0, 5}}, other = {{0x02, 0, 0, 0, 0, 9}};

static struct addrprobe probe(const char *addr)
{
    struct addrprobe p = {.mac = own};

    assert_int_equal(ip_parse(addr, &p.addr), 0);
    return p;
}

/* RFC 5227, 2.1.1: sender 0.0.0.0, target the address, to everybody. */
static const uint8_t arp_question[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,  0, 0, 0, 0, 5, 0x08, 0x06,             /* Ethernet */
    0,    1,    8,    0,    6,    4,    0,  1, 2, 0, 0, 0, 0,    5,    0, 0, 0, 0, /* who asks */
    0,    0,    0,    0,    0,    0,    10, 1, 0, 5,
};

static void asks_by_arp(void **state)
{
    struct addrprobe p = probe("10.1.0.5");
    uint8_t frame[ADDRPROBE_FRAME_SIZE];

    (void)state;
    assert_int_equal(addrprobe_question(&p, frame), sizeof(arp_question));
    assert_memory_equal(frame, arp_question, sizeof(arp_question));
}

/* RFC 4862, 5.4.2: from ::, to the solicited-node group of the target, without an option. */
static void asks_by_solicitation(void **state)
{
    static const uint8_t expected[] = {
        0x33, 0x33, 0xff, 0, 0, 5,  2,  0,   0, 0, 0, 5,    0x86, 0xdd, /* Ethernet */
        0x60, 0,    0,    0, 0, 24, 58, 255,                            /* IPv6 */
        0,    0,    0,    0, 0, 0,  0,  0,   0, 0, 0, 0,    0,    0,    0, 0,   0xff,
        2,    0,    0,    0, 0, 0,  0,  0,   0, 0, 1, 0xff, 0,    0,    5, 135, 0,
    };
    struct addrprobe p = probe("fd00::5");
    uint8_t frame[ADDRPROBE_FRAME_SIZE], target[16];
    uint32_t sum = 24 + 58;

    (void)state;
    (void)ip_bytes(p.addr, target);
    assert_int_equal(addrprobe_question(&p, frame), 14 + 40 + 24);
    assert_memory_equal(frame, expected, sizeof(expected));
    assert_memory_equal(frame + 14 + 40 + 8, target, 16);
    /* With its checksum in it, all that the checksum covers adds up to ones. */
    for (size_t i = 14 + 8; i < 14 + 40 + 24; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
}

struct edit {
    size_t at;
    uint8_t value;
};

/* The question, sent by another, with these bytes changed. */
static int conflict_after(const char *addr, const struct edit *edits, size_t n, size_t cut)
{
    struct addrprobe p = probe(addr), theirs = p;
    uint8_t frame[ADDRPROBE_FRAME_SIZE];
    struct ip_mac found = {.bytes = {0}};
    size_t len;
    bool is;

    theirs.mac = other;
    len = addrprobe_question(&theirs, frame);
    for (size_t i = 0; i < n; i++)
        frame[edits[i].at] = edits[i].value;
    is = addrprobe_is_conflict(&p, frame, len - cut, &found);
    if (is)
        assert_memory_equal(found.bytes, other.bytes, 6);
    return is;
}

#define AFTER(addr, cut, ...)                                                                      \
    conflict_after(addr, (const struct edit[]){__VA_ARGS__},                                       \
                   sizeof((const struct edit[]){__VA_ARGS__}) / sizeof(struct edit), cut)
#define SAME                                                                                       \
    {                                                                                              \
        0, 0xff                                                                                    \
    }

static void sees_conflicts_by_arp(void **state)
{
    (void)state;
    /* Another asks for it like us. */
    assert_true(AFTER("10.1.0.5", 0, SAME));
    assert_false(AFTER("10.1.0.5", 1, SAME));
    /* As an answer that is nobody's. */
    assert_false(AFTER("10.1.0.5", 0, {21, 2}));
    /* It says: I am 10.1.0.5; question or answer. */
    assert_true(AFTER("10.1.0.5", 0, {28, 10}, {29, 1}, {31, 5}, {41, 77}));
    assert_true(AFTER("10.1.0.5", 0, {21, 2}, {28, 10}, {29, 1}, {31, 5}));
    /* 10.1.0.6 asks for 10.1.0.5, or says what it is. */
    assert_false(AFTER("10.1.0.5", 0, {28, 10}, {29, 1}, {31, 6}));
    assert_false(AFTER("10.1.0.5", 0, {41, 6}));
    /* Not of IPv4. */
    assert_false(AFTER("10.1.0.5", 0, {16, 9}));
    assert_false(AFTER("10.1.0.5", 0, {19, 16}));
    /* Our own, come back. */
    assert_false(AFTER("10.1.0.5", 0, {27, 5}));
}

static void sees_conflicts_by_neighbour_discovery(void **state)
{
    enum { HOPS = 14 + 7, NEXT = 14 + 6, SOURCE_END = 14 + 23, TYPE = 14 + 40, TARGET_END = 77 };

    (void)state;
    assert_true(AFTER("fd00::5", 0, {0, 0x33}));
    assert_false(AFTER("fd00::5", 1, {0, 0x33}));
    assert_true(AFTER("fd00::5", 0, {TYPE, 136}, {SOURCE_END, 9}));
    /* A question by one who has an address is no claim. */
    assert_false(AFTER("fd00::5", 0, {SOURCE_END, 9}));
    assert_false(AFTER("fd00::5", 0, {TARGET_END, 6}));
    assert_false(AFTER("fd00::5", 0, {TYPE, 128}));
    /* From beyond a router. */
    assert_false(AFTER("fd00::5", 0, {HOPS, 254}));
    assert_false(AFTER("fd00::5", 0, {NEXT, 17}));
    assert_false(AFTER("fd00::5", 0, {11, 5}));
}

static void needs_its_link(void **state)
{
    struct addrprobe p = probe("10.1.0.5");
    struct err *e = NULL;

    (void)state;
    p.link = 0x7ffffff0;
    p.count = 1;
    assert_true(addrprobe_run(&p, &e) < 0);
    assert_non_null(strstr(e->msg, "cannot ask whether address 10.1.0.5 is in use"));
    assert_true(addrprobe_announce(&p, &e) < 0);
    assert_non_null(strstr(e->msg, "cannot announce address 10.1.0.5"));
    p = probe("fd00::5");
    p.link = 0x7ffffff0;
    assert_true(addrprobe_announce(&p, &e) < 0);
    assert_non_null(strstr(e->msg, "cannot announce address fd00::5"));
    err_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_by_arp),
        cmocka_unit_test(asks_by_solicitation),
        cmocka_unit_test(sees_conflicts_by_arp),
        cmocka_unit_test(sees_conflicts_by_neighbour_discovery),
        cmocka_unit_test(needs_its_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
