/* Templates: conditions and variables, one line at a time. */
#include "addons_template.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DIRECTIVE "#@ "
#define NESTING_MAX 8

struct rendering {
    const struct addons_template *t;
    struct buf *out;
    size_t line;
    struct {
        bool holds; /* this branch is taken */
        bool has_else;
    } conditions[NESTING_MAX];
    size_t depth;
};

struct text {
    const char *start;
    size_t len;
};

static bool is_word(struct text text, const char *word)
{
    return text.len == strlen(word) && !memcmp(text.start, word, text.len);
}

static int fault(const struct rendering *r, const char *what, struct text text, struct err **e)
{
    return err_set(e, -EINVAL, "template '%s', line %zu: %s '%.*s'", r->t->name, r->line, what,
                   (int)text.len, text.start);
}

static bool is_shown(const struct rendering *r)
{
    for (size_t i = 0; i < r->depth; i++)
        if (!r->conditions[i].holds)
            return false;
    return true;
}

static bool has_flag(const struct rendering *r, struct text flag)
{
    for (const char *const *f = r->t->flags; *f; f++)
        if (is_word(flag, *f))
            return true;
    return false;
}

static int open_condition(struct rendering *r, struct text flag, struct err **e)
{
    bool wanted = !(flag.len && *flag.start == '!');

    if (!wanted) {
        flag.start++;
        flag.len--;
    }
    if (!flag.len || memchr(flag.start, ' ', flag.len))
        return fault(r, "one flag is needed, not", flag, e);
    if (r->depth == NESTING_MAX)
        return fault(r, "nested too deep at", flag, e);
    r->conditions[r->depth].holds = has_flag(r, flag) == wanted;
    r->conditions[r->depth++].has_else = false;
    return 0;
}

static int take_directive(struct rendering *r, struct text d, struct err **e)
{
    size_t top = r->depth - 1;

    if (d.len > 3 && !memcmp(d.start, "if ", 3))
        return open_condition(r, (struct text){d.start + 3, d.len - 3}, e);
    if (!r->depth)
        return fault(r, "no 'if' is open at", d, e);
    if (is_word(d, "end")) {
        r->depth--;
        return 0;
    }
    if (!is_word(d, "else") || r->conditions[top].has_else)
        return fault(r, "not a directive here:", d, e);
    r->conditions[top].holds = !r->conditions[top].holds;
    r->conditions[top].has_else = true;
    return 0;
}

/* The next "@NAME@" of the line; false where there is none. */
static bool find_name(struct text line, struct text *out_name)
{
    const char *end = line.start + line.len;

    for (const char *p = line.start; (p = memchr(p, '@', (size_t)(end - p))); p++) {
        const char *q = p + 1;

        while (q < end && (isupper((unsigned char)*q) || isdigit((unsigned char)*q) || *q == '_'))
            q++;
        if (q < end && q > p + 1 && *q == '@') {
            *out_name = (struct text){p + 1, (size_t)(q - p - 1)};
            return true;
        }
    }
    return false;
}

static const struct addons_variable *find_variable(const struct rendering *r, struct text name)
{
    for (const struct addons_variable *v = r->t->variables; v->name; v++)
        if (is_word(name, v->name))
            return v;
    return NULL;
}

/* How often the line is written: as often as the first of its variables that has not one value. */
static int count_copies(const struct rendering *r, struct text line, size_t *out_copies,
                        struct err **e)
{
    struct text name;

    *out_copies = 1;
    while (*out_copies == 1 && find_name(line, &name)) {
        const struct addons_variable *v = find_variable(r, name);
        size_t n = 0;

        if (!v)
            return fault(r, "unknown variable", name, e);
        while (v->values[n])
            n++;
        *out_copies = n;
        line.len -= (size_t)(name.start + name.len + 1 - line.start);
        line.start = name.start + name.len + 1;
    }
    return 0;
}

static int write_copy(struct rendering *r, struct text line, size_t copy, struct err **e)
{
    struct text name;

    while (find_name(line, &name)) {
        const struct addons_variable *v = find_variable(r, name);

        if (!v)
            return fault(r, "unknown variable", name, e);
        if (!v->values[0])
            return fault(r, "a second list in one line:", name, e);
        (void)buf_add(r->out, line.start, (size_t)(name.start - 1 - line.start));
        (void)buf_addstr(r->out, v->values[1] ? v->values[copy] : v->values[0]);
        line.len -= (size_t)(name.start + name.len + 1 - line.start);
        line.start = name.start + name.len + 1;
    }
    (void)buf_add(r->out, line.start, line.len);
    return buf_addch(r->out, '\n');
}

static int take_line(struct rendering *r, struct text line, struct err **e)
{
    struct text trimmed = line;
    size_t copies;
    int ret;

    while (trimmed.len && *trimmed.start == ' ') {
        trimmed.start++;
        trimmed.len--;
    }
    if (trimmed.len > strlen(DIRECTIVE) && !memcmp(trimmed.start, DIRECTIVE, strlen(DIRECTIVE)))
        return take_directive(r,
                              (struct text){trimmed.start + strlen(DIRECTIVE),
                                            trimmed.len - strlen(DIRECTIVE)},
                              e);
    if (!is_shown(r))
        return 0;
    ret = count_copies(r, line, &copies, e);
    for (size_t i = 0; i < copies && ret == 0; i++)
        ret = write_copy(r, line, i, e);
    return ret == -EFBIG ? err_set(e, ret, "template '%s' is too long", r->t->name) : ret;
}

int addons_template_render(const struct addons_template *t, struct buf *out, struct err **e)
{
    struct rendering r = {.t = t, .out = out};
    const char *p = t->text, *end = t->text + t->len;
    int ret = 0;

    while (p < end && ret == 0) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *line_end = newline ? newline : end;

        r.line++;
        ret = take_line(&r, (struct text){p, (size_t)(line_end - p)}, e);
        p = line_end + 1;
    }
    if (ret == 0 && r.depth)
        return err_set(e, -EINVAL, "template '%s' ends inside of an 'if'", t->name);
    return ret;
}
