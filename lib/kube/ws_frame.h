#pragma once
/*
 * WebSocket frames as a client writes and reads them (RFC 6455): pure, without a connection. No
 * extension is spoken, so that the reserved bits must be zero.
 */
#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

#define WS_CONTROL_MAX 125 /* bytes that a close, ping or pong may carry */
#define WS_KEY_SIZE 25     /* Sec-WebSocket-Key: 16 bytes in base64, and NUL */
#define WS_ACCEPT_SIZE 29  /* Sec-WebSocket-Accept: a SHA-1 in base64, and NUL */

/* What the server has to answer to a key (section 4.2.2). */
void ws_accept(const char *key, char out_accept[WS_ACCEPT_SIZE]);

/* Appends one whole message as a single masked frame. */
void ws_frame_write(struct buf *out, enum ws_opcode opcode, const uint8_t mask[4],
                    const void *bytes, size_t len);

/* A whole message, fragments joined. */
struct ws_message {
    enum ws_opcode opcode; /* any but WS_CONTINUATION */
    const uint8_t *bytes;  /* borrowed from the reader until the next call */
    size_t len;
};

/* Takes bytes as they come and gives messages. */
struct ws_reader {
    struct buf in; /* not read yet, from `at` on */
    size_t at;
    struct buf message;    /* fragments so far */
    enum ws_opcode opcode; /* of their first frame; WS_CONTINUATION between messages */
    bool is_given;         /* `message` is with the caller */
};

/* `max` is the most bytes that a message may have. */
void ws_reader_init(struct ws_reader *r, size_t max);
void ws_reader_release(struct ws_reader *r);
/* To be called once ws_reader_next has returned 0, with at most WS_FEED_MAX bytes. */
#define WS_FEED_MAX (16u << 10)
void ws_reader_feed(struct ws_reader *r, const void *bytes, size_t len);
/* 1: *out is the next message; 0: more bytes are needed. -EPROTO: no frame that a server may send,
 * or a message above the limit; the connection is then of no more use. */
int ws_reader_next(struct ws_reader *r, struct ws_message *out, struct err **e);
