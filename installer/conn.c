/* Results of connectivity tests, collected; and which checks are wanted. */
#include "conn.h"

#include "mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 1, 0))) static char *format_text(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        abort();
    return text;
}

void conn_say(struct conn_report *r, enum conn_level level, const char *check, const char *subject,
              const char *format, ...)
{
    struct conn_result result = {.check = check, .level = level};
    va_list args;

    r->is_muted = r->choice && !conn_wants(r->choice, check);
    if (r->is_muted)
        return;
    result.subject = xstrdup(subject);
    va_start(args, format);
    result.seen = format_text(format, args);
    va_end(args);
    array_grow(r->results, r->count);
    r->results[r->count++] = result;
    r->n[level]++;
}

void conn_cause(struct conn_report *r, const char *format, ...)
{
    struct conn_result *last;
    va_list args;

    if (r->is_muted)
        return;
    last = &r->results[r->count - 1];
    array_grow(last->causes, last->n_causes);
    va_start(args, format);
    last->causes[last->n_causes++] = format_text(format, args);
    va_end(args);
}

void conn_report_release(struct conn_report *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct conn_result *result = &r->results[i];

        free(result->subject);
        free(result->seen);
        for (size_t k = 0; k < result->n_causes; k++)
            free(result->causes[k]);
        free(result->causes);
    }
    free(r->results);
    *r = (struct conn_report){.count = 0};
}

int conn_exit_status(const struct conn_report *r)
{
    return r->n[CONN_FAIL] ? EXIT_CHECKS : EXIT_OK;
}

/* --- which checks --- */

int conn_choice_check(const struct conn_choice *c, struct err **e)
{
    auto_free const char **names = NULL;
    size_t n = 0;
    int r;

    while (c->checks[n].name)
        n++;
    names = xcalloc(n + 1, sizeof(*names));
    for (size_t i = 0; i < n; i++)
        names[i] = c->checks[i].name;
    r = cli_names_check(&c->only, "only", "check", names, e);
    return r < 0 ? r : cli_names_check(&c->skip, "skip", "check", names, e);
}

bool conn_wants(const struct conn_choice *c, const char *name)
{
    return (!c->only.count || cli_names_have(&c->only, name)) && !cli_names_have(&c->skip, name);
}
