#pragma once
/*
 * Changes to YAML text at the marks of its tree (yamltree.h): every byte that is not named by a
 * change stays what and where it is. Pure.
 */
#include "buf.h"
#include "err.h"
#include "yamltree.h"

#include <stddef.h>

struct yamledit_change {
    size_t start, end; /* bytes of the old text; equal for an insertion */
    char *text;
};

struct yamledit {
    const char *text; /* what is edited, borrowed */
    size_t len;
    struct yamledit_change *changes;
    size_t n_changes;
};

void yamledit_init(struct yamledit *ed, const char *text, size_t len);
void yamledit_release(struct yamledit *ed);

/* Puts `with` in place of the bytes [start, end). */
void yamledit_replace(struct yamledit *ed, size_t start, size_t end, const char *with);
/* Gives a scalar of one line another value, in the quotes that it has where those can hold it.
 * -ENOTSUP: it is no such scalar. */
int yamledit_set(struct yamledit *ed, const struct yamlnode *scalar, const char *value);

/* Where the line begins that the byte is in (behind a byte order mark), and where it ends (before
 * its LF or CRLF). */
size_t yamledit_line_start(const struct yamledit *ed, size_t at);
size_t yamledit_line_end(const struct yamledit *ed, size_t at);
/* Where the line after that one begins; the end of the text where there is none. */
size_t yamledit_next_line(const struct yamledit *ed, size_t at);
/* "\r\n" where the first line of the text ends so, else "\n". */
const char *yamledit_newline(const struct yamledit *ed);

/* `value` as a scalar of one line in that style, or in one that can hold it; to be freed. It must
 * not hold control characters. */
char *yamledit_scalar(const char *value, enum yamlnode_style style);

/* Appends the changed text to `out`. -EINVAL: two changes overlap; -EFBIG: `out` is full.
 * Insertions at one place come in the order they were asked for. */
int yamledit_apply(struct yamledit *ed, struct buf *out, struct err **e);

#define auto_yamledit __attribute__((cleanup(yamledit_release)))
