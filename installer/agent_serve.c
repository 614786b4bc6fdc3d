/* The port that probe pods find each other by. */
#include "agent.h"

#include "interrupt.h"
#include "mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define SLICE_MS 1000

/* IPv6 sockets take IPv4, too; where the kernel has no IPv6, IPv4 alone. */
static int listen_on(uint16_t port, int *out_fd, struct err **e)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1, no = 0;
    auto_close int fd =
        fd6 >= 0 ? fd6 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd6 >= 0)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (fd < 0 ||
        (fd6 >= 0 ? bind(fd, (struct sockaddr *)&six, sizeof(six))
                  : bind(fd, (struct sockaddr *)&four, sizeof(four))) < 0 ||
        listen(fd, 16) < 0)
        return err_set(e, -errno, "cannot listen on port %u: %s", port, strerror(errno));
    *out_fd = take_fd(&fd);
    return 0;
}

/* Says who is here. A peer that does not read is not waited for. */
static void greet(int listener)
{
    auto_close int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct utsname u;

    if (fd >= 0 && uname(&u) == 0)
        (void)send(fd, u.nodename, strlen(u.nodename), MSG_NOSIGNAL);
}

int agent_serve(struct err **e)
{
    auto_close int fd = -1;
    int r = listen_on(AGENT_PORT, &fd, e);

    interrupt_init();
    while (r == 0 && !interrupt_seen()) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};

        if (poll(&pfd, 1, SLICE_MS) > 0)
            greet(fd);
    }
    return r;
}
