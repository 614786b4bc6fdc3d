/*
 * What a static program must not take from its host. Linked into the static build only, in place
 * of glibc's functions of the same names: those would load the host's shared objects into a
 * program that was linked against another libc. libcurl resolves names with c-ares, OpenSSL needs
 * neither modules nor a configuration file, so that nothing calls these in earnest, but for
 * getnameinfo with numbers; if something ever does, it gets a clean failure, whatever the host
 * holds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/types.h>
#include <stddef.h>
#include <stdio.h>

void *__wrap_dlopen(const char *file, int mode);
int __wrap_CONF_modules_load_file_ex(OSSL_LIB_CTX *libctx, const char *file, const char *app,
                                     unsigned long flags);

/* OpenSSL would load its modules (engines, providers) with this one, which glibc's own parts
 * need too, so that the Makefile has the linker put this in its place (--wrap). */
void *__wrap_dlopen(const char *file, int mode)
{
    (void)file;
    (void)mode;
    return NULL;
}

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict out_list)
{
    (void)node;
    (void)service;
    (void)hints;
    (void)out_list;
    return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

/* An address as numbers; 0 or EAI_*. */
static int put_host(const struct sockaddr *addr, socklen_t len, char *host, socklen_t size)
{
    const void *bytes;

    if (addr->sa_family == AF_INET && len >= sizeof(struct sockaddr_in))
        bytes = &((const struct sockaddr_in *)(const void *)addr)->sin_addr;
    else if (addr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))
        bytes = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
    else
        return EAI_FAMILY;
    return inet_ntop(addr->sa_family, bytes, host, size) ? 0 : EAI_OVERFLOW;
}

/*
 * libevent writes down in numbers who its HTTP server's peers are, and ends the program when it
 * cannot. sin_port and sin6_port are at the same place.
 */
int getnameinfo(const struct sockaddr *restrict addr, socklen_t len, char *restrict host,
                socklen_t host_size, char *restrict service, socklen_t service_size, int flags)
{
    int r = 0;

    if ((host && !(flags & NI_NUMERICHOST)) || (service && !(flags & NI_NUMERICSERV)))
        return EAI_FAIL;
    if (host)
        r = put_host(addr, len, host, host_size);
    if (!r && service) {
        unsigned port = ntohs(((const struct sockaddr_in *)(const void *)addr)->sin_port);

        if ((size_t)snprintf(service, service_size, "%u", port) >= service_size)
            r = EAI_OVERFLOW;
    }
    return r;
}

struct hostent *gethostbyname(const char *name)
{
    (void)name;
    h_errno = NO_RECOVERY;
    return NULL;
}

struct servent *getservbyname(const char *name, const char *proto)
{
    (void)name;
    (void)proto;
    return NULL;
}

int getservbyport_r(int port, const char *restrict proto, struct servent *restrict entry,
                    char *restrict buf, size_t size, struct servent **restrict out_entry)
{
    (void)port;
    (void)proto;
    (void)entry;
    (void)buf;
    (void)size;
    *out_entry = NULL;
    return ENOENT;
}

/* In place of the function that reads openssl.cnf (--wrap): none of the host's is ever read. */
int __wrap_CONF_modules_load_file_ex(OSSL_LIB_CTX *libctx, const char *file, const char *app,
                                     unsigned long flags)
{
    (void)libctx;
    (void)file;
    (void)app;
    (void)flags;
    return 1;
}
