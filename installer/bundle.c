/* Opening and reading a bundle. */
#include "bundle.h"

#include "bundle_check.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "segfile.h"
#include "tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct bundle {
    char *path;
    struct segfile file;
    struct volume_header *volumes;
    size_t n_volumes;
    struct bundle_index index;
    struct bundle_lookup lookup;
    char receipt[DIGEST_SIZE];
    char *index_text;
    size_t index_len;
    int64_t data_start;
    struct bundle *base; /* or NULL */
};

static int read_at(const struct bundle *b, void *bytes, size_t len, int64_t offset,
                   const char *what, struct err **e)
{
    int r = segfile_pread(&b->file, bytes, len, offset);

    if (r < 0)
        return err_set(e, r, "cannot read %s at offset %lld: %s", what, (long long)offset,
                       strerror(-r));
    return 0;
}

/* The size field of a first header that claims to be flatnet.json; < 0 where it is not one. */
static int64_t index_size(const unsigned char header[TAR_BLOCK])
{
    char digits[12] = {0};
    char *end;
    long long size;

    if (memcmp(header, BUNDLE_INDEX_PATH, sizeof(BUNDLE_INDEX_PATH)) != 0)
        return -1;
    memcpy(digits, header + 124, 11);
    size = strtoll(digits, &end, 8);
    return *end || size < 0 || size > BUNDLE_INDEX_MAX ? -1 : size;
}

int bundle_check_first_header(const unsigned char header[TAR_BLOCK], size_t *out_len,
                              struct err **e)
{
    unsigned char again[TAR_HEADER_MAX];
    int64_t size = index_size(header);

    if (memcmp(header, BUNDLE_INDEX_PATH, sizeof(BUNDLE_INDEX_PATH)) != 0)
        return err_set(e, -EBADMSG, "this is no flatnet bundle: it does not begin with %s",
                       BUNDLE_INDEX_PATH);
    if (size >= 0)
        (void)tar_header(BUNDLE_INDEX_PATH, size, again);
    if (size < 0 || memcmp(header, again, TAR_BLOCK) != 0)
        return err_set(e, -EBADMSG, "the header of %s at offset 0 is damaged", BUNDLE_INDEX_PATH);
    *out_len = (size_t)size;
    return 0;
}

static int read_index(struct bundle *b, struct err **e)
{
    unsigned char header[TAR_BLOCK] = {0};
    int r;

    if (b->file.length < TAR_BLOCK)
        return err_set(e, -EBADMSG, "this is no flatnet bundle: it has only %lld bytes",
                       (long long)b->file.length);
    r = read_at(b, header, sizeof(header), 0, "the first header", e);
    if (r == 0)
        r = bundle_check_first_header(header, &b->index_len, e);
    if (r < 0)
        return r;
    if (b->file.length < TAR_BLOCK + (int64_t)b->index_len)
        return err_set(e, -EBADMSG, "the bundle is cut short: it ends inside %s",
                       BUNDLE_INDEX_PATH);
    b->index_text = xmalloc(b->index_len + 1);
    b->index_text[b->index_len] = '\0';
    r = read_at(b, b->index_text, b->index_len, TAR_BLOCK, BUNDLE_INDEX_PATH, e);
    if (r < 0)
        return r;
    hash_digest(b->index_text, b->index_len, b->receipt);
    b->data_start = bundle_data_start(b->index_len);
    return bundle_index_parse(b->index_text, b->index_len, &b->index, e);
}

static int check_length(const struct bundle *b, int64_t wanted, struct err **e)
{
    if (b->file.length < wanted)
        return err_set(e, -EBADMSG, "the bundle is cut short: it has %lld of %lld bytes",
                       (long long)b->file.length, (long long)wanted);
    if (b->file.length > wanted)
        return err_set(e, -EBADMSG,
                       "there are bytes behind the end of the bundle, from offset %lld",
                       (long long)wanted);
    return 0;
}

static int check_trailer(const struct bundle *b, int64_t data_len, struct err **e)
{
    auto_free char *wanted = bundle_render_trailer(b->index_text, b->index_len);
    size_t len = strlen(wanted);
    auto_free char *have = xmalloc(len);
    int64_t at = b->data_start + data_len + TAR_BLOCK;
    int r = read_at(b, have, len, at, "the trailer", e);

    if (r < 0)
        return r;
    if (memcmp(have, wanted, len) != 0)
        return err_set(e, -EBADMSG, "the trailer at offset %lld does not belong to the bundle's %s",
                       (long long)at, BUNDLE_INDEX_PATH);
    return 0;
}

static int check_volumes(const struct bundle *b, struct err **e)
{
    for (size_t i = 0; i < b->n_volumes; i++)
        if (strcmp(b->volumes[i].set, b->receipt) != 0)
            return err_set(e, -EBADMSG, "volume '%s' belongs to another bundle",
                           b->file.segments[i].path);
    return 0;
}

static int read_entry(void *arg, const struct bundle_entry *entry, struct buf *out, struct err **e)
{
    const struct bundle *b = arg;
    auto_free char *bytes = NULL;
    char digest[DIGEST_SIZE];
    int r;

    if (entry->size > (int64_t)out->max)
        return err_set(e, -EBADMSG, "entry '%s' is larger than the %zu bytes allowed", entry->path,
                       out->max);
    bytes = xmalloc((size_t)entry->size);
    r = read_at(b, bytes, (size_t)entry->size, b->data_start + entry->offset, entry->path, e);
    if (r < 0)
        return r;
    hash_digest(bytes, (size_t)entry->size, digest);
    if (strcmp(digest, entry->digest) != 0)
        return err_set(e, -EBADMSG, "entry '%s' at offset %lld has a wrong SHA-256", entry->path,
                       (long long)(b->data_start + entry->offset));
    return buf_add(out, bytes, (size_t)entry->size);
}

static int open_base(struct bundle *b, const char *base, struct err **e)
{
    int r;

    if (!base)
        return 0;
    if (!*b->index.base_receipt)
        return err_set(e, -EINVAL, "'%s' is no delta and takes no base", b->path);
    r = bundle_open(base, NULL, &b->base, e);
    if (r < 0)
        return err_wrap(e, "base");
    if (strcmp(b->base->receipt, b->index.base_receipt) != 0)
        return err_set(e, -EINVAL, "'%s' is not the base of '%s': its receipt is %s, not %s", base,
                       b->path, b->base->receipt, b->index.base_receipt);
    return 0;
}

static int open_steps(struct bundle *b, const char *base, struct err **e)
{
    int64_t data_len;
    int r = segfile_open(b->path, &b->file, &b->volumes, &b->n_volumes, e);

    if (r < 0)
        return r;
    r = read_index(b, e);
    if (r < 0)
        return err_wrap(e, "'%s'", b->path);
    bundle_lookup_init(&b->lookup, &b->index);
    data_len = bundle_index_place(&b->index);
    r = check_length(b, bundle_total_length(b->index_len, data_len), e);
    if (r == 0)
        r = check_trailer(b, data_len, e);
    if (r == 0)
        r = check_volumes(b, e);
    if (r == 0)
        r = bundle_check_documents(&b->index, &b->lookup, read_entry, b, e);
    if (r < 0)
        return err_wrap(e, "'%s'", b->path);
    return open_base(b, base, e);
}

int bundle_open(const char *path, const char *base, struct bundle **out, struct err **e)
{
    auto_bundle struct bundle *b = xcalloc(1, sizeof(*b));
    int r;

    b->path = xstrdup(path);
    segfile_init(&b->file);
    r = open_steps(b, base, e);
    if (r < 0)
        return r;
    *out = take(b);
    return 0;
}

void bundle_free(struct bundle *b)
{
    if (!b)
        return;
    bundle_free(b->base);
    bundle_lookup_release(&b->lookup);
    bundle_index_release(&b->index);
    segfile_release(&b->file);
    free(b->volumes);
    free(b->index_text);
    free(b->path);
    free(b);
}

void bundle_cleanup(struct bundle **b)
{
    bundle_free(*b);
    *b = NULL;
}

const struct bundle_index *bundle_index(const struct bundle *b)
{
    return &b->index;
}

const char *bundle_receipt(const struct bundle *b)
{
    return b->receipt;
}

int64_t bundle_length(const struct bundle *b)
{
    return b->file.length;
}

const char *bundle_path(const struct bundle *b)
{
    return b->path;
}

const struct bundle *bundle_base(const struct bundle *b)
{
    return b->base;
}

const struct segfile *bundle_file(const struct bundle *b)
{
    return &b->file;
}

const struct volume_header *bundle_volumes(const struct bundle *b, size_t *out_count)
{
    *out_count = b->n_volumes;
    return b->volumes;
}

const char *bundle_index_text(const struct bundle *b, size_t *out_len)
{
    *out_len = b->index_len;
    return b->index_text;
}

const struct bundle_entry *bundle_find(const struct bundle *b, const char *path)
{
    return bundle_lookup_path(&b->lookup, path);
}

const struct bundle_entry *bundle_find_blob(const struct bundle *b, const char *digest)
{
    return bundle_lookup_blob(&b->lookup, digest);
}

/* The bundle of the two that holds a blob; NULL where none does. */
static const struct bundle *holder_of(const struct bundle *b, const char *digest)
{
    if (bundle_find_blob(b, digest))
        return b;
    return b->base && bundle_find_blob(b->base, digest) ? b->base : NULL;
}

bool bundle_has_blob(const struct bundle *b, const char *digest)
{
    return holder_of(b, digest) != NULL;
}

static int blob_absent(const struct bundle *b, const char *digest, struct err **e)
{
    if (bundle_find_missing(&b->index, digest))
        return err_set(e, -ENOENT,
                       "blob '%s' was left to the base of this delta; name the base with --base "
                       "(its receipt is %s)",
                       digest, b->index.base_receipt);
    return err_set(e, -ENOENT, "blob '%s' is not in '%s'", digest, b->path);
}

int bundle_read_blob(const struct bundle *b, const char *digest, size_t max, struct buf *out,
                     struct err **e)
{
    const struct bundle *holder = holder_of(b, digest);

    if (!holder)
        return blob_absent(b, digest, e);
    buf_init(out, max);
    return read_entry((void *)holder, bundle_find_blob(holder, digest), out, e);
}

int bundle_read_path(const struct bundle *b, const char *path, size_t max, struct buf *out,
                     struct err **e)
{
    const struct bundle_entry *entry = bundle_find(b, path);

    if (!entry)
        return err_set(e, -ENOENT, "'%s' is not in '%s'", path, b->path);
    buf_init(out, max);
    return read_entry((void *)b, entry, out, e);
}

struct blob_reader {
    const struct bundle *bundle;
    const struct bundle_entry *entry;
    int64_t at;
    struct hash *hash;
};

int blob_reader_open(const struct bundle *b, const char *digest, struct blob_reader **out,
                     struct err **e)
{
    const struct bundle *holder = holder_of(b, digest);
    struct blob_reader *r;

    if (!holder)
        return blob_absent(b, digest, e);
    r = xcalloc(1, sizeof(*r));
    r->bundle = holder;
    r->entry = bundle_find_blob(holder, digest);
    r->hash = hash_new();
    *out = r;
    return 0;
}

ssize_t blob_reader_read(struct blob_reader *r, void *bytes, size_t size, struct err **e)
{
    int64_t left = r->entry->size - r->at;
    size_t n = left < (int64_t)size ? (size_t)left : size;
    int64_t offset = r->bundle->data_start + r->entry->offset;
    char digest[DIGEST_SIZE];
    int result;

    if (!n)
        return 0;
    result = read_at(r->bundle, bytes, n, offset + r->at, r->entry->path, e);
    if (result < 0)
        return result;
    hash_update(r->hash, bytes, n);
    r->at += (int64_t)n;
    if (r->at < r->entry->size)
        return (ssize_t)n;
    hash_final(r->hash, digest);
    if (strcmp(digest, r->entry->digest) != 0)
        return err_set(e, -EBADMSG,
                       "'%s' is damaged: entry '%s' at offset %lld has a wrong SHA-256",
                       r->bundle->path, r->entry->path, (long long)offset);
    return (ssize_t)n;
}

int64_t blob_reader_size(const struct blob_reader *r)
{
    return r->entry->size;
}

void blob_reader_rewind(struct blob_reader *r)
{
    r->at = 0;
    hash_reset(r->hash);
}

void blob_reader_free(struct blob_reader *r)
{
    if (!r)
        return;
    hash_free(r->hash);
    free(r);
}
