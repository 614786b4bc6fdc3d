#pragma once
/*
 * A TLS session that outlives the program. The next program to ask the same server begins with it
 * (RFC 8446, 2.2), and certificates are neither sent nor verified again.
 *
 * It is in a file that nobody but its owner may read, because whoever has it can speak as the
 * server. Kept is only what came out of a full handshake that verified the server, for an hour and
 * not beyond the end of its certificate; so the server is verified at least that often. A file that
 * is not whole, not private, of another identity, a link, or too old does not count; neither does
 * a session that the server does not take. Then the handshake is a full one.
 */
#include "buf.h"
#include "hash.h"

#include <openssl/ssl.h>
#include <stddef.h>

struct http_session;

/* `folder` is made when there is something to keep. `identity` is the digest of all that decides
 * whom the server is trusted by and who we are: two of one identity may share a session. One for
 * each connection's owner, which it must outlive. */
struct http_session *http_session_new(const char *folder, const char *identity);
void http_session_free(struct http_session *s); /* NULL is fine */

/* The bytes of such a file: a digest of identity and session, and the session as OpenSSL writes it.
 * NULL where they do not count. */
#define HTTP_SESSION_MAX (16u << 10)
SSL_SESSION *http_session_parse(const void *bytes, size_t len, const char *identity);
/* Appends the bytes for a session; -EFBIG: they are too many. */
int http_session_print(SSL_SESSION *session, const char *identity, struct buf *out);
