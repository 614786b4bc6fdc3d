/* Patches for workloads. */
#include "workload.h"

#include "json.h"
#include "macvlan/svc_networks.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- names --- */

static bool is_kind(const struct netview_kind *k, const char *text, size_t len)
{
    const char *const words[] = {k->word, k->words, k->shorter, k->kind};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (words[i] && strlen(words[i]) == len && !strncasecmp(words[i], text, len))
            return true;
    return false;
}

int workload_ref_parse(char *const *args, int n_args, struct workload_ref *out, struct err **e)
{
    const char *slash = strchr(args[0], '/');
    const char *name = slash ? slash + 1 : n_args > 1 ? args[1] : NULL;
    size_t len = strcspn(args[0], "./");

    if (!name || (slash && n_args > 1))
        return err_set(e, -EINVAL, "name one workload, as KIND/NAME: deployment/web");
    for (size_t i = 0; i < NETVIEW_KINDS; i++) {
        if (!is_kind(&netview_kinds[i], args[0], len))
            continue;
        if (!svc_name_is_valid(name))
            return err_set(e, -EINVAL, "'%.100s' cannot be the name of a %s", name,
                           netview_kinds[i].word);
        *out = (struct workload_ref){&netview_kinds[i], name};
        return 0;
    }
    return err_set(e, -EINVAL,
                   "'%.*s' is no kind of workload: use deployment, statefulset, daemonset, job or "
                   "cronjob",
                   (int)len, args[0]);
}

/* --- what is asked for --- */

/* As the UI writes it. */
static char *with_dashes(const char *list)
{
    char *text = xstrdup(list), *to = text;

    for (const char *p = text; *p; p++)
        if (*p != ' ')
            *to++ = *p == ',' ? '-' : *p;
    *to = '\0';
    return text;
}

cJSON *workload_annotations(const struct workload_ask *ask)
{
    auto_free char *ip = with_dashes(ask->ip ? ask->ip : "auto");
    auto_free char *mac = with_dashes(ask->mac ? ask->mac : "");
    cJSON *annotations = cJSON_CreateObject();

    json_add_str(annotations, ANNOT_IP, ip);
    json_add_str(annotations, ANNOT_SUBNET, ask->subnet);
    if (*mac)
        json_add_str(annotations, ANNOT_MAC, mac);
    else
        (void)cJSON_AddNullToObject(annotations, ANNOT_MAC);
    return annotations;
}

static bool is_fixed(const struct workload_ask *ask)
{
    return ask->ip && strcmp(ask->ip, "auto") != 0;
}

/* --- the networks annotation --- */

static bool is_ours(const struct svc_network *n)
{
    return !strcmp(n->name, SVC_MACVLAN_NETWORK);
}

static cJSON *network_json(const struct svc_network *n)
{
    cJSON *item = cJSON_CreateObject();

    json_add_str(item, "name", n->name);
    json_add_str(item, "namespace", n->namespace);
    json_add_str(item, "interface", n->interface);
    return item;
}

/* The list of a JSON annotation as it stands there, with whatever members it has; of the other form
 * what it means. */
static cJSON *read_list(const char *text, const struct svc_networks *parsed)
{
    cJSON *list = NULL;

    if (json_parse(text, strlen(text), &list, NULL) == 0 && cJSON_IsArray(list))
        return list;
    cJSON_Delete(list);
    list = cJSON_CreateArray();
    for (size_t i = 0; i < parsed->count; i++)
        (void)cJSON_AddItemToArray(list, network_json(&parsed->items[i]));
    return list;
}

/* The annotation with ours in it, or without; *out is to be freed, NULL: no annotation. */
static int change_networks(const cJSON *annotations, bool wanted, char **out, struct err **e)
{
    const char *text = json_get_str(annotations, SVC_NETWORKS_KEY);
    auto_networks struct svc_networks parsed = {.items = NULL};
    auto_json cJSON *list = NULL;
    bool has_ours = false;

    if (text && svc_networks_parse(text, &parsed, e) < 0)
        return err_wrap(e, "annotation '%s' of the pod template cannot be read; mend it first",
                        SVC_NETWORKS_KEY);
    list = text ? read_list(text, &parsed) : cJSON_CreateArray();
    for (size_t i = parsed.count; i-- > 0;) {
        if (!is_ours(&parsed.items[i]))
            continue;
        has_ours = true;
        if (!wanted)
            cJSON_DeleteItemFromArray(list, (int)i);
    }
    if (wanted == has_ours) {
        *out = xstrdup(text);
        return 0;
    }
    if (wanted)
        (void)cJSON_AddItemToArray(
            list, network_json(&(struct svc_network){.name = (char *)(uintptr_t)SVC_MACVLAN_NETWORK,
                                                     .interface = (char *)(uintptr_t) "eth1"}));
    *out = list->child ? json_print(list) : NULL;
    return 0;
}

static void set_or_drop(cJSON *object, const char *name, const char *text)
{
    if (text)
        json_add_str(object, name, text);
    else
        (void)cJSON_AddNullToObject(object, name);
}

/* --- the update strategy --- */

static bool is_zero(const cJSON *item)
{
    return (cJSON_IsNumber(item) && item->valuedouble == 0) ||
           (cJSON_IsString(item) &&
            (!strcmp(item->valuestring, "0%") || !strcmp(item->valuestring, "0")));
}

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool has_before(const cJSON *object)
{
    return json_get_str(netview_annotations(object), WORKLOAD_BEFORE_KEY) != NULL;
}

static const char *strategy_name(const struct netview_kind *kind)
{
    return !strcmp(kind->kind, "DaemonSet") ? "updateStrategy" : "strategy";
}

/* With fixed addresses the old pod has to go before the new one comes. A Deployment that recreates
 * does so, and a StatefulSet always. */
static bool needs_change(const struct netview_kind *kind, const cJSON *strategy)
{
    const cJSON *rolling = json_get_obj(strategy, "rollingUpdate");
    const char *type = json_get_str(strategy, "type");

    if (strcmp(kind->kind, "Deployment") != 0 && strcmp(kind->kind, "DaemonSet") != 0)
        return false;
    if (type && strcmp(type, "RollingUpdate") != 0)
        return false;
    if (!strcmp(kind->kind, "DaemonSet") && !member(rolling, "maxSurge"))
        return false;
    return !is_zero(member(rolling, "maxSurge")) || is_zero(member(rolling, "maxUnavailable"));
}

static void remember_strategy(cJSON *annotations, const cJSON *rolling)
{
    static const char *const names[] = {"maxSurge", "maxUnavailable"};
    auto_json cJSON *before = cJSON_CreateObject();
    auto_free char *text = NULL;

    for (size_t i = 0; i < 2; i++) {
        const cJSON *old = member(rolling, names[i]);

        (void)cJSON_AddItemToObject(before, names[i],
                                    old ? cJSON_Duplicate(old, 1) : cJSON_CreateNull());
    }
    text = json_print(before);
    json_add_str(annotations, WORKLOAD_BEFORE_KEY, text);
}

static void stop_first(const struct netview_kind *kind, const cJSON *object, cJSON *patch_spec,
                       cJSON *patch_annotations)
{
    const cJSON *strategy = json_get_obj(json_get_obj(object, "spec"), strategy_name(kind));
    const cJSON *rolling = json_get_obj(strategy, "rollingUpdate");
    cJSON *to;

    if (!needs_change(kind, strategy))
        return;
    if (!has_before(object))
        remember_strategy(patch_annotations, rolling);
    to = cJSON_AddObjectToObject(cJSON_AddObjectToObject(patch_spec, strategy_name(kind)),
                                 "rollingUpdate");
    json_add_int(to, "maxSurge", 0);
    if (!member(rolling, "maxUnavailable") || is_zero(member(rolling, "maxUnavailable")))
        json_add_int(to, "maxUnavailable", 1);
}

/* Puts back what was remembered, unless somebody has chosen another strategy meanwhile. */
static void put_back(const struct netview_kind *kind, const cJSON *object, cJSON *patch_spec,
                     cJSON *patch_annotations)
{
    const char *text = json_get_str(netview_annotations(object), WORKLOAD_BEFORE_KEY);
    const cJSON *strategy = json_get_obj(json_get_obj(object, "spec"), strategy_name(kind));
    const cJSON *rolling = json_get_obj(strategy, "rollingUpdate");
    auto_json cJSON *before = NULL;
    cJSON *to;

    if (!text)
        return;
    (void)cJSON_AddNullToObject(patch_annotations, WORKLOAD_BEFORE_KEY);
    if (json_parse(text, strlen(text), &before, NULL) < 0 || !is_zero(member(rolling, "maxSurge")))
        return;
    to = cJSON_AddObjectToObject(cJSON_AddObjectToObject(patch_spec, strategy_name(kind)),
                                 "rollingUpdate");
    json_copy(to, before, "maxSurge");
    json_copy(to, before, "maxUnavailable");
}

/* --- patches --- */

struct patch {
    cJSON *root, *labels, *annotations, *spec, *template;
};

/* `template` is where the annotations of the pods go. */
static struct patch new_patch(const struct netview_kind *kind, const cJSON *object)
{
    struct patch p = {.root = cJSON_CreateObject()};
    cJSON *meta = cJSON_AddObjectToObject(p.root, "metadata"), *at;

    json_copy(meta, json_get_obj(object, "metadata"), "resourceVersion");
    p.labels = cJSON_AddObjectToObject(meta, "labels");
    p.annotations = cJSON_AddObjectToObject(meta, "annotations");
    p.spec = at = cJSON_AddObjectToObject(p.root, "spec");
    if (!strcmp(kind->kind, "CronJob"))
        at = cJSON_AddObjectToObject(cJSON_AddObjectToObject(at, "jobTemplate"), "spec");
    at = cJSON_AddObjectToObject(cJSON_AddObjectToObject(at, "template"), "metadata");
    p.template = cJSON_AddObjectToObject(at, "annotations");
    return p;
}

static int check_kind(const struct netview_kind *kind, struct err **e)
{
    if (strcmp(kind->kind, "Job") != 0)
        return 0;
    return err_set(e, -ENOTSUP,
                   "the pod template of a Job can never be changed; delete the Job, and create it "
                   "with the annotations in its template, or change the CronJob that makes it");
}

static void add_all(cJSON *to, cJSON *from)
{
    cJSON *item;

    while ((item = from->child)) {
        (void)cJSON_DetachItemViaPointer(from, item);
        (void)cJSON_AddItemToObject(to, item->string, item);
    }
}

int workload_enable(const struct netview_kind *kind, const cJSON *object,
                    const struct workload_ask *ask, cJSON **out, struct err **e)
{
    const cJSON *there = netview_annotations(netview_template(kind, object));
    auto_json cJSON *annotations = workload_annotations(ask), *root = NULL;
    auto_free char *networks = NULL;
    struct patch p;
    int r = check_kind(kind, e);

    if (r == 0 && ask->is_multus)
        r = change_networks(there, true, &networks, e);
    if (r < 0)
        return r;
    p = new_patch(kind, object);
    root = p.root;
    add_all(p.template, annotations);
    if (ask->is_multus)
        json_add_str(p.template, SVC_NETWORKS_KEY, networks);
    json_add_str(p.labels, LABEL_IP_TYPE, is_fixed(ask) ? "specific" : "auto");
    json_add_str(p.labels, LABEL_POD_SUBNET, ask->subnet);
    if (is_fixed(ask))
        stop_first(kind, object, p.spec, p.annotations);
    else
        put_back(kind, object, p.spec, p.annotations);
    *out = take(root);
    return 0;
}

int workload_disable(const struct netview_kind *kind, const cJSON *object, cJSON **out,
                     struct err **e)
{
    static const char *const keys[] = {ANNOT_IP, ANNOT_SUBNET, ANNOT_MAC};
    const cJSON *there = netview_annotations(netview_template(kind, object));
    auto_free char *networks = NULL;
    struct patch p;
    int r = check_kind(kind, e);

    if (r == 0)
        r = change_networks(there, false, &networks, e);
    if (r < 0)
        return r;
    p = new_patch(kind, object);
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        (void)cJSON_AddNullToObject(p.template, keys[i]);
    set_or_drop(p.template, SVC_NETWORKS_KEY, networks);
    (void)cJSON_AddNullToObject(p.labels, LABEL_IP_TYPE);
    (void)cJSON_AddNullToObject(p.labels, LABEL_POD_SUBNET);
    put_back(kind, object, p.spec, p.annotations);
    *out = p.root;
    return 0;
}

/* --- what a patch changes --- */

static bool is_precondition(const cJSON *item)
{
    return item->string && !strcmp(item->string, "resourceVersion");
}

/* Whether anything is left of an object of a patch. */
static bool trim(const cJSON *object, cJSON *patch)
{
    bool is_left = false;
    cJSON *item, *next;

    for (item = patch->child; item; item = next) {
        const cJSON *old = member(object, item->string);

        next = item->next;
        if (is_precondition(item))
            continue;
        if (cJSON_IsObject(item) ? trim(old, item)
            : cJSON_IsNull(item) ? old != NULL
                                 : !old || !cJSON_Compare(old, item, true)) {
            is_left = true;
            continue;
        }
        /* The precondition is in one that may be empty otherwise. */
        if (!cJSON_IsObject(item) || !item->child)
            cJSON_Delete(cJSON_DetachItemViaPointer(patch, item));
    }
    return is_left;
}

bool workload_patch_trim(const cJSON *object, cJSON *patch)
{
    return trim(object, patch);
}

static void add_line(char sign, const char *path, const cJSON *value, struct buf *out)
{
    auto_free char *text = value ? json_print(value) : NULL;

    if (text)
        (void)buf_addf(out, "%c %s: %s\n", sign, path, text);
}

/* Keys of labels and annotations have dots of their own. */
static char *path_to(const char *path, const char *name)
{
    if (strchr(name, '.') || strchr(name, '/'))
        return xasprintf("%s[%s]", path, name);
    return *path ? xasprintf("%s.%s", path, name) : xstrdup(name);
}

static void diff(const cJSON *object, const cJSON *patch, const char *path, struct buf *out)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, patch)
    {
        auto_free char *at = path_to(path, item->string);
        const cJSON *old = member(object, item->string);

        if (is_precondition(item))
            continue;
        if (cJSON_IsObject(item)) {
            diff(old, item, at, out);
            continue;
        }
        add_line('-', at, old, out);
        add_line('+', at, cJSON_IsNull(item) ? NULL : item, out);
    }
}

int workload_patch_diff(const cJSON *object, const cJSON *patch, struct buf *out)
{
    diff(object, patch, "", out);
    return out->overflowed ? -EFBIG : 0;
}
