/* Log lines on stderr, one write each, safe to call from several threads. */
#include "log.h"

#include "mem.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static enum log_level max_level = LOG_INFO;
static void (*hook_before)(void);
static void (*hook_after)(void);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void log_set_level(enum log_level level)
{
    max_level = level;
}

enum log_level log_get_level(void)
{
    return max_level;
}

void log_set_hooks(void (*before)(void), void (*after)(void))
{
    hook_before = before;
    hook_after = after;
}

/* Messages may quote what came from outside; a terminal must not take orders from it. */
static void blank_controls(char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t') || *text == 0x7f)
            *text = '?';
}

/* Texts quote names and answers from outside, which must not steer the terminal. */
static void clean(char *text)
{
    for (char *c = text; *c; c++)
        if (((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f)
            *c = '?';
}

void log_at(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"error", "warning", "note", "debug"};
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
    clean(text);
    pthread_mutex_lock(&lock);
    if (hook_before)
        hook_before();
    (void)fprintf(stderr, "%s: %s\n", names[level], text);
    if (hook_after)
        hook_after();
    pthread_mutex_unlock(&lock);
}
