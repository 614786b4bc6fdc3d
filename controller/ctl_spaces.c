/*
 * Namespaces: each has the network that multus attaches pods to. It is kept as it must be, unless
 * its owner says hands off by an annotation.
 */
#include "ctl.h"

#include "json.h"
#include "log.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define NAD_NAME "static-macvlan-cni-attach"
#define NADS "/apis/k8s.cni.cncf.io/v1/"
#define NAD_DIR "network-attachment-definitions"
#define HANDS_OFF_KEY "macvlan.panda.io/hands-off" /* any value but "false" */
#define PROJECT_KEY "field.cattle.io/projectId"

/* The two in braces are filled in by the plugin, as in 2019; 0.3.1 is what all of kubelet, multus
 * and our plugin take. */
#define NAD_CONFIG                                                                                 \
    "{\"cniVersion\":\"0.3.1\",\"name\":\"" NAD_NAME "\",\"type\":\"static-macvlan-cni\","         \
    "\"master\":\"\",\"ipam\":{\"type\":\"static-ipam\",\"addresses\":[{\"address\":"              \
    "\"{address}\",\"gateway\":\"{gateway}\"}]}}"

struct ctl_spaces {
    struct ctl *c;
    struct kube_informer *namespaces, *nads; /* nads: NULL in chained mode */
    struct kube_queue *queue;
};

struct space {
    char *project;
    bool is_deleting;
};

struct nad {
    bool is_right, is_hands_off;
};

/* --- what is watched --- */

static void *parse_space(void *arg, const cJSON *object)
{
    const cJSON *meta = json_get_obj(object, "metadata");
    struct space *space = xcalloc(1, sizeof(*space));

    (void)arg;
    space->project = xstrdup(json_get_str(json_get_obj(meta, "annotations"), PROJECT_KEY));
    space->is_deleting = json_get_str(meta, "deletionTimestamp") != NULL;
    return space;
}

static void free_space(void *value)
{
    struct space *space = value;

    free(space->project);
    free(space);
}

static void on_space(void *arg, const char *key, const void *before, const void *now)
{
    struct ctl_spaces *s = arg;

    if (!before || !now)
        kube_queue_add(s->queue, key);
}

/* What an older controller wrote works too, and is somebody's choice of wording. */
static bool is_right(const cJSON *object)
{
    const char *text = json_get_str(json_get_obj(object, "spec"), "config"), *version, *type;
    auto_json cJSON *config = NULL;

    if (!text || json_parse(text, strlen(text), &config, NULL) < 0)
        return false;
    version = json_get_str(config, "cniVersion");
    type = json_get_str(config, "type");
    return version && !strcmp(version, "0.3.1") && type && !strcmp(type, "static-macvlan-cni");
}

static void *parse_nad(void *arg, const cJSON *object)
{
    const cJSON *annotations = json_get_obj(json_get_obj(object, "metadata"), "annotations");
    const char *hands_off = json_get_str(annotations, HANDS_OFF_KEY);
    struct nad *nad = xcalloc(1, sizeof(*nad));

    (void)arg;
    nad->is_right = is_right(object);
    nad->is_hands_off = hands_off && strcmp(hands_off, "false") != 0;
    return nad;
}

static void on_nad(void *arg, const char *key, const void *before, const void *now)
{
    struct ctl_spaces *s = arg;
    auto_free char *ns = NULL;

    (void)before;
    (void)now;
    (void)ctl_split(key, &ns);
    kube_queue_add(s->queue, ns);
}

/* --- one namespace --- */

static cJSON *make_nad(const char *ns, bool is_patch)
{
    cJSON *object = cJSON_CreateObject(), *meta, *spec;

    if (!is_patch) {
        json_add_str(object, "apiVersion", "k8s.cni.cncf.io/v1");
        json_add_str(object, "kind", "NetworkAttachmentDefinition");
        meta = cJSON_AddObjectToObject(object, "metadata");
        json_add_str(meta, "name", NAD_NAME);
        json_add_str(meta, "namespace", ns);
    }
    spec = cJSON_AddObjectToObject(object, "spec");
    json_add_str(spec, "config", NAD_CONFIG);
    return object;
}

static void handle(void *arg, const char *ns)
{
    struct ctl_spaces *s = arg;
    const struct space *space = kube_informer_get(s->namespaces, ns);
    auto_free char *key = xasprintf("%s/" NAD_NAME, ns);
    const struct nad *nad = s->nads ? kube_informer_get(s->nads, key) : NULL;
    auto_free char *path = NULL;

    if (!s->nads || !space || space->is_deleting || (nad && (nad->is_right || nad->is_hands_off)) ||
        !ctl_may_write(s->c)) {
        kube_queue_done(s->queue, ns);
        return;
    }
    path = xasprintf(NADS "namespaces/%s/" NAD_DIR "%s", ns, nad ? "/" NAD_NAME : "");
    ctl_step(s->c, s->queue, ns,
             &(struct ctl_request){.what = "write " NAD_NAME,
                                   .method = nad ? "PATCH" : "POST",
                                   .path = path,
                                   .body = make_nad(ns, nad != NULL)});
}

/* --- the part --- */

struct ctl_spaces *ctl_spaces_new(struct ctl *c)
{
    static const struct kube_informer_ops spaces = {.parse = parse_space,
                                                    .free_value = free_space,
                                                    .changed = on_space,
                                                    .synced = ctl_on_synced,
                                                    .failed = ctl_on_list_failed};
    static const struct kube_informer_ops nads = {.parse = parse_nad,
                                                  .changed = on_nad,
                                                  .synced = ctl_on_synced,
                                                  .failed = ctl_on_list_failed};
    struct ctl_spaces *s = xcalloc(1, sizeof(*s));

    s->c = c;
    s->queue = ctl_queue(c, "namespaces", 8, handle, s);
    s->namespaces = ctl_informer(c, "/api/v1/namespaces", NULL, &spaces, s);
    if (c->options->is_multus)
        s->nads =
            ctl_informer(c, NADS NAD_DIR, "fieldSelector=metadata.name%3D" NAD_NAME, &nads, s);
    return s;
}

void ctl_spaces_free(struct ctl_spaces *s)
{
    if (!s)
        return;
    kube_informer_free(s->nads);
    kube_informer_free(s->namespaces);
    ctl_queue_free(s->c, s->queue);
    free(s);
}

void ctl_spaces_start(struct ctl_spaces *s)
{
    kube_queue_start(s->queue);
}

void ctl_spaces_stop(struct ctl_spaces *s)
{
    kube_queue_stop(s->queue);
}

/* A cluster without the definition of networks waits for it in nads; pods need not. */
bool ctl_spaces_has_synced(const struct ctl_spaces *s)
{
    return kube_informer_has_synced(s->namespaces);
}

const char *ctl_spaces_project(const struct ctl_spaces *s, const char *ns)
{
    const struct space *space = kube_informer_get(s->namespaces, ns);

    return space ? space->project : NULL;
}

bool ctl_spaces_is_deleting(const struct ctl_spaces *s, const char *ns)
{
    const struct space *space = kube_informer_get(s->namespaces, ns);

    return space && space->is_deleting;
}
