/* Whom a TLS connection trusts, and what it shows of itself. */
#include "fs.h"
#include "http_internal.h"

#include <stdlib.h>
#include <unistd.h>

/* A static program runs on any distribution, so the place is looked up when it runs. */
static const char *system_file;
static const char *system_folder;

static const char *readable(const char *path)
{
    return path && *path && !access(path, R_OK) ? path : NULL;
}

void http_find_system_ca(void)
{
    static const char *const files[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, CentOS */
        "/etc/ssl/ca-bundle.pem",             /* SUSE */
        "/etc/ssl/cert.pem",                  /* Alpine, macOS-like layouts */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    };
    const char *file = getenv("SSL_CERT_FILE");
    const char *folder = getenv("SSL_CERT_DIR");

    /* What the user names is used even if it cannot be read, so that the error says so. */
    system_file = file && *file ? file : NULL;
    system_folder = folder && *folder ? folder : readable("/etc/ssl/certs");
    for (size_t i = 0; !system_file && i < sizeof(files) / sizeof(files[0]); i++)
        system_file = readable(files[i]);
}

const char *http_system_ca_file(void)
{
    return system_file;
}

int http_system_ca(struct buf *out, struct err **e)
{
    return system_file ? fs_read_file(system_file, out, e) : 0;
}

/* A copy, because certificates may be replaced while a transfer goes on. */
static struct curl_blob blob_of(const struct buf *bytes)
{
    return (struct curl_blob){.data = bytes->data, .len = bytes->len, .flags = CURL_BLOB_COPY};
}

static void set_trust(CURL *curl, const struct http_tls *tls)
{
    if (tls->session && http_session_use(curl, tls->session, tls->ca_pem)) {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);
    } else if (tls->ca_pem) {
        struct curl_blob blob = blob_of(tls->ca_pem);

        (void)curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    } else {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, tls->ca_file ? tls->ca_file : system_file);
    }
    /* libcurl has a folder built in; with a set of one's own it must not count. */
    (void)curl_easy_setopt(curl, CURLOPT_CAPATH,
                           tls->ca_file || tls->ca_pem ? NULL : system_folder);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY_CAINFO, system_file);
}

void http_set_tls(CURL *curl, const struct http_tls *tls)
{
    static const struct http_tls defaults;

    if (!tls)
        tls = &defaults;
    set_trust(curl, tls);
    if (tls->cert_file) {
        (void)curl_easy_setopt(curl, CURLOPT_SSLCERT, tls->cert_file);
        (void)curl_easy_setopt(curl, CURLOPT_SSLKEY, tls->key_file);
    }
    if (tls->cert_pem) {
        struct curl_blob cert = blob_of(tls->cert_pem), key = blob_of(tls->key_pem);

        (void)curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, &cert);
        (void)curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, &key);
    }
    if (tls->insecure) {
        (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}
