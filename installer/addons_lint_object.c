/* Checks of one Kubernetes object. */
#include "addons_kube.h"
#include "addons_lint.h"
#include "buf.h"
#include "mem.h"
#include "ref.h"

#include <stdlib.h>
#include <string.h>

struct object {
    struct addons_lint *l;
    const char *file;
    const struct yamlnode *node;
    const char *api, *kind, *name; /* NULL where they are missing */
    const char *namespace;         /* that of kubectl where the object names none */
};

#define say(o, level, node, ...)                                                                   \
    findings_add((o)->l->f, (level), (o)->file, (node)->line, __VA_ARGS__)

static const struct addons_seen *find_seen(const struct addons_seen *seen, size_t n,
                                           const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(seen[i].what, what))
            return &seen[i];
    return NULL;
}

#define remember(seen, count, o, text)                                                             \
    do {                                                                                           \
        array_grow(seen, count);                                                                   \
        (seen)[(count)++] = (struct addons_seen){.what = (text),                                   \
                                                 .file = xstrdup((o)->file),                       \
                                                 .line = (o)->node->line};                         \
    } while (0)

/* --- the object itself --- */

static void check_identity(const struct object *o)
{
    struct addons_lint *l = o->l;
    const struct addons_seen *other;
    char *identity;

    if (!o->api || !o->kind || !o->name)
        return;
    identity = addons_identity(o->api, o->kind, o->namespace, o->name);
    other = find_seen(l->objects, l->n_objects, identity);
    if (other)
        say(o, FINDING_ERROR, o->node,
            "%s '%s' is there twice, first at %s:%zu; only the last counts", o->kind, o->name,
            other->file, other->line);
    remember(l->objects, l->n_objects, o, identity);
}

static void check_fields(const struct object *o)
{
    const struct addons_api *fault;

    if (!o->api)
        say(o, FINDING_ERROR, o->node, "no apiVersion");
    if (!o->kind)
        say(o, FINDING_ERROR, o->node, "no kind");
    if (!o->name)
        say(o, FINDING_ERROR, o->node, "no metadata.name%s%s", o->kind ? " in this " : "",
            o->kind ? o->kind : "");
    fault = o->api && o->kind ? addons_api_fault(o->api, o->kind, o->l->kube_minor) : NULL;
    if (fault)
        say(o, FINDING_ERROR, yamlnode_get(o->node, "apiVersion"),
            "%s of %s is %s in Kubernetes 1.%d (%s 1.%d); use %s", o->kind, o->api,
            o->l->kube_minor < fault->since ? "not yet" : "gone", o->l->kube_minor,
            o->l->kube_minor < fault->since ? "it comes with" : "it went with",
            o->l->kube_minor < fault->since ? fault->since : fault->until, fault->instead);
}

/* Adds the bytes of the node as compact JSON, which is what 'kubectl apply' keeps. Aliases are
 * written out there, so it stops once there are too many. */
static void add_json_size(const struct yamlnode *n, int depth, size_t *size)
{
    n = yamlnode_deref(n);
    if (!n || depth > 2 * YAMLTREE_MAX_DEPTH || *size > ADDONS_ANNOTATION_MAX)
        return;
    *size += 2;
    for (size_t i = 0; n->kind == YAMLNODE_SCALAR && i < n->len; i++)
        *size += strchr("\"\\\n\t\r", n->text[i]) ? 2 : strchr("<>&", n->text[i]) ? 6 : 1;
    for (size_t i = 0; i < n->n_items; i++) {
        add_json_size(n->items[i], depth + 1, size);
        (*size)++;
    }
}

static void check_annotation(const struct object *o)
{
    size_t size = 0;

    add_json_size(o->node, 0, &size);
    if (size > ADDONS_ANNOTATION_MAX)
        say(o, FINDING_ERROR, o->node,
            "larger than %u bytes, the most that an annotation holds, and 'kubectl apply', by "
            "which RKE brings addons in, keeps each object in one",
            ADDONS_ANNOTATION_MAX);
}

/* --- selectors of DaemonSets --- */

static int compare_terms(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "key In a b" of one of matchExpressions. */
static char *format_expression(const struct yamlnode *expression)
{
    const struct yamlnode *values = yamlnode_get(expression, "values");
    const char *key = yamlnode_str(yamlnode_get(expression, "key"));
    const char *op = yamlnode_str(yamlnode_get(expression, "operator"));
    struct buf text;

    buf_init(&text, YAMLTREE_MAX_SIZE);
    (void)buf_addf(&text, "%s %s", key ? key : "", op ? op : "");
    for (size_t i = 0; values && i < values->n_items; i++) {
        const char *value = yamlnode_str(values->items[i]);

        (void)buf_addf(&text, " %s", value ? value : "");
    }
    return buf_steal(&text);
}

/* "NAMESPACE|a=b,c=d", labels and expressions in their order; NULL where there are none. */
static char *format_selector(const char *namespace, const struct yamlnode *labels,
                             const struct yamlnode *expressions)
{
    size_t n_labels = labels && labels->kind == YAMLNODE_MAPPING ? labels->n_items / 2 : 0;
    size_t n_more = expressions && expressions->kind == YAMLNODE_LIST ? expressions->n_items : 0;
    auto_free char **terms = xcalloc(n_labels + n_more + 1, sizeof(*terms));
    struct buf text;
    size_t n = 0;

    for (size_t i = 0; i < n_labels; i++) {
        const char *key = yamlnode_str(labels->items[2 * i]),
                   *value = yamlnode_str(labels->items[2 * i + 1]);

        terms[n++] = xasprintf("%s=%s", key ? key : "", value ? value : "");
    }
    for (size_t i = 0; i < n_more; i++)
        terms[n++] = format_expression(expressions->items[i]);
    if (!n)
        return NULL;
    qsort(terms, n, sizeof(*terms), compare_terms);
    buf_init(&text, YAMLTREE_MAX_SIZE);
    (void)buf_addf(&text, "%s|", namespace);
    for (size_t i = 0; i < n; i++) {
        (void)buf_addf(&text, "%s%s", i ? "," : "", terms[i]);
        free(terms[i]);
    }
    return buf_steal(&text);
}

/* Two that select the same pods fight over them, or are kept apart by luck only. */
static void check_selector(const struct object *o)
{
    static const char *const path[] = {"spec", "selector", NULL};
    static const char *const labels[] = {"spec", "template", "metadata", "labels", NULL};
    const struct yamlnode *selector = yamlnode_path(o->node, path);
    struct addons_lint *l = o->l;
    const struct addons_seen *other;
    char *text;

    if (!o->kind || strcmp(o->kind, "DaemonSet") != 0)
        return;
    /* extensions/v1beta1 takes the template's labels where no selector is given. */
    text = format_selector(o->namespace,
                           selector ? yamlnode_get(selector, "matchLabels")
                                    : yamlnode_path(o->node, labels),
                           yamlnode_get(selector, "matchExpressions"));
    if (!text)
        return;
    other = find_seen(l->selectors, l->n_selectors, text);
    if (other)
        say(o, FINDING_WARNING, o->node,
            "DaemonSet '%s' selects the same pods (%s) as the one at %s:%zu; give each a label of "
            "its own",
            o->name ? o->name : "", strchr(text, '|') + 1, other->file, other->line);
    remember(l->selectors, l->n_selectors, o, text);
}

/* --- containers --- */

static void check_pull_policy(const struct object *o, const struct yamlnode *container)
{
    const struct yamlnode *policy = yamlnode_get(container, "imagePullPolicy");
    const struct yamlnode *image = yamlnode_get(container, "image");
    const char *text = yamlnode_str(image), *set = yamlnode_str(policy);
    auto_ref struct ref ref = {.host = NULL};

    if (set && !strcmp(set, "Always"))
        say(o, FINDING_ERROR, policy,
            "imagePullPolicy Always asks a registry at every start; without one the pod does not "
            "start: use IfNotPresent");
    if (set || !text || ref_parse(text, &ref, NULL) < 0)
        return;
    if (!ref.digest && !strcmp(ref.tag, "latest"))
        say(o, FINDING_ERROR, image,
            "'%s' is a 'latest', so that without an imagePullPolicy a registry is asked at every "
            "start: add 'imagePullPolicy: IfNotPresent', or name a version",
            text);
}

static void check_containers(const struct object *o)
{
    static const char *const lists[] = {"initContainers", "containers"};
    const struct yamlnode *spec = addons_pod_spec(o->node);

    for (size_t i = 0; i < 2; i++) {
        const struct yamlnode *list = yamlnode_get(spec, lists[i]);

        for (size_t j = 0; list && list->kind == YAMLNODE_LIST && j < list->n_items; j++)
            check_pull_policy(o, list->items[j]);
    }
}

static void check_object(struct addons_lint *l, const char *file, const struct yamlnode *object)
{
    const struct yamlnode *meta = yamlnode_get(object, "metadata");
    const char *namespace = yamlnode_str(yamlnode_get(meta, "namespace"));
    struct object o = {.l = l,
                       .file = file,
                       .node = object,
                       .api = yamlnode_str(yamlnode_get(object, "apiVersion")),
                       .kind = yamlnode_str(yamlnode_get(object, "kind")),
                       .namespace = namespace ? namespace : "default",
                       .name = yamlnode_str(yamlnode_get(meta, "name"))};

    if (object->kind != YAMLNODE_MAPPING) {
        say(&o, FINDING_ERROR, object, "this document is no Kubernetes object");
        return;
    }
    check_fields(&o);
    check_identity(&o);
    check_annotation(&o);
    check_selector(&o);
    check_containers(&o);
}

void addons_lint_object(struct addons_lint *l, const char *file, const struct yamlnode *object)
{
    const char *kind = yamlnode_str(yamlnode_get(object, "kind"));
    const struct yamlnode *items = yamlnode_get(object, "items");

    if (!kind || strcmp(kind, "List") != 0 || !items || items->kind != YAMLNODE_LIST) {
        check_object(l, file, object);
        return;
    }
    for (size_t i = 0; i < items->n_items; i++) {
        const struct yamlnode *item = yamlnode_deref(items->items[i]);

        if (item)
            check_object(l, file, item);
    }
}
