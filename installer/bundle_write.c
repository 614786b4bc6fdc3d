/* Everything of a bundle that is not a layer. */
#include "bundle_write.h"

#include "mem.h"
#include "tar.h"

#include <errno.h>
#include <string.h>

int64_t *bundle_borders(const struct plan *p, size_t *out_count)
{
    size_t n = p->index.n_entries;
    int64_t *borders = xcalloc(n + 2, sizeof(*borders));

    for (size_t i = 0; i < n; i++) {
        const struct bundle_entry *entry = &p->index.entries[i];
        borders[i + 1] = p->data_start + entry->offset - (int64_t)tar_header_len(entry->size);
    }
    /* The trailer and the end belong to the last entry; a cut in front of them gains nothing. */
    *out_count = n + 1;
    return borders;
}

static int write_at(const struct output *o, const void *bytes, size_t len, int64_t offset,
                    struct err **e)
{
    int r = segfile_pwrite(&o->file, bytes, len, offset);

    return r < 0 ? output_error(o, r, offset, e) : 0;
}

/* Header and padding of an entry whose content begins at `at`; and the content, unless NULL. */
static int write_entry(const struct output *o, const char *path, int64_t size, const void *content,
                       int64_t at, struct err **e)
{
    static const unsigned char zeros[TAR_BLOCK];
    unsigned char header[TAR_HEADER_MAX];
    size_t len = tar_header(path, size, header);
    int r = write_at(o, header, len, at - (int64_t)len, e);

    if (r == 0 && content)
        r = write_at(o, content, (size_t)size, at, e);
    if (r == 0)
        r = write_at(o, zeros, tar_padding(size), at + size, e);
    return r;
}

/* The bytes of an entry that is no layer; NULL for layers. */
static const char *content_of(const struct plan *p, size_t number, const char *oci,
                              const char *docker)
{
    const char *const fixed[] = {BUNDLE_OCI_LAYOUT, oci, docker};

    if (number < 3)
        return fixed[number];
    if (number - 3 < p->n_files)
        return p->files[number - 3].bytes;
    return p->documents[number] ? p->documents[number]->bytes : NULL;
}

/* Layers were hashed when they came; nothing else goes out unchecked either. */
static int check_content(const struct bundle_entry *entry, const char *content, struct err **e)
{
    char digest[DIGEST_SIZE];

    hash_digest(content, (size_t)entry->size, digest);
    if (strcmp(digest, entry->digest) != 0)
        return err_set(e, -EPROTO, "entry '%s' is not what was planned", entry->path);
    return 0;
}

static int write_end(const struct plan *p, const char *index_text, const struct output *o,
                     struct err **e)
{
    static const unsigned char zeros[TAR_END];
    auto_free char *trailer = bundle_render_trailer(index_text, p->index_len);
    size_t len = strlen(trailer);
    int64_t at = p->total_length - TAR_END - (int64_t)tar_padding((int64_t)len) - (int64_t)len;
    int r = write_entry(o, BUNDLE_TRAILER_PATH, (int64_t)len, trailer, at, e);

    return r < 0 ? r : write_at(o, zeros, TAR_END, p->total_length - TAR_END, e);
}

int bundle_write(const struct plan *p, const char *index_text, const struct output *o,
                 struct err **e)
{
    auto_free char *oci = bundle_render_oci_index(&p->index);
    auto_free char *docker = bundle_render_docker(&p->index);
    int r = write_entry(o, BUNDLE_INDEX_PATH, (int64_t)p->index_len, index_text, TAR_BLOCK, e);

    for (size_t i = 0; i < p->index.n_entries && r == 0; i++) {
        const struct bundle_entry *entry = &p->index.entries[i];
        const char *content = content_of(p, i, oci, docker);
        r = content ? check_content(entry, content, e) : 0;
        if (r == 0)
            r = write_entry(o, entry->path, entry->size, content, p->data_start + entry->offset, e);
    }
    return r < 0 ? r : write_end(p, index_text, o, e);
}
