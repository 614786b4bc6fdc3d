/* Reading and writing across the files of one run of bytes. */
#include "segfile.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void segfile_init(struct segfile *f)
{
    *f = (struct segfile){0};
}

void segfile_release(struct segfile *f)
{
    for (size_t i = 0; i < f->count; i++) {
        mem_close_fd(&f->segments[i].fd);
        free(f->segments[i].path);
    }
    free(f->segments);
    segfile_init(f);
}

void segfile_add(struct segfile *f, const char *path, int fd, int64_t length, size_t skip)
{
    array_grow(f->segments, f->count);
    f->segments[f->count++] = (struct segment){
        .path = xstrdup(path), .fd = fd, .start = f->length, .length = length, .skip = skip};
    f->length += length;
}

static size_t index_at(const struct segfile *f, int64_t offset)
{
    size_t low = 0, high = f->count;

    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (f->segments[mid].start <= offset)
            low = mid;
        else
            high = mid;
    }
    return low;
}

const struct segment *segfile_at(const struct segfile *f, int64_t offset)
{
    return &f->segments[index_at(f, offset)];
}

/* Bytes of [offset, offset+len) that lie in `s`, and where in its file they are. */
static size_t part_in(const struct segment *s, int64_t offset, size_t len, int64_t *out_at)
{
    int64_t left = s->start + s->length - offset;

    *out_at = (int64_t)s->skip + offset - s->start;
    return (int64_t)len > left ? (size_t)left : len;
}

int segfile_pread(const struct segfile *f, void *bytes, size_t len, int64_t offset)
{
    char *p = bytes;

    if (offset < 0 || (int64_t)len > f->length - offset)
        return -EIO;
    for (size_t i = len ? index_at(f, offset) : 0; len; i++) {
        int64_t at;
        size_t n = part_in(&f->segments[i], offset, len, &at);
        int r = fs_pread(f->segments[i].fd, p, n, at);
        if (r < 0)
            return r;
        p += n;
        offset += (int64_t)n;
        len -= n;
    }
    return 0;
}

int segfile_pwrite(const struct segfile *f, const void *bytes, size_t len, int64_t offset)
{
    const char *p = bytes;

    if (offset < 0 || (int64_t)len > f->length - offset)
        return -EIO;
    for (size_t i = len ? index_at(f, offset) : 0; len; i++) {
        int64_t at;
        size_t n = part_in(&f->segments[i], offset, len, &at);
        int r = fs_pwrite(f->segments[i].fd, p, n, at);
        if (r < 0)
            return r;
        p += n;
        offset += (int64_t)n;
        len -= n;
    }
    return 0;
}

void segfile_write_back(const struct segfile *f, int64_t offset, size_t len)
{
    for (size_t i = len ? index_at(f, offset) : 0; len; i++) {
        int64_t at;
        size_t n = part_in(&f->segments[i], offset, len, &at);
        (void)sync_file_range(f->segments[i].fd, at, (off_t)n, SYNC_FILE_RANGE_WRITE);
        offset += (int64_t)n;
        len -= n;
    }
}
