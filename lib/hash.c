/* SHA-256 over libcrypto's EVP interface, which picks SHA-NI where the processor has it. */
#include "hash.h"

#include "mem.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct hash {
    EVP_MD_CTX *ctx;
};

/* libcrypto fails here only when it is broken or out of memory; neither can be mended. */
static void must(int ok)
{
    if (ok != 1)
        abort();
}

struct hash *hash_new(void)
{
    struct hash *h = xmalloc(sizeof(*h));

    h->ctx = EVP_MD_CTX_new();
    must(h->ctx != NULL);
    hash_reset(h);
    return h;
}

void hash_reset(struct hash *h)
{
    must(EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL));
}

void hash_update(struct hash *h, const void *bytes, size_t len)
{
    must(EVP_DigestUpdate(h->ctx, bytes, len));
}

void hash_final(struct hash *h, char out_digest[DIGEST_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char raw[HASH_BYTES];
    char *out = out_digest + sizeof(DIGEST_PREFIX) - 1;

    must(EVP_DigestFinal_ex(h->ctx, raw, NULL));
    memcpy(out_digest, DIGEST_PREFIX, sizeof(DIGEST_PREFIX) - 1);
    for (size_t i = 0; i < sizeof(raw); i++) {
        *out++ = hex[raw[i] >> 4];
        *out++ = hex[raw[i] & 15];
    }
    *out = '\0';
    hash_reset(h);
}

void hash_free(struct hash *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

void hash_digest(const void *bytes, size_t len, char out_digest[DIGEST_SIZE])
{
    auto_hash struct hash *h = hash_new();

    hash_update(h, bytes, len);
    hash_final(h, out_digest);
}

bool digest_is_valid(const char *digest)
{
    const char *hex;

    if (!digest || strncmp(digest, DIGEST_PREFIX, sizeof(DIGEST_PREFIX) - 1))
        return false;
    hex = digest_hex(digest);
    return strlen(hex) == HASH_HEX_LEN && strspn(hex, "0123456789abcdef") == HASH_HEX_LEN;
}

const char *digest_hex(const char *digest)
{
    return digest + sizeof(DIGEST_PREFIX) - 1;
}

void hash_cleanup(struct hash **h)
{
    hash_free(*h);
    *h = NULL;
}
