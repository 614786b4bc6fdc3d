/* The webhook's answers. */
#include "admission.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WARNINGS 8
#define MAX_MESSAGE 4096

/* One request on its way to an answer. All but the answer is borrowed. */
struct review {
    const struct admission_lookup *lookup;
    const cJSON *request;
    const cJSON *object; /* NULL for a DELETE */
    const cJSON *old;    /* NULL for a CREATE */
    struct admission_owner owner;
    char *message; /* why not; NULL: allowed */
    cJSON *warnings;
};

/* Where the pod template is below the object; NULL: it is itself a pod. */
struct kind {
    const char *group;
    const char *kind;
    const char *path[4];
};

static const struct kind kinds[] = {
    {"apps", "Deployment", {"spec", "template"}},
    {"apps", "StatefulSet", {"spec", "template"}},
    {"apps", "DaemonSet", {"spec", "template"}},
    {"extensions", "Deployment", {"spec", "template"}},
    {"extensions", "DaemonSet", {"spec", "template"}},
    {"batch", "Job", {"spec", "template"}},
    {"batch", "CronJob", {"spec", "jobTemplate", "spec", "template"}},
    {"", "Pod", {NULL}},
};

static const char *text_at(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);
    return text ? text : "";
}

static const cJSON *metadata_of(const cJSON *object)
{
    return json_get_obj(object, "metadata");
}

static void deny(struct review *r, const char *text)
{
    free(r->message);
    r->message = xstrndup(text, MAX_MESSAGE);
}

/* Takes `text`, which may be NULL. */
static void warn(struct review *r, char *text)
{
    if (text && cJSON_GetArraySize(r->warnings) < MAX_WARNINGS)
        (void)cJSON_AddItemToArray(r->warnings, cJSON_CreateString(text));
    free(text);
}

/* --- subnets --- */

/* Whether an update concerns what overlaps. Else nobody could write, not even defaults, where two
 * have come to overlap while nobody was asked. */
static bool is_moved(const struct review *r, const struct subnet *s)
{
    auto_subnet struct subnet *old = NULL;

    if (!r->old || subnet_parse(r->old, r->lookup->legacy_octets, &old, NULL) < 0 || !old->is_valid)
        return true;
    return strcmp(old->master, s->master) || old->vlan != s->vlan ||
           ip_compare(old->cidr.addr, s->cidr.addr) || old->cidr.prefix != s->cidr.prefix ||
           old->n_ranges != s->n_ranges ||
           (s->n_ranges && memcmp(old->ranges, s->ranges, s->n_ranges * sizeof(*s->ranges)) != 0);
}

static void review_spec(struct review *r)
{
    auto_subnet struct subnet *s = NULL;
    auto_err struct err *e = NULL;
    auto_buf struct buf errors;

    buf_init(&errors, MAX_MESSAGE);
    if (subnet_parse(r->object, r->lookup->legacy_octets, &s, &e) < 0) {
        deny(r, err_text(e));
        return;
    }
    for (size_t i = 0; i < s->n_findings; i++) {
        if (s->findings[i].is_error)
            (void)buf_addf(&errors, "%s%s", errors.len ? "; " : "", s->findings[i].text);
        else
            warn(r, xstrdup(s->findings[i].text));
    }
    if (!s->is_valid)
        deny(r, errors.len ? errors.data : "the spec is not valid");
    else if (is_moved(r, s) && r->lookup->check_overlap(r->lookup->arg, s, &e) < 0)
        deny(r, err_text(e));
}

static void review_deletion(struct review *r, const char *namespace)
{
    const char *name = text_at(r->request, "name");
    auto_free char *text = NULL;
    size_t used;

    /* A collection is deleted without the name in the request. */
    if (!*name)
        name = text_at(metadata_of(r->old), "name");
    used = strcmp(namespace, ADMISSION_SUBNET_NAMESPACE)
               ? 0
               : r->lookup->count_used(r->lookup->arg, name);
    if (!used)
        return;
    text = xasprintf("subnet '%s' cannot be deleted, because %zu of its addresses are in use; "
                     "delete the workloads that use it first",
                     name, used);
    deny(r, text);
}

static void review_subnet(struct review *r)
{
    const char *namespace = text_at(r->request, "namespace");

    if (!strcmp(text_at(r->request, "operation"), "DELETE")) {
        review_deletion(r, namespace);
        return;
    }
    if (r->old &&
        cJSON_Compare(json_get_obj(r->object, "spec"), json_get_obj(r->old, "spec"), true))
        return;
    if (strcmp(namespace, ADMISSION_SUBNET_NAMESPACE)) {
        deny(r, "a MacvlanSubnet works in namespace '" ADMISSION_SUBNET_NAMESPACE
                "' only; create it there");
        return;
    }
    review_spec(r);
}

/* --- workloads --- */

static const cJSON *annotations_of(const struct kind *kind, const cJSON *object)
{
    for (size_t i = 0; i < 4 && kind->path[i]; i++)
        object = json_get_obj(object, kind->path[i]);
    return json_get_obj(metadata_of(object), "annotations");
}

static bool has_equal(const cJSON *a, const cJSON *b, const char *key)
{
    return !strcmp(text_at(a, key), text_at(b, key)) &&
           !json_get_str(a, key) == !json_get_str(b, key);
}

static bool is_unchanged(const cJSON *a, const cJSON *b)
{
    return has_equal(a, b, ANNOT_IP) && has_equal(a, b, ANNOT_SUBNET) && has_equal(a, b, ANNOT_MAC);
}

static bool has_controller(const cJSON *object)
{
    const cJSON *owner;

    cJSON_ArrayForEach(owner, json_get_arr(metadata_of(object), "ownerReferences"))
    {
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(owner, "controller")))
            return true;
    }
    return false;
}

/* Its template was checked when its owner came. */
static bool is_made_by_another(const struct kind *kind, const cJSON *object)
{
    return (!strcmp(kind->kind, "Pod") || !strcmp(kind->kind, "Job")) && has_controller(object);
}

static int check_addresses(struct review *r, const struct annot_request *request,
                           const struct subnet *s, struct annot_refusal *refusal)
{
    const struct admission_lookup *l = r->lookup;

    for (size_t i = 0; i < request->n_ips; i++) {
        int status = l->check_ip(l->arg, s, request->ips[i], &r->owner, refusal);

        if (status < 0)
            return status;
    }
    for (size_t i = 0; i < request->n_macs; i++) {
        char mac[IP_MAC_TEXT_SIZE];

        if (!l->is_mac_used(l->arg, s, request->macs[i], &r->owner))
            continue;
        refusal->admission = xasprintf("mac has been used; %s has a pod of somebody else in this "
                                       "VLAN, name another MAC, or none",
                                       ip_mac_format(request->macs[i], ':', mac));
        return -EAGAIN;
    }
    return 0;
}

static int check_request(struct review *r, const struct annot_request *request,
                         struct annot_refusal *refusal)
{
    const struct admission_lookup *l = r->lookup;
    const struct subnet *s = l->subnet(l->arg, request->subnet);
    const char *project = l->project(l->arg, r->owner.namespace);
    int status = annot_check_subnet(request->subnet, s, refusal);

    if (status == 0)
        status = annot_check_project(s, r->owner.name, project, refusal);
    return status < 0 ? status : check_addresses(r, request, s, refusal);
}

static void review_workload(struct review *r, const struct kind *kind)
{
    const cJSON *annotations = annotations_of(kind, r->object);
    auto_annot_request struct annot_request request = {.subnet = NULL};
    auto_annot_refusal struct annot_refusal refusal = {.reason = NULL};
    int status;

    if (r->old && is_unchanged(annotations, annotations_of(kind, r->old)))
        return;
    status = annot_parse(annotations, &request, &refusal);
    if (status > 0) {
        warn(r, annot_long_list(&request));
        if (!is_made_by_another(kind, r->object))
            status = check_request(r, &request, &refusal);
    }
    if (status < 0)
        deny(r, refusal.admission);
    else
        warn(r, annot_half(annotations, r->lookup->is_multus));
}

/* --- the review --- */

static const struct kind *find_kind(const char *group, const char *kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(kinds[i].group, group) && !strcmp(kinds[i].kind, kind))
            return &kinds[i];
    return NULL;
}

static int decide(struct review *r, struct err **e)
{
    const cJSON *kind = json_get_obj(r->request, "kind");
    const char *group = text_at(kind, "group"), *name = text_at(kind, "kind");
    const struct kind *workload = find_kind(group, name);
    bool is_subnet = !strcmp(group, "macvlan.cluster.cattle.io") && !strcmp(name, "MacvlanSubnet");
    bool is_deletion = !strcmp(text_at(r->request, "operation"), "DELETE");

    if (!is_deletion && !r->object && (is_subnet || workload))
        return err_set(e, -EBADMSG, "the AdmissionReview has no object");
    /* Whoever removes the last finalizers must not be stopped. */
    if (json_get_str(metadata_of(r->object), "deletionTimestamp"))
        return 0;
    if (is_subnet)
        review_subnet(r);
    else if (workload && !is_deletion)
        review_workload(r, workload);
    return 0;
}

static void add_status(cJSON *response, const char *message)
{
    cJSON *status = cJSON_AddObjectToObject(response, "status");

    json_add_str(status, "status", "Failure");
    json_add_str(status, "reason", "BadRequest");
    json_add_str(status, "message", message);
    json_add_int(status, "code", 400);
}

static char *print_answer(struct review *r, const char *version)
{
    auto_json cJSON *answer = cJSON_CreateObject();
    cJSON *response;

    json_add_str(answer, "apiVersion", version);
    json_add_str(answer, "kind", "AdmissionReview");
    response = cJSON_AddObjectToObject(answer, "response");
    json_add_str(response, "uid", json_get_str(r->request, "uid"));
    (void)cJSON_AddBoolToObject(response, "allowed", !r->message);
    if (r->message)
        add_status(response, r->message);
    if (r->warnings->child)
        (void)cJSON_AddItemToObject(response, "warnings", take(r->warnings));
    return json_print(answer);
}

static int check_review(const cJSON *tree, struct err **e)
{
    const char *version = text_at(tree, "apiVersion");

    if (strcmp(text_at(tree, "kind"), "AdmissionReview") ||
        (strcmp(version, "admission.k8s.io/v1") && strcmp(version, "admission.k8s.io/v1beta1")))
        return err_set(e, -EBADMSG,
                       "the body is no AdmissionReview of admission.k8s.io/v1 or v1beta1");
    if (!*text_at(json_get_obj(tree, "request"), "uid"))
        return err_set(e, -EBADMSG, "the AdmissionReview has no request with a uid");
    return 0;
}

int admission_review(const struct admission_lookup *lookup, const void *body, size_t len,
                     struct buf *out, struct err **e)
{
    auto_json cJSON *tree = NULL;
    auto_free char *answer = NULL;
    struct review r = {.lookup = lookup};
    int status = json_parse(body, len, &tree, e);

    if (status >= 0)
        status = check_review(tree, e);
    if (status < 0)
        return status;
    r.request = json_get_obj(tree, "request");
    r.object = json_get_obj(r.request, "object");
    r.old = json_get_obj(r.request, "oldObject");
    r.owner = (struct admission_owner){.kind = text_at(json_get_obj(r.request, "kind"), "kind"),
                                       .namespace = text_at(r.request, "namespace"),
                                       .name = text_at(r.request, "name")};
    r.warnings = cJSON_CreateArray();
    status = decide(&r, e);
    if (status >= 0) {
        answer = print_answer(&r, json_get_str(tree, "apiVersion"));
        status = buf_addstr(out, answer);
    }
    if (status == 0 && r.message)
        status = 1;
    if (status == -EFBIG)
        (void)err_set(e, status, "the answer is too long");
    cJSON_Delete(r.warnings);
    free(r.message);
    return status;
}
