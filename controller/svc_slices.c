/* EndpointSlices: which to create, patch and delete. */
#include "svc_slices.h"

#include "hash.h"
#include "json.h"
#include "mem.h"
#include "svc_endpoints.h"

#include <stdlib.h>
#include <string.h>

#define NO_BIN SIZE_MAX
#define HASH_CHARS 8

/* A slice, there already or to be made, and the rows that go into it. */
struct bin {
    const cJSON *existing; /* NULL: new */
    size_t first;          /* row with its port set and family: the first of its group */
    size_t rows[SVC_SLICE_MAX];
    size_t count;
    bool is_changed;
};

struct work {
    const struct svc_target *target;
    const struct svc_rows *rows;
    enum svc_slice_version version;
    const cJSON *const *existing;
    size_t existing_count;
    struct bin *bins;
    size_t bin_count;
    size_t *bin_of; /* of each row, or NO_BIN */
};

static const char *member(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);
    return text ? text : "";
}

static bool is_equal(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static const cJSON *metadata_of(const cJSON *slice)
{
    return json_get_obj(slice, "metadata");
}

static const char *label(const cJSON *slice, const char *key)
{
    return member(json_get_obj(metadata_of(slice), "labels"), key);
}

static const struct svc_row *row_at(const struct work *w, size_t i)
{
    return &w->rows->items[i];
}

static bool is_same_group(const struct svc_row *a, const struct svc_row *b)
{
    return a->set == b->set && a->is_v6 == b->is_v6;
}

/* Where the group that begins at `first` ends. */
static size_t group_end(const struct work *w, size_t first)
{
    size_t i = first;

    while (i < w->rows->count && is_same_group(row_at(w, i), row_at(w, first)))
        i++;
    return i;
}

static const char *address_type(const struct svc_row *row)
{
    return row->is_v6 ? "IPv6" : "IPv4";
}

/* First row of the group that the slice serves, or the number of rows when there is none. */
static size_t group_of(const struct work *w, const cJSON *slice)
{
    auto_free char *key = svc_ports_key(json_get_arr(slice, "ports"));
    size_t i = 0;

    while (i < w->rows->count) {
        const struct svc_row *row = row_at(w, i);

        if (is_equal(json_get_str(slice, "addressType"), address_type(row)) &&
            !strcmp(row->set->key, key))
            return i;
        i = group_end(w, i);
    }
    return i;
}

/* The row of this group with that address and UID, or NO_BIN. */
static size_t find_row(const struct work *w, size_t first, const cJSON *endpoint)
{
    const cJSON *addresses = json_get_arr(endpoint, "addresses");
    const char *uid = json_get_str(json_get_obj(endpoint, "targetRef"), "uid");
    struct svc_pod pod = {.uid = uid};
    struct svc_row probe = {.pod = &pod, .set = row_at(w, first)->set};
    const struct svc_row *row;

    if (!addresses || cJSON_GetArraySize(addresses) != 1 || !cJSON_IsString(addresses->child) ||
        !svc_address_bytes(addresses->child->valuestring, probe.bytes, &probe.is_v6))
        return NO_BIN;
    row = bsearch(&probe, w->rows->items, w->rows->count, sizeof(probe), svc_row_compare);
    return row ? (size_t)(row - w->rows->items) : NO_BIN;
}

static const char *node_of(const struct work *w, const cJSON *endpoint)
{
    if (w->version == SVC_SLICE_V1)
        return json_get_str(endpoint, "nodeName");
    return json_get_str(json_get_obj(endpoint, "topology"), "kubernetes.io/hostname");
}

static bool says_the_same(const struct work *w, const cJSON *endpoint, const struct svc_row *row)
{
    const cJSON *conditions = json_get_obj(endpoint, "conditions");
    const cJSON *ref = json_get_obj(endpoint, "targetRef");
    const cJSON *ready = cJSON_GetObjectItemCaseSensitive(conditions, "ready");

    return cJSON_IsBool(ready) && cJSON_IsTrue(ready) == row->is_ready &&
           is_equal(json_get_str(endpoint, "hostname"), svc_row_hostname(row, w->target)) &&
           is_equal(node_of(w, endpoint), row->pod->node) &&
           is_equal(json_get_str(ref, "kind"), "Pod") &&
           is_equal(json_get_str(ref, "namespace"), row->pod->namespace) &&
           is_equal(json_get_str(ref, "name"), row->pod->name);
}

static struct bin *add_bin(struct work *w, const cJSON *existing, size_t first)
{
    array_grow(w->bins, w->bin_count);
    w->bins[w->bin_count] =
        (struct bin){.existing = existing, .first = first, .is_changed = !existing};
    return &w->bins[w->bin_count++];
}

static bool has_owner(const cJSON *slice, const struct svc_target *target)
{
    const cJSON *owners = json_get_arr(metadata_of(slice), "ownerReferences");

    return cJSON_GetArraySize(owners) == 1 &&
           is_equal(json_get_str(owners->child, "uid"), target->uid);
}

static bool has_labels(const cJSON *slice, const struct svc_target *target)
{
    const cJSON *labels = json_get_obj(metadata_of(slice), "labels");

    return !target->is_headless || json_get_str(labels, SVC_HEADLESS_KEY);
}

/* Endpoints that are still wanted keep their place in this slice. */
static void claim(struct work *w, const cJSON *slice)
{
    size_t first = group_of(w, slice), index = w->bin_count;
    struct bin *bin = add_bin(w, slice, first);
    const cJSON *endpoint;

    bin->is_changed = !has_owner(slice, w->target) || !has_labels(slice, w->target);
    if (first == w->rows->count)
        return;
    cJSON_ArrayForEach(endpoint, json_get_arr(slice, "endpoints"))
    {
        size_t i = find_row(w, first, endpoint);

        if (i == NO_BIN || !is_same_group(row_at(w, i), row_at(w, first)) ||
            w->bin_of[i] != NO_BIN || bin->count == SVC_SLICE_MAX) {
            bin->is_changed = true;
            continue;
        }
        w->bin_of[i] = index;
        bin->count++;
        if (!says_the_same(w, endpoint, row_at(w, i)))
            bin->is_changed = true;
    }
}

/*
 * Where the next of `left` rows goes: into a slice that is written anyway, else into the fullest
 * one that takes all that is left, else into a new one.
 */
static size_t choose_bin(struct work *w, size_t first, size_t left)
{
    size_t best = NO_BIN;

    for (size_t i = 0; i < w->bin_count; i++) {
        const struct bin *bin = &w->bins[i];

        if (bin->first != first || bin->count == SVC_SLICE_MAX)
            continue;
        if (bin->is_changed)
            return i;
        if (bin->count + left <= SVC_SLICE_MAX &&
            (best == NO_BIN || bin->count > w->bins[best].count))
            best = i;
    }
    if (best == NO_BIN) {
        best = w->bin_count;
        (void)add_bin(w, NULL, first);
    }
    return best;
}

/* Finds a place for the rows of one group that have none. */
static void place(struct work *w, size_t first, size_t end)
{
    size_t left = 0, chosen = NO_BIN;

    for (size_t i = first; i < end; i++)
        left += w->bin_of[i] == NO_BIN;
    for (size_t i = first; i < end; i++) {
        if (w->bin_of[i] != NO_BIN)
            continue;
        if (chosen == NO_BIN || w->bins[chosen].count == SVC_SLICE_MAX)
            chosen = choose_bin(w, first, left);
        w->bin_of[i] = chosen;
        w->bins[chosen].count++;
        w->bins[chosen].is_changed = true;
        left--;
    }
}

/* The rows go into the slices in their order, so that equal input gives equal bytes. */
static void fill(struct work *w)
{
    for (size_t i = 0; i < w->bin_count; i++)
        w->bins[i].count = 0;
    for (size_t i = 0; i < w->rows->count; i++) {
        struct bin *bin = &w->bins[w->bin_of[i]];

        bin->rows[bin->count++] = i;
    }
}

static cJSON *make_endpoint(const struct work *w, const struct svc_row *row)
{
    cJSON *endpoint = cJSON_CreateObject(), *list;

    list = cJSON_AddArrayToObject(endpoint, "addresses");
    (void)cJSON_AddItemToArray(list, cJSON_CreateString(row->address));
    (void)cJSON_AddBoolToObject(cJSON_AddObjectToObject(endpoint, "conditions"), "ready",
                                row->is_ready);
    json_add_str(endpoint, "hostname", svc_row_hostname(row, w->target));
    (void)cJSON_AddItemToObject(endpoint, "targetRef", svc_row_target(row));
    if (w->version == SVC_SLICE_V1)
        json_add_str(endpoint, "nodeName", row->pod->node);
    else if (row->pod->node)
        json_add_str(cJSON_AddObjectToObject(endpoint, "topology"), "kubernetes.io/hostname",
                     row->pod->node);
    return endpoint;
}

/* What a create and a patch have in common: the endpoints and what ties them to the service. */
static cJSON *make_patch(const struct work *w, const struct bin *bin)
{
    cJSON *object = cJSON_CreateObject(), *metadata, *labels, *endpoints;

    metadata = cJSON_AddObjectToObject(object, "metadata");
    labels = cJSON_AddObjectToObject(metadata, "labels");
    json_add_str(labels, SVC_SLICE_SERVICE_KEY, w->target->name);
    json_add_str(labels, SVC_SLICE_MANAGER_KEY, SVC_MANAGER);
    if (w->target->is_headless)
        json_add_str(labels, SVC_HEADLESS_KEY, "");
    (void)cJSON_AddItemToObject(metadata, "ownerReferences",
                                svc_owners_new(w->target->name, w->target->uid));
    endpoints = cJSON_AddArrayToObject(object, "endpoints");
    for (size_t i = 0; i < bin->count; i++)
        (void)cJSON_AddItemToArray(endpoints, make_endpoint(w, row_at(w, bin->rows[i])));
    return object;
}

static bool is_taken(const struct work *w, const struct svc_slice_plan *plan, const char *name)
{
    for (size_t i = 0; i < w->existing_count; i++)
        if (!strcmp(member(metadata_of(w->existing[i]), "name"), name))
            return true;
    for (size_t i = 0; i < plan->count; i++)
        if (!strcmp(plan->ops[i].name, name))
            return true;
    return false;
}

static char *new_name(const struct work *w, const struct svc_slice_plan *plan,
                      const struct bin *bin)
{
    const struct svc_row *row = row_at(w, bin->first);
    auto_free char *group = xasprintf("%s %s", address_type(row), row->set->key);
    char digest[DIGEST_SIZE], *name;

    hash_digest(group, strlen(group), digest);
    for (size_t i = 0;; i++) {
        name = xasprintf("%s-%.*s-%zu", w->target->name, HASH_CHARS, digest_hex(digest), i);
        if (!is_taken(w, plan, name))
            return name;
        free(name);
    }
}

static cJSON *make_slice(const struct work *w, const struct bin *bin, const char *name)
{
    const struct svc_row *row = row_at(w, bin->first);
    cJSON *object = make_patch(w, bin);
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");

    json_add_str(object, "apiVersion",
                 w->version == SVC_SLICE_V1 ? "discovery.k8s.io/v1" : "discovery.k8s.io/v1beta1");
    json_add_str(object, "kind", "EndpointSlice");
    json_add_str(metadata, "name", name);
    json_add_str(metadata, "namespace", w->target->namespace);
    json_add_str(object, "addressType", address_type(row));
    (void)cJSON_AddItemToObject(object, "ports", cJSON_Duplicate(row->set->ports, true));
    return object;
}

static void add_op(struct svc_slice_plan *plan, struct svc_slice_op op)
{
    array_grow(plan->ops, plan->count);
    plan->ops[plan->count++] = op;
}

static void add_existing_op(struct svc_slice_plan *plan, enum svc_action action,
                            const cJSON *existing, cJSON *body)
{
    const cJSON *metadata = metadata_of(existing);

    add_op(plan, (struct svc_slice_op){.action = action,
                                       .name = xstrdup(member(metadata, "name")),
                                       .uid = xstrdup(json_get_str(metadata, "uid")),
                                       .body = body});
}

static void emit_writes(const struct work *w, struct svc_slice_plan *plan)
{
    for (size_t i = 0; i < w->bin_count; i++) {
        const struct bin *bin = &w->bins[i];
        char *name;

        if (bin->existing)
            continue;
        name = new_name(w, plan, bin);
        add_op(plan, (struct svc_slice_op){.action = SVC_CREATE,
                                           .name = name,
                                           .body = make_slice(w, bin, name)});
    }
    for (size_t i = 0; i < w->bin_count; i++) {
        const struct bin *bin = &w->bins[i];

        if (bin->existing && bin->count && bin->is_changed)
            add_existing_op(plan, SVC_PATCH, bin->existing, make_patch(w, bin));
    }
}

static bool is_native(const cJSON *slice)
{
    const char *manager = label(slice, SVC_SLICE_MANAGER_KEY);

    return !strcmp(manager, "endpointslice-controller.k8s.io") ||
           !strcmp(manager, "endpointslicemirroring-controller.k8s.io");
}

/* One that is being deleted already does not count. */
static bool is_of_service(const struct work *w, const cJSON *slice)
{
    return !strcmp(member(metadata_of(slice), "namespace"), w->target->namespace) &&
           !strcmp(label(slice, SVC_SLICE_SERVICE_KEY), w->target->name) &&
           !json_get_str(metadata_of(slice), "deletionTimestamp");
}

static void emit_deletions(const struct work *w, struct svc_slice_plan *plan)
{
    for (size_t i = 0; i < w->bin_count; i++)
        if (!w->bins[i].count)
            add_existing_op(plan, SVC_DELETE, w->bins[i].existing, NULL);
    for (size_t i = 0; i < w->existing_count && !w->target->has_selector; i++)
        if (is_of_service(w, w->existing[i]) && is_native(w->existing[i]))
            add_existing_op(plan, SVC_DELETE, w->existing[i], NULL);
}

void svc_slices_plan(const struct svc_target *target, const struct svc_rows *rows,
                     enum svc_slice_version version, const cJSON *const *existing, size_t count,
                     struct svc_slice_plan *out_plan)
{
    auto_free size_t *bin_of = xcalloc(rows->count, sizeof(*bin_of));
    struct work w = {.target = target,
                     .rows = rows,
                     .version = version,
                     .existing = existing,
                     .existing_count = count,
                     .bin_of = bin_of};

    *out_plan = (struct svc_slice_plan){.ops = NULL};
    for (size_t i = 0; i < rows->count; i++)
        bin_of[i] = NO_BIN;
    for (size_t i = 0; i < count; i++)
        if (is_of_service(&w, existing[i]) &&
            !strcmp(label(existing[i], SVC_SLICE_MANAGER_KEY), SVC_MANAGER))
            claim(&w, existing[i]);
    for (size_t i = 0, end; i < rows->count; i = end) {
        end = group_end(&w, i);
        place(&w, i, end);
    }
    fill(&w);
    emit_writes(&w, out_plan);
    emit_deletions(&w, out_plan);
    free(w.bins);
}

void svc_slice_plan_release(struct svc_slice_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->ops[i].name);
        free(plan->ops[i].uid);
        cJSON_Delete(plan->ops[i].body);
    }
    free(plan->ops);
    *plan = (struct svc_slice_plan){.ops = NULL};
}
