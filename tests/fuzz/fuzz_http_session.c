/* Any bytes make a session that can be used, or none: as a file, and behind a digest that is right.
 */
#include "buf.h"
#include "http_session.h"

#include <stdint.h>
#include <stdlib.h>

#define IDENTITY "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try(const void *bytes, size_t len)
{
    SSL_SESSION *session = http_session_parse(bytes, len, IDENTITY);
    auto_buf struct buf again;

    buf_init(&again, 2 * HTTP_SESSION_MAX);
    if (session && (!SSL_SESSION_is_resumable(session) || !SSL_SESSION_get0_peer(session) ||
                    http_session_print(session, IDENTITY, &again) < 0))
        abort();
    SSL_SESSION_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buf struct buf file;
    auto_hash struct hash *h = hash_new();
    char digest[DIGEST_SIZE];

    buf_init(&file, size + DIGEST_SIZE);
    hash_update(h, IDENTITY, sizeof(IDENTITY));
    hash_update(h, data, size);
    hash_final(h, digest);
    (void)buf_addf(&file, "%s\n", digest);
    (void)buf_add(&file, data, size);
    try(data, size);
    try(file.data, file.len);
    return 0;
}
