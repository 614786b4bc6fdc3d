/* Checks of a file as a whole: what no YAML parser and no Kubernetes client would let pass. */
#include "addons_lint.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define TABS_MAX 20 /* of one file that are named */

struct lines {
    struct addons_lint *l;
    const char *file;
    const struct yamltree *tree; /* NULL where the file is no YAML */
};

/* Where the text ends that the byte belongs to: a block scalar, or one in quotes; 0 for none. */
static size_t end_of_text(const struct yamlnode *n, size_t at)
{
    size_t end = 0;

    if (at < n->start || at >= n->end)
        return 0;
    if (n->kind == YAMLNODE_SCALAR)
        return n->style == YAMLNODE_PLAIN ? 0 : n->end;
    for (size_t i = 0; i < n->n_items && !end; i++)
        end = end_of_text(n->items[i], at);
    return end;
}

static size_t find_text_end(const struct yamltree *tree, size_t at)
{
    size_t end = 0;

    for (size_t i = 0; tree && i < tree->n_documents && !end; i++)
        end = end_of_text(tree->documents[i], at);
    return end;
}

/* Tabs that indent, outside of texts. libyaml only says that it cannot go on there. */
static void check_tabs(const struct lines *in, const char *text, size_t len)
{
    size_t line = 1, text_end = 0, found = 0;

    for (size_t at = 0; at < len && found < TABS_MAX; line++) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len, tab = at;

        while (tab < end && text[tab] == ' ')
            tab++;
        at = end + 1;
        if (tab == end || text[tab] != '\t' || tab < text_end)
            continue;
        text_end = find_text_end(in->tree, tab);
        if (text_end)
            continue;
        found++;
        findings_add(in->l->f, in->tree ? FINDING_WARNING : FINDING_ERROR, in->file, line,
                     "a tab indents this line; YAML takes blanks only");
    }
}

static int compare_keys(const void *a, const void *b)
{
    const struct yamlnode *x = *(const struct yamlnode *const *)a;
    const struct yamlnode *y = *(const struct yamlnode *const *)b;
    int order = strcmp(x->text, y->text);

    return order ? order : x->start < y->start ? -1 : 1;
}

static void check_duplicate_keys(struct addons_lint *l, const char *file, const struct yamlnode *n)
{
    auto_free const struct yamlnode **keys = NULL;
    size_t n_keys = 0;

    for (size_t i = 0; i < n->n_items; i++)
        check_duplicate_keys(l, file, n->items[i]);
    if (n->kind != YAMLNODE_MAPPING || n->n_items < 4)
        return;
    keys = xcalloc(n->n_items / 2, sizeof(*keys));
    for (size_t i = 0; i + 1 < n->n_items; i += 2)
        if (n->items[i]->kind == YAMLNODE_SCALAR)
            keys[n_keys++] = n->items[i];
    qsort(keys, n_keys, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < n_keys; i++)
        if (!strcmp(keys[i - 1]->text, keys[i]->text))
            findings_add(l->f, FINDING_ERROR, file, keys[i]->line,
                         "the key '%.100s' stands here again, after line %zu; one of the two is "
                         "lost",
                         keys[i]->text, keys[i - 1]->line);
}

static bool is_empty(const struct yamlnode *doc)
{
    return doc->kind == YAMLNODE_SCALAR && !yamlnode_str(doc);
}

static void check_document(struct addons_lint *l, const char *file, const struct yamlnode *doc)
{
    if (is_empty(doc))
        return;
    l->n_documents++;
    check_duplicate_keys(l, file, doc);
    addons_lint_object(l, file, doc);
}

static void check_size(struct addons_lint *l, const char *file, size_t len)
{
    if (len > ADDONS_CONFIGMAP_MAX) {
        findings_add(l->f, FINDING_ERROR, file, 0,
                     "%zu bytes; RKE keeps all addons in one ConfigMap, which holds %u; apply this "
                     "file by hand, or leave out what is not needed",
                     len, ADDONS_CONFIGMAP_MAX);
        return;
    }
    if (l->n_bytes <= ADDONS_CONFIGMAP_MAX && l->n_bytes + len > ADDONS_CONFIGMAP_MAX)
        findings_add(l->f, FINDING_ERROR, file, 0,
                     "together with the files before it more than the %u bytes of the ConfigMap "
                     "that RKE keeps all addons in",
                     ADDONS_CONFIGMAP_MAX);
    l->n_bytes += len;
}

void addons_lint_file(struct addons_lint *l, const char *file, const char *text, size_t len)
{
    auto_yamltree struct yamltree tree = {.n_documents = 0};
    auto_err struct err *e = NULL;
    struct lines lines = {.l = l, .file = file, .tree = &tree};
    size_t before = l->n_documents;

    check_size(l, file, len);
    if (yamltree_parse(text, len, &tree, &e) < 0) {
        lines.tree = NULL;
        findings_add(l->f, FINDING_ERROR, file, 0, "%s%s", err_text(e),
                     memmem(text, len, "{{", 2) ? " (it looks like a template: render it first)"
                                                : "");
    }
    check_tabs(&lines, text, len);
    for (size_t i = 0; i < tree.n_documents; i++)
        check_document(l, file, tree.documents[i]);
    if (lines.tree && l->n_documents == before)
        findings_add(l->f, FINDING_WARNING, file, 0, "no object is in it");
}

static void forget(struct addons_seen **seen, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        free((*seen)[i].what);
        free((*seen)[i].file);
    }
    free(*seen);
    *seen = NULL;
    *count = 0;
}

void addons_lint_cut(struct addons_lint *l)
{
    forget(&l->objects, &l->n_objects);
    forget(&l->selectors, &l->n_selectors);
    l->n_bytes = 0;
}

void addons_lint_release(struct addons_lint *l)
{
    addons_lint_cut(l);
}
