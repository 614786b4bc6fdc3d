/* The last step of a plan: real digests for converted images, and the index's bytes. */
#include "plan.h"

#include "bundle_check.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct plan_layer *layer_of(const struct plan *p, const char *digest)
{
    for (size_t i = 0; i < p->n_layers; i++)
        if (!strcmp(p->layers[i].blob.digest, digest))
            return &p->layers[i];
    return NULL;
}

/* The diff ids of a converted image's layers, lowest first; to be freed. */
static char (*diff_ids_of(const struct plan *p, const struct schema1 *s))[DIGEST_SIZE]
{
    char(*ids)[DIGEST_SIZE] = xcalloc(s->n_layers, sizeof(*ids));

    for (size_t i = 0; i < s->n_layers; i++)
        memcpy(ids[i], layer_of(p, s->layers[i].digest)->diff_id, DIGEST_SIZE);
    return ids;
}

/* Gives a planned document its final bytes; a twin of another image has no entry of its own. Images
 * that only became equal by the conversion would need one entry less than there is room for. */
static int replace_document(struct plan *p, struct document *d, const char *digest,
                            struct buf *bytes, struct err **e)
{
    size_t number = plan_find_blob(p, d->digest), twin = plan_find_blob(p, digest);

    if (number != SIZE_MAX && twin != SIZE_MAX && twin != number)
        return err_set(e, -EINVAL,
                       "it is the same as another image of the list but for how its layers are "
                       "packed; leave one of the two out");
    if (bytes->len != d->len)
        return err_set(e, -EPROTO, "a converted document has %zu bytes, %zu were planned",
                       bytes->len, d->len);
    if (number != SIZE_MAX && p->documents[number] == d) {
        struct bundle_entry *entry = &p->index.entries[number];
        free(entry->path);
        entry->path = bundle_blob_path(digest);
        memcpy(entry->digest, digest, DIGEST_SIZE);
    }
    free(d->bytes);
    d->bytes = buf_steal(bytes);
    memcpy(d->digest, digest, DIGEST_SIZE);
    return 0;
}

static int convert(struct plan *p, struct plan_image *image, struct err **e)
{
    struct bundle_platform *platform = &p->index.images[image->number].platforms[0];
    auto_free char(*ids)[DIGEST_SIZE] = diff_ids_of(p, image->schema1);
    struct schema1_documents made = {0};
    int r = schema1_render(image->schema1, ids, &made, e);

    if (r == 0) {
        memcpy(platform->manifest.digest, made.manifest_digest, DIGEST_SIZE);
        memcpy(platform->parsed.config.digest, made.config_digest, DIGEST_SIZE);
        r = replace_document(p, &image->documents[0], made.manifest_digest, &made.manifest, e);
    }
    if (r == 0)
        r = replace_document(p, &image->documents[1], made.config_digest, &made.config, e);
    schema1_documents_release(&made);
    return r < 0 ? err_wrap(e, "'%s/%s'", image->ref.host, image->ref.repo) : 0;
}

/* What the reader will find in the entries. */
struct planned {
    const struct plan *plan;
    const struct bundle_index *index;
    const char *texts[3]; /* of the first entries */
};

static int read_planned(void *arg, const struct bundle_entry *entry, struct buf *out,
                        struct err **e)
{
    const struct planned *planned = arg;
    size_t number = (size_t)(entry - planned->index->entries);
    const struct document *d = planned->plan->documents[number];
    int r;

    if (number >= 3 && !d)
        return err_set(e, -EPROTO, "entry '%s' is no document", entry->path);
    r = number < 3 ? buf_addstr(out, planned->texts[number]) : buf_add(out, d->bytes, d->len);
    return r < 0 ? err_set(e, r, "entry '%s' is too large", entry->path) : 0;
}

/* What is written must be what every reader takes. */
static int check_as_reader(const struct plan *p, const char *text, struct err **e)
{
    auto_free char *oci = bundle_render_oci_index(&p->index);
    auto_free char *docker = bundle_render_docker(&p->index);
    struct bundle_index index = {0};
    struct planned planned = {p, &index, {BUNDLE_OCI_LAYOUT, oci, docker}};
    struct bundle_lookup lookup;
    int r = bundle_index_parse(text, strlen(text), &index, e);

    if (r < 0)
        return r;
    bundle_lookup_init(&lookup, &index);
    r = bundle_check_documents(&index, &lookup, read_planned, &planned, e);
    bundle_lookup_release(&lookup);
    bundle_index_release(&index);
    return r;
}

int plan_finish(struct plan *p, char **out_index_text, struct err **e)
{
    auto_free char *text = NULL;
    int r = 0;

    for (size_t i = 0; i < p->n_images && r == 0; i++)
        if (p->images[i].schema1 && !p->images[i].error)
            r = convert(p, &p->images[i], e);
    if (r < 0)
        return r;
    plan_set_documents(p);
    text = bundle_index_render(&p->index);
    if (strlen(text) != p->index_len)
        return err_set(e, -EPROTO, "the index has %zu bytes, %zu were planned", strlen(text),
                       p->index_len);
    r = check_as_reader(p, text, e);
    if (r == 0)
        *out_index_text = take(text);
    return r;
}
