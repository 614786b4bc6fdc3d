/* MacvlanIPs as they are: the ledger follows them, and whoever they belong to is looked at. */
#include "ctl.h"
#include "macvlan/macvlanip.h"

#include "buf.h"
#include "http.h"
#include "json.h"
#include "kube/kube_hash.h"
#include "kube/kube_loop.h"
#include "kube/kube_stream.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MACVLANIPS "/apis/macvlan.cluster.cattle.io/v1/macvlanips"
#define PAGE 500
#define PATH_MAX_LEN 16384
#define READ_TIMEOUT_MS 60000
#define UNSEEN_MS 10000 /* until the watch should have told */

struct ctl_ips {
    struct ctl *c;
    struct kube_informer *informer;
    struct reading *readings;
    struct unseen *unseen;
    struct event *look;
};

/* One that the server has shown in an answer, and the watch not yet; by the UID of its pod. */
struct unseen {
    struct ctl_ips *p;
    struct macvlanip *ip;
    char *key;
    struct kube_call *call;
    UT_hash_handle hh;
};

static void *parse(void *arg, const cJSON *object)
{
    struct macvlanip *ip;
    auto_err struct err *e = NULL;

    (void)arg;
    if (macvlanip_parse(object, &ip, &e) == 0)
        return ip;
    log_warn("a MacvlanIP cannot be used: %s", err_text(e));
    return NULL;
}

static void put(struct ledger *ledger, const struct macvlanip *ip)
{
    struct ledger_ip entry = {ip->uid, ip->subnet, ip->pod_uid, ip->ip,
                              ip->has_mac ? &ip->mac : NULL};

    ledger_put_ip(ledger, &entry);
}

/* --- those that the watch has not told of yet --- */

static void drop_unseen(struct unseen *u)
{
    HASH_DEL(u->p->unseen, u);
    kube_call_cancel(u->call);
    macvlanip_free(u->ip);
    free(u->key);
    free(u);
}

static void forget_unseen(struct ctl_ips *p, const struct macvlanip *ip)
{
    struct unseen *u;

    HASH_FIND_STR(p->unseen, ip->pod_uid, u);
    if (u && !strcmp(u->ip->uid, ip->uid))
        drop_unseen(u);
}

/* Takes `ip`. */
static void remember_unseen(struct ctl_ips *p, struct macvlanip *ip)
{
    auto_free char *key = xasprintf("%s/%s", ip->namespace, ip->name);
    const struct macvlanip *seen = ctl_ips_get(p, key);
    struct unseen *u;

    HASH_FIND_STR(p->unseen, ip->pod_uid, u);
    if ((u && !strcmp(u->ip->uid, ip->uid)) || (seen && !strcmp(seen->uid, ip->uid))) {
        macvlanip_free(ip);
        return;
    }
    if (u) {
        ledger_remove_ip(p->c->ledger, u->ip->uid, 0); /* the pod has another one by now */
        drop_unseen(u);
    }
    u = xcalloc(1, sizeof(*u));
    u->p = p;
    u->ip = ip;
    u->key = take(key);
    if (!p->unseen)
        kube_timer_set(p->look, UNSEEN_MS);
    HASH_ADD_KEYPTR(hh, p->unseen, ip->pod_uid, strlen(ip->pod_uid), u);
}

bool ctl_ips_is_made(const struct ctl_ips *p, const char *pod_uid)
{
    struct unseen *u;

    HASH_FIND_STR(p->unseen, pod_uid, u);
    return u != NULL;
}

/* A pod that lives has its address on its interface, whoever has deleted the MacvlanIP: the garbage
 * collector does, when a StatefulSet is deleted whose pods take their time to end. */
static void keep(struct ctl_ips *p, const char *key, const struct macvlanip *was)
{
    struct ledger *ledger = p->c->ledger;
    struct ledger_net *net = ledger_find_subnet(ledger, was->subnet);
    struct ledger_intent intent = {.pod_uid = (char *)(uintptr_t)was->pod_uid,
                                   .pod_key = (char *)(uintptr_t)key,
                                   .pair = {was->ip, was->mac, was->has_mac}};

    if (net && was->ip.family && p->c->pods && ctl_pods_lives(p->c->pods, key, was->pod_uid))
        (void)ledger_intend(ledger, net, &intent);
}

/* Whoever a change of the MacvlanIP concerns. */
static void look_at(struct ctl_ips *p, const char *key, const char *subnet)
{
    ctl_subnets_touch(p->c->subnets, subnet);
    if (!p->c->pods)
        return;
    ctl_pods_add(p->c->pods, key);
    ctl_services_ip(p->c->services, key);
}

static void gone(struct ctl_ips *p, const char *key, const struct macvlanip *was, int64_t until_ms)
{
    keep(p, key, was);
    ledger_remove_ip(p->c->ledger, was->uid, until_ms);
    look_at(p, key, was->subnet);
}

/* There: the watch will tell, or it goes before that, and we look again; or it has told, of the
 * next pod that it was handed on to. */
static void on_looked(void *arg, const struct kube_reply *reply)
{
    struct unseen *u = arg;
    const struct macvlanip *seen = ctl_ips_get(u->p, u->key);
    const char *uid = json_get_str(json_get_obj(reply->body, "metadata"), "uid");

    u->call = NULL;
    if (reply->status == -ENOENT || (reply->status == 0 && uid && strcmp(uid, u->ip->uid) != 0)) {
        gone(u->p, u->key, u->ip, 0);
        drop_unseen(u);
    } else if (seen && !strcmp(seen->uid, u->ip->uid)) {
        drop_unseen(u);
    }
}

/* It came and went while nobody watched, or its answer came after the watch had told of its end. */
static void on_look(void *arg)
{
    struct ctl_ips *p = arg;

    for (struct unseen *u = p->unseen; u; u = u->hh.next) {
        auto_free char *ns = NULL;
        const char *name = ctl_split(u->key, &ns);
        auto_free char *path =
            xasprintf("/apis/macvlan.cluster.cattle.io/v1/namespaces/%s/macvlanips/%s", ns, name);

        if (!u->call)
            u->call = ctl_send(p->c, "GET", path, NULL, on_looked, u);
    }
    if (p->unseen)
        kube_timer_set(p->look, UNSEEN_MS);
}

void ctl_ips_put(struct ctl_ips *p, const cJSON *object)
{
    struct macvlanip *ip;

    if (macvlanip_parse(object, &ip, NULL) < 0)
        return;
    put(p->c->ledger, ip);
    remember_unseen(p, ip);
}

/* --- what is watched --- */

/* What is left of the time that an address rests, for one whose object had to go early. */
static int64_t rests_until(const struct macvlanip *ip)
{
    int64_t left_s = ip->reuse_at_s - time(NULL);

    return ip->reuse_at_s && left_s > 0 ? kube_now_ms() + left_s * 1000 : 0;
}

static void on_changed(void *arg, const char *key, const void *before, const void *now)
{
    struct ctl_ips *p = arg;
    const struct macvlanip *was = before, *is = now;

    forget_unseen(p, is ? is : was);
    if (p->c->webhook)
        ctl_webhook_ip_changed(p->c->webhook, was, is);
    if (!is) {
        gone(p, key, was, rests_until(was));
        return;
    }
    put(p->c->ledger, is);
    look_at(p, key, is->subnet);
}

/* --- reading them all --- */

struct reading {
    struct ctl_ips *p;
    struct kube_call *call;
    struct kube_list_reader reader;
    void (*done)(struct ctl *c, const struct err *e);
    struct reading *next;
};

static void end_reading(struct reading *r, const struct err *e)
{
    struct reading **at = &r->p->readings;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    if (r->done)
        r->done(r->p->c, e);
    kube_call_cancel(r->call);
    kube_list_reader_release(&r->reader);
    free(r);
}

static int on_item(void *arg, const cJSON *object, struct err **e)
{
    struct reading *r = arg;

    (void)e;
    ctl_ips_put(r->p, object);
    return 0;
}

static int on_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    struct reading *r = arg;

    return kube_list_reader_feed(&r->reader, bytes, len, e);
}

static void ask_page(struct reading *r, const char *token);

static void on_page(void *arg, const struct kube_reply *reply)
{
    struct reading *r = arg;
    auto_err struct err *e = NULL;
    auto_free char *token = NULL;

    r->call = NULL;
    if (reply->status < 0 || kube_list_reader_end(&r->reader, &e) < 0) {
        end_reading(r, reply->status < 0 ? reply->err : e);
        return;
    }
    token = xstrdup(r->reader.continue_token);
    if (!token) {
        end_reading(r, NULL);
        return;
    }
    kube_list_reader_release(&r->reader);
    ask_page(r, token);
}

/* Without a resourceVersion, so that the answer comes from etcd and not from a cache that may be
 * behind. */
static void ask_page(struct reading *r, const char *token)
{
    auto_buf struct buf path;
    struct kube_request request = {.timeout_ms = READ_TIMEOUT_MS, .sink = on_bytes, .sink_arg = r};

    buf_init(&path, PATH_MAX_LEN);
    (void)buf_addf(&path, MACVLANIPS "?limit=%d", PAGE);
    if (token) {
        (void)buf_addstr(&path, "&continue=");
        http_url_encode(&path, token);
    }
    request.path = path.data;

    kube_list_reader_init(&r->reader, on_item, r);
    r->call = kube_io_send(r->p->c->io, &request, on_page, r);
}

void ctl_ips_read_all(struct ctl_ips *p, void (*done)(struct ctl *c, const struct err *e))
{
    struct reading *r = xcalloc(1, sizeof(*r));

    r->p = p;
    r->done = done;
    r->next = p->readings;
    p->readings = r;
    ask_page(r, NULL);
}

/* --- the part --- */

static bool check_one(void *arg, const char *key, const void *value)
{
    struct ctl_ips *p = arg;

    (void)value;
    ctl_pods_add(p->c->pods, key);
    return true;
}

void ctl_ips_each(const struct ctl_ips *p,
                  bool (*fn)(void *arg, const char *key, const void *value), void *arg)
{
    kube_informer_each(p->informer, fn, arg);
}

void ctl_ips_check_all(struct ctl_ips *p)
{
    kube_informer_each(p->informer, check_one, p);
}

const struct macvlanip *ctl_ips_get(const struct ctl_ips *p, const char *key)
{
    return kube_informer_get(p->informer, key);
}

bool ctl_ips_has_synced(const struct ctl_ips *p)
{
    return kube_informer_has_synced(p->informer);
}

struct ctl_ips *ctl_ips_new(struct ctl *c)
{
    static const struct kube_informer_ops ops = {.parse = parse,
                                                 .changed = on_changed,
                                                 .synced = ctl_on_synced,
                                                 .failed = ctl_on_list_failed};
    struct ctl_ips *p = xcalloc(1, sizeof(*p));

    p->c = c;
    p->informer = ctl_informer(c, MACVLANIPS, NULL, &ops, p);
    p->look = kube_timer_new(c->base, on_look, p);
    return p;
}

void ctl_ips_free(struct ctl_ips *p)
{
    if (!p)
        return;
    while (p->readings) {
        p->readings->done = NULL;
        end_reading(p->readings, NULL);
    }
    while (p->unseen)
        drop_unseen(p->unseen);
    kube_timer_free(p->look);
    kube_informer_free(p->informer);
    free(p);
}
