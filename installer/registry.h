#pragma once
/*
 * A registry client: OCI distribution-spec v1.1 and Docker Registry HTTP API V2, for pulling and
 * pushing. `struct registry` holds what is shared (credentials, tokens, host settings; locked);
 * each thread uses a `struct registry_conn` of its own.
 *
 * Every request authenticates (anonymous, Basic, Bearer; tokens cached per host and scope until
 * they expire), follows redirects itself (no Authorization header to another scheme, host or
 * port; never https to http; at most 5), and is retried with jittered exponential backoff on
 * network errors, 408, 429 (Retry-After, RateLimit-*) and 5xx.
 */
#include "buf.h"
#include "err.h"
#include "hash.h"
#include "http.h"
#include "manifest.h"
#include "ref.h"

#include <stdbool.h>
#include <stdint.h>

struct registry_options {
    const char *authfile;          /* --authfile, or NULL for the usual places */
    const char *ca_file;           /* --ca-file, added to what verifies every host; or NULL */
    const char *const *plain_http; /* hosts reached by http; NULL-terminated, or NULL */
    /* "HOST=URL", tried in order before the host itself; NULL-terminated, or NULL. A path in the
     * URL goes before the repository's name (https://m/proxy: /v2/proxy/NAME), unless it says
     * itself where the API is (https://m/a/v2: /a/v2/NAME). */
    const char *const *mirrors;
    bool insecure;       /* --tls-verify=false */
    int retries;         /* tries after the first; < 0: the default (5) */
    int retry_base_ms;   /* first wait; 0: the default (500) */
    int idle_timeout_ms; /* silence that breaks a connection; 0: the default (60 s) */
};

struct registry;
struct registry_conn;

/* -EINVAL for options that cannot be: a mirror that is no URL, a file that cannot be read. The
 * options are copied. */
int registry_new(const struct registry_options *options, struct registry **out, struct err **e);
void registry_free(struct registry *r);
struct registry_conn *registry_connect(struct registry *r);
void registry_conn_free(struct registry_conn *c);

/*
 * Asks the API of `host` whether it takes these credentials, without a look at any file of
 * credentials. 1: it does, 0: it wants none. -EKEYREJECTED: it does not.
 */
int registry_try_login(const struct registry_options *options, const char *host,
                       const char *username, const char *password, struct err **e);

/*
 * The manifest that `selector` (a tag or a digest) names in `ref`'s repository, at most
 * MANIFEST_MAX_SIZE. *out_digest is computed from the bytes; asked for by digest, they must match
 * (-EBADMSG). *out_type is the Content-Type, to be freed, or NULL.
 * Of a signed schema 1 manifest it is the signed payload that must match. -ENOENT: no such
 * manifest.
 */
int registry_get_manifest(struct registry_conn *c, const struct ref *ref, const char *selector,
                          struct buf *out_bytes, char **out_type, char out_digest[DIGEST_SIZE],
                          struct err **e);

/* Size of a blob by HEAD (needed for schema 1, whose manifests have none). */
int registry_blob_size(struct registry_conn *c, const struct ref *ref, const char *digest,
                       int64_t *out_size, struct err **e);

/*
 * Streams the bytes [from, size) of a blob to `sink`, in order and without gaps or repeats: when
 * the connection breaks it goes on with Range from where it stopped. More or fewer bytes than
 * `size` are -EBADMSG. The caller hashes. Progress counts as success: only tries in a row
 * without a byte use up the retries.
 */
int registry_get_blob(struct registry_conn *c, const struct ref *ref, const struct descriptor *blob,
                      int64_t from, http_sink sink, void *sink_arg, struct err **e);

/* 1: there, 0: not. */
int registry_has_blob(struct registry_conn *c, const struct ref *ref, const char *digest,
                      struct err **e);
/* *out_digest is what the registry says the manifest of that tag or digest is; "" where it does not
 * say. */
int registry_has_manifest(struct registry_conn *c, const struct ref *ref, const char *selector,
                          char out_digest[DIGEST_SIZE], struct err **e);
/* 1: the registry took the blob over from repository `from_repo` on the same host, 0: it would
 * not, upload it. */
int registry_mount_blob(struct registry_conn *c, const struct ref *ref, const char *digest,
                        const char *from_repo, struct err **e);
/* Uploads `size` bytes; `rewind` is called before every try and makes `source` start over. */
int registry_put_blob(struct registry_conn *c, const struct ref *ref, const char *digest,
                      int64_t size, http_source source, int (*rewind)(void *arg, struct err **e),
                      void *source_arg, struct err **e);
/* Stores manifest bytes under `selector` (tag or digest). */
int registry_put_manifest(struct registry_conn *c, const struct ref *ref, const char *selector,
                          const char *media_type, const void *bytes, size_t len, struct err **e);
