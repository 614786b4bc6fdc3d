/* fstab(5), line by line: getmntent's rules for blanks and comments. */
#include "host_fstab.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define MARKER_LEN (sizeof(FSTAB_MARKER) - 1)
#define FIELDS 4

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Splits a line into its first fields; returns how many there are. */
static size_t split(const char *p, const char *end, const char **fields, size_t *lens)
{
    size_t n = 0;

    while (n < FIELDS) {
        while (p < end && is_blank(*p))
            p++;
        if (p == end || *p == '\n')
            break;
        fields[n] = p;
        while (p < end && !is_blank(*p) && *p != '\n')
            p++;
        lens[n] = (size_t)(p - fields[n]);
        n++;
    }
    return n;
}

bool fstab_next(const char **cursor, const char *end, struct fstab_line *out)
{
    const char *start = *cursor, *newline, *fields[FIELDS] = {NULL};
    size_t lens[FIELDS] = {0}, n;

    if (start >= end)
        return false;
    newline = memchr(start, '\n', (size_t)(end - start));
    *cursor = newline ? newline + 1 : end;
    *out = (struct fstab_line){.start = start, .len = (size_t)(*cursor - start)};
    n = split(start, *cursor, fields, lens);
    if (n < 3 || *fields[0] == '#' || lens[2] != 4 || memcmp(fields[2], "swap", 4) != 0)
        return true;
    out->is_swap = true;
    out->spec = fields[0];
    out->spec_len = lens[0];
    out->options = fields[3];
    out->options_len = lens[3];
    return true;
}

size_t fstab_comment_swap(const struct buf *text, struct buf *out)
{
    const char *p = text->data, *end = text->data + text->len;
    struct fstab_line line;
    size_t n = 0;

    while (fstab_next(&p, end, &line)) {
        if (line.is_swap) {
            (void)buf_addstr(out, FSTAB_MARKER);
            n++;
        }
        (void)buf_add(out, line.start, line.len);
    }
    return n;
}

static size_t bare_len(const struct fstab_line *line)
{
    return line->len - (line->start[line->len - 1] == '\n');
}

static bool was_swap_row(const struct buf *before, const char *row, size_t len)
{
    const char *p = before->data, *end = before->data + before->len;
    struct fstab_line line;

    while (fstab_next(&p, end, &line))
        if (line.is_swap && bare_len(&line) == len && !memcmp(line.start, row, len))
            return true;
    return false;
}

size_t fstab_uncomment_swap(const struct buf *text, const struct buf *before, struct buf *out)
{
    const char *p = text->data, *end = text->data + text->len;
    struct fstab_line line;
    size_t n = 0;

    while (fstab_next(&p, end, &line)) {
        size_t skip = 0;

        if (line.len > MARKER_LEN && !memcmp(line.start, FSTAB_MARKER, MARKER_LEN) &&
            was_swap_row(before, line.start + MARKER_LEN, bare_len(&line) - MARKER_LEN)) {
            skip = MARKER_LEN;
            n++;
        }
        (void)buf_add(out, line.start + skip, line.len - skip);
    }
    return n;
}

size_t fstab_count_swap(const struct buf *text)
{
    const char *p = text->data, *end = text->data + text->len;
    struct fstab_line line;
    size_t n = 0;

    while (fstab_next(&p, end, &line))
        n += line.is_swap;
    return n;
}

static bool is_word(const char *p, size_t len, const char *word)
{
    return strlen(word) == len && !memcmp(p, word, len);
}

/* "pri=5": swapon takes 0 to 32767. */
static int parse_priority(const char *p, size_t len)
{
    int value = 0;

    for (size_t i = 4; i < len; i++) {
        if (p[i] < '0' || p[i] > '9' || value > 32767)
            return -1;
        value = value * 10 + (p[i] - '0');
    }
    return len > 4 && value <= 32767 ? value : -1;
}

void fstab_swap_options(const char *options, size_t len, struct fstab_swap *out)
{
    *out = (struct fstab_swap){.priority = -1};
    for (size_t i = 0, n; i < len; i += n + 1) {
        const char *p = options + i, *comma = memchr(p, ',', len - i);

        n = comma ? (size_t)(comma - p) : len - i;
        if (n > 4 && !memcmp(p, "pri=", 4))
            out->priority = parse_priority(p, n);
        else if (is_word(p, n, "discard"))
            out->flags |= FSTAB_DISCARD;
        else if (is_word(p, n, "discard=once"))
            out->flags |= FSTAB_DISCARD | FSTAB_DISCARD_ONCE;
        else if (is_word(p, n, "discard=pages"))
            out->flags |= FSTAB_DISCARD | FSTAB_DISCARD_PAGES;
    }
}

static bool is_octal(const char *p)
{
    return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' && p[2] <= '7';
}

char *fstab_unescape(const char *field, size_t len)
{
    char *text = xmalloc(len + 1), *to = text;

    for (size_t i = 0; i < len; i++) {
        if (field[i] == '\\' && i + 3 < len && is_octal(field + i + 1)) {
            *to++ =
                (char)((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 + (field[i + 3] - '0'));
            i += 3;
        } else {
            *to++ = field[i];
        }
    }
    *to = '\0';
    return text;
}
