/* An archive for rke2's or k3s's own import at start. */
#include "agent_images.h"

#include "bundle_index.h"
#include "fs.h"
#include "imagetar.h"
#include "interrupt.h"
#include "mem.h"
#include "num.h"
#include "selection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
#define NAME_HEX 12

struct place {
    const struct bundle *bundle;
    struct load *load;
    char *folder;
    char *partial; /* a name that no importer takes */
    int fd;
    struct progress *progress;
    size_t item;
};

/* What goes into one archive: the images that have not failed. */
struct content {
    struct imagetar_image *images;
    size_t count;
    struct imagetar *tar;
};

static void content_release(struct content *c)
{
    imagetar_free(c->tar);
    free(c->images);
    *c = (struct content){.count = 0};
}

static bool uses_blob(const struct bundle_platform *p, const char *digest)
{
    if (!strcmp(p->manifest.digest, digest) || !strcmp(p->parsed.config.digest, digest))
        return true;
    for (size_t i = 0; i < p->parsed.n_layers; i++)
        if (!strcmp(p->parsed.layers[i].digest, digest))
            return true;
    return false;
}

/* Fails the images that need blobs which are in neither the bundle nor its base: no runtime is
 * asked here that might have them. */
static void fail_incomplete(struct place *p)
{
    static const struct imagetar_options options = {.oci = true};

    for (size_t i = 0; i < p->load->count; i++) {
        struct load_item *item = &p->load->items[i];
        struct imagetar_image image = {.platform = item->image.platform, .name = item->image.name};
        struct imagetar *tar = NULL;
        struct err *why = NULL;

        if (item->result == LOAD_FAILED)
            continue;
        if (imagetar_new(p->bundle, &image, 1, &options, &tar, &why) < 0)
            load_fail(item, why);
        imagetar_free(tar);
    }
}

static int content_new(struct place *p, struct content *out, struct err **e)
{
    static const struct imagetar_options options = {.oci = true};
    struct content c = {.images = xcalloc(p->load->count, sizeof(*c.images))};
    int r;

    for (size_t i = 0; i < p->load->count; i++) {
        struct load_item *item = &p->load->items[i];

        if (item->result == LOAD_FAILED)
            continue;
        c.images[c.count++] =
            (struct imagetar_image){.platform = item->image.platform, .name = item->image.name};
    }
    r = imagetar_new(p->bundle, c.images, c.count, &options, &c.tar, e);
    if (r < 0)
        content_release(&c);
    else
        *out = c;
    return r;
}

/* Every image that a broken blob belongs to has failed. False where it belongs to none. */
static bool fail_users(struct place *p, const char *digest, const struct err *why)
{
    bool any = false;

    for (size_t i = 0; digest && i < p->load->count; i++) {
        struct load_item *item = &p->load->items[i];

        if (item->result == LOAD_FAILED || !uses_blob(item->image.platform, digest))
            continue;
        load_fail(item, err_copy(why));
        any = true;
    }
    return any;
}

/* --- writing --- */

/* Names and sizes of the images decide the name of the file: their digests pin the bytes. */
static char *archive_name(const struct place *p, const struct content *c)
{
    auto_hash struct hash *hash = hash_new();
    char digest[DIGEST_SIZE];

    for (size_t i = 0; i < c->count; i++) {
        hash_update(hash, c->images[i].name, strlen(c->images[i].name) + 1);
        hash_update(hash, c->images[i].platform->manifest.digest, DIGEST_SIZE);
    }
    hash_final(hash, digest);
    return xasprintf("%s/flatnet-%.*s.tar", p->folder, NAME_HEX, digest_hex(digest));
}

static int write_error(const struct place *p, int r, struct err **e)
{
    return err_set(e, r, "cannot write '%s': %s", p->partial, strerror(-r));
}

/* 1: the images could not be read (*e says why), negative: the archive could not be written. */
static int copy(struct place *p, struct content *c, char out_digest[DIGEST_SIZE], struct err **e)
{
    auto_free unsigned char *chunk = xmalloc(CHUNK);
    auto_hash struct hash *hash = hash_new();
    ssize_t n;

    if (ftruncate(p->fd, 0) < 0 || lseek(p->fd, 0, SEEK_SET) < 0)
        return write_error(p, -errno, e);
    while ((n = imagetar_read(c->tar, chunk, CHUNK, e)) > 0) {
        int r = interrupt_check(e);

        if (r < 0)
            return r;
        r = fs_write(p->fd, chunk, (size_t)n);
        if (r < 0)
            return write_error(p, r, e);
        hash_update(hash, chunk, (size_t)n);
        progress_add(p->progress, p->item, n);
    }
    hash_final(hash, out_digest);
    return n < 0;
}

/* SHA-256 of a file; `out_digest` is "" where it cannot be read. */
static void hash_file(const char *path, char out_digest[DIGEST_SIZE])
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    auto_free unsigned char *chunk = xmalloc(CHUNK);
    auto_hash struct hash *hash = hash_new();
    ssize_t n = fd < 0 ? -1 : 0;

    while (fd >= 0 && (n = read(fd, chunk, CHUNK)) != 0) {
        if (n > 0)
            hash_update(hash, chunk, (size_t)n);
        else if (errno != EINTR)
            break;
    }
    if (n == 0)
        hash_final(hash, out_digest);
    else
        out_digest[0] = '\0';
}

/* The written bytes must come back from the file; then it takes its name. */
static int finish(struct place *p, const char *name, const char *digest, struct err **e)
{
    char have[DIGEST_SIZE];

    if (fchmod(p->fd, 0644) < 0 || fsync(p->fd) < 0)
        return write_error(p, -errno, e);
    /* Out of the cache, so that the disk is asked. */
    (void)posix_fadvise(p->fd, 0, 0, POSIX_FADV_DONTNEED);
    hash_file(p->partial, have);
    if (strcmp(have, digest) != 0)
        return err_set(e, -EIO, "'%s' does not read back as it was written: is the disk sound?",
                       p->partial);
    if (rename(p->partial, name) < 0)
        return err_set(e, -errno, "cannot rename '%s' to '%s': %s", p->partial, name,
                       strerror(errno));
    return fs_sync_parent(name, e);
}

static int check_room(const struct place *p, int64_t size, struct err **e)
{
    char need[NUM_SIZE_TEXT], have[NUM_SIZE_TEXT];
    int64_t room;
    int r = fs_free_space(p->partial, &room, e);

    if (r < 0)
        return r;
    if (room < size)
        return err_set(e, -ENOSPC, "'%s' has %s of free space, and the archive takes %s", p->folder,
                       num_format_size(room, have), num_format_size(size, need));
    return 0;
}

/* Writes one archive. 1: images had to be left out after all, so it must be made again. */
static int write_content(struct place *p, struct content *c, struct agent_images *out,
                         struct err **e)
{
    auto_free char *name = archive_name(p, c);
    char digest[DIGEST_SIZE], have[DIGEST_SIZE];
    int r = check_room(p, imagetar_size(c->tar), e);

    if (r == 0)
        r = copy(p, c, digest, e);
    if (r > 0)
        return fail_users(p, imagetar_current_blob(c->tar), *e) ? 1 : (*e)->status;
    if (r < 0)
        return r;
    hash_file(name, have);
    out->was_there = !strcmp(have, digest);
    r = out->was_there ? 0 : finish(p, name, digest, e);
    if (r < 0)
        return r;
    out->size = imagetar_size(c->tar);
    out->path = take(name);
    return 0;
}

static int write_archive(struct place *p, struct agent_images *out, struct err **e)
{
    int r = 1;

    while (r > 0) {
        auto_err struct err *why = NULL;
        struct content c = {.count = 0};

        r = content_new(p, &c, &why);
        if (r == 0 && c.count)
            r = write_content(p, &c, out, &why);
        if (r < 0)
            (void)err_set(e, r, "%s", err_text(why));
        content_release(&c);
    }
    return r;
}

static int open_partial(struct place *p, struct err **e)
{
    int r = fs_mkdirs(p->folder, 0755, e);

    if (r < 0)
        return r;
    p->fd = open(p->partial, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (p->fd < 0)
        return err_set(e, -errno, "cannot create '%s': %s", p->partial, strerror(errno));
    if (flock(p->fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(e, -EBUSY, "another flatnet writes to '%s' now", p->folder);
    return 0;
}

static int64_t total_size(const struct load *l)
{
    int64_t size = 0;

    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].result != LOAD_FAILED)
            size += load_size(l->items[i].image.platform);
    return size;
}

static void set_results(struct load *l, const struct agent_images *a)
{
    for (size_t i = 0; i < l->count; i++) {
        struct load_item *item = &l->items[i];

        if (item->result != LOAD_FAILED && a->path)
            item->result = a->was_there ? LOAD_PRESENT : LOAD_WRITTEN;
    }
    load_count(l);
    l->sent = a->was_there ? 0 : a->size;
}

static int place(struct place *p, struct agent_images *out, struct err **e)
{
    int64_t size;
    int r = open_partial(p, e);

    if (r < 0)
        return r;
    fail_incomplete(p);
    size = total_size(p->load);
    p->progress = progress_new("writing", size, 0);
    p->item = progress_start(p->progress, p->folder, size, 0);
    r = write_archive(p, out, e);
    progress_end(p->progress, p->item);
    progress_free(p->progress);
    /* After a rename it is gone already. */
    (void)unlink(p->partial);
    return r;
}

int agent_images_place(const char *kind, const char *root, const struct bundle *b, struct load *l,
                       struct agent_images *out, struct err **e)
{
    struct place p = {.bundle = b, .load = l, .fd = -1};
    struct agent_images done = {.path = NULL};
    double start = load_clock();
    int r;

    p.folder = xasprintf("%s/var/lib/rancher/%s/agent/images", root, kind);
    p.partial = xasprintf("%s/.flatnet.partial", p.folder);
    r = place(&p, &done, e);
    mem_close_fd(&p.fd);
    free(p.folder);
    free(p.partial);
    set_results(l, &done);
    l->seconds = load_clock() - start;
    if (r == 0)
        *out = done;
    else
        agent_images_release(&done);
    return r;
}

void agent_images_release(struct agent_images *a)
{
    free(a->path);
    a->path = NULL;
}
