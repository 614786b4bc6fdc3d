/* JSON written as YAML. */
#include "mem.h"
#include "yamljson.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SAFE "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/@+-:"

static void write_value(const cJSON *tree, int indent, struct buf *out);

static void add_indent(int indent, struct buf *out)
{
    for (int i = 0; i < indent; i++)
        (void)buf_addch(out, ' ');
}

/* One character of UTF-8; its length, or 0 where there is none. */
static size_t decode(const unsigned char *p, uint32_t *out)
{
    size_t len = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

    *out = len == 1 ? *p : len ? *p & (0x7fu >> len) : 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *out = *out << 6 | (p[i] & 0x3f);
    }
    return len;
}

/* What YAML reads as it stands, and takes for no line break. */
static bool is_printable(uint32_t c)
{
    if (c < 0x80)
        return c >= ' ' && c < 0x7f;
    return c >= 0xa0 && c != 0x2028 && c != 0x2029 && c != 0xfeff && !(c >= 0xd800 && c < 0xe000) &&
           !(c >= 0xfffe && c < 0x10000) && c < 0x110000;
}

static void add_quoted(const char *text, struct buf *out)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t c;

    (void)buf_addch(out, '"');
    while (*p) {
        size_t len = decode(p, &c);

        if (*p == '"' || *p == '\\')
            (void)buf_addf(out, "\\%c", *p);
        else if (*p == '\n')
            (void)buf_addstr(out, "\\n");
        else if (len && is_printable(c))
            (void)buf_add(out, p, len);
        else
            (void)buf_addf(out, len > 1 ? "\\u%04x" : "\\x%02x", len ? c : *p);
        p += len ? len : 1;
    }
    (void)buf_addch(out, '"');
}

/* True for text that reads back as that text without quotes. */
static bool is_plain(const char *text)
{
    struct yamlnode n = {.kind = YAMLNODE_SCALAR,
                         .style = YAMLNODE_PLAIN,
                         .text = (char *)(uintptr_t)text,
                         .len = strlen(text)};
    cJSON *tree = NULL;
    bool is_text;

    if (!n.len || text[strspn(text, SAFE)] || !strchr(SAFE, text[0]) || text[n.len - 1] == ':' ||
        strchr("-:@", text[0]))
        return false;
    is_text = yamljson_convert(&n, &tree, NULL) == 0 && cJSON_IsString(tree);
    cJSON_Delete(tree);
    return is_text && strcmp(text, "...") != 0;
}

/* True for lines that can stand below "|" or "|-". */
static bool is_block(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t len = strlen(text);
    uint32_t c;

    if (!strchr(text, '\n') || isspace(*p) || (len > 1 && !strcmp(text + len - 2, "\n\n")))
        return false;
    while (*p) {
        size_t n = decode(p, &c);

        if (*p != '\n' && (!n || !is_printable(c)))
            return false;
        p += n ? n : 1;
    }
    return true;
}

static void add_block(const char *text, int indent, struct buf *out)
{
    size_t len = strlen(text);

    (void)buf_addstr(out, text[len - 1] == '\n' ? "|\n" : "|-\n");
    while (*text) {
        size_t line = strcspn(text, "\n");

        if (line)
            add_indent(indent, out);
        (void)buf_add(out, text, line);
        (void)buf_addch(out, '\n');
        text += line + (text[line] == '\n');
    }
}

static void add_text(const char *text, int indent, struct buf *out)
{
    if (is_block(text)) {
        add_block(text, indent, out);
        return;
    }
    if (is_plain(text))
        (void)buf_addstr(out, text);
    else
        add_quoted(text, out);
    (void)buf_addch(out, '\n');
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

/* The members in order, to be freed. */
static const cJSON **sort(const cJSON *map, size_t *out_count)
{
    size_t n = (size_t)cJSON_GetArraySize(map), i = 0;
    const cJSON **members = xcalloc(n + 1, sizeof(*members)), *member;

    cJSON_ArrayForEach(member, map) members[i++] = member;
    qsort(members, n, sizeof(*members), compare_keys);
    *out_count = n;
    return members;
}

static bool has_children(const cJSON *tree)
{
    return (cJSON_IsObject(tree) || cJSON_IsArray(tree)) && tree->child;
}

/* `indent` is that of its keys; the cursor stands there already. */
static void write_mapping(const cJSON *map, int indent, struct buf *out)
{
    size_t n;
    auto_free const cJSON **members = sort(map, &n);

    for (size_t i = 0; i < n; i++) {
        if (i)
            add_indent(indent, out);
        if (is_plain(members[i]->string))
            (void)buf_addstr(out, members[i]->string);
        else
            add_quoted(members[i]->string, out);
        (void)buf_addch(out, ':');
        if (!has_children(members[i])) {
            (void)buf_addch(out, ' ');
            write_value(members[i], indent + 2, out);
            continue;
        }
        (void)buf_addch(out, '\n');
        /* A list stands below its key without being indented, as kubectl writes it. */
        add_indent(cJSON_IsArray(members[i]) ? indent : indent + 2, out);
        write_value(members[i], cJSON_IsArray(members[i]) ? indent : indent + 2, out);
    }
}

static void write_list(const cJSON *list, int indent, struct buf *out)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (item != list->child)
            add_indent(indent, out);
        (void)buf_addstr(out, "- ");
        write_value(item, indent + 2, out);
    }
}

static void write_number(double value, struct buf *out)
{
    if (value == floor(value) && fabs(value) <= 9007199254740992.0)
        (void)buf_addf(out, "%.0f\n", value);
    else
        (void)buf_addf(out, "%.17g\n", value);
}

static void write_value(const cJSON *tree, int indent, struct buf *out)
{
    if (has_children(tree) && cJSON_IsArray(tree))
        write_list(tree, indent, out);
    else if (has_children(tree))
        write_mapping(tree, indent, out);
    else if (cJSON_IsString(tree))
        add_text(tree->valuestring, indent, out);
    else if (cJSON_IsNumber(tree))
        write_number(tree->valuedouble, out);
    else
        (void)buf_addf(out, "%s\n",
                       cJSON_IsArray(tree)    ? "[]"
                       : cJSON_IsObject(tree) ? "{}"
                       : cJSON_IsTrue(tree)   ? "true"
                       : cJSON_IsFalse(tree)  ? "false"
                                              : "null");
}

int yamljson_print(const cJSON *tree, struct buf *out)
{
    if (cJSON_IsString(tree))
        add_text(tree->valuestring, 2, out);
    else if (tree)
        write_value(tree, 0, out);
    return out->overflowed ? -EFBIG : 0;
}
