/*
 * The least that the API server's answers take: TLS with a CA, a token and GETs over one
 * connection, by bare sockets and OpenSSL.
 *
 *   cni_floor_api HOST PORT CA_FILE TOKEN_FILE PATH...
 *
 * HOST is an address. Each answer must be 200; bodies are read and dropped.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "cni_floor_api: %s failed\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int connect_to(const char *host, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        fail(host);
    return fd;
}

static SSL *handshake(const char *host, int fd, const char *ca)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl;

    if (!ctx || SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
        fail(ca);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    ssl = SSL_new(ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1 ||
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) != 1 || SSL_connect(ssl) != 1)
        fail("TLS");
    return ssl;
}

static bool is_whole(const char *text, size_t len)
{
    const char *body = strstr(text, "\r\n\r\n"), *field = strstr(text, "Content-Length: ");

    if (!body)
        return false;
    if (strncmp(text, "HTTP/1.1 200 ", 13) != 0)
        fail(text);
    if (field && field < body)
        return len >= (size_t)(body + 4 - text) + strtoul(field + 16, NULL, 10);
    return len > 7 && !memcmp(text + len - 7, "\r\n0\r\n\r\n", 7);
}

static void read_answer(SSL *ssl)
{
    static char text[65536];
    size_t len = 0;

    do {
        int n = SSL_read(ssl, text + len, (int)(sizeof(text) - 1 - len));
        if (n <= 0)
            fail("reading");
        len += (size_t)n;
        text[len] = '\0';
    } while (!is_whole(text, len));
}

static void get(SSL *ssl, const char *host, const char *token, const char *path)
{
    char text[8192];
    int n = snprintf(text, sizeof(text),
                     "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n"
                     "Authorization: Bearer %s\r\n\r\n",
                     path, host, token);

    if (n < 0 || (size_t)n >= sizeof(text) || SSL_write(ssl, text, n) != n)
        fail("writing");
    read_answer(ssl);
}

int main(int argc, char **argv)
{
    char token[4096] = "";
    FILE *file;
    SSL *ssl;

    if (argc < 6)
        return 2;
    file = fopen(argv[4], "re");
    if (!file || !fgets(token, sizeof(token), file))
        fail(argv[4]);
    (void)fclose(file);
    token[strcspn(token, "\n")] = '\0';
    ssl = handshake(argv[1], connect_to(argv[1], argv[2]), argv[3]);
    for (int i = 5; i < argc; i++)
        get(ssl, argv[1], token, argv[i]);
    _exit(0);
}
