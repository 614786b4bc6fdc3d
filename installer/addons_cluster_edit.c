/* network.plugin and addons_include in the user's own cluster YAML. */
#include "addons_cluster.h"

#include "mem.h"
#include "yamledit.h"

#include <errno.h>
#include <string.h>

#define RANCHER_KEY "rancher_kubernetes_engine_config"

struct cluster {
    struct yamledit ed;
    const struct yamlnode *config; /* the mapping that holds RKE's settings */
};

static int cannot(const struct yamlnode *n, const char *what, struct err **e)
{
    return err_set(e, -EINVAL, "line %zu: %s has a shape that cannot be changed; set it by hand",
                   n->line, what);
}

static bool is_null(const struct yamlnode *n)
{
    return n->kind == YAMLNODE_SCALAR && !yamlnode_str(n);
}

/* Where the last line of a node ends, comments that come behind it not counted. */
static size_t last_line_end(const struct yamledit *ed, const struct yamlnode *n)
{
    while (n->n_items && n->style != YAMLNODE_FLOW)
        n = n->items[n->n_items - 1];
    if (n->kind == YAMLNODE_SCALAR && n->style >= YAMLNODE_LITERAL && n->end) {
        size_t end = n->end;

        /* A block scalar ends where the next thing begins; its last line is the one before. */
        while (end > n->start && strchr(" \r\n", ed->text[end - 1]))
            end--;
        return yamledit_line_end(ed, end);
    }
    return yamledit_line_end(ed, n->end > n->start ? n->end - 1 : n->start);
}

/* A new key at the end of a mapping by indentation; `lines` has LF and begins with the key. */
static int add_key(struct cluster *c, const struct yamlnode *mapping, const char *lines,
                   struct err **e)
{
    const struct yamlnode *first = mapping->n_items ? mapping->items[0] : mapping;
    size_t start, end;
    struct buf text;

    if (mapping->style != YAMLNODE_BLOCK || !mapping->n_items)
        return cannot(mapping, "a mapping in braces", e);
    start = yamledit_line_start(&c->ed, first->start);
    end = last_line_end(&c->ed, mapping->items[mapping->n_items - 1]);
    buf_init(&text, 64 << 10);
    while (*lines) {
        size_t len = strcspn(lines, "\n");

        (void)buf_addf(&text, "%s%*s%.*s", yamledit_newline(&c->ed), (int)(first->start - start),
                       "", (int)len, lines);
        lines += len + (lines[len] == '\n');
    }
    yamledit_replace(&c->ed, end, end, text.data);
    buf_release(&text);
    return 0;
}

/* Sets mapping.keys[0].keys[1]... to a value; what is missing of the way is added. */
static int set_path(struct cluster *c, const struct yamlnode *mapping, const char *const *keys,
                    const char *value, struct err **e)
{
    const struct yamlnode *next = yamlnode_get(mapping, *keys);
    struct buf lines;
    int r, depth = 0;

    if (next && !is_null(next)) {
        if (keys[1])
            return next->kind == YAMLNODE_MAPPING ? set_path(c, next, keys + 1, value, e)
                                                  : cannot(next, *keys, e);
        return yamledit_set(&c->ed, next, value) < 0 ? cannot(next, *keys, e) : 0;
    }
    if (next && !keys[1]) {
        auto_free char *with = xasprintf("%s%s", next->end > next->start ? "" : " ", value);

        yamledit_replace(&c->ed, next->start, next->end, with);
        return 0;
    }
    if (next)
        return cannot(next, *keys, e);
    buf_init(&lines, 4096);
    for (; keys[1]; keys++)
        (void)buf_addf(&lines, "%*s%s:\n", 2 * depth++, "", *keys);
    (void)buf_addf(&lines, "%*s%s: %s\n", 2 * depth, "", *keys, value);
    r = add_key(c, mapping, lines.data, e);
    buf_release(&lines);
    return r;
}

static bool is_included(const struct yamlnode *list, const char *path)
{
    for (size_t i = 0; i < list->n_items; i++) {
        const char *item = yamlnode_str(list->items[i]);

        if (item && !strcmp(item, path))
            return true;
    }
    return false;
}

/* One more path at the end of a list, by indentation or in brackets. */
static int append_path(struct cluster *c, const struct yamlnode *list, const char *scalar,
                       struct err **e)
{
    const struct yamlnode *last = list->items[list->n_items - 1];
    size_t start = yamledit_line_start(&c->ed, last->start), dash = start, at;
    auto_free char *text = NULL;

    if (list->style == YAMLNODE_FLOW) {
        text = xasprintf(", %s", scalar);
        yamledit_replace(&c->ed, last->end, last->end, text);
        return 0;
    }
    while (c->ed.text[dash] == ' ')
        dash++;
    if (dash + 1 >= last->start || c->ed.text[dash] != '-' || c->ed.text[dash + 1] != ' ')
        return cannot(list, "addons_include", e);
    at = last_line_end(&c->ed, last);
    text = xasprintf("%s%*s- %s", yamledit_newline(&c->ed), (int)(dash - start), "", scalar);
    yamledit_replace(&c->ed, at, at, text);
    return 0;
}

static int include(struct cluster *c, const char *path, struct err **e)
{
    const struct yamlnode *list = yamlnode_get(c->config, "addons_include");
    auto_free char *plain = yamledit_scalar(path, YAMLNODE_PLAIN);
    auto_free char *text = NULL;

    if (!list) {
        text = xasprintf("addons_include:\n  - %s\n", plain);
        return add_key(c, c->config, text, e);
    }
    if (is_null(list) || (list->kind == YAMLNODE_LIST && !list->n_items)) {
        auto_free char *quoted = yamledit_scalar(path, YAMLNODE_DOUBLE);

        text = xasprintf("%s[%s]", list->end == list->start ? " " : "", quoted);
        yamledit_replace(&c->ed, list->start, list->end, text);
        return 0;
    }
    if (list->kind != YAMLNODE_LIST)
        return cannot(list, "addons_include", e);
    return is_included(list, path) ? 0 : append_path(c, list, plain, e);
}

/* One thing to set. Each is done on the text that the one before left. */
struct step {
    const char *keys[4]; /* NULL-terminated; none: include */
    const char *value;
};

static int find_config(struct cluster *c, const struct yamltree *tree, struct err **e)
{
    const struct yamlnode *top = tree->n_documents ? tree->documents[0] : NULL;
    const struct yamlnode *below = yamlnode_get(top, RANCHER_KEY);

    if (tree->n_documents > 1)
        return err_set(e, -EINVAL, "more than one document");
    if (!top || top->kind != YAMLNODE_MAPPING)
        return err_set(e, -EINVAL, "no cluster YAML");
    if (below && below->kind != YAMLNODE_MAPPING)
        return cannot(below, RANCHER_KEY, e);
    c->config = below ? below : top;
    return 0;
}

static int take_step(const struct step *step, struct buf *text, struct err **e)
{
    auto_yamltree struct yamltree tree = {.n_documents = 0};
    struct cluster c = {.config = NULL};
    struct buf out;
    int r = yamltree_parse(text->data, text->len, &tree, e);

    yamledit_init(&c.ed, text->data, text->len);
    buf_init(&out, YAMLTREE_MAX_SIZE);
    if (r == 0)
        r = find_config(&c, &tree, e);
    if (r == 0)
        r = *step->keys ? set_path(&c, c.config, step->keys, step->value, e)
                        : include(&c, step->value, e);
    if (r == 0)
        r = yamledit_apply(&c.ed, &out, e);
    yamledit_release(&c.ed);
    if (r < 0) {
        buf_release(&out);
        return r;
    }
    buf_release(text);
    *text = out;
    return 0;
}

static int take_steps(const struct addons_settings *s, const struct addons_places *places,
                      struct buf *text, struct err **e)
{
    const struct step steps[] = {
        {{"network", "plugin"}, "none"},
        {{"services", "kube-api", "service_cluster_ip_range"},
         s->service.is_given ? s->service.text : NULL},
        {{"services", "kube-controller", "cluster_cidr"}, s->pod.is_given ? s->pod.text : NULL},
        {{"services", "kube-controller", "service_cluster_ip_range"},
         s->service.is_given ? s->service.text : NULL},
        {{"services", "kubelet", "cluster_dns_server"}, s->service.is_given ? s->dns_server : NULL},
    };
    int r = 0;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && r == 0; i++)
        if (steps[i].value)
            r = take_step(&steps[i], text, e);
    for (const char *const *name = places->names; *name && r == 0; name++) {
        auto_free char *path = addons_join(places->folder, *name);
        struct step step = {.value = path};

        r = take_step(&step, text, e);
    }
    return r;
}

int addons_cluster_edit(const struct addons_settings *s, const struct addons_places *places,
                        const char *text, size_t len, struct buf *out, struct err **e)
{
    auto_yamltree struct yamltree tree = {.n_documents = 0};
    auto_buf struct buf now;
    int r;

    buf_init(&now, YAMLTREE_MAX_SIZE);
    if (buf_add(&now, text, len) < 0)
        return err_set(e, -EINVAL, "larger than the %u bytes that a YAML file may have",
                       YAMLTREE_MAX_SIZE);
    r = take_steps(s, places, &now, e);
    if (r == 0)
        r = yamltree_parse(now.data, now.len, &tree, e);
    if (r == 0 && buf_add(out, now.data, now.len) < 0)
        r = err_set(e, -EFBIG, "the changed text is too long");
    return r;
}
