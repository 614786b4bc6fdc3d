#pragma once
/*
 * Log lines on stderr: "level: message key=value ...", or JSON. Programs log; the library itself
 * stays at debug. Tokens, passwords and Secret contents are never logged.
 */
#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above `level` are dropped. The start value is LOG_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* One object a line instead: {"ts": RFC 3339 in UTC, "level", "msg"}. */
void log_set_json(bool is_json);
/* Called before and after each line, so that a progress display can step aside; NULL for none. */
void log_set_hooks(void (*before)(void), void (*after)(void));
/* Gets each line too, without control characters but line feeds and tabs; NULL for none. */
void log_set_sink(void (*sink)(enum log_level level, const char *text));
/* Now as RFC 3339 in UTC, with milliseconds, into `out`, which is returned. */
#define LOG_TIME_SIZE 32
const char *log_time(char out[LOG_TIME_SIZE]);

void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
