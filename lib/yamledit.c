/* A list of changes, and the text with them. */
#include "yamledit.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/=-"

void yamledit_init(struct yamledit *ed, const char *text, size_t len)
{
    *ed = (struct yamledit){.text = text, .len = len};
}

void yamledit_release(struct yamledit *ed)
{
    for (size_t i = 0; i < ed->n_changes; i++)
        free(ed->changes[i].text);
    free(ed->changes);
    ed->changes = NULL;
    ed->n_changes = 0;
}

void yamledit_replace(struct yamledit *ed, size_t start, size_t end, const char *with)
{
    array_grow(ed->changes, ed->n_changes);
    ed->changes[ed->n_changes++] =
        (struct yamledit_change){.start = start, .end = end, .text = xstrdup(with)};
}

/* A colon is safe within a word, as in an image's name, but not at its ends. */
static bool is_plain(const char *value)
{
    size_t len = strlen(value);

    for (size_t i = 0; i < len; i++)
        if (!strchr(PLAIN_CHARS, value[i]) && (value[i] != ':' || !i || i + 1 == len))
            return false;
    return len && strcmp(value, "-") != 0 && strncmp(value, "---", 3) != 0 &&
           strcmp(value, "...") != 0;
}

static char *quote(const char *value, char mark, const char *escaped)
{
    char *quoted = xmalloc(2 * strlen(value) + 3), *p = quoted;

    *p++ = mark;
    for (; *value; value++) {
        if (strchr(escaped, *value))
            *p++ = mark == '\'' ? '\'' : '\\';
        *p++ = *value;
    }
    *p++ = mark;
    *p = '\0';
    return quoted;
}

char *yamledit_scalar(const char *value, enum yamlnode_style style)
{
    if (style == YAMLNODE_DOUBLE)
        return quote(value, '"', "\"\\");
    if (style == YAMLNODE_SINGLE || !is_plain(value))
        return quote(value, '\'', "'");
    return xstrdup(value);
}

int yamledit_set(struct yamledit *ed, const struct yamlnode *scalar, const char *value)
{
    auto_free char *with = NULL;

    if (scalar->kind != YAMLNODE_SCALAR || scalar->style > YAMLNODE_DOUBLE || scalar->has_tag ||
        memchr(ed->text + scalar->start, '\n', scalar->end - scalar->start))
        return -ENOTSUP;
    with = yamledit_scalar(value, scalar->style);
    yamledit_replace(ed, scalar->start, scalar->end, with);
    return 0;
}

size_t yamledit_line_start(const struct yamledit *ed, size_t at)
{
    size_t first = ed->len >= 3 && !memcmp(ed->text, "\xef\xbb\xbf", 3) ? 3 : 0;

    while (at > first && ed->text[at - 1] != '\n')
        at--;
    return at;
}

size_t yamledit_next_line(const struct yamledit *ed, size_t at)
{
    const char *newline = memchr(ed->text + at, '\n', ed->len - at);

    return newline ? (size_t)(newline + 1 - ed->text) : ed->len;
}

size_t yamledit_line_end(const struct yamledit *ed, size_t at)
{
    size_t end = yamledit_next_line(ed, at);

    if (end > at && ed->text[end - 1] == '\n')
        end--;
    if (end > at && ed->text[end - 1] == '\r')
        end--;
    return end;
}

const char *yamledit_newline(const struct yamledit *ed)
{
    size_t end = yamledit_line_end(ed, 0);

    return end < ed->len && ed->text[end] == '\r' ? "\r\n" : "\n";
}

/* Insertion sort: it is stable, and the changes come nearly in order. */
static void sort(struct yamledit *ed)
{
    for (size_t i = 1; i < ed->n_changes; i++) {
        struct yamledit_change change = ed->changes[i];
        size_t j = i;

        for (; j && ed->changes[j - 1].start > change.start; j--)
            ed->changes[j] = ed->changes[j - 1];
        ed->changes[j] = change;
    }
}

int yamledit_apply(struct yamledit *ed, struct buf *out, struct err **e)
{
    size_t at = 0;

    sort(ed);
    for (size_t i = 0; i < ed->n_changes; i++) {
        const struct yamledit_change *change = &ed->changes[i];

        if (change->start < at || change->end < change->start || change->end > ed->len)
            return err_set(e, -EINVAL, "two changes at byte %zu overlap", change->start);
        (void)buf_add(out, ed->text + at, change->start - at);
        (void)buf_addstr(out, change->text);
        at = change->end;
    }
    if (buf_add(out, ed->text + at, ed->len - at) < 0)
        return err_set(e, -EFBIG, "the changed text is too long");
    return 0;
}
