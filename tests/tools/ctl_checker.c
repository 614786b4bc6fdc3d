/*
 * Was an address ever held by two living pods? Watches pods and MacvlanIPs, keeps the history of
 * each, and judges it at the end. It knows nothing of the controller's own code.
 *
 *   ctl_checker KUBECONFIG          until TERM; exit status 1 when there is a violation
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
#include "kube_follow.h"
#include "kube_tool.h"
#include "mem.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#define PODS "/api/v1/pods"
#define IPS "/apis/macvlan.cluster.cattle.io/v1/macvlanips"
#define LOOK_MS 200
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

struct checker {
    struct kube_tool tool;
    struct follow pods, ips;
    struct pod *all_pods;
    struct hold **holds;
    size_t n_holds;
    struct current *currents;
    struct event *quiet;
    int64_t asked_ms; /* to end */
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

/* --- pods --- */

static void pod_gone(void *arg, const char *uid, int64_t version, bool is_cut)
{
    struct checker *c = arg;
    struct pod *pod;

    HASH_FIND_STR(c->all_pods, uid, pod);
    if (!pod || pod->ended != ALIVE)
        return;
    pod->ended = version;
    say(is_cut ? "pod-vanished" : "pod-gone", pod->name, uid, version);
}

static void see_pod(void *arg, const cJSON *object, int64_t version)
{
    struct checker *c = arg;
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

static void sweep_pods(void *arg, unsigned generation, int64_t version)
{
    struct checker *c = arg;

    for (struct pod *pod = c->all_pods; pod; pod = pod->hh.next)
        if (pod->generation != generation)
            pod_gone(c, pod->uid, version, true);
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

static void ip_gone(void *arg, const char *uid, int64_t version, bool is_cut)
{
    struct checker *c = arg;
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

static void see_ip(void *arg, const cJSON *object, int64_t version)
{
    struct checker *c = arg;
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

static void sweep_ips(void *arg, unsigned generation, int64_t version)
{
    struct checker *c = arg;
    struct current *now, *next;

    HASH_ITER(hh, c->currents, now, next)
    {
        if (now->generation != generation)
            ip_gone(c, now->uid, version, true);
    }
}

static void on_listed(void *arg, const char *path, bool is_gap, int64_t version)
{
    (void)arg;
    say(is_gap ? "gap" : "listed", path, NULL, version);
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
    int64_t last = c->asked_ms;

    if (last < c->pods.event_ms)
        last = c->pods.event_ms;
    if (last < c->ips.event_ms)
        last = c->ips.event_ms;
    if (c->pods.has_list && c->ips.has_list && last + QUIET_MS < kube_now_ms())
        (void)event_base_loopbreak(c->tool.base);
    else
        kube_timer_set(c->quiet, LOOK_MS);
}

static void on_term(evutil_socket_t fd, short what, void *arg)
{
    struct checker *c = arg;

    (void)fd;
    (void)what;
    c->asked_ms = kube_now_ms();
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

static void end(struct follow *f)
{
    printf("%s: %u events, %u lists\n", f->path, f->n_events, f->n_lists);
    follow_end(f);
}

int main(int argc, char **argv)
{
    struct checker c = {
        .pods = {.path = PODS, .see = see_pod, .gone = pod_gone, .sweep = sweep_pods},
        .ips = {.path = IPS, .see = see_ip, .gone = ip_gone, .sweep = sweep_ips}};
    struct event *on_end;

    if (argc != 2) {
        (void)fprintf(stderr, "usage: ctl_checker KUBECONFIG\n");
        return EXIT_USAGE;
    }
    kube_tool_begin(&c.tool, "ctl_checker", argv[1]);
    c.pods.arg = c.ips.arg = &c;
    c.pods.listed = c.ips.listed = on_listed;
    c.quiet = kube_timer_new(c.tool.base, on_quiet, &c);
    on_end = evsignal_new(c.tool.base, SIGTERM, on_term, &c);
    (void)event_add(on_end, NULL);
    follow_begin(&c.pods, &c.tool);
    follow_begin(&c.ips, &c.tool);
    (void)event_base_dispatch(c.tool.base);
    judge(&c);
    end(&c.pods);
    end(&c.ips);
    event_free(on_end);
    kube_timer_free(c.quiet);
    kube_tool_end(&c.tool);
    release(&c);
    return c.n_violations ? EXIT_FAILED : EXIT_OK;
}
