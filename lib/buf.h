#pragma once
/*
 * A growable byte buffer with a ceiling. Data is always followed by a NUL that `len` does not
 * count, also when empty. A write past the ceiling changes nothing and makes the buffer fail:
 * every later write fails too, so a caller may append many times and look at the end.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* never NULL between buf_init and buf_release */
    size_t len;
    size_t cap;
    size_t max;
    bool overflowed;
};

/* `max` is the most bytes it may ever hold. */
void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
/* Empties it and forgets a failure; keeps the memory. */
void buf_clear(struct buf *b);

/* Each returns 0, or -EFBIG once the ceiling was hit. */
int buf_add(struct buf *b, const void *bytes, size_t len);
int buf_addstr(struct buf *b, const char *s);
int buf_addch(struct buf *b, char c);
int buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Hands over the bytes (NUL-terminated, to be freed) and leaves b released. */
char *buf_steal(struct buf *b);

#define auto_buf __attribute__((cleanup(buf_release)))
