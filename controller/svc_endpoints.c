/* Endpoints: building, and telling whether an object has to be written. */
#include "svc_endpoints.h"

#include "json.h"
#include "mem.h"
#include "svc_companion.h"

#include <stdlib.h>
#include <string.h>

/* How many of the rows still fit. */
struct room {
    size_t ready;
    size_t not_ready;
};

static struct room room_for(const struct svc_rows *rows)
{
    struct room room = {.ready = 0};

    for (size_t i = 0; i < rows->count; i++)
        room.ready += rows->items[i].is_ready;
    room.not_ready = rows->count - room.ready;
    if (room.ready > SVC_ENDPOINTS_MAX)
        room.ready = SVC_ENDPOINTS_MAX;
    if (room.not_ready > SVC_ENDPOINTS_MAX - room.ready)
        room.not_ready = SVC_ENDPOINTS_MAX - room.ready;
    return room;
}

static cJSON *make_address(const struct svc_row *row, const struct svc_target *target)
{
    cJSON *address = cJSON_CreateObject();

    json_add_str(address, "ip", row->address);
    json_add_str(address, "hostname", svc_row_hostname(row, target));
    json_add_str(address, "nodeName", row->pod->node);
    (void)cJSON_AddItemToObject(address, "targetRef", svc_row_target(row));
    return address;
}

static void add_address(cJSON *subset, const char *list_name, cJSON *address)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(subset, list_name);

    if (!list)
        list = cJSON_AddArrayToObject(subset, list_name);
    (void)cJSON_AddItemToArray(list, address);
}

/* Adds the rows of one port set, from the one at `first` on; returns where the next set begins. */
static size_t add_subset(cJSON *subsets, const struct svc_target *target,
                         const struct svc_rows *rows, size_t first, struct room *room)
{
    const struct svc_port_set *set = rows->items[first].set;
    auto_json cJSON *subset = cJSON_CreateObject();
    size_t i;

    for (i = first; i < rows->count && rows->items[i].set == set; i++) {
        const struct svc_row *row = &rows->items[i];
        size_t *left = row->is_ready ? &room->ready : &room->not_ready;

        if (!*left)
            continue;
        --*left;
        add_address(subset, row->is_ready ? "addresses" : "notReadyAddresses",
                    make_address(row, target));
    }
    if (!subset->child)
        return i;
    if (set->ports->child)
        (void)cJSON_AddItemToObject(subset, "ports", cJSON_Duplicate(set->ports, true));
    (void)cJSON_AddItemToArray(subsets, take(subset));
    return i;
}

static cJSON *make_metadata(const struct svc_target *target, bool is_truncated)
{
    cJSON *metadata = cJSON_CreateObject(), *labels;

    json_add_str(metadata, "name", target->name);
    json_add_str(metadata, "namespace", target->namespace);
    labels = cJSON_AddObjectToObject(metadata, "labels");
    json_add_str(labels, SVC_SKIP_MIRROR_KEY, "true");
    if (target->is_headless)
        json_add_str(labels, SVC_HEADLESS_KEY, "");
    if (is_truncated)
        json_add_str(cJSON_AddObjectToObject(metadata, "annotations"), SVC_CAPACITY_KEY,
                     "truncated");
    (void)cJSON_AddItemToObject(metadata, "ownerReferences",
                                svc_owners_new(target->name, target->uid));
    return metadata;
}

cJSON *svc_endpoints_build(const struct svc_target *target, const struct svc_rows *rows)
{
    struct room room = room_for(rows);
    bool is_truncated = rows->count > room.ready + room.not_ready;
    cJSON *object = cJSON_CreateObject(), *subsets;

    json_add_str(object, "apiVersion", "v1");
    json_add_str(object, "kind", "Endpoints");
    (void)cJSON_AddItemToObject(object, "metadata", make_metadata(target, is_truncated));
    subsets = cJSON_AddArrayToObject(object, "subsets");
    for (size_t i = 0; i < rows->count;)
        i = add_subset(subsets, target, rows, i, &room);
    return object;
}

/* What an object says, one line for each address, sorted. */
struct lines {
    char **items;
    size_t count;
};

static void lines_release(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i]);
    free(lines->items);
}

static const char *member(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);
    return text ? text : "";
}

static void add_lines(struct lines *lines, const cJSON *addresses, char mark, const char *ports)
{
    const cJSON *address;

    cJSON_ArrayForEach(address, addresses)
    {
        const cJSON *ref = json_get_obj(address, "targetRef");

        array_grow(lines->items, lines->count);
        lines->items[lines->count++] =
            xasprintf("%c %s %s %s %s %s %s %s %s", mark, member(address, "ip"),
                      member(address, "hostname"), member(address, "nodeName"), member(ref, "kind"),
                      member(ref, "namespace"), member(ref, "name"), member(ref, "uid"), ports);
    }
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_lines(const cJSON *endpoints, struct lines *lines)
{
    const cJSON *subset;

    cJSON_ArrayForEach(subset, json_get_arr(endpoints, "subsets"))
    {
        auto_free char *ports = svc_ports_key(json_get_arr(subset, "ports"));

        add_lines(lines, json_get_arr(subset, "addresses"), '+', ports);
        add_lines(lines, json_get_arr(subset, "notReadyAddresses"), '-', ports);
    }
    if (lines->count)
        qsort(lines->items, lines->count, sizeof(*lines->items), compare_lines);
}

static bool has_equal_subsets(const cJSON *a, const cJSON *b)
{
    __attribute__((cleanup(lines_release))) struct lines of_a = {.items = NULL};
    __attribute__((cleanup(lines_release))) struct lines of_b = {.items = NULL};

    read_lines(a, &of_a);
    read_lines(b, &of_b);
    if (of_a.count != of_b.count)
        return false;
    for (size_t i = 0; i < of_a.count; i++)
        if (strcmp(of_a.items[i], of_b.items[i]))
            return false;
    return true;
}

/* Whether every member of `wanted` stands in `has`. */
static bool holds_all(const cJSON *has, const cJSON *wanted)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, wanted)
    {
        const char *value = json_get_str(has, item->string);

        if (!value || strcmp(value, item->valuestring))
            return false;
    }
    return true;
}

static bool has_owner(const cJSON *metadata, const cJSON *wanted)
{
    const cJSON *owners = json_get_arr(metadata, "ownerReferences");
    const cJSON *owner = json_get_arr(wanted, "ownerReferences")->child;

    return cJSON_GetArraySize(owners) == 1 &&
           !strcmp(member(owners->child, "uid"), member(owner, "uid"));
}

static cJSON *metadata_patch(const cJSON *existing, const cJSON *wanted)
{
    const cJSON *labels = json_get_obj(wanted, "labels");
    const cJSON *annotations = json_get_obj(existing, "annotations");
    const char *capacity = json_get_str(json_get_obj(wanted, "annotations"), SVC_CAPACITY_KEY);
    cJSON *patch = cJSON_CreateObject();

    if (!holds_all(json_get_obj(existing, "labels"), labels))
        (void)cJSON_AddItemToObject(patch, "labels", cJSON_Duplicate(labels, true));
    if (!has_owner(existing, wanted))
        (void)cJSON_AddItemToObject(patch, "ownerReferences",
                                    cJSON_Duplicate(json_get_arr(wanted, "ownerReferences"), true));
    if (strcmp(member(annotations, SVC_CAPACITY_KEY), capacity ? capacity : "")) {
        cJSON *added = cJSON_AddObjectToObject(patch, "annotations");

        if (capacity)
            json_add_str(added, SVC_CAPACITY_KEY, capacity);
        else
            (void)cJSON_AddNullToObject(added, SVC_CAPACITY_KEY);
    }
    return patch;
}

cJSON *svc_endpoints_patch(const cJSON *existing, const cJSON *desired)
{
    auto_json cJSON *patch = cJSON_CreateObject();
    auto_json cJSON *metadata =
        metadata_patch(json_get_obj(existing, "metadata"), json_get_obj(desired, "metadata"));

    if (metadata->child)
        (void)cJSON_AddItemToObject(patch, "metadata", take(metadata));
    if (!has_equal_subsets(existing, desired))
        (void)cJSON_AddItemToObject(patch, "subsets",
                                    cJSON_Duplicate(json_get_arr(desired, "subsets"), true));
    return patch->child ? take(patch) : NULL;
}
