/* Log lines on stderr, one write each, safe to call from several threads. */
#include "log.h"

#include "json.h"
#include "mem.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static enum log_level max_level = LOG_INFO;
static bool is_json;
static void (*hook_before)(void);
static void (*hook_after)(void);
static void (*line_sink)(enum log_level level, const char *text);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void log_set_level(enum log_level level)
{
    max_level = level;
}

enum log_level log_get_level(void)
{
    return max_level;
}

void log_set_json(bool on)
{
    is_json = on;
}

void log_set_hooks(void (*before)(void), void (*after)(void))
{
    hook_before = before;
    hook_after = after;
}

void log_set_sink(void (*sink)(enum log_level level, const char *text))
{
    line_sink = sink;
}

const char *log_time(char out[LOG_TIME_SIZE])
{
    struct timespec now;
    struct tm tm;
    char seconds[24];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
    (void)snprintf(out, LOG_TIME_SIZE, "%s.%03ldZ", seconds, now.tv_nsec / 1000000 % 1000);
    return out;
}

/* Messages may quote what came from outside; a terminal must not take orders from it. */
static void blank_controls(char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t') || *text == 0x7f)
            *text = '?';
}

/* To be freed. */
static char *json_line(enum log_level level, const char *text)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    auto_json cJSON *line = cJSON_CreateObject();
    char stamp[LOG_TIME_SIZE];

    json_add_str(line, "ts", log_time(stamp));
    json_add_str(line, "level", names[level]);
    json_add_str(line, "msg", text);
    return json_print(line);
}

static void write_line(enum log_level level, const char *text)
{
    static const char *const names[] = {"error", "warning", "note", "debug"};
    auto_free char *line = is_json ? json_line(level, text) : NULL;

    pthread_mutex_lock(&lock);
    if (hook_before)
        hook_before();
    if (line)
        (void)fprintf(stderr, "%s\n", line);
    else
        (void)fprintf(stderr, "%s: %s\n", names[level], text);
    if (line_sink)
        line_sink(level, text);
    if (hook_after)
        hook_after();
    pthread_mutex_unlock(&lock);
}

void log_at(enum log_level level, const char *format, ...)
{
    auto_free char *text = NULL;
    va_list args;
    int len;

    if (level > max_level)
        return;
    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        text = NULL;
        return;
    }
    blank_controls(text);
    write_line(level, text);
}
