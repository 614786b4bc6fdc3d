/* libcurl's verdicts in our words: which peer, what it did, why. */
#include "http_internal.h"
#include "mem.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <string.h>

/* The peer as the user knows it: host[:port], or the socket. */
static char *peer_of(const struct http_transfer *t)
{
    if (t->req->unix_socket || t->req->connect_to)
        return xstrdup(t->req->unix_socket ? t->req->unix_socket : t->req->connect_to);
    return http_url_peer(t->req->url);
}

static int fault(const struct http_transfer *t, enum http_fault kind)
{
    t->resp->fault = kind;
    return -EHOSTUNREACH;
}

static const char *connect_reason(const struct http_transfer *t)
{
    long os_errno = 0;

    (void)curl_easy_getinfo(t->curl, CURLINFO_OS_ERRNO, &os_errno);
    return os_errno ? strerror((int)os_errno) : t->curl_text;
}

static int untrusted(const struct http_transfer *t, const char *peer, struct err **e)
{
    long result = 0;
    int status = fault(t, HTTP_TLS_UNTRUSTED);

    (void)curl_easy_getinfo(t->curl, CURLINFO_SSL_VERIFYRESULT, &result);
    switch (result) {
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED: /* libcurl compares names before it asks OpenSSL for its verdict */
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return err_set(e, status, "the TLS certificate of '%s' was issued for another name", peer);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return err_set(e, status, "the TLS certificate of '%s' has expired", peer);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return err_set(e, status,
                       "the TLS certificate of '%s' is not valid yet; is the clock right?", peer);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return err_set(e, status, "the TLS certificate of '%s' is self-signed and not trusted here",
                       peer);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return err_set(e, status,
                       "the TLS certificate of '%s' is signed by a CA that is not trusted here",
                       peer);
    default:
        return err_set(e, status, "the TLS certificate of '%s' does not verify: %s", peer,
                       X509_verify_cert_error_string(result));
    }
}

static int handshake_failed(const struct http_transfer *t, const char *peer, struct err **e)
{
    /* What OpenSSL says when the first bytes are no TLS record. */
    static const char *const not_tls[] = {"wrong version number", "packet length too long",
                                          "http request"};

    for (size_t i = 0; i < sizeof(not_tls) / sizeof(not_tls[0]); i++)
        if (strstr(t->curl_text, not_tls[i]))
            return err_set(e, fault(t, HTTP_TLS_ABSENT), "'%s' does not speak TLS (https)", peer);
    return err_set(e, fault(t, HTTP_TLS_FAILED), "TLS handshake with '%s' failed: %s", peer,
                   t->curl_text);
}

static int no_ca(const struct http_transfer *t, const char *peer, struct err **e)
{
    const struct http_tls *tls = t->req->tls;
    const char *file = tls && tls->ca_file ? tls->ca_file : http_system_ca_file();
    int status = fault(t, HTTP_TLS_FAILED);

    if (tls && tls->ca_pem)
        return err_set(e, status, "no usable CA certificate to verify '%s' with", peer);
    if (!file)
        return err_set(
            e, status,
            "no CA certificates on this machine to verify '%s' with; name a file by SSL_CERT_FILE",
            peer);
    return err_set(e, status, "cannot read CA certificates from '%s' to verify '%s'", file, peer);
}

static int timed_out(const struct http_transfer *t, const char *peer, struct err **e)
{
    curl_off_t connected_us = 0;

    (void)curl_easy_getinfo(t->curl, CURLINFO_CONNECT_TIME_T, &connected_us);
    if (connected_us)
        return err_set(e, fault(t, HTTP_NOT_REACHED), "TLS handshake with '%s' timed out", peer);
    return err_set(e, fault(t, HTTP_NOT_REACHED), "cannot connect to '%s': timed out", peer);
}

int http_transfer_error(const struct http_transfer *t, CURLcode code, struct err **e)
{
    auto_free char *peer = peer_of(t);
    const char *text = *t->curl_text ? t->curl_text : curl_easy_strerror(code);

    if (t->idle)
        return err_set(e, fault(t, HTTP_BROKEN), "connection to '%s' fell silent", peer);
    if (code == CURLE_UNSUPPORTED_PROTOCOL && strstr(text, "HTTP/0.9"))
        code = CURLE_WEIRD_SERVER_REPLY;
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED: /* a user name in the URL */
        return err_set(e, -EINVAL, "not a usable http or https URL: %s", text);
    case CURLE_COULDNT_RESOLVE_HOST:
        return err_set(e, fault(t, HTTP_NOT_REACHED), "cannot resolve the host name of '%s'", peer);
    case CURLE_COULDNT_RESOLVE_PROXY:
        return err_set(e, fault(t, HTTP_NOT_REACHED),
                       "cannot resolve the proxy on the way to '%s': %s", peer, text);
    case CURLE_COULDNT_CONNECT:
        return err_set(e, fault(t, HTTP_NOT_REACHED), "cannot connect to '%s': %s", peer,
                       connect_reason(t));
    case CURLE_OPERATION_TIMEDOUT:
        return timed_out(t, peer, e);
    case CURLE_PEER_FAILED_VERIFICATION:
        return untrusted(t, peer, e);
    case CURLE_SSL_CONNECT_ERROR:
        return handshake_failed(t, peer, e);
    case CURLE_SSL_CACERT_BADFILE:
        return no_ca(t, peer, e);
    case CURLE_SSL_CERTPROBLEM:
        return err_set(e, fault(t, HTTP_TLS_FAILED),
                       "the client certificate for '%s' cannot be used: %s", peer, text);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return err_set(e, -EPROTO, "'%s' answered something that is no HTTP: %s", peer, text);
    case CURLE_OUT_OF_MEMORY:
        return err_set(e, -ENOMEM, "out of memory");
    default:
        return err_set(e, fault(t, HTTP_BROKEN), "connection to '%s' broke: %s", peer, text);
    }
}
