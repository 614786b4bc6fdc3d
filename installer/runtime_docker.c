/* docker as a runtime: which layers it has, and how an image gets there. */
#include "runtime.h"

#include "bundle_index.h"
#include "docker.h"
#include "imagetar.h"
#include "interrupt.h"
#include "log.h"
#include "mem.h"
#include "ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The first engine that unpacks zstd layers (moby 23.0 release notes). */
#define ZSTD_MAJOR 23

/* The layers of one local image, lowest first. */
struct chain {
    char (*ids)[DIGEST_SIZE];
    size_t count;
};

struct docker_runtime {
    struct docker *docker;
    /* A layer is there if an image has it with the same layers below it: dockerd keys layers by
     * their chain. Filled at the first load. */
    struct chain *chains;
    size_t n_chains;
    bool has_chains;
};

static void docker_name(void *impl, struct runtime_image *image)
{
    struct docker_runtime *rt = impl;
    const struct bundle_platform *p = image->platform;

    image->name = bundle_docker_name(image->image->reference);
    if (!docker_info(rt->docker)->containerd_store) {
        memcpy(image->ids[0], p->parsed.config.digest, DIGEST_SIZE);
        image->n_ids = 1;
        return;
    }
    runtime_image_manifest_ids(image);
}

static int docker_find(void *impl, const char *name, char out_id[DIGEST_SIZE], struct err **e)
{
    struct docker_runtime *rt = impl;
    struct docker_image image = {.n_layers = 0};
    int r = docker_inspect(rt->docker, name, &image, e);

    if (r > 0)
        memcpy(out_id, image.id, DIGEST_SIZE);
    docker_image_release(&image);
    return r;
}

static int docker_adopt(void *impl, const char *id, const char *name, struct err **e)
{
    struct docker_runtime *rt = impl;
    char found[DIGEST_SIZE];
    int r = docker_find(impl, id, found, e);

    if (r <= 0 || strcmp(found, id) != 0)
        return r < 0 ? r : 0;
    r = docker_tag(rt->docker, id, name, e);
    return r < 0 ? r : 1;
}

/* --- known layers --- */

static void add_chain(struct docker_runtime *rt, char (*ids)[DIGEST_SIZE], size_t count)
{
    array_grow(rt->chains, rt->n_chains);
    rt->chains[rt->n_chains++] = (struct chain){.ids = ids, .count = count};
}

/* An image that vanishes while we ask is no error: it only does not help. */
static int read_chains(struct docker_runtime *rt, struct err **e)
{
    struct docker_list list = {.count = 0};
    int r = docker_list(rt->docker, &list, e);

    for (size_t i = 0; r >= 0 && i < list.count; i++) {
        struct docker_image image = {.n_layers = 0};

        if (i && !strcmp(list.rows[i].id, list.rows[i - 1].id))
            continue;
        r = docker_inspect(rt->docker, list.rows[i].id, &image, e);
        if (r > 0)
            add_chain(rt, image.layers, image.n_layers);
    }
    docker_list_release(&list);
    rt->has_chains = r >= 0;
    return r < 0 ? r : 0;
}

/* How many of the lowest layers docker has. */
static size_t known_layers(const struct docker_runtime *rt, const struct image_config *config)
{
    size_t best = 0;

    for (size_t i = 0; i < rt->n_chains; i++) {
        const struct chain *chain = &rt->chains[i];
        size_t n = 0;

        while (n < chain->count && n < config->n_diff_ids &&
               !strcmp(chain->ids[n], config->diff_ids[n]))
            n++;
        best = n > best ? n : best;
    }
    return best;
}

/* --- loading --- */

/* Sends the image without its lowest `known` layers. */
static int send_image(struct docker_runtime *rt, struct runtime_job *job, size_t known,
                      struct err **e)
{
    const struct docker_info *info = docker_info(rt->docker);
    const struct runtime_image *image = job->image;
    auto_free bool *omit = xcalloc(image->platform->parsed.n_layers, sizeof(*omit));
    struct imagetar_image in = {.platform = image->platform, .name = image->name, .omit = omit};
    struct imagetar_options options = {
        .oci = info->containerd_store,
        .unpack_zstd = !info->containerd_store && info->major < ZSTD_MAJOR,
    };
    auto_imagetar struct imagetar *tar = NULL;
    struct runtime_feed feed = {.job = job};
    int r;

    for (size_t i = 0; i < known; i++)
        omit[i] = true;
    r = imagetar_new(job->bundle, &in, 1, &options, &tar, e);
    if (r < 0)
        return r;
    feed.tar = tar;
    job->omitted = known;
    return docker_load(rt->docker, runtime_feed_read, &feed, imagetar_size(tar), e);
}

static int docker_load_image(void *impl, struct runtime_job *job, struct err **e)
{
    struct docker_runtime *rt = impl;
    auto_config struct image_config config = {.n_diff_ids = 0};
    auto_err struct err *why = NULL;
    size_t known;
    int r;

    /* containerd's store keeps blobs, not only what was unpacked from them: all must come. */
    if (docker_info(rt->docker)->containerd_store)
        return send_image(rt, job, 0, e);
    r = rt->has_chains ? 0 : read_chains(rt, e);
    if (r == 0)
        r = imagetar_read_config(job->bundle, &job->image->platform->parsed, &config, e);
    if (r < 0)
        return r;
    known = known_layers(rt, &config);
    r = send_image(rt, job, known, &why);
    if (r == -EREMOTEIO && known && !interrupt_seen()) {
        log_info("'%s': docker refused it without the %zu layers that it has (%s); sending all",
                 job->image->name, known, err_text(why));
        r = send_image(rt, job, 0, &why);
    }
    if (r < 0)
        return err_set(e, r, "%s", err_text(why));
    add_chain(rt, take(config.diff_ids), config.n_diff_ids);
    return 0;
}

/* docker shows short names; the full ones can be compared with a bundle's. */
static void add_full(struct runtime_list *list, const struct docker_row *row)
{
    struct ref ref = {0};
    auto_free char *full = NULL;

    if (!row->name)
        return;
    if (ref_parse(row->name, &ref, NULL) == 0)
        full = ref_format(&ref);
    runtime_list_add(list, full ? full : row->name, row->id, row->size);
    ref_release(&ref);
}

static int docker_list_images(void *impl, struct runtime_list *out, struct err **e)
{
    struct docker_runtime *rt = impl;
    struct docker_list rows = {.count = 0};
    int r = docker_list(rt->docker, &rows, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < rows.count; i++)
        add_full(out, &rows.rows[i]);
    docker_list_release(&rows);
    runtime_list_sort(out);
    return 0;
}

static void docker_close(void *impl)
{
    struct docker_runtime *rt = impl;

    for (size_t i = 0; i < rt->n_chains; i++)
        free(rt->chains[i].ids);
    free(rt->chains);
    docker_free(rt->docker);
    free(rt);
}

static const struct runtime_ops docker_ops = {
    .name = docker_name,
    .find = docker_find,
    .adopt = docker_adopt,
    .load = docker_load_image,
    .list = docker_list_images,
    .free = docker_close,
};

int runtime_open_docker(const struct runtime_options *options, struct runtime *out, struct err **e)
{
    struct docker *docker = NULL;
    struct docker_runtime *rt;
    const struct docker_info *info;
    int r = docker_open(options->root, &docker, e);

    if (r < 0)
        return r;
    rt = xcalloc(1, sizeof(*rt));
    rt->docker = docker;
    info = docker_info(docker);
    *out = (struct runtime){
        .ops = &docker_ops,
        .impl = rt,
        .kind = "docker",
        .version = xstrdup(info->version),
        .address = xstrdup(docker_address(docker)),
        .store = xstrdup(info->containerd_store ? "containerd" : info->driver),
        .platform = info->platform,
    };
    return 0;
}
