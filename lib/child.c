/* A child process with pipes on all three standard streams, driven by poll. */
#include "child.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK (64 * 1024)
#define STDERR_KEPT (16 * 1024)

extern char **environ;

struct run {
    const struct child *child;
    pid_t pid;
    int in, out, err; /* our ends of the pipes; -1 once closed */
    char *chunk;      /* input on its way */
    size_t pos, len;
    struct buf *output;
    struct buf complaint; /* the last of its standard error */
};

static void close_end(int *fd)
{
    mem_close_fd(fd);
    *fd = -1;
}

static int make_pipe(int *out_read, int *out_write)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *out_read = fds[0];
    *out_write = fds[1];
    return 0;
}

/* SIGPIPE, which we ignore, is given back its default; nothing else is inherited but 0, 1, 2. */
static int spawn(struct run *r, int in, int out, int err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t defaults;
    int failed;

    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    (void)posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawnattr_setsigdefault(&attr, &defaults);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    failed = posix_spawn(&r->pid, r->child->argv[0], &files, &attr, (char **)r->child->argv,
                         r->child->env ? (char **)r->child->env : environ);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&attr);
    return -failed;
}

static int start(struct run *r, struct err **e)
{
    auto_close int in = -1, out = -1, err = -1;
    int result = 0;

    if (r->child->source)
        result = make_pipe(&in, &r->in);
    else
        in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (result == 0)
        result = make_pipe(&r->out, &out);
    if (result == 0)
        result = make_pipe(&r->err, &err);
    if (result == 0)
        result = spawn(r, in, out, err);
    if (result < 0)
        return err_set(e, result, "cannot run '%s': %s", r->child->argv[0], strerror(-result));
    if (r->in >= 0)
        (void)fcntl(r->in, F_SETFL, O_NONBLOCK);
    return 0;
}

/* Moves one piece of input. A program that closes its input early is judged by its status. */
static int feed(struct run *r, struct err **e)
{
    ssize_t n;

    if (r->pos == r->len) {
        n = r->child->source(r->child->source_arg, r->chunk, CHUNK, e);
        if (n < 0)
            return (int)n;
        r->pos = 0;
        r->len = (size_t)n;
        if (n == 0) {
            close_end(&r->in);
            return 0;
        }
    }
    n = write(r->in, r->chunk + r->pos, r->len - r->pos);
    if (n > 0)
        r->pos += (size_t)n;
    else if (errno == EPIPE)
        close_end(&r->in);
    else if (errno != EAGAIN && errno != EINTR)
        return err_set(e, -errno, "cannot write to '%s': %s", r->child->argv[0], strerror(errno));
    return 0;
}

static int drain_output(struct run *r, struct err **e)
{
    char bytes[4096];
    ssize_t n = read(r->out, bytes, sizeof(bytes));

    if (n > 0 && buf_add(r->output, bytes, (size_t)n) < 0)
        return err_set(e, -EFBIG, "'%s' writes more than the %zu bytes allowed", r->child->argv[0],
                       r->output->max);
    if (n == 0 || (n < 0 && errno != EINTR))
        close_end(&r->out);
    return 0;
}

static void drain_complaint(struct run *r)
{
    char bytes[4096];
    ssize_t n = read(r->err, bytes, sizeof(bytes));

    if (n > 0 && buf_add(&r->complaint, bytes, (size_t)n) < 0) {
        buf_clear(&r->complaint);
        (void)buf_add(&r->complaint, bytes, (size_t)n);
    }
    if (n == 0 || (n < 0 && errno != EINTR))
        close_end(&r->err);
}

static int converse(struct run *r, struct err **e)
{
    int result = 0;

    while (result == 0 && (r->out >= 0 || r->err >= 0)) {
        struct pollfd fds[] = {
            {.fd = r->in, .events = POLLOUT},
            {.fd = r->out, .events = POLLIN},
            {.fd = r->err, .events = POLLIN},
        };

        if (poll(fds, 3, -1) < 0) {
            if (errno != EINTR)
                result = err_set(e, -errno, "cannot poll: %s", strerror(errno));
            continue;
        }
        if (fds[2].revents)
            drain_complaint(r);
        if (fds[1].revents)
            result = drain_output(r, e);
        if (result == 0 && fds[0].revents)
            result = feed(r, e);
    }
    return result;
}

/* The last line of what it complained of, without control characters; may be "". */
static char *last_line(struct run *r)
{
    char *text = r->complaint.data, *line;
    size_t len = r->complaint.len;

    while (len && (unsigned char)text[len - 1] <= ' ')
        text[--len] = '\0';
    line = strrchr(text, '\n');
    line = line ? line + 1 : text;
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return line;
}

static int judge(struct run *r, struct err **e)
{
    int status = 0;

    while (waitpid(r->pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(e, -errno, "cannot wait for '%s': %s", r->child->argv[0],
                           strerror(errno));
    if (WIFSIGNALED(status))
        return err_set(e, -EREMOTEIO, "'%s' was killed by signal %d", r->child->argv[0],
                       WTERMSIG(status));
    if (WEXITSTATUS(status) == 0)
        return 0;
    if (!r->complaint.len)
        return err_set(e, -EREMOTEIO, "'%s' ended with status %d", r->child->argv[0],
                       WEXITSTATUS(status));
    return err_set(e, -EREMOTEIO, "%s", last_line(r));
}

int child_run(const struct child *c, struct buf *out, struct err **e)
{
    auto_free char *chunk = c->source ? xmalloc(CHUNK) : NULL;
    struct run r = {
        .child = c, .pid = -1, .in = -1, .out = -1, .err = -1, .chunk = chunk, .output = out};
    int result;

    buf_init(&r.complaint, STDERR_KEPT);
    result = start(&r, e);
    if (result == 0)
        result = converse(&r, e);
    /* First the kill, then the end of its input: it must not see the one without the other. */
    if (result < 0 && r.pid > 0)
        (void)kill(r.pid, SIGKILL);
    close_end(&r.in);
    close_end(&r.out);
    close_end(&r.err);
    if (r.pid > 0 && result < 0)
        (void)judge(&r, NULL);
    else if (result == 0)
        result = judge(&r, e);
    buf_release(&r.complaint);
    return result;
}

char *child_find(const char *name, const char *const *places)
{
    const char *path = getenv("PATH");
    size_t len;

    for (const char *p = path ? path : ""; *p; p += len + (p[len] == ':')) {
        auto_free char *full = NULL;

        len = strcspn(p, ":");
        full = xasprintf("%.*s/%s", (int)len, p, name);
        /* The working directory, which an empty or relative member means, is anybody's. */
        if (*p == '/' && access(full, X_OK) == 0)
            return take(full);
    }
    for (; *places; places++)
        if (access(*places, X_OK) == 0)
            return xstrdup(*places);
    return NULL;
}
