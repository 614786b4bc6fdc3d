/* What has to be done about a service's macvlan companion. */
#include "svc_companion.h"

#include "json.h"
#include "macvlan/svc_networks.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum kind { ABSENT, OURS, OLD, FOREIGN };

static const cJSON *metadata_of(const cJSON *object)
{
    return json_get_obj(object, "metadata");
}

static const cJSON *spec_of(const cJSON *object)
{
    return json_get_obj(object, "spec");
}

static const char *annotation(const cJSON *object, const char *key)
{
    return json_get_str(json_get_obj(metadata_of(object), "annotations"), key);
}

static bool is_text(const char *text, const char *expected)
{
    return text && !strcmp(text, expected);
}

/* Names, namespaces and UIDs that the API server gave are never absent. */
static const char *meta(const cJSON *object, const char *name)
{
    const char *text = json_get_str(metadata_of(object), name);
    return text ? text : "";
}

bool svc_is_headless(const cJSON *service)
{
    return is_text(json_get_str(spec_of(service), "clusterIP"), "None");
}

bool svc_publishes_not_ready(const cJSON *service)
{
    const cJSON *item =
        cJSON_GetObjectItemCaseSensitive(spec_of(service), "publishNotReadyAddresses");

    return cJSON_IsTrue(item) || is_text(annotation(service, SVC_TOLERATE_KEY), "true");
}

bool svc_companion_is_ours(const cJSON *service)
{
    const cJSON *labels = json_get_obj(metadata_of(service), "labels");

    return is_text(json_get_str(labels, SVC_MANAGER_KEY), SVC_MANAGER) && svc_is_headless(service);
}

char *svc_companion_name(const char *source_name)
{
    return xasprintf("%s" SVC_COMPANION_SUFFIX, source_name);
}

size_t svc_companion_source_len(const char *name)
{
    size_t len = strlen(name), suffix = strlen(SVC_COMPANION_SUFFIX);

    return len > suffix && !strcmp(name + len - suffix, SVC_COMPANION_SUFFIX) ? len - suffix : 0;
}

void svc_demand_add(struct svc_demand *d, const cJSON *source, const struct svc_pod *pod)
{
    if (pod->is_terminated || !is_text(pod->namespace, meta(source, "namespace")) ||
        !svc_pod_is_selected(pod, json_get_obj(spec_of(source), "selector")))
        return;
    d->selected++;
    d->wanting += pod->is_macvlan && !pod->is_unserved;
}

/* An annotation of the other form, or with the namespace, means the same network. */
static bool has_our_network(const cJSON *service)
{
    auto_network struct svc_network n = {.name = NULL};

    return svc_networks_of_service(service, &n, NULL) == 1 &&
           !strcmp(n.name, SVC_MACVLAN_NETWORK) &&
           (!n.namespace || !strcmp(n.namespace, meta(service, "namespace")));
}

static bool is_among(const cJSON *owner, const cJSON *owners)
{
    const char *uid = json_get_str(owner, "uid");
    const cJSON *item;

    cJSON_ArrayForEach(item, owners)
    {
        if (uid && is_text(json_get_str(item, "uid"), uid))
            return true;
    }
    return false;
}

/* A source of the same name that was there before counts: its companion waits to be collected. */
static bool is_source(const cJSON *owner, const cJSON *source)
{
    return is_text(json_get_str(owner, "uid"), meta(source, "uid")) ||
           (is_text(json_get_str(owner, "kind"), "Service") &&
            is_text(json_get_str(owner, "name"), meta(source, "name")));
}

static bool has_owners(const cJSON *service)
{
    return cJSON_GetArraySize(json_get_arr(metadata_of(service), "ownerReferences")) > 0;
}

/* Where nobody owns the source, the copied selector has to tell. */
static bool has_our_owners(const cJSON *service, const cJSON *source)
{
    const cJSON *of_source = json_get_arr(metadata_of(source), "ownerReferences");
    const cJSON *owner;

    if (!has_owners(service))
        return !of_source && cJSON_Compare(json_get_obj(spec_of(service), "selector"),
                                           json_get_obj(spec_of(source), "selector"), true);
    cJSON_ArrayForEach(owner, json_get_arr(metadata_of(service), "ownerReferences"))
    {
        if (!is_source(owner, source) && !is_among(owner, of_source))
            return false;
    }
    return true;
}

static enum kind kind_of(const cJSON *existing, const cJSON *source)
{
    if (!existing)
        return ABSENT;
    if (svc_companion_is_ours(existing))
        return OURS;
    if (svc_is_headless(existing) && has_our_network(existing) && has_our_owners(existing, source))
        return OLD;
    return FOREIGN;
}

/* The number, `shift` higher, or 0 where there is none. */
static int64_t shifted(const cJSON *port, const char *name, int shift)
{
    int64_t number;

    if (json_get_size(port, name, &number) < 0 || number < 1 || number > UINT16_MAX - shift)
        return 0;
    return number + shift;
}

/* One port in the form that the API server gives it after its defaults, or NULL. */
static cJSON *port_from(const cJSON *port, int shift)
{
    const char *name = json_get_str(port, "name"), *protocol = json_get_str(port, "protocol");
    const cJSON *target = cJSON_GetObjectItemCaseSensitive(port, "targetPort");
    int64_t number = shifted(port, "port", shift), target_number = number;
    cJSON *result;

    if (cJSON_IsNumber(target) && target->valuedouble != 0)
        target_number = shifted(port, "targetPort", shift);
    if (!number || !target_number)
        return NULL;
    result = cJSON_CreateObject();
    json_add_str(result, "name", name && *name ? name : NULL);
    json_add_str(result, "protocol", protocol ? protocol : "TCP");
    json_add_str(result, "appProtocol", json_get_str(port, "appProtocol"));
    json_add_int(result, "port", number);
    if (cJSON_IsString(target) && *target->valuestring)
        json_add_str(result, "targetPort", target->valuestring);
    else
        json_add_int(result, "targetPort", target_number);
    return result;
}

static cJSON *ports_from(const cJSON *service, int shift)
{
    cJSON *list = cJSON_CreateArray();
    const cJSON *port;

    cJSON_ArrayForEach(port, json_get_arr(spec_of(service), "ports"))
    {
        cJSON *item = port_from(port, shift);

        if (item)
            (void)cJSON_AddItemToArray(list, item);
    }
    return list;
}

static cJSON *wanted_ports(const cJSON *source)
{
    return ports_from(source, svc_is_headless(source) ? 1 : 0);
}

cJSON *svc_owners_new(const char *name, const char *uid)
{
    cJSON *list = cJSON_CreateArray(), *owner = cJSON_CreateObject();

    json_add_str(owner, "apiVersion", "v1");
    json_add_str(owner, "kind", "Service");
    json_add_str(owner, "name", name);
    json_add_str(owner, "uid", uid);
    (void)cJSON_AddItemToArray(list, owner);
    return list;
}

static cJSON *wanted_owners(const cJSON *source)
{
    return svc_owners_new(meta(source, "name"), meta(source, "uid"));
}

static void add_text(cJSON *object, const char *map, const char *key, const char *value)
{
    json_add_str(cJSON_AddObjectToObject(object, map), key, value);
}

static cJSON *make_service(const cJSON *source, const char *name)
{
    cJSON *service = cJSON_CreateObject(), *metadata, *spec;

    json_add_str(service, "apiVersion", "v1");
    json_add_str(service, "kind", "Service");
    metadata = cJSON_AddObjectToObject(service, "metadata");
    json_add_str(metadata, "name", name);
    json_add_str(metadata, "namespace", meta(source, "namespace"));
    add_text(metadata, "labels", SVC_MANAGER_KEY, SVC_MANAGER);
    add_text(metadata, "annotations", SVC_NETWORKS_KEY, SVC_MACVLAN_NETWORK);
    (void)cJSON_AddItemToObject(metadata, "ownerReferences", wanted_owners(source));
    spec = cJSON_AddObjectToObject(service, "spec");
    json_add_str(spec, "type", "ClusterIP");
    json_add_str(spec, "clusterIP", "None");
    (void)cJSON_AddItemToObject(spec, "ports", wanted_ports(source));
    if (svc_publishes_not_ready(source))
        (void)cJSON_AddTrueToObject(spec, "publishNotReadyAddresses");
    return service;
}

static bool is_owned_by_source_only(const cJSON *existing, const cJSON *source)
{
    const cJSON *owners = json_get_arr(metadata_of(existing), "ownerReferences");

    return cJSON_GetArraySize(owners) == 1 &&
           is_text(json_get_str(owners->child, "uid"), meta(source, "uid"));
}

static cJSON *metadata_patch(const cJSON *existing, const cJSON *source)
{
    const cJSON *labels = json_get_obj(metadata_of(existing), "labels");
    cJSON *patch = cJSON_CreateObject();

    if (!is_text(json_get_str(labels, SVC_MANAGER_KEY), SVC_MANAGER))
        add_text(patch, "labels", SVC_MANAGER_KEY, SVC_MANAGER);
    if (!is_text(annotation(existing, SVC_NETWORKS_KEY), SVC_MACVLAN_NETWORK))
        add_text(patch, "annotations", SVC_NETWORKS_KEY, SVC_MACVLAN_NETWORK);
    if (!is_owned_by_source_only(existing, source))
        (void)cJSON_AddItemToObject(patch, "ownerReferences", wanted_owners(source));
    return patch;
}

static cJSON *spec_patch(const cJSON *existing, const cJSON *source)
{
    auto_json cJSON *has = ports_from(existing, 0), *wants = wanted_ports(source);
    bool publishes = svc_publishes_not_ready(source);
    cJSON *patch = cJSON_CreateObject();

    if (cJSON_GetObjectItemCaseSensitive(spec_of(existing), "selector"))
        (void)cJSON_AddNullToObject(patch, "selector");
    if (!cJSON_Compare(has, wants, true))
        (void)cJSON_AddItemToObject(patch, "ports", take(wants));
    if (publishes != svc_publishes_not_ready(existing))
        (void)cJSON_AddBoolToObject(patch, "publishNotReadyAddresses", publishes);
    return patch;
}

/* Adds what is not empty, and frees the rest. */
static void add_part(cJSON *patch, const char *name, cJSON *part)
{
    if (part->child)
        (void)cJSON_AddItemToObject(patch, name, part);
    else
        cJSON_Delete(part);
}

static void plan_update(const cJSON *source, const cJSON *existing, enum kind kind,
                        struct svc_companion *plan)
{
    auto_json cJSON *patch = cJSON_CreateObject();

    add_part(patch, "metadata", metadata_patch(existing, source));
    add_part(patch, "spec", spec_patch(existing, source));
    plan->is_served = true;
    plan->why = "it is as it should be";
    if (!patch->child)
        return;
    plan->action = SVC_PATCH;
    plan->body = take(patch);
    plan->why =
        kind == OLD ? "it is adopted from the 2019 controller" : "it differs from its source";
}

/* NULL where the service may have a companion, else why not. */
static const char *why_not(const cJSON *source)
{
    const cJSON *spec = spec_of(source), *selector = json_get_obj(spec, "selector");

    if (!selector || !selector->child)
        return "the service has no selector";
    if (is_text(json_get_str(spec, "type"), "ExternalName"))
        return "the service is an external name";
    if (svc_companion_is_ours(source))
        return "the service is a companion itself";
    if (annotation(source, SVC_NETWORKS_KEY))
        return "the service asks for networks itself";
    return NULL;
}

static char *warn_foreign(const cJSON *source, const char *name)
{
    return xasprintf("service '%s' gets no macvlan service, because '%s' is there already and is "
                     "not ours; delete or rename it",
                     meta(source, "name"), name);
}

static char *warn_length(const cJSON *source, const char *name)
{
    return xasprintf("service '%s' gets no macvlan service, because '%s' has %zu characters and "
                     "the name of a service has at most %d; use a shorter name",
                     meta(source, "name"), name, strlen(name), SVC_MAX_NAME);
}

static void plan_wanted(const cJSON *source, const cJSON *existing, enum kind kind,
                        struct svc_companion *plan)
{
    auto_free char *name = svc_companion_name(meta(source, "name"));

    if (kind == FOREIGN) {
        plan->why = "another service has its name";
        plan->warning = warn_foreign(source, name);
    } else if (strlen(name) > SVC_MAX_NAME) {
        plan->why = "its name is too long";
        plan->warning = warn_length(source, name);
    } else if (kind == ABSENT) {
        plan->action = SVC_CREATE;
        plan->body = make_service(source, name);
        plan->is_served = true;
        plan->why = "macvlan pods are selected";
    } else {
        plan_update(source, existing, kind, plan);
    }
}

void svc_companion_plan(const cJSON *source, const cJSON *existing, const struct svc_demand *demand,
                        struct svc_companion *out_plan)
{
    enum kind kind = kind_of(existing, source);
    bool is_kept = kind == OURS || kind == OLD;
    const char *reason = why_not(source);

    *out_plan = (struct svc_companion){.action = SVC_LEAVE};
    if (json_get_str(metadata_of(source), "deletionTimestamp")) {
        out_plan->why = "the service is being deleted";
    } else if (json_get_str(metadata_of(existing), "deletionTimestamp")) {
        out_plan->why = "the service of that name is being deleted";
    } else if (!reason && (demand->wanting || (is_kept && !demand->selected))) {
        plan_wanted(source, existing, kind, out_plan);
    } else {
        /* One that nobody owns may be its author's own. */
        out_plan->action = is_kept && has_owners(existing) ? SVC_DELETE : SVC_LEAVE;
        out_plan->why = reason ? reason : "no selected pod wants it";
    }
}

void svc_companion_release(struct svc_companion *plan)
{
    cJSON_Delete(plan->body);
    free(plan->warning);
    *plan = (struct svc_companion){.why = ""};
}
