#pragma once
/*
 * Allocation policy and scope-bound cleanup.
 *
 * Our programs can be run again, so running out of memory ends them (exit status 1, one line
 * on stderr) and no caller checks for NULL. Sizes that come from outside are checked against a
 * limit before they reach these functions.
 */
#include <stddef.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
/* `count` zeroed members of `size` bytes; a product that overflows ends the program. */
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xreallocarray(void *ptr, size_t count, size_t size) __attribute__((returns_nonnull));
/* NULL stays NULL, so that optional strings can be copied without a branch. */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len) __attribute__((returns_nonnull));
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* Makes room for one more member behind the `count` that *array holds; grows by doubling. */
#define array_grow(array, count) array_grow_(&(array), (count), sizeof(*(array)))
void array_grow_(void *array_ptr, size_t count, size_t size);

/* Each frees or closes what the variable holds when it leaves its scope; errno survives. */
#define auto_free __attribute__((cleanup(mem_free_ptr)))
#define auto_close __attribute__((cleanup(mem_close_fd)))
void mem_free_ptr(void *ptr_to_ptr);
void mem_close_fd(const int *fd);

/* Hands over what an auto_free variable holds. */
#define take(ptr)                                                                                  \
    ({                                                                                             \
        __auto_type taken_ = (ptr);                                                                \
        (ptr) = NULL;                                                                              \
        taken_;                                                                                    \
    })

/* Hands over the descriptor in an auto_close variable. */
static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}
