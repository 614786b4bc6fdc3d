/* managedFields: from kubectl to us, and comparing objects that have them. */
#include "deploy_managed.h"

#include "buf.h"
#include "deploy_merge.h"
#include "json.h"
#include "mem.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define CONFLICTS_MAX (16u << 10)

/* kubectl's names for itself: with --field-manager as 'apply' of its time gives it, before that by
 * the name of the program, which in RKE's image is hyperkube. What was there before anybody
 * applied on the server is before-first-apply's. We ourselves write so once, to an object that has
 * no managedFields. */
static bool is_taken(const cJSON *entry)
{
    static const char *const names[] = {"kubectl", "kubectl-client-side-apply", "hyperkube",
                                        "before-first-apply", DEPLOY_FIELD_MANAGER};
    const char *manager = json_get_str(entry, "manager");
    const char *operation = json_get_str(entry, "operation");
    const char *subresource = json_get_str(entry, "subresource");

    if (!manager || !operation || strcmp(operation, "Update") != 0 || (subresource && *subresource))
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(manager, names[i]))
            return true;
    return false;
}

static bool is_ours(const cJSON *entry)
{
    const char *manager = json_get_str(entry, "manager");
    const char *operation = json_get_str(entry, "operation");

    return manager && operation && !strcmp(manager, DEPLOY_FIELD_MANAGER) &&
           !strcmp(operation, "Apply");
}

bool deploy_is_client_applied(const cJSON *live)
{
    return json_get_str(json_get_obj(json_get_obj(live, "metadata"), "annotations"),
                        DEPLOY_LAST_APPLIED) != NULL;
}

/* Sets of fields are trees; what is in one of them is in the union. */
static void unite(cJSON *set, const cJSON *with)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, with)
    {
        cJSON *own = cJSON_GetObjectItemCaseSensitive(set, item->string);

        if (own)
            unite(own, item);
        else
            cJSON_AddItemToObject(set, item->string, cJSON_Duplicate(item, true));
    }
}

static cJSON *make_entry(const char *api, cJSON *fields)
{
    cJSON *entry = cJSON_CreateObject();
    time_t now = time(NULL);
    struct tm tm;
    char text[32] = "";

    if (gmtime_r(&now, &tm))
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_add_str(entry, "manager", DEPLOY_FIELD_MANAGER);
    json_add_str(entry, "operation", "Apply");
    json_add_str(entry, "apiVersion", api);
    json_add_str(entry, "time", text);
    json_add_str(entry, "fieldsType", "FieldsV1");
    cJSON_AddItemToObject(entry, "fieldsV1", fields);
    return entry;
}

cJSON *deploy_managed_taken(const cJSON *live, const char *api)
{
    const cJSON *managed = json_get_arr(json_get_obj(live, "metadata"), "managedFields"), *entry;
    cJSON *out = cJSON_CreateArray(), *fields = cJSON_CreateObject();
    bool is_any = false;

    cJSON_ArrayForEach(entry, managed)
    {
        if (!is_taken(entry) && !is_ours(entry)) {
            cJSON_AddItemToArray(out, cJSON_Duplicate(entry, true));
            continue;
        }
        is_any = is_any || is_taken(entry);
        unite(fields, json_get_obj(entry, "fieldsV1"));
    }
    cJSON_DeleteItemFromObjectCaseSensitive(fields, "f:status");
    cJSON_AddItemToArray(out, make_entry(api, fields));
    if (is_any)
        return out;
    cJSON_Delete(out);
    return NULL;
}

cJSON *deploy_managed_begun(const char *api)
{
    cJSON *out = cJSON_CreateArray(), *fields = cJSON_CreateObject(), *annotations;

    annotations =
        cJSON_AddObjectToObject(cJSON_AddObjectToObject(fields, "f:metadata"), "f:annotations");
    (void)cJSON_AddObjectToObject(annotations, "f:" DEPLOY_LAST_APPLIED);
    cJSON_AddItemToArray(out, make_entry(api, fields));
    return out;
}

/* --- conflicts --- */

struct walk {
    const char *manager;
    struct buf *out;
};

static void walk_set(const struct walk *w, const char *path, const cJSON *set, const cJSON *live,
                     const cJSON *wanted);

/* The member of a list that has all of these fields; NULL for none. */
static const cJSON *member_of(const cJSON *list, const cJSON *keys)
{
    const cJSON *item, *key;

    cJSON_ArrayForEach(item, list)
    {
        bool fits = true;

        cJSON_ArrayForEach(key, keys)
        {
            fits = fits &&
                   cJSON_Compare(cJSON_GetObjectItemCaseSensitive(item, key->string), key, true);
        }
        if (fits)
            return item;
    }
    return NULL;
}

/* A set without members means the field as a whole. */
static bool is_leaf(const cJSON *set)
{
    return !set->child || (!strcmp(set->child->string, ".") && !set->child->next);
}

static void walk_field(const struct walk *w, const char *path, const cJSON *set, const cJSON *live,
                       const cJSON *wanted)
{
    if (!wanted)
        return;
    if (!is_leaf(set))
        walk_set(w, path, set, live, wanted);
    else if (!cJSON_IsObject(wanted) && !cJSON_Compare(live, wanted, true))
        (void)buf_addf(w->out, "\n    %s, set by '%s'", path, w->manager);
}

static void walk_member(const struct walk *w, const char *path, const cJSON *set, const cJSON *live,
                        const cJSON *wanted)
{
    const char *text = set->string + 2;
    auto_free char *inner = xasprintf("%s[%s]", path, text);
    auto_json cJSON *keys = NULL;

    if (json_parse(text, strlen(text), &keys, NULL) < 0 || !cJSON_IsObject(keys))
        return;
    walk_field(w, inner, set, member_of(live, keys), member_of(wanted, keys));
}

static void walk_set(const struct walk *w, const char *path, const cJSON *set, const cJSON *live,
                     const cJSON *wanted)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, set)
    {
        const char *name = item->string + 2;
        auto_free char *inner = NULL;

        if (!strncmp(item->string, "k:", 2) && cJSON_IsArray(wanted))
            walk_member(w, path, item, live, wanted);
        if (strncmp(item->string, "f:", 2) != 0)
            continue;
        inner = xasprintf("%s.%s", path, name);
        walk_field(w, inner, item, cJSON_GetObjectItemCaseSensitive(live, name),
                   cJSON_GetObjectItemCaseSensitive(wanted, name));
    }
}

char *deploy_managed_conflicts(const cJSON *live, const cJSON *wanted)
{
    const cJSON *managed = json_get_arr(json_get_obj(live, "metadata"), "managedFields"), *entry;
    struct buf text;

    buf_init(&text, CONFLICTS_MAX);
    cJSON_ArrayForEach(entry, managed)
    {
        const char *manager = json_get_str(entry, "manager");
        struct walk w = {.manager = manager ? manager : "", .out = &text};

        if (!is_taken(entry) && !is_ours(entry))
            walk_set(&w, "", json_get_obj(entry, "fieldsV1"), live, wanted);
    }
    if (text.len)
        return buf_steal(&text);
    buf_release(&text);
    return NULL;
}

/* What is left to compare. */
static cJSON *essence(const cJSON *object)
{
    static const char *const counted[] = {"resourceVersion", "generation", "selfLink"};
    cJSON *copy = cJSON_Duplicate(object, true), *entry;
    cJSON *meta = cJSON_GetObjectItemCaseSensitive(copy, "metadata");

    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
        cJSON_DeleteItemFromObjectCaseSensitive(meta, counted[i]);
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "status");
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(meta, "managedFields"))
    {
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "time");
    }
    return copy;
}

bool deploy_is_same(const cJSON *a, const cJSON *b)
{
    auto_json cJSON *left = essence(a), *right = essence(b);

    return cJSON_Compare(left, right, true);
}
