/* The user's YAML: images everywhere, and the objects that the other parts know. */
#include "addons_edit.h"

#include "addons_kube.h"
#include "mem.h"
#include "ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void left_alone(struct addons_editing *in, const struct yamlnode *n, const char *why)
{
    findings_add(in->f, FINDING_WARNING, in->file, n->line, "left alone: %s", why);
}

static bool is_below(const char *name, const char *registry)
{
    size_t len = strlen(registry);

    while (len && registry[len - 1] == '/')
        len--;
    return !strncmp(name, registry, len) && name[len] == '/';
}

static void edit_image(struct addons_editing *in, const struct yamlnode *value)
{
    const char *name = yamlnode_str(value);
    auto_free char *moved = NULL;
    auto_err struct err *e = NULL;

    if (value->kind == YAMLNODE_MAPPING || value->kind == YAMLNODE_LIST)
        return;
    if (value->kind == YAMLNODE_ALIAS) {
        left_alone(in, value, "an image by alias; change it where it is written");
        return;
    }
    if (!name || is_below(name, in->s->registry))
        return;
    moved = addons_image_name(name, in->s->registry, &e);
    if (!moved)
        findings_add(in->f, FINDING_WARNING, in->file, value->line, "left alone: %s", err_text(e));
    else if (yamledit_set(&in->ed, value, moved) < 0)
        left_alone(in, value, "an image that is not written in one line");
    else
        in->counts.images++;
}

/* Every "image", in whatever object, but that of a Ceph disk. */
static void edit_images(struct addons_editing *in, const struct yamlnode *n, bool is_disk)
{
    for (size_t i = 0; i < n->n_items; i++) {
        const struct yamlnode *item = n->items[i];
        const char *key =
            n->kind == YAMLNODE_MAPPING && i % 2 ? yamlnode_str(n->items[i - 1]) : NULL;

        if (n->kind == YAMLNODE_MAPPING && i % 2 == 0)
            continue;
        if (key && !is_disk && !strcmp(key, "image"))
            edit_image(in, item);
        edit_images(in, item, key && !strcmp(key, "rbd"));
    }
}

/* multus before 4 writes the token of its account into a kubeconfig once, when it starts. */
static void check_multus(struct addons_editing *in, const struct yamlnode *container)
{
    const struct yamlnode *image = yamlnode_get(container, "image");
    const char *name = yamlnode_str(image), *last;
    auto_ref struct ref ref = {.host = NULL};

    if (in->s->kube_minor < 21 || !name || ref_parse(name, &ref, NULL) < 0 || !ref.tag)
        return;
    last = strrchr(ref.repo, '/');
    if (strcmp(last ? last + 1 : ref.repo, "multus") != 0 || strncmp(ref.tag, "v3.", 3) != 0)
        return;
    findings_add(in->f, FINDING_WARNING, in->file, image->line,
                 "multus %s writes its token into a kubeconfig once, and with Kubernetes 1.21 or "
                 "later that token expires: pods with macvlan then fail until multus is restarted",
                 ref.tag + 1);
}

static void edit_object(struct addons_editing *in, const struct yamlnode *object)
{
    static const char *const lists[] = {"initContainers", "containers"};
    const struct yamlnode *spec = addons_pod_spec(object);

    addons_edit_configmap(in, object);
    for (size_t i = 0; i < 2; i++) {
        const struct yamlnode *list = yamlnode_get(spec, lists[i]);

        for (size_t j = 0; list && list->kind == YAMLNODE_LIST && j < list->n_items; j++) {
            check_multus(in, list->items[j]);
            if (in->s->iface_args)
                addons_edit_args(in, list->items[j]);
        }
    }
}

static void edit_document(struct addons_editing *in, const struct yamlnode *doc)
{
    const struct yamlnode *items = yamlnode_get(doc, "items");

    if (in->s->registry)
        edit_images(in, doc, false);
    edit_object(in, doc);
    for (size_t i = 0; items && items->kind == YAMLNODE_LIST && i < items->n_items; i++)
        edit_object(in, items->items[i]);
}

/* What comes out must be YAML of as many documents as before. */
static int check(const struct addons_editing *in, const struct buf *out, size_t before,
                 size_t n_documents, struct err **e)
{
    auto_yamltree struct yamltree tree = {.n_documents = 0};
    int r = yamltree_parse(out->data + before, out->len - before, &tree, e);

    if (r == 0 && tree.n_documents != n_documents)
        r = err_set(e, -EINVAL, "the changes would break it");
    return r < 0 ? err_wrap(e, "'%s' after the changes", in->file) : 0;
}

int addons_edit(const struct addons_settings *s, const char *file, const char *text, size_t len,
                struct buf *out, struct addons_edited *counts, struct findings *f, struct err **e)
{
    struct addons_editing in = {.s = s, .file = file, .counts = *counts, .f = f};
    auto_yamltree struct yamltree tree = {.n_documents = 0};
    size_t before = out->len;
    int r = yamltree_parse(text, len, &tree, e);

    if (r < 0)
        return err_wrap(e, "'%s'", file);
    yamledit_init(&in.ed, text, len);
    for (size_t i = 0; i < tree.n_documents; i++)
        edit_document(&in, tree.documents[i]);
    r = yamledit_apply(&in.ed, out, e);
    if (r == 0)
        r = check(&in, out, before, tree.n_documents, e);
    yamledit_release(&in.ed);
    if (r == 0)
        *counts = in.counts;
    return r;
}
