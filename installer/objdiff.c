/* Line by line: the longest common subsequence of two texts, shown as a unified diff. */
#include "objdiff.h"

#include "json.h"
#include "mem.h"
#include "yamljson.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT 3
#define CELLS_MAX (16u << 20) /* larger middles are shown as one replacement */
#define YAML_MAX (4u << 20)
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

struct line {
    const char *start;
    size_t len;
};

struct lines {
    struct line *items;
    size_t count;
};

enum op { KEEP, DROP, ADD };

struct step {
    enum op op;
    const struct line *line;
};

struct script {
    struct step *steps;
    size_t count;
};

static struct lines split(const char *text)
{
    struct lines l = {.count = 0};

    array_grow(l.items, l.count); /* no lines are an array too */
    while (*text) {
        size_t len = strcspn(text, "\n");

        array_grow(l.items, l.count);
        l.items[l.count++] = (struct line){text, len};
        text += len + (text[len] == '\n');
    }
    return l;
}

static bool is_same(const struct line *a, const struct line *b)
{
    return a->len == b->len && !memcmp(a->start, b->start, a->len);
}

static void add_step(struct script *s, enum op op, const struct line *line)
{
    array_grow(s->steps, s->count);
    s->steps[s->count++] = (struct step){op, line};
}

/* lengths[i][j]: of the common subsequence of a[i..] and b[j..]. */
static void walk(const struct line *a, size_t n, const struct line *b, size_t m, struct script *s)
{
    size_t width = m + 1, i = 0, j = 0;
    auto_free uint32_t *lengths = NULL;

    if ((n + 1) * width <= CELLS_MAX) {
        lengths = xcalloc((n + 1) * width, sizeof(*lengths));
        for (size_t p = n; p-- > 0;)
            for (size_t q = m; q-- > 0;) {
                uint32_t down = lengths[(p + 1) * width + q], right = lengths[p * width + q + 1];

                lengths[p * width + q] = is_same(&a[p], &b[q])
                                             ? lengths[(p + 1) * width + q + 1] + 1
                                         : down > right ? down
                                                        : right;
            }
    }
    while (lengths && i < n && j < m) {
        if (is_same(&a[i], &b[j])) {
            add_step(s, KEEP, &a[i++]);
            j++;
        } else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) {
            add_step(s, DROP, &a[i++]);
        } else {
            add_step(s, ADD, &b[j++]);
        }
    }
    for (; i < n; i++)
        add_step(s, DROP, &a[i]);
    for (; j < m; j++)
        add_step(s, ADD, &b[j]);
}

static struct script compare(const struct lines *a, const struct lines *b)
{
    size_t head = 0, tail = 0, least = a->count < b->count ? a->count : b->count;
    struct script s = {.count = 0};

    while (head < least && is_same(&a->items[head], &b->items[head]))
        add_step(&s, KEEP, &a->items[head++]);
    while (tail < least - head &&
           is_same(&a->items[a->count - 1 - tail], &b->items[b->count - 1 - tail]))
        tail++;
    if (head + tail < a->count || head + tail < b->count)
        walk(a->items + head, a->count - head - tail, b->items + head, b->count - head - tail, &s);
    for (size_t i = a->count - tail; i < a->count; i++)
        add_step(&s, KEEP, &a->items[i]);
    return s;
}

/* Where the hunk that holds the change at `at` ends: behind its last change, and the context. */
static size_t hunk_end(const struct script *s, size_t at)
{
    size_t last = at;

    for (size_t i = at; i < s->count && i <= last + 2 * CONTEXT; i++)
        if (s->steps[i].op != KEEP)
            last = i;
    return last + CONTEXT + 1 < s->count ? last + CONTEXT + 1 : s->count;
}

static size_t count_of(const struct script *s, size_t from, size_t to, enum op without)
{
    size_t n = 0;

    for (size_t i = from; i < to; i++)
        n += s->steps[i].op != without;
    return n;
}

static void add_hunk(const struct script *s, size_t from, size_t to, struct buf *out)
{
    size_t old_lines = count_of(s, from, to, ADD), new_lines = count_of(s, from, to, DROP);

    (void)buf_addf(out, "@@ -%zu,%zu +%zu,%zu @@\n",
                   count_of(s, 0, from, ADD) + (old_lines ? 1 : 0), old_lines,
                   count_of(s, 0, from, DROP) + (new_lines ? 1 : 0), new_lines);
    for (size_t i = from; i < to; i++) {
        const struct step *step = &s->steps[i];

        (void)buf_addch(out, step->op == KEEP ? ' ' : step->op == DROP ? '-' : '+');
        (void)buf_add(out, step->line->start, step->line->len);
        (void)buf_addch(out, '\n');
    }
}

void objdiff_text(const char *old_name, const char *old_text, const char *new_name,
                  const char *new_text, struct buf *out)
{
    struct lines a = split(old_text), b = split(new_text);
    struct script s = compare(&a, &b);
    bool has_heading = false;

    for (size_t i = 0; i < s.count; i++) {
        size_t from, to;

        if (s.steps[i].op == KEEP)
            continue;
        from = i > CONTEXT ? i - CONTEXT : 0;
        to = hunk_end(&s, i);
        if (!has_heading)
            (void)buf_addf(out, "--- %s\n+++ %s\n", old_name, new_name);
        has_heading = true;
        add_hunk(&s, from, to, out);
        i = to - 1;
    }
    free(a.items);
    free(b.items);
    free(s.steps);
}

/* What is compared of an object. */
static cJSON *strip(const cJSON *object)
{
    static const char *const kept_by_server[] = {"managedFields", "resourceVersion",
                                                 "generation",    "uid",
                                                 "selfLink",      "creationTimestamp"};
    cJSON *copy = cJSON_Duplicate(object, true);
    cJSON *meta = cJSON_GetObjectItemCaseSensitive(copy, "metadata");
    cJSON *annotations = cJSON_GetObjectItemCaseSensitive(meta, "annotations");

    for (size_t i = 0; i < sizeof(kept_by_server) / sizeof(kept_by_server[0]); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(meta, kept_by_server[i]);
    cJSON_DeleteItemFromObjectCaseSensitive(annotations, LAST_APPLIED);
    if (annotations && !annotations->child)
        cJSON_DeleteItemFromObjectCaseSensitive(meta, "annotations");
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "status");
    return copy;
}

void objdiff_objects(const char *name, const cJSON *before, const cJSON *after, struct buf *out)
{
    auto_free char *old_name = xasprintf("%s (live)", name);
    auto_free char *new_name = xasprintf("%s (to be)", name);
    struct buf texts[2];
    const cJSON *objects[2] = {before, after};

    for (size_t i = 0; i < 2; i++) {
        auto_json cJSON *stripped = objects[i] ? strip(objects[i]) : NULL;

        buf_init(&texts[i], YAML_MAX);
        (void)yamljson_print(stripped, &texts[i]);
    }
    objdiff_text(old_name, texts[0].data, new_name, texts[1].data, out);
    for (size_t i = 0; i < 2; i++)
        buf_release(&texts[i]);
}
