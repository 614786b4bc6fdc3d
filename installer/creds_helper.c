/*
 * docker's protocol for credential helpers: "docker-credential-NAME get" reads the server's name
 * from its standard input and writes {"Username":..., "Secret":...}. On failure it exits non-zero
 * with a text on its standard output.
 */
#include "auth.h"
#include "buf.h"
#include "creds.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (64u << 10)
#define TIMEOUT_MS 30000
#define POLL_STEP_MS 5

extern char **environ;

static int64_t now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The name becomes part of a program's name that PATH is searched for. */
static bool is_plain_name(const char *name)
{
    return *name && strlen(name) <= 64 &&
           !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")];
}

static int spawn(const char *program, int in, int out, pid_t *out_pid)
{
    char *argv[] = {(char *)program, (char *)"get", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t restored;
    int r;

    (void)sigemptyset(&restored);
    (void)sigaddset(&restored, SIGPIPE); /* ignored in this process */
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawnattr_setsigdefault(&attr, &restored);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    (void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    r = posix_spawnp(out_pid, program, &actions, &attr, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attr);
    return -r;
}

/* Everything up to the end of the stream, or a negative errno. */
static int read_answer(int fd, int64_t deadline, struct buf *out)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    char chunk[4096];

    for (;;) {
        int64_t left = deadline - now_ms();
        ssize_t n;

        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(&pfd, 1, (int)left) <= 0)
            continue;
        n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        if (buf_add(out, chunk, (size_t)n) < 0)
            return -EFBIG;
    }
}

/* A program that closed its output is about to end; one that does not is ended. Returns the wait
 * status. Threads keep SIGCHLD from being waited for, and pidfd is newer than our kernels. */
static int reap(pid_t pid, int64_t deadline)
{
    static const struct timespec step = {.tv_nsec = POLL_STEP_MS * 1000000L};
    int status = -1;
    pid_t r;

    while ((r = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() < deadline)
        (void)nanosleep(&step, NULL);
    if (r == 0) {
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    return status;
}

/* Both pipes have their inherited ends made by dup2, so all four are close-on-exec. */
static int run(const char *program, const char *input, struct buf *out, int *out_status)
{
    int64_t deadline = now_ms() + TIMEOUT_MS;
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    pid_t pid = -1;
    int r = 0;

    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
        r = -errno;
    if (r == 0)
        r = spawn(program, to[0], from[1], &pid);
    mem_close_fd(&to[0]);
    mem_close_fd(&from[1]);
    /* A host's name always fits into the pipe. A program that does not read it may have its own
     * way of knowing; SIGPIPE is ignored. */
    if (r == 0)
        (void)!write(to[1], input, strlen(input));
    mem_close_fd(&to[1]);
    if (r == 0) {
        r = read_answer(from[0], deadline, out);
        *out_status = reap(pid, r < 0 ? 0 : deadline);
    }
    mem_close_fd(&from[0]);
    return r;
}

static int parse_answer(const struct buf *answer, struct creds *out)
{
    auto_json cJSON *tree = NULL;
    const char *username, *secret;

    if (json_parse(answer->data, answer->len, &tree, NULL) < 0)
        return -EBADMSG;
    username = json_get_str(tree, "Username");
    secret = json_get_str(tree, "Secret");
    if (!username || !secret)
        return -EBADMSG;
    if (!strcmp(username, "<token>")) {
        out->identity_token = xstrdup(secret);
    } else {
        out->username = xstrdup(username);
        out->password = xstrdup(secret);
    }
    return 0;
}

int creds_ask_helper(const char *name, const char *server, struct creds *out, struct err **e)
{
    auto_free char *program = xasprintf("docker-credential-%s", name);
    auto_buf struct buf answer;
    int r, status = 0;

    buf_init(&answer, ANSWER_MAX);
    if (!is_plain_name(name))
        return err_set(e, -EINVAL, "'%s' cannot be the name of a credential helper", name);
    r = run(program, server, &answer, &status);
    if (r == -ETIMEDOUT)
        return err_set(e, r, "'%s' gave no answer in %d s", program, TIMEOUT_MS / 1000);
    if (r < 0)
        return err_set(e, r, "cannot run '%s': %s", program, strerror(-r));
    if (status != 0) {
        auto_free char *text = auth_clean_text(answer.data, answer.len);
        if (strstr(text, "credentials not found"))
            return 0;
        return err_set(e, -EIO, "'%s' failed: %s", program, *text ? text : "no reason given");
    }
    *out = (struct creds){.source = NULL};
    if (parse_answer(&answer, out) < 0)
        return err_set(e, -EIO, "'%s' gave an answer that is not understood", program);
    out->source = take(program);
    return 1;
}
