#pragma once
/*
 * SHA-256 as OCI digests use it: "sha256:" and 64 lower-case hex digits
 * (OCI image-spec v1.1, descriptor.md, section Digests). Backed by libcrypto.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES 32
#define HASH_HEX_LEN 64
#define DIGEST_PREFIX "sha256:"
#define DIGEST_LEN (sizeof(DIGEST_PREFIX) - 1 + HASH_HEX_LEN)
#define DIGEST_SIZE (DIGEST_LEN + 1)

struct hash; /* a running SHA-256 */

struct hash *hash_new(void);
/* Starts over. */
void hash_reset(struct hash *h);
void hash_update(struct hash *h, const void *bytes, size_t len);
/* Writes "sha256:<hex>" and starts over. */
void hash_final(struct hash *h, char out_digest[DIGEST_SIZE]);
void hash_free(struct hash *h); /* NULL is fine */

/* FNV-1a of a text: to tell apart what nobody means to look alike. */
uint64_t hash_text(const char *text);

/* One shot. */
void hash_digest(const void *bytes, size_t len, char out_digest[DIGEST_SIZE]);
/* True for exactly "sha256:" + 64 lower-case hex digits. NULL is not valid. */
bool digest_is_valid(const char *digest);
/* The 64 hex digits of a valid digest, borrowed. */
const char *digest_hex(const char *digest);

#define auto_hash __attribute__((cleanup(hash_cleanup)))
void hash_cleanup(struct hash **h);
