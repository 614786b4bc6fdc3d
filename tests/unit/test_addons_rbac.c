/* docs/rbac.md and the rendered roles: every right has its row, and every row its right. */
#include "addons_render.h"
#include "buf.h"
#include "fs.h"
#include "mem.h"
#include "yamltree.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CELLS 5
#define CELL_SIZE 128

/* Rights as lines "GROUP RESOURCE[ kube-system][ NAME]: VERB", sorted. */
struct rights {
    char **items;
    size_t n_items;
};

static void rights_release(struct rights *r)
{
    for (size_t i = 0; i < r->n_items; i++)
        free(r->items[i]);
    free(r->items);
    *r = (struct rights){.n_items = 0};
}

static void add_right(struct rights *r, const char *group, const char *resource, const char *where,
                      const char *verb)
{
    array_grow(r->items, r->n_items);
    r->items[r->n_items++] = xasprintf("%s %s%s: %s", group, resource, where, verb);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The next word of *p into `out`; false at the end. */
static bool next_word(const char **p, char out[CELL_SIZE])
{
    size_t len;

    *p += strspn(*p, " ");
    len = strcspn(*p, " ");
    if (!len || len >= CELL_SIZE)
        return false;
    memcpy(out, *p, len);
    out[len] = '\0';
    *p += len;
    return true;
}

/* --- the page --- */

/* "| a | b |" into cells without the blanks around them; the number of cells. */
static size_t split_row(const char *line, size_t len, char cells[CELLS][CELL_SIZE])
{
    size_t n = 0, at = 1;

    while (n < CELLS && at < len) {
        const char *bar = memchr(line + at, '|', len - at);
        size_t end = bar ? (size_t)(bar - line) : len, cell = at;

        while (cell < end && line[cell] == ' ')
            cell++;
        at = end + 1;
        while (end > cell && line[end - 1] == ' ')
            end--;
        assert_true(end - cell < CELL_SIZE);
        memcpy(cells[n], line + cell, end - cell);
        cells[n++][end - cell] = '\0';
    }
    return n;
}

static bool applies(const char *when, const struct addons_settings *s)
{
    int minor = s->kube_minor;

    if (!*when)
        return true;
    if (!strcmp(when, "multus"))
        return s->mode == ADDONS_MULTUS;
    if (!strcmp(when, "webhook"))
        return s->has_webhook;
    if (!strncmp(when, "before 1.", 9))
        return minor < strtol(when + 9, NULL, 10);
    assert_int_equal(strncmp(when, "1.", 2), 0);
    return minor >= strtol(when + 2, NULL, 10);
}

/* "leases kube-system network-controller" is one resource, and so is "nodes cluster x", whose right
 * stands in a ClusterRole; "a b c" are three. */
static void add_row(struct rights *r, char cells[CELLS][CELL_SIZE])
{
    const char *group = strcmp(cells[1], "core") ? cells[1] : "";
    char *cluster = strstr(cells[2], " cluster ");
    char *place = cluster ? cluster : strstr(cells[2], " kube-system");
    auto_free char *where = xstrdup(!place ? "" : cluster ? place + strlen(" cluster") : place);
    const char *resources = cells[2];
    char resource[CELL_SIZE], verb[CELL_SIZE];

    if (place)
        *place = '\0';
    while (next_word(&resources, resource))
        for (const char *verbs = cells[3]; next_word(&verbs, verb);)
            add_right(r, group, resource, where, verb);
}

static void read_page(const struct buf *page, const char *heading, const struct addons_settings *s,
                      struct rights *out)
{
    auto_free char *start = xasprintf("\n## %s (", heading);
    const char *p = strstr(page->data, start), *end;

    if (!p)
        fail_msg("no section '%s'", heading);
    end = strstr(p + 1, "\n## ");
    for (p = strchr(p + 1, '\n'); p && (!end || p < end); p = strchr(p + 1, '\n')) {
        char cells[CELLS][CELL_SIZE] = {{0}};

        if (p[1] != '|' || split_row(p + 1, strcspn(p + 1, "\n"), cells) < 4 ||
            !strcmp(cells[0], "call") || cells[0][0] == '-')
            continue;
        if (applies(cells[4], s))
            add_row(out, cells);
    }
}

/* --- the roles --- */

static const struct yamlnode *list_of(const struct yamlnode *rule, const char *key)
{
    const struct yamlnode *list = yamlnode_get(rule, key);

    assert_true(list && list->kind == YAMLNODE_LIST && list->n_items);
    return list;
}

static void add_rule(struct rights *r, const struct yamlnode *rule, bool is_role)
{
    const struct yamlnode *groups = list_of(rule, "apiGroups");
    const struct yamlnode *resources = list_of(rule, "resources"), *verbs = list_of(rule, "verbs");
    const struct yamlnode *names = yamlnode_get(rule, "resourceNames");
    auto_free char *where = xasprintf("%s%s%s", is_role ? " kube-system" : "", names ? " " : "",
                                      names ? yamlnode_str(names->items[0]) : "");

    assert_int_equal(groups->n_items, 1);
    assert_true(!names || names->n_items == 1);
    for (size_t i = 0; i < resources->n_items; i++)
        for (size_t j = 0; j < verbs->n_items; j++)
            add_right(r, groups->items[0]->text, yamlnode_str(resources->items[i]), where,
                      yamlnode_str(verbs->items[j]));
}

static void read_roles(const struct addons_file *file, const char *name, struct rights *out)
{
    auto_yamltree struct yamltree t = {.n_documents = 0};

    assert_int_equal(yamltree_parse(file->text, file->len, &t, NULL), 0);
    for (size_t i = 0; i < t.n_documents; i++) {
        const char *kind = yamlnode_str(yamlnode_get(t.documents[i], "kind"));
        const struct yamlnode *meta = yamlnode_get(t.documents[i], "metadata"), *rules;
        bool is_role = !strcmp(kind, "Role");

        if ((!is_role && strcmp(kind, "ClusterRole") != 0) ||
            strcmp(yamlnode_str(yamlnode_get(meta, "name")), name) != 0)
            continue;
        if (is_role)
            assert_string_equal(yamlnode_str(yamlnode_get(meta, "namespace")), "kube-system");
        rules = list_of(t.documents[i], "rules");
        for (size_t j = 0; j < rules->n_items; j++)
            add_rule(out, rules->items[j], is_role);
    }
}

/* --- both --- */

static void must_be_equal(struct rights *page, struct rights *roles, const char *what)
{
    assert_true(page->n_items && roles->n_items);
    qsort(page->items, page->n_items, sizeof(*page->items), compare);
    qsort(roles->items, roles->n_items, sizeof(*roles->items), compare);
    for (size_t i = 0; i < page->n_items || i < roles->n_items; i++) {
        const char *said = i < page->n_items ? page->items[i] : "(no more rows)";
        const char *given = i < roles->n_items ? roles->items[i] : "(no more rights)";

        if (strcmp(said, given) != 0)
            fail_msg("%s: the page has '%s', the role '%s'", what, said, given);
    }
}

struct row {
    const char *set, *mode, *role;
    const char *headings[2];
};

static void check_row(const struct buf *page, const struct row *row, int minor, bool has_webhook)
{
    auto_free char *version = xasprintf("1.%d", minor);
    auto_free char *what = xasprintf("%s %s %s %s%s", row->set, row->mode, row->role, version,
                                     has_webhook ? " webhook" : "");
    struct addons_options o = {.set = row->set,
                               .mode = row->mode,
                               .kube_version = version,
                               .has_webhook = has_webhook};
    auto_addons_settings struct addons_settings s = {.iface_args = NULL};
    auto_addons_files struct addons_files files = {.n_items = 0};
    auto_findings struct findings f = {.n_items = 0};
    struct rights said = {.n_items = 0}, given = {.n_items = 0};

    assert_int_equal(addons_settings_parse(&o, &s, NULL), 0);
    assert_int_equal(addons_render(&s, &files, &f, NULL), 0);
    for (size_t h = 0; h < 2 && row->headings[h]; h++)
        read_page(page, row->headings[h], &s, &said);
    read_roles(&files.items[0], row->role, &given);
    must_be_equal(&said, &given, what);
    rights_release(&said);
    rights_release(&given);
}

static void page_and_roles_are_equal(void **state)
{
    static const struct row table[] = {
        {"default", "multus", "multus", {"multus 3.2"}},
        {"default", "multus", "flannel", {"flannel 0.10"}},
        {"default", "multus", "static-macvlan-cni", {"static-macvlan-cni"}},
        {"default", "multus", "network-controller", {"network-controller"}},
        {"default", "chained", "flannel", {"flannel 0.10"}},
        {"default", "chained", "static-macvlan-cni", {"static-macvlan-cni"}},
        {"default", "chained", "network-controller", {"network-controller"}},
        {"current", "multus", "multus", {"multus 4"}},
        {"current", "multus", "flannel", {"flannel 0.27"}},
        {"current", "multus", "static-macvlan-cni", {"static-macvlan-cni"}},
        {"current", "chained", "network-controller", {"network-controller"}},
        {"2019-original", "multus", "multus", {"multus 3.2", "static-macvlan-cni v0.2.1"}},
        {"2019-original", "multus", "flannel", {"flannel 0.10"}},
        {"2019-original", "multus", "network-controller", {"network-controller v0.3.0"}},
        {"2019-original",
         "multus",
         "kube-net-attach-def-controller",
         {"k8s-net-attach-def-controller v0.1.0"}},
    };
    static const int minors[] = {13, 14, 16, 17, 34};
    auto_buf struct buf page;

    (void)state;
    buf_init(&page, 1 << 20);
    assert_int_equal(fs_read_file("docs/rbac.md", &page, NULL), 0);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        for (size_t j = strcmp(table[i].set, "current") ? 0 : 2; j < 5; j++) {
            check_row(&page, &table[i], minors[j], false);
            if (strcmp(table[i].set, "2019-original") != 0)
                check_row(&page, &table[i], minors[j], true);
        }
}

/* Nobody may do everything. */
static void no_role_has_a_wildcard(void **state)
{
    static const char *const sets[] = {"default", "2019-original", "current"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct addons_options o = {.set = sets[i], .has_webhook = i != 1};
        auto_addons_settings struct addons_settings s = {.iface_args = NULL};
        auto_addons_files struct addons_files files = {.n_items = 0};
        auto_findings struct findings f = {.n_items = 0};

        assert_int_equal(addons_settings_parse(&o, &s, NULL), 0);
        assert_int_equal(addons_render(&s, &files, &f, NULL), 0);
        for (size_t j = 0; j < files.n_items; j++) {
            assert_null(strstr(files.items[j].text, "\"*\""));
            assert_null(strstr(files.items[j].text, "cluster-admin"));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_and_roles_are_equal),
        cmocka_unit_test(no_role_has_a_wildcard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
