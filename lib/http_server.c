/* Health, metrics and the webhook over evhttp. */
#include "http_server.h"

#include "mem.h"
#include "num.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROUTES 8
#define LISTEN_MAX 128

struct route {
    const char *path;
    enum http_verb verb;
    http_handler handler;
    void *arg;
};

struct http_server {
    struct evhttp *http;
    SSL_CTX *tls; /* NULL: plain HTTP */
    uint16_t port;
    struct route routes[MAX_ROUTES];
    size_t route_count;
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Splits "ADDRESS:PORT"; `host` is "" where there is no address. */
static bool split_listen(const char *text, char host[LISTEN_MAX], uint64_t *port)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;

    if (!colon || len >= LISTEN_MAX || num_parse_u64(colon + 1, UINT16_MAX, port) < 0)
        return false;
    if (len && *text == '[') {
        if (len < 3 || text[len - 1] != ']')
            return false;
        text++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return false;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    return true;
}

static int parse_listen(const char *text, union address *out, struct err **e)
{
    char host[LISTEN_MAX];
    uint64_t port;

    memset(out, 0, sizeof(*out));
    if (!split_listen(text, host, &port))
        return err_set(e, -EINVAL, "'%s' is no address to listen on; write ADDRESS:PORT or :PORT",
                       text);
    if (*host && inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        return 0;
    }
    memset(out, 0, sizeof(*out));
    if (*host && inet_pton(AF_INET6, host, &out->v6.sin6_addr) != 1)
        return err_set(e, -EINVAL, "'%s' is no address to listen on; names are not looked up",
                       text);
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons((uint16_t)port);
    return 0;
}

static struct evconnlistener *bind_to(struct event_base *base, const union address *address)
{
    bool is_v4 = address->any.sa_family == AF_INET;
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, NULL, NULL,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                -1, &address->any,
                                is_v4 ? (int)sizeof(address->v4) : (int)sizeof(address->v6));
    int on = 1;

    /* Connections inherit it. An answer goes out in several TLS records, and the second would wait
     * for the client's delayed acknowledgement of the first. */
    if (listener)
        (void)setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &on,
                         sizeof(on));
    return listener;
}

static int bind_text(struct event_base *base, const char *text, struct evconnlistener **out,
                     struct err **e)
{
    union address address;
    int r = parse_listen(text, &address, e);

    if (r < 0)
        return r;
    *out = bind_to(base, &address);
    /* Some hosts have no IPv6 at all; without an address both families are meant. */
    if (!*out && *text == ':') {
        union address v4 = {.v4 = {.sin_family = AF_INET, .sin_port = address.v6.sin6_port}};

        *out = bind_to(base, &v4);
    }
    if (!*out)
        return err_set(e, -errno, "cannot listen on '%s': %s", text, strerror(errno));
    return 0;
}

static uint16_t port_of(struct evconnlistener *listener)
{
    union address address = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t len = sizeof(address);

    if (getsockname(evconnlistener_get_fd(listener), &address.any, &len) < 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}

static const struct route *find_route(const struct http_server *s, const char *path)
{
    for (size_t i = 0; i < s->route_count; i++)
        if (!strcmp(s->routes[i].path, path))
            return &s->routes[i];
    return NULL;
}

static bool is_allowed(const struct route *route, enum evhttp_cmd_type method)
{
    if (route->verb == HTTP_POST)
        return method == EVHTTP_REQ_POST;
    return method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
}

static void send_reply(struct evhttp_request *req, const struct http_reply *reply)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    bool is_head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
    struct evbuffer *body = evbuffer_new();
    char length[32];

    (void)evhttp_add_header(headers, "Content-Type", reply->content_type);
    (void)evhttp_add_header(headers, "Cache-Control", "no-store");
    (void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    if (is_head) {
        /* evhttp says no length where it sends no body. */
        (void)snprintf(length, sizeof(length), "%zu", reply->body.len);
        (void)evhttp_add_header(headers, "Content-Length", length);
    } else if (body) {
        (void)evbuffer_add(body, reply->body.data, reply->body.len);
    }
    evhttp_send_reply(req, reply->status, NULL, body);
    if (body)
        evbuffer_free(body);
}

static void answer(struct evhttp_request *req, const struct route *route, struct http_reply *reply)
{
    struct evbuffer *input = evhttp_request_get_input_buffer(req);
    size_t len = evbuffer_get_length(input);
    const void *body = len ? (const void *)evbuffer_pullup(input, -1) : "";

    if (!route) {
        reply->status = 404;
        (void)buf_addstr(&reply->body, "not found\n");
    } else if (!is_allowed(route, evhttp_request_get_command(req))) {
        reply->status = 405;
        (void)evhttp_add_header(evhttp_request_get_output_headers(req), "Allow",
                                route->verb == HTTP_POST ? "POST" : "GET, HEAD");
        (void)buf_addstr(&reply->body, "method not allowed\n");
    } else if (body) {
        route->handler(route->arg, body, len, reply);
    }
}

static void on_request(struct evhttp_request *req, void *arg)
{
    const struct http_server *s = arg;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    struct http_reply reply = {.status = 200, .content_type = "text/plain; charset=utf-8"};

    buf_init(&reply.body, HTTP_SERVER_MAX_ANSWER);
    answer(req, find_route(s, path ? path : ""), &reply);
    if (reply.body.overflowed) {
        reply.status = 500;
        buf_clear(&reply.body);
    }
    send_reply(req, &reply);
    buf_release(&reply.body);
}

/* Without a bufferevent from here evhttp would speak plain HTTP, so that running out of memory ends
 * the program here too. */
static struct bufferevent *on_tls_connection(struct event_base *base, void *arg)
{
    const struct http_server *s = arg;
    SSL *ssl = SSL_new(s->tls);
    struct bufferevent *bev =
        ssl ? bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                             BEV_OPT_CLOSE_ON_FREE)
            : NULL;

    if (!bev)
        abort();
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

/* evhttp itself answers 501 to methods that are not in this set. */
static void set_up(struct http_server *s, const struct http_server_options *options)
{
    size_t max_body = options->max_body ? options->max_body : HTTP_SERVER_MAX_BODY;

    evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                            EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                            EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
                                            EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
    evhttp_set_max_headers_size(s->http, HTTP_SERVER_MAX_HEADERS);
    evhttp_set_max_body_size(s->http, (ev_ssize_t)max_body);
    evhttp_set_timeout(s->http, options->timeout_s ? options->timeout_s : HTTP_SERVER_TIMEOUT_S);
    evhttp_set_default_content_type(s->http, NULL);
    evhttp_set_gencb(s->http, on_request, s);
    if (s->tls)
        evhttp_set_bevcb(s->http, on_tls_connection, s);
}

int http_server_new(const struct http_server_options *options, struct http_server **out_server,
                    struct err **e)
{
    struct evconnlistener *listener = NULL;
    struct http_server *s = xcalloc(1, sizeof(*s));
    int r = 0;

    if (options->cert_pem)
        r = http_server_set_certificate(s, options->cert_pem, options->key_pem, e);
    if (r >= 0)
        r = bind_text(options->base, options->listen, &listener, e);
    if (r < 0) {
        http_server_free(s);
        return r;
    }
    s->port = port_of(listener);
    s->http = evhttp_new(options->base);
    if (!s->http || !evhttp_bind_listener(s->http, listener)) {
        evconnlistener_free(listener);
        http_server_free(s);
        return err_set(e, -ENOMEM, "cannot serve on '%s'", options->listen);
    }
    set_up(s, options);
    *out_server = s;
    return 0;
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    if (s->http)
        evhttp_free(s->http);
    SSL_CTX_free(s->tls);
    free(s);
}

void http_server_route(struct http_server *s, enum http_verb verb, const char *path,
                       http_handler handler, void *arg)
{
    if (s->route_count == MAX_ROUTES)
        abort();
    s->routes[s->route_count++] =
        (struct route){.path = path, .verb = verb, .handler = handler, .arg = arg};
}

void http_server_ok(void *arg, const void *body, size_t len, struct http_reply *reply)
{
    (void)arg;
    (void)body;
    (void)len;
    (void)buf_addstr(&reply->body, "ok\n");
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

/* The leaf comes first; what follows it is its chain. */
static bool use_certificates(SSL_CTX *tls, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *cert;
    bool is_good = true;
    size_t count;

    for (count = 0; is_good && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; count++) {
        is_good = count ? SSL_CTX_add1_chain_cert(tls, cert) == 1
                        : SSL_CTX_use_certificate(tls, cert) == 1;
        X509_free(cert);
    }
    BIO_free(bio);
    ERR_clear_error();
    return is_good && count;
}

static bool use_key(SSL_CTX *tls, const char *pem)
{
    char passphrase[] = ""; /* else OpenSSL would ask for one on the terminal */
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, passphrase);
    bool is_good =
        key && SSL_CTX_use_PrivateKey(tls, key) == 1 && SSL_CTX_check_private_key(tls) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return is_good;
}

int http_server_set_certificate(struct http_server *s, const char *cert_pem, const char *key_pem,
                                struct err **e)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    if (!tls)
        return err_set(e, -ENOMEM, "cannot set up TLS");
    (void)SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    if (!use_certificates(tls, cert_pem) || !use_key(tls, key_pem)) {
        SSL_CTX_free(tls);
        return err_set(e, -EINVAL,
                       "the serving certificate cannot be used: it or its key is no PEM, or they "
                       "do not belong together");
    }
    SSL_CTX_free(s->tls);
    s->tls = tls;
    return 0;
}
