#pragma once
/*
 * Single rtnetlink requests: one message, its answer or acknowledgement, and the kernel's own
 * number and words for an error (libnl folds the numbers and drops the words). A socket belongs to
 * the network namespace in which it was opened, wherever the thread goes afterwards.
 */
#include "err.h"

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stddef.h>

int nlreq_open(struct nl_sock **out, struct err **e);

/* A message of `type` (RTM_...) that begins with `header`; `flags` are NLM_F_... besides REQUEST.
 * What is put into it must fit into one page: more is a defect and ends the program. */
struct nl_msg *nlreq_new(int type, int flags, const void *header, size_t size);
void nlreq_put(struct nl_msg *m, int attr, const void *data, size_t len);
void nlreq_put_text(struct nl_msg *m, int attr, const char *text);
struct nlattr *nlreq_nest(struct nl_msg *m, int attr);

/* Sends it and waits for the acknowledgement. The message of *e is "strerror: kernel's words";
 * the number is the kernel's own. */
int nlreq_call(struct nl_sock *s, struct nl_msg *m, struct err **e);
/* Sends a question whose answer is one message; `on_answer` gets it. */
int nlreq_ask(struct nl_sock *s, struct nl_msg *m, nl_recvmsg_msg_cb_t on_answer, void *arg,
              struct err **e);
/* Asks for all objects: one call of `on_object` for each. -EAGAIN: they changed meanwhile, so that
 * the caller forgets what it has and asks again. */
int nlreq_dump(struct nl_sock *s, int type, const void *header, size_t size,
               nl_recvmsg_msg_cb_t on_object, void *arg, struct err **e);

/* How often a dump that changed under our eyes is asked for again. */
#define NLREQ_DUMP_TRIES 8

#define auto_nlsock __attribute__((cleanup(nlreq_close)))
#define auto_nlmsg __attribute__((cleanup(nlreq_free)))
void nlreq_close(struct nl_sock **s);
void nlreq_free(struct nl_msg **m);
