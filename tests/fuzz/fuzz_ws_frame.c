/*
 * WebSocket frames of a server: the first byte says in which pieces the others arrive, and the
 * messages are the same as in one piece.
 */
#include "hash.h"
#include "kube/ws_frame.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct ws_message *m)
{
    bool is_control = m->opcode >= WS_CLOSE;

    if (m->len > (is_control ? WS_CONTROL_MAX : MAX) || m->opcode == WS_CONTINUATION ||
        m->opcode > WS_PONG)
        abort();
}

/* Adds all messages to the hash; returns how it ended. */
static int read_all(const uint8_t *data, size_t size, size_t step, struct hash *h)
{
    struct ws_reader r;
    int result = 0;

    ws_reader_init(&r, MAX);
    for (size_t at = 0; result >= 0 && at < size; at += step) {
        struct ws_message m;

        ws_reader_feed(&r, data + at, size - at < step ? size - at : step);
        while ((result = ws_reader_next(&r, &m, NULL)) > 0) {
            check(&m);
            hash_update(h, &m.opcode, sizeof(m.opcode));
            hash_update(h, &m.len, sizeof(m.len));
            hash_update(h, m.bytes, m.len);
        }
    }
    ws_reader_release(&r);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_hash struct hash *h = hash_new();
    char one[DIGEST_SIZE], other[DIGEST_SIZE];
    int result;

    if (size < 2 || size > WS_FEED_MAX)
        return 0;
    result = read_all(data + 1, size - 1, size, h);
    hash_final(h, one);
    if (read_all(data + 1, size - 1, 1 + data[0], h) != result)
        abort();
    hash_final(h, other);
    if (strcmp(one, other) != 0)
        abort();
    return 0;
}
