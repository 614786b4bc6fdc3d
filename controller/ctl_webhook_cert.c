/* The webhook's certificate: Secret, serving, caBundle. */
#include "ctl_webhook.h"
#include "http_server.h"
#include "webhook_secret.h"

#include "json.h"
#include "kube/kube_loop.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ADMISSION_API "/apis/admissionregistration.k8s.io"
#define CONFIGS "validatingwebhookconfigurations"
#define SECRETS "/api/v1/namespaces/" CTL_SUBNET_NS "/secrets"
#define SECRET_KEY CTL_SUBNET_NS "/" WEBHOOK_SECRET
#define KEY "certificate" /* the one key of the queue */

#define KNOWN_MS 5000   /* until all API servers know a caBundle that one of them has shown */
#define BEFORE_S 3600   /* how long a replica may still serve the pair before */
#define LOOK_MS 3600000 /* how often the age is looked at */
#define RETRY_MS 1000

struct keeper {
    struct ctl *c; /* first, for ctl_on_list_failed */
    struct http_server *server;
    struct kube_informer *secrets, *configs; /* configs: NULL until its version is known */
    struct kube_queue *queue;
    struct kube_call *asking;
    struct event *timer;
    char *config_path;
    struct webhook_cert served, pending; /* all NULL: none; served: out of the Secret */
    int64_t known_ms; /* since when the caBundle is seen to have the CA of `pending`; 0: not */
};

static int check(const struct keeper *k, const struct webhook_cert *cert, struct err **e)
{
    const struct ctl_options *o = k->c->options;

    return webhook_cert_check(cert, o->webhook_service, o->webhook_ns, time(NULL), e);
}

/* --- serving --- */

static bool same_text(const char *a, const char *b)
{
    return a && b && !strcmp(a, b);
}

static void serve(struct keeper *k, const struct webhook_cert *cert)
{
    auto_err struct err *e = NULL;

    if (http_server_set_certificate(k->server, cert->cert_pem, cert->key_pem, &e) < 0) {
        log_error("%s", err_text(e));
        return;
    }
    webhook_cert_release(&k->served);
    webhook_cert_copy(cert, &k->served);
    log_info("the webhook serves the certificate in Secret '" SECRET_KEY "'");
}

static void on_secret(void *arg, const char *key, const void *before, const void *now)
{
    struct keeper *k = arg;
    const struct webhook_secret *secret = now;
    auto_err struct err *e = NULL;

    (void)key;
    (void)before;
    if (secret && check(k, &secret->cert, &e) < 0)
        log_warn("Secret '" SECRET_KEY "' is of no use to the webhook: %s", err_text(e));
    else if (secret && (!same_text(secret->cert.cert_pem, k->served.cert_pem) ||
                        !same_text(secret->cert.key_pem, k->served.key_pem) ||
                        !same_text(secret->cert.ca_pem, k->served.ca_pem)))
        serve(k, &secret->cert);
    kube_queue_add(k->queue, KEY);
}

/* --- writing --- */

static void on_written(void *arg, const struct kube_reply *reply)
{
    struct keeper *k = arg;

    if (reply->status < 0)
        ctl_retry(k->queue, KEY, "write the webhook's certificate", reply);
    else
        kube_queue_done(k->queue, KEY); /* the watch goes on from here */
}

static void store(struct keeper *k, const struct webhook_secret *secret,
                  const struct webhook_cert *cert, const char *ca_before)
{
    const char *path = secret ? SECRETS "/" WEBHOOK_SECRET : SECRETS;

    if (!ctl_may_write(k->c))
        return;
    if (secret && secret->must_go) {
        log_info("Secret '" SECRET_KEY "' cannot be updated, and is made anew");
        (void)ctl_delete(k->c, path, secret->uid, on_written, k);
        return;
    }
    log_info("the webhook's certificate goes into Secret '" SECRET_KEY "'");
    (void)ctl_send(k->c, secret ? "PUT" : "POST", path,
                   webhook_secret_build(CTL_SUBNET_NS, secret ? secret->resource_version : NULL,
                                        cert, ca_before),
                   on_written, k);
}

/* By a JSON patch, so that nothing but these members is written. */
static void publish(struct keeper *k, const struct webhook_config *config, const char *bundle)
{
    auto_json cJSON *patch = webhook_config_patch(config, bundle);
    struct kube_request request = {.method = "PATCH",
                                   .path = k->config_path,
                                   .body = patch,
                                   .content = KUBE_JSON_PATCH};

    if (!ctl_may_write(k->c))
        return;
    log_info("the caBundle of ValidatingWebhookConfiguration '" WEBHOOK_CONFIG "' is put right");
    (void)kube_io_send(k->c->io, &request, on_written, k);
}

/* --- what is to be done --- */

/* `state` as webhook_cert_check has it, -ENOENT without a Secret. */
static int make_pending(struct keeper *k, int state, const struct err *why, struct err **e)
{
    const struct ctl_options *o = k->c->options;

    if (state == 0)
        log_info("the webhook's certificate has less than a third of its time left; it is made "
                 "anew");
    else if (state == -ENOENT)
        log_info("the webhook has no certificate; it is made");
    else
        log_warn("the webhook's certificate is made anew: %s", err_text(why));
    k->known_ms = 0;
    return webhook_cert_make(o->webhook_service, o->webhook_ns, time(NULL), &k->pending, e);
}

/* How much longer somebody may still serve the pair before. */
static int64_t before_left_s(const struct webhook_secret *secret)
{
    return BEFORE_S - webhook_cert_age_s(&secret->cert, time(NULL));
}

static char *wanted_bundle(const struct keeper *k, const struct webhook_secret *secret, int state)
{
    bool has_before = state >= 0 && secret->ca_before && before_left_s(secret) > 0;
    const char *const pems[] = {k->served.ca_pem, has_before ? secret->ca_before : NULL,
                                k->pending.ca_pem};

    return webhook_bundle(pems, 3);
}

/* How long the new pair has to wait for the API servers; without one before it nothing is lost. */
static int64_t left_to_wait(struct keeper *k, const struct webhook_config *config)
{
    if (!config || !k->served.ca_pem)
        return 0;
    if (!k->known_ms)
        k->known_ms = kube_now_ms();
    return k->known_ms + KNOWN_MS - kube_now_ms();
}

/* The trust is as it must be; now the Secret. */
static void go_on(struct keeper *k, const struct webhook_secret *secret, int state, int64_t wait_ms)
{
    int64_t look_ms = LOOK_MS, left_s = 0;

    if (state <= 0 && wait_ms <= 0) {
        store(k, secret, &k->pending, k->served.ca_pem);
        return;
    }
    if (state > 0 && secret->ca_before) {
        left_s = before_left_s(secret);
        if (left_s <= 0) {
            store(k, secret, &secret->cert, NULL);
            return;
        }
    }
    if (state <= 0)
        look_ms = wait_ms;
    else if (left_s && left_s * 1000 < LOOK_MS)
        look_ms = left_s * 1000;
    kube_queue_add_after(k->queue, KEY, look_ms);
    kube_queue_done(k->queue, KEY);
}

static void handle(void *arg, const char *key)
{
    struct keeper *k = arg;
    const struct webhook_secret *secret = kube_informer_get(k->secrets, SECRET_KEY);
    const struct webhook_config *config;
    auto_err struct err *why = NULL, *e = NULL;
    auto_free char *bundle = NULL;
    int state = secret ? check(k, &secret->cert, &why) : -ENOENT;

    if (!kube_informer_has_synced(k->secrets) || !k->configs ||
        !kube_informer_has_synced(k->configs)) {
        kube_queue_done(k->queue, key); /* on_synced adds it */
        return;
    }
    config = kube_informer_get(k->configs, WEBHOOK_CONFIG);
    if (state > 0) {
        webhook_cert_release(&k->pending);
    } else if (!k->pending.ca_pem && make_pending(k, state, why, &e) < 0) {
        log_error("%s", err_text(e));
        (void)kube_queue_retry(k->queue, key, 0);
        return;
    }
    bundle = wanted_bundle(k, secret, state);
    if (config && bundle && !webhook_config_has(config, bundle)) {
        k->known_ms = 0;
        publish(k, config, bundle);
        return;
    }
    go_on(k, secret, state, state <= 0 ? left_to_wait(k, config) : 0);
}

/* --- what is watched --- */

static void *parse_secret(void *arg, const cJSON *object)
{
    (void)arg;
    return webhook_secret_parse(object);
}

static void *parse_config(void *arg, const cJSON *object)
{
    (void)arg;
    return webhook_config_parse(object);
}

static void on_config(void *arg, const char *key, const void *before, const void *now)
{
    const struct keeper *k = arg;

    (void)key;
    (void)before;
    (void)now;
    kube_queue_add(k->queue, KEY);
}

static void on_synced(void *arg)
{
    const struct keeper *k = arg;

    kube_queue_add(k->queue, KEY);
}

/* v1 came with Kubernetes 1.16; v1beta1 went with 1.22. */
static const char *version_of(const cJSON *group)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get_arr(group, "versions"))
    {
        if (same_text(json_get_str(item, "version"), "v1"))
            return "v1";
    }
    return "v1beta1";
}

static void on_version(void *arg, const struct kube_reply *reply)
{
    static const struct kube_informer_ops ops = {.parse = parse_config,
                                                 .free_value = webhook_config_free,
                                                 .changed = on_config,
                                                 .synced = on_synced,
                                                 .failed = ctl_on_list_failed};
    struct keeper *k = arg;
    auto_free char *path = NULL;

    k->asking = NULL;
    if (reply->status < 0) {
        log_warn("cannot ask for the versions of " ADMISSION_API ": %s", err_text(reply->err));
        kube_timer_set(k->timer, reply->retry_after_ms > 0 ? reply->retry_after_ms : RETRY_MS);
        return;
    }
    path = xasprintf(ADMISSION_API "/%s/" CONFIGS, version_of(reply->body));
    k->config_path = xasprintf("%s/" WEBHOOK_CONFIG, path);
    k->configs = ctl_informer(k->c, path, "fieldSelector=metadata.name%3D" WEBHOOK_CONFIG, &ops, k);
}

static void ask_version(void *arg)
{
    struct keeper *k = arg;

    k->asking = ctl_send(k->c, "GET", ADMISSION_API, NULL, on_version, k);
}

/* --- the part --- */

struct keeper *keeper_new(struct ctl *c, struct http_server *server)
{
    static const struct kube_informer_ops ops = {.parse = parse_secret,
                                                 .free_value = webhook_secret_free,
                                                 .changed = on_secret,
                                                 .synced = on_synced,
                                                 .failed = ctl_on_list_failed};
    struct keeper *k = xcalloc(1, sizeof(*k));

    k->c = c;
    k->server = server;
    k->queue = ctl_queue(c, "webhook", 1, handle, k);
    k->timer = kube_timer_new(c->base, ask_version, k);
    k->secrets = ctl_informer(c, SECRETS, "fieldSelector=metadata.name%3D" WEBHOOK_SECRET, &ops, k);
    ask_version(k);
    return k;
}

void keeper_free(struct keeper *k)
{
    if (!k)
        return;
    kube_call_cancel(k->asking);
    kube_timer_free(k->timer);
    kube_informer_free(k->configs);
    kube_informer_free(k->secrets);
    ctl_queue_free(k->c, k->queue);
    webhook_cert_release(&k->served);
    webhook_cert_release(&k->pending);
    free(k->config_path);
    free(k);
}

bool keeper_has_synced(const struct keeper *k)
{
    return kube_informer_has_synced(k->secrets);
}

void keeper_start(struct keeper *k)
{
    kube_queue_start(k->queue);
}

void keeper_stop(struct keeper *k)
{
    kube_queue_stop(k->queue);
}
