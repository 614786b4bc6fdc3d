/* Writing and reading the tar of a folder, by libarchive. */
#include "addons_tar.h"

#include "fs.h"
#include "mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 8

struct writer {
    struct archive *archive;
    struct buf *out;
    const char *prefix;
    struct addons_listing *listing;
    int64_t total;
};

void addons_listing_release(struct addons_listing *l)
{
    for (size_t i = 0; i < l->n_items; i++)
        free(l->items[i].path);
    free(l->items);
    *l = (struct addons_listing){.n_items = 0};
}

const struct addons_entry *addons_listing_find(const struct addons_listing *l, const char *path)
{
    for (size_t i = 0; i < l->n_items; i++)
        if (!strcmp(l->items[i].path, path))
            return &l->items[i];
    return NULL;
}

static void add_entry(struct addons_listing *l, struct addons_entry entry)
{
    array_grow(l->items, l->n_items);
    l->items[l->n_items++] = entry;
}

/* --- writing --- */

static la_ssize_t take_bytes(struct archive *a, void *arg, const void *bytes, size_t len)
{
    if (buf_add(arg, bytes, len) == 0)
        return (la_ssize_t)len;
    archive_set_error(a, EFBIG, "the archive is too large");
    return -1;
}

static int write_entry(struct writer *w, const char *path, const struct stat *st,
                       const struct buf *bytes, struct err **e)
{
    struct archive_entry *entry = archive_entry_new();
    auto_free char *name = xasprintf("%s%s", w->prefix, path);
    int r = 0;

    archive_entry_set_pathname(entry, bytes ? name : path);
    archive_entry_set_filetype(entry, bytes ? AE_IFREG : AE_IFDIR);
    archive_entry_set_perm(entry, bytes ? 0644 : 0755);
    archive_entry_set_mtime(entry, st->st_mtime, 0);
    archive_entry_set_size(entry, bytes ? (la_int64_t)bytes->len : 0);
    if (archive_write_header(w->archive, entry) != ARCHIVE_OK ||
        (bytes && bytes->len &&
         archive_write_data(w->archive, bytes->data, bytes->len) != (la_ssize_t)bytes->len))
        r = err_set(e, -EINVAL, "'%s' does not go into an archive: %s", path,
                    archive_error_string(w->archive));
    archive_entry_free(entry);
    return r;
}

static int add_file(struct writer *w, const char *source, const char *path, const struct stat *st,
                    struct err **e)
{
    struct addons_entry entry = {.mode = 0644};
    auto_buf struct buf bytes;
    int r;

    buf_init(&bytes, ADDONS_TOTAL_MAX);
    r = fs_read_file(source, &bytes, e);
    if (r < 0)
        return r;
    w->total += (int64_t)bytes.len;
    if (w->total > ADDONS_TOTAL_MAX || w->listing->n_items == ADDONS_COUNT_MAX)
        return err_set(e, -EINVAL, "more than %d files or %u bytes are no addons", ADDONS_COUNT_MAX,
                       ADDONS_TOTAL_MAX);
    r = write_entry(w, path, st, &bytes, e);
    if (r < 0)
        return r;
    entry.path = xstrdup(path);
    entry.size = (int64_t)bytes.len;
    hash_digest(bytes.data, bytes.len, entry.digest);
    add_entry(w->listing, entry);
    return 0;
}

static int add_folder(struct writer *w, const char *folder, const char *below, int depth,
                      struct err **e);

static int add_path(struct writer *w, const char *source, const char *path, int depth,
                    struct err **e)
{
    auto_free char *below = xasprintf("%s/", path);
    auto_free char *name = xasprintf("%s%s", w->prefix, path);
    struct stat st;
    int r;

    if (stat(source, &st) < 0)
        return err_set(e, -errno, "cannot open '%s': %s", source, strerror(errno));
    if (S_ISREG(st.st_mode))
        return add_file(w, source, path, &st, e);
    if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX)
        return err_set(e, -EINVAL, "'%s' is neither a plain file nor a folder, or too deep",
                       source);
    r = write_entry(w, name, &st, NULL, e);
    return r < 0 ? r : add_folder(w, source, below, depth + 1, e);
}

static int add_folder(struct writer *w, const char *folder, const char *below, int depth,
                      struct err **e)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, alphasort), r = 0;

    if (n < 0)
        return err_set(e, -errno, "cannot read folder '%s': %s", folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        auto_free char *source = xasprintf("%s/%s", folder, names[i]->d_name);
        auto_free char *path = xasprintf("%s%s", below, names[i]->d_name);

        if (r == 0 && names[i]->d_name[0] != '.')
            r = add_path(w, source, path, depth, e);
        free(names[i]);
    }
    free(names);
    return r;
}

/* "a/" and "a/b/" of the prefix "a/b/". */
static int add_prefix(struct writer *w, const struct stat *st, struct err **e)
{
    int r = 0;

    for (const char *slash = strchr(w->prefix, '/'); slash && r == 0;
         slash = strchr(slash + 1, '/')) {
        auto_free char *path = xstrndup(w->prefix, (size_t)(slash - w->prefix));

        r = write_entry(w, path, st, NULL, e);
    }
    return r;
}

int addons_tar_folder(const char *folder, const char *prefix, struct buf *out,
                      struct addons_listing *listing, struct err **e)
{
    struct writer w = {.out = out, .prefix = prefix, .listing = listing};
    struct stat st;
    int r;

    if (stat(folder, &st) < 0)
        return err_set(e, -errno, "cannot open '%s': %s", folder, strerror(errno));
    w.archive = archive_write_new();
    (void)archive_write_set_format_pax_restricted(w.archive);
    (void)archive_write_set_bytes_per_block(w.archive, 0);
    r = archive_write_open(w.archive, out, NULL, take_bytes, NULL) == ARCHIVE_OK ? 0 : -EIO;
    if (r == 0)
        r = add_prefix(&w, &st, e);
    if (r == 0)
        r = add_folder(&w, folder, "", 0, e);
    if (r == 0 && archive_write_close(w.archive) != ARCHIVE_OK)
        r = err_set(e, -EFBIG, "cannot archive '%s': %s", folder, archive_error_string(w.archive));
    (void)archive_write_free(w.archive);
    if (r == 0 && !listing->n_items)
        r = err_set(e, -EINVAL, "no file is in '%s'", folder);
    if (r < 0)
        addons_listing_release(listing);
    return r;
}

/* --- reading --- */

static int read_entry(struct archive *a, struct archive_entry *entry, struct addons_listing *out,
                      struct err **e)
{
    const char *path = archive_entry_pathname(entry), *slash = path ? strchr(path, '/') : NULL;
    struct addons_entry item = {.size = archive_entry_size(entry),
                                .mode = archive_entry_perm(entry),
                                .uid = archive_entry_uid(entry),
                                .gid = archive_entry_gid(entry)};
    auto_free char *bytes = NULL;

    if (archive_entry_filetype(entry) == AE_IFDIR)
        return 0;
    if (!slash || item.size < 0 || item.size > ADDONS_TOTAL_MAX || out->n_items == ADDONS_COUNT_MAX)
        return err_set(e, -EBADMSG, "what came back has an entry that was never sent");
    bytes = xmalloc((size_t)item.size + 1);
    if (archive_read_data(a, bytes, (size_t)item.size) != (la_ssize_t)item.size)
        return err_set(e, -EBADMSG, "what came back ends early");
    hash_digest(bytes, (size_t)item.size, item.digest);
    item.path = xstrdup(slash + 1);
    add_entry(out, item);
    return 0;
}

int addons_tar_list(const void *bytes, size_t len, struct addons_listing *out, struct err **e)
{
    struct addons_listing listing = {.n_items = 0};
    struct archive *a = archive_read_new();
    struct archive_entry *entry;
    int r = 0, step;

    (void)archive_read_support_format_tar(a);
    step = archive_read_open_memory(a, bytes, len);
    while (r == 0 && step == ARCHIVE_OK) {
        step = archive_read_next_header(a, &entry);
        if (step == ARCHIVE_OK)
            r = read_entry(a, entry, &listing, e);
    }
    if (r == 0 && step != ARCHIVE_EOF)
        r = err_set(e, -EBADMSG, "what came back is no archive: %s", archive_error_string(a));
    (void)archive_read_free(a);
    if (r < 0)
        addons_listing_release(&listing);
    else
        *out = listing;
    return r;
}

/* --- comparing --- */

static int compare_entry(const struct addons_entry *mine, const struct addons_entry *theirs,
                         struct err **e)
{
    if (!theirs)
        return err_set(e, -EBADMSG, "'%s' was sent and is not there", mine->path);
    if (strcmp(mine->digest, theirs->digest) != 0)
        return err_set(e, -EBADMSG, "'%s' came back with digest %s instead of %s", mine->path,
                       theirs->digest, mine->digest);
    if (theirs->mode != mine->mode || theirs->uid || theirs->gid)
        return err_set(e, -EBADMSG, "'%s' has mode %03o and owner %lld:%lld instead of 644 and 0:0",
                       mine->path, (unsigned)theirs->mode, (long long)theirs->uid,
                       (long long)theirs->gid);
    return 0;
}

int addons_listing_compare(const struct addons_listing *sent, const struct addons_listing *back,
                           struct addons_listing *out_others, struct err **e)
{
    for (size_t i = 0; i < sent->n_items; i++) {
        const struct addons_entry *mine = &sent->items[i];
        int r = compare_entry(mine, addons_listing_find(back, mine->path), e);

        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < back->n_items; i++) {
        struct addons_entry other = back->items[i];

        if (addons_listing_find(sent, other.path))
            continue;
        other.path = xstrdup(other.path);
        add_entry(out_others, other);
    }
    return 0;
}

bool addons_is_below(const char *mount, const char *path)
{
    size_t len = strlen(mount);

    return !strncmp(path, mount, len) &&
           (!path[len] || path[len] == '/' || (len && mount[len - 1] == '/'));
}
