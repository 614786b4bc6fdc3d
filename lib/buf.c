/* Growable buffer with a ceiling. */
#include "buf.h"

#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char empty[1];

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.data = empty, .max = max};
}

void buf_release(struct buf *b)
{
    if (b->data != empty)
        free(b->data);
    *b = (struct buf){.data = empty};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->overflowed = false;
    if (b->cap)
        b->data[0] = '\0';
}

static int reserve(struct buf *b, size_t more)
{
    size_t cap = b->cap ? b->cap : 64;

    if (b->overflowed || more > b->max - b->len) {
        b->overflowed = true;
        return -EFBIG;
    }
    while (cap < b->len + more + 1)
        cap *= 2;
    if (cap != b->cap) {
        b->data = xreallocarray(b->data == empty ? NULL : b->data, cap, 1);
        b->cap = cap;
    }
    return 0;
}

int buf_add(struct buf *b, const void *bytes, size_t len)
{
    int r = reserve(b, len);

    if (r < 0)
        return r;
    if (len)
        memcpy(b->data + b->len, bytes, len);
    b->len += len;
    b->data[b->len] = '\0';
    return 0;
}

int buf_addstr(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

int buf_addch(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

int buf_addf(struct buf *b, const char *format, ...)
{
    auto_free char *text = NULL;
    va_list args;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        text = NULL;
        b->overflowed = true;
        return -EFBIG;
    }
    return buf_add(b, text, (size_t)len);
}

char *buf_steal(struct buf *b)
{
    char *data = b->data == empty ? xcalloc(1, 1) : b->data;

    *b = (struct buf){.data = empty};
    return data;
}
