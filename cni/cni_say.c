/* The one document on standard output. */
#include "cni_say.h"

#include "cni_version.h"
#include "fs.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX 4096

static int out_fd = -1;
static bool has_said;

int cni_error_code(int status)
{
    static const struct {
        int number, code;
    } table[] = {
        {EPROTONOSUPPORT, 1}, {EOPNOTSUPP, 2}, {EBADR, 4},        {EIO, 5},
        {ENOSPC, 5},          {EDQUOT, 5},     {EBADMSG, 6},      {EFBIG, 6},
        {EINVAL, 7},          {EXDEV, 8},      {EAGAIN, 11},      {EHOSTUNREACH, 11},
        {EKEYREJECTED, 11},   {EPROTO, 11},    {EREMOTEIO, 11},   {ETIMEDOUT, 11},
        {EBUSY, 11},          {ENETDOWN, 50},  {ENETUNREACH, 51}, {EADDRINUSE, 101},
        {EUCLEAN, 102},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (table[i].number == -status)
            return table[i].code;
    return 100;
}

void cni_say_init(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    bool has_stdout = fcntl(STDOUT_FILENO, F_GETFD) >= 0;

    (void)sigaction(SIGPIPE, &ignore, NULL);
    /* What the runtime has closed must not become a socket that somebody logs to; reading from it
     * still fails. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_WRONLY);
    if (has_stdout)
        out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (out_fd >= 0)
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
}

int cni_say(const char *json, struct err **e)
{
    auto_free char *line = xasprintf("%s\n", json);
    int r;

    if (has_said)
        return err_set(e, -EALREADY, "there was a result already");
    has_said = true;
    r = out_fd < 0 ? -EBADF : fs_write(out_fd, line, strlen(line));
    return r < 0 ? err_set(e, -EIO, "the result cannot be written: %s", strerror(-r)) : 0;
}

/* JSON is UTF-8, and a message may quote bytes that are not. */
static char *plain_text(const char *text)
{
    char *copy = xstrndup(text, MESSAGE_MAX);

    for (char *p = copy; *p; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f)
            *p = '?';
    return copy;
}

char *cni_error_print(const char *version, const struct err *e)
{
    auto_json cJSON *answer = cJSON_CreateObject();
    auto_free char *text = plain_text(err_text(e));
    auto_free char *said = plain_text(version ? version : cni_version_text(CNI_NEWEST));

    json_add_str(answer, "cniVersion", said);
    json_add_int(answer, "code", cni_error_code(e ? e->status : 0));
    json_add_str(answer, "msg", text);
    return json_print(answer);
}

int cni_say_error(const char *version, const struct err *e)
{
    auto_free char *text = cni_error_print(version, e);

    return cni_say(text, NULL);
}
