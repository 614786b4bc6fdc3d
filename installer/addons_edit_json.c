/* JSON inside of a ConfigMap: flannel's network and multus's version. */
#include "addons_edit.h"

#include "json.h"
#include "mem.h"

#include <string.h>

/* --- where things are in JSON text that has been found to be JSON --- */

/* Behind the string that begins at `at`. */
static size_t skip_string(const char *text, size_t len, size_t at)
{
    for (at++; at < len && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at < len ? at + 1 : len;
}

static size_t skip_blanks(const char *text, size_t len, size_t at)
{
    while (at < len && strchr(" \t\r\n", text[at]))
        at++;
    return at;
}

/* Behind a value: up to the comma or bracket that ends it. */
static size_t skip_value(const char *text, size_t len, size_t at)
{
    int depth = 0;

    while (at < len) {
        char c = text[at];

        if (!depth && strchr(",}]", c))
            break;
        if (c == '"') {
            at = skip_string(text, len, at);
            continue;
        }
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        at++;
    }
    while (at && strchr(" \t\r\n", text[at - 1]))
        at--;
    return at;
}

bool addons_json_find(const char *text, size_t len, const char *name, size_t *out_start,
                      size_t *out_end)
{
    size_t at = skip_blanks(text, len, 0);

    if (at == len || text[at] != '{')
        return false;
    *out_start = ++at;
    *out_end = at = skip_blanks(text, len, at);
    if (!name)
        return true;
    while (at < len && text[at] == '"') {
        size_t key = at + 1, key_end = skip_string(text, len, at);

        at = skip_blanks(text, len, key_end);
        if (at == len || text[at++] != ':')
            return false;
        *out_start = skip_blanks(text, len, at);
        *out_end = skip_value(text, len, *out_start);
        if (key_end - key - 1 == strlen(name) && !memcmp(text + key, name, strlen(name)))
            return true;
        at = skip_blanks(text, len, *out_end);
        at = skip_blanks(text, len, at + (at < len && text[at] == ','));
    }
    return false;
}

/* --- the two documents --- */

struct document {
    struct addons_editing *in;
    const struct yamlnode *node;
    size_t body, len; /* the JSON in the text, with the indentation of the YAML */
};

static void left_alone(const struct document *d, const char *what, const char *why)
{
    findings_add(d->in->f, FINDING_WARNING, d->in->file, d->node->line, "left alone: %s, %s", what,
                 why);
}

/* Only a literal text ("|") is in the file as it is; quotes and folding change it. */
static bool is_editable(const struct document *d)
{
    return d->node->style == YAMLNODE_LITERAL;
}

static void edit_network(struct document *d, const cJSON *tree)
{
    const char *network = json_get_str(tree, "Network"), *wanted = d->in->s->pod.text;
    auto_free char *value = xasprintf("\"%s\"", wanted);
    size_t start, end;

    if (!d->in->s->pod.is_given || (network && !strcmp(network, wanted)))
        return;
    if (!network || !is_editable(d) ||
        !addons_json_find(d->in->ed.text + d->body, d->len, "Network", &start, &end)) {
        left_alone(d, "net-conf.json", "whose network is not where flannel's files have it");
        return;
    }
    yamledit_replace(&d->in->ed, d->body + start, d->body + end, value);
    d->in->counts.networks++;
}

/* kubelet 1.16 and later refuse a configuration without (multus-cni issue 415). */
static void edit_version(struct document *d, const cJSON *tree)
{
    const char *type = json_get_str(tree, "type");
    auto_free char *member = NULL;
    size_t start, end;

    if (!type || strcmp(type, "multus") != 0 || cJSON_HasObjectItem(tree, "cniVersion"))
        return;
    if (!is_editable(d) ||
        !addons_json_find(d->in->ed.text + d->body, d->len, NULL, &start, &end)) {
        left_alone(d, "multus's configuration without cniVersion", "which is no literal text");
        return;
    }
    /* The new member has the same blanks before it as the first one. */
    member = xasprintf("%.*s\"cniVersion\": \"0.3.1\",", (int)(end - start),
                       d->in->ed.text + d->body + start);
    yamledit_replace(&d->in->ed, d->body + start, d->body + start, member);
    d->in->counts.versions++;
}

static void edit_value(struct addons_editing *in, const char *key, const struct yamlnode *node)
{
    struct document d = {.in = in, .node = node, .body = node->start};
    auto_json cJSON *tree = NULL;

    if (json_parse(node->text, node->len, &tree, NULL) < 0)
        return;
    if (is_editable(&d))
        d.body = yamledit_next_line(&in->ed, node->start);
    d.len = node->end > d.body ? node->end - d.body : 0;
    if (!strcmp(key, "net-conf.json"))
        edit_network(&d, tree);
    else
        edit_version(&d, tree);
}

void addons_edit_configmap(struct addons_editing *in, const struct yamlnode *object)
{
    const char *kind = yamlnode_str(yamlnode_get(object, "kind"));
    const struct yamlnode *data = yamlnode_get(object, "data");

    if (!kind || strcmp(kind, "ConfigMap") != 0 || !data || data->kind != YAMLNODE_MAPPING)
        return;
    for (size_t i = 0; i + 1 < data->n_items; i += 2) {
        const char *key = yamlnode_str(data->items[i]);

        if (key && data->items[i + 1]->kind == YAMLNODE_SCALAR)
            edit_value(in, key, data->items[i + 1]);
    }
}
