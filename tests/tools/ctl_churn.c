/*
 * Makes and ends pods at random, for the chaos test. Straight at the API server; what fails is
 * tried again until it is known to be done, so that the server may be restarted meanwhile.
 *
 *   ctl_churn KUBECONFIG NAMESPACE SECONDS PODS RATE SEED
 *
 * There are PODS places (at most 600; a multiple of 20 is taken) and one StatefulSet for every 20
 * of them; RATE of them a second get something to do. Of every 20 places
 *
 *   8   are pods with an automatic address and a new name each time,
 *   4   the same with one name for ever,
 *   2   share one fixed address and MAC: the pods of a rolling update,
 *   3   share a list of two addresses,
 *   3   are pods of a StatefulSet.
 *
 * Pods are deleted at once or in two steps, succeed, fail, or are only touched; a StatefulSet goes
 * without its pods now and then, and comes back as another one. At the end all that share addresses
 * are made as few as can have one.
 *
 * Subnets: c-auto, c-other (another VLAN, the same addresses), c-rest (ipDelayReuse), c-fix.
 */
#include "json.h"
#include "kube/kube_loop.h"
#include "kube_tool.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <string.h>

#define UNIT 20
#define AGAIN_MS 200
#define TICK_MS 10

enum kind { AUTO, STABLE, FIXED, LIST, SET };
enum state { ABSENT, LIVING, LEAVING, ENDED };
enum action { NOTHING, CREATE, DELETE, DELETE_SOFTLY, END, TOUCH };

struct churn;

struct place {
    struct churn *c;
    enum kind kind;
    enum state state;
    enum action action; /* under way */
    unsigned n, unit, serial;
    char *name;
    struct event *timer;
    bool is_again; /* a pod that is deleted comes back at once */
    bool is_fresh; /* made when all was settled */
};

struct set {
    struct churn *c;
    unsigned n;
    char *uid; /* NULL: not there, or on its way */
    bool is_busy;
    struct event *timer;
};

struct churn {
    struct kube_tool tool;
    const char *ns;
    struct place *places;
    struct set *sets;
    unsigned n_places, n_sets, n_busy, rate;
    uint64_t random;
    int64_t until_ms, began_ms;
    uint64_t n_done, n_created, n_deleted, n_ended, n_failed;
    bool is_ending;
    struct event *tick;
};

/* splitmix64 */
static unsigned roll(struct churn *c, unsigned bound)
{
    uint64_t z = c->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ (z >> 31)) % bound);
}

/* --- what a pod looks like --- */

static const char *subnet_of(const struct place *p)
{
    static const char *const names[] = {"c-auto", "c-other", "c-rest"};

    if (p->kind == FIXED || p->kind == LIST)
        return "c-fix";
    return p->kind == SET ? "c-auto" : names[p->n % 3];
}

/* Three addresses of c-fix for each unit, from 10.80.2.10 on. */
static char *ip_text(const struct place *p)
{
    unsigned first = 10 + 3 * p->unit;

    if (p->kind == FIXED)
        return xasprintf("10.80.2.%u", first);
    if (p->kind == LIST)
        return xasprintf("10.80.2.%u-10.80.2.%u", first + 1, first + 2);
    return xstrdup("auto");
}

static char *pod_name(const struct place *p)
{
    switch (p->kind) {
    case AUTO:
        return xasprintf("a-%u-%u", p->n, p->serial);
    case SET:
        return xasprintf("set%u-%u", p->unit, p->n % UNIT);
    default:
        return xasprintf("%c-%u", p->kind == STABLE ? 's' : p->kind == FIXED ? 'f' : 'l', p->n);
    }
}

static char *owner_text(const struct place *p)
{
    if (p->kind != SET)
        return xstrdup("");
    return xasprintf("{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"name\":\"set%u\","
                     "\"uid\":\"%s\",\"controller\":true}",
                     p->unit, p->c->sets[p->unit].uid);
}

static char *pod_text(const struct place *p)
{
    auto_free char *ip = ip_text(p), *owner = owner_text(p);
    auto_free char *mac =
        p->kind == FIXED ? xasprintf("02:80:00:00:00:%02x", p->unit) : xstrdup("");

    return xasprintf(
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\",\"ownerReferences\":"
        "[%s],"
        "\"annotations\":{\"macvlan.pandaria.cattle.io/ip\":\"%s\","
        "\"macvlan.pandaria.cattle.io/subnet\":\"%s\",\"macvlan.pandaria.cattle.io/mac\":\"%s\","
        "\"k8s.v1.cni.cncf.io/networks\":"
        "\"[{\\\"name\\\":\\\"static-macvlan-cni-attach\\\",\\\"interface\\\":\\\"eth1\\\"}]\"}},"
        "\"spec\":{\"nodeName\":\"none\",\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}",
        p->name, owner, ip, subnet_of(p), mac);
}

/* --- one action, until it is known to be done --- */

static void begin(struct place *p, enum action action);
static void send_action(void *arg);

static void end_action(struct place *p, enum state state)
{
    enum action done = p->action;

    p->action = NOTHING;
    p->state = state;
    p->c->n_busy--;
    p->c->n_done++;
    p->c->n_created += done == CREATE;
    p->c->n_deleted += state == ABSENT;
    p->c->n_ended += done == END;
    if (state == ABSENT && p->is_again && !p->c->is_ending)
        begin(p, CREATE);
}

static void on_answer(void *arg, const struct kube_reply *reply)
{
    struct place *p = arg;
    bool is_gone = reply->status == -ENOENT, is_known = reply->status == 0 || is_gone;

    if (p->action == CREATE)
        is_known = reply->status == 0 || reply->status == -EEXIST;
    if (!is_known) {
        p->c->n_failed++;
        kube_timer_set(p->timer, AGAIN_MS);
        return;
    }
    switch (p->action) {
    case CREATE:
    case TOUCH:
        end_action(p, is_gone ? ABSENT : LIVING);
        break;
    case DELETE_SOFTLY:
        end_action(p, is_gone ? ABSENT : LEAVING);
        break;
    case END:
        end_action(p, is_gone ? ABSENT : ENDED);
        break;
    default:
        end_action(p, ABSENT);
    }
}

static void send_action(void *arg)
{
    struct place *p = arg;
    auto_free char *text = NULL, *path = NULL;
    struct kube_request request = {.method = "DELETE"};
    const char *sub = "/";

    switch (p->action) {
    case CREATE:
        request.method = "POST";
        text = pod_text(p);
        sub = NULL;
        break;
    case END:
        request.method = "PATCH";
        text = xasprintf("{\"status\":{\"phase\":\"%s\"}}", p->n % 2 ? "Failed" : "Succeeded");
        break;
    case TOUCH:
        request.method = "PATCH";
        text = xasprintf("{\"metadata\":{\"annotations\":{\"touched\":\"%llu\"}}}",
                         (unsigned long long)p->c->n_done);
        break;
    default:
        text = xasprintf(
            "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":%d}",
            p->action == DELETE_SOFTLY ? 30 : 0);
    }
    path = xasprintf("/api/v1/namespaces/%s/pods%s%s%s", p->c->ns, sub ? sub : "",
                     sub ? p->name : "", p->action == END ? "/status" : "");
    request.path = path;
    request.text = text;
    request.content = p->action == END || p->action == TOUCH ? KUBE_MERGE_PATCH : KUBE_JSON;
    (void)kube_io_send(p->c->tool.io, &request, on_answer, p);
}

static void begin(struct place *p, enum action action)
{
    if (action == CREATE) {
        if (p->kind == SET && !p->c->sets[p->unit].uid)
            return;
        free(p->name);
        p->serial++;
        p->name = pod_name(p);
    }
    p->is_again = roll(p->c, 2) == 0;
    p->action = action;
    p->c->n_busy++;
    send_action(p);
}

static void act(struct place *p)
{
    unsigned dice = roll(p->c, 100);

    if (p->action != NOTHING)
        return;
    switch (p->state) {
    case ABSENT:
        begin(p, CREATE);
        break;
    case LIVING:
        begin(p, dice < 60 ? DELETE : dice < 75 ? DELETE_SOFTLY : dice < 90 ? END : TOUCH);
        break;
    default:
        begin(p, DELETE);
    }
}

/* --- StatefulSets --- */

static void set_done(struct set *s)
{
    s->is_busy = false;
    s->c->n_busy--;
}

static void on_set(void *arg, const struct kube_reply *reply)
{
    struct set *s = arg;
    const char *uid = json_get_str(json_get_obj(reply->body, "metadata"), "uid");
    auto_free char *path =
        xasprintf("/apis/apps/v1/namespaces/%s/statefulsets/set%u", s->c->ns, s->n);
    struct kube_request request = {.path = path};

    if (reply->status == 0 && uid) {
        s->uid = xstrdup(uid);
        set_done(s);
    } else if (reply->status == -EEXIST) {
        (void)kube_io_send(s->c->tool.io, &request, on_set, s);
    } else {
        kube_timer_set(s->timer, AGAIN_MS);
    }
}

static void create_set(struct set *s)
{
    auto_free char *path = xasprintf("/apis/apps/v1/namespaces/%s/statefulsets", s->c->ns);
    auto_free char *text = xasprintf(
        "{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"metadata\":{\"name\":\"set%u\"},"
        "\"spec\":{\"replicas\":3,\"serviceName\":\"x\",\"selector\":{\"matchLabels\":{\"app\":"
        "\"x\"}},"
        "\"template\":{\"metadata\":{\"labels\":{\"app\":\"x\"}},"
        "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}}}",
        s->n);
    struct kube_request request = {.method = "POST", .path = path, .text = text};

    (void)kube_io_send(s->c->tool.io, &request, on_set, s);
}

static void on_set_deleted(void *arg, const struct kube_reply *reply)
{
    struct set *s = arg;

    if (reply->status == 0 || reply->status == -ENOENT)
        create_set(s);
    else
        kube_timer_set(s->timer, AGAIN_MS);
}

/* Whatever there is of it goes, and a new one comes; also after an answer that got lost. */
static void renew_set(void *arg)
{
    struct set *s = arg;
    auto_free char *path =
        xasprintf("/apis/apps/v1/namespaces/%s/statefulsets/set%u", s->c->ns, s->n);
    struct kube_request request = {.method = "DELETE", .path = path};

    request.text =
        "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"Background\"}";
    free(s->uid);
    s->uid = NULL;
    (void)kube_io_send(s->c->tool.io, &request, on_set_deleted, s);
}

static void begin_set(struct set *s)
{
    /* A pod that is being made names the one that is there now. */
    for (unsigned i = 0; i < s->c->n_places; i++)
        if (s->c->places[i].kind == SET && s->c->places[i].unit == s->n &&
            s->c->places[i].action == CREATE)
            return;
    if (s->is_busy)
        return;
    s->is_busy = true;
    s->c->n_busy++;
    renew_set(s);
}

/* --- the end --- */

/* What a place is at last. Only one of the two fixed ones, and two of the three of a list. */
static bool shall_live(const struct place *p)
{
    if (p->kind == FIXED)
        return p->n % 2 == p->unit % 2;
    if (p->kind == LIST)
        return p->n % 3 != p->unit % 3;
    return true;
}

/* Most that have ended stay like that. The pods of sets are made anew, since the garbage collector
 * may be about to delete them, with the set that they had. */
static bool settle(struct place *p)
{
    bool shall = shall_live(p);

    if (p->action != NOTHING)
        return false;
    if (p->state == LEAVING || (p->state == ABSENT && shall) || (p->state == LIVING && !shall) ||
        (p->state == ENDED && p->n % 3 == 0) || (p->kind == SET && !p->is_fresh)) {
        p->is_fresh = p->state == ABSENT;
        begin(p, p->state == ABSENT ? CREATE : DELETE);
        return false;
    }
    return true;
}

static void end_churn(struct churn *c)
{
    bool is_settled = true;

    c->is_ending = true;
    for (unsigned i = 0; i < c->n_places; i++)
        is_settled &= settle(&c->places[i]);
    if (is_settled && !c->n_busy)
        (void)event_base_loopbreak(c->tool.base);
}

static void on_tick(void *arg)
{
    struct churn *c = arg;
    int64_t now = kube_now_ms(), due = (now - c->began_ms) * c->rate / 1000;

    kube_timer_set(c->tick, TICK_MS);
    if (now >= c->until_ms) {
        end_churn(c);
        return;
    }
    /* What could not be done in time is not made up for. */
    c->began_ms += due * 1000 / c->rate;
    for (; due > 0; due--) {
        if (roll(c, 200) == 0)
            begin_set(&c->sets[roll(c, c->n_sets)]);
        else
            act(&c->places[roll(c, c->n_places)]);
    }
}

/* --- */

static const enum kind kinds[UNIT] = {AUTO, AUTO,   AUTO,   AUTO,   AUTO,   AUTO,  AUTO,
                                      AUTO, STABLE, STABLE, STABLE, STABLE, FIXED, FIXED,
                                      LIST, LIST,   LIST,   SET,    SET,    SET};

static void set_up(struct churn *c)
{
    c->places = xcalloc(c->n_places, sizeof(*c->places));
    c->sets = xcalloc(c->n_sets, sizeof(*c->sets));
    for (unsigned i = 0; i < c->n_places; i++) {
        struct place *p = &c->places[i];

        *p = (struct place){.c = c, .kind = kinds[i % UNIT], .n = i, .unit = i / UNIT};
        p->timer = kube_timer_new(c->tool.base, send_action, p);
    }
    for (unsigned i = 0; i < c->n_sets; i++) {
        c->sets[i] = (struct set){.c = c, .n = i};
        c->sets[i].timer = kube_timer_new(c->tool.base, renew_set, &c->sets[i]);
        begin_set(&c->sets[i]);
    }
}

static void tear_down(struct churn *c)
{
    for (unsigned i = 0; i < c->n_places; i++) {
        kube_timer_free(c->places[i].timer);
        free(c->places[i].name);
    }
    for (unsigned i = 0; i < c->n_sets; i++) {
        kube_timer_free(c->sets[i].timer);
        free(c->sets[i].uid);
    }
    free(c->places);
    free(c->sets);
    kube_timer_free(c->tick);
    kube_tool_end(&c->tool);
}

static uint64_t number(const char *text, uint64_t max)
{
    uint64_t value = 0;

    if (num_parse_u64(text, max, &value) < 0 || !value) {
        (void)fprintf(stderr, "ctl_churn: '%s' is no number from 1 to %llu\n", text,
                      (unsigned long long)max);
        exit(EXIT_USAGE);
    }
    return value;
}

int main(int argc, char **argv)
{
    struct churn c = {.rate = 0};

    if (argc != 7) {
        (void)fprintf(stderr, "usage: ctl_churn KUBECONFIG NAMESPACE SECONDS PODS RATE SEED\n");
        return EXIT_USAGE;
    }
    c.ns = argv[2];
    c.n_sets = (unsigned)number(argv[4], 600) / UNIT;
    if (!c.n_sets)
        c.n_sets = 1;
    c.n_places = c.n_sets * UNIT;
    c.rate = (unsigned)number(argv[5], 1000);
    c.random = number(argv[6], UINT64_MAX);
    kube_tool_begin(&c.tool, "ctl_churn", argv[1]);
    c.began_ms = kube_now_ms();
    c.until_ms = c.began_ms + (int64_t)number(argv[3], 86400) * 1000;
    set_up(&c);
    c.tick = kube_timer_new(c.tool.base, on_tick, &c);
    kube_timer_set(c.tick, 0);
    (void)event_base_dispatch(c.tool.base);
    printf("seed %s: %llu pods made, %llu deleted, %llu ended, %llu requests failed\n", argv[6],
           (unsigned long long)c.n_created, (unsigned long long)c.n_deleted,
           (unsigned long long)c.n_ended, (unsigned long long)c.n_failed);
    tear_down(&c);
    return EXIT_OK;
}
