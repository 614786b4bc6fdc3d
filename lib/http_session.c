/* TLS sessions in files, and how libcurl comes to use them. */
#include "http_session.h"

#include "fs.h"
#include "http_internal.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define AGE_MAX_S 3600
#define HEAD_LEN (DIGEST_LEN + 1)

struct http_session {
    char *folder, *path;
    char identity[DIGEST_SIZE];
    SSL_SESSION *next;    /* for the next connection; NULL: it makes one of its own */
    bool is_resuming;     /* there was one, so that the certificates are expected not to matter */
    const struct buf *ca; /* read when they do, or NULL */
    bool has_kept;
};

/* --- the bytes --- */

static void digest_of(const char *identity, const void *der, size_t len, char out[DIGEST_SIZE])
{
    auto_hash struct hash *h = hash_new();

    hash_update(h, identity, strlen(identity) + 1);
    hash_update(h, der, len);
    hash_final(h, out);
}

static bool is_usable(const SSL_SESSION *session)
{
    X509 *peer = SSL_SESSION_get0_peer((SSL_SESSION *)session);
    int64_t age_s = (int64_t)time(NULL) - SSL_SESSION_get_time(session);

    return peer && SSL_SESSION_is_resumable(session) &&
           SSL_SESSION_get_protocol_version(session) >= TLS1_2_VERSION && age_s >= 0 &&
           age_s < AGE_MAX_S && age_s < SSL_SESSION_get_timeout(session) &&
           X509_cmp_current_time(X509_get0_notAfter(peer)) > 0;
}

SSL_SESSION *http_session_parse(const void *bytes, size_t len, const char *identity)
{
    const unsigned char *at = (const unsigned char *)bytes + HEAD_LEN;
    char digest[DIGEST_SIZE];
    SSL_SESSION *session;

    if (len <= HEAD_LEN || len > HTTP_SESSION_MAX)
        return NULL;
    digest_of(identity, at, len - HEAD_LEN, digest);
    digest[DIGEST_LEN] = '\n';
    if (memcmp(bytes, digest, HEAD_LEN) != 0)
        return NULL;
    session = d2i_SSL_SESSION(NULL, &at, (long)(len - HEAD_LEN));
    ERR_clear_error();
    if (session && at == (const unsigned char *)bytes + len && is_usable(session))
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

int http_session_print(SSL_SESSION *session, const char *identity, struct buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_SSL_SESSION(session, &der), r = -EFBIG;
    char digest[DIGEST_SIZE];

    if (len > 0 && (size_t)len <= HTTP_SESSION_MAX - HEAD_LEN) {
        digest_of(identity, der, (size_t)len, digest);
        r = buf_addf(out, "%s\n", digest);
        if (r == 0)
            r = buf_add(out, der, (size_t)len);
    }
    OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
    return r;
}

/* --- the file --- */

static bool is_private(int fd, mode_t type)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() &&
           !(st.st_mode & 077);
}

static bool is_folder_private(const struct http_session *s)
{
    auto_close int fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    return fd >= 0 && is_private(fd, S_IFDIR);
}

static SSL_SESSION *load(const struct http_session *s)
{
    auto_close int fd = -1;
    auto_buf struct buf bytes;

    buf_init(&bytes, HTTP_SESSION_MAX);
    if (!is_folder_private(s))
        return NULL;
    fd = open(s->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || !is_private(fd, S_IFREG) || fs_read_fd(fd, &bytes) < 0)
        return NULL;
    return http_session_parse(bytes.data, bytes.len, s->identity);
}

/* Without it the next handshake is a full one, and that is all. */
static void keep(struct http_session *s, SSL_SESSION *session)
{
    auto_err struct err *why = NULL;
    auto_buf struct buf bytes;
    int r;

    buf_init(&bytes, HTTP_SESSION_MAX);
    s->has_kept = true;
    r = fs_mkdirs(s->folder, 0700, &why);
    if (r == 0 && !is_folder_private(s))
        r = err_set(&why, -EPERM, "'%s' is not a folder of ours alone", s->folder);
    if (r == 0 && http_session_print(session, s->identity, &bytes) < 0)
        r = err_set(&why, -EFBIG, "it is too large");
    if (r == 0)
        r = fs_write_file(s->path, bytes.data, bytes.len, 0600, &why);
    if (r < 0)
        log_debug("the TLS session is not kept: %s", why->msg);
    OPENSSL_cleanse(bytes.data, bytes.len);
}

/* --- what OpenSSL calls --- */

static int context_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return index;
}

static struct http_session *session_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index());
}

/* Before libcurl 8.12 there is no other way to a session for a connection that it makes. When this
 * is called nothing has been sent. A session is offered once: should the server break off over it,
 * the next attempt does without. */
static void on_info(const SSL *ssl, int where, int result)
{
    struct http_session *s = session_of(ssl);

    (void)result;
    if (where & SSL_CB_HANDSHAKE_START && s->next) {
        (void)SSL_set_session((SSL *)ssl, s->next);
        SSL_SESSION_free(take(s->next));
    }
    if (where & SSL_CB_HANDSHAKE_DONE)
        log_debug("TLS handshake done resumed=%d", SSL_session_reused(ssl));
}

static int on_new(SSL *ssl, SSL_SESSION *session)
{
    struct http_session *s = session_of(ssl);

    if (!s->has_kept && !SSL_session_reused(ssl) && SSL_get_verify_result(ssl) == X509_V_OK)
        keep(s, session);
    return 0;
}

static void add_certificates(X509_STORE *store, const struct buf *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    X509 *certificate;

    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        (void)X509_STORE_add_cert(store, certificate);
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
}

/* The server did not take the session. */
static int on_verify(X509_STORE_CTX *verification, void *arg)
{
    const struct http_session *s = arg;

    add_certificates(X509_STORE_CTX_get0_store(verification), s->ca);
    return X509_verify_cert(verification);
}

static CURLcode on_context(CURL *curl, void *context, void *arg)
{
    struct http_session *s = arg;

    (void)curl;
    if (SSL_CTX_set_ex_data(context, context_index(), s) != 1)
        return CURLE_OUT_OF_MEMORY;
    SSL_CTX_set_info_callback(context, on_info);
    SSL_CTX_sess_set_new_cb(context, on_new);
    if (s->ca)
        SSL_CTX_set_cert_verify_callback(context, on_verify, s);
    return CURLE_OK;
}

/* --- public --- */

struct http_session *http_session_new(const char *folder, const char *identity)
{
    struct http_session *s = xcalloc(1, sizeof(*s));

    s->folder = xstrdup(folder);
    s->path = xasprintf("%s/%s", folder, digest_hex(identity));
    memcpy(s->identity, identity, DIGEST_SIZE);
    s->next = load(s);
    s->is_resuming = s->next != NULL;
    return s;
}

void http_session_free(struct http_session *s)
{
    if (!s)
        return;
    SSL_SESSION_free(s->next);
    free(s->folder);
    free(s->path);
    free(s);
}

/* A CA that a session was made with has been read once without an error. Reading it takes as long
 * as the rest of a resumed handshake, and mostly for nothing. */
bool http_session_use(CURL *curl, struct http_session *s, const struct buf *ca)
{
    s->ca = s->is_resuming ? ca : NULL;
    (void)curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, on_context);
    (void)curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, s);
    return s->ca != NULL;
}
