/* A change as a line, as a diff, and as JSON for the journal. */
#include "host_change.h"

#include "mem.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"folder", "file", "swap", "promisc", "module", "sysctl"};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

bool host_change_is_unit(const struct host_change *c)
{
    return c->kind == CHANGE_FILE &&
           (!strncmp(c->subject, "/etc/systemd/system/", 20) || !strcmp(c->subject, "/etc/fstab"));
}

static char *file_text(const struct host_change *c)
{
    if (c->after.kind == HOST_SYMLINK)
        return xasprintf("link %s -> %s", c->subject, c->after.content.data);
    return xasprintf("%s %s", c->before.kind == HOST_ABSENT ? "create" : "edit", c->subject);
}

/* "net/ipv4/ip_forward" as people write it. */
static char *sysctl_text(const struct host_change *c)
{
    char *text = xasprintf("sysctl %s=%s", c->subject, c->after.content.data);

    for (char *p = text; *p && *p != '='; p++)
        if (*p == '/')
            *p = '.';
    return text;
}

char *host_change_text(const struct host_change *c)
{
    switch (c->kind) {
    case CHANGE_FOLDER:
        return xasprintf("create folder %s", c->subject);
    case CHANGE_FILE:
        return file_text(c);
    case CHANGE_SWAP:
        return xasprintf("swapoff %s (priority %d)", c->subject, c->priority);
    case CHANGE_PROMISC:
        return xasprintf("ip link set %s promisc on", c->subject);
    case CHANGE_MODULE:
        return xasprintf("modprobe %s", c->subject);
    case CHANGE_SYSCTL:
        return sysctl_text(c);
    }
    return xstrdup("");
}

/* --- the diff --- */

#define CONTEXT 3

struct lines {
    const char **starts;
    size_t *lens; /* with the newline, where there is one */
    size_t count;
};

static void split_lines(const struct buf *text, struct lines *out)
{
    const char *p = text->data, *end = text->data + text->len;

    *out = (struct lines){.starts = NULL};
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *next = newline ? newline + 1 : end;
        size_t n = out->count;

        array_grow(out->starts, n);
        array_grow(out->lens, n);
        out->starts[n] = p;
        out->lens[n] = (size_t)(next - p);
        out->count++;
        p = next;
    }
}

static bool same_line(const struct lines *a, size_t i, const struct lines *b, size_t k)
{
    return a->lens[i] == b->lens[k] && !memcmp(a->starts[i], b->starts[k], a->lens[i]);
}

static void put_line(struct buf *out, char mark, const struct lines *l, size_t i)
{
    (void)buf_addch(out, mark);
    (void)buf_add(out, l->starts[i], l->lens[i]);
    if (l->starts[i][l->lens[i] - 1] != '\n')
        (void)buf_addstr(out, "\n\\ No newline at end of file\n");
}

/* One hunk from the first line that differs to the last. Tables whose rows were edited in place
 * keep their number of lines, and are shown row by row. */
static void put_hunk(const struct lines *a, const struct lines *b, struct buf *out)
{
    size_t top = 0, bottom = 0, start, a_end, b_end;

    while (top < a->count && top < b->count && same_line(a, top, b, top))
        top++;
    while (bottom < a->count - top && bottom < b->count - top &&
           same_line(a, a->count - 1 - bottom, b, b->count - 1 - bottom))
        bottom++;
    start = top > CONTEXT ? top - CONTEXT : 0;
    bottom -= bottom > CONTEXT ? CONTEXT : bottom;
    a_end = a->count - bottom;
    b_end = b->count - bottom;
    (void)buf_addf(out, "@@ -%zu,%zu +%zu,%zu @@\n", a_end > start ? start + 1 : start,
                   a_end - start, b_end > start ? start + 1 : start, b_end - start);
    if (a->count == b->count) {
        for (size_t i = start; i < a_end; i++) {
            bool same = same_line(a, i, b, i);

            put_line(out, same ? ' ' : '-', a, i);
            if (!same)
                put_line(out, '+', b, i);
        }
        return;
    }
    for (size_t i = start; i < a_end; i++)
        put_line(out, i < top ? ' ' : '-', a, i);
    for (size_t i = top; i < b_end; i++)
        put_line(out, '+', b, i);
}

void host_change_diff(const struct host_change *c, struct buf *out)
{
    auto_free char *text = host_change_text(c);
    struct lines before, after;

    if (c->kind != CHANGE_FILE || c->after.kind != HOST_REGULAR || c->before.kind == HOST_SYMLINK) {
        (void)buf_addf(out, "# %s\n", text);
        return;
    }
    (void)buf_addf(out, "--- %s\n+++ %s\n",
                   c->before.kind == HOST_ABSENT ? "/dev/null" : c->subject, c->subject);
    split_lines(&c->before.content, &before);
    split_lines(&c->after.content, &after);
    put_hunk(&before, &after, out);
    free(before.starts);
    free(before.lens);
    free(after.starts);
    free(after.lens);
}

/* --- JSON --- */

cJSON *host_change_json(const struct host_change *c)
{
    cJSON *obj = cJSON_CreateObject();

    json_add_str(obj, "kind", kinds[c->kind]);
    json_add_str(obj, "item", c->item);
    json_add_str(obj, "subject", c->subject);
    if (c->kind == CHANGE_SWAP) {
        (void)cJSON_AddNumberToObject(obj, "priority", c->priority);
        json_add_int(obj, "flags", c->swap_flags);
    }
    (void)cJSON_AddItemToObject(obj, "before", host_file_json(&c->before));
    (void)cJSON_AddItemToObject(obj, "after", host_file_json(&c->after));
    return obj;
}

static int read_swap(const cJSON *tree, struct host_change *c)
{
    const cJSON *priority = cJSON_GetObjectItemCaseSensitive(tree, "priority");
    int64_t flags;

    if (!cJSON_IsNumber(priority) || priority->valueint < -32768 || priority->valueint > 32767 ||
        json_get_size(tree, "flags", &flags) < 0 || flags > INT_MAX)
        return -EBADMSG;
    c->priority = priority->valueint;
    c->swap_flags = (unsigned)flags;
    return 0;
}

static int read_change(const cJSON *tree, struct host_change *c, struct err **e)
{
    const char *kind = json_get_str(tree, "kind"), *subject = json_get_str(tree, "subject");
    size_t k = 0;
    int r;

    while (kind && k < N_KINDS && strcmp(kinds[k], kind) != 0)
        k++;
    if (!kind || k == N_KINDS || !subject || !*subject)
        return err_set(e, -EBADMSG, "it names no change that is known");
    c->kind = (enum change_kind)k;
    c->subject = xstrdup(subject);
    if ((k == CHANGE_FILE || k == CHANGE_FOLDER || k == CHANGE_SWAP) && *subject != '/')
        return err_set(e, -EBADMSG, "'%s' is no absolute path", subject);
    if (k == CHANGE_SWAP && read_swap(tree, c) < 0)
        return err_set(e, -EBADMSG, "its priority or flags are missing");
    r = host_file_from_json(json_get_obj(tree, "before"), &c->before, e);
    return r < 0 ? r : host_file_from_json(json_get_obj(tree, "after"), &c->after, e);
}

int host_change_from_json(const cJSON *tree, struct host_change *out, struct err **e)
{
    struct host_change c = {.item = NULL};
    int r = read_change(tree, &c, e);

    if (r < 0)
        host_change_release(&c);
    else
        *out = c;
    return r;
}
