#pragma once
/*
 * How registries ask for authorisation: the WWW-Authenticate header (RFC 9110, 11.6.1; Basic of
 * RFC 7617; Bearer as docker's token specification uses it), the answer of a token server, and
 * the memory of what was got. No I/O.
 */
#include "err.h"

#include <stddef.h>
#include <stdint.h>

enum auth_scheme { AUTH_OTHER, AUTH_BASIC, AUTH_BEARER };

struct auth_challenge {
    enum auth_scheme scheme;
    /* Each may be NULL. */
    char *realm;
    char *service;
    char *scope;
};

#define AUTH_MAX_CHALLENGES 16
#define AUTH_MAX_HEADER (16u << 10)

struct auth_challenges {
    struct auth_challenge items[AUTH_MAX_CHALLENGES];
    size_t count;
};

/* Appends the challenges in the value of one header; call it for each such header. -EPROTO where
 * the text follows no grammar, or is too much; what was read before that stays in *out. */
int auth_parse(const char *value, struct auth_challenges *out, struct err **e);
void auth_challenges_release(struct auth_challenges *c);
/* The one to answer, borrowed: the first Bearer with a realm, else the first Basic, else NULL. */
const struct auth_challenge *auth_choose(const struct auth_challenges *c);

/* Reads what a token server answered. *out_token is visible ASCII, to be freed; *out_life_ms is 60
 * seconds where the server does not say. -EPROTO; the message never shows the token. */
int auth_parse_token(const char *text, size_t len, char **out_token, int64_t *out_life_ms,
                     struct err **e);

/* Scopes are "repository:NAME:ACTION[,ACTION]..." separated by blanks. Returns `have` and what
 * `wanted` (or NULL) asks for beyond it, to be freed. */
char *auth_join_scopes(const char *have, const char *wanted);

/* "Basic ..." for a user and a password, to be freed. */
char *auth_basic(const char *username, const char *password);

/* The text without white space around it, control characters replaced, cut at 300 bytes: for
 * quoting a peer in a message. To be freed. */
char *auth_clean_text(const char *text, size_t len);

/*
 * The value of the Authorization header per key. An entry is locked while it is in use, so that
 * threads which need the same token wait for one of them to fetch it.
 */
struct auth_entry {
    char *authorization; /* NULL: none got yet */
    int64_t expires_ms;  /* on the monotonic clock */
};

struct auth_cache;
struct auth_cache *auth_cache_new(void);
void auth_cache_free(struct auth_cache *c);
/* Locks and returns the entry of `key`, an empty one where there was none. It lives as long as the
 * cache. */
struct auth_entry *auth_cache_lock(struct auth_cache *c, const char *key);
void auth_cache_unlock(struct auth_entry *entry);

#define auto_challenges __attribute__((cleanup(auth_challenges_release)))
