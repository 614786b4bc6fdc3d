#pragma once
/*
 * HTTP over libcurl, one request at a time and owner-driven: redirects are not followed, no
 * status is an error by itself, bodies are bounded or streamed. A handle keeps its connections
 * alive between requests and belongs to one thread at a time.
 *
 * HTTP/1.1 is spoken: with one request at a time HTTP/2 gains nothing. No Accept-Encoding is sent;
 * a body that comes gzip-encoded all the same is decoded on the way. The proxies of the
 * environment count (http_proxy, HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY), but never for
 * loopback hosts.
 */
#include "buf.h"
#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HTTP_USER_AGENT "flatnet/" FLATNET_VERSION

struct http; /* one libcurl handle with its connections */

/* Must run once, before threads start. Ignores SIGPIPE, because OpenSSL writes without
 * MSG_NOSIGNAL, and looks up the system's CA certificates: SSL_CERT_FILE and SSL_CERT_DIR, else
 * the places where distributions keep them. */
void http_global_init(void);
/* The same for a program that makes one short call: leaves out of OpenSSL's start and end what such
 * a one has no use for, which is a sixth of the work of a call: ciphers and digests by their old
 * names (encrypted keys have those, and certificates signed with other digests than SHA-1 and
 * SHA-2), and the freeing of what the end frees anyway. */
void http_global_init_short(void);

struct http *http_new(void);
void http_free(struct http *h); /* NULL is fine */

struct http_tls {
    const char *ca_file;      /* PEM; what it holds counts instead of the system's set. Or */
    const struct buf *ca_pem; /* the same in memory. Both NULL: the system's set */
    const char *cert_file;    /* client certificate, with key_file; NULL for none */
    const char *key_file;
    const struct buf *cert_pem; /* the same in memory, with key_pem; or NULL */
    const struct buf *key_pem;
    bool insecure;                /* no verification of the peer */
    struct http_session *session; /* of an earlier program (http_session.h), or NULL */
};

/* Appends the PEM text of the system's CA certificates, for a set of those and others; appends
 * nothing where there are none. */
int http_system_ca(struct buf *out, struct err **e);

/*
 * Takes body bytes. A negative errno (with *e filled) ends the transfer with that error. The
 * response that http_do fills has its status and headers before the first call.
 */
typedef int (*http_sink)(void *arg, const void *bytes, size_t len, struct err **e);
/* Gives up to `size` bytes of a request body; 0 is its end; negative errno (with *e) aborts the
 * connection so that the peer sees a broken body. */
typedef ssize_t (*http_source)(void *arg, void *bytes, size_t size, struct err **e);

struct http_request {
    const char *method; /* NULL: GET */
    const char *url;
    const char *unix_socket;    /* path, or NULL */
    const struct http_tls *tls; /* NULL: defaults */
    const char *const *headers; /* "Name: value", NULL-terminated; or NULL */
    bool no_proxy;              /* ignore the proxies of the environment */
    const char *proxy;          /* URL of the proxy to take in place of theirs, or NULL */
    /* HOST:PORT to connect to in place of the URL's, whose name TLS and NO_PROXY then go by; or
     * NULL. */
    const char *connect_to;

    const void *body; /* request body in memory, or */
    http_source source;
    void *source_arg;
    int64_t body_len; /* length of either; -1 with `source`: chunked */

    http_sink sink; /* gets the body of a 200 or 206 answer; NULL: it is kept like any other */
    void *sink_arg;
    size_t max_body; /* ceiling for a body that is kept; 0: 64 KiB */

    /* Both in ms, 0 for the defaults: 30 s to connect, 60 s without a byte (looked at once a
     * second). No total limit. */
    int connect_timeout_ms;
    int idle_timeout_ms;
    /* Asked at least once a second; true ends the request with -ECANCELED. Or NULL. */
    bool (*is_cancelled)(void);
};

/* What went wrong in the network. */
enum http_fault {
    HTTP_NO_FAULT,
    HTTP_NOT_REACHED,   /* not resolved or not connected */
    HTTP_TLS_UNTRUSTED, /* the peer's certificate does not verify */
    HTTP_TLS_ABSENT,    /* https was asked for and the peer does not speak TLS */
    HTTP_TLS_FAILED,    /* any other failed handshake, or CA and client certificate files */
    HTTP_BROKEN,        /* the connection broke or fell silent */
};

struct http_response {
    int status;
    struct buf headers; /* as received, lines of the last answer only; at most 256 KiB */
    struct buf body;    /* what was not given to the sink */
    int64_t sunk;       /* bytes given to the sink */
    enum http_fault fault;
};

/*
 * Does one request. 0 when an answer was read to its end, whatever its status; *out_resp is then
 * to be released. -EHOSTUNREACH for everything that the network did (the message names the peer
 * and the reason, never the path or query of the URL), also for a connection that closed before
 * the body's end: then *out_resp is filled as far as it came, and to be released too (it always
 * is; start with HTTP_RESPONSE_INIT; what an earlier request left in it is released first).
 * -EFBIG: body or headers above their ceiling. -EPROTO: no HTTP came back. -EINVAL: not a URL that
 * can be asked. What a sink or source returned comes back as is.
 */
int http_do(struct http *h, const struct http_request *req, struct http_response *out_resp,
            struct err **e);
void http_response_release(struct http_response *resp);
#define HTTP_RESPONSE_INIT                                                                         \
    {                                                                                              \
        .status = 0                                                                                \
    }
#define auto_response __attribute__((cleanup(http_response_release)))

/*
 * For protocols that begin as HTTP: connects to the peer of req->url as http_do does, with its
 * proxies and TLS, and leaves all bytes to the caller. Of *req the URL and what says how to connect
 * count. Errors as those of http_do. Afterwards the handle is good for the next three functions
 * only.
 */
int http_connect(struct http *h, const struct http_request *req, struct err **e);
/* Moves up to `len` bytes without waiting: returns how many, 0 from http_receive when the peer has
 * closed, -EAGAIN (without *e) when none go now, -EHOSTUNREACH when the connection is broken. After
 * -EAGAIN http_send is to be called with the same bytes again. */
ssize_t http_send(struct http *h, const void *bytes, size_t len, struct err **e);
ssize_t http_receive(struct http *h, void *bytes, size_t len, struct err **e);
/* Waits until bytes may be received or, with `to_send`, sent. 1, or 0 when the time is over. */
int http_wait(struct http *h, bool to_send, int timeout_ms, struct err **e);

/* The value of the first header of that name (not case-sensitive) as a copy to free, or NULL. */
char *http_header(const struct http_response *resp, const char *name);
/* The nth (from 0) header of that name, for those that may repeat. */
char *http_header_nth(const struct http_response *resp, const char *name, size_t n);

/* Scheme, host and port of `url` in lower case, "https://example.org:443", to be freed; NULL where
 * it is no absolute http or https URL. Two URLs of one origin may share credentials. */
char *http_origin(const char *url);
/* `location` as seen from `base`: absolute, to be freed; NULL where that is no URL, or one with a
 * user name in it, or not http or https. */
char *http_resolve_url(const char *base, const char *location);
/* Appends `text` percent-encoded, for a query or a form: all but letters, digits and "-._~". */
void http_url_encode(struct buf *out, const char *text);
