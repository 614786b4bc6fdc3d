#pragma once
/* Shared by the files of lib/http*.c, and with lib/kube/kube_io*.c, which runs many requests at a
 * time. */
#include "http.h"

#include <curl/curl.h>

struct http {
    CURL *curl;
    char text[CURL_ERROR_SIZE];
};

/* One running request. */
struct http_transfer {
    CURL *curl;
    const char *curl_text; /* libcurl's own words for an error */
    const struct http_request *req;
    struct http_response *resp;
    struct err **e; /* for the callbacks */
    int failed;     /* what a callback ended the transfer with, or 0 */
    bool headers_done;
    bool body_begun;
    bool to_sink;
    int64_t sent;
    int64_t moved; /* bytes in both directions when the clock below was set */
    int64_t moved_at_ms;
    bool idle;                               /* ended because nothing moved */
    struct curl_slist *headers, *connection; /* for the time of the transfer */
};

/* All options of a request whose `req`, `resp` and `e` are set; they have to stay. */
void http_transfer_set(struct http *h, struct http_transfer *t);
/* It is over, with this verdict: the rest of what http_do does. */
int http_transfer_end(struct http_transfer *t, CURLcode code, struct err **e);

/* Resets the handle, then sets where and how to connect. Returns what has to live as long as the
 * options, for curl_slist_free_all, or NULL. */
struct curl_slist *http_set_connection(struct http *h, const struct http_request *req);
/* CA and client certificate options. */
void http_set_tls(CURL *curl, const struct http_tls *tls);
struct http_session;
/* For the next connection of the handle. True: `ca` is read by the session where it is needed. */
bool http_session_use(CURL *curl, struct http_session *s, const struct buf *ca);
/* The file with the system's CA certificates, or NULL; set by http_find_system_ca. */
const char *http_system_ca_file(void);
void http_find_system_ca(void);

/* Turns libcurl's verdict into *e and resp->fault; returns the status. */
int http_transfer_error(const struct http_transfer *t, CURLcode code, struct err **e);

/* "host" or "host:port" of a URL, to be freed. */
char *http_url_peer(const char *url);
bool http_url_is_loopback(const char *url);
