/* Requests about one service, one after another. */
#include "ctl_endpoints.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct job *job_new(struct ctl_endpoints *e, const char *key)
{
    struct job *j = xcalloc(1, sizeof(*j));

    j->e = e;
    j->key = xstrdup(key);
    DL_APPEND(e->jobs, j);
    return j;
}

void job_free(struct job *j)
{
    kube_call_cancel(j->call);
    DL_DELETE(j->e->jobs, j);
    for (size_t i = 0; i < j->count; i++) {
        free(j->requests[i].path);
        free(j->requests[i].name);
        free(j->requests[i].uid);
        cJSON_Delete(j->requests[i].body);
    }
    free(j->requests);
    free(j->key);
    free(j);
}

static struct request *append(struct job *j, const char *method)
{
    array_grow(j->requests, j->count);
    j->requests[j->count] = (struct request){.method = method};
    return &j->requests[j->count++];
}

void job_add(struct job *j, const char *method, const char *path, const char *name, cJSON *body,
             const char *uid)
{
    struct request *r = append(j, method);
    bool is_post = !strcmp(method, "POST");

    j->n_writes++;
    r->path = is_post ? xstrdup(path) : xasprintf("%s/%s", path, name);
    r->name = is_post ? xstrdup(name) : NULL;
    r->uid = xstrdup(uid);
    r->body = body;
    if (uid && body)
        json_add_str(cJSON_GetObjectItemCaseSensitive(body, "metadata"), "uid", uid);
}

void job_list(struct job *j, const char *path, void (*listed)(struct job *j, const cJSON *list))
{
    append(j, "GET")->path = xstrdup(path);
    j->listed = listed;
    j->is_listing = true;
}

void job_expect_none(struct job *j, const char *path)
{
    append(j, "GET")->path = xstrdup(path);
}

/* --- one after another --- */

static void finish(struct job *j)
{
    struct service *service = services_get(j->e->c->services, j->key);
    int64_t now = kube_now_ms();

    if (service)
        service->endpoints_due_ms = now + (j->n_writes ? WRITE_GAP_MS : LOOK_GAP_MS);
    /* Each time anew, since an earlier time takes the place of a later one. */
    if (service && service->list_due_ms)
        kube_queue_add_after(j->e->queue, j->key, service->list_due_ms - now);
    kube_queue_done(j->e->queue, j->key);
    job_free(j);
}

static void fail(struct job *j, const struct kube_reply *reply)
{
    const struct request *r = &j->requests[j->at];

    /* The whole group may be gone. */
    if (reply->status == -ENOENT)
        slices_detect(j->e->slices);
    /* Nobody misses the endpoints of a service that is gone; its end has queued the key. */
    if (!services_get(j->e->c->services, j->key) && reply->status == -ENOENT)
        kube_queue_done(j->e->queue, j->key);
    else
        ctl_retry(j->e->queue, j->key,
                  strcmp(r->method, "GET") ? "write its endpoints" : "look at its endpoints",
                  reply);
    job_free(j);
}

/* The object that is there instead becomes what it should be. */
static void meet(struct job *j, struct request *r)
{
    auto_free char *path = r->path;

    r->path = xasprintf("%s/%s", path, r->name);
    r->method = "PATCH";
    job_run(j);
}

static void on_look(struct job *j, const struct kube_reply *reply)
{
    if (reply->status == 0 && j->listed) {
        j->at++;
        j->listed(j, reply->body);
        job_run(j);
    } else if (reply->status == 0) {
        finish(j); /* an event is on its way */
    } else if (reply->status == -ENOENT && !j->listed) {
        j->at++;
        job_run(j);
    } else {
        fail(j, reply);
    }
}

static void on_answer(void *arg, const struct kube_reply *reply)
{
    struct job *j = arg;
    struct request *r = &j->requests[j->at];
    bool is_delete = !strcmp(r->method, "DELETE");

    j->call = NULL;
    if (!strcmp(r->method, "GET")) {
        on_look(j, reply);
    } else if (reply->status == -EEXIST && !strcmp(r->method, "POST")) {
        meet(j, r);
    } else if (reply->status == 0 ||
               (is_delete && (reply->status == -ENOENT || reply->status == -EAGAIN))) {
        j->at++;
        job_run(j);
    } else {
        fail(j, reply);
    }
}

void job_run(struct job *j)
{
    struct ctl *c = j->e->c;
    struct kube_request request = {.content = KUBE_JSON};
    const struct request *r;

    if (j->at == j->count) {
        finish(j);
        return;
    }
    r = &j->requests[j->at];
    if (strcmp(r->method, "GET") && !ctl_may_write(c))
        return;
    if (!strcmp(r->method, "DELETE")) {
        j->call = ctl_delete(c, r->path, r->uid, on_answer, j);
        return;
    }
    request.method = r->method;
    request.path = r->path;
    request.body = r->body;
    if (!strcmp(r->method, "PATCH"))
        request.content = KUBE_MERGE_PATCH;
    j->call = kube_io_send(c->io, &request, on_answer, j);
}
