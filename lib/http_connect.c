/* Where and how to connect, and connections whose bytes are the caller's. */
#include "http_internal.h"
#include "mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONNECT_TIMEOUT_MS 30000

static bool is_loopback(const struct http_request *req)
{
    auto_free char *url = req->connect_to ? xasprintf("https://%s", req->connect_to) : NULL;

    return http_url_is_loopback(url ? url : req->url);
}

/* libcurl leaves HTTP_PROXY alone, since a CGI script gets it from its client; Go's programs take
 * it unless they are such a script, and do not use a proxy for loopback. */
static void set_proxy(CURL *curl, const struct http_request *req)
{
    const char *upper = getenv("HTTP_PROXY");

    if (req->proxy) {
        (void)curl_easy_setopt(curl, CURLOPT_PROXY, req->proxy);
        (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
    } else if (req->no_proxy || req->unix_socket || is_loopback(req)) {
        (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    } else if (upper && !getenv("http_proxy") && !getenv("REQUEST_METHOD") &&
               !strncasecmp(req->url, "http:", 5)) {
        (void)curl_easy_setopt(curl, CURLOPT_PROXY, upper);
    }
}

/* For every host and port of a URL, this one. */
static struct curl_slist *set_connect_to(CURL *curl, const char *peer)
{
    auto_free char *entry = xasprintf("::%s", peer);
    struct curl_slist *list = curl_slist_append(NULL, entry);

    if (!list)
        abort();
    (void)curl_easy_setopt(curl, CURLOPT_CONNECT_TO, list);
    return list;
}

struct curl_slist *http_set_connection(struct http *h, const struct http_request *req)
{
    long connect_ms = req->connect_timeout_ms ? req->connect_timeout_ms : CONNECT_TIMEOUT_MS;

    h->text[0] = '\0';
    curl_easy_reset(h->curl);
    (void)curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->text);
    (void)curl_easy_setopt(h->curl, CURLOPT_URL, req->url);
    (void)curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(h->curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    (void)curl_easy_setopt(h->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(h->curl, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    (void)curl_easy_setopt(h->curl, CURLOPT_UNIX_SOCKET_PATH, req->unix_socket);
    set_proxy(h->curl, req);
    http_set_tls(h->curl, req->tls);
    return req->connect_to ? set_connect_to(h->curl, req->connect_to) : NULL;
}

int http_connect(struct http *h, const struct http_request *req, struct err **e)
{
    struct http_response unused = HTTP_RESPONSE_INIT;
    struct http_transfer t = {
        .curl = h->curl, .curl_text = h->text, .req = req, .resp = &unused, .e = e};
    struct curl_slist *connection = http_set_connection(h, req);
    CURLcode code;

    (void)curl_easy_setopt(h->curl, CURLOPT_CONNECT_ONLY, 1L);
    /* A proxy has to pass the bytes of an http URL on as they are, too. */
    (void)curl_easy_setopt(h->curl, CURLOPT_HTTPPROXYTUNNEL, 1L);
    (void)curl_easy_setopt(h->curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    code = curl_easy_perform(h->curl);
    curl_slist_free_all(connection);
    return code == CURLE_OK ? 0 : http_transfer_error(&t, code, e);
}

static ssize_t moved(const struct http *h, CURLcode code, size_t n, struct err **e)
{
    if (code == CURLE_AGAIN)
        return -EAGAIN;
    if (code != CURLE_OK)
        return err_set(e, -EHOSTUNREACH, "the connection broke: %s",
                       *h->text ? h->text : curl_easy_strerror(code));
    return (ssize_t)n;
}

ssize_t http_send(struct http *h, const void *bytes, size_t len, struct err **e)
{
    size_t n = 0;
    CURLcode code = curl_easy_send(h->curl, bytes, len, &n);

    return moved(h, code, n, e);
}

ssize_t http_receive(struct http *h, void *bytes, size_t len, struct err **e)
{
    size_t n = 0;
    CURLcode code = curl_easy_recv(h->curl, bytes, len, &n);

    return moved(h, code, n, e);
}

int http_wait(struct http *h, bool to_send, int timeout_ms, struct err **e)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    struct pollfd poll_fd;
    int n;

    if (curl_easy_getinfo(h->curl, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
        return err_set(e, -EHOSTUNREACH, "the connection is closed");
    poll_fd = (struct pollfd){.fd = fd, .events = (short)(POLLIN | (to_send ? POLLOUT : 0))};
    do
        n = poll(&poll_fd, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n < 0 ? err_set(e, -errno, "cannot poll: %s", strerror(errno)) : n > 0;
}
