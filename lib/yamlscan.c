/* A walk over the events of a YAML stream, with a stack of what is open. */
#include "yamlscan.h"

#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* A mapping or list that is open. */
struct level {
    bool is_mapping;
    char *key; /* of a mapping: the key whose value is due; NULL while a key is due */
};

struct anchor {
    char *name;
    char *value; /* NULL for a mapping or list */
    size_t len;
    bool is_plain;
};

struct walk {
    yamlscan_fn fn;
    void *arg;
    size_t document;
    struct level levels[YAMLSCAN_MAX_DEPTH];
    size_t depth;
    struct anchor *anchors; /* of this document */
    size_t n_anchors;
};

static size_t line_of(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

static void forget_anchors(struct walk *w)
{
    for (size_t i = 0; i < w->n_anchors; i++) {
        free(w->anchors[i].name);
        free(w->anchors[i].value);
    }
    free(w->anchors);
    w->anchors = NULL;
    w->n_anchors = 0;
}

/* The last one of that name counts. */
static const struct anchor *find_anchor(const struct walk *w, const char *name)
{
    for (size_t i = w->n_anchors; i-- > 0;)
        if (!strcmp(w->anchors[i].name, name))
            return &w->anchors[i];
    return NULL;
}

/* A NULL name is no anchor. */
static int keep_anchor(struct walk *w, const yaml_char_t *name, const yaml_event_t *event,
                       bool is_scalar, struct err **e)
{
    struct anchor a = {.name = NULL};

    if (!name)
        return 0;
    if (w->n_anchors == YAMLSCAN_MAX_ANCHORS)
        return err_set(e, -EINVAL, "line %zu: more than %d anchors", line_of(event),
                       YAMLSCAN_MAX_ANCHORS);
    a.name = xstrdup((const char *)name);
    if (is_scalar) {
        a.len = event->data.scalar.length;
        a.value = xmalloc(a.len + 1);
        memcpy(a.value, event->data.scalar.value, a.len + 1);
        a.is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    }
    array_grow(w->anchors, w->n_anchors);
    w->anchors[w->n_anchors++] = a;
    return 0;
}

static struct level *top(struct walk *w)
{
    return w->depth ? &w->levels[w->depth - 1] : NULL;
}

static bool key_is_due(struct walk *w)
{
    return w->depth && top(w)->is_mapping && !top(w)->key;
}

/* A value is complete: its mapping waits for the next key. */
static void value_done(struct walk *w)
{
    if (!w->depth)
        return;
    free(top(w)->key);
    top(w)->key = NULL;
}

static int open_level(struct walk *w, bool is_mapping, const yaml_char_t *anchor,
                      const yaml_event_t *event, struct err **e)
{
    if (key_is_due(w))
        return err_set(e, -EINVAL, "line %zu: a mapping or list as a key is not supported",
                       line_of(event));
    if (w->depth == YAMLSCAN_MAX_DEPTH)
        return err_set(e, -EINVAL, "line %zu: nested deeper than %d levels", line_of(event),
                       YAMLSCAN_MAX_DEPTH);
    w->levels[w->depth++] = (struct level){.is_mapping = is_mapping};
    return keep_anchor(w, anchor, event, false, e);
}

static void close_level(struct walk *w)
{
    free(w->levels[--w->depth].key);
    value_done(w);
}

/* The key of the nearest mapping around the innermost one. */
static const char *parent_key(const struct walk *w)
{
    for (size_t i = w->depth; i-- > 1;)
        if (w->levels[i - 1].is_mapping)
            return w->levels[i - 1].key;
    return NULL;
}

static int report(struct walk *w, const yaml_event_t *event, const char *text, size_t len,
                  bool is_plain, struct err **e)
{
    struct yamlscan_value value = {
        .document = w->document,
        .key = w->depth ? top(w)->key : NULL,
        .parent = parent_key(w),
        .text = text,
        .len = len,
        .is_plain = is_plain,
        .line = line_of(event),
        .column = event->start_mark.column + 1,
    };
    int r = w->fn(w->arg, &value, e);

    value_done(w);
    return r < 0 ? r : 0;
}

static int take_scalar(struct walk *w, const yaml_event_t *event, struct err **e)
{
    const char *text = (const char *)event->data.scalar.value;
    int r = keep_anchor(w, event->data.scalar.anchor, event, true, e);

    if (r < 0)
        return r;
    if (key_is_due(w)) {
        top(w)->key = xstrdup(text);
        return 0;
    }
    return report(w, event, text, event->data.scalar.length,
                  event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE, e);
}

static int take_alias(struct walk *w, const yaml_event_t *event, struct err **e)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *a = find_anchor(w, name);

    if (!a)
        return err_set(e, -EINVAL, "line %zu: alias '%.100s' has no anchor before it",
                       line_of(event), name);
    if (key_is_due(w) && !a->value)
        return err_set(e, -EINVAL, "line %zu: a mapping or list as a key is not supported",
                       line_of(event));
    if (key_is_due(w))
        top(w)->key = xstrdup(a->value);
    else if (a->value)
        return report(w, event, a->value, a->len, a->is_plain, e);
    else
        value_done(w);
    return 0;
}

static int take_event(struct walk *w, const yaml_event_t *event, struct err **e)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        w->document++;
        forget_anchors(w);
        return 0;
    case YAML_MAPPING_START_EVENT:
        return open_level(w, true, event->data.mapping_start.anchor, event, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_level(w, false, event->data.sequence_start.anchor, event, e);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        close_level(w);
        return 0;
    case YAML_SCALAR_EVENT:
        return take_scalar(w, event, e);
    case YAML_ALIAS_EVENT:
        return take_alias(w, event, e);
    default:
        return 0;
    }
}

int yamlscan_parser_error(const yaml_parser_t *parser, struct err **e)
{
    const char *problem = parser->problem ? parser->problem : "out of memory";

    if (parser->error == YAML_READER_ERROR)
        return err_set(e, -EINVAL, "byte %zu: %s; YAML must be UTF-8 text", parser->problem_offset,
                       problem);
    return err_set(e, -EINVAL, "line %zu: not valid YAML: %s%s%s", parser->problem_mark.line + 1,
                   problem, parser->context ? " " : "", parser->context ? parser->context : "");
}

static int walk_events(struct walk *w, yaml_parser_t *parser, struct err **e)
{
    bool at_end = false;
    int r = 0;

    while (!at_end && r == 0) {
        yaml_event_t event;

        if (!yaml_parser_parse(parser, &event))
            return yamlscan_parser_error(parser, e);
        at_end = event.type == YAML_STREAM_END_EVENT;
        r = take_event(w, &event, e);
        yaml_event_delete(&event);
    }
    return r;
}

int yamlscan_each(const char *text, size_t len, yamlscan_fn fn, void *arg, struct err **e)
{
    struct walk w = {.fn = fn, .arg = arg};
    yaml_parser_t parser;
    int r;

    if (len > YAMLSCAN_MAX_SIZE)
        return err_set(e, -EINVAL, "larger than the %u bytes that a YAML file may have",
                       YAMLSCAN_MAX_SIZE);
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        len -= 3;
    }
    if (!yaml_parser_initialize(&parser))
        abort();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    r = walk_events(&w, &parser, e);
    yaml_parser_delete(&parser);
    while (w.depth)
        close_level(&w);
    forget_anchors(&w);
    return r;
}
