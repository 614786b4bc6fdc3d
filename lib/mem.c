/* Allocation that cannot fail from the caller's view, and the cleanups behind auto_*. */
#include "mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *not_null(void *ptr)
{
    if (!ptr) {
        static const char text[] = "flatnet: out of memory\n";
        (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
        _exit(1);
    }
    return ptr;
}

void *xmalloc(size_t size)
{
    return not_null(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return not_null(calloc(count ? count : 1, size ? size : 1));
}

void *xreallocarray(void *ptr, size_t count, size_t size)
{
    return not_null(reallocarray(ptr, count ? count : 1, size ? size : 1));
}

char *xstrdup(const char *s)
{
    return s ? not_null(strdup(s)) : NULL;
}

char *xstrndup(const char *s, size_t len)
{
    char *copy;

    len = strnlen(s, len);
    copy = xmalloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *xasprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return not_null(text);
}

void array_grow_(void *array_ptr, size_t count, size_t size)
{
    void *array;

    /* Capacity is the power of two at or above count, so it needs no field of its own. */
    if (count & (count - 1))
        return;
    memcpy(&array, array_ptr, sizeof(array));
    array = xreallocarray(array, count ? count * 2 : 1, size);
    memcpy(array_ptr, &array, sizeof(array));
}

void mem_free_ptr(void *ptr_to_ptr)
{
    int saved = errno;
    void *ptr;

    memcpy(&ptr, ptr_to_ptr, sizeof(ptr));
    free(ptr);
    errno = saved;
}

void mem_close_fd(const int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        (void)close(*fd);
    errno = saved;
}
