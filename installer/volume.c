/* Volumes: their headers, and finding all of a set from any one of them. */
#include "segfile.h"

#include "fs.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "flatnet-volume 1\n"
#define TOTAL_MAX (INT64_C(1) << 53)

void volume_header_format(const struct volume_header *h, char out[VOLUME_HEADER])
{
    memset(out, 0, VOLUME_HEADER);
    (void)snprintf(out, VOLUME_HEADER,
                   MAGIC "set %s\nvolume %u\ncount %u\noffset %lld\nlength %lld\ntotal %lld\n"
                         "sha256 %s\n",
                   digest_hex(h->set), h->number, h->count, (long long)h->offset,
                   (long long)h->length, (long long)h->total, digest_hex(h->sha256));
}

bool volume_header_is(const char *bytes, size_t len)
{
    return len >= sizeof(MAGIC) - 1 && !memcmp(bytes, MAGIC, sizeof(MAGIC) - 1);
}

/* Takes "name value\n" off *text; the value as a copy to free, or NULL. */
static char *take_line(const char **text, const char *name)
{
    size_t name_len = strlen(name), len;
    const char *value = *text + name_len + 1;

    if (strncmp(*text, name, name_len) != 0 || (*text)[name_len] != ' ')
        return NULL;
    len = strcspn(value, "\n");
    if (value[len] != '\n')
        return NULL;
    *text = value + len + 1;
    return xstrndup(value, len);
}

static int take_digest(const char **text, const char *name, char out[DIGEST_SIZE])
{
    auto_free char *hex = take_line(text, name);
    auto_free char *digest = xasprintf(DIGEST_PREFIX "%s", hex ? hex : "");

    if (!digest_is_valid(digest))
        return -EBADMSG;
    memcpy(out, digest, DIGEST_SIZE);
    return 0;
}

static int take_number(const char **text, const char *name, int64_t max, int64_t *out)
{
    auto_free char *digits = take_line(text, name);
    uint64_t value;

    if (!digits || num_parse_u64(digits, (uint64_t)max, &value) < 0)
        return -EBADMSG;
    *out = (int64_t)value;
    return 0;
}

int volume_header_parse(const char in[VOLUME_HEADER], struct volume_header *out)
{
    char copy[VOLUME_HEADER + 1] = {0}, again[VOLUME_HEADER];
    const char *text = copy + sizeof(MAGIC) - 1;
    struct volume_header h = {0};
    int64_t number, count;

    memcpy(copy, in, VOLUME_HEADER);
    if (!volume_header_is(copy, VOLUME_HEADER) || take_digest(&text, "set", h.set) < 0 ||
        take_number(&text, "volume", VOLUME_MAX, &number) < 0 ||
        take_number(&text, "count", VOLUME_MAX, &count) < 0 ||
        take_number(&text, "offset", TOTAL_MAX, &h.offset) < 0 ||
        take_number(&text, "length", TOTAL_MAX, &h.length) < 0 ||
        take_number(&text, "total", TOTAL_MAX, &h.total) < 0 ||
        take_digest(&text, "sha256", h.sha256) < 0)
        return -EBADMSG;
    h.number = (unsigned)number;
    h.count = (unsigned)count;
    volume_header_format(&h, again);
    if (memcmp(again, in, VOLUME_HEADER) != 0 || !number || number > count || !h.length ||
        h.offset + h.length > h.total)
        return -EBADMSG;
    *out = h;
    return 0;
}

/* One volume found on disk. */
struct found {
    char *path;
    int fd;
    struct volume_header header;
};

struct found_list {
    struct found *items;
    size_t count;
};

static void found_release(struct found_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        mem_close_fd(&list->items[i].fd);
        free(list->items[i].path);
    }
    free(list->items);
}

/* Reads the first block of a file: 1 if it is a volume, 0 if not. */
static int probe(const char *path, int *out_fd, struct volume_header *out, struct err **e)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    char block[VOLUME_HEADER] = {0};
    ssize_t n;

    if (fd < 0)
        return err_set(e, -errno, "cannot open '%s': %s", path, strerror(errno));
    n = pread(fd, block, sizeof(block), 0);
    if (n < 0)
        return err_set(e, -errno, "cannot read '%s': %s", path, strerror(errno));
    if (!volume_header_is(block, (size_t)n))
        return 0;
    if (n < VOLUME_HEADER || volume_header_parse(block, out) < 0)
        return err_set(e, -EBADMSG, "the volume header of '%s' is damaged", path);
    *out_fd = take_fd(&fd);
    return 1;
}

/* The name that volumes share: `path` without ".NNN". */
static char *stem_of(const char *path)
{
    size_t len = strlen(path);

    if (len > 4 && path[len - 4] == '.' && strspn(path + len - 3, "0123456789") == 3)
        len -= 4;
    return xstrndup(path, len);
}

static int check_length(const struct found *f, struct err **e)
{
    struct stat st;

    if (fstat(f->fd, &st) < 0)
        return err_set(e, -errno, "cannot stat '%s': %s", f->path, strerror(errno));
    if (st.st_size != VOLUME_HEADER + f->header.length)
        return err_set(e, -EBADMSG, "volume '%s' has %lld bytes where its header says %lld",
                       f->path, (long long)st.st_size,
                       (long long)(VOLUME_HEADER + f->header.length));
    return 0;
}

/* All files STEM.NNN that are volumes. */
static int find_volumes(const char *stem, struct found_list *out, struct err **e)
{
    auto_free char *pattern = NULL;
    struct buf escaped;
    glob_t names = {0};
    int r = 0;

    buf_init(&escaped, 1 << 16);
    for (const char *p = stem; *p; p++)
        (void)buf_addf(&escaped, strchr("*?[]\\", *p) ? "\\%c" : "%c", *p);
    (void)buf_addstr(&escaped, ".[0-9][0-9][0-9]");
    pattern = buf_steal(&escaped);
    (void)glob(pattern, 0, NULL, &names);
    for (size_t i = 0; i < names.gl_pathc && r >= 0; i++) {
        struct found f = {.path = NULL, .fd = -1};
        r = probe(names.gl_pathv[i], &f.fd, &f.header, e);
        if (r <= 0)
            continue;
        f.path = xstrdup(names.gl_pathv[i]);
        array_grow(out->items, out->count);
        out->items[out->count++] = f;
        r = check_length(&f, e);
    }
    globfree(&names);
    return r < 0 ? r : 0;
}

static int by_number(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->header.number > y->header.number) - (x->header.number < y->header.number);
}

/* A file that bears the volume's name and is none was one, before it was damaged. */
static int volume_absent(const char *stem, size_t number, unsigned count, struct err **e)
{
    auto_free char *path = xasprintf("%s.%03zu", stem, number);

    if (access(path, F_OK) == 0)
        return err_set(e, -EBADMSG, "the volume header of '%s' is damaged", path);
    return err_set(e, -ENOENT, "volume %zu of %u of '%s' is missing", number, count, stem);
}

static int check_set(const struct found_list *list, const char *stem, struct err **e)
{
    const struct volume_header *first = &list->items[0].header;
    int64_t at = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct volume_header *h = &list->items[i].header;
        if (strcmp(h->set, first->set) || h->count != first->count || h->total != first->total)
            return err_set(e, -EBADMSG,
                           "'%s' and '%s' are volumes of different bundles; keep each set in a "
                           "folder of its own",
                           list->items[0].path, list->items[i].path);
    }
    for (size_t i = 0; i < first->count; i++) {
        const struct volume_header *h = &list->items[i < list->count ? i : list->count - 1].header;
        if (h->number > i + 1 || i >= list->count)
            return volume_absent(stem, i + 1, first->count, e);
        if (h->number != i + 1 || h->offset != at)
            return err_set(e, -EBADMSG, "volume %u of '%s' stands twice or does not join",
                           h->number, stem);
        at += h->length;
    }
    if (list->count > first->count || at != first->total)
        return err_set(e, -EBADMSG, "the volumes of '%s' do not make up its %lld bytes", stem,
                       (long long)first->total);
    return 0;
}

static int open_set(const char *path, struct segfile *out, struct volume_header **out_headers,
                    size_t *out_volumes, struct err **e)
{
    auto_free char *stem = stem_of(path);
    struct found_list list = {0};
    int r = find_volumes(stem, &list, e);

    if (r == 0 && !list.count)
        r = err_set(e, -ENOENT, "cannot open '%s': no such file, and no volumes '%s.001'...", path,
                    stem);
    if (r == 0) {
        qsort(list.items, list.count, sizeof(*list.items), by_number);
        r = check_set(&list, stem, e);
    }
    if (r == 0) {
        *out_headers = xcalloc(list.count, sizeof(**out_headers));
        *out_volumes = list.count;
        segfile_init(out);
        for (size_t i = 0; i < list.count; i++) {
            (*out_headers)[i] = list.items[i].header;
            segfile_add(out, list.items[i].path, take_fd(&list.items[i].fd),
                        list.items[i].header.length, VOLUME_HEADER);
        }
    }
    found_release(&list);
    return r;
}

int segfile_open(const char *path, struct segfile *out, struct volume_header **out_headers,
                 size_t *out_volumes, struct err **e)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    char block[VOLUME_HEADER] = {0};
    struct stat st;

    if (fd < 0 && errno != ENOENT)
        return err_set(e, -errno, "cannot open '%s': %s", path, strerror(errno));
    if (fd < 0)
        return open_set(path, out, out_headers, out_volumes, e);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(e, -EINVAL, "'%s' is not a regular file", path);
    if (pread(fd, block, sizeof(block), 0) > 0 && volume_header_is(block, sizeof(block)))
        return open_set(path, out, out_headers, out_volumes, e);
    *out_headers = NULL;
    *out_volumes = 0;
    segfile_init(out);
    segfile_add(out, path, take_fd(&fd), st.st_size, 0);
    return 0;
}
