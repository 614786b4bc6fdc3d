/*
 * Runs a program and does something to it at its N-th system call that can be seen from outside:
 * sending, connecting, entering a namespace, opening for writing, writing, locking, renaming,
 * removing, touching.
 *
 *   at_call N kill PROGRAM [ARGUMENT...]         kills it there
 *   at_call N run COMMAND PROGRAM [ARGUMENT...]  runs a shell command while it stands still there
 *   at_call N netlink ERRNO PROGRAM [ARGUMENT...]
 *       answers its N-th message to rtnetlink with that number; the kernel does not do what it asks
 *
 * The exit status is the program's, 137 where it was killed. The file $AT_CALL_HIT is made when the
 * call has come: a test that counts N up ends without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_SUCH_TYPE 0x7ff0 /* the kernel refuses it, and so does nothing */

struct work {
    pid_t pid;
    long n, seen;
    const char *action, *command;
    int error;
    bool is_running;        /* the program, not what was there before exec */
    struct nlmsghdr spoilt; /* what was in place of the refused message; seq is its answer's */
    uint64_t spoilt_at;     /* 0: none */
    bool has_spoilt;
};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(125);
}

static bool peek(const struct work *w, uint64_t from, void *to, size_t len)
{
    struct iovec here = {.iov_base = to, .iov_len = len};
    struct iovec there = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};

    return process_vm_readv(w->pid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

static void poke(const struct work *w, uint64_t to, const void *from, size_t len)
{
    struct iovec here = {.iov_base = (void *)(uintptr_t)from, .iov_len = len};
    struct iovec there = {.iov_base = (void *)(uintptr_t)to, .iov_len = len};

    if (process_vm_writev(w->pid, &here, 1, &there, 1, 0) != (ssize_t)len)
        die("at_call: write");
}

/* Where the first part of a struct msghdr lies, and the message in it. */
static bool message_at(const struct work *w, uint64_t msghdr, uint64_t *out_at,
                       struct nlmsghdr *out)
{
    struct msghdr m;
    struct iovec part;
    uint16_t family = 0;

    if (!peek(w, msghdr, &m, sizeof(m)) || !m.msg_iovlen ||
        !peek(w, (uintptr_t)m.msg_iov, &part, sizeof(part)) || !m.msg_name ||
        !peek(w, (uintptr_t)m.msg_name, &family, sizeof(family)) || family != AF_NETLINK)
        return false;
    *out_at = (uintptr_t)part.iov_base;
    return peek(w, *out_at, out, sizeof(*out));
}

static bool is_seen(const struct __ptrace_syscall_info *call)
{
    const uint64_t *args = call->entry.args;

    switch (call->entry.nr) {
    case SYS_sendmsg:
    case SYS_sendto:
    case SYS_connect:
    case SYS_setns:
    case SYS_flock:
    case SYS_mkdirat:
    case SYS_renameat:
    case SYS_unlinkat:
#ifdef SYS_mkdir
    case SYS_mkdir:
    case SYS_rename:
    case SYS_unlink:
#endif
    case SYS_utimensat:
        return true;
    case SYS_write:
        return args[0] > 0;
    case SYS_openat:
        return args[2] & (O_WRONLY | O_RDWR | O_CREAT);
    default:
        return false;
    }
}

static void hit(void)
{
    const char *path = getenv("AT_CALL_HIT");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (path && fd < 0)
        die(path);
    if (fd >= 0)
        (void)close(fd);
}

static void run_command(const struct work *w)
{
    pid_t child = fork();

    if (child == 0) {
        (void)execl("/bin/sh", "sh", "-c", w->command, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, NULL, 0) < 0)
        die("at_call: run");
}

static void refuse(struct work *w, const struct __ptrace_syscall_info *call)
{
    struct nlmsghdr message;
    uint64_t at;

    if (call->entry.nr != SYS_sendmsg || !message_at(w, call->entry.args[1], &at, &message) ||
        ++w->seen != w->n)
        return;
    hit();
    w->spoilt = message;
    w->spoilt_at = at;
    w->has_spoilt = true;
    message.nlmsg_type = NO_SUCH_TYPE;
    poke(w, at, &message, sizeof(message));
}

static void on_entry(struct work *w, const struct __ptrace_syscall_info *call)
{
    if (!strcmp(w->action, "netlink")) {
        refuse(w, call);
        return;
    }
    if (!is_seen(call) || ++w->seen != w->n)
        return;
    hit();
    if (!strcmp(w->action, "kill"))
        (void)kill(w->pid, SIGKILL);
    else
        run_command(w);
}

/* The kernel has answered to the spoilt message; it gets the number that is wanted. */
static void on_exit_of(struct work *w, const struct __ptrace_syscall_info *entry)
{
    struct nlmsghdr message;
    uint64_t at;

    if (w->spoilt_at) {
        poke(w, w->spoilt_at, &w->spoilt, sizeof(w->spoilt));
        w->spoilt_at = 0;
    }
    if (w->has_spoilt && entry->entry.nr == SYS_recvmsg &&
        message_at(w, entry->entry.args[1], &at, &message) && message.nlmsg_type == NLMSG_ERROR &&
        message.nlmsg_seq == w->spoilt.nlmsg_seq)
        poke(w, at + NLMSG_HDRLEN, &w->error, sizeof(w->error));
}

static int trace(struct work *w)
{
    struct __ptrace_syscall_info info, entry = {.op = 0};
    int status, signal = 0;

    for (;;) {
        if (ptrace(PTRACE_SYSCALL, w->pid, 0, signal) < 0 && errno != ESRCH)
            die("at_call: ptrace");
        if (waitpid(w->pid, &status, 0) < 0)
            die("at_call: wait");
        if (WIFEXITED(status))
            return WEXITSTATUS(status);
        if (WIFSIGNALED(status))
            return 128 + WTERMSIG(status);
        signal = WSTOPSIG(status) == (SIGTRAP | 0x80) || WSTOPSIG(status) == SIGTRAP
                     ? 0
                     : WSTOPSIG(status);
        if (WSTOPSIG(status) == SIGTRAP)
            w->is_running = true;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80) || !w->is_running ||
            ptrace(PTRACE_GET_SYSCALL_INFO, w->pid, sizeof(info), &info) <= 0)
            continue;
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
            entry = info;
            on_entry(w, &info);
        } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && entry.op) {
            on_exit_of(w, &entry);
        }
    }
}

static pid_t start(char **argv)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
            die("at_call: ptrace");
        (void)raise(SIGSTOP);
        (void)execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) < 0 ||
        ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
        die("at_call: start");
    return pid;
}

static int number_of(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } table[] = {{"EEXIST", EEXIST}, {"ENODEV", ENODEV}, {"EBUSY", EBUSY}, {"EPERM", EPERM}};

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (!strcmp(table[i].name, name))
            return -table[i].number;
    (void)fprintf(stderr, "at_call: what is '%s'?\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    struct work w = {.n = argc > 1 ? strtol(argv[1], NULL, 10) : 0};
    bool is_kill = argc > 3 && !strcmp(argv[2], "kill");

    if (w.n < 1 || argc < (is_kill ? 4 : 5)) {
        (void)fprintf(stderr, "usage: at_call N kill|run COMMAND|netlink ERRNO PROGRAM...\n");
        return 2;
    }
    w.action = argv[2];
    w.command = argv[3];
    if (!strcmp(w.action, "netlink"))
        w.error = number_of(argv[3]);
    w.pid = start(argv + (is_kill ? 3 : 4));
    return trace(&w);
}
