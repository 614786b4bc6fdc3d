/* The files that a bundle is written into. */
#include "output.h"

#include "fs.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALLEST_VOLUME (64 << 10)

int output_parse_volume_size(const char *text, int64_t *out_size, struct err **e)
{
    int r = 0;

    if (!strcmp(text, "fat32"))
        *out_size = (INT64_C(4) << 30) - 1;
    else if (!strcmp(text, "dvd"))
        *out_size = INT64_C(4700000000);
    else
        r = num_parse_size(text, out_size, e);
    if (r == 0 && *out_size < SMALLEST_VOLUME)
        r = err_set(e, -EINVAL, "a volume must have at least %d bytes", SMALLEST_VOLUME);
    return r;
}

int output_cut(const int64_t *borders, size_t n_borders, int64_t total, int64_t volume_size,
               int64_t **out_starts, size_t *out_count, struct err **e)
{
    auto_free int64_t *starts = NULL;
    int64_t room = volume_size - VOLUME_HEADER, at = 0;
    size_t count = 0, next = 0;

    while (at < total) {
        int64_t cut = at + room < total ? at + room : total;

        if (count == VOLUME_MAX)
            return err_set(e, -EINVAL, "more than %d volumes would be needed; choose larger ones",
                           VOLUME_MAX);
        array_grow(starts, count);
        starts[count++] = at;
        while (next + 1 < n_borders && borders[next + 1] <= cut)
            next++;
        /* The entry at this border is cut short here: it moves whole if one volume can hold it. */
        if (cut < total && borders[next] > at) {
            int64_t end = next + 1 < n_borders ? borders[next + 1] : total;
            if (end - borders[next] <= room)
                cut = borders[next];
        }
        at = cut;
    }
    *out_starts = take(starts);
    *out_count = count;
    return 0;
}

static char *final_path(const struct output *o, size_t number)
{
    return o->has_volumes ? xasprintf("%s.%03zu", o->name, number + 1) : xstrdup(o->name);
}

static int open_part(struct output *o, int64_t length, const struct output_shape *shape,
                     struct err **e)
{
    auto_free char *final = final_path(o, o->file.count);
    auto_free char *path = xasprintf("%s.partial", final);
    size_t skip = o->has_volumes ? VOLUME_HEADER : 0;
    auto_close int fd = -1;

    if (shape->named && access(path, F_OK) < 0 && errno == ENOENT)
        (void)rename(final, path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(e, -errno, "cannot create '%s': %s", path, strerror(errno));
    if ((!shape->keep && ftruncate(fd, 0) < 0) || ftruncate(fd, (off_t)skip + length) < 0)
        return err_set(e, -errno, "cannot make '%s' %lld bytes long: %s", path, (long long)length,
                       strerror(errno));
    segfile_add(&o->file, path, take_fd(&fd), length, skip);
    return 0;
}

/* What a run of another shape left under this name is of no use to anyone. */
static void remove_partials(const char *name)
{
    auto_free char *plain = xasprintf("%s.partial", name);

    (void)unlink(plain);
    for (unsigned i = 1; i <= VOLUME_MAX; i++) {
        auto_free char *volume = xasprintf("%s.%03u.partial", name, i);
        (void)unlink(volume);
    }
}

int output_open(const char *name, const struct output_shape *shape, struct output *out,
                struct err **e)
{
    auto_free int64_t *starts = NULL;
    size_t count = 1;
    int r = 0;

    *out = (struct output){.name = xstrdup(name), .has_volumes = shape->volume_size > 0};
    segfile_init(&out->file);
    if (!shape->keep)
        remove_partials(name);
    if (out->has_volumes)
        r = output_cut(shape->borders, shape->n_borders, shape->total, shape->volume_size, &starts,
                       &count, e);
    for (size_t i = 0; i < count && r == 0; i++) {
        int64_t start = starts ? starts[i] : 0;
        int64_t end = starts && i + 1 < count ? starts[i + 1] : shape->total;
        r = open_part(out, end - start, shape, e);
    }
    if (r < 0)
        output_release(out);
    return r;
}

int64_t output_allocated(const struct output *o)
{
    int64_t bytes = 0;
    struct stat st;

    for (size_t i = 0; i < o->file.count; i++)
        if (fstat(o->file.segments[i].fd, &st) == 0)
            bytes += (int64_t)st.st_blocks * 512;
    return bytes;
}

static int hash_segment(const struct segment *s, char out_digest[DIGEST_SIZE])
{
    enum { CHUNK = 256 << 10 };
    auto_hash struct hash *h = hash_new();
    auto_free char *chunk = xmalloc(CHUNK);

    for (int64_t at = 0; at < s->length;) {
        size_t n = s->length - at < CHUNK ? (size_t)(s->length - at) : CHUNK;
        int r = fs_pread(s->fd, chunk, n, (int64_t)s->skip + at);
        if (r < 0)
            return r;
        hash_update(h, chunk, n);
        at += (int64_t)n;
    }
    hash_final(h, out_digest);
    return 0;
}

static int write_volume_header(const struct output *o, size_t number, const char *receipt)
{
    const struct segment *s = &o->file.segments[number];
    struct volume_header h = {.number = (unsigned)number + 1,
                              .count = (unsigned)o->file.count,
                              .offset = s->start,
                              .length = s->length,
                              .total = o->file.length};
    char block[VOLUME_HEADER];
    int r = hash_segment(s, h.sha256);

    if (r < 0)
        return r;
    memcpy(h.set, receipt, DIGEST_SIZE);
    volume_header_format(&h, block);
    return fs_pwrite(s->fd, block, sizeof(block), 0);
}

/* Volumes of an earlier, longer set under this name would read as a mixed set. */
static void remove_stale_volumes(const struct output *o)
{
    for (size_t i = o->file.count; i < VOLUME_MAX; i++) {
        auto_free char *path = final_path(o, i);
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        char block[VOLUME_HEADER] = {0};

        if (fd < 0)
            return;
        if (fs_pread(fd, block, sizeof(block), 0) == 0 && volume_header_is(block, sizeof(block)))
            (void)unlink(path);
    }
}

int output_commit(struct output *o, const char *receipt, struct err **e)
{
    int r;

    for (size_t i = 0; i < o->file.count; i++) {
        r = o->has_volumes ? write_volume_header(o, i, receipt) : 0;
        if (r == 0 && fsync(o->file.segments[i].fd) < 0)
            r = -errno;
        if (r < 0)
            return output_error(o, r, o->file.segments[i].start, e);
    }
    for (size_t i = 0; i < o->file.count; i++) {
        auto_free char *final = final_path(o, i);
        if (rename(o->file.segments[i].path, final) < 0)
            return err_set(e, -errno, "cannot rename '%s' to '%s': %s", o->file.segments[i].path,
                           final, strerror(errno));
    }
    if (o->has_volumes)
        remove_stale_volumes(o);
    return fs_sync_parent(o->name, e);
}

void output_release(struct output *o)
{
    segfile_release(&o->file);
    free(o->name);
    *o = (struct output){0};
}

void output_discard(const struct output *o)
{
    for (size_t i = 0; i < o->file.count; i++)
        (void)unlink(o->file.segments[i].path);
}

int output_set_length(struct output *o, int64_t total, struct err **e)
{
    struct segment *s = &o->file.segments[0];

    if (ftruncate(s->fd, total) < 0)
        return output_error(o, -errno, 0, e);
    s->length = o->file.length = total;
    return 0;
}

int output_error(const struct output *o, int r, int64_t offset, struct err **e)
{
    const char *path = segfile_at(&o->file, offset)->path;

    if (r == -ENOSPC || r == -EDQUOT)
        return err_set(e, r,
                       "the disk is full while writing '%s'; make room and run the same command "
                       "again, it goes on where it stopped",
                       path);
    return err_set(e, r, "cannot write '%s': %s", path, strerror(-r));
}
