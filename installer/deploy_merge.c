/* The three-way merge of kubectl, on whole objects. */
#include "deploy_merge.h"

#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 2

/* Lists with keys, by their name and, where one name means two things, by a key of the members. */
static const struct list_kind {
    const char *name;
    const char *keys[KEYS_MAX];
    const char *defaults[KEYS_MAX]; /* what an absent key stands for */
} list_kinds[] = {
    {"containers", {"name", NULL}, {NULL}},
    {"initContainers", {"name", NULL}, {NULL}},
    {"volumes", {"name", NULL}, {NULL}},
    {"env", {"name", NULL}, {NULL}},
    {"imagePullSecrets", {"name", NULL}, {NULL}},
    {"webhooks", {"name", NULL}, {NULL}},
    {"versions", {"name", NULL}, {NULL}},
    {"volumeMounts", {"mountPath", NULL}, {NULL}},
    {"ports", {"containerPort", "protocol"}, {NULL, "TCP"}},
    {"ports", {"port", "protocol"}, {NULL, "TCP"}},
};

static cJSON *merge(const char *name, const cJSON *original, const cJSON *wanted,
                    const cJSON *live);

/* --- members of lists by their keys --- */

/* The value of a key as text, to be freed; NULL where the member has none. */
static char *key_of(const cJSON *member, const struct list_kind *kind, size_t i)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(member, kind->keys[i]);

    if (cJSON_IsString(value) || cJSON_IsNumber(value))
        return json_print(value);
    return kind->defaults[i] ? xasprintf("\"%s\"", kind->defaults[i]) : NULL;
}

static bool is_member(const cJSON *a, const cJSON *b, const struct list_kind *kind)
{
    for (size_t i = 0; i < KEYS_MAX && kind->keys[i]; i++) {
        auto_free char *left = key_of(a, kind, i), *right = key_of(b, kind, i);

        if (!left || !right || strcmp(left, right) != 0)
            return false;
    }
    return true;
}

static const cJSON *find(const cJSON *list, const cJSON *member, const struct list_kind *kind)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (is_member(item, member, kind))
            return item;
    }
    return NULL;
}

/* True where every member has the keys, and no two have the same. */
static bool fits(const cJSON *list, const struct list_kind *kind)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (find(list, item, kind) != item)
            return false;
    }
    return true;
}

/* How these lists are merged; NULL: as a whole. */
static const struct list_kind *kind_of(const char *name, const cJSON *original, const cJSON *wanted,
                                       const cJSON *live)
{
    for (size_t i = 0; name && i < sizeof(list_kinds) / sizeof(list_kinds[0]); i++) {
        const struct list_kind *kind = &list_kinds[i];

        if (!strcmp(name, kind->name) && fits(original, kind) && fits(wanted, kind) &&
            fits(live, kind))
            return kind;
    }
    return NULL;
}

/* True where what both have stands in the same order in both. */
static bool is_in_order(const cJSON *wanted, const cJSON *live, const struct list_kind *kind)
{
    const cJSON *at = live->child, *item;

    cJSON_ArrayForEach(item, wanted)
    {
        if (!find(live, item, kind))
            continue;
        while (at && !is_member(at, item, kind))
            at = at->next;
        if (!at)
            return false;
    }
    return true;
}

/* Members of `live` that stay: those that are wanted, and those that others have put there. */
static void add_live(const cJSON *original, const cJSON *wanted, const cJSON *live,
                     const struct list_kind *kind, bool with_wanted, cJSON *out)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, live)
    {
        const cJSON *was = find(original, item, kind), *is = find(wanted, item, kind);

        if (is && with_wanted)
            cJSON_AddItemToArray(out, merge(NULL, was, is, item));
        else if (!is && !was)
            cJSON_AddItemToArray(out, cJSON_Duplicate(item, true));
    }
}

static cJSON *merge_by_key(const cJSON *original, const cJSON *wanted, const cJSON *live,
                           const struct list_kind *kind)
{
    bool keeps_order = is_in_order(wanted, live, kind);
    cJSON *out = cJSON_CreateArray();
    const cJSON *item;

    if (keeps_order)
        add_live(original, wanted, live, kind, true, out);
    cJSON_ArrayForEach(item, wanted)
    {
        const cJSON *is = find(live, item, kind);

        if (!is || !keeps_order)
            cJSON_AddItemToArray(out, merge(NULL, find(original, item, kind), item, is));
    }
    if (!keeps_order)
        add_live(original, wanted, live, kind, false, out);
    return out;
}

static cJSON *merge_lists(const char *name, const cJSON *original, const cJSON *wanted,
                          const cJSON *live)
{
    const struct list_kind *kind = kind_of(name, original, wanted, live);

    if (kind)
        return merge_by_key(original, wanted, live, kind);
    if (deploy_covers(live, wanted) && (!original || cJSON_Compare(original, wanted, true)))
        return cJSON_Duplicate(live, true);
    return cJSON_Duplicate(wanted, true);
}

/* --- objects --- */

/* The parameters of one type of strategy mean nothing to another, and the server refuses them. */
static bool is_other_strategy(const char *name, const cJSON *wanted, const cJSON *live)
{
    const char *is = json_get_str(live, "type"), *to_be = json_get_str(wanted, "type");

    return name && (!strcmp(name, "strategy") || !strcmp(name, "updateStrategy")) && is && to_be &&
           strcmp(is, to_be) != 0;
}

/* Maps that several write to, each its own keys. */
static bool is_shared_map(const char *name)
{
    static const char *const names[] = {"annotations", "labels", "data", "nodeSelector"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

/* What others have put into a field that is not wanted any more; NULL: nothing, so that it goes as
 * a whole. */
static cJSON *merge_rest(const char *name, const cJSON *original, const cJSON *live)
{
    bool is_map = cJSON_IsObject(original) && cJSON_IsObject(live) && is_shared_map(name);
    bool is_list = cJSON_IsArray(original) && cJSON_IsArray(live);
    auto_json cJSON *nothing = is_map ? cJSON_CreateObject() : cJSON_CreateArray();
    cJSON *rest;

    if (!is_map && !(is_list && kind_of(name, original, nothing, live)))
        return NULL;
    rest = merge(name, original, nothing, live);
    if (rest->child)
        return rest;
    cJSON_Delete(rest);
    return NULL;
}

static cJSON *merge_objects(const char *name, const cJSON *original, const cJSON *wanted,
                            const cJSON *live)
{
    cJSON *out, *rest;
    const cJSON *item;

    if (is_other_strategy(name, wanted, live))
        return cJSON_Duplicate(wanted, true);
    out = cJSON_CreateObject();
    cJSON_ArrayForEach(item, live)
    {
        const cJSON *is = cJSON_GetObjectItemCaseSensitive(wanted, item->string);
        const cJSON *was = cJSON_GetObjectItemCaseSensitive(original, item->string);

        if (is)
            cJSON_AddItemToObject(out, item->string, merge(item->string, was, is, item));
        else if (!was)
            cJSON_AddItemToObject(out, item->string, cJSON_Duplicate(item, true));
        else if ((rest = merge_rest(item->string, was, item)))
            cJSON_AddItemToObject(out, item->string, rest);
    }
    cJSON_ArrayForEach(item, wanted)
    {
        const cJSON *was = cJSON_GetObjectItemCaseSensitive(original, item->string);

        if (!cJSON_GetObjectItemCaseSensitive(out, item->string))
            cJSON_AddItemToObject(out, item->string, merge(item->string, was, item, NULL));
    }
    return out;
}

/* Where something else was before, nothing is known of what is in it. */
static const cJSON *of_kind(const cJSON *tree, const cJSON *like)
{
    return tree && (cJSON_IsObject(like) ? cJSON_IsObject(tree) : cJSON_IsArray(tree)) ? tree
                                                                                       : NULL;
}

static cJSON *merge(const char *name, const cJSON *original, const cJSON *wanted, const cJSON *live)
{
    if (!cJSON_IsObject(wanted) && !cJSON_IsArray(wanted))
        return cJSON_Duplicate(wanted, true);
    original = of_kind(original, wanted);
    live = of_kind(live, wanted);
    if (!live)
        return cJSON_Duplicate(wanted, true);
    return cJSON_IsObject(wanted) ? merge_objects(name, original, wanted, live)
                                  : merge_lists(name, original, wanted, live);
}

cJSON *deploy_merge(const cJSON *original, const cJSON *wanted, const cJSON *live)
{
    return merge(NULL, original, wanted, live);
}

bool deploy_covers(const cJSON *live, const cJSON *wanted)
{
    const cJSON *item;
    int i = 0;

    if (!cJSON_IsObject(wanted) && !cJSON_IsArray(wanted))
        return cJSON_Compare(live, wanted, true);
    if (!of_kind(live, wanted))
        return false;
    if (cJSON_IsArray(wanted) && cJSON_GetArraySize(wanted) != cJSON_GetArraySize(live))
        return false;
    cJSON_ArrayForEach(item, wanted)
    {
        const cJSON *is = cJSON_IsArray(wanted)
                              ? cJSON_GetArrayItem(live, i++)
                              : cJSON_GetObjectItemCaseSensitive(live, item->string);

        if (!deploy_covers(is, item))
            return false;
    }
    return true;
}

/* --- the annotation --- */

cJSON *deploy_last_applied(const cJSON *live)
{
    const char *text = json_get_str(json_get_obj(json_get_obj(live, "metadata"), "annotations"),
                                    DEPLOY_LAST_APPLIED);
    cJSON *tree = NULL;

    if (text)
        (void)json_parse(text, strlen(text), &tree, NULL);
    return tree;
}

void deploy_set_last_applied(cJSON *object, const cJSON *wanted)
{
    auto_json cJSON *before = deploy_last_applied(object);
    cJSON *meta = cJSON_GetObjectItemCaseSensitive(object, "metadata"), *annotations;
    auto_free char *text = NULL;

    if (before && cJSON_Compare(before, wanted, true))
        return;
    annotations = cJSON_GetObjectItemCaseSensitive(meta, "annotations");
    if (!annotations)
        annotations = cJSON_AddObjectToObject(meta, "annotations");
    text = json_print(wanted);
    cJSON_DeleteItemFromObjectCaseSensitive(annotations, DEPLOY_LAST_APPLIED);
    json_add_str(annotations, DEPLOY_LAST_APPLIED, text);
}
