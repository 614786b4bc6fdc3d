/* Services of probe pods: by eth0, by the companion's addresses, and by name. */
#include "cluster_test.h"

#include "agent.h"
#include "interrupt.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "probe"
#define COMPANION SERVICE "-macvlan"
#define LOOK_MS 500
/* kube-proxy hears of a service at once and writes its rules when it may again (minSyncPeriod). */
#define PROXY_MS 30000

/* What is looked up from inside. */
static const char *const names[] = {SERVICE, COMPANION, "kubernetes.default"};
#define N_NAMES ((int)(sizeof(names) / sizeof(names[0])))

struct service {
    struct cluster_test *t;
    const struct testnet *net;
    const struct testpod *from;
    char *cluster_ip; /* or NULL */
};

static int create_service(struct service *s, struct err **e)
{
    auto_json cJSON *obj = cJSON_CreateObject(), *made = NULL;
    auto_free char *path = xasprintf("/api/v1/namespaces/%s/services", s->net->spaces[0]);
    struct kube_request request = {.method = "POST", .path = path, .body = obj};
    cJSON *meta, *spec, *port = cJSON_CreateObject();
    const char *ip;
    int r;

    json_add_str(obj, "apiVersion", "v1");
    json_add_str(obj, "kind", "Service");
    meta = cJSON_AddObjectToObject(obj, "metadata");
    json_add_str(meta, "name", SERVICE);
    spec = cJSON_AddObjectToObject(obj, "spec");
    json_add_str(cJSON_AddObjectToObject(spec, "selector"), TESTPODS_SUBNET_LABEL, s->net->name);
    json_add_str(port, "name", "agent");
    json_add_int(port, "port", AGENT_PORT);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(spec, "ports"), port);
    r = kube_do(s->t->pods->kube, &request, &made, e);
    ip = json_get_str(json_get_obj(made, "spec"), "clusterIP");
    s->cluster_ip = r == 0 ? xstrdup(ip) : NULL;
    return r;
}

/* --- the companion's endpoints --- */

static bool is_endpoint(const cJSON *endpoints, const char *ip)
{
    const cJSON *subset, *address;

    cJSON_ArrayForEach(subset, json_get_arr(endpoints, "subsets"))
    {
        cJSON_ArrayForEach(address, json_get_arr(subset, "addresses"))
        {
            const char *text = json_get_str(address, "ip");

            if (text && !strcmp(text, ip))
                return true;
        }
    }
    return false;
}

static size_t count_endpoints(const cJSON *endpoints)
{
    const cJSON *subset;
    size_t n = 0;

    cJSON_ArrayForEach(subset, json_get_arr(endpoints, "subsets"))
    {
        n += (size_t)cJSON_GetArraySize(json_get_arr(subset, "addresses"));
    }
    return n;
}

/* Exactly the macvlan addresses of the pods in the service's namespace. */
static bool are_right(const struct service *s, const cJSON *endpoints, size_t *out_pods)
{
    char ip[IP_TEXT_SIZE];
    bool all = true;

    *out_pods = 0;
    for (size_t i = 0; i < s->t->pods->n_pods; i++) {
        const struct testpod *pod = &s->t->pods->pods[i];

        if (pod->net != s->net || pod->space != s->net->spaces[0] || !pod->is_ready)
            continue;
        ++*out_pods;
        all &= is_endpoint(endpoints, ip_format(pod->address.addr, ip));
    }
    return all && count_endpoints(endpoints) == *out_pods;
}

static int wait_companion(struct service *s, struct err **e)
{
    auto_free char *path =
        xasprintf("/api/v1/namespaces/%s/endpoints/" COMPANION, s->net->spaces[0]);
    size_t pods = 0, there = 0;

    for (int waited = 0; waited < s->t->ready_s * 1000; waited += LOOK_MS) {
        auto_json cJSON *endpoints = NULL;
        auto_err struct err *why = NULL;
        int r = kube_get(s->t->pods->kube, path, &endpoints, &why);

        if (r < 0 && r != -ENOENT)
            return err_set(e, r, "%s", err_text(why));
        if (r == 0 && are_right(s, endpoints, &pods)) {
            conn_say(s->t->report, CONN_PASS, "macvlan-service", s->net->name,
                     COMPANION " has the %zu addresses of its pods", pods);
            return 0;
        }
        there = count_endpoints(endpoints);
        (void)poll(NULL, 0, LOOK_MS);
        r = interrupt_check(e);
        if (r < 0)
            return r;
    }
    conn_say(s->t->report, CONN_FAIL, "macvlan-service", s->net->name,
             COMPANION " has %zu addresses, not those of its %zu pods", there, pods);
    conn_cause(s->t->report, "the controller does not run, or another one writes endpoints: "
                             "'flatnet status'");
    return 0;
}

/* --- what the agent sees --- */

static void ask_tcp(cJSON *list, const char *ip)
{
    cJSON *obj = cJSON_CreateObject();

    json_add_str(obj, "to", ip);
    json_add_int(obj, "port", AGENT_PORT);
    cJSON_AddItemToArray(list, obj);
}

static cJSON *question_of(const struct service *s, const struct testpod *other)
{
    cJSON *question = cJSON_CreateObject(), *tcp = cJSON_AddArrayToObject(question, "tcp");
    char ip[IP_TEXT_SIZE];

    json_add_int(question, "timeoutMs", s->t->timeout_ms);
    ask_tcp(tcp, s->cluster_ip ? s->cluster_ip : "127.0.0.1");
    ask_tcp(tcp, ip_format(other->address.addr, ip));
    if (s->t->has_dns && conn_wants(s->t->choice, "dns"))
        (void)cJSON_AddItemToObject(question, "names", cJSON_CreateStringArray(names, N_NAMES));
    return question;
}

static const char *tcp_result(const cJSON *answer, int i)
{
    const char *text = json_get_str(cJSON_GetArrayItem(json_get_arr(answer, "tcp"), i), "result");

    return text ? text : "no answer";
}

static void judge_tcp(const struct service *s, const cJSON *answer, const struct testpod *other)
{
    const char *by_service = tcp_result(answer, 0), *direct = tcp_result(answer, 1);

    if (!s->from->overlay.family) {
        conn_say(s->t->report, CONN_SKIP, "service", s->net->name,
                 "its pods have no interface but that on the VLAN");
    } else if (!strcmp(by_service, "open")) {
        conn_say(s->t->report, CONN_PASS, "service", s->net->name, "%s port %d answers",
                 s->cluster_ip, AGENT_PORT);
    } else {
        conn_say(s->t->report, CONN_FAIL, "service", s->net->name, "%s port %d is %s",
                 s->cluster_ip, AGENT_PORT, by_service);
        conn_cause(s->t->report, "kube-proxy does not run on %s", s->from->node);
        conn_cause(s->t->report, "the pods' network is broken: see check 'overlay'");
        conn_cause(s->t->report, "the default route leads by the VLAN and podDefaultGateway has no "
                                 "serviceCidr");
    }
    if (strcmp(direct, "open") != 0) {
        conn_say(s->t->report, CONN_FAIL, "macvlan-service", s->net->name,
                 "port %d of pod %s is %s by the VLAN", AGENT_PORT, other->name, direct);
        conn_cause(s->t->report, "a filter on the VLAN lets pings through and TCP not");
    }
}

static void judge_dns(const struct service *s, const cJSON *answer)
{
    const cJSON *results = json_get_arr(answer, "names");

    for (int i = 0; i < N_NAMES; i++) {
        const cJSON *result = cJSON_GetArrayItem(results, i);
        auto_free char *subject = xasprintf("%s: %s", s->net->name, names[i]);
        const char *error = json_get_str(result, "error");
        int n = cJSON_GetArraySize(json_get_arr(result, "addresses"));

        if (n > 0) {
            conn_say(s->t->report, CONN_PASS, "dns", subject, "%d address%s", n, n > 1 ? "es" : "");
            continue;
        }
        conn_say(s->t->report, CONN_FAIL, "dns", subject, "%s", error ? error : "no address");
        conn_cause(s->t->report, "the cluster's DNS does not run, or its pods are not reached by "
                                 "eth0: see checks 'service' and 'overlay'");
    }
}

/* The service is new: until it answers, it is asked again for some time. */
static int ask(const struct service *s, const cJSON *question, cJSON **out, struct err **e)
{
    for (int waited = 0;; waited += LOOK_MS + s->t->timeout_ms) {
        auto_json cJSON *answer = NULL;
        int r = testpods_ask(s->t->pods, s->from, question, &answer, e);

        if (r < 0)
            return r;
        if (waited >= PROXY_MS || !s->from->overlay.family ||
            !conn_wants(s->t->choice, "service") || !strcmp(tcp_result(answer, 0), "open")) {
            *out = take(answer);
            return 0;
        }
        (void)poll(NULL, 0, LOOK_MS);
        r = interrupt_check(e);
        if (r < 0)
            return r;
    }
}

static int test_service(struct service *s, const struct testpod *other, struct err **e)
{
    auto_json cJSON *question = NULL, *answer = NULL;
    auto_err struct err *why = NULL;
    int r = create_service(s, e);

    if (r == 0 && conn_wants(s->t->choice, "macvlan-service"))
        r = wait_companion(s, e);
    if (r < 0)
        return r;
    question = question_of(s, other);
    r = ask(s, question, &answer, &why);
    if (r < 0 && cluster_test_is_over(r))
        return err_set(e, r, "%s", err_text(why));
    judge_tcp(s, answer, other);
    if (!s->t->has_dns)
        conn_say(s->t->report, CONN_SKIP, "dns", s->net->name, "the cluster has no kube-dns");
    else if (conn_wants(s->t->choice, "dns"))
        judge_dns(s, answer);
    return 0;
}

int cluster_test_services(struct cluster_test *t, struct err **e)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < t->pods->n_nets; i++) {
        const struct testnet *net = &t->pods->nets[i];
        struct service s = {.t = t, .net = net, .from = cluster_test_pod(t, net, 'a')};
        const struct testpod *other = cluster_test_pod(t, net, 'b');

        if (s.from && other)
            r = test_service(&s, other, e);
        free(s.cluster_ip);
    }
    return r;
}
