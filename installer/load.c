/* The steps of `images load` that are the same for docker and containerd. */
#include "load.h"

#include "bundle_index.h"
#include "interrupt.h"
#include "log.h"
#include "mem.h"
#include "selection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double load_clock(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

const char *load_result_name(enum load_result result)
{
    static const char *const names[LOAD_RESULTS] = {"not tried", "loaded",  "tagged",
                                                    "present",   "written", "failed"};

    return names[result];
}

int64_t load_size(const struct bundle_platform *p)
{
    int64_t size = p->manifest.size + p->parsed.config.size;

    for (size_t i = 0; i < p->parsed.n_layers; i++)
        size += p->parsed.layers[i].size;
    return size;
}

void load_fail(struct load_item *item, struct err *why)
{
    item->result = LOAD_FAILED;
    item->error = why;
    log_error("'%s': %s", item->image.image->reference, err_text(why));
}

/* --- the list --- */

static void add_item(struct load *l, const struct bundle_image *image,
                     const struct platform *wanted)
{
    struct load_item item = {.image.image = image};
    struct err *why = NULL;

    item.image.platform = selection_platform(image, wanted);
    if (!item.image.platform) {
        auto_free char *have = selection_platforms(image);
        char text[PLATFORM_TEXT];

        (void)err_set(&why, -ENOENT,
                      "the bundle has it for %s only, not for %s; --platform chooses another", have,
                      platform_format(wanted, text));
        load_fail(&item, why);
    }
    array_grow(l->items, l->count);
    l->items[l->count++] = item;
}

void load_list(const struct bundle *b, const bool *chosen, const struct platform *wanted,
               struct load *out)
{
    const struct bundle_index *index = bundle_index(b);

    *out = (struct load){.count = 0};
    for (size_t i = 0; i < index->n_images; i++)
        if (chosen[i])
            add_item(out, &index->images[i], wanted);
}

static void note_name(const struct runtime_image *image, const char *kind)
{
    if (strcmp(image->name, image->image->reference) != 0)
        log_info("'%s' cannot be a name in %s; there it is '%s'", image->image->reference, kind,
                 image->name);
}

void load_name(struct load *l, const struct runtime *rt)
{
    for (size_t i = 0; i < l->count; i++) {
        struct runtime_image *image = &l->items[i].image;

        if (l->items[i].result == LOAD_FAILED)
            continue;
        rt->ops->name(rt->impl, image);
        note_name(image, rt->kind);
    }
}

void load_name_for_containerd(struct load *l)
{
    for (size_t i = 0; i < l->count; i++) {
        struct runtime_image *image = &l->items[i].image;

        if (l->items[i].result == LOAD_FAILED)
            continue;
        image->name = bundle_containerd_name(image->image->reference);
        runtime_image_manifest_ids(image);
        note_name(image, "containerd");
    }
}

/* --- one image --- */

/* 1: the image stands under its name, 0: not, or another one does. */
static int is_there(const struct runtime *rt, const struct runtime_image *image,
                    char out_id[DIGEST_SIZE], struct err **e)
{
    int r;

    out_id[0] = '\0';
    r = rt->ops->find(rt->impl, image->name, out_id, e);
    return r < 0 ? r : r && runtime_image_is(image, out_id);
}

static int check(struct load_item *item, const struct runtime *rt, struct err **e)
{
    char id[DIGEST_SIZE];
    int r = is_there(rt, &item->image, id, e);

    if (r > 0)
        item->result = LOAD_PRESENT;
    return r;
}

/* The proof that it is there. */
static int read_back(const struct load_item *item, const struct runtime *rt, struct err **e)
{
    char id[DIGEST_SIZE];
    int r = is_there(rt, &item->image, id, e);

    if (r < 0)
        return r;
    if (r > 0)
        return 0;
    if (!*id)
        return err_set(e, -EREMOTEIO, "%s took it but does not have '%s' now", rt->kind,
                       item->image.name);
    return err_set(e, -EREMOTEIO, "%s took it, but '%s' has the id '%s' there, not '%s'", rt->kind,
                   item->image.name, id, item->image.ids[0]);
}

/* Sends it, unless it is there under another name. */
static int bring(struct load_item *item, const struct runtime *rt, struct runtime_job *job,
                 struct err **e)
{
    int r = 0;

    for (size_t i = 0; i < item->image.n_ids; i++) {
        r = rt->ops->adopt(rt->impl, item->image.ids[i], item->image.name, e);
        if (r < 0)
            return r;
        if (r > 0) {
            item->result = LOAD_TAGGED;
            return read_back(item, rt, e);
        }
    }
    r = rt->ops->load(rt->impl, job, e);
    item->sent = job->sent;
    item->omitted = job->omitted;
    if (r < 0)
        return r;
    item->result = LOAD_LOADED;
    return read_back(item, rt, e);
}

static int load_one(struct load_item *item, const struct runtime *rt, const struct bundle *b,
                    struct progress *progress, struct err **e)
{
    int64_t size = load_size(item->image.platform);
    struct runtime_job job = {.bundle = b,
                              .image = &item->image,
                              .progress = progress,
                              .size = size};
    int r;

    job.item = progress_start(progress, selection_familiar(item->image.name), size, 0);
    r = bring(item, rt, &job, e);
    /* Layers that need not be sent are done too. */
    if (job.counted < size)
        progress_add(progress, job.item, size - job.counted);
    progress_end(progress, job.item);
    return r;
}

/* --- all --- */

static int64_t check_all(struct load *l, const struct runtime *rt)
{
    int64_t size = 0;

    for (size_t i = 0; i < l->count; i++) {
        struct load_item *item = &l->items[i];
        struct err *why = NULL;

        if (item->result == LOAD_WAITING && check(item, rt, &why) < 0)
            load_fail(item, why);
        if (item->result == LOAD_WAITING)
            size += load_size(item->image.platform);
    }
    return size;
}

static int load_waiting(struct load *l, const struct runtime *rt, const struct bundle *b,
                        struct progress *progress, struct err **e)
{
    for (size_t i = 0; i < l->count; i++) {
        struct load_item *item = &l->items[i];
        struct err *why = NULL;
        int r = interrupt_check(e);

        if (r < 0)
            return r;
        if (item->result == LOAD_WAITING && load_one(item, rt, b, progress, &why) < 0) {
            if (interrupt_check(e) < 0) {
                item->result = LOAD_WAITING;
                err_free(why);
                return -ECANCELED;
            }
            load_fail(item, why);
        }
        if (item->result != LOAD_FAILED && rt->ops->keep &&
            rt->ops->keep(rt->impl, item->image.name, &why) < 0)
            load_fail(item, why);
    }
    return 0;
}

int load_run(struct load *l, const struct runtime *rt, const struct bundle *b, struct err **e)
{
    double start = load_clock();
    int64_t size = check_all(l, rt);
    struct progress *progress = progress_new("loading", size, 0);
    int r = load_waiting(l, rt, b, progress, e);

    progress_free(progress);
    l->seconds = load_clock() - start;
    load_count(l);
    return r;
}

void load_count(struct load *l)
{
    memset(l->results, 0, sizeof(l->results));
    l->sent = 0;
    for (size_t i = 0; i < l->count; i++) {
        l->results[l->items[i].result]++;
        l->sent += l->items[i].sent;
    }
}

void load_release(struct load *l)
{
    for (size_t i = 0; i < l->count; i++) {
        runtime_image_release(&l->items[i].image);
        err_free(l->items[i].error);
    }
    free(l->items);
    *l = (struct load){.count = 0};
}
