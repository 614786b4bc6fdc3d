/* Watches and lists, cut into events and items wherever the network cuts them. */
#include "kube_stream.h"

#include "json.h"
#include "kube_internal.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_BYTES (64u << 10) /* a buffer that was larger is given back */

void kube_mend_nul(char *text, size_t len)
{
    static const char nul[] = "\\u0000", mended[] = "\\ufffd";
    const size_t n = sizeof(nul) - 1;

    for (char *p = text; (p = memchr(p, '\\', len - (size_t)(p - text)));) {
        size_t left = len - (size_t)(p - text);

        if (left >= n && !memcmp(p, nul, n))
            memcpy(p, mended, n);
        if (left <= 2)
            break;
        p += 2; /* the backslash and what it stands before, which may be another */
    }
}

static void empty(struct buf *b)
{
    size_t max = b->max;

    if (b->cap <= KEPT_BYTES) {
        buf_clear(b);
        return;
    }
    buf_release(b);
    buf_init(b, max);
}

static int keep(struct buf *b, const char *bytes, size_t len, struct err **e)
{
    if (buf_add(b, bytes, len) == 0)
        return 0;
    return err_set(e, -EFBIG, "an object is larger than %u MiB", KUBE_ITEM_MAX >> 20);
}

static int parse(struct buf *text, cJSON **out, struct err **e)
{
    kube_mend_nul(text->data, text->len);
    return json_parse(text->data, text->len, out, e);
}

/* --- watch --- */

static enum kube_event_type type_of(const char *name)
{
    static const char *const names[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(names[i], name))
            return (enum kube_event_type)i;
    return KUBE_UNKNOWN;
}

static int take_line(struct kube_watch_reader *w, struct err **e)
{
    auto_json cJSON *tree = NULL;
    const cJSON *object;
    const char *type;
    int r;

    if (strspn(w->line.data, " \t\r") == w->line.len)
        return 0;
    r = parse(&w->line, &tree, e);
    if (r < 0)
        return err_wrap(e, "event of a watch");
    type = json_get_str(tree, "type");
    object = json_get_obj(tree, "object");
    if (!type || !object)
        return err_set(e, -EBADMSG, "event of a watch: it has no type or no object");
    return w->on_event(w->arg, type_of(type), object, e);
}

void kube_watch_reader_init(struct kube_watch_reader *w, kube_event_fn on_event, void *arg)
{
    *w = (struct kube_watch_reader){.on_event = on_event, .arg = arg};
    buf_init(&w->line, KUBE_ITEM_MAX);
}

void kube_watch_reader_release(struct kube_watch_reader *w)
{
    buf_release(&w->line);
}

int kube_watch_reader_feed(struct kube_watch_reader *w, const char *bytes, size_t len,
                           struct err **e)
{
    while (len) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end ? (size_t)(end - bytes) : len;
        int r = keep(&w->line, bytes, n, e);

        if (r == 0 && end)
            r = take_line(w, e);
        if (r < 0)
            return r;
        if (!end)
            return 0;
        empty(&w->line);
        bytes += n + 1;
        len -= n + 1;
    }
    return 0;
}

int kube_watch_reader_end(const struct kube_watch_reader *w, struct err **e)
{
    return w->line.len ? err_set(e, -EBADMSG, "the watch ended in the middle of an event") : 0;
}

/* --- list --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* How many of the bytes belong to the value in l->token; *out_ends when it ends behind them. */
static size_t scan_value(struct kube_list_reader *l, const char *bytes, size_t len, bool *out_ends)
{
    *out_ends = true;
    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];

        if (l->in_string) {
            bool ends = c == '"' && !l->is_escaped;

            l->is_escaped = c == '\\' && !l->is_escaped;
            l->in_string = !ends;
            if (ends && !l->depth)
                return i + 1;
        } else if (c == '"') {
            l->in_string = true;
        } else if (c == '{' || c == '[') {
            l->depth++;
        } else if (c == '}' || c == ']') {
            if (!l->depth)
                return i; /* behind a number or word */
            if (!--l->depth)
                return i + 1;
        } else if (!l->depth && (c == ',' || is_blank(c))) {
            return i;
        }
    }
    *out_ends = false;
    return len;
}

static int take_metadata(struct kube_list_reader *l, const cJSON *metadata, struct err **e)
{
    const char *version = json_get_str(metadata, "resourceVersion");
    const char *next = json_get_str(metadata, "continue");

    if (!version || !*version)
        return err_set(e, -EBADMSG, "the list has no resourceVersion");
    if (l->resource_version)
        return err_set(e, -EBADMSG, "the list has metadata twice");
    l->resource_version = xstrdup(version);
    l->continue_token = next && *next ? xstrdup(next) : NULL;
    return 0;
}

static int take_value(struct kube_list_reader *l, struct err **e)
{
    auto_json cJSON *tree = NULL;
    int r = parse(&l->token, &tree, e);

    if (r < 0)
        return err_wrap(e, "'%.40s' of a list", l->key);
    if (!strcmp(l->key, "metadata"))
        return take_metadata(l, tree, e);
    if (strcmp(l->key, "items") != 0)
        return 0;
    if (!cJSON_IsNull(tree) || l->has_items) /* null is what Go writes for none */
        return err_set(e, -EBADMSG, "the items of the list are no list");
    l->has_items = true;
    return 0;
}

static int take_item(struct kube_list_reader *l, struct err **e)
{
    auto_json cJSON *tree = NULL;
    int r = parse(&l->token, &tree, e);

    if (r < 0)
        return err_wrap(e, "item %zu of a list", l->n_items + 1);
    l->n_items++;
    return l->on_item(l->arg, tree, e);
}

static int take_key(struct kube_list_reader *l, struct err **e)
{
    auto_json cJSON *tree = NULL;
    int r = parse(&l->token, &tree, e);

    if (r < 0)
        return err_wrap(e, "name in a list");
    free(l->key);
    l->key = xstrdup(cJSON_GetStringValue(tree));
    return 0;
}

/* Takes what belongs to the key, value or item; at its end goes to the next state. */
static int collect(struct kube_list_reader *l, const char *bytes, size_t len, size_t *out_n,
                   struct err **e)
{
    enum kube_list_state state = l->state;
    bool ends;
    int r;

    *out_n = scan_value(l, bytes, len, &ends);
    r = keep(&l->token, bytes, *out_n, e);
    if (r < 0 || !ends)
        return r;
    if (state == KUBE_LIST_IN_KEY) {
        r = take_key(l, e);
        l->state = KUBE_LIST_COLON;
    } else if (state == KUBE_LIST_IN_VALUE) {
        r = take_value(l, e);
        l->state = KUBE_LIST_AFTER_VALUE;
    } else {
        r = take_item(l, e);
        l->state = KUBE_LIST_AFTER_ITEM;
    }
    empty(&l->token);
    return r;
}

static bool go(struct kube_list_reader *l, enum kube_list_state next, bool may_end)
{
    l->state = next;
    l->may_end = may_end;
    return true;
}

/* One byte that is no blank and stands between values; *out_taken when it is no part of the next
 * value. False where it cannot stand there. */
static bool step(struct kube_list_reader *l, char c, bool *out_taken)
{
    *out_taken = true;
    switch (l->state) {
    case KUBE_LIST_START:
        return c == '{' && go(l, KUBE_LIST_KEY, true);
    case KUBE_LIST_KEY:
        if (c == '}')
            return l->may_end && go(l, KUBE_LIST_DONE, false);
        *out_taken = false;
        return c == '"' && go(l, KUBE_LIST_IN_KEY, false);
    case KUBE_LIST_COLON:
        return c == ':' && go(l, KUBE_LIST_VALUE, false);
    case KUBE_LIST_VALUE:
        if (c == '[' && !l->has_items && !strcmp(l->key, "items")) {
            l->has_items = true;
            return go(l, KUBE_LIST_ITEM, true);
        }
        *out_taken = false;
        return !strchr(",:]}", c) && go(l, KUBE_LIST_IN_VALUE, false);
    case KUBE_LIST_AFTER_VALUE:
        return (c == ',' && go(l, KUBE_LIST_KEY, false)) ||
               (c == '}' && go(l, KUBE_LIST_DONE, false));
    case KUBE_LIST_ITEM:
        if (c == ']')
            return l->may_end && go(l, KUBE_LIST_AFTER_VALUE, false);
        *out_taken = false;
        return c == '{' && go(l, KUBE_LIST_IN_ITEM, false);
    case KUBE_LIST_AFTER_ITEM:
        return (c == ',' && go(l, KUBE_LIST_ITEM, false)) ||
               (c == ']' && go(l, KUBE_LIST_AFTER_VALUE, false));
    default:
        return false;
    }
}

static bool is_inside(const struct kube_list_reader *l)
{
    return l->state == KUBE_LIST_IN_KEY || l->state == KUBE_LIST_IN_VALUE ||
           l->state == KUBE_LIST_IN_ITEM;
}

void kube_list_reader_init(struct kube_list_reader *l, kube_item_fn on_item, void *arg)
{
    *l = (struct kube_list_reader){.on_item = on_item, .arg = arg};
    buf_init(&l->token, KUBE_ITEM_MAX);
}

void kube_list_reader_release(struct kube_list_reader *l)
{
    buf_release(&l->token);
    free(l->key);
    free(l->resource_version);
    free(l->continue_token);
    l->key = l->resource_version = l->continue_token = NULL;
}

int kube_list_reader_feed(struct kube_list_reader *l, const char *bytes, size_t len, struct err **e)
{
    size_t n;

    for (; len; bytes += n, len -= n) {
        bool is_taken = true;
        int r;

        n = 1;
        if (is_inside(l)) {
            r = collect(l, bytes, len, &n, e);
            if (r < 0)
                return r;
        } else if (!is_blank(*bytes) && !step(l, *bytes, &is_taken)) {
            return err_set(e, -EBADMSG, "no list of objects: a character 0x%02x is out of place",
                           (unsigned char)*bytes);
        }
        n = is_taken ? n : 0;
    }
    return 0;
}

int kube_list_reader_end(const struct kube_list_reader *l, struct err **e)
{
    if (l->state != KUBE_LIST_DONE)
        return err_set(e, -EBADMSG, "the list ended in the middle");
    if (!l->has_items)
        return err_set(e, -EBADMSG, "no list of objects: it has no items");
    return l->resource_version ? 0 : err_set(e, -EBADMSG, "the list has no resourceVersion");
}
