/*
 * What tests/bench/controller.sh asks of an API server, and of the allocator alone. Figures go to
 * standard output.
 *
 *   kube_load alloc                                 us and bytes: filled, every second one free
 *   kube_load pods KUBECONFIG NS PREFIX COUNT SUBNET BYTES
 *                                                   so many pods of about that size
 *   kube_load bare KUBECONFIG NS PREFIX COUNT       seconds for what the controller writes for each
 *                                                   of these pods: its MacvlanIP and its labels
 *   kube_load latency KUBECONFIG NS PREFIX COUNT SUBNET RATE
 *                                                   ms from the answer to the POST of a pod until a
 *                                                   watch shows its MacvlanIP: median, p99, longest
 */
#include "http.h"
#include "json.h"
#include "kube/kube_config.h"
#include "kube/kube_informer.h"
#include "kube/kube_io.h"
#include "kube/kube_loop.h"
#include "macvlan/alloc.h"
#include "macvlan/annot.h"
#include "macvlan/macvlanip.h"
#include "macvlan/subnet.h"
#include "mem.h"
#include "num.h"

#include <event2/event.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MANY 100000
#define PATIENCE_MS 300000   /* all requests are handed over at once, and wait their turn */
#define BARE_BASE 0x0afa0001 /* 10.250.0.1: no subnet of the benchmark gives it */

struct load;

struct item {
    struct load *l;
    char *name, *uid;
    int64_t made_us, seen_us; /* 0: not yet */
    uint32_t i;
};

struct load {
    struct event_base *base;
    struct kube_config config;
    struct kube_io *io;
    struct kube_informer *inf;
    struct event *timer;
    struct subnet *subnet;
    const char *ns, *prefix, *subnet_name;
    struct item *items;
    uint32_t count, n_sent, n_done, n_seen;
    int64_t step_us, began_us;
    size_t bytes;
};

static uint32_t number(const char *text)
{
    uint64_t value = 0;

    if (num_parse_u64(text, INT32_MAX, &value) < 0) {
        (void)fprintf(stderr, "kube_load: '%s' is no number\n", text);
        exit(2);
    }
    return (uint32_t)value;
}

static void check(const struct kube_reply *reply, const char *what)
{
    if (reply->status == 0)
        return;
    (void)fprintf(stderr, "kube_load: %s: %s\n", what, err_text(reply->err));
    exit(1);
}

static struct subnet *make_subnet(const char *cidr)
{
    auto_free char *text = xasprintf("{\"metadata\":{\"name\":\"bare\"},\"spec\":{\"master\":"
                                     "\"eth0\",\"vlan\":9,\"cidr\":\"%s\"}}",
                                     cidr);
    auto_json cJSON *object = cJSON_Parse(text);
    struct subnet *s;

    if (subnet_parse(object, false, &s, NULL) < 0 || !s->is_valid)
        abort();
    return s;
}

/* --- the allocator alone --- */

static double cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int run_alloc(void)
{
    struct subnet *s = make_subnet("10.0.0.0/8");
    size_t before = mallinfo2().uordblks, filled, holes;
    struct alloc *a = alloc_new(s);
    struct ip_addr addr;
    double began = cpu_us(), fill, refill;

    for (int i = 0; i < MANY; i++)
        if (!alloc_claim_lowest(a, &addr))
            return 1;
    fill = (cpu_us() - began) / MANY;
    filled = mallinfo2().uordblks - before;
    for (unsigned i = 0; i < MANY; i += 2)
        alloc_release(a, (struct ip_addr){AF_INET, addr.value - i}, 0);
    holes = mallinfo2().uordblks - before;
    began = cpu_us();
    for (int i = 0; i < MANY / 2; i++)
        if (!alloc_claim_lowest(a, &addr))
            return 1;
    refill = (cpu_us() - began) / (MANY / 2);
    printf("%.3f %.3f %zu %zu\n", fill, refill, filled, holes);
    alloc_free(a);
    subnet_free(s);
    return 0;
}

/* --- pods --- */

static char *pod_text(const struct load *l, const struct item *item)
{
    size_t pad = l->bytes > 900 ? l->bytes - 900 : 0;
    auto_free char *padding = xmalloc(pad + 1);

    memset(padding, 'x', pad);
    padding[pad] = '\0';
    return xasprintf(
        "{\"metadata\":{\"name\":\"%s\",\"annotations\":{\"macvlan.pandaria.cattle.io/ip\":"
        "\"auto\",\"macvlan.pandaria.cattle.io/subnet\":\"%s\",\"k8s.v1.cni.cncf.io/networks\":"
        "\"[{\\\"name\\\":\\\"static-macvlan-cni-attach\\\",\\\"interface\\\":\\\"eth1\\\"}]\"}},"
        "\"spec\":{\"nodeName\":\"none\",\"terminationGracePeriodSeconds\":0,\"containers\":[{"
        "\"name\":\"c\",\"image\":\"x\",\"env\":[{\"name\":\"PAD\",\"value\":\"%s\"}]}]}}",
        item->name, l->subnet_name, padding);
}

static void end_if_done(struct load *l)
{
    if (l->n_done == l->count && (!l->inf || l->n_seen == l->count))
        (void)event_base_loopbreak(l->base);
}

static void on_pod(void *arg, const struct kube_reply *reply)
{
    struct item *item = arg;

    check(reply, "cannot make a pod");
    item->made_us = kube_now_us();
    item->l->n_done++;
    end_if_done(item->l);
}

static void send_pod(struct load *l, struct item *item)
{
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/pods", l->ns);
    auto_free char *text = pod_text(l, item);
    struct kube_request request = {.method = "POST",
                                   .path = path,
                                   .text = text,
                                   .timeout_ms = PATIENCE_MS};

    (void)kube_io_send(l->io, &request, on_pod, item);
}

static void run_pods(struct load *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        send_pod(l, &l->items[i]);
    (void)event_base_dispatch(l->base);
}

/* --- the two writes of the controller, and nothing else --- */

static struct ip_mac mac_of(const struct item *item)
{
    return (struct ip_mac){
        {2, 0, 0, (uint8_t)(item->i >> 16), (uint8_t)(item->i >> 8), (uint8_t)item->i}};
}

static void on_patched(void *arg, const struct kube_reply *reply)
{
    struct item *item = arg;

    check(reply, "cannot label a pod");
    item->l->n_done++;
    end_if_done(item->l);
}

static void on_posted(void *arg, const struct kube_reply *reply)
{
    struct item *item = arg;
    struct load *l = item->l;
    auto_annot_request struct annot_request auto_ip = {.subnet = xstrdup("bare"),
                                                       .ip_text = xstrdup("auto")};
    struct ip_addr ip = {AF_INET, BARE_BASE + item->i};
    struct ip_mac mac = mac_of(item);
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/pods/%s", l->ns, item->name);
    auto_json cJSON *patch = cJSON_CreateObject();
    cJSON *meta = cJSON_AddObjectToObject(patch, "metadata");
    struct kube_request request = {.method = "PATCH",
                                   .path = path,
                                   .body = patch,
                                   .content = KUBE_MERGE_PATCH,
                                   .timeout_ms = PATIENCE_MS};

    check(reply, "cannot make a MacvlanIP");
    json_add_str(meta, "uid", item->uid);
    cJSON_AddItemToObject(meta, "labels", annot_labels(&auto_ip, ip, &mac));
    (void)kube_io_send(l->io, &request, on_patched, item);
}

static void send_bare(struct load *l, struct item *item)
{
    struct ip_mac mac = mac_of(item);
    struct macvlanip_spec spec = {.namespace = l->ns,
                                  .pod_name = item->name,
                                  .pod_uid = item->uid,
                                  .subnet = l->subnet,
                                  .ip = {AF_INET, BARE_BASE + item->i},
                                  .mac = &mac,
                                  .is_auto = true};
    auto_free char *path =
        xasprintf("/apis/macvlan.cluster.cattle.io/v1/namespaces/%s/macvlanips", l->ns);
    auto_json cJSON *body = macvlanip_build(&spec);
    struct kube_request request = {.method = "POST",
                                   .path = path,
                                   .body = body,
                                   .timeout_ms = PATIENCE_MS};

    (void)kube_io_send(l->io, &request, on_posted, item);
}

static void on_pods(void *arg, const struct kube_reply *reply)
{
    struct load *l = arg;
    const cJSON *pod;
    uint32_t n = 0;

    check(reply, "cannot list the pods");
    cJSON_ArrayForEach(pod, json_get_arr(reply->body, "items"))
    {
        const cJSON *meta = json_get_obj(pod, "metadata");
        const char *name = json_get_str(meta, "name");

        if (n < l->count && name && !strncmp(name, l->prefix, strlen(l->prefix))) {
            free(l->items[n].name);
            l->items[n].name = xstrdup(name);
            l->items[n++].uid = xstrdup(json_get_str(meta, "uid"));
        }
    }
    if (n < l->count) {
        (void)fprintf(stderr, "kube_load: %u pods are there, not %u\n", n, l->count);
        exit(1);
    }
    l->began_us = kube_now_us();
    for (uint32_t i = 0; i < l->count; i++)
        send_bare(l, &l->items[i]);
}

static void run_bare(struct load *l)
{
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/pods", l->ns);
    struct kube_request request = {.path = path, .max_body = 256u << 20, .timeout_ms = PATIENCE_MS};

    l->subnet = make_subnet("10.128.0.0/9");
    (void)kube_io_send(l->io, &request, on_pods, l);
    (void)event_base_dispatch(l->base);
    printf("%.3f\n", (double)(kube_now_us() - l->began_us) / 1e6);
}

/* --- latency --- */

static void *name_of(void *arg, const cJSON *object)
{
    (void)arg;
    return xstrdup(json_get_str(json_get_obj(object, "metadata"), "name"));
}

static void on_seen(void *arg, const char *key, const void *before, const void *now)
{
    struct load *l = arg;
    const char *name = now;
    size_t len = strlen(l->prefix);
    uint64_t i;

    (void)key;
    if (before || !name || strncmp(name, l->prefix, len) != 0 ||
        num_parse_u64(name + len, l->count - 1, &i) < 0)
        return;
    l->items[i].seen_us = kube_now_us();
    l->n_seen++;
    end_if_done(l);
}

static void on_tick(void *arg)
{
    struct load *l = arg;
    int64_t now = kube_now_us();

    while (l->n_sent < l->count && l->began_us + l->n_sent * l->step_us <= now) {
        send_pod(l, &l->items[l->n_sent]);
        l->n_sent++;
    }
    if (l->n_sent < l->count)
        kube_timer_set(l->timer, 2);
}

static void on_synced(void *arg)
{
    struct load *l = arg;

    l->began_us = kube_now_us();
    kube_timer_wake(l->timer);
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void run_latency(struct load *l)
{
    static const struct kube_informer_ops ops = {.parse = name_of,
                                                 .changed = on_seen,
                                                 .synced = on_synced};
    auto_free char *path =
        xasprintf("/apis/macvlan.cluster.cattle.io/v1/namespaces/%s/macvlanips", l->ns);
    auto_free int64_t *times = xcalloc(l->count, sizeof(*times));

    l->timer = kube_timer_new(l->base, on_tick, l);
    l->inf =
        kube_informer_new(l->io,
                          &(struct kube_informer_options){.path = path, .ops = &ops, .arg = l});
    (void)event_base_dispatch(l->base);
    for (uint32_t i = 0; i < l->count; i++)
        times[i] = l->items[i].seen_us - l->items[i].made_us;
    qsort(times, l->count, sizeof(*times), compare_times);
    printf("%.1f %.1f %.1f\n", (double)times[l->count / 2] / 1e3,
           (double)times[(l->count * 99 + 99) / 100 - 1] / 1e3, (double)times[l->count - 1] / 1e3);
}

/* --- */

static void begin(struct load *l, char **arg)
{
    auto_err struct err *e = NULL;
    struct kube_io_options options = {.user_agent = "kube-load/" FLATNET_VERSION};

    http_global_init();
    l->base = event_base_new();
    options.config = &l->config;
    if (kube_config_load(arg[0], NULL, &l->config, &e) < 0 ||
        kube_io_new(l->base, &options, &l->io, &e) < 0) {
        (void)fprintf(stderr, "kube_load: %s\n", err_text(e));
        exit(2);
    }
    l->ns = arg[1];
    l->prefix = arg[2];
    l->count = number(arg[3]);
    l->items = xcalloc(l->count, sizeof(*l->items));
    for (uint32_t i = 0; i < l->count; i++)
        l->items[i] = (struct item){.l = l, .name = xasprintf("%s%u", l->prefix, i), .i = i};
}

static void end(struct load *l)
{
    kube_informer_free(l->inf);
    kube_timer_free(l->timer);
    kube_io_free(l->io);
    event_base_free(l->base);
    kube_config_release(&l->config);
    subnet_free(l->subnet);
    for (uint32_t i = 0; i < l->count; i++) {
        free(l->items[i].name);
        free(l->items[i].uid);
    }
    free(l->items);
}

int main(int argc, char **argv)
{
    struct load l = {.bytes = 900};
    const char *action = argc > 1 ? argv[1] : "";

    if (!strcmp(action, "alloc"))
        return run_alloc();
    if (argc < 6) {
        (void)fprintf(stderr, "kube_load: see the head of kube_load.c\n");
        return 2;
    }
    begin(&l, argv + 2);
    l.subnet_name = argc > 6 ? argv[6] : "";
    if (!strcmp(action, "pods") && argc == 8) {
        l.bytes = number(argv[7]);
        run_pods(&l);
    } else if (!strcmp(action, "bare")) {
        run_bare(&l);
    } else if (!strcmp(action, "latency") && argc == 8) {
        l.step_us = 1000000 / number(argv[7]);
        run_latency(&l);
    }
    end(&l);
    return 0;
}
