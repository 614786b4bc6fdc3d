/* Choosing a container runtime, and the lists that all of them share. */
#include "runtime.h"

#include "imagetar.h"
#include "interrupt.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *env(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static int open_for(const struct runtime_options *o, bool docker, const char *reason,
                    struct runtime *out, struct err **e)
{
    int r = docker ? runtime_open_docker(o, out, e) : runtime_open_containerd(o, out, e);

    if (r == 0)
        out->reason = xstrdup(reason);
    return r;
}

/* Both answer. containerd also runs under every docker, where it holds docker's containers in a
 * namespace of docker's; what kubelet runs would stand in the namespace that we load into. */
static void choose_of_two(struct runtime *docker, struct runtime *containerd, struct runtime *out)
{
    bool in_use = containerd->ops->is_in_use(containerd->impl);
    struct runtime *loser = in_use ? docker : containerd;

    *out = in_use ? *containerd : *docker;
    out->reason = in_use ? xasprintf("docker answers too, but containers run in containerd's "
                                     "namespace %s; --runtime docker chooses docker",
                                     out->store)
                         : xstrdup("containerd answers too, but runs nothing of its own; "
                                   "--runtime containerd chooses it");
    runtime_close(loser);
}

static int choose(const struct runtime_options *o, struct runtime *out, struct err **e)
{
    struct runtime docker = {.kind = NULL}, containerd = {.kind = NULL};
    auto_err struct err *no_docker = NULL;
    auto_err struct err *no_containerd = NULL;
    bool has_docker = runtime_open_docker(o, &docker, &no_docker) == 0;
    bool has_containerd = runtime_open_containerd(o, &containerd, &no_containerd) == 0;

    if (has_docker && has_containerd) {
        choose_of_two(&docker, &containerd, out);
    } else if (has_docker) {
        *out = docker;
        out->reason = xstrdup("it answers here");
    } else if (has_containerd) {
        *out = containerd;
        out->reason = xasprintf("no docker here: %s", err_text(no_docker));
    } else {
        return err_set(e, -EHOSTUNREACH, "no container runtime answers here: %s; %s",
                       err_text(no_docker), err_text(no_containerd));
    }
    return 0;
}

int runtime_open(const struct runtime_options *o, struct runtime *out, struct err **e)
{
    if (strcmp(o->kind, "auto") != 0)
        return open_for(o, !strcmp(o->kind, "docker"), "--runtime names it", out, e);
    if (o->address)
        return open_for(o, false, "--address names it", out, e);
    if (env("DOCKER_HOST"))
        return open_for(o, true, "DOCKER_HOST is set", out, e);
    if (env("CONTAINERD_ADDRESS"))
        return open_for(o, false, "CONTAINERD_ADDRESS is set", out, e);
    return choose(o, out, e);
}

void runtime_close(struct runtime *r)
{
    if (r->ops)
        r->ops->free(r->impl);
    free(r->version);
    free(r->address);
    free(r->store);
    free(r->reason);
    *r = (struct runtime){.kind = NULL};
}

void runtime_image_manifest_ids(struct runtime_image *image)
{
    const struct descriptor *candidates[RUNTIME_IDS_MAX] = {&image->platform->manifest,
                                                            &image->image->index,
                                                            &image->image->upstream_index};

    image->n_ids = 0;
    for (size_t i = 0; i < RUNTIME_IDS_MAX; i++)
        if (candidates[i]->size)
            memcpy(image->ids[image->n_ids++], candidates[i]->digest, DIGEST_SIZE);
}

void runtime_image_release(struct runtime_image *image)
{
    free(image->name);
    image->name = NULL;
}

bool runtime_image_is(const struct runtime_image *image, const char *id)
{
    for (size_t i = 0; i < image->n_ids; i++)
        if (!strcmp(image->ids[i], id))
            return true;
    return false;
}

void runtime_list_add(struct runtime_list *list, const char *name, const char *id, int64_t size)
{
    struct runtime_entry entry = {.name = xstrdup(name), .size = size};

    memcpy(entry.id, id, DIGEST_SIZE);
    array_grow(list->entries, list->count);
    list->entries[list->count++] = entry;
}

int runtime_entry_compare(const void *a, const void *b)
{
    const struct runtime_entry *x = a, *y = b;

    return strcmp(x->name, y->name);
}

void runtime_list_sort(struct runtime_list *list)
{
    if (list->count)
        qsort(list->entries, list->count, sizeof(*list->entries), runtime_entry_compare);
}

void runtime_list_release(struct runtime_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].name);
    free(list->entries);
    *list = (struct runtime_list){.count = 0};
}

ssize_t runtime_feed_read(void *arg, void *bytes, size_t size, struct err **e)
{
    struct runtime_feed *feed = arg;
    struct runtime_job *job = feed->job;
    ssize_t n = interrupt_check(e);
    int64_t counted;

    if (n == 0)
        n = imagetar_read(feed->tar, bytes, size, e);
    if (n <= 0)
        return n;
    feed->given += n;
    job->sent += n;
    /* A second try over the same ground is no progress, nor is what unpacking adds. */
    counted = feed->given < job->size ? feed->given : job->size;
    if (counted > job->counted) {
        progress_add(job->progress, job->item, counted - job->counted);
        job->counted = counted;
    }
    return n;
}
