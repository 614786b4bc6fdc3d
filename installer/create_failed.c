/* When some images could not be had: who is to blame, FILE.failed, and a bundle of the rest. */
#include "create.h"

#include "fs.h"
#include "log.h"
#include "mem.h"
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void create_blame_images(struct plan *plan)
{
    for (size_t i = 0; i < plan->n_layers; i++) {
        const struct plan_layer *layer = &plan->layers[i];
        for (size_t j = 0; j < layer->n_images && !layer->done; j++) {
            struct plan_image *image = &plan->images[layer->images[j]];
            if (image->error)
                continue;
            image->error = err_copy(layer->error);
            if (!image->error)
                (void)err_set(&image->error, -EIO, "not fetched");
            (void)err_wrap(&image->error, "layer %s", layer->blob.digest);
        }
    }
}

int create_write_failed(const char *output, const struct plan *plan, struct err **e)
{
    auto_free char *path = xasprintf("%s.failed", output);
    auto_buf struct buf text;

    buf_init(&text, 64u << 20);
    for (size_t i = 0; i < plan->n_images; i++) {
        const struct plan_image *image = &plan->images[i];
        auto_free char *name = NULL;

        if (!image->error)
            continue;
        name = ref_format(&image->ref);
        log_error("image '%s' (%s): %s", name, image->origin, err_text(image->error));
        (void)buf_addstr(&text, "# ");
        for (const char *c = err_text(image->error); *c; c++)
            (void)buf_addch(&text, *c == '\n' ? ' ' : *c);
        (void)buf_addf(&text, "\n%s\n", name);
    }
    return fs_write_file(path, text.data, text.len, 0644, e);
}

/* Where a fetched layer lies before the others close up. */
struct place {
    char digest[DIGEST_SIZE];
    char diff_id[DIGEST_SIZE];
    int64_t at;
};

static struct place *remember_places(const struct plan *plan, size_t *out_count)
{
    struct place *places = xcalloc(plan->n_layers, sizeof(*places));
    size_t n = 0;

    for (size_t i = 0; i < plan->n_layers; i++) {
        const struct plan_layer *layer = &plan->layers[i];
        if (!layer->done)
            continue;
        memcpy(places[n].digest, layer->blob.digest, DIGEST_SIZE);
        memcpy(places[n].diff_id, layer->diff_id, DIGEST_SIZE);
        places[n++].at = plan->data_start + plan->index.entries[layer->entry].offset;
    }
    *out_count = n;
    return places;
}

/* Towards the front, or to where nothing lies: the parts of a range may overlap. */
static int move_down(const struct output *o, int64_t from, int64_t to, int64_t size, struct err **e)
{
    enum { CHUNK = 256 << 10 };
    auto_free char *chunk = xmalloc(CHUNK);
    int r = 0;

    for (int64_t done = 0; done < size && r == 0;) {
        size_t n = size - done < CHUNK ? (size_t)(size - done) : CHUNK;
        r = segfile_pread(&o->file, chunk, n, from + done);
        if (r == 0)
            r = segfile_pwrite(&o->file, chunk, n, to + done);
        done += (int64_t)n;
    }
    return r < 0 ? output_error(o, r, to, e) : 0;
}

static struct place *find_place(struct place *places, size_t n_places, const char *digest)
{
    for (size_t i = 0; i < n_places; i++)
        if (!strcmp(places[i].digest, digest))
            return &places[i];
    return NULL;
}

static int64_t place_of(const struct plan *plan, const struct plan_layer *layer)
{
    return plan->data_start + plan->index.entries[layer->entry].offset;
}

/* A layer that a failed image was the first to use may now belong further back than it lies. It
 * goes behind the end for a while, so that all the others only move towards the front. */
static int park_layers(const struct plan *plan, struct place *places, size_t n_places,
                       struct output *o, struct err **e)
{
    int r = 0;

    for (size_t i = 0; i < plan->n_layers && r == 0; i++) {
        const struct plan_layer *layer = &plan->layers[i];
        struct place *place = find_place(places, n_places, layer->blob.digest);
        int64_t end = o->file.length;

        if (!place || place->at >= place_of(plan, layer))
            continue;
        r = output_set_length(o, end + layer->blob.size, e);
        if (r == 0)
            r = move_down(o, place->at, end, layer->blob.size, e);
        place->at = end;
    }
    return r;
}

static int place_layer(const struct plan *plan, struct plan_layer *layer, struct place *places,
                       size_t n_places, const struct output *o, struct err **e)
{
    const struct place *place = find_place(places, n_places, layer->blob.digest);

    if (!place)
        return err_set(e, -EPROTO, "layer '%s' was not fetched", layer->blob.digest);
    memcpy(layer->diff_id, place->diff_id, DIGEST_SIZE);
    layer->done = true;
    return move_down(o, place->at, place_of(plan, layer), layer->blob.size, e);
}

int create_close_up(struct plan *plan, const struct bundle *base, struct output *o, struct err **e)
{
    size_t n_places;
    auto_free struct place *places = remember_places(plan, &n_places);
    int r;

    plan_unlayout(plan);
    r = plan_layout(plan, base, e);
    if (r == 0)
        r = park_layers(plan, places, n_places, o, e);
    for (size_t i = 0; i < plan->n_layers && r == 0; i++)
        r = place_layer(plan, &plan->layers[i], places, n_places, o, e);
    return r < 0 ? r : output_set_length(o, plan->total_length, e);
}
