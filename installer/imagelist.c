/* Lists of images: lines to references, repeats and contradictions found on the way. */
#include "imagelist.h"

#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\v\f"

struct reader {
    struct imagelist *list;
    const char *file;
    size_t line;
    struct findings *f;
};

/* The first place in `sorted` whose name is not before `name`. */
static size_t position_of(const struct imagelist *l, const char *name)
{
    size_t low = 0, high = l->n_entries;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(l->sorted[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct imagelist_entry *imagelist_find(const struct imagelist *l, const char *name)
{
    size_t at = position_of(l, name);

    return at < l->n_entries && !strcmp(l->sorted[at]->name, name) ? l->sorted[at] : NULL;
}

/* An entry with the same tag and another digest, or with one where `ref` has none, or none where
 * it has one: a tag can stand for one image only. */
static const struct imagelist_entry *find_rival(const struct imagelist *l, const struct ref *ref)
{
    auto_free char *plain = NULL, *pinned = NULL;
    const struct imagelist_entry *rival;
    size_t at;

    if (!ref->tag)
        return NULL;
    plain = xasprintf("%s/%s:%s", ref->host, ref->repo, ref->tag);
    rival = imagelist_find(l, plain);
    if (rival)
        return rival;
    pinned = xasprintf("%s@", plain);
    at = position_of(l, pinned);
    if (at == l->n_entries || strncmp(l->sorted[at]->name, pinned, strlen(pinned)))
        return NULL;
    return l->sorted[at];
}

/* "at FILE:LINE", or "by FILE" where there are no lines. */
static char *place_of(const struct imagelist_entry *entry)
{
    if (entry->line)
        return xasprintf("at %s:%zu", entry->file, entry->line);
    return xasprintf("by %s", entry->file);
}

static void insert(struct imagelist *l, struct imagelist_entry *entry)
{
    size_t at = position_of(l, entry->name);

    array_grow(l->entries, l->n_entries);
    array_grow(l->sorted, l->n_entries);
    memmove(l->sorted + at + 1, l->sorted + at, (l->n_entries - at) * sizeof(*l->sorted));
    l->sorted[at] = entry;
    l->entries[l->n_entries++] = entry;
}

static void free_entry(struct imagelist_entry *entry)
{
    ref_release(&entry->ref);
    free(entry->name);
    free(entry->file);
    free(entry);
}

/* Says what stands against taking the entry; false where it is not taken. */
static bool may_enter(const struct imagelist *l, const struct imagelist_entry *entry,
                      struct findings *f)
{
    const struct imagelist_entry *other = imagelist_find(l, entry->name);
    auto_free char *place = NULL;

    if (other) {
        place = place_of(other);
        findings_add(f, FINDING_NOTE, entry->file, entry->line, "'%s' was named before %s",
                     entry->name, place);
        return false;
    }
    other = find_rival(l, &entry->ref);
    if (other) {
        place = place_of(other);
        findings_add(f, FINDING_ERROR, entry->file, entry->line,
                     "'%s' and '%s' %s give one tag two meanings; keep one of them", entry->name,
                     other->name, place);
        return false;
    }
    if (l->n_entries < IMAGELIST_MAX_IMAGES)
        return true;
    findings_add(f, FINDING_ERROR, entry->file, entry->line, "more than %d images",
                 IMAGELIST_MAX_IMAGES);
    return false;
}

static void warn_of_latest(const struct imagelist_entry *entry, struct findings *f)
{
    const struct ref *ref = &entry->ref;

    if (ref->digest || strcmp(ref->tag, "latest"))
        return;
    findings_add(f, FINDING_WARNING, entry->file, entry->line,
                 ref->tag_is_default
                     ? "'%s' is what a name without a tag means; what it stands for changes, name "
                       "a version"
                     : "what '%s' stands for changes, name a version",
                 entry->name);
}

void imagelist_add_ref(struct imagelist *l, const char *file, size_t line, struct ref *ref,
                       struct findings *f)
{
    struct imagelist_entry *entry = xmalloc(sizeof(*entry));

    *entry = (struct imagelist_entry){.ref = *ref,
                                      .name = ref_format(ref),
                                      .file = xstrdup(file),
                                      .line = line};
    *ref = (struct ref){.host = NULL};
    if (!may_enter(l, entry, f)) {
        free_entry(entry);
        return;
    }
    warn_of_latest(entry, f);
    insert(l, entry);
}

static bool starts_comment(const char *text)
{
    return text[0] == '#' || (text[0] == '/' && text[1] == '/');
}

/* Words up to a comment. */
static size_t count_words(const char *text)
{
    size_t words = 0;

    for (;;) {
        text += strspn(text, BLANKS);
        if (!*text || starts_comment(text))
            return words;
        words++;
        text += strcspn(text, BLANKS);
    }
}

/* `text` is one line without its end, NUL-terminated. */
static void read_line(struct reader *r, const char *text)
{
    size_t words = count_words(text);
    auto_free char *word = NULL;
    auto_ref struct ref ref = {.host = NULL};
    auto_err struct err *e = NULL;

    if (!words)
        return;
    if (words > 1) {
        findings_add(r->f, FINDING_ERROR, r->file, r->line, "%s",
                     words == 3 ? "this is the mirror form 'SOURCE DESTINATION TAG'; write only "
                                  "'SOURCE:TAG', where it goes is said to 'images push'"
                                : "more than one word; write one image on each line");
        return;
    }
    text += strspn(text, BLANKS);
    word = xstrndup(text, strcspn(text, BLANKS));
    if (ref_parse(word, &ref, &e) < 0)
        findings_add(r->f, FINDING_ERROR, r->file, r->line, "%s", err_text(e));
    else
        imagelist_add_ref(r->list, r->file, r->line, &ref, r->f);
}

static void read_raw_line(struct reader *r, const char *text, size_t len)
{
    auto_free char *line = NULL;

    if (len > IMAGELIST_MAX_LINE) {
        findings_add(r->f, FINDING_ERROR, r->file, r->line, "longer than %d bytes",
                     IMAGELIST_MAX_LINE);
        return;
    }
    if (memchr(text, '\0', len)) {
        findings_add(r->f, FINDING_ERROR, r->file, r->line, "holds a NUL byte");
        return;
    }
    line = xmalloc(len + 1);
    memcpy(line, text, len);
    line[len] = '\0';
    read_line(r, line);
}

/* What Windows' own tools write must not end as a puzzle about NUL bytes. */
static int check_encoding(const char *file, const char *text, size_t len, struct err **e)
{
    if (len < 2 || (memcmp(text, "\xff\xfe", 2) && memcmp(text, "\xfe\xff", 2)))
        return 0;
    return err_set(e, -EINVAL, "'%s' is UTF-16 text; save it as UTF-8", file);
}

int imagelist_add_text(struct imagelist *l, const char *file, const char *text, size_t len,
                       struct findings *f, struct err **e)
{
    struct reader r = {.list = l, .file = file, .f = f};
    size_t before = l->n_entries, told = f->count[FINDING_ERROR] + f->count[FINDING_NOTE];
    const char *end = text + len;
    int status = check_encoding(file, text, len, e);

    if (status < 0)
        return status;
    if (len > IMAGELIST_MAX_SIZE)
        return err_set(e, -EINVAL, "'%s' is larger than the %u bytes that a list may have", file,
                       IMAGELIST_MAX_SIZE);
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        text += 3;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line_len = (size_t)((newline ? newline : end) - text);

        r.line++;
        read_raw_line(&r, text, line_len);
        text = newline ? newline + 1 : end;
    }
    if (l->n_entries == before && f->count[FINDING_ERROR] + f->count[FINDING_NOTE] == told)
        findings_add(f, FINDING_WARNING, file, 0, "no image is named in it");
    return 0;
}

int imagelist_add_file(struct imagelist *l, const char *path, struct findings *f, struct err **e)
{
    auto_buf struct buf text;
    int r;

    buf_init(&text, IMAGELIST_MAX_SIZE);
    r = fs_read_file(path, &text, e);
    if (r < 0)
        return r;
    return imagelist_add_text(l, strcmp(path, "-") ? path : "standard input", text.data, text.len,
                              f, e);
}

void imagelist_release(struct imagelist *l)
{
    for (size_t i = 0; i < l->n_entries; i++)
        free_entry(l->entries[i]);
    free(l->entries);
    free(l->sorted);
    *l = (struct imagelist){.n_entries = 0};
}
