/* Go's syntax of regular expressions, written as POSIX's. */
#include "host_goregex.h"

#include "buf.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define TRANSLATED_MAX 8192

struct goregex {
    regex_t posix;
};

struct translation {
    const char *pattern; /* for messages */
    const char *p;
    struct buf *out;
    bool can_repeat; /* the last thing written is something that *, + and ? may follow */
    int depth;
    struct err **e;
};

static int refuse(struct translation *t, const char *why)
{
    return err_set(t->e, -EINVAL, "regular expression '%s': %s at byte %td", t->pattern, why,
                   t->p - t->pattern);
}

static void put(struct translation *t, const char *text, bool can_repeat)
{
    (void)buf_addstr(t->out, text);
    t->can_repeat = can_repeat;
}

/* What stands inside brackets for \d, \s and \w; NULL for anything else. */
static const char *class_of(char c)
{
    switch (c) {
    case 'd':
        return "0-9";
    case 's':
        return " \t\n\f\r";
    case 'w':
        return "0-9A-Za-z_";
    default:
        return NULL;
    }
}

static int escape(struct translation *t)
{
    char c = *++t->p, literal[3] = {'\\', c, '\0'};
    const char *members = class_of((char)tolower((unsigned char)c));

    if (members) {
        (void)buf_addf(t->out, "[%s%s]", isupper((unsigned char)c) ? "^" : "", members);
        t->can_repeat = true;
    } else if (c == 'b' || c == 'B') {
        put(t, literal, false);
    } else if (c == 'A' || c == 'z') {
        put(t, c == 'A' ? "^" : "$", false);
    } else if (c == 't' || c == 'n') {
        put(t, c == 't' ? "\t" : "\n", true);
    } else if (ispunct((unsigned char)c)) {
        put(t, strchr("\\^$.|()[]{}*+?", c) ? literal : literal + 1, true);
    } else {
        return refuse(t, c ? "this escape is not known here" : "a lone backslash");
    }
    t->p++;
    return 0;
}

/* One member of a bracket expression behind a backslash. A POSIX bracket knows no escapes, so that
 * a bracket, a minus or a caret that is meant literally cannot simply be copied. */
static int class_escape(struct translation *t)
{
    char c = *++t->p;
    const char *members = class_of(c);

    if (members)
        (void)buf_addstr(t->out, members);
    else if (c == '.' || c == '_' || c == '/' || c == '@' || c == ':')
        (void)buf_addch(t->out, c);
    else if (c == '-')
        (void)buf_addstr(t->out, "[.-.]");
    else
        return refuse(t, "this escape is not known inside brackets here");
    t->p++;
    return 0;
}

static int named_class(struct translation *t)
{
    const char *end = strstr(t->p, ":]");

    if (!end || end[-1] == ':' || t->p[2] == '^')
        return refuse(t, "this class is not known here");
    (void)buf_add(t->out, t->p, (size_t)(end + 2 - t->p));
    t->p = end + 2;
    return 0;
}

static int bracket(struct translation *t)
{
    bool first = true;
    int r = 0;

    (void)buf_addch(t->out, *t->p++);
    if (*t->p == '^')
        (void)buf_addch(t->out, *t->p++);
    for (; r == 0 && (*t->p != ']' || first); first = false) {
        if (!*t->p)
            return refuse(t, "a bracket is not closed");
        if (*t->p == '\\')
            r = class_escape(t);
        else if (!strncmp(t->p, "[:", 2))
            r = named_class(t);
        else if (*t->p == '[' || *t->p == '^')
            r = refuse(t, "a bracket or caret inside brackets is not known here");
        else
            (void)buf_addch(t->out, *t->p++);
    }
    if (r == 0) {
        t->p++;
        put(t, "]", true);
    }
    return r;
}

/* "{2}", "{2,}", "{2,5}": Go takes at most 1000; anything else would be literal there. */
static int counted(struct translation *t)
{
    size_t digits = strspn(t->p + 1, "0123456789");
    const char *end = t->p + 1 + digits;

    if (!digits || digits > 3)
        return refuse(t, "braces that are no count");
    if (*end == ',')
        end += 1 + strspn(end + 1, "0123456789");
    if (*end != '}' || end - t->p > 8)
        return refuse(t, "braces that are no count");
    (void)buf_add(t->out, t->p, (size_t)(end + 1 - t->p));
    t->p = end + 1;
    return 0;
}

static int repeat(struct translation *t)
{
    int r = 0;

    if (!t->can_repeat)
        return refuse(t, "nothing to repeat");
    if (*t->p == '{')
        r = counted(t);
    else
        (void)buf_addch(t->out, *t->p++);
    /* The lazy form matches where the greedy one does. */
    if (*t->p == '?')
        t->p++;
    t->can_repeat = false;
    return r;
}

static int group(struct translation *t)
{
    if (t->p[1] == '?' && t->p[2] != ':')
        return refuse(t, "this kind of group is not known here");
    t->p += t->p[1] == '?' ? 3 : 1;
    if (*t->p == ')' || *t->p == '|')
        return refuse(t, "an empty alternative");
    t->depth++;
    put(t, "(", false);
    return 0;
}

static int step(struct translation *t)
{
    char c = *t->p, literal[2] = {c, '\0'};

    switch (c) {
    case '\\':
        return escape(t);
    case '[':
        return bracket(t);
    case '(':
        return group(t);
    case '*':
    case '+':
    case '?':
    case '{':
        return repeat(t);
    case ')':
        if (t->depth-- == 0)
            return refuse(t, "a parenthesis too many");
        break;
    case '|':
        if (!t->p[1] || t->p[1] == '|' || t->p[1] == ')' || t->p == t->pattern)
            return refuse(t, "an empty alternative");
        break;
    case '}':
    case ']':
        /* Literal in Go where nothing was opened; so it is in POSIX, with a backslash. */
        (void)buf_addch(t->out, '\\');
        break;
    default:
        break;
    }
    put(t, literal, !strchr("^$|", c));
    t->p++;
    return 0;
}

int goregex_new(const char *pattern, struct goregex **out, struct err **e)
{
    auto_buf struct buf text;
    struct translation t = {.pattern = pattern, .p = pattern, .out = &text, .e = e};
    int flags = REG_EXTENDED | REG_NOSUB, r = 0;
    struct goregex *g;

    buf_init(&text, TRANSLATED_MAX);
    if (!*pattern || strlen(pattern) > GOREGEX_MAX)
        return err_set(e, -EINVAL, "a regular expression has 1 to %d bytes", GOREGEX_MAX);
    if (!strncmp(pattern, "(?i)", 4)) {
        flags |= REG_ICASE;
        t.p += 4;
    }
    while (r == 0 && *t.p)
        r = step(&t);
    if (r == 0 && t.depth)
        r = refuse(&t, "a parenthesis is not closed");
    if (r < 0)
        return r;
    g = xcalloc(1, sizeof(*g));
    if (regcomp(&g->posix, text.data, flags) != 0) {
        free(g);
        return err_set(e, -EINVAL, "regular expression '%s' is not valid", pattern);
    }
    *out = g;
    return 0;
}

bool goregex_matches(const struct goregex *g, const char *text)
{
    return regexec(&g->posix, text, 0, NULL, 0) == 0;
}

void goregex_free(struct goregex *g)
{
    if (!g)
        return;
    regfree(&g->posix);
    free(g);
}

void goregex_cleanup(struct goregex **g)
{
    goregex_free(*g);
}
