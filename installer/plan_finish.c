/* The last step of a plan: real digests for converted images, and the index's bytes. */
#include "plan.h"

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

/* Gives a planned document its final bytes; a twin of another image has no entry of its own. */
static int replace_document(struct plan *p, struct document *d, const char *digest,
                            struct buf *bytes, struct err **e)
{
    size_t number = plan_find_blob(p, d->digest);

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

int plan_finish(struct plan *p, char **out_index_text, struct err **e)
{
    auto_free char *text = NULL;
    struct bundle_index check = {0};
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
    /* What is written must be what every reader takes. */
    r = bundle_index_parse(text, strlen(text), &check, e);
    bundle_index_release(&check);
    if (r == 0)
        *out_index_text = take(text);
    return r;
}
