/* What is pushed where: names, the manifest that gets the name, and blobs per repository. */
#include "log.h"
#include "mem.h"
#include "push.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- names --- */

/* A host as a component of a repository's name, which has no ':', '[' or capitals, and begins and
 * ends with a letter or digit. */
static char *host_as_component(const char *host)
{
    char *component = xstrdup(host);
    size_t n = 0;

    for (const char *p = host; *p; p++) {
        char c = *p == ':' ? '-' : *p;

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != '[' && c != ']' && (n || c != '-'))
            component[n++] = c;
    }
    while (n && component[n - 1] == '-')
        n--;
    component[n] = '\0';
    return component;
}

char *push_map_name(const struct ref *reference, const char *registry, enum push_naming naming,
                    struct err **e)
{
    auto_free char *host = host_as_component(reference->host);
    const char *last = strrchr(reference->repo, '/');
    const char *repo = naming == PUSH_FLAT && last ? last + 1 : reference->repo;
    size_t len = strlen(registry);

    while (len && registry[len - 1] == '/')
        len--;
    if (!len || strstr(registry, "://")) {
        (void)err_set(e, -EINVAL, "'%s' is not HOST[/PREFIX], such as registry.example:5000/team",
                      registry);
        return NULL;
    }
    return xasprintf("%.*s/%s%s%s%s%s", (int)len, registry, naming == PUSH_KEEP_HOST ? host : "",
                     naming == PUSH_KEEP_HOST ? "/" : "", repo, reference->tag ? ":" : "",
                     reference->tag ? reference->tag : "");
}

/* Where the image was pinned by a digest, its new name has that of what is pushed. */
static int set_target(struct push_image *image, const struct ref *from, const char *registry,
                      enum push_naming naming, struct err **e)
{
    auto_free char *name = push_map_name(from, registry, naming, e);
    auto_free char *whole = NULL;
    int r;

    if (!name)
        return -EINVAL;
    whole =
        xasprintf("%s%s%s", name, from->digest ? "@" : "", from->digest ? image->top->digest : "");
    r = ref_parse(whole, &image->target, e);
    if (r < 0)
        return err_wrap(e, "'%s' cannot be the name of '%s'", whole, image->image->reference);
    /* Else "team" would have become a path on Docker Hub. */
    if (strncmp(whole, image->target.host, strlen(image->target.host)))
        return err_set(e, -EINVAL,
                       "'%s' does not begin with a registry's host: it needs a dot or a port, such "
                       "as registry.example:5000",
                       registry);
    if (from->digest && strcmp(from->digest, image->top->digest))
        log_warn("'%s' gets another digest, because the bundle has not all of its platforms",
                 image->image->reference);
    image->name = ref_format(&image->target);
    return 0;
}

static int check_names(const struct push *p, struct err **e)
{
    for (size_t i = 0; i < p->n_images; i++)
        for (size_t j = 0; j < i; j++)
            if (!strcmp(p->images[i].name, p->images[j].name))
                return err_set(e, -EINVAL,
                               "'%s' and '%s' would both become '%s'; use --keep-host, or --only "
                               "for one of them",
                               p->images[j].image->reference, p->images[i].image->reference,
                               p->images[i].name);
    return 0;
}

/* --- the manifest that gets the name --- */

static bool has_child(const struct bundle_image *image, const char *digest)
{
    for (size_t i = 0; i < image->n_platforms; i++)
        if (!strcmp(image->platforms[i].manifest.digest, digest))
            return true;
    return false;
}

/* 1 if every manifest that the upstream index names is in the bundle. */
static int is_complete(const struct bundle *b, const struct bundle_image *image, struct err **e)
{
    auto_manifest struct manifest index = {.n_children = 0};
    auto_buf struct buf bytes = {0};
    int r;

    if (!image->upstream_index.size || !bundle_has_blob(b, image->upstream_index.digest))
        return 0;
    r = bundle_read_blob(b, image->upstream_index.digest, MANIFEST_MAX_SIZE, &bytes, e);
    if (r == 0)
        r = manifest_parse(bytes.data, bytes.len, image->upstream_index.media_type, &index, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < index.n_children; i++)
        if (!has_child(image, index.children[i].digest))
            return 0;
    return index.n_children > 0;
}

static int choose_top(const struct bundle *b, struct push_image *image, struct err **e)
{
    int complete = is_complete(b, image->image, e);

    if (complete < 0)
        return complete;
    if (complete)
        image->top = &image->image->upstream_index;
    else if (image->image->index.size)
        image->top = &image->image->index;
    else
        image->top = &image->image->platforms[0].manifest;
    return 0;
}

/* --- blobs --- */

static struct push_blob *find_blob(struct push *p, const struct descriptor *d)
{
    for (size_t i = 0; i < p->n_blobs; i++)
        if (!strcmp(p->blobs[i].digest, d->digest))
            return &p->blobs[i];
    array_grow(p->blobs, p->n_blobs);
    p->blobs[p->n_blobs] = (struct push_blob){.digest = d->digest, .size = d->size};
    return &p->blobs[p->n_blobs++];
}

static void add_use(struct push *p, const struct descriptor *d, size_t image)
{
    struct push_blob *blob = find_blob(p, d);

    for (size_t i = 0; i < blob->n_uses; i++)
        if (!strcmp(p->images[blob->uses[i].image].target.repo, p->images[image].target.repo))
            return;
    array_grow(blob->uses, blob->n_uses);
    blob->uses[blob->n_uses++] = (struct push_use){.image = image};
}

static void add_blobs(struct push *p, size_t number)
{
    const struct bundle_image *image = p->images[number].image;

    for (size_t i = 0; i < image->n_platforms; i++) {
        const struct manifest *m = &image->platforms[i].parsed;

        add_use(p, &m->config, number);
        for (size_t j = 0; j < m->n_layers; j++)
            add_use(p, &m->layers[j], number);
    }
}

bool push_uses_blob(const struct push_image *image, const char *digest)
{
    for (size_t i = 0; i < image->image->n_platforms; i++) {
        const struct manifest *m = &image->image->platforms[i].parsed;

        if (!strcmp(m->config.digest, digest))
            return true;
        for (size_t j = 0; j < m->n_layers; j++)
            if (!strcmp(m->layers[j].digest, digest))
                return true;
    }
    return false;
}

static int add_image(struct push *p, const struct bundle *b, const struct bundle_image *image,
                     const char *registry, enum push_naming naming, struct err **e)
{
    auto_ref struct ref from = {.host = NULL};
    struct push_image *added;
    int r;

    array_grow(p->images, p->n_images);
    added = &p->images[p->n_images++];
    *added = (struct push_image){.image = image};
    r = ref_parse(image->reference, &from, e);
    if (r == 0)
        r = choose_top(b, added, e);
    if (r == 0)
        r = set_target(added, &from, registry, naming, e);
    return r;
}

int push_plan(const struct bundle *b, const bool *chosen, const char *registry,
              enum push_naming naming, struct push *out, struct err **e)
{
    const struct bundle_index *index = bundle_index(b);
    struct push p = {.n_images = 0};
    int r = 0;

    for (size_t i = 0; i < index->n_images && r == 0; i++)
        if (chosen[i])
            r = add_image(&p, b, &index->images[i], registry, naming, e);
    if (r == 0)
        r = check_names(&p, e);
    if (r < 0) {
        push_release(&p);
        return r;
    }
    for (size_t i = 0; i < p.n_images; i++)
        add_blobs(&p, i);
    *out = p;
    return 0;
}

void push_release(struct push *p)
{
    for (size_t i = 0; i < p->n_images; i++) {
        ref_release(&p->images[i].target);
        free(p->images[i].name);
        err_free(p->images[i].error);
    }
    for (size_t i = 0; i < p->n_blobs; i++) {
        for (size_t j = 0; j < p->blobs[i].n_uses; j++)
            err_free(p->blobs[i].uses[j].error);
        free(p->blobs[i].uses);
    }
    free(p->images);
    free(p->blobs);
    *p = (struct push){.n_images = 0};
}

const char *push_result_name(enum push_result result)
{
    static const char *const names[PUSH_RESULTS] = {"not tried", "pushed", "present", "failed"};

    return names[result];
}
