/*
 * YAML of any bytes: the tree's marks lie within the text and within each other; the edits of
 * addons and of cluster YAML give YAML again, and done twice they give the same as done once.
 */
#include "addons_cluster.h"
#include "addons_edit.h"
#include "addons_lint.h"
#include "yamltree.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_marks(const struct yamlnode *n, size_t from, size_t to)
{
    size_t at = n->start;

    if (n->start < from || n->end > to || n->start > n->end)
        abort();
    for (size_t i = 0; i < n->n_items; i++) {
        if (n->items[i]->start < at)
            abort();
        at = n->items[i]->start;
        check_marks(n->items[i], n->start, to);
    }
}

static int edit_addons(const struct addons_settings *s, const char *text, size_t len,
                       struct buf *out)
{
    auto_findings struct findings f = {.n_items = 0};
    struct addons_edited counts = {.images = 0};

    return addons_edit(s, "x", text, len, out, &counts, &f, NULL);
}

static int edit_cluster(const struct addons_settings *s, const char *text, size_t len,
                        struct buf *out)
{
    static const char *const names[] = {"macvlan-network.yml", NULL};
    static const struct addons_places places = {.folder = "/x", .names = names};

    return addons_cluster_edit(s, &places, text, len, out, NULL);
}

static void edit_twice(const struct addons_settings *s, const char *text, size_t len,
                       int (*edit)(const struct addons_settings *s, const char *text, size_t len,
                                   struct buf *out))
{
    auto_buf struct buf once, twice;

    buf_init(&once, 1 << 20);
    buf_init(&twice, 1 << 20);
    if (edit(s, text, len, &once) < 0)
        return;
    if (edit(s, once.data, once.len, &twice) < 0 || once.len != twice.len ||
        memcmp(once.data, twice.data, once.len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ifaces[] = {"ens4", "ens5", NULL};
    static const struct addons_options o = {.registry = "h.example:5000/t",
                                            .ifaces = ifaces,
                                            .pod_cidr = "172.20.0.0/16",
                                            .service_cidr = "172.21.0.0/16"};
    auto_addons_settings struct addons_settings s = {.iface_args = NULL};
    auto_yamltree struct yamltree tree = {.n_documents = 0};
    auto_findings struct findings f = {.n_items = 0};
    auto_addons_lint struct addons_lint lint = {.kube_minor = 20, .f = &f};
    const char *text = (const char *)data;

    if (addons_settings_parse(&o, &s, NULL) < 0)
        abort();
    if (yamltree_parse(text, size, &tree, NULL) == 0)
        for (size_t i = 0; i < tree.n_documents; i++)
            check_marks(tree.documents[i], 0, size);
    addons_lint_file(&lint, "x", text, size);
    edit_twice(&s, text, size, edit_addons);
    edit_twice(&s, text, size, edit_cluster);
    return 0;
}
