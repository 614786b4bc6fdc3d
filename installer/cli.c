/* Option tables: parsing, --help, and the nearest word for a mistyped one. */
#include "cli.h"

#include "log.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct cli_common cli_common;

static const char *format_name;
static bool help_wanted;

static const struct cli_option common_options[] = {
    {"format", 0, CLI_STRING, "text|json", &format_name, "how results are written to stdout"},
    {"quiet", 'q', CLI_FLAG, NULL, &cli_common.quiet, "only errors and warnings on stderr"},
    {"no-progress", 0, CLI_FLAG, NULL, &cli_common.no_progress, "no progress on stderr"},
    {"debug", 0, CLI_FLAG, NULL, &cli_common.debug, "say every step on stderr"},
    {"help", 'h', CLI_FLAG, NULL, &help_wanted, "show this text"},
    {0},
};

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Optimal string alignment: inserts, deletes, replaces and swaps of neighbours cost 1 each. */
static size_t distance(const char *a, const char *b)
{
    enum { WORD_MAX = 31 };
    size_t d[WORD_MAX + 1][WORD_MAX + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > WORD_MAX || lb > WORD_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= la; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= lb; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= la; i++)
        for (size_t j = 1; j <= lb; j++) {
            size_t differs = a[i - 1] != b[j - 1];
            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + differs);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = min3(d[i][j], d[i - 2][j - 2] + 1, SIZE_MAX);
        }
    return d[la][lb];
}

const char *cli_nearest(const char *word, const char *const *candidates)
{
    const char *nearest = NULL;
    size_t third = strlen(word) / 3, least = (third ? third : 1) + 1;

    for (; *candidates; candidates++) {
        size_t d = distance(word, *candidates);
        if (d < least) {
            least = d;
            nearest = *candidates;
        }
    }
    return nearest;
}

static size_t count_options(const struct cli_option *options)
{
    size_t n = 0;

    while (options && options[n].name)
        n++;
    return n;
}

static const struct cli_option *find_in(const struct cli_option *options, const char *name,
                                        size_t len, char letter)
{
    for (size_t i = 0; options && options[i].name; i++) {
        if (letter && options[i].letter == letter)
            return &options[i];
        if (!letter && strlen(options[i].name) == len && !strncmp(options[i].name, name, len))
            return &options[i];
    }
    return NULL;
}

static const struct cli_option *find_option(const struct cli_verb *verb, const char *name,
                                            size_t len, char letter)
{
    const struct cli_option *option = find_in(verb->options, name, len, letter);
    return option ? option : find_in(common_options, name, len, letter);
}

static int unknown_option(const struct cli_verb *verb, const char *name, size_t len, struct err **e)
{
    size_t own = count_options(verb->options), common = count_options(common_options);
    auto_free const char **names = xcalloc(own + common + 1, sizeof(*names));
    auto_free char *word = xstrndup(name, len);
    const char *nearest;

    for (size_t i = 0; i < own; i++)
        names[i] = verb->options[i].name;
    for (size_t i = 0; i < common; i++)
        names[own + i] = common_options[i].name;
    nearest = cli_nearest(word, names);
    if (nearest)
        return err_set(e, -EINVAL, "unknown option '--%s'; did you mean '--%s'?", word, nearest);
    return err_set(e, -EINVAL, "unknown option '--%s'", word);
}

static void list_add(struct cli_list *list, const char *item)
{
    list->items = xreallocarray(list->items, list->count + 2, sizeof(*list->items));
    list->items[list->count++] = item;
    list->items[list->count] = NULL;
}

static int parse_bool(const struct cli_option *option, const char *value, struct err **e)
{
    if (!value || !strcmp(value, "true"))
        *(bool *)option->dest = true;
    else if (!strcmp(value, "false"))
        *(bool *)option->dest = false;
    else
        return err_set(e, -EINVAL, "'--%s' takes true or false, not '%s'", option->name, value);
    return 0;
}

static int store(const struct cli_option *option, const char *value, struct err **e)
{
    uint64_t number;

    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)option->dest = true;
        return 0;
    case CLI_TRI:
        return parse_bool(option, value, e);
    case CLI_STRING:
        *(const char **)option->dest = value;
        return 0;
    case CLI_CHOICE:
        *(const char **)option->dest = value ? value : "";
        return 0;
    case CLI_LIST:
        list_add(option->dest, value);
        return 0;
    case CLI_INT:
        if (num_parse_u64(value, INT_MAX, &number) < 0)
            return err_set(e, -EINVAL, "'--%s' takes a whole number, not '%s'", option->name,
                           value);
        *(int *)option->dest = (int)number;
        return 0;
    }
    return 0;
}

static bool takes_value(const struct cli_option *option)
{
    return option->kind != CLI_FLAG && option->kind != CLI_TRI && option->kind != CLI_CHOICE;
}

/* One "--name", "--name=value" or "--name value"; *i moves over a value of its own. */
static int parse_long(const struct cli_verb *verb, int argc, char **argv, int *i, struct err **e)
{
    const char *name = argv[*i] + 2, *value = strchr(name, '=');
    size_t len = value ? (size_t)(value - name) : strlen(name);
    const struct cli_option *option = find_option(verb, name, len, '\0');

    if (!option)
        return unknown_option(verb, name, len, e);
    if (value && option->kind == CLI_FLAG)
        return err_set(e, -EINVAL, "'--%s' takes no value", option->name);
    if (value)
        value++;
    else if (takes_value(option) && *i + 1 < argc)
        value = argv[++*i];
    else if (takes_value(option))
        return err_set(e, -EINVAL, "'--%s' needs a value (%s)", option->name, option->arg);
    return store(option, value, e);
}

/* One "-abc": flags may be joined; the first that takes a value takes the rest. */
static int parse_short(const struct cli_verb *verb, int argc, char **argv, int *i, struct err **e)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        const struct cli_option *option = find_option(verb, NULL, 0, *p);
        const char *value = NULL;
        int r;

        if (!option)
            return err_set(e, -EINVAL, "unknown option '-%c'", *p);
        if (takes_value(option)) {
            value = p[1] ? p + 1 : *i + 1 < argc ? argv[++*i] : NULL;
            if (!value)
                return err_set(e, -EINVAL, "'-%c' needs a value (%s)", *p, option->arg);
        }
        r = store(option, value, e);
        if (r < 0 || value)
            return r;
    }
    return 0;
}

static void print_options(const struct cli_option *options)
{
    for (size_t i = 0; options && options[i].name; i++) {
        const struct cli_option *o = &options[i];
        auto_free char *left =
            xasprintf("%s%c%s --%s%s%s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
                      o->letter ? "," : " ", o->name, o->arg && o->kind != CLI_CHOICE ? " " : "",
                      o->arg ? o->arg : "");
        if (strlen(left) > 30)
            (void)printf("  %s\n  %-30s  %s\n", left, "", o->help);
        else
            (void)printf("  %-30s  %s\n", left, o->help);
    }
}

static void print_help(const struct cli_verb *verb)
{
    (void)printf("usage: flatnet %s%s%s\n\n%s\n", verb->path, *verb->args ? " " : "", verb->args,
                 verb->summary);
    if (verb->text)
        (void)printf("\n%s\n", verb->text);
    if (verb->options && verb->options[0].name)
        (void)printf("\noptions:\n");
    print_options(verb->options);
    (void)printf("\ncommon options:\n");
    print_options(common_options);
}

static int apply_common(struct err **e)
{
    if (format_name && strcmp(format_name, "json") && strcmp(format_name, "text"))
        return err_set(e, -EINVAL, "'--format' takes text or json, not '%s'", format_name);
    cli_common.json = format_name && !strcmp(format_name, "json");
    log_set_level(cli_common.debug ? LOG_DEBUG : cli_common.quiet ? LOG_WARN : LOG_INFO);
    return 0;
}

static int check_count(const struct cli_verb *verb, int count, struct err **e)
{
    if (count < verb->min_args)
        return err_set(e, -EINVAL, "'%s' needs more: flatnet %s %s", verb->path, verb->path,
                       verb->args);
    if (verb->max_args >= 0 && count > verb->max_args)
        return err_set(e, -EINVAL, "'%s' takes no more than %d argument%s: flatnet %s %s",
                       verb->path, verb->max_args, verb->max_args == 1 ? "" : "s", verb->path,
                       verb->args);
    return 0;
}

int cli_parse(const struct cli_verb *verb, int argc, char **argv, char ***out_args, int *out_count,
              struct err **e)
{
    int count = 0, r = 0;
    bool only_args = false;

    for (int i = 1; i < argc && r >= 0; i++) {
        if (only_args || argv[i][0] != '-' || !argv[i][1])
            argv[1 + count++] = argv[i];
        else if (!strcmp(argv[i], "--"))
            only_args = true;
        else if (argv[i][1] == '-')
            r = parse_long(verb, argc, argv, &i, e);
        else
            r = parse_short(verb, argc, argv, &i, e);
        if (help_wanted) {
            print_help(verb);
            return 1;
        }
    }
    if (r >= 0)
        r = apply_common(e);
    if (r >= 0)
        r = check_count(verb, count, e);
    if (r < 0)
        return r;
    argv[1 + count] = NULL;
    *out_args = argv + 1;
    *out_count = count;
    return 0;
}

void cli_list_release(struct cli_list *list)
{
    free(list->items);
    *list = (struct cli_list){0};
}

/* Calls `f` with each name until one gives something else than 0, which is returned. */
static int each_name(const struct cli_list *list, int (*f)(const char *name, void *arg), void *arg)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++)
        for (const char *p = list->items[i]; r == 0 && p;
             p = strchr(p, ','), p = p ? p + 1 : NULL) {
            auto_free char *name = xstrndup(p, strcspn(p, ","));

            r = f(name, arg);
        }
    return r;
}

static int is_it(const char *name, void *arg)
{
    return !strcasecmp(name, arg);
}

bool cli_names_have(const struct cli_list *list, const char *name)
{
    return each_name(list, is_it, (void *)(uintptr_t)name);
}

struct known_names {
    const char *option, *what;
    const char *const *known;
    struct err **e;
};

static int check_name(const char *name, void *arg)
{
    const struct known_names *k = arg;
    const char *nearest;

    for (const char *const *known = k->known; *known; known++)
        if (!strcasecmp(name, *known))
            return 0;
    nearest = cli_nearest(name, k->known);
    return err_set(k->e, -EINVAL, "'--%s' has '%s', which is no %s%s%s%s", k->option, name, k->what,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

int cli_names_check(const struct cli_list *list, const char *option, const char *what,
                    const char *const *known, struct err **e)
{
    struct known_names k = {.option = option, .what = what, .known = known, .e = e};

    return each_name(list, check_name, &k);
}

bool cli_wants_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !(no && *no) && !(term && !strcmp(term, "dumb"));
}

int cli_fail(const struct cli_verb *verb, const struct err *e)
{
    int status = e ? e->status : -EIO;

    log_error("%s", err_text(e));
    if (status == -EINVAL && verb)
        (void)fprintf(stderr, "see 'flatnet %s --help'\n", verb->path);
    return err_exit_status(status);
}
