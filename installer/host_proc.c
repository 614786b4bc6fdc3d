/* Facts out of the text of /proc and of the modules' folder. */
#include "host_proc.h"

#include "host_fstab.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The line at *cursor without its newline, and its length; false at the end of the text. */
static bool next_line(const char **cursor, const char **out_line, size_t *out_len)
{
    const char *p = *cursor;

    if (!*p)
        return false;
    *out_line = p;
    *out_len = strcspn(p, "\n");
    *cursor = p + *out_len + (p[*out_len] == '\n');
    return true;
}

/* The next word in [p, end), and where it ends; NULL without. */
static const char *next_word(const char *p, const char *end, const char **out_end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (p == end)
        return NULL;
    *out_end = p;
    while (*out_end < end && **out_end != ' ' && **out_end != '\t')
        (*out_end)++;
    return p;
}

static int parse_i64(const char *p, const char *end, int64_t *out)
{
    bool negative = p < end && *p == '-';
    int64_t value = 0;

    p += negative;
    if (p == end || end - p > 18)
        return -EINVAL;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return -EINVAL;
        value = value * 10 + (*p - '0');
    }
    *out = negative ? -value : value;
    return 0;
}

/* --- swap --- */

#define DELETED "\\040(deleted)"

static int parse_swap(const char *line, size_t len, struct proc_swap *out)
{
    const char *end = line + len, *words[5], *ends[5], *p = line;
    size_t gone = sizeof(DELETED) - 1, path_len;
    int64_t kib, used, priority;

    for (size_t i = 0; i < 5; i++) {
        words[i] = next_word(p, end, &ends[i]);
        if (!words[i])
            return -EINVAL;
        p = ends[i];
    }
    if (*words[0] != '/' || parse_i64(words[2], ends[2], &kib) < 0 ||
        parse_i64(words[3], ends[3], &used) < 0 || parse_i64(words[4], ends[4], &priority) < 0 ||
        priority < -32768 || priority > 32767)
        return -EINVAL;
    path_len = (size_t)(ends[0] - words[0]);
    out->is_gone = path_len > gone && !memcmp(ends[0] - gone, DELETED, gone);
    out->path = fstab_unescape(words[0], path_len - (out->is_gone ? gone : 0));
    out->kib = kib;
    out->used_kib = used;
    out->priority = (int)priority;
    return 0;
}

void proc_swaps_parse(const char *text, struct proc_swaps *out)
{
    const char *line;
    size_t len;

    *out = (struct proc_swaps){.rows = NULL};
    while (next_line(&text, &line, &len)) {
        struct proc_swap row = {.path = NULL};

        if (parse_swap(line, len, &row) < 0)
            continue;
        array_grow(out->rows, out->count);
        out->rows[out->count++] = row;
    }
}

void proc_swaps_release(struct proc_swaps *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->rows[i].path);
    free(s->rows);
    *s = (struct proc_swaps){.rows = NULL};
}

/* --- the kernel's configuration and modules --- */

char proc_config(const char *text, const char *name)
{
    size_t name_len = strlen(name), len;
    const char *line;

    while (next_line(&text, &line, &len)) {
        bool is_comment = len > 2 && !memcmp(line, "# ", 2);
        const char *p = line + (is_comment ? 2 : 0), *rest = p + 7 + name_len;

        if ((size_t)(line + len - p) <= 7 + name_len || memcmp(p, "CONFIG_", 7) != 0 ||
            memcmp(p + 7, name, name_len) != 0)
            continue;
        if (is_comment && (size_t)(line + len - rest) >= 11 && !memcmp(rest, " is not set", 11))
            return 'n';
        if (!is_comment && *rest == '=' && rest + 1 < line + len)
            return rest[1] == 'y' || rest[1] == 'm' ? rest[1] : 'n';
    }
    return '\0';
}

static char plain(char c)
{
    return c == '-' ? '_' : c;
}

/* `word` of that length is the module's name, and nothing more. */
static bool is_module(const char *word, size_t len, const char *name)
{
    size_t i = 0;

    for (; i < len && name[i]; i++)
        if (plain(word[i]) != plain(name[i]))
            return false;
    return i == len && !name[i];
}

bool proc_has_module(const char *proc_modules, const char *name)
{
    const char *line;
    size_t len;

    while (next_line(&proc_modules, &line, &len))
        if (is_module(line, strcspn(line, " \n"), name))
            return true;
    return false;
}

/* The part of a path that names the module: behind the last slash, before ".ko". */
static const char *module_part(const char *path, size_t len, size_t *out_len)
{
    const char *slash = memrchr(path, '/', len), *start = slash ? slash + 1 : path;
    size_t left = len - (size_t)(start - path);

    for (size_t i = 0; i + 3 <= left; i++)
        if (!memcmp(start + i, ".ko", 3) && (i + 3 == left || start[i + 3] == '.')) {
            *out_len = i;
            return start;
        }
    *out_len = left;
    return start;
}

char *proc_module_name(const char *path, size_t len)
{
    size_t name_len;
    const char *part = module_part(path, len, &name_len);
    char *name = xstrndup(part, name_len);

    for (char *p = name; *p; p++)
        *p = plain(*p);
    return name;
}

static bool path_is_module(const char *path, size_t len, const char *name)
{
    size_t name_len;
    const char *part = module_part(path, len, &name_len);

    return is_module(part, name_len, name);
}

bool proc_is_builtin(const char *modules_builtin, const char *name)
{
    const char *line;
    size_t len;

    while (next_line(&modules_builtin, &line, &len))
        if (path_is_module(line, len, name))
            return true;
    return false;
}

const char *proc_module_line(const char *modules_dep, const char *name, size_t *out_len)
{
    const char *line;
    size_t len;

    while (next_line(&modules_dep, &line, &len)) {
        const char *colon = memchr(line, ':', len);

        if (colon && path_is_module(line, (size_t)(colon - line), name)) {
            *out_len = len;
            return line;
        }
    }
    return NULL;
}

bool proc_lists_module(const char *modules_load, const char *name)
{
    const char *line, *word, *word_end;
    size_t len;

    while (next_line(&modules_load, &line, &len)) {
        word = next_word(line, line + len, &word_end);
        if (word && *word != '#' && *word != ';' &&
            is_module(word, (size_t)(word_end - word), name))
            return true;
    }
    return false;
}

int proc_kernel_version(const char *release)
{
    int parts[2] = {0, 0};

    for (size_t i = 0; i < 2; i++) {
        if (!isdigit((unsigned char)*release))
            return -EINVAL;
        for (; isdigit((unsigned char)*release); release++) {
            if (parts[i] > 999)
                return -EINVAL;
            parts[i] = parts[i] * 10 + (*release - '0');
        }
        if (i == 0 && *release++ != '.')
            return -EINVAL;
    }
    return parts[1] > 99 ? -EINVAL : parts[0] * 100 + parts[1];
}

/* --- ports --- */

static int hex_port(const char *p, const char *end)
{
    int value = 0;

    if (end - p != 4)
        return -EINVAL;
    for (; p < end; p++) {
        if (!isxdigit((unsigned char)*p))
            return -EINVAL;
        value = value * 16 + (isdigit((unsigned char)*p) ? *p - '0' : (*p | 0x20) - 'a' + 10);
    }
    return value;
}

/* "  0: 0100007F:1F90 00000000:0000 0A ...": number, local, remote, state. */
static int listening_port(const char *line, size_t len, const char *state)
{
    const char *end = line + len, *words[4], *ends[4], *p = line, *colon;

    for (size_t i = 0; i < 4; i++) {
        words[i] = next_word(p, end, &ends[i]);
        if (!words[i])
            return -EINVAL;
        p = ends[i];
    }
    if (ends[3] - words[3] != 2 || memcmp(words[3], state, 2) != 0)
        return -EINVAL;
    colon = memrchr(words[1], ':', (size_t)(ends[1] - words[1]));
    return colon ? hex_port(colon + 1, ends[1]) : -EINVAL;
}

void proc_ports_add(const char *text, bool is_udp, struct proc_ports *ports)
{
    const char *line;
    size_t len;

    while (next_line(&text, &line, &len)) {
        int port = listening_port(line, len, is_udp ? "07" : "0A");

        if (port <= 0)
            continue;
        array_grow(ports->ports, ports->count);
        ports->ports[ports->count++] = (uint16_t)port;
    }
}

bool proc_ports_have(const struct proc_ports *ports, unsigned port)
{
    for (size_t i = 0; i < ports->count; i++)
        if (ports->ports[i] == port)
            return true;
    return false;
}

void proc_ports_release(struct proc_ports *ports)
{
    free(ports->ports);
    *ports = (struct proc_ports){.ports = NULL};
}

/* --- settings --- */

static char *trimmed(const char *p, const char *end)
{
    while (p < end && isspace((unsigned char)*p))
        p++;
    while (end > p && isspace((unsigned char)end[-1]))
        end--;
    if (end - p >= 2 && (*p == '"' || *p == '\'') && end[-1] == *p) {
        p++;
        end--;
    }
    return xstrndup(p, (size_t)(end - p));
}

char *proc_setting(const char *text, const char *key)
{
    char *found = NULL;
    const char *line;
    size_t len;

    while (next_line(&text, &line, &len)) {
        const char *equals = memchr(line, '=', len);
        auto_free char *name = equals ? trimmed(line, equals) : NULL;

        if (!name || *name == '#' || *name == ';' || strcmp(name, key) != 0)
            continue;
        free(found);
        found = trimmed(equals + 1, line + len);
    }
    return found;
}
