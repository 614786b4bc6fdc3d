/* Plans: what is wanted, what is there, and what the server says about it. */
#include "deploy_plan.h"

#include "deploy_managed.h"
#include "deploy_merge.h"
#include "interrupt.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "num.h"
#include "objdiff.h"
#include "yamljson.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS_MAX (256u << 10)

static struct deploy_item *add_item(struct deploy_plan *p)
{
    array_grow(p->items, p->n_items);
    p->items[p->n_items] = (struct deploy_item){.wanted = NULL};
    return &p->items[p->n_items++];
}

static int add_document(struct deploy_plan *p, const struct yamlnode *document, struct err **e)
{
    auto_json cJSON *object = NULL;
    struct deploy_name name;
    struct deploy_item *item;
    int r = yamljson_convert(document, &object, e);

    if (r < 0 || cJSON_IsNull(object))
        return r;
    r = deploy_name_of(object, &name, e);
    if (r < 0)
        return r;
    deploy_complete(object);
    item = add_item(p);
    item->name = name;
    item->wanted = take(object);
    return 0;
}

int deploy_plan_add_yaml(struct deploy_plan *p, const char *what, const char *text, size_t len,
                         struct err **e)
{
    auto_yamltree struct yamltree tree = {.n_documents = 0};
    int r = yamltree_parse(text, len, &tree, e);

    for (size_t i = 0; i < tree.n_documents && r == 0; i++)
        r = add_document(p, tree.documents[i], e);
    return r < 0 ? err_wrap(e, "'%s'", what) : 0;
}

struct deploy_item *deploy_plan_find(const struct deploy_plan *p, const struct deploy_name *n)
{
    for (size_t i = 0; i < p->n_items; i++)
        if (deploy_name_equal(&p->items[i].name, n))
            return &p->items[i];
    return NULL;
}

struct deploy_item *deploy_plan_add_deletion(struct deploy_plan *p, const struct deploy_name *n,
                                             const char *note)
{
    struct deploy_item *item = add_item(p);

    item->name = deploy_name_copy(n);
    item->action = DEPLOY_DELETE;
    item->note = xstrdup(note);
    return item;
}

/* --- what would become of an item --- */

/* With what kubectl keeps about it, so that kubectl and a later run go on from there. */
static cJSON *merge_with_annotation(const struct deploy_item *item)
{
    auto_json cJSON *original = deploy_last_applied(item->live);
    cJSON *merged = item->live ? deploy_merge(original, item->wanted, item->live)
                               : cJSON_Duplicate(item->wanted, true);

    deploy_set_last_applied(merged, item->wanted);
    return merged;
}

/* What a take-over leaves: kubectl's annotation would be out of date. */
static cJSON *merge_without_annotation(const struct deploy_item *item)
{
    auto_json cJSON *original = deploy_last_applied(item->live);
    cJSON *merged = item->live ? deploy_merge(original, item->wanted, item->live)
                               : cJSON_Duplicate(item->wanted, true);
    cJSON *annotations =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(merged, "metadata"),
                                         "annotations");

    cJSON_DeleteItemFromObjectCaseSensitive(annotations, DEPLOY_LAST_APPLIED);
    return merged;
}

static cJSON *merge_item(const struct deploy_server *s, const struct deploy_item *item)
{
    return s->has_apply ? merge_without_annotation(item) : merge_with_annotation(item);
}

/* Names the fields that others have, all of them, where they can be told. */
static bool name_conflicts(struct deploy_item *item)
{
    auto_free char *fields = deploy_managed_conflicts(item->live, item->wanted);
    auto_free char *name = deploy_name_text(&item->name);

    if (fields)
        (void)err_set(&item->error, -EAGAIN, "%s: others have set fields to other values:%s", name,
                      fields);
    return fields != NULL;
}

/* How the server would answer; it says it in item->planned or item->error. */
static int try_item(const struct deploy_server *s, struct deploy_item *item, struct err **e)
{
    struct deploy_server dry = *s;
    auto_json cJSON *merged = merge_item(s, item);
    int r;

    dry.is_dry = true;
    /* What the apply behind a take-over would run into cannot be tried. */
    if (item->is_taken_over && !s->forces_conflicts && name_conflicts(item))
        return 0;
    if (s->has_apply && !item->is_taken_over)
        r = deploy_apply(&dry, &item->name, item->wanted, &item->planned, &item->error);
    else if (item->live && deploy_is_same(item->live, merged))
        r = 0;
    else if (item->live)
        r = deploy_replace(&dry, &item->name, merged, &item->planned, &item->error);
    else
        r = deploy_create(&dry, &item->name, merged, &item->planned, &item->error);
    if (r == -EAGAIN && item->live)
        (void)name_conflicts(item);
    if (r == 0 && !item->planned)
        item->planned = take(merged);
    /* Without a server there is nothing to go on with; what it refuses is told in one go. */
    return r == -EHOSTUNREACH || r == -ECANCELED ? err_set(e, r, "%s", err_text(item->error)) : 0;
}

/* The lock of the controller's election, or NULL for a controller that knows none. */
static const char *lock_of(const cJSON *deployment)
{
    static const char flag[] = "--leader-elect-resource-lock=";
    const cJSON *pod =
        json_get_obj(json_get_obj(json_get_obj(deployment, "spec"), "template"), "spec");
    const cJSON *container = json_get_arr(pod, "containers"), *arg;

    cJSON_ArrayForEach(arg, json_get_arr(container ? container->child : NULL, "args"))
    {
        if (cJSON_IsString(arg) && !strncmp(arg->valuestring, flag, strlen(flag)))
            return arg->valuestring + strlen(flag);
    }
    return NULL;
}

/* Two controllers in two elections would both lead. */
static bool has_other_lock(const struct deploy_item *item)
{
    const char *is = lock_of(item->live), *to_be = lock_of(item->wanted);

    return !strcmp(item->name.kind->kind, "Deployment") &&
           !strcmp(item->name.name, "network-controller") &&
           (!is || !to_be || strcmp(is, to_be) != 0) && is != to_be;
}

static void look_for_fixed_fields(struct deploy_item *item)
{
    const char *field = deploy_fixed_field(item->live, item->wanted);

    item->is_stopped = has_other_lock(item);
    if (!field && !item->is_stopped)
        return;
    item->action = DEPLOY_RECREATE;
    item->note = field ? xasprintf("'%s' differs, which never changes", field)
                       : xstrdup("the two controllers would not know of each other; the old one "
                                 "ends before the new one begins");
}

/* A list of names alone is no reason to delete what bears another's label, or none. */
static void check_deletion(struct deploy_item *item)
{
    const char *part =
        json_get_str(json_get_obj(json_get_obj(item->live, "metadata"), "labels"), DEPLOY_PART_KEY);
    bool is_ours = item->is_obsolete || (part && !strcmp(part, DEPLOY_PART));
    auto_free char *name = deploy_name_text(&item->name);

    if (item->live && !is_ours)
        log_warn("%s has not the label " DEPLOY_PART_KEY "=" DEPLOY_PART " and stays", name);
    if (!item->live || !is_ours)
        item->action = DEPLOY_UNCHANGED;
}

static int plan_item(const struct deploy_server *s, struct deploy_item *item, bool by_client,
                     struct err **e)
{
    int r = interrupt_check(e);

    if (r == 0)
        r = deploy_get(s, &item->name, &item->live, e);
    if (r == 0 && !item->wanted)
        check_deletion(item);
    if (r < 0 || !item->wanted)
        return r;
    if (item->live)
        look_for_fixed_fields(item);
    item->is_taken_over = s->has_apply && item->live && deploy_is_client_applied(item->live);
    if (item->action == DEPLOY_RECREATE)
        item->planned = cJSON_Duplicate(item->wanted, true);
    else if (by_client || !s->has_dry_run)
        item->planned = merge_item(s, item);
    else
        r = try_item(s, item, e);
    if (r < 0 || item->action == DEPLOY_RECREATE)
        return r;
    item->action =
        !item->live ? DEPLOY_CREATE
        : item->is_taken_over || !item->planned || !deploy_is_same(item->live, item->planned)
            ? DEPLOY_CONFIGURE
            : DEPLOY_UNCHANGED;
    return 0;
}

/* What goes comes last, backwards; what is of 2019 goes first. */
static int order(const struct deploy_item *item)
{
    int rank = item->name.kind->rank;

    return item->is_obsolete ? rank - 200 : item->wanted ? rank : 200 - rank;
}

static int compare_items(const void *a, const void *b)
{
    const struct deploy_item *left = a, *right = b;

    if (order(left) != order(right))
        return order(left) - order(right);
    if (strcmp(left->name.name, right->name.name) != 0)
        return strcmp(left->name.name, right->name.name);
    return strcmp(left->name.ns, right->name.ns);
}

int deploy_plan_make(const struct deploy_server *s, struct deploy_plan *p, bool by_client,
                     struct err **e)
{
    int r = 0;

    for (size_t i = 0; i < p->n_items && r == 0; i++)
        r = plan_item(s, &p->items[i], by_client, e);
    if (r == 0 && p->n_items)
        qsort(p->items, p->n_items, sizeof(*p->items), compare_items);
    return r;
}

int deploy_plan_check(const struct deploy_plan *p, struct err **e)
{
    auto_buf struct buf text;
    bool has_conflict = false;
    size_t n = 0;
    int first = 0;

    buf_init(&text, ERRORS_MAX);
    for (size_t i = 0; i < p->n_items; i++) {
        if (!p->items[i].error)
            continue;
        first = n++ ? first : p->items[i].error->status;
        has_conflict = has_conflict || p->items[i].error->status == -EAGAIN;
        (void)buf_addf(&text, "\n  %s", p->items[i].error->msg);
    }
    if (!n)
        return 0;
    return err_set(e, first, "the server refuses %zu object%s, and nothing was changed:%s%s", n,
                   num_plural(n), text.data,
                   has_conflict ? "\n'--force-conflicts' takes the fields over from those that "
                                  "have them"
                                : "");
}

void deploy_plan_diff(const struct deploy_plan *p, struct buf *out)
{
    for (size_t i = 0; i < p->n_items; i++) {
        const struct deploy_item *item = &p->items[i];
        auto_free char *name = deploy_name_text(&item->name);

        if (item->action != DEPLOY_UNCHANGED)
            objdiff_objects(name, item->live, item->planned, out);
    }
}

const char *deploy_action_done(enum deploy_action action)
{
    switch (action) {
    case DEPLOY_CREATE:
        return "created";
    case DEPLOY_CONFIGURE:
        return "configured";
    case DEPLOY_RECREATE:
        return "recreated";
    case DEPLOY_DELETE:
        return "deleted";
    default:
        return "unchanged";
    }
}

size_t deploy_plan_count(const struct deploy_plan *p, enum deploy_action action)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_items; i++)
        n += p->items[i].action == action;
    return n;
}

void deploy_plan_release(struct deploy_plan *p)
{
    for (size_t i = 0; i < p->n_items; i++) {
        struct deploy_item *item = &p->items[i];

        deploy_name_release(&item->name);
        cJSON_Delete(item->wanted);
        cJSON_Delete(item->live);
        cJSON_Delete(item->planned);
        free(item->note);
        err_free(item->error);
    }
    free(p->items);
    *p = (struct deploy_plan){.n_items = 0};
}
