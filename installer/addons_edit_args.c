/* flannel's --iface among its arguments: present, as a comment, or not there at all. */
#include "addons_edit.h"

#include "mem.h"
#include "ref.h"

#include <string.h>

#define DELETE ""

/* One argument list, and what of it is about interfaces. */
struct args {
    struct addons_editing *in;
    const struct yamlnode *list;
    const struct yamlnode *first; /* the first --iface or --iface-regex; or NULL */
    size_t n_iface;               /* items that are about interfaces, values included */
};

static void unknown(struct addons_editing *in, const struct yamlnode *n, const char *why)
{
    findings_add(in->f, FINDING_WARNING, in->file, n->line,
                 "left alone: flannel's arguments, %s; set --iface there by hand", why);
}

/* Go's flags take one dash or two. 1: "--iface=X"; 2: "--iface", the value is the next item. */
static int iface_items(const char *arg)
{
    static const char *const names[] = {"iface", "iface-regex"};

    if (!arg || *arg != '-')
        return 0;
    arg += arg[1] == '-' ? 2 : 1;
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(names[i]);

        if (!strncmp(arg, names[i], len) && (!arg[len] || arg[len] == '='))
            return arg[len] ? 1 : 2;
    }
    return 0;
}

static bool names_flanneld(const struct yamlnode *list)
{
    const char *program =
        list && list->kind == YAMLNODE_LIST && list->n_items ? yamlnode_str(list->items[0]) : NULL;
    size_t len = program ? strlen(program) : 0;

    return len >= 8 && !strcmp(program + len - 8, "flanneld") &&
           (len == 8 || program[len - 9] == '/');
}

/* Where flanneld's flags are: behind its name in the command, or in the arguments. */
static const struct yamlnode *find_list(const struct yamlnode *container)
{
    const struct yamlnode *command = yamlnode_get(container, "command");
    const struct yamlnode *args = yamlnode_get(container, "args");

    if (names_flanneld(args))
        return args;
    if (!names_flanneld(command))
        return NULL;
    return args ? args : command;
}

/* --- lists by indentation --- */

/* The item's line holds its dash and nothing before that, and the item ends in it. */
static bool has_own_line(const struct yamledit *ed, const struct yamlnode *item)
{
    size_t at = yamledit_line_start(ed, item->start), end = yamledit_line_end(ed, item->start);

    while (ed->text[at] == ' ')
        at++;
    return at + 1 < item->start && ed->text[at] == '-' && ed->text[at + 1] == ' ' &&
           item->kind == YAMLNODE_SCALAR && item->style <= YAMLNODE_DOUBLE && item->end <= end;
}

/* "        - --iface=ens4" for each argument from `from`, in lines of their own, the first with a
 * line break before it. */
static char *format_items(const struct args *a, const struct yamlnode *like, size_t from)
{
    const struct yamledit *ed = &a->in->ed;
    size_t start = yamledit_line_start(ed, like->start), dash = start;
    struct buf text;

    buf_init(&text, 64 << 10);
    while (ed->text[dash] == ' ')
        dash++;
    for (char **arg = a->in->s->iface_args + from; *arg; arg++) {
        auto_free char *scalar = yamledit_scalar(*arg, YAMLNODE_PLAIN);

        (void)buf_addf(&text, "%s%.*s- %s", yamledit_newline(ed), (int)(dash - start),
                       ed->text + start, scalar);
    }
    return buf_steal(&text);
}

/* "   # - --iface=eth0": the line to uncomment, in [at, end). */
static bool is_commented_iface(const struct yamledit *ed, size_t at, size_t end)
{
    char arg[32] = "";
    size_t n = 0;

    while (at < end && ed->text[at] == ' ')
        at++;
    if (at == end || ed->text[at++] != '#')
        return false;
    while (at < end && (ed->text[at] == ' ' || ed->text[at] == '#'))
        at++;
    if (at == end || ed->text[at++] != '-')
        return false;
    while (at < end && strchr(" '\"", ed->text[at]))
        at++;
    while (at < end && n + 1 < sizeof(arg))
        arg[n++] = ed->text[at++];
    return iface_items(arg) == 1;
}

/* The first such comment between the first item and what comes behind the list. */
static bool find_comment(const struct args *a, size_t *out_start, size_t *out_end)
{
    const struct yamledit *ed = &a->in->ed;
    size_t at = yamledit_next_line(ed, a->list->items[0]->start);

    for (; at < a->list->end; at = yamledit_next_line(ed, at)) {
        if (!is_commented_iface(ed, at, yamledit_line_end(ed, at)))
            continue;
        *out_start = at;
        *out_end = yamledit_line_end(ed, at);
        return true;
    }
    return false;
}

static void add_to_block(struct args *a)
{
    const struct yamlnode *last = a->list->items[a->list->n_items - 1];
    auto_free char *items = format_items(a, last, 0);
    size_t start, end;

    if (find_comment(a, &start, &end)) {
        yamledit_replace(&a->in->ed, start, end, items + strlen(yamledit_newline(&a->in->ed)));
        return;
    }
    end = yamledit_line_end(&a->in->ed, last->start);
    yamledit_replace(&a->in->ed, end, end, items);
}

/* The first item becomes the first argument, so that a comment behind it stays; the others go. */
static void replace_in_block(struct args *a)
{
    auto_free char *more = format_items(a, a->first, 1);
    struct yamledit *ed = &a->in->ed;
    size_t end = yamledit_line_end(ed, a->first->start);
    bool takes_next = false;

    (void)yamledit_set(ed, a->first, a->in->s->iface_args[0]);
    if (*more)
        yamledit_replace(ed, end, end, more);
    for (size_t i = 0; i < a->list->n_items; i++) {
        const struct yamlnode *item = a->list->items[i];
        int n = iface_items(yamlnode_str(item));
        bool is_ours = n || takes_next;

        takes_next = n == 2 && !takes_next;
        if (is_ours && item != a->first)
            yamledit_replace(ed, yamledit_line_start(ed, item->start),
                             yamledit_next_line(ed, item->start), DELETE);
    }
}

static void edit_block(struct args *a)
{
    for (size_t i = 0; i < a->list->n_items; i++)
        if (!has_own_line(&a->in->ed, a->list->items[i])) {
            unknown(a->in, a->list, "which are not one to a line");
            return;
        }
    if (a->first)
        replace_in_block(a);
    else
        add_to_block(a);
    a->in->counts.ifaces++;
}

/* --- lists in brackets --- */

static void edit_flow(struct args *a)
{
    const struct yamlnode *last = a->list->items[a->list->n_items - 1];
    const struct yamlnode *after = a->first ? a->first : last;
    struct buf text;

    if (a->n_iface > 1 || last->kind != YAMLNODE_SCALAR ||
        (a->first && iface_items(yamlnode_str(a->first)) == 2)) {
        unknown(a->in, a->list, "which name interfaces more than once, or in two words");
        return;
    }
    buf_init(&text, 64 << 10);
    for (char **arg = a->in->s->iface_args + (a->first != NULL); *arg; arg++) {
        auto_free char *scalar = yamledit_scalar(*arg, after->style);

        (void)buf_addf(&text, ", %s", scalar);
    }
    if (a->first)
        (void)yamledit_set(&a->in->ed, a->first, a->in->s->iface_args[0]);
    if (text.len)
        yamledit_replace(&a->in->ed, after->end, after->end, text.data);
    buf_release(&text);
    a->in->counts.ifaces++;
}

void addons_edit_args(struct addons_editing *in, const struct yamlnode *container)
{
    struct args a = {.in = in, .list = find_list(container)};
    bool takes_next = false;

    if (!a.list)
        return;
    if (a.list->kind != YAMLNODE_LIST || !a.list->n_items) {
        unknown(in, a.list, "which are no list, or an empty one");
        return;
    }
    for (size_t i = 0; i < a.list->n_items; i++) {
        int n = iface_items(yamlnode_str(a.list->items[i]));

        if (n && !takes_next && !a.first)
            a.first = a.list->items[i];
        a.n_iface += n || takes_next;
        takes_next = n == 2 && !takes_next;
    }
    if (a.list->style == YAMLNODE_FLOW)
        edit_flow(&a);
    else
        edit_block(&a);
}
