/* One request, one answer. */
#include "nlreq.h"

#include "../mem.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netlink/errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WORDS_SIZE 128

struct answer {
    int error; /* negative errno */
    char words[WORDS_SIZE];
    bool is_done;
    nl_recvmsg_msg_cb_t on_message;
    void *arg;
};

void nlreq_close(struct nl_sock **s)
{
    if (*s)
        nl_socket_free(*s);
}

void nlreq_free(struct nl_msg **m)
{
    if (*m)
        nlmsg_free(*m);
}

int nlreq_open(struct nl_sock **out, struct err **e)
{
    auto_nlsock struct nl_sock *s = nl_socket_alloc();
    int on = 1, r;

    if (!s)
        return err_set(e, -ENOMEM, "cannot make a netlink socket");
    r = nl_connect(s, NETLINK_ROUTE);
    if (r < 0)
        return err_set(e, -EIO, "cannot open a netlink socket: %s", nl_geterror(r));
    /* Kernels before 4.12 have no words for an error. */
    (void)setsockopt(nl_socket_get_fd(s), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    nl_socket_disable_auto_ack(s);
    *out = take(s);
    return 0;
}

struct nl_msg *nlreq_new(int type, int flags, const void *header, size_t size)
{
    struct nl_msg *m = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

    if (!m || nlmsg_append(m, (void *)header, size, NLMSG_ALIGNTO) < 0)
        abort();
    return m;
}

void nlreq_put(struct nl_msg *m, int attr, const void *data, size_t len)
{
    if (nla_put(m, attr, (int)len, data) < 0)
        abort();
}

void nlreq_put_text(struct nl_msg *m, int attr, const char *text)
{
    nlreq_put(m, attr, text, strlen(text) + 1);
}

struct nlattr *nlreq_nest(struct nl_msg *m, int attr)
{
    struct nlattr *nest = nla_nest_start(m, attr);

    if (!nest)
        abort();
    return nest;
}

/* Behind the error stand the request's header (or all of it), and then attributes. */
static void read_words(const struct nlmsgerr *error, char words[WORDS_SIZE])
{
    const struct nlmsghdr *header = (const void *)((const char *)error - NLMSG_HDRLEN);
    size_t skip = sizeof(*error), len = header->nlmsg_len - NLMSG_HDRLEN;
    struct nlattr *text;

    if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
        return;
    if (!(header->nlmsg_flags & NLM_F_CAPPED))
        skip += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(error->msg);
    if (skip >= len)
        return;
    text = nla_find((const struct nlattr *)((const char *)error + skip), (int)(len - skip),
                    NLMSGERR_ATTR_MSG);
    if (text)
        (void)nla_strlcpy(words, text, WORDS_SIZE);
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *arg)
{
    struct answer *a = arg;

    (void)from;
    a->error = error->error;
    a->is_done = true;
    read_words(error, a->words);
    return NL_STOP;
}

static int on_ack(struct nl_msg *m, void *arg)
{
    struct answer *a = arg;

    (void)m;
    a->is_done = true;
    return NL_STOP;
}

static int on_valid(struct nl_msg *m, void *arg)
{
    struct answer *a = arg;

    return a->on_message ? a->on_message(m, a->arg) : NL_OK;
}

static int fail(const struct answer *a, struct err **e)
{
    return err_set(e, a->error, "%s%s%s", strerror(-a->error), *a->words ? ": " : "", a->words);
}

/* Sends and receives; what is not an answer of the kernel (no memory, a broken socket) is -EIO. */
static int exchange(struct nl_sock *s, struct nl_msg *m, struct answer *a, bool until_done,
                    struct err **e)
{
    int r;

    errno = 0;
    r = nl_send_auto(s, m);
    if (r < 0)
        return err_set(e, errno ? -errno : -EIO, "cannot ask the kernel: %s", nl_geterror(r));
    (void)nl_socket_modify_err_cb(s, NL_CB_CUSTOM, on_error, a);
    (void)nl_socket_modify_cb(s, NL_CB_ACK, NL_CB_CUSTOM, on_ack, a);
    (void)nl_socket_modify_cb(s, NL_CB_VALID, NL_CB_CUSTOM, on_valid, a);
    do
        r = nl_recvmsgs_default(s);
    while (r >= 0 && until_done && !a->is_done);
    if (a->error)
        return fail(a, e);
    if (r == -NLE_DUMP_INTR)
        return -EAGAIN;
    if (r < 0)
        return err_set(e, -EIO, "the kernel's answer cannot be read: %s", nl_geterror(r));
    return 0;
}

int nlreq_call(struct nl_sock *s, struct nl_msg *m, struct err **e)
{
    struct answer a = {.error = 0};

    nlmsg_hdr(m)->nlmsg_flags |= NLM_F_ACK;
    return exchange(s, m, &a, true, e);
}

int nlreq_ask(struct nl_sock *s, struct nl_msg *m, nl_recvmsg_msg_cb_t on_answer, void *arg,
              struct err **e)
{
    struct answer a = {.on_message = on_answer, .arg = arg};

    return exchange(s, m, &a, false, e);
}

int nlreq_dump(struct nl_sock *s, int type, const void *header, size_t size,
               nl_recvmsg_msg_cb_t on_object, void *arg, struct err **e)
{
    auto_nlmsg struct nl_msg *m = nlreq_new(type, NLM_F_DUMP, header, size);
    struct answer a = {.on_message = on_object, .arg = arg};

    return exchange(s, m, &a, false, e);
}
