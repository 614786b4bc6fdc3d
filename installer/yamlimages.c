/* Images in YAML, and where list and YAML do not agree. */
#include "yamlimages.h"

#include "imageset.h"
#include "mem.h"
#include "yamlscan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEMPLATE_MARK "{{"

struct reader {
    struct yamlimages *images;
    const char *file;
    struct findings *f;
};

static bool is(const char *word, const char *expected)
{
    return word && !strcmp(word, expected);
}

static bool names_an_image(const struct yamlscan_value *value)
{
    if (is(value->key, "reference"))
        return is(value->parent, "image");
    return is(value->key, "image") && !is(value->parent, "rbd");
}

static bool is_null(const struct yamlscan_value *value)
{
    return !value->len || (value->is_plain && (is(value->text, "~") || is(value->text, "null")));
}

static void refuse_template(const struct reader *r, size_t line)
{
    findings_add(r->f, FINDING_ERROR, r->file, line,
                 "this is a template ('" TEMPLATE_MARK "'); render it first, for instance with "
                 "'helm template', and name the result");
}

static int take_value(void *arg, const struct yamlscan_value *value, struct err **e)
{
    struct reader *r = arg;
    struct yamlimages *y = r->images;
    struct yamlimage image = {.line = value->line};
    auto_err struct err *why = NULL;

    if (!names_an_image(value) || is_null(value))
        return 0;
    if (y->n_items == YAMLIMAGES_MAX)
        return err_set(e, -EINVAL, "line %zu: more than %d images", value->line, YAMLIMAGES_MAX);
    if (strstr(value->text, TEMPLATE_MARK)) {
        refuse_template(r, value->line);
        return 0;
    }
    if (strlen(value->text) != value->len) {
        findings_add(r->f, FINDING_ERROR, r->file, value->line, "the image holds a NUL byte");
        return 0;
    }
    if (ref_parse(value->text, &image.ref, &why) < 0) {
        findings_add(r->f, FINDING_ERROR, r->file, value->line, "%s", err_text(why));
        return 0;
    }
    image.name = ref_format(&image.ref);
    image.file = xstrdup(r->file);
    array_grow(y->items, y->n_items);
    y->items[y->n_items++] = image;
    return 0;
}

/* The line (from 1) of the first template mark, 0 for none. */
static size_t find_template(const char *text, size_t len)
{
    const char *mark = memmem(text, len, TEMPLATE_MARK, strlen(TEMPLATE_MARK));
    size_t line = 1;

    if (!mark)
        return 0;
    for (const char *p = text; p < mark; p++)
        line += *p == '\n';
    return line;
}

void yamlimages_add(struct yamlimages *y, const char *file, const char *text, size_t len,
                    struct findings *f)
{
    struct reader r = {.images = y, .file = file, .f = f};
    auto_err struct err *e = NULL;
    size_t line;

    if (yamlscan_each(text, len, take_value, &r, &e) == 0)
        return;
    /* Templates are seldom YAML; then they are the reason worth naming. */
    line = find_template(text, len);
    if (line)
        refuse_template(&r, line);
    else
        findings_add(f, FINDING_ERROR, file, 0, "%s", err_text(e));
}

void yamlimages_release(struct yamlimages *y)
{
    for (size_t i = 0; i < y->n_items; i++) {
        ref_release(&y->items[i].ref);
        free(y->items[i].name);
        free(y->items[i].file);
    }
    free(y->items);
    *y = (struct yamlimages){.n_items = 0};
}

static bool same_image(const struct ref *a, const struct ref *b)
{
    if (strcmp(a->repo, b->repo) || strcmp(a->host, b->host))
        return false;
    if (a->digest && b->digest)
        return !strcmp(a->digest, b->digest);
    return a->tag && b->tag && !strcmp(a->tag, b->tag);
}

static bool is_excused(const struct ref *ref)
{
    return imageset_is_server(ref) ||
           (!strcmp(ref->host, "docker.io") && !strcmp(ref->repo, "flatnet/flatnet"));
}

/* Looks for one image in the list and marks what it finds as used. */
static bool find_in_list(const struct yamlimage *image, const struct imagelist *list, bool *used)
{
    bool found = false;

    for (size_t i = 0; i < list->n_entries; i++) {
        if (!same_image(&image->ref, &list->entries[i]->ref))
            continue;
        used[i] = found = true;
    }
    return found;
}

void yamlimages_crosscheck(const struct yamlimages *y, const struct imagelist *list,
                           bool allow_missing, struct findings *f)
{
    auto_free bool *used = xcalloc(list->n_entries, sizeof(*used));

    for (size_t i = 0; i < y->n_items; i++) {
        const struct yamlimage *image = &y->items[i];

        if (find_in_list(image, list, used))
            continue;
        if (allow_missing)
            findings_add(f, FINDING_WARNING, image->file, image->line,
                         "image '%s' is not in the bundle", image->name);
        else
            findings_add(f, FINDING_ERROR, image->file, image->line,
                         "image '%s' is not in the bundle; add it to the list, or go on without "
                         "it by --allow-missing",
                         image->name);
    }
    for (size_t i = 0; i < list->n_entries; i++) {
        const struct imagelist_entry *entry = list->entries[i];

        if (!used[i] && !is_excused(&entry->ref))
            findings_add(f, FINDING_NOTE, entry->file, entry->line, "no YAML names the image '%s'",
                         entry->name);
    }
}
