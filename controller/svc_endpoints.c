/* Endpoints: building, and telling whether two of them say the same. */
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
    json_add_str(labels, SVC_MANAGER_KEY, SVC_MANAGER);
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

/* Each text with its NUL, which keeps neighbours apart. */
static void mix(struct hash *h, const char *text)
{
    hash_update(h, text, strlen(text) + 1);
}

/* An absent label is another one than an empty one. */
static void mix_label(struct hash *h, const cJSON *labels, const char *key)
{
    const char *value = json_get_str(labels, key);

    mix(h, value ? "+" : "-");
    mix(h, value ? value : "");
}

static void mix_metadata(struct hash *h, const cJSON *metadata)
{
    const cJSON *labels = json_get_obj(metadata, "labels"), *owner;

    mix_label(h, labels, SVC_SKIP_MIRROR_KEY);
    mix_label(h, labels, SVC_MANAGER_KEY);
    mix_label(h, labels, SVC_HEADLESS_KEY);
    mix_label(h, json_get_obj(metadata, "annotations"), SVC_CAPACITY_KEY);
    cJSON_ArrayForEach(owner, json_get_arr(metadata, "ownerReferences"))
        mix(h, member(owner, "uid"));
}

void svc_endpoints_digest(const cJSON *endpoints, char out_digest[DIGEST_SIZE])
{
    __attribute__((cleanup(lines_release))) struct lines lines = {.items = NULL};
    auto_hash struct hash *h = hash_new();

    mix_metadata(h, json_get_obj(endpoints, "metadata"));
    mix(h, "");
    read_lines(endpoints, &lines);
    for (size_t i = 0; i < lines.count; i++)
        mix(h, lines.items[i]);
    hash_final(h, out_digest);
}

static void null_where_absent(cJSON *object, const char *key)
{
    if (!cJSON_GetObjectItemCaseSensitive(object, key))
        (void)cJSON_AddNullToObject(object, key);
}

cJSON *svc_endpoints_patch(const cJSON *desired)
{
    cJSON *patch = cJSON_Duplicate(desired, true);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(patch, "metadata");
    cJSON *annotations = cJSON_GetObjectItemCaseSensitive(metadata, "annotations");

    if (!annotations)
        annotations = cJSON_AddObjectToObject(metadata, "annotations");
    null_where_absent(annotations, SVC_CAPACITY_KEY);
    null_where_absent(cJSON_GetObjectItemCaseSensitive(metadata, "labels"), SVC_HEADLESS_KEY);
    return patch;
}
