/* containerd as a runtime. */
#include "runtime.h"

#include "bundle_index.h"
#include "containerd.h"
#include "imagetar.h"
#include "interrupt.h"
#include "log.h"
#include "machine.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct containerd_runtime {
    struct containerd *containerd;
    struct platform platform;
    struct containerd_images images; /* as listed at the start, kept true to what is done here */
    bool has_images;
    struct containerd_blobs blobs;
    bool has_blobs;
};

static void containerd_name(void *impl, struct runtime_image *image)
{
    (void)impl;
    image->name = bundle_containerd_name(image->image->reference);
    runtime_image_manifest_ids(image);
}

/* --- images --- */

static int need_images(struct containerd_runtime *rt, struct err **e)
{
    int r = rt->has_images ? 0 : containerd_images(rt->containerd, NULL, &rt->images, e);

    rt->has_images = r == 0;
    return r;
}

static struct containerd_image *image_of(struct containerd_runtime *rt, const char *name)
{
    for (size_t i = 0; i < rt->images.count; i++)
        if (!strcmp(rt->images.images[i].name, name))
            return &rt->images.images[i];
    return NULL;
}

/* Asks anew what stands under one name. */
static int refresh(struct containerd_runtime *rt, const char *name, struct err **e)
{
    struct containerd_image *have = image_of(rt, name), *slot;
    struct containerd_images now = {.count = 0};
    int r = containerd_images(rt->containerd, name, &now, e);

    if (r < 0)
        return r;
    if (have) {
        free(have->name);
        *have = rt->images.images[--rt->images.count];
    }
    if (now.count) {
        array_grow(rt->images.images, rt->images.count);
        slot = &rt->images.images[rt->images.count++];
        *slot = now.images[0];
        now.images[0].name = NULL;
    }
    containerd_images_release(&now);
    return 0;
}

static int containerd_find(void *impl, const char *name, char out_id[DIGEST_SIZE], struct err **e)
{
    struct containerd_runtime *rt = impl;
    const struct containerd_image *image;
    int r = need_images(rt, e);

    if (r < 0)
        return r;
    image = image_of(rt, name);
    if (!image || !image->usable)
        return 0;
    memcpy(out_id, image->digest, DIGEST_SIZE);
    return 1;
}

static int containerd_adopt(void *impl, const char *id, const char *name, struct err **e)
{
    struct containerd_runtime *rt = impl;
    const char *from = NULL;
    int r = need_images(rt, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < rt->images.count && !from; i++)
        if (rt->images.images[i].usable && !strcmp(rt->images.images[i].digest, id))
            from = rt->images.images[i].name;
    if (!from)
        return 0;
    r = containerd_tag(rt->containerd, from, name, e);
    if (r == 0)
        r = refresh(rt, name, e);
    return r < 0 ? r : 1;
}

/* The label of an image that had it before stays: a tag takes it along, an import does not. */
static int containerd_keep(void *impl, const char *name, struct err **e)
{
    struct containerd_runtime *rt = impl;
    const struct containerd_image *image = image_of(rt, name);

    return image && image->pinned ? 0 : containerd_pin(rt->containerd, name, e);
}

/* --- loading --- */

/* Marks the layers that containerd has as blobs; returns how many. */
static size_t mark_known(struct containerd_runtime *rt, const struct manifest *m, bool *omit)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_layers; i++) {
        omit[i] = containerd_blobs_have(&rt->blobs, m->layers[i].digest);
        n += omit[i];
    }
    return n;
}

static int send_image(struct containerd_runtime *rt, struct runtime_job *job, const bool *omit,
                      struct err **e)
{
    const struct runtime_image *image = job->image;
    struct imagetar_image in = {.platform = image->platform, .name = image->name, .omit = omit};
    struct imagetar_options options = {.oci = true};
    bool is_ours = platform_matches(&rt->platform, &image->platform->platform);
    auto_imagetar struct imagetar *tar = NULL;
    struct runtime_feed feed = {.job = job};
    char text[PLATFORM_TEXT];
    int r = imagetar_new(job->bundle, &in, 1, &options, &tar, e);

    if (r < 0)
        return r;
    feed.tar = tar;
    (void)platform_format(&image->platform->platform, text);
    return containerd_import(rt->containerd, runtime_feed_read, &feed, is_ours ? NULL : text, e);
}

/* An import that failed half-way leaves the name, and kubelet would believe in it. */
static void drop_broken(struct containerd_runtime *rt, const struct runtime_image *image)
{
    const struct containerd_image *left;

    if (refresh(rt, image->name, NULL) < 0)
        return;
    left = image_of(rt, image->name);
    if (left && runtime_image_is(image, left->digest))
        (void)containerd_remove(rt->containerd, image->name, NULL);
}

static int containerd_load_image(void *impl, struct runtime_job *job, struct err **e)
{
    struct containerd_runtime *rt = impl;
    const struct manifest *m = &job->image->platform->parsed;
    auto_free bool *omit = xcalloc(m->n_layers, sizeof(*omit));
    auto_err struct err *why = NULL;
    int r = rt->has_blobs ? 0 : containerd_blobs(rt->containerd, &rt->blobs, e);

    if (r < 0)
        return r;
    rt->has_blobs = true;
    job->omitted = mark_known(rt, m, omit);
    r = send_image(rt, job, omit, &why);
    if (r == -EREMOTEIO && job->omitted && !interrupt_seen()) {
        log_info("'%s': containerd refused it without the %zu layers that it has (%s); sending all",
                 job->image->name, job->omitted, err_text(why));
        job->omitted = 0;
        r = send_image(rt, job, NULL, &why);
    }
    if (r < 0) {
        drop_broken(rt, job->image);
        return err_set(e, r, "%s", err_text(why));
    }
    return refresh(rt, job->image->name, e);
}

static int containerd_list_images(void *impl, struct runtime_list *out, struct err **e)
{
    struct containerd_runtime *rt = impl;
    int r = need_images(rt, e);

    for (size_t i = 0; r == 0 && i < rt->images.count; i++) {
        const struct containerd_image *image = &rt->images.images[i];

        /* CRI keeps each image under the digest of its configuration too. */
        if (image->usable && !digest_is_valid(image->name))
            runtime_list_add(out, image->name, image->digest, image->size);
    }
    runtime_list_sort(out);
    return r;
}

static bool containerd_in_use(void *impl)
{
    struct containerd_runtime *rt = impl;

    return containerd_is_in_use(rt->containerd, NULL) > 0;
}

static void containerd_close(void *impl)
{
    struct containerd_runtime *rt = impl;

    containerd_images_release(&rt->images);
    containerd_blobs_release(&rt->blobs);
    containerd_free(rt->containerd);
    free(rt);
}

static const struct runtime_ops containerd_ops = {
    .name = containerd_name,
    .find = containerd_find,
    .adopt = containerd_adopt,
    .load = containerd_load_image,
    .keep = containerd_keep,
    .list = containerd_list_images,
    .is_in_use = containerd_in_use,
    .free = containerd_close,
};

int runtime_open_containerd(const struct runtime_options *options, struct runtime *out,
                            struct err **e)
{
    struct containerd_runtime *rt = xcalloc(1, sizeof(*rt));
    auto_free char *version = NULL;
    int r = containerd_open(options->address, options->space, options->root, &rt->containerd, e);

    if (r == 0)
        r = containerd_version(rt->containerd, &version, e);
    if (r == 0)
        r = platform_of_host(&rt->platform, e);
    if (r < 0) {
        containerd_close(rt);
        return r;
    }
    *out = (struct runtime){
        .ops = &containerd_ops,
        .impl = rt,
        .kind = "containerd",
        .version = take(version),
        .address = xstrdup(containerd_address(rt->containerd)),
        .store = xstrdup(containerd_space(rt->containerd)),
        .platform = rt->platform,
    };
    return 0;
}
