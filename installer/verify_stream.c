/* Checking a bundle that comes through a pipe, in one pass. */
#include "verify.h"

#include "bundle_check.h"
#include "fs.h"
#include "interrupt.h"
#include "mem.h"
#include "tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (256u << 10)

struct stream {
    int fd;
    int64_t at;
    char *chunk;
    struct bundle_index index;
    struct bundle_lookup lookup;
    char **kept; /* contents of documents, by entry number; NULL for the rest */
};

/* Exactly `len` bytes, or an error that says where the stream ended. */
static int take_exactly(struct stream *s, void *bytes, size_t len, struct err **e)
{
    char *p = bytes;

    for (size_t done = 0; done < len;) {
        ssize_t n = read(s->fd, p + done, len - done);
        if (n < 0 && errno == EINTR) {
            if (interrupt_check(e) < 0)
                return -ECANCELED;
            continue;
        }
        if (n < 0)
            return err_set(e, -errno, "cannot read standard input: %s", strerror(errno));
        if (n == 0)
            return err_set(e, -EBADMSG, "the bundle is cut short: it ends at offset %lld",
                           (long long)s->at + (long long)done);
        done += (size_t)n;
    }
    s->at += (int64_t)len;
    return 0;
}

static int take_zeros(struct stream *s, size_t len, struct err **e)
{
    int64_t at = s->at;
    int r = take_exactly(s, s->chunk, len, e);

    for (size_t i = 0; i < len && r == 0; i++)
        if (s->chunk[i])
            r = err_set(e, -EBADMSG, "the padding at offset %lld is not zero",
                        (long long)at + (long long)i);
    return r;
}

static int take_header(struct stream *s, const char *path, int64_t size, struct err **e)
{
    unsigned char wanted[TAR_HEADER_MAX], have[TAR_HEADER_MAX];
    size_t len = tar_header(path, size, wanted);
    int64_t at = s->at;
    int r = take_exactly(s, have, len, e);

    if (r == 0 && memcmp(wanted, have, len) != 0)
        r = err_set(e, -EBADMSG, "the header of entry '%s' at offset %lld is damaged", path,
                    (long long)at);
    return r;
}

static int take_entry(struct stream *s, size_t number, struct err **e)
{
    const struct bundle_entry *entry = &s->index.entries[number];
    bool keep = entry->size <= BUNDLE_INDEX_MAX && bundle_entry_is_document(&s->index, entry);
    auto_hash struct hash *hash = hash_new();
    char digest[DIGEST_SIZE];
    int64_t at;
    int r = take_header(s, entry->path, entry->size, e);

    at = s->at;
    s->kept[number] = keep ? xmalloc((size_t)entry->size + 1) : NULL;
    for (int64_t done = 0; done < entry->size && r == 0;) {
        size_t n = entry->size - done < CHUNK ? (size_t)(entry->size - done) : CHUNK;
        r = take_exactly(s, s->chunk, n, e);
        hash_update(hash, s->chunk, n);
        if (keep)
            memcpy(s->kept[number] + done, s->chunk, n);
        done += (int64_t)n;
    }
    if (r < 0)
        return r;
    hash_final(hash, digest);
    if (strcmp(digest, entry->digest) != 0)
        return err_set(e, -EBADMSG, "entry '%s' at offset %lld has a wrong SHA-256", entry->path,
                       (long long)at);
    return take_zeros(s, tar_padding(entry->size), e);
}

static int take_index(struct stream *s, const unsigned char *first, char **out_text,
                      size_t *out_len, struct err **e)
{
    auto_free char *text = NULL;
    size_t len = 0;
    int r = bundle_check_first_header(first, &len, e);

    if (r < 0)
        return r;
    text = xmalloc(len + 1);
    text[len] = '\0';
    r = take_exactly(s, text, len, e);
    if (r == 0)
        r = bundle_index_parse(text, len, &s->index, e);
    if (r == 0)
        r = take_zeros(s, tar_padding((int64_t)len), e);
    if (r == 0) {
        *out_text = take(text);
        *out_len = len;
    }
    return r;
}

static int take_end(struct stream *s, const char *index_text, size_t index_len, struct err **e)
{
    auto_free char *trailer = bundle_render_trailer(index_text, index_len);
    size_t len = strlen(trailer);
    int r = take_header(s, BUNDLE_TRAILER_PATH, (int64_t)len, e);

    if (r == 0)
        r = take_exactly(s, s->chunk, len, e);
    if (r == 0 && memcmp(s->chunk, trailer, len) != 0)
        r = err_set(e, -EBADMSG, "the trailer does not belong to the bundle's %s",
                    BUNDLE_INDEX_PATH);
    if (r == 0)
        r = take_zeros(s, tar_padding((int64_t)len) + TAR_END, e);
    if (r == 0 && read(s->fd, s->chunk, 1) > 0)
        r = err_set(e, -EBADMSG, "there are bytes behind the end of the bundle, from offset %lld",
                    (long long)s->at);
    return r;
}

static int read_kept(void *arg, const struct bundle_entry *entry, struct buf *out, struct err **e)
{
    struct stream *s = arg;
    const char *bytes = s->kept[entry - s->index.entries];

    if (!bytes || buf_add(out, bytes, (size_t)entry->size) < 0)
        return err_set(e, -EBADMSG, "entry '%s' is too large for what it is", entry->path);
    return 0;
}

static int run(struct stream *s, const unsigned char *first, struct verified *out, struct err **e)
{
    auto_free char *text = NULL;
    size_t len = 0;
    int r = take_index(s, first, &text, &len, e);

    if (r < 0)
        return r;
    bundle_lookup_init(&s->lookup, &s->index);
    s->kept = xcalloc(s->index.n_entries, sizeof(char *));
    for (size_t i = 0; i < s->index.n_entries && r == 0; i++)
        r = take_entry(s, i, e);
    if (r == 0)
        r = take_end(s, text, len, e);
    if (r == 0)
        r = bundle_check_documents(&s->index, &s->lookup, read_kept, s, e);
    if (r == 0 && s->index.n_missing)
        r = err_set(
            e, -ENOENT,
            "this is a delta and its base %s cannot be read with it from a pipe; verify the "
            "file with --base",
            s->index.base_receipt);
    if (r < 0)
        return r;
    *out = (struct verified){.kind = "bundle",
                             .images = s->index.n_images,
                             .entries = s->index.n_entries + 2,
                             .bytes = s->at,
                             .jobs = 1};
    hash_digest(text, len, out->receipt);
    return 0;
}

int verify_stream(int fd, const unsigned char *first, struct verified *out, struct err **e)
{
    auto_free char *chunk = xmalloc(CHUNK);
    struct stream s = {.fd = fd, .at = TAR_BLOCK, .chunk = chunk};
    int r = run(&s, first, out, e);

    for (size_t i = 0; s.kept && i < s.index.n_entries; i++)
        free(s.kept[i]);
    free(s.kept);
    bundle_lookup_release(&s.lookup);
    bundle_index_release(&s.index);
    return r;
}
