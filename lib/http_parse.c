/* Headers and URLs, read without a connection. */
#include "http_internal.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char *copy_value(const char *text, size_t len)
{
    while (len && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    return xstrndup(text, len);
}

char *http_header_nth(const struct http_response *resp, const char *name, size_t n)
{
    size_t name_len = strlen(name);
    const char *line = resp->headers.len ? resp->headers.data : "";

    for (const char *next; *line; line = next) {
        size_t len = strcspn(line, "\n");

        next = line + len + (line[len] == '\n');
        if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len))
            continue;
        if (n-- == 0)
            return copy_value(line + name_len + 1, len - name_len - 1);
    }
    return NULL;
}

char *http_header(const struct http_response *resp, const char *name)
{
    return http_header_nth(resp, name, 0);
}

/* What libcurl hands out is copied, so that the rest of the program frees with free(). */
static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
    char *from_curl = NULL, *copy;

    if (!url || curl_url_get(url, part, &from_curl, flags) != CURLUE_OK)
        return NULL;
    copy = xstrdup(from_curl);
    curl_free(from_curl);
    return copy;
}

static void lower(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

static bool is_http(const char *scheme)
{
    return scheme && (!strcasecmp(scheme, "http") || !strcasecmp(scheme, "https"));
}

/* NULL unless `text` is an absolute http or https URL. */
static CURLU *parse_url(const char *text)
{
    auto_free char *scheme = NULL;
    CURLU *url = curl_url();

    if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
        scheme = url_part(url, CURLUPART_SCHEME, 0);
        if (is_http(scheme))
            return url;
    }
    curl_url_cleanup(url);
    return NULL;
}

char *http_url_peer(const char *text)
{
    CURLU *url = parse_url(text);
    auto_free char *host = url_part(url, CURLUPART_HOST, 0);
    auto_free char *port = url_part(url, CURLUPART_PORT, 0);

    curl_url_cleanup(url);
    if (!host)
        return xstrdup("?");
    return port ? xasprintf("%s:%s", host, port) : take(host);
}

bool http_url_is_loopback(const char *text)
{
    CURLU *url = parse_url(text);
    auto_free char *host = url_part(url, CURLUPART_HOST, 0);

    curl_url_cleanup(url);
    return host &&
           (!strcasecmp(host, "localhost") || !strncmp(host, "127.", 4) || !strcmp(host, "[::1]"));
}

char *http_origin(const char *text)
{
    CURLU *url = parse_url(text);
    auto_free char *scheme = url_part(url, CURLUPART_SCHEME, 0);
    auto_free char *host = url_part(url, CURLUPART_HOST, 0);
    auto_free char *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    char *origin = NULL;

    curl_url_cleanup(url);
    if (scheme && host && port) {
        origin = xasprintf("%s://%s:%s", scheme, host, port);
        lower(origin);
    }
    return origin;
}

char *http_resolve_url(const char *base, const char *location)
{
    CURLU *url = parse_url(base);
    auto_free char *scheme = NULL;
    auto_free char *host = NULL;
    auto_free char *whole = NULL;

    if (url && curl_url_set(url, CURLUPART_URL, location, CURLU_DISALLOW_USER) == CURLUE_OK) {
        scheme = url_part(url, CURLUPART_SCHEME, 0);
        host = url_part(url, CURLUPART_HOST, 0);
        whole = url_part(url, CURLUPART_URL, 0);
    }
    curl_url_cleanup(url);
    return is_http(scheme) && host ? take(whole) : NULL;
}

void http_url_encode(struct buf *out, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *text; text++) {
        if (strchr(plain, *text))
            (void)buf_addch(out, *text);
        else
            (void)buf_addf(out, "%%%02X", (unsigned char)*text);
    }
}
