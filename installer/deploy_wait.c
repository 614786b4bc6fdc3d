/* Waits, and what stands in their way. */
#include "deploy_wait.h"

#include "buf.h"
#include "json.h"
#include "kube/kube_lease_record.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAUSES_MAX (64u << 10)
#define CAUSES_SHOWN 20
#define LOG_MAX (16u << 10)
#define LEADER "network-controller"
/* What a kubelet answers, as a log, where it has none. */
#define NO_LOG "unable to retrieve container logs for "

/* --- causes --- */

static int keep_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    (void)e;
    (void)buf_add(arg, bytes, len);
    return 0;
}

/* The last line that a container has written, before it ended if it did, to be freed; NULL for
 * none. */
static char *last_words(const struct deploy_server *s, const cJSON *pod, const char *container)
{
    const cJSON *meta = json_get_obj(pod, "metadata");
    const char *ns = json_get_str(meta, "namespace"), *name = json_get_str(meta, "name");
    auto_buf struct buf text;
    char *line;

    buf_init(&text, LOG_MAX);
    for (int previous = 1; previous >= 0 && !text.len; previous--) {
        auto_free char *path =
            xasprintf("/api/v1/namespaces/%s/pods/%s/log?container=%s&tailLines=1%s", ns, name,
                      container, previous ? "&previous=true" : "");

        (void)kube_do(s->kube,
                      &(struct kube_request){
                          .path = path, .sink = keep_bytes, .sink_arg = &text, .timeout_ms = 5000},
                      NULL, NULL);
        if (!strncmp(text.data, NO_LOG, strlen(NO_LOG)))
            buf_clear(&text);
    }
    while (text.len && strchr("\r\n", text.data[text.len - 1]))
        text.data[--text.len] = '\0';
    line = strrchr(text.data, '\n');
    return text.len ? xstrdup(line ? line + 1 : text.data) : NULL;
}

static void add_cause(const struct deploy_server *s, const cJSON *pod, struct buf *out)
{
    const char *speaks = NULL;
    auto_free char *cause = deploy_pod_cause(pod, &speaks);
    auto_free char *words = NULL;

    if (!cause)
        return;
    if (speaks && kube_name_is_valid(speaks))
        words = last_words(s, pod, speaks);
    (void)buf_addf(out, "\n  %s%s%s%s", cause, words ? "; it last said: '" : "", words ? words : "",
                   words ? "'" : "");
}

char *deploy_pods_causes(const struct deploy_server *s, const struct deploy_name *n,
                         const cJSON *workload, struct err **e)
{
    const cJSON *labels =
        json_get_obj(json_get_obj(json_get_obj(workload, "spec"), "selector"), "matchLabels");
    auto_free char *selector = deploy_selector_query(labels);
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/pods", n->ns);
    auto_free char *query = xasprintf("labelSelector=%s", selector);
    auto_json cJSON *pods = NULL;
    const cJSON *pod;
    struct buf text;
    int shown = 0;

    if (deploy_list(s, path, query, &pods, e) < 0)
        return NULL;
    buf_init(&text, CAUSES_MAX);
    cJSON_ArrayForEach(pod, pods)
    {
        if (deploy_pod_is_ready(pod))
            continue;
        if (shown++ < CAUSES_SHOWN)
            add_cause(s, pod, &text);
    }
    if (shown > CAUSES_SHOWN)
        (void)buf_addf(&text, "\n  and %d more", shown - CAUSES_SHOWN);
    return buf_steal(&text);
}

/* --- objects --- */

static bool has_pods(const struct deploy_name *n)
{
    return !strcmp(n->kind->kind, "DaemonSet") || !strcmp(n->kind->kind, "Deployment");
}

/* 0: ready, 1: not yet, and *out_why says what keeps it. */
static int look(const struct deploy_server *s, const struct deploy_name *n, char **out_why,
                struct err **e)
{
    auto_json cJSON *object = NULL;
    auto_health struct deploy_health health = {.text = NULL};
    auto_free char *causes = NULL;
    int r = deploy_get(s, n, &object, e);

    if (r < 0)
        return r;
    if (!object) {
        *out_why = xstrdup("it is gone");
        return 1;
    }
    deploy_health_of(object, &health);
    if (health.is_ready)
        return 0;
    causes = has_pods(n) ? deploy_pods_causes(s, n, object, NULL) : NULL;
    *out_why = xasprintf("%s%s", health.text, causes ? causes : "");
    return 1;
}

int deploy_wait_ready(const struct deploy_server *s, const struct deploy_name *n,
                      int64_t deadline_ms, struct err **e)
{
    auto_free char *name = deploy_name_text(n), *told = NULL;

    for (;;) {
        auto_free char *why = NULL;
        auto_err struct err *failed = NULL;
        int r = look(s, n, &why, &failed);

        if (r == 0)
            return 0;
        if (r < 0 && !deploy_is_passing(r))
            return err_set(e, r, "%s", err_text(failed));
        if (r < 0)
            why = xstrdup(err_text(failed));
        if (deploy_now_ms() >= deadline_ms)
            return err_set(e, -ETIMEDOUT, "%s is not ready: %s", name, why);
        if (!told || strcmp(told, why) != 0)
            log_info("waiting for %s: %s", name, why);
        free(told);
        told = take(why);
        r = deploy_pause(e);
        if (r < 0)
            return r;
    }
}

/* --- the leader --- */

static int read_record(const struct deploy_server *s, const char *lock, struct lease_record *out,
                       struct err **e)
{
    bool is_lease = !strcmp(lock, "leases");
    auto_free char *path = xasprintf("%s/namespaces/" DEPLOY_NS "/%s/" LEADER,
                                     is_lease ? "/apis/coordination.k8s.io/v1" : "/api/v1", lock);
    auto_json cJSON *object = NULL;
    auto_err struct err *why = NULL;
    int r = kube_get(s->kube, path, &object, &why);

    if (r < 0 && r != -ENOENT)
        return err_set(e, r, "the record of who leads: %s", err_text(why));
    lease_record_read(is_lease ? KUBE_LEASE : KUBE_LEASE_CONFIGMAP, object, out);
    return 0;
}

int deploy_leader_read(const struct deploy_server *s, const char *lock, int64_t wait_ms,
                       struct deploy_leader *out, struct err **e)
{
    int64_t deadline = deploy_now_ms() + wait_ms;
    struct lease_record first, now;
    bool is_fresh = false;
    int r = read_record(s, lock, &first, e);

    if (r < 0)
        return r;
    while (*first.holder && !is_fresh && deploy_now_ms() < deadline && r == 0) {
        r = deploy_pause(e);
        if (r == 0)
            r = read_record(s, lock, &now, e);
        if (r == 0) {
            is_fresh = *now.holder && !lease_record_equal(&first, &now);
            lease_record_release(&now);
        }
    }
    if (r == 0)
        *out = (struct deploy_leader){.holder = xstrdup(first.holder),
                                      .acquired = xstrdup(first.acquired),
                                      .is_fresh = is_fresh};
    lease_record_release(&first);
    return r;
}

void deploy_leader_release(struct deploy_leader *l)
{
    free(l->holder);
    free(l->acquired);
    *l = (struct deploy_leader){.holder = NULL};
}

int deploy_wait_leader(const struct deploy_server *s, const char *lock, int64_t deadline_ms,
                       struct err **e)
{
    bool is_told = false;

    for (;;) {
        auto_leader struct deploy_leader leader = {.holder = NULL};
        auto_err struct err *why = NULL;
        int r = deploy_leader_read(s, lock, deadline_ms - deploy_now_ms(), &leader, &why);

        if (r == 0 && leader.is_fresh) {
            log_info("'%s' leads", leader.holder);
            return 0;
        }
        if (r < 0 && !deploy_is_passing(r))
            return err_set(e, r, "%s", err_text(why));
        if (deploy_now_ms() >= deadline_ms)
            return err_set(e, -ETIMEDOUT,
                           "no network-controller leads: %s; look at the log of its pods",
                           r < 0                             ? err_text(why)
                           : leader.holder && *leader.holder ? "the record is not renewed"
                                                             : "nobody holds the record");
        if (!is_told)
            log_info("waiting for a network-controller that leads");
        is_told = true;
        r = deploy_pause(e);
        if (r < 0)
            return r;
    }
}
