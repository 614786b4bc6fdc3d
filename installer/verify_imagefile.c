/* Checking OCI layouts and docker archives of other tools. */
#include "verify.h"

#include "bundle_index.h"
#include "imagefile_internal.h"
#include "manifest.h"
#include "mem.h"

#include <errno.h>
#include <string.h>

#define INDEX_NESTING 4

/* Every file that is named by a digest, or that an image calls by one, has it. */
static int check_digests(const struct imagefile *f, struct err **e)
{
    for (size_t i = 0; i < f->n_members; i++) {
        const struct member *m = &f->members[i];
        if (*m->digest && *m->actual && strcmp(m->digest, m->actual) != 0)
            return err_set(e, -EBADMSG, "'%s' in '%s' has the SHA-256 %s, not %s", m->path, f->path,
                           digest_hex(m->actual), digest_hex(m->digest));
    }
    return 0;
}

static int check_blob(const struct imagefile *f, const struct descriptor *d, struct err **e)
{
    int64_t size = 0;

    if (imagefile_blob_size(f, d->digest, &size) < 0)
        return err_set(e, -EBADMSG, "blob '%s' is referred to but not in '%s'", d->digest, f->path);
    if (size != d->size)
        return err_set(e, -EBADMSG, "blob '%s' in '%s' has %lld bytes where %lld are said",
                       d->digest, f->path, (long long)size, (long long)d->size);
    return 0;
}

static int check_manifest(const struct imagefile *f, const struct descriptor *d, int depth,
                          struct err **e)
{
    auto_manifest struct manifest m = {0};
    const char *bytes = NULL;
    size_t len = 0;
    int r = check_blob(f, d, e);

    if (r == 0)
        r = imagefile_document(f, d->digest, &bytes, &len, e);
    if (r == 0)
        r = manifest_parse(bytes, len, d->media_type, &m, e);
    if (r == 0 && m.kind == MANIFEST_IMAGE)
        r = check_blob(f, &m.config, e);
    for (size_t i = 0; i < m.n_layers && r == 0; i++)
        r = check_blob(f, &m.layers[i], e);
    if (r == 0 && m.kind == MANIFEST_INDEX && depth == INDEX_NESTING)
        r = err_set(e, -EBADMSG, "indexes in '%s' are nested deeper than %d", f->path, depth);
    for (size_t i = 0; i < m.n_children && r == 0; i++)
        r = check_manifest(f, &m.children[i], depth + 1, e);
    return r;
}

static int run(struct imagefile *f, struct err **e)
{
    int r = imagefile_scan(f, e);

    if (r == 0)
        r = imagefile_read_images(f, e);
    if (r == 0)
        r = check_digests(f, e);
    for (size_t i = 0; i < f->n_images && r == 0; i++)
        r = check_manifest(f, &f->images[i].manifest, 0, e);
    return r;
}

int verify_imagefile(const char *path, const void *first, size_t first_len, struct verified *out,
                     struct err **e)
{
    struct imagefile *f = xcalloc(1, sizeof(*f));
    int r;

    f->path = xstrdup(path);
    f->dirfd = -1;
    f->hash_all = true;
    f->first = first;
    f->first_len = first_len;
    r = run(f, e);
    if (r == 0)
        *out = (struct verified){.kind = imagefile_member(f, BUNDLE_LAYOUT_PATH) ? "OCI layout"
                                                                                 : "docker archive",
                                 .images = f->n_images,
                                 .entries = f->n_members,
                                 .bytes = f->bytes,
                                 .jobs = 1};
    imagefile_free(f);
    return r;
}
