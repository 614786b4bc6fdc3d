/* The bytes of image files: folders by their files, tars by libarchive. */
#include "imagefile_internal.h"

#include "buf.h"
#include "bundle_index.h"
#include "fs.h"
#include "mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256u << 10)
#define MEMBERS_MAX 100000
#define KEPT_MAX (256u << 20)

static int too_many(const struct imagefile *f, struct err **e)
{
    return err_set(e, -EBADMSG, "'%s' holds too many files for an image archive", f->path);
}

/* Blobs of a layout, and "<hex>.json": the configurations of a docker archive. */
static void set_digest_from_path(struct member *m)
{
    bool is_blob = !strncmp(m->path, BUNDLE_BLOB_DIR, sizeof(BUNDLE_BLOB_DIR) - 1);
    const char *hex = is_blob ? m->path + sizeof(BUNDLE_BLOB_DIR) - 1 : m->path;
    auto_free char *digest = xasprintf(DIGEST_PREFIX "%.*s", HASH_HEX_LEN, hex);

    if (digest_is_valid(digest) && !strcmp(hex + HASH_HEX_LEN, is_blob ? "" : ".json"))
        memcpy(m->digest, digest, DIGEST_SIZE);
}

static int hash_file(const struct imagefile *f, struct member *m, struct err **e)
{
    auto_close int fd = fs_open_beneath(f->dirfd, m->path, O_RDONLY, 0, e);
    auto_free char *chunk = xmalloc(CHUNK);
    auto_hash struct hash *hash = hash_new();
    ssize_t n;

    if (fd < 0)
        return fd;
    while ((n = read(fd, chunk, CHUNK)) != 0) {
        if (n < 0 && errno != EINTR)
            return err_set(e, -errno, "cannot read '%s' in '%s': %s", m->path, f->path,
                           strerror(errno));
        if (n > 0)
            hash_update(hash, chunk, (size_t)n);
    }
    hash_final(hash, m->actual);
    return 0;
}

static int scan_file(struct imagefile *f, const char *path, struct err **e)
{
    struct member m = {0};
    struct stat st;
    int r = 0;

    if (fstatat(f->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0
                               : err_set(e, -errno, "cannot stat '%s' in '%s': %s", path, f->path,
                                         strerror(errno));
    if (!S_ISREG(st.st_mode))
        return 0;
    if (f->n_members == MEMBERS_MAX)
        return too_many(f, e);
    m.path = xstrdup(path);
    m.size = st.st_size;
    f->bytes += m.size;
    set_digest_from_path(&m);
    if (f->hash_all)
        r = hash_file(f, &m, e);
    imagefile_add_member(f, &m);
    return r;
}

static int scan_folder(struct imagefile *f, struct err **e)
{
    int blobs = openat(f->dirfd, BUNDLE_BLOB_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = blobs < 0 ? NULL : fdopendir(blobs);
    struct dirent *d;
    int r;

    if (!dir) {
        mem_close_fd(&blobs);
        return err_set(e, -EBADMSG, "'%s' is no OCI layout: it has no folder %s", f->path,
                       BUNDLE_BLOB_DIR);
    }
    r = scan_file(f, BUNDLE_LAYOUT_PATH, e);
    if (r == 0)
        r = scan_file(f, BUNDLE_OCI_INDEX_PATH, e);
    while (r == 0 && (d = readdir(dir))) {
        auto_free char *path = xasprintf(BUNDLE_BLOB_DIR "%s", d->d_name);
        r = scan_file(f, path, e);
    }
    (void)closedir(dir);
    return r;
}

static int tar_error(const struct imagefile *f, struct archive *tar, struct err **e)
{
    return err_set(e, -EBADMSG, "'%s' cannot be read as an archive: %s", f->path,
                   archive_error_string(tar) ? archive_error_string(tar) : "it is damaged");
}

/* Standard input of which a part was read already. */
struct rest {
    const void *first;
    size_t first_len;
    char chunk[CHUNK];
};

static la_ssize_t read_rest(struct archive *tar, void *arg, const void **out_bytes)
{
    struct rest *rest = arg;
    ssize_t n = (ssize_t)rest->first_len;

    *out_bytes = rest->first;
    rest->first_len = 0;
    if (n)
        return n;
    do
        n = read(STDIN_FILENO, rest->chunk, sizeof(rest->chunk));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        archive_set_error(tar, errno, "cannot read standard input");
    *out_bytes = rest->chunk;
    return n;
}

static int close_rest(struct archive *tar, void *arg)
{
    (void)tar;
    free(arg);
    return ARCHIVE_OK;
}

static int open_source(const struct imagefile *f, struct archive *tar)
{
    struct rest *rest;

    if (strcmp(f->path, "-") != 0)
        return archive_read_open_filename(tar, f->path, CHUNK);
    rest = xmalloc(sizeof(*rest));
    rest->first = f->first;
    rest->first_len = f->first_len;
    return archive_read_open(tar, rest, NULL, read_rest, close_rest);
}

static struct archive *open_tar(const struct imagefile *f, struct err **e)
{
    struct archive *tar = archive_read_new();

    (void)archive_read_support_filter_gzip(tar);
    (void)archive_read_support_filter_zstd(tar);
    (void)archive_read_support_filter_xz(tar);
    (void)archive_read_support_filter_bzip2(tar);
    (void)archive_read_support_format_tar(tar);
    if (open_source(f, tar) != ARCHIVE_OK) {
        (void)tar_error(f, tar, e);
        (void)archive_read_free(tar);
        return NULL;
    }
    return tar;
}

/* "./a/b" and "a/b" are one file; anything that is not plain is NULL. To be freed. */
static char *plain_path(const char *path)
{
    while (path && path[0] == '.' && path[1] == '/')
        path += 2;
    return path && fs_path_is_plain(path) ? xstrdup(path) : NULL;
}

/* The member path that a link means: "../x/layer.tar" seen from "y/layer.tar" is "x/layer.tar". */
static char *link_target(const char *path, struct archive_entry *entry)
{
    const char *symlink = archive_entry_symlink(entry), *slash = strrchr(path, '/');

    if (!symlink)
        return plain_path(archive_entry_hardlink(entry));
    if (slash && !strncmp(symlink, "../", 3) && memchr(path, '/', (size_t)(slash - path)) == NULL)
        return plain_path(symlink + 3);
    if (slash) {
        auto_free char *joined = xasprintf("%.*s/%s", (int)(slash - path), path, symlink);
        return plain_path(joined);
    }
    return plain_path(symlink);
}

/* Keeps the bytes of what looks like JSON; everything else is passed over, or only hashed. */
static int read_member(struct imagefile *f, struct archive *tar, struct member *m, struct err **e)
{
    bool keep = m->size && m->size <= MANIFEST_MAX_SIZE && f->kept + m->size <= KEPT_MAX;
    auto_hash struct hash *hash = hash_new();
    auto_buf struct buf kept;
    const void *bytes;
    size_t len;
    la_int64_t offset, done = 0;
    int status;

    buf_init(&kept, MANIFEST_MAX_SIZE);
    while ((keep || f->hash_all) &&
           (status = archive_read_data_block(tar, &bytes, &len, &offset)) != ARCHIVE_EOF) {
        if (status < ARCHIVE_WARN || offset != done)
            return tar_error(f, tar, e);
        if (keep && !done && len)
            keep = *(const char *)bytes == '{' || *(const char *)bytes == '[';
        if (keep)
            (void)buf_add(&kept, bytes, len);
        hash_update(hash, bytes, len);
        done += (la_int64_t)len;
    }
    if ((keep || f->hash_all) && done != m->size)
        return tar_error(f, tar, e);
    if (f->hash_all)
        hash_final(hash, m->actual);
    if (keep) {
        m->bytes = buf_steal(&kept);
        f->kept += m->size;
    }
    return 0;
}

static int scan_entry(struct imagefile *f, struct archive *tar, struct archive_entry *entry,
                      struct err **e)
{
    auto_free char *path = plain_path(archive_entry_pathname(entry));
    struct member m = {0};
    int r = 0;

    if (archive_entry_filetype(entry) == AE_IFDIR)
        return 0;
    if (!path)
        return err_set(e, -EBADMSG, "'%s' holds an entry with the name '%.200s', which is refused",
                       f->path, archive_entry_pathname(entry));
    if (f->n_members == MEMBERS_MAX)
        return too_many(f, e);
    m.link = link_target(path, entry);
    m.size = m.link ? 0 : archive_entry_size(entry);
    if (!m.link && archive_entry_filetype(entry) != AE_IFREG)
        return 0;
    m.path = take(path);
    set_digest_from_path(&m);
    if (!m.link)
        r = read_member(f, tar, &m, e);
    f->bytes += m.size;
    imagefile_add_member(f, &m);
    return r;
}

static int scan_tar(struct imagefile *f, struct err **e)
{
    struct archive *tar = open_tar(f, e);
    struct archive_entry *entry;
    int status, r = 0;

    if (!tar)
        return -EBADMSG;
    while (r == 0 && (status = archive_read_next_header(tar, &entry)) != ARCHIVE_EOF)
        r = status < ARCHIVE_WARN ? tar_error(f, tar, e) : scan_entry(f, tar, entry, e);
    (void)archive_read_free(tar);
    return r;
}

int imagefile_scan(struct imagefile *f, struct err **e)
{
    struct stat st = {0};

    if (strcmp(f->path, "-") != 0 && stat(f->path, &st) < 0)
        return err_set(e, -errno, "cannot open '%s': %s", f->path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return scan_tar(f, e);
    f->dirfd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dirfd < 0)
        return err_set(e, -errno, "cannot open '%s': %s", f->path, strerror(errno));
    return scan_folder(f, e);
}

static int stream_fd(int fd, const struct imagefile_taker *taker, struct err **e)
{
    auto_free char *chunk = xmalloc(CHUNK);
    ssize_t n;
    int r = 0;

    while (r == 0 && (n = read(fd, chunk, CHUNK)) != 0) {
        if (n < 0 && errno != EINTR)
            return err_set(e, -errno, "cannot read: %s", strerror(errno));
        if (n > 0)
            r = taker->sink(taker->arg, chunk, (size_t)n, e);
    }
    return r < 0 ? r : taker->end(taker->arg, e);
}

static int stream_folder(const struct imagefile *f, const struct imagefile_taker *taker,
                         struct err **e)
{
    int r = 0;

    for (size_t i = 0; i < f->n_members && r == 0; i++) {
        const struct member *m = &f->members[i];
        auto_close int fd = -1;

        if (!*m->digest || !taker->want(taker->arg, m->digest))
            continue;
        fd = fs_open_beneath(f->dirfd, m->path, O_RDONLY, 0, e);
        r = fd < 0 ? fd : stream_fd(fd, taker, e);
    }
    return r;
}

static int stream_entry(const struct imagefile *f, struct archive *tar,
                        const struct imagefile_taker *taker, struct err **e)
{
    const void *bytes;
    size_t len;
    la_int64_t offset;
    int status, r = 0;

    while (r == 0 && (status = archive_read_data_block(tar, &bytes, &len, &offset)) != ARCHIVE_EOF)
        r = status < ARCHIVE_WARN ? tar_error(f, tar, e) : taker->sink(taker->arg, bytes, len, e);
    return r < 0 ? r : taker->end(taker->arg, e);
}

static int stream_tar(const struct imagefile *f, const struct imagefile_taker *taker,
                      struct err **e)
{
    struct archive *tar = open_tar(f, e);
    struct archive_entry *entry;
    int status, r = 0;

    if (!tar)
        return -EBADMSG;
    while (r == 0 && (status = archive_read_next_header(tar, &entry)) != ARCHIVE_EOF) {
        auto_free char *path = plain_path(archive_entry_pathname(entry));
        const struct member *m = path ? imagefile_member(f, path) : NULL;

        if (status < ARCHIVE_WARN)
            r = tar_error(f, tar, e);
        else if (m && *m->digest && !strcmp(m->path, path) && taker->want(taker->arg, m->digest))
            r = stream_entry(f, tar, taker, e);
    }
    (void)archive_read_free(tar);
    return r;
}

int imagefile_stream(const struct imagefile *f, const struct imagefile_taker *taker, struct err **e)
{
    return f->dirfd >= 0 ? stream_folder(f, taker, e) : stream_tar(f, taker, e);
}
