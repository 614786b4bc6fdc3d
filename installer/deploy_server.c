/* Requests about objects that are deployed. */
#include "deploy_server.h"

#include "deploy_managed.h"
#include "interrupt.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define PAUSE_MS 200

void deploy_server_init(const struct cluster *c, struct deploy_server *out)
{
    *out = (struct deploy_server){.kube = c->kube, .minor = c->minor};
    out->has_dry_run = c->minor >= 13; /* beta, and so on by default */
}

/* Sends one request about an object; the error begins with its name. */
static int send(const struct deploy_server *s, const struct deploy_name *n,
                const struct kube_request *request, cJSON **out, struct err **e)
{
    auto_err struct err *why = NULL;
    auto_free char *name = deploy_name_text(n);
    int r = kube_do(s->kube, request, out, &why);

    return r < 0 ? err_set(e, r, "%s: %s", name, err_text(why)) : 0;
}

/* `path` with what every write has in its query. */
static char *for_write(const struct deploy_server *s, const char *path, const char *more)
{
    return xasprintf("%s?fieldManager=" DEPLOY_FIELD_MANAGER "%s%s", path, more,
                     s->is_dry ? "&dryRun=All" : "");
}

static char *path_of(const struct deploy_server *s, const struct deploy_name *n)
{
    return deploy_path(n->kind, s->minor, n->ns, n->name);
}

int deploy_server_ask(struct deploy_server *s, struct err **e)
{
    struct deploy_server dry = *s;
    static char ns[] = DEPLOY_NS, name[] = "flatnet-asks";
    struct deploy_name n = {.kind = deploy_kind_find("ConfigMap"), .ns = ns, .name = name};
    auto_json cJSON *probe = cJSON_CreateObject();
    auto_err struct err *why = NULL;
    cJSON *meta;
    int r;

    s->has_apply = false;
    if (s->minor < 16)
        return 0;
    json_add_str(probe, "apiVersion", "v1");
    json_add_str(probe, "kind", "ConfigMap");
    meta = cJSON_AddObjectToObject(probe, "metadata");
    json_add_str(meta, "name", n.name);
    json_add_str(meta, "namespace", n.ns);
    dry.is_dry = true;
    r = deploy_apply(&dry, &n, probe, NULL, &why);
    s->has_apply = r == 0;
    if (r < 0 && r != -ENOTSUP)
        return err_set(e, r, "cannot find out whether the server applies by itself: %s",
                       err_text(why));
    return 0;
}

int deploy_get(const struct deploy_server *s, const struct deploy_name *n, cJSON **out,
               struct err **e)
{
    auto_free char *path = path_of(s, n);
    auto_err struct err *why = NULL;
    int r = send(s, n, &(struct kube_request){.path = path}, out, &why);

    if (r == -ENOENT) {
        *out = NULL;
        return 0;
    }
    return r < 0 ? err_set(e, r, "%s", err_text(why)) : 0;
}

int deploy_list(const struct deploy_server *s, const char *path, const char *query, cJSON **out,
                struct err **e)
{
    auto_free char *full = xasprintf("%s%s%s", path, query ? "?" : "", query ? query : "");
    auto_err struct err *why = NULL;
    int r = kube_list(s->kube, full, out, &why);

    if (r == -ENOENT) {
        *out = cJSON_CreateArray();
        return 0;
    }
    return r < 0 ? err_set(e, r, "list of '%s': %s", path, err_text(why)) : 0;
}

int deploy_apply(const struct deploy_server *s, const struct deploy_name *n, const cJSON *wanted,
                 cJSON **out, struct err **e)
{
    auto_free char *path = path_of(s, n);
    auto_free char *url = for_write(s, path, s->forces_conflicts ? "&force=true" : "");

    return send(s, n,
                &(struct kube_request){
                    .method = "PATCH", .path = url, .body = wanted, .content = KUBE_APPLY},
                out, e);
}

int deploy_create(const struct deploy_server *s, const struct deploy_name *n, const cJSON *object,
                  cJSON **out, struct err **e)
{
    auto_free char *path = deploy_path(n->kind, s->minor, n->ns, NULL);
    auto_free char *url = for_write(s, path, "");

    return send(s, n, &(struct kube_request){.method = "POST", .path = url, .body = object}, out,
                e);
}

int deploy_replace(const struct deploy_server *s, const struct deploy_name *n, const cJSON *object,
                   cJSON **out, struct err **e)
{
    auto_free char *path = path_of(s, n);
    auto_free char *url = for_write(s, path, "");

    return send(s, n, &(struct kube_request){.method = "PUT", .path = url, .body = object}, out, e);
}

int deploy_patch(const struct deploy_server *s, const struct deploy_name *n, const cJSON *patch,
                 enum kube_content content, struct err **e)
{
    auto_free char *path = path_of(s, n);
    auto_free char *url = for_write(s, path, "");

    return send(
        s, n,
        &(struct kube_request){.method = "PATCH", .path = url, .body = patch, .content = content},
        NULL, e);
}

int deploy_delete_path(const struct deploy_server *s, const char *path, const char *policy,
                       struct err **e)
{
    auto_json cJSON *body = cJSON_CreateObject();
    auto_err struct err *why = NULL;
    int r;

    json_add_str(body, "kind", "DeleteOptions");
    json_add_str(body, "apiVersion", "v1");
    json_add_str(body, "propagationPolicy", policy);
    r = kube_do(s->kube, &(struct kube_request){.method = "DELETE", .path = path, .body = body},
                NULL, &why);
    return r < 0 && r != -ENOENT ? err_set(e, r, "'%s': %s", path, err_text(why)) : 0;
}

int deploy_delete(const struct deploy_server *s, const struct deploy_name *n, const char *policy,
                  struct err **e)
{
    auto_free char *path = path_of(s, n), *name = deploy_name_text(n);
    auto_err struct err *why = NULL;
    int r = deploy_delete_path(s, path, policy, &why);

    return r < 0 ? err_set(e, r, "%s: %s", name, err_text(why)) : 0;
}

int64_t deploy_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int deploy_pause(struct err **e)
{
    struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

    (void)nanosleep(&pause, NULL);
    return interrupt_check(e);
}

bool deploy_is_passing(int status)
{
    return status == -EBUSY || status == -EHOSTUNREACH || status == -ETIMEDOUT || status == -EAGAIN;
}
