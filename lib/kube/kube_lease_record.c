/* Records as client-go writes them: fields of a Lease, or JSON in an annotation of a ConfigMap. */
#include "kube_lease_record.h"

#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define ANNOTATION "control-plane.alpha.kubernetes.io/leader"
#define DURATION_MAX_S 3600

/* The two spell one field differently. */
static const char *transitions_key(enum kube_lease_kind kind)
{
    return kind == KUBE_LEASE ? "leaseTransitions" : "leaderTransitions";
}

static char *copy(const cJSON *from, const char *name)
{
    const char *text = json_get_str(from, name);

    return xstrdup(text ? text : "");
}

static void read_fields(enum kube_lease_kind kind, const cJSON *from, struct lease_record *out)
{
    *out = (struct lease_record){.holder = copy(from, "holderIdentity"),
                                 .acquired = copy(from, "acquireTime"),
                                 .renewed = copy(from, "renewTime")};
    (void)json_get_size(from, transitions_key(kind), &out->transitions);
    if (json_get_size(from, "leaseDurationSeconds", &out->duration_s) < 0 ||
        out->duration_s > DURATION_MAX_S)
        out->duration_s = 0;
}

void lease_record_read(enum kube_lease_kind kind, const cJSON *object, struct lease_record *out)
{
    auto_json cJSON *tree = NULL;
    const char *text;

    if (kind == KUBE_LEASE) {
        read_fields(kind, json_get_obj(object, "spec"), out);
        return;
    }
    text = json_get_str(json_get_obj(json_get_obj(object, "metadata"), "annotations"), ANNOTATION);
    if (text)
        (void)json_parse(text, strlen(text), &tree, NULL);
    read_fields(kind, tree, out);
}

void lease_record_release(struct lease_record *r)
{
    free(r->holder);
    free(r->acquired);
    free(r->renewed);
    *r = (struct lease_record){.holder = NULL};
}

bool lease_record_equal(const struct lease_record *a, const struct lease_record *b)
{
    return !strcmp(a->holder, b->holder) && !strcmp(a->acquired, b->acquired) &&
           !strcmp(a->renewed, b->renewed) && a->duration_s == b->duration_s &&
           a->transitions == b->transitions;
}

static void put(cJSON *into, const char *name, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(into, name);
    (void)cJSON_AddItemToObject(into, name, value);
}

static void write_fields(enum kube_lease_kind kind, const struct lease_record *r, cJSON *into)
{
    put(into, "holderIdentity", cJSON_CreateString(r->holder));
    put(into, "leaseDurationSeconds", cJSON_CreateNumber((double)r->duration_s));
    put(into, "acquireTime", cJSON_CreateString(r->acquired));
    put(into, "renewTime", cJSON_CreateString(r->renewed));
    put(into, transitions_key(kind), cJSON_CreateNumber((double)r->transitions));
}

static cJSON *member(cJSON *object, const char *name)
{
    cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    if (cJSON_IsObject(item))
        return item;
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    return cJSON_AddObjectToObject(object, name);
}

void lease_record_write(enum kube_lease_kind kind, const struct lease_record *r, cJSON *object)
{
    auto_json cJSON *tree = NULL;
    auto_free char *text = NULL;

    if (kind == KUBE_LEASE) {
        write_fields(kind, r, member(object, "spec"));
        return;
    }
    tree = cJSON_CreateObject();
    write_fields(kind, r, tree);
    text = json_print(tree);
    put(member(member(object, "metadata"), "annotations"), ANNOTATION, cJSON_CreateString(text));
}

cJSON *lease_object_new(enum kube_lease_kind kind, const char *ns, const char *name)
{
    cJSON *object = cJSON_CreateObject(), *meta;

    json_add_str(object, "apiVersion", kind == KUBE_LEASE ? "coordination.k8s.io/v1" : "v1");
    json_add_str(object, "kind", kind == KUBE_LEASE ? "Lease" : "ConfigMap");
    meta = cJSON_AddObjectToObject(object, "metadata");
    json_add_str(meta, "namespace", ns);
    json_add_str(meta, "name", name);
    return object;
}

char *lease_time(enum kube_lease_kind kind, const struct timespec *now)
{
    struct tm tm = {.tm_sec = 0};
    char text[32];

    (void)gmtime_r(&now->tv_sec, &tm);
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    return kind == KUBE_LEASE ? xasprintf("%s.%06ldZ", text, now->tv_nsec / 1000)
                              : xasprintf("%sZ", text);
}
