/* WebSocket frames: two bytes, a length, the bytes (RFC 6455, section 5.2). */
#include "ws_frame.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <string.h>

#define FIN 0x80
#define RESERVED 0x70
#define OPCODE 0x0f
#define MASKED 0x80
#define LENGTH 0x7f
#define LENGTH_16 126
#define LENGTH_64 127
#define HEADER_MAX 10 /* without a mask, which a server does not use */

void ws_accept(const char *key, char out_accept[WS_ACCEPT_SIZE])
{
    static const char id[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* section 1.3 */
    unsigned char digest[SHA_DIGEST_LENGTH];
    struct buf text;

    buf_init(&text, WS_KEY_SIZE + sizeof(id));
    (void)buf_addstr(&text, key);
    (void)buf_addstr(&text, id);
    (void)EVP_Digest(text.data, text.len, digest, NULL, EVP_sha1(), NULL);
    (void)EVP_EncodeBlock((unsigned char *)out_accept, digest, sizeof(digest));
    buf_release(&text);
}

static void add_big_endian(struct buf *out, uint64_t value, unsigned n_bytes)
{
    while (n_bytes)
        (void)buf_addch(out, (char)(value >> (8 * --n_bytes)));
}

void ws_frame_write(struct buf *out, enum ws_opcode opcode, const uint8_t mask[4],
                    const void *bytes, size_t len)
{
    const uint8_t *from = bytes;

    (void)buf_addch(out, (char)(FIN | opcode));
    if (len < LENGTH_16) {
        (void)buf_addch(out, (char)(MASKED | len));
    } else if (len <= UINT16_MAX) {
        (void)buf_addch(out, (char)(MASKED | LENGTH_16));
        add_big_endian(out, len, 2);
    } else {
        (void)buf_addch(out, (char)(MASKED | LENGTH_64));
        add_big_endian(out, len, 8);
    }
    (void)buf_add(out, mask, 4);
    for (size_t i = 0; i < len; i++)
        (void)buf_addch(out, (char)(from[i] ^ mask[i % 4]));
}

/* --- reading --- */

struct frame {
    bool is_final;
    enum ws_opcode opcode;
    size_t header_len;
    uint64_t len;
};

static bool is_control(enum ws_opcode opcode)
{
    return opcode >= WS_CLOSE;
}

static int check(const struct ws_reader *r, const struct frame *f, struct err **e)
{
    if (f->opcode > WS_PONG || (f->opcode > WS_BINARY && f->opcode < WS_CLOSE))
        return err_set(e, -EPROTO, "the server sent a frame of unknown type %d", (int)f->opcode);
    if (is_control(f->opcode) && (!f->is_final || f->len > WS_CONTROL_MAX))
        return err_set(e, -EPROTO, "the server sent a control frame in pieces or too long");
    if (!is_control(f->opcode) && (f->opcode == WS_CONTINUATION) == (r->opcode == WS_CONTINUATION))
        return err_set(e, -EPROTO, "the server sent fragments in no order");
    if (!is_control(f->opcode) && f->len > r->message.max - (r->is_given ? 0 : r->message.len))
        return err_set(e, -EPROTO, "the server sent a message above %zu bytes", r->message.max);
    return 0;
}

/* The header at the start of `p`; 1, or 0 where it is not all there. */
static int read_header(const uint8_t *p, size_t have, struct frame *out, struct err **e)
{
    unsigned n_bytes, short_len;

    if (have < 2)
        return 0;
    if (p[0] & RESERVED || p[1] & MASKED)
        return err_set(e, -EPROTO, "the server sent a frame with bits that nobody agreed on");
    short_len = p[1] & LENGTH;
    n_bytes = short_len == LENGTH_64 ? 8 : short_len == LENGTH_16 ? 2 : 0;
    if (have < 2 + n_bytes)
        return 0;
    *out = (struct frame){.is_final = p[0] & FIN,
                          .opcode = (enum ws_opcode)(p[0] & OPCODE),
                          .header_len = 2 + n_bytes,
                          .len = n_bytes ? 0 : short_len};
    for (unsigned i = 0; i < n_bytes; i++)
        out->len = out->len << 8 | p[2 + i];
    return 1;
}

void ws_reader_init(struct ws_reader *r, size_t max)
{
    *r = (struct ws_reader){.opcode = WS_CONTINUATION};
    buf_init(&r->in, max + HEADER_MAX + WS_FEED_MAX);
    buf_init(&r->message, max);
}

void ws_reader_release(struct ws_reader *r)
{
    buf_release(&r->in);
    buf_release(&r->message);
}

void ws_reader_feed(struct ws_reader *r, const void *bytes, size_t len)
{
    if (r->at) {
        memmove(r->in.data, r->in.data + r->at, r->in.len - r->at);
        r->in.len -= r->at;
        r->at = 0;
    }
    (void)buf_add(&r->in, bytes, len);
}

/* 1 when a message is complete with this frame. */
static int take_frame(struct ws_reader *r, const struct frame *f, struct ws_message *out)
{
    const uint8_t *bytes = (const uint8_t *)r->in.data + r->at + f->header_len;

    r->at += f->header_len + (size_t)f->len;
    if (is_control(f->opcode)) {
        *out = (struct ws_message){.opcode = f->opcode, .bytes = bytes, .len = (size_t)f->len};
        return 1;
    }
    if (r->opcode == WS_CONTINUATION)
        r->opcode = f->opcode;
    (void)buf_add(&r->message, bytes, (size_t)f->len);
    if (!f->is_final)
        return 0;
    *out = (struct ws_message){.opcode = r->opcode,
                               .bytes = (const uint8_t *)r->message.data,
                               .len = r->message.len};
    r->opcode = WS_CONTINUATION;
    r->is_given = true;
    return 1;
}

int ws_reader_next(struct ws_reader *r, struct ws_message *out, struct err **e)
{
    int result = 0;

    if (r->is_given)
        buf_clear(&r->message);
    r->is_given = false;
    while (result == 0) {
        size_t have = r->in.len - r->at;
        struct frame f = {.header_len = 0};

        result = read_header((const uint8_t *)r->in.data + r->at, have, &f, e);
        if (result <= 0)
            return result;
        result = check(r, &f, e);
        if (result < 0)
            return result;
        if (have - f.header_len < f.len)
            return 0;
        result = take_frame(r, &f, out);
    }
    return result;
}
