/* WebSocket frames: the RFC's own examples, every length's form, joining, and what no server sends.
 */
#include "kube/ws_frame.h"

#include "mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MAX 70000

/* Section 1.3 of RFC 6455. */
static void answers_the_key(void **state)
{
    char accept[WS_ACCEPT_SIZE];

    (void)state;
    ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

/* Section 5.7: a single-frame masked text message. */
static void writes_masked(void **state)
{
    static const uint8_t mask[] = {0x37, 0xfa, 0x21, 0x3d};
    static const uint8_t expected[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                       0x7f, 0x9f, 0x4d, 0x51, 0x58};
    auto_buf struct buf out;

    (void)state;
    buf_init(&out, 100);
    ws_frame_write(&out, WS_TEXT, mask, "Hello", 5);
    assert_int_equal(out.len, sizeof(expected));
    assert_memory_equal(out.data, expected, sizeof(expected));
}

static void writes_every_length(void **state)
{
    static const struct {
        size_t len;
        size_t header;
        uint8_t bytes[10];
    } table[] = {
        {0, 2, {0x82, 0x80}},
        {125, 2, {0x82, 0xfd}},
        {126, 4, {0x82, 0xfe, 0, 126}},
        {65535, 4, {0x82, 0xfe, 0xff, 0xff}},
        {65536, 10, {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0}},
    };
    static const uint8_t mask[4];
    auto_free char *bytes = xcalloc(65536, 1);

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        auto_buf struct buf out;

        buf_init(&out, 1 << 20);
        ws_frame_write(&out, WS_BINARY, mask, bytes, table[i].len);
        assert_int_equal(out.len, table[i].header + 4 + table[i].len);
        assert_memory_equal(out.data, table[i].bytes, table[i].header);
    }
}

#define WIRE(text) text, sizeof(text) - 1

/* Each is read in one piece and byte by byte. */
static const struct {
    const char *wire;
    size_t len;
    int opcode; /* of the first message; 0: none yet, below 0: the error */
    const char *bytes;
    size_t n_bytes;
} readings[] = {
    {WIRE("\x81\x05Hello"), WS_TEXT, WIRE("Hello")},
    {WIRE("\x82\x00"), WS_BINARY, WIRE("")},
    {WIRE("\x01\x03Hel\x80\x02lo"), WS_TEXT, WIRE("Hello")},
    {WIRE("\x02\x01H\x00\x02"
          "el\x00\x00\x80\x02lo"),
     WS_BINARY, WIRE("Hello")},
    {WIRE("\x89\x05Hello"), WS_PING, WIRE("Hello")},
    {WIRE("\x8a\x00"), WS_PONG, WIRE("")},
    {WIRE("\x88\x02\x03\xe8"), WS_CLOSE, WIRE("\x03\xe8")},
    /* A control frame between fragments. */
    {WIRE("\x02\x01H\x89\x01x\x80\x01i"), WS_PING, WIRE("x")},
    /* Longer forms than needed are read. */
    {WIRE("\x82\x7e\x00\x01x"), WS_BINARY, WIRE("x")},
    {WIRE("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01x"), WS_BINARY, WIRE("x")},
    {WIRE(""), 0, NULL, 0},
    {WIRE("\x82"), 0, NULL, 0},
    {WIRE("\x82\x7e\x01"), 0, NULL, 0},
    {WIRE("\x82\x05Hell"), 0, NULL, 0},
    {WIRE("\x02\x05Hello"), 0, NULL, 0},
    /* Reserved bits, a mask, unknown types. */
    {WIRE("\xc2\x01x"), -EPROTO, NULL, 0},
    {WIRE("\x92\x01x"), -EPROTO, NULL, 0},
    {WIRE("\x82\x81\x00\x00\x00\x00x"), -EPROTO, NULL, 0},
    {WIRE("\x83\x01x"), -EPROTO, NULL, 0},
    {WIRE("\x8b\x00"), -EPROTO, NULL, 0},
    /* Control frames in pieces, or too long. */
    {WIRE("\x09\x01x"), -EPROTO, NULL, 0},
    {WIRE("\x88\x7e\x00\x7e"), -EPROTO, NULL, 0},
    /* Fragments of nothing, and a message inside of another. */
    {WIRE("\x80\x01x"), -EPROTO, NULL, 0},
    {WIRE("\x02\x01x\x82\x01y"), -EPROTO, NULL, 0},
    /* Larger than allowed, in one and in the sum; a length that no memory has. */
    {WIRE("\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x71"), -EPROTO, NULL, 0},
    {WIRE("\x02\x01x\x80\x7f\x00\x00\x00\x00\x00\x01\x11\x70"), -EPROTO, NULL, 0},
    {WIRE("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), -EPROTO, NULL, 0},
};

static void read_in_steps(size_t i, size_t step)
{
    struct ws_reader r;
    struct ws_message m = {.opcode = WS_CONTINUATION};
    auto_err struct err *e = NULL;
    int result = 0;

    ws_reader_init(&r, MAX);
    for (size_t at = 0; result == 0 && at < readings[i].len; at += step) {
        ws_reader_feed(&r, readings[i].wire + at,
                       readings[i].len - at < step ? readings[i].len - at : step);
        result = ws_reader_next(&r, &m, &e);
    }
    if (readings[i].opcode <= 0) {
        assert_int_equal(result, readings[i].opcode);
        assert_int_equal(e != NULL, result < 0);
    } else {
        assert_int_equal(result, 1);
        assert_int_equal(m.opcode, readings[i].opcode);
        assert_int_equal(m.len, readings[i].n_bytes);
        assert_memory_equal(m.bytes, readings[i].bytes, m.len);
    }
    ws_reader_release(&r);
}

static void reads_and_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
        read_in_steps(i, readings[i].len + 1);
        read_in_steps(i, 1);
    }
}

/* What is fed in one piece comes out one by one, and the message before is not in the next. */
static void reads_one_after_the_other(void **state)
{
    static const char wire[] = "\x02\x01H\x89\x01p\x80\x01i\x82\x02ho\x88\x00";
    static const struct {
        enum ws_opcode opcode;
        const char *bytes;
    } expected[] = {{WS_PING, "p"}, {WS_BINARY, "Hi"}, {WS_BINARY, "ho"}, {WS_CLOSE, ""}};
    struct ws_reader r;
    struct ws_message m;

    (void)state;
    ws_reader_init(&r, MAX);
    ws_reader_feed(&r, wire, sizeof(wire) - 1);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(ws_reader_next(&r, &m, NULL), 1);
        assert_int_equal(m.opcode, expected[i].opcode);
        assert_int_equal(m.len, strlen(expected[i].bytes));
        assert_memory_equal(m.bytes, expected[i].bytes, m.len);
    }
    assert_int_equal(ws_reader_next(&r, &m, NULL), 0);
    ws_reader_release(&r);
}

/* The largest message, many times: what was read makes room. */
static void reads_the_largest(void **state)
{
    auto_free char *bytes = xcalloc(MAX, 1);
    struct ws_reader r;
    struct ws_message m;

    (void)state;
    memset(bytes, 'x', MAX);
    ws_reader_init(&r, MAX);
    for (int n = 0; n < 5; n++) {
        ws_reader_feed(&r, "\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x70", 10);
        for (size_t at = 0; at < MAX; at += 10000) {
            assert_int_equal(ws_reader_next(&r, &m, NULL), 0);
            ws_reader_feed(&r, bytes + at, 10000);
        }
        assert_int_equal(ws_reader_next(&r, &m, NULL), 1);
        assert_int_equal(m.len, MAX);
        assert_memory_equal(m.bytes, bytes, MAX);
    }
    ws_reader_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_the_key),           cmocka_unit_test(writes_masked),
        cmocka_unit_test(writes_every_length),       cmocka_unit_test(reads_and_refuses),
        cmocka_unit_test(reads_one_after_the_other), cmocka_unit_test(reads_the_largest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
