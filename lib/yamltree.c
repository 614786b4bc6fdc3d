/* Events become nodes. libyaml counts characters, we want bytes: both are told apart here. */
#include "yamltree.h"

#include "mem.h"
#include "yamlscan.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct builder {
    struct yamltree *tree;
    struct yamlnode *open[YAMLTREE_MAX_DEPTH];
    size_t depth;
    size_t n_nodes;
    const struct yamlnode **anchors; /* of this document */
    size_t n_anchors;
    uint32_t *offsets; /* byte of each character, and the end; NULL where all are ASCII */
    size_t n_offsets;
    size_t bom; /* bytes before the first character */
};

/* Bytes of the character that begins with `c`, in valid UTF-8. */
static size_t width(unsigned char c)
{
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static void map_offsets(struct builder *b, const char *text, size_t len)
{
    bool is_ascii = true;

    for (size_t i = 0; i < len && is_ascii; i++)
        is_ascii = (unsigned char)text[i] < 0x80;
    if (is_ascii)
        return;
    b->offsets = xcalloc(len + 1, sizeof(*b->offsets));
    for (size_t i = 0; i < len; i += width((unsigned char)text[i]))
        b->offsets[b->n_offsets++] = (uint32_t)i;
    b->offsets[b->n_offsets++] = (uint32_t)len;
}

static size_t byte_of(const struct builder *b, const yaml_mark_t *mark)
{
    if (!b->offsets)
        return b->bom + mark->index;
    return b->bom + b->offsets[mark->index < b->n_offsets ? mark->index : b->n_offsets - 1];
}

static void free_node(struct yamlnode *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n_items; i++)
        free_node(n->items[i]);
    free(n->items);
    free(n->text);
    free(n->anchor);
    free(n);
}

static const struct yamlnode *find_anchor(const struct builder *b, const char *name)
{
    for (size_t i = b->n_anchors; i-- > 0;)
        if (!strcmp(b->anchors[i]->anchor, name))
            return b->anchors[i];
    return NULL;
}

static bool is_open(const struct builder *b, const struct yamlnode *n)
{
    for (size_t i = 0; i < b->depth; i++)
        if (b->open[i] == n)
            return true;
    return false;
}

/* Hangs a node into the innermost open collection, or makes it the document. */
static int add_node(struct builder *b, struct yamlnode *n, struct err **e)
{
    struct yamlnode *parent = b->depth ? b->open[b->depth - 1] : NULL;

    if (b->n_nodes++ == YAMLTREE_MAX_NODES) {
        int r = err_set(e, -EINVAL, "line %zu: more than %d values", n->line, YAMLTREE_MAX_NODES);

        free_node(n);
        return r;
    }
    if (parent) {
        array_grow(parent->items, parent->n_items);
        parent->items[parent->n_items++] = n;
    } else {
        array_grow(b->tree->documents, b->tree->n_documents);
        b->tree->documents[b->tree->n_documents++] = n;
    }
    if (n->anchor && n->kind != YAMLNODE_ALIAS) {
        array_grow(b->anchors, b->n_anchors);
        b->anchors[b->n_anchors++] = n;
    }
    return 0;
}

/* Skips what stands before a value: its anchor and its tag, in any order. */
static size_t skip_properties(const char *text, size_t start, size_t end)
{
    while (start < end && (text[start] == '&' || text[start] == '!')) {
        while (start < end && !strchr(" \t\r\n", text[start]))
            start++;
        while (start < end && strchr(" \t\r\n", text[start]))
            start++;
    }
    return start;
}

static struct yamlnode *new_node(const struct builder *b, const yaml_event_t *event,
                                 enum yamlnode_kind kind, const yaml_char_t *anchor)
{
    struct yamlnode *n = xcalloc(1, sizeof(*n));

    n->kind = kind;
    n->start = byte_of(b, &event->start_mark);
    n->end = byte_of(b, &event->end_mark);
    n->line = event->start_mark.line + 1;
    n->column = event->start_mark.column + 1;
    n->anchor = xstrdup((const char *)anchor);
    n->has_anchor = anchor && kind != YAMLNODE_ALIAS;
    return n;
}

static int take_scalar(struct builder *b, const char *text, const yaml_event_t *event,
                       struct err **e)
{
    static const enum yamlnode_style styles[] = {
        [YAML_ANY_SCALAR_STYLE] = YAMLNODE_PLAIN,
        [YAML_PLAIN_SCALAR_STYLE] = YAMLNODE_PLAIN,
        [YAML_SINGLE_QUOTED_SCALAR_STYLE] = YAMLNODE_SINGLE,
        [YAML_DOUBLE_QUOTED_SCALAR_STYLE] = YAMLNODE_DOUBLE,
        [YAML_LITERAL_SCALAR_STYLE] = YAMLNODE_LITERAL,
        [YAML_FOLDED_SCALAR_STYLE] = YAMLNODE_FOLDED,
    };
    struct yamlnode *n = new_node(b, event, YAMLNODE_SCALAR, event->data.scalar.anchor);

    n->style = styles[event->data.scalar.style];
    n->len = event->data.scalar.length;
    n->text = xmalloc(n->len + 1);
    memcpy(n->text, event->data.scalar.value, n->len);
    n->text[n->len] = '\0';
    n->has_tag = event->data.scalar.tag != NULL;
    if (n->has_tag || n->has_anchor)
        n->start = skip_properties(text, n->start, n->end);
    return add_node(b, n, e);
}

static int take_alias(struct builder *b, const yaml_event_t *event, struct err **e)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct yamlnode *n = new_node(b, event, YAMLNODE_ALIAS, event->data.alias.anchor);
    const struct yamlnode *target = find_anchor(b, name);
    size_t line = n->line;

    if (!target) {
        free_node(n);
        return err_set(e, -EINVAL, "line %zu: alias '%.100s' has no anchor before it", line, name);
    }
    n->target = is_open(b, target) ? NULL : target;
    return add_node(b, n, e);
}

static int open_collection(struct builder *b, const yaml_event_t *event, struct err **e)
{
    bool is_mapping = event->type == YAML_MAPPING_START_EVENT;
    bool is_flow = is_mapping ? event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
                              : event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    struct yamlnode *n =
        new_node(b, event, is_mapping ? YAMLNODE_MAPPING : YAMLNODE_LIST,
                 is_mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor);
    int r;

    n->style = is_flow ? YAMLNODE_FLOW : YAMLNODE_BLOCK;
    n->has_tag =
        is_mapping ? event->data.mapping_start.tag != NULL : event->data.sequence_start.tag != NULL;
    if (b->depth == YAMLTREE_MAX_DEPTH) {
        r = err_set(e, -EINVAL, "line %zu: nested deeper than %d levels", n->line,
                    YAMLTREE_MAX_DEPTH);
        free_node(n);
        return r;
    }
    r = add_node(b, n, e);
    if (r == 0)
        b->open[b->depth++] = n;
    return r;
}

static int take_event(struct builder *b, const char *text, const yaml_event_t *event,
                      struct err **e)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        b->n_anchors = 0;
        return 0;
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(b, event, e);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        b->open[--b->depth]->end = byte_of(b, &event->end_mark);
        return 0;
    case YAML_SCALAR_EVENT:
        return take_scalar(b, text, event, e);
    case YAML_ALIAS_EVENT:
        return take_alias(b, event, e);
    default:
        return 0;
    }
}

static int build(struct builder *b, const char *text, yaml_parser_t *parser, struct err **e)
{
    bool at_end = false;
    int r = 0;

    while (!at_end && r == 0) {
        yaml_event_t event;

        if (!yaml_parser_parse(parser, &event))
            return yamlscan_parser_error(parser, e);
        at_end = event.type == YAML_STREAM_END_EVENT;
        r = take_event(b, text, &event, e);
        yaml_event_delete(&event);
    }
    return r;
}

int yamltree_parse(const char *text, size_t len, struct yamltree *out, struct err **e)
{
    struct yamltree tree = {.n_documents = 0};
    struct builder b = {.tree = &tree};
    yaml_parser_t parser;
    int r;

    if (len > YAMLTREE_MAX_SIZE)
        return err_set(e, -EINVAL, "larger than the %u bytes that a YAML file may have",
                       YAMLTREE_MAX_SIZE);
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        b.bom = 3;
    if (!yaml_parser_initialize(&parser))
        abort();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text + b.bom, len - b.bom);
    map_offsets(&b, text + b.bom, len - b.bom);
    r = build(&b, text, &parser, e);
    yaml_parser_delete(&parser);
    free(b.offsets);
    free(b.anchors);
    if (r < 0)
        yamltree_release(&tree);
    else
        *out = tree;
    return r;
}

void yamltree_release(struct yamltree *t)
{
    for (size_t i = 0; i < t->n_documents; i++)
        free_node(t->documents[i]);
    free(t->documents);
    *t = (struct yamltree){.n_documents = 0};
}

const struct yamlnode *yamlnode_deref(const struct yamlnode *n)
{
    return n && n->kind == YAMLNODE_ALIAS ? n->target : n;
}

const struct yamlnode *yamlnode_get(const struct yamlnode *mapping, const char *key)
{
    mapping = yamlnode_deref(mapping);
    if (!mapping || mapping->kind != YAMLNODE_MAPPING)
        return NULL;
    for (size_t i = 0; i + 1 < mapping->n_items; i += 2) {
        const struct yamlnode *k = yamlnode_deref(mapping->items[i]);

        if (k && k->kind == YAMLNODE_SCALAR && k->len == strlen(key) && !strcmp(k->text, key))
            return yamlnode_deref(mapping->items[i + 1]);
    }
    return NULL;
}

const struct yamlnode *yamlnode_path(const struct yamlnode *mapping, const char *const *keys)
{
    for (; mapping && *keys; keys++)
        mapping = yamlnode_get(mapping, *keys);
    return mapping;
}

const char *yamlnode_str(const struct yamlnode *n)
{
    n = yamlnode_deref(n);
    if (!n || n->kind != YAMLNODE_SCALAR || strlen(n->text) != n->len)
        return NULL;
    if (n->style == YAMLNODE_PLAIN &&
        (!n->len || !strcmp(n->text, "~") || !strcmp(n->text, "null")))
        return NULL;
    return n->text;
}
