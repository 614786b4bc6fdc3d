/*
 * Was an address ever held by two living pods? Watches pods and MacvlanIPs, keeps the history of
 * each, and judges it at the end. It knows nothing of the controller's own code.
 *
 *   ctl_checker KUBECONFIG          until TERM, or INT; exit status 1 when there is a violation
 *
 * Both collections count their versions with the one counter of etcd, so that their histories can
 * be laid over each other. A pod lives from its creation until it is deleted, Succeeded or Failed.
 * What a MacvlanIP says (address, MAC, and the segment, which is master and VLAN) is held by the
 * pod with the UID in spec.podId from then on as long as it lives, also when the MacvlanIP goes
 * before: it is on its interface. So a StatefulSet's MacvlanIP that waits for its next pod is held
 * by nobody, and neither is one that came too late. Violations are:
 *
 *   - two living pods that hold one address, or one MAC, of a segment at the same time;
 *   - a living pod that gets another address or MAC;
 *   - a pod of a StatefulSet that does not get what the pod of its name before it had.
 *
 * When the server has forgotten the version from which a watch is to go on, a list bridges the gap,
 * and that is said ("gap"). What has vanished in it counts as gone since the last that was seen
 * before.
 */
#include "json.h"
#include "kube/kube_hash.h"
#include "kube/kube_loop.h"
#include "kube/kube_stream.h"
#include "kube_tool.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define PODS "/api/v1/pods"
#define IPS "/apis/macvlan.cluster.cattle.io/v1/macvlanips"
#define AGAIN_MS 200
#define QUIET_MS 1500 /* without an event before the judgement */
#define ALIVE INT64_MAX

struct pod {
    char *uid, *name;
    int64_t born, ended;
    unsigned generation; /* of the list that has shown it last */
    UT_hash_handle hh;
};

/* One state of one MacvlanIP. */
struct hold {
    char *uid, *name, *pod_uid, *set_uid;
    char *ip_key, *mac_key; /* "MASTER VLAN ADDRESS"; mac_key NULL: it has none */
    int64_t from, to, from_ms, to_ms;
    /* For the judgement: while its pod lived. */
    const struct pod *pod;
    int64_t begin, end;
};

/* The MacvlanIP that is there now. */
struct current {
    char *uid;
    struct hold *hold;
    unsigned generation;
    UT_hash_handle hh;
};

struct checker;

struct stream {
    struct checker *c;
    const char *path;
    void (*see)(struct checker *c, const cJSON *object, int64_t version);
    void (*gone)(struct checker *c, const char *uid, int64_t version, bool is_cut);
    void (*sweep)(struct stream *s);
    struct event *timer;
    struct kube_list_reader list;
    struct kube_watch_reader watch;
    char *token; /* of the next page */
    int64_t list_version, version;
    unsigned generation; /* counted up when a list begins */
    unsigned n_lists, n_events;
};

struct checker {
    struct kube_tool tool;
    struct stream pods, ips;
    struct pod *all_pods;
    struct hold **holds;
    size_t n_holds;
    struct current *currents;
    struct event *quiet;
    int64_t event_ms;
    unsigned n_violations;
};

static int64_t wall_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *clock_text(int64_t ms, char out[16])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    size_t n = strftime(out, 16, "%H:%M:%S", gmtime_r(&seconds, &tm));

    (void)snprintf(out + n, 16 - n, ".%03d", (int)(ms % 1000));
    return out;
}

static void say(const char *what, const char *name, const char *detail, int64_t version)
{
    char text[16];

    printf("%s %lld %s %s %s\n", clock_text(wall_ms(), text), (long long)version, what, name,
           detail ? detail : "");
}

static const char *text_of(const cJSON *object, const char *part, const char *name)
{
    const char *text = json_get_str(json_get_obj(object, part), name);

    return text ? text : "";
}

static char *name_of(const cJSON *object)
{
    return xasprintf("%s/%s", text_of(object, "metadata", "namespace"),
                     text_of(object, "metadata", "name"));
}

static int64_t version_of(const cJSON *object)
{
    uint64_t version = 0;

    (void)num_parse_u64(text_of(object, "metadata", "resourceVersion"), INT64_MAX, &version);
    return (int64_t)version;
}

/* --- pods --- */

static void pod_gone(struct checker *c, const char *uid, int64_t version, bool is_cut)
{
    struct pod *pod;

    HASH_FIND_STR(c->all_pods, uid, pod);
    if (!pod || pod->ended != ALIVE)
        return;
    pod->ended = version;
    say(is_cut ? "pod-vanished" : "pod-gone", pod->name, uid, version);
}

static void see_pod(struct checker *c, const cJSON *object, int64_t version)
{
    const char *uid = text_of(object, "metadata", "uid"),
               *phase = text_of(object, "status", "phase");
    struct pod *pod;

    HASH_FIND_STR(c->all_pods, uid, pod);
    if (!pod) {
        pod = xcalloc(1, sizeof(*pod));
        pod->uid = xstrdup(uid);
        pod->name = name_of(object);
        pod->born = version;
        pod->ended = ALIVE;
        HASH_ADD_KEYPTR(hh, c->all_pods, pod->uid, strlen(pod->uid), pod);
        say("pod", pod->name, uid, version);
    }
    pod->generation = c->pods.generation;
    if (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"))
        pod_gone(c, uid, version, false);
}

static void sweep_pods(struct stream *s)
{
    for (struct pod *pod = s->c->all_pods; pod; pod = pod->hh.next)
        if (pod->generation != s->generation)
            pod_gone(s->c, pod->uid, s->version, true);
}

/* --- MacvlanIPs --- */

static const char *set_of(const cJSON *object)
{
    const cJSON *owner;

    cJSON_ArrayForEach(owner, json_get_arr(json_get_obj(object, "metadata"), "ownerReferences"))
    {
        const char *kind = json_get_str(owner, "kind");

        if (kind && !strcmp(kind, "StatefulSet"))
            return json_get_str(owner, "uid");
    }
    return NULL;
}

static struct hold *hold_new(const cJSON *object, int64_t version)
{
    const cJSON *spec = json_get_obj(object, "spec"), *network = json_get_obj(spec, "network");
    const char *master = json_get_str(network, "master"), *cidr = text_of(object, "spec", "cidr");
    const char *mac = text_of(object, "spec", "mac");
    struct hold *h = xcalloc(1, sizeof(*h));
    int64_t vlan = -1;

    (void)json_get_size(network, "vlan", &vlan);
    h->uid = xstrdup(text_of(object, "metadata", "uid"));
    h->name = name_of(object);
    h->pod_uid = xstrdup(text_of(object, "spec", "podId"));
    h->set_uid = xstrdup(set_of(object));
    h->ip_key = xasprintf("%s %lld %.*s", master ? master : "?", (long long)vlan,
                          (int)strcspn(cidr, "/"), cidr);
    if (*mac)
        h->mac_key = xasprintf("%s %lld %s", master ? master : "?", (long long)vlan, mac);
    h->from = version;
    h->from_ms = wall_ms();
    h->to = ALIVE;
    return h;
}

static void hold_free(struct hold *h)
{
    free(h->uid);
    free(h->name);
    free(h->pod_uid);
    free(h->set_uid);
    free(h->ip_key);
    free(h->mac_key);
    free(h);
}

static bool same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static void ip_gone(struct checker *c, const char *uid, int64_t version, bool is_cut)
{
    struct current *now;

    HASH_FIND_STR(c->currents, uid, now);
    if (!now)
        return;
    now->hold->to = version;
    now->hold->to_ms = wall_ms();
    say(is_cut ? "ip-vanished" : "ip-gone", now->hold->name, now->hold->ip_key, version);
    HASH_DEL(c->currents, now);
    free(now->uid);
    free(now);
}

static void see_ip(struct checker *c, const cJSON *object, int64_t version)
{
    struct hold *h = hold_new(object, version);
    struct current *now;

    HASH_FIND_STR(c->currents, h->uid, now);
    if (now && same(now->hold->ip_key, h->ip_key) && same(now->hold->mac_key, h->mac_key) &&
        same(now->hold->pod_uid, h->pod_uid)) {
        now->generation = c->ips.generation;
        hold_free(h);
        return;
    }
    if (now)
        ip_gone(c, h->uid, version, false);
    say("ip", h->name, h->ip_key, version);
    say("  of", h->name, h->pod_uid, version);
    array_grow(c->holds, c->n_holds);
    c->holds[c->n_holds++] = h;
    now = xcalloc(1, sizeof(*now));
    now->uid = xstrdup(h->uid);
    now->hold = h;
    now->generation = c->ips.generation;
    HASH_ADD_KEYPTR(hh, c->currents, now->uid, strlen(now->uid), now);
}

static void sweep_ips(struct stream *s)
{
    struct current *now, *next;

    HASH_ITER(hh, s->c->currents, now, next)
    {
        if (now->generation != s->generation)
            ip_gone(s->c, now->uid, s->version, true);
    }
}

/* --- list and watch --- */

static void list(struct stream *s);
static void watch(struct stream *s);

static void on_timer(void *arg)
{
    struct stream *s = arg;

    if (s->list_version)
        watch(s);
    else
        list(s);
}

static int on_item(void *arg, const cJSON *object, struct err **e)
{
    struct stream *s = arg;

    (void)e;
    s->see(s->c, object, version_of(object));
    return 0;
}

static int on_list_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    return kube_list_reader_feed(&((struct stream *)arg)->list, bytes, len, e);
}

static void end_list(struct stream *s)
{
    uint64_t version = 0;

    (void)num_parse_u64(s->list.resource_version, INT64_MAX, &version);
    say(s->n_lists++ ? "gap" : "listed", s->path, NULL, (int64_t)version);
    s->sweep(s);
    s->list_version = s->version = (int64_t)version;
    kube_timer_set(s->timer, 0);
}

static void on_listed(void *arg, const struct kube_reply *reply)
{
    struct stream *s = arg;
    auto_err struct err *e = NULL;
    bool is_read = reply->status == 0 && kube_list_reader_end(&s->list, &e) == 0;

    free(s->token);
    s->token = is_read ? xstrdup(s->list.continue_token) : NULL;
    if (is_read && !s->token)
        end_list(s);
    else
        kube_timer_set(s->timer, is_read ? 0 : AGAIN_MS);
    kube_list_reader_release(&s->list);
}

/* Without a version, so that it comes from etcd. */
static void list(struct stream *s)
{
    auto_free char *path = xasprintf("%s?limit=500%s%s", s->path, s->token ? "&continue=" : "",
                                     s->token ? s->token : "");
    struct kube_request request = {.path = path, .sink = on_list_bytes, .sink_arg = s};

    if (!s->token)
        s->generation++;
    request.timeout_ms = 30000;
    kube_list_reader_init(&s->list, on_item, s);
    (void)kube_io_send(s->c->tool.io, &request, on_listed, s);
}

static int on_event(void *arg, enum kube_event_type type, const cJSON *object, struct err **e)
{
    struct stream *s = arg;
    int64_t version = version_of(object);

    if (type == KUBE_ERROR)
        return err_set(e, -ESTALE, "%s", json_get_str(object, "message"));
    if (type == KUBE_ADDED || type == KUBE_MODIFIED)
        s->see(s->c, object, version);
    else if (type == KUBE_DELETED)
        s->gone(s->c, text_of(object, "metadata", "uid"), version, false);
    s->version = version;
    s->n_events++;
    s->c->event_ms = kube_now_ms();
    return 0;
}

static int on_watch_bytes(void *arg, const void *bytes, size_t len, struct err **e)
{
    return kube_watch_reader_feed(&((struct stream *)arg)->watch, bytes, len, e);
}

/* Anything but the end of its time, or of the connection, means that the version is too old. */
static void on_watched(void *arg, const struct kube_reply *reply)
{
    struct stream *s = arg;

    if (reply->status == -ESTALE || reply->status == -EREMOTEIO)
        s->list_version = 0;
    kube_watch_reader_release(&s->watch);
    kube_timer_set(s->timer, reply->status == 0 ? 0 : AGAIN_MS);
}

static void watch(struct stream *s)
{
    auto_free char *path =
        xasprintf("%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=600&resourceVersion=%lld",
                  s->path, (long long)s->version);
    struct kube_request request = {.path = path, .sink = on_watch_bytes, .sink_arg = s};

    kube_watch_reader_init(&s->watch, on_event, s);
    (void)kube_io_send(s->c->tool.io, &request, on_watched, s);
}

static void stream_begin(struct stream *s, struct checker *c)
{
    s->c = c;
    s->timer = kube_timer_new(c->tool.base, on_timer, s);
    kube_timer_set(s->timer, 0);
}

static void stream_end(struct stream *s)
{
    printf("%s: %u events, %u lists\n", s->path, s->n_events, s->n_lists);
    kube_timer_free(s->timer);
    kube_list_reader_release(&s->list);
    kube_watch_reader_release(&s->watch);
    free(s->token);
}

/* --- the judgement --- */

static void lay_over(struct checker *c, struct hold *h)
{
    struct pod *pod;

    HASH_FIND_STR(c->all_pods, h->pod_uid, pod);
    h->pod = pod;
    h->begin = h->end = 0;
    if (!pod)
        return;
    h->begin = h->from > pod->born ? h->from : pod->born;
    h->end = pod->ended;
}

static bool is_held(const struct hold *h)
{
    return h->begin < h->end;
}

static void print_hold(const struct hold *h)
{
    char from[16], to[16];

    printf("  %s (%s) ip %s mac %s, from version %lld (%s)", h->name, h->uid, h->ip_key,
           h->mac_key ? h->mac_key : "-", (long long)h->from, clock_text(h->from_ms, from));
    if (h->to != ALIVE)
        printf(" to %lld (%s)", (long long)h->to, clock_text(h->to_ms, to));
    printf("; pod %s lived from %lld", h->pod->uid, (long long)h->pod->born);
    if (h->pod->ended != ALIVE)
        printf(" to %lld", (long long)h->pod->ended);
    printf("\n");
}

static void violation(struct checker *c, const char *text, const struct hold *a,
                      const struct hold *b)
{
    c->n_violations++;
    printf("violation: %s\n", text);
    print_hold(a);
    if (b)
        print_hold(b);
}

static int by_ip(const void *a, const void *b)
{
    const struct hold *x = *(struct hold *const *)a, *y = *(struct hold *const *)b;
    int order = strcmp(x->ip_key, y->ip_key);

    return order ? order : (x->begin > y->begin) - (x->begin < y->begin);
}

static int by_mac(const void *a, const void *b)
{
    const struct hold *x = *(struct hold *const *)a, *y = *(struct hold *const *)b;
    int order = strcmp(x->mac_key ? x->mac_key : "", y->mac_key ? y->mac_key : "");

    return order ? order : (x->begin > y->begin) - (x->begin < y->begin);
}

static int by_name(const void *a, const void *b)
{
    const struct hold *x = *(struct hold *const *)a, *y = *(struct hold *const *)b;
    int order = strcmp(x->name, y->name);

    return order ? order : (x->begin > y->begin) - (x->begin < y->begin);
}

static void judge_shared(struct checker *c, bool is_mac)
{
    const struct hold *last = NULL; /* of those of this address, the one that ends last */

    qsort(c->holds, c->n_holds, sizeof(*c->holds), is_mac ? by_mac : by_ip);
    for (size_t i = 0; i < c->n_holds; i++) {
        const struct hold *h = c->holds[i];
        bool is_same;

        if (!is_held(h) || (is_mac && !h->mac_key))
            continue;
        is_same =
            last && !strcmp(is_mac ? h->mac_key : h->ip_key, is_mac ? last->mac_key : last->ip_key);
        if (is_same && h->begin < last->end && strcmp(h->pod_uid, last->pod_uid) != 0)
            violation(c,
                      is_mac ? "two living pods have one MAC" : "two living pods have one address",
                      last, h);
        if (!is_same || h->end > last->end)
            last = h;
    }
}

static bool is_pair_same(const struct hold *a, const struct hold *b)
{
    return same(a->ip_key, b->ip_key) && same(a->mac_key, b->mac_key);
}

static void judge_names(struct checker *c)
{
    const struct hold *before = NULL;

    qsort(c->holds, c->n_holds, sizeof(*c->holds), by_name);
    for (size_t i = 0; i < c->n_holds; i++) {
        const struct hold *h = c->holds[i];

        if (!is_held(h))
            continue;
        if (before && !strcmp(before->name, h->name) && !is_pair_same(before, h)) {
            if (before->pod == h->pod)
                violation(c, "a living pod has got another address", before, h);
            else if (h->set_uid && same(before->set_uid, h->set_uid))
                violation(c, "a pod of a StatefulSet has not what the one before had", before, h);
        }
        before = h;
    }
}

static void judge(struct checker *c)
{
    size_t n_held = 0;

    for (size_t i = 0; i < c->n_holds; i++) {
        lay_over(c, c->holds[i]);
        n_held += is_held(c->holds[i]);
    }
    judge_shared(c, false);
    judge_shared(c, true);
    judge_names(c);
    printf("checked: %u pods, %zu MacvlanIPs, %zu of them of living pods, %u violations\n",
           HASH_COUNT(c->all_pods), c->n_holds, n_held, c->n_violations);
}

/* --- */

/* What the one watch shows must not be judged without what the other is about to show. */
static void on_quiet(void *arg)
{
    struct checker *c = arg;
    int64_t left = c->event_ms + QUIET_MS - kube_now_ms();

    if (left > 0 || !c->pods.list_version || !c->ips.list_version) {
        kube_timer_set(c->quiet, left > AGAIN_MS ? left : AGAIN_MS);
        return;
    }
    (void)event_base_loopbreak(c->tool.base);
}

static void on_term(evutil_socket_t fd, short what, void *arg)
{
    struct checker *c = arg;

    (void)fd;
    (void)what;
    c->event_ms = kube_now_ms();
    kube_timer_set(c->quiet, 0);
}

static void release(struct checker *c)
{
    struct pod *pod, *next_pod;
    struct current *now, *next;

    HASH_ITER(hh, c->all_pods, pod, next_pod)
    {
        HASH_DEL(c->all_pods, pod);
        free(pod->uid);
        free(pod->name);
        free(pod);
    }
    HASH_ITER(hh, c->currents, now, next)
    {
        HASH_DEL(c->currents, now);
        free(now->uid);
        free(now);
    }
    for (size_t i = 0; i < c->n_holds; i++)
        hold_free(c->holds[i]);
    free(c->holds);
}

int main(int argc, char **argv)
{
    struct checker c = {
        .pods = {.path = PODS, .see = see_pod, .gone = pod_gone, .sweep = sweep_pods},
        .ips = {.path = IPS, .see = see_ip, .gone = ip_gone, .sweep = sweep_ips}};
    struct event *ends[2];

    if (argc != 2) {
        (void)fprintf(stderr, "usage: ctl_checker KUBECONFIG\n");
        return EXIT_USAGE;
    }
    kube_tool_begin(&c.tool, "ctl_checker", argv[1]);
    c.quiet = kube_timer_new(c.tool.base, on_quiet, &c);
    ends[0] = evsignal_new(c.tool.base, SIGTERM, on_term, &c);
    ends[1] = evsignal_new(c.tool.base, SIGINT, on_term, &c);
    (void)event_add(ends[0], NULL);
    (void)event_add(ends[1], NULL);
    stream_begin(&c.pods, &c);
    stream_begin(&c.ips, &c);
    (void)event_base_dispatch(c.tool.base);
    judge(&c);
    stream_end(&c.pods);
    stream_end(&c.ips);
    event_free(ends[0]);
    event_free(ends[1]);
    kube_timer_free(c.quiet);
    kube_tool_end(&c.tool);
    release(&c);
    return c.n_violations ? EXIT_FAILED : EXIT_OK;
}
