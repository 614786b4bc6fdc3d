/* Lines into a file that does not grow for ever. */
#include "cni_log.h"

#include "fs.h"
#include "json.h"
#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    const struct cni_conf *conf;
    const struct cni_env *env;
    int fd;
    int64_t began_us, step_us;
} the_log = {.fd = -1};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* What others have written may have several lines, and must not look like lines of ours. */
static char *on_one_line(const char *text)
{
    char *copy = xstrdup(text);

    for (char *p = copy; *p; p++)
        if (*p == '\n')
            *p = ' ';
    return copy;
}

/* To be freed, with its line feed: one line is one write, so that lines of several do not mix. */
static char *text_line(enum log_level level, const char *text)
{
    static const char *const names[] = {"error", "warning", "note", "debug"};
    const struct cni_env *env = the_log.env;
    auto_free char *flat = on_one_line(text);
    char stamp[LOG_TIME_SIZE];

    return xasprintf("%s %s: %s command=%s container=%.13s ifname=%s pod=%s/%s\n", log_time(stamp),
                     names[level], flat, cni_command_text(env->command),
                     or_empty(env->container_id), or_empty(env->ifname),
                     or_empty(env->args.pod_namespace), or_empty(env->args.pod_name));
}

static char *json_line(enum log_level level, const char *text)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    const struct cni_env *env = the_log.env;
    auto_json cJSON *line = cJSON_CreateObject();
    auto_free char *printed = NULL;
    char stamp[LOG_TIME_SIZE];

    json_add_str(line, "ts", log_time(stamp));
    json_add_str(line, "level", names[level]);
    json_add_str(line, "msg", text);
    json_add_str(line, "command", cni_command_text(env->command));
    json_add_str(line, "container", env->container_id);
    json_add_str(line, "ifname", env->ifname);
    json_add_str(line, "namespace", env->args.pod_namespace);
    json_add_str(line, "pod", env->args.pod_name);
    printed = json_print(line);
    return xasprintf("%s\n", printed);
}

static void write_line(enum log_level level, const char *text)
{
    auto_free char *line = NULL;

    if (the_log.fd < 0)
        return;
    line = the_log.conf->is_log_json ? json_line(level, text) : text_line(level, text);
    /* One try: on a full disk a part of a line is worth nothing. */
    (void)!write(the_log.fd, line, strlen(line));
}

static int open_file(void)
{
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

    return open(the_log.conf->log_file, flags, 0640);
}

static bool is_full(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= the_log.conf->log_max;
}

/* Under a lock on the file that is full. Who does not get it leaves the work to the one who has it;
 * who gets it later finds another file at the path. */
static int rotate(int fd)
{
    const char *path = the_log.conf->log_file;
    auto_free char *first = xasprintf("%s.1", path), *second = xasprintf("%s.2", path);
    struct stat held, there;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return fd;
    if (fstat(fd, &held) == 0 && stat(path, &there) == 0 && held.st_ino == there.st_ino &&
        held.st_dev == there.st_dev) {
        (void)rename(first, second);
        (void)rename(path, first);
    }
    (void)close(fd);
    return open_file();
}

void cni_log_open(const struct cni_conf *conf, const struct cni_env *env)
{
    the_log.conf = conf;
    the_log.env = env;
    the_log.began_us = the_log.step_us = kube_now_us();
    log_set_level(conf->log_level);
    log_set_json(conf->is_log_json);
    if (!conf->log_file)
        return;
    the_log.fd = open_file();
    if (the_log.fd >= 0 && is_full(the_log.fd))
        the_log.fd = rotate(the_log.fd);
    if (the_log.fd < 0)
        log_warn("no log in '%s': %s", conf->log_file, strerror(errno));
    log_set_sink(write_line);
}

void cni_log_step(const char *format, ...)
{
    int64_t now = kube_now_us();
    auto_free char *text = NULL;
    va_list args;

    if (log_get_level() < LOG_DEBUG)
        return;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    log_debug("%s: %.3f ms", or_empty(text),
              the_log.step_us ? (double)(now - the_log.step_us) / 1000 : 0);
    the_log.step_us = now;
}

double cni_log_elapsed_ms(void)
{
    return (double)(kube_now_us() - the_log.began_us) / 1000;
}

void cni_log_close(void)
{
    log_set_sink(NULL);
    if (the_log.fd >= 0)
        (void)close(the_log.fd);
    the_log.fd = -1;
}
