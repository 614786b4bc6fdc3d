/* Collected errors, warnings and notes. */
#include "findings.h"

#include "buf.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ERROR_TEXT_MAX (256u << 10)

void findings_add(struct findings *f, enum finding_level level, const char *file, size_t line,
                  const char *format, ...)
{
    auto_free char *what = NULL;
    va_list args;
    char *text;

    if (f->count[level]++ >= FINDINGS_KEPT)
        return;
    va_start(args, format);
    if (vasprintf(&what, format, args) < 0)
        what = xstrdup("out of memory");
    va_end(args);
    if (file && line)
        text = xasprintf("%s:%zu: %s", file, line, what);
    else
        text = xasprintf("%s%s%s", file ? file : "", file ? ": " : "", what);
    array_grow(f->items, f->n_items);
    f->items[f->n_items++] = (struct finding){.level = level, .text = text};
}

int findings_error(const struct findings *f, const char *subject, struct err **e)
{
    auto_buf struct buf text;
    size_t errors = f->count[FINDING_ERROR];

    buf_init(&text, ERROR_TEXT_MAX);
    if (!errors)
        return 0;
    for (size_t i = 0; i < f->n_items; i++)
        if (f->items[i].level == FINDING_ERROR)
            (void)buf_addf(&text, "\n  %s", f->items[i].text);
    if (errors > FINDINGS_KEPT)
        (void)buf_addf(&text, "\n  and %zu more", errors - FINDINGS_KEPT);
    return err_set(e, -EINVAL, "%s: %zu error%s%s", subject, errors, errors == 1 ? "" : "s",
                   text.data);
}

static void log_rest(const struct findings *f, enum finding_level level, const char *name)
{
    if (f->count[level] > FINDINGS_KEPT)
        log_warn("and %zu more %s", f->count[level] - FINDINGS_KEPT, name);
}

void findings_log(const struct findings *f)
{
    for (size_t i = 0; i < f->n_items; i++) {
        if (f->items[i].level == FINDING_WARNING)
            log_warn("%s", f->items[i].text);
        else if (f->items[i].level == FINDING_NOTE)
            log_info("%s", f->items[i].text);
    }
    log_rest(f, FINDING_WARNING, "warnings");
    log_rest(f, FINDING_NOTE, "notes");
}

void findings_release(struct findings *f)
{
    for (size_t i = 0; i < f->n_items; i++)
        free(f->items[i].text);
    free(f->items);
    *f = (struct findings){.n_items = 0};
}
