/* Probe pods by themselves: started, addressed, alone with their addresses, fixed. */
#include "cluster_test.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cluster_test_is_over(int status)
{
    return status == -ECANCELED || status == -EHOSTUNREACH || status == -EKEYREJECTED ||
           status == -EBUSY;
}

struct testpod *cluster_test_pod(const struct cluster_test *t, const struct testnet *net,
                                 char letter)
{
    for (size_t i = 0; i < t->pods->n_pods; i++) {
        struct testpod *pod = &t->pods->pods[i];

        if (pod->net == net && pod->name[0] == letter && pod->is_ready)
            return pod;
    }
    return NULL;
}

static char *subject_of(const struct testpod *pod)
{
    return xasprintf("%s: %s", pod->net->name, pod->name);
}

/* --- start --- */

static void say_not_started(struct cluster_test *t, const struct testpod *pod)
{
    auto_free char *subject = subject_of(pod);
    const char *why = pod->why ? pod->why : "nothing is known of it";

    conn_say(t->report, CONN_FAIL, "start", subject, "on %s: %s", pod->node, why);
    if (strstr(why, "ImagePull") || strstr(why, "ErrImage"))
        conn_cause(t->report,
                   "the image '%s' is not on the node and not in its registry: 'flatnet "
                   "images load' there, or name the registry with --registry",
                   t->pods->image);
    else if (strstr(why, "static-macvlan-cni"))
        conn_cause(t->report,
                   "the plugin says why; its log on %s is /var/log/static-macvlan-cni.log",
                   pod->node);
    else
        conn_cause(t->report, "kubectl -n %s describe pod %s, while a run with --keep lasts",
                   pod->space, pod->name);
    conn_cause(t->report,
               "the controller does not run, or has no address left: 'flatnet subnet "
               "check %s'",
               pod->net->name);
}

/* --- address and route --- */

static const cJSON *link_with(const cJSON *answer, const struct testpod *pod)
{
    const cJSON *link, *address;
    char wanted[IP_NET_TEXT_SIZE];

    (void)ip_net_format(pod->address, wanted);
    cJSON_ArrayForEach(link, json_get_arr(answer, "links"))
    {
        cJSON_ArrayForEach(address, json_get_arr(link, "addresses"))
        {
            const char *text = cJSON_GetStringValue(address);

            if (text && !strcmp(text, wanted))
                return link;
        }
    }
    return NULL;
}

static void judge_address(struct cluster_test *t, const struct testpod *pod, const cJSON *link)
{
    auto_free char *subject = subject_of(pod);
    char address[IP_NET_TEXT_SIZE], mac[IP_MAC_TEXT_SIZE];
    const char *has = json_get_str(link, "mac"), *name = json_get_str(link, "name");

    (void)ip_net_format(pod->address, address);
    (void)ip_mac_format(pod->mac, ':', mac);
    if (!link || !has || !name) {
        conn_say(t->report, CONN_FAIL, "address", subject, "no interface of the pod has %s",
                 address);
        conn_cause(t->report, "the plugin was called with another MacvlanIP: delete the pod");
    } else if (strcasecmp(has, mac) != 0) {
        conn_say(t->report, CONN_FAIL, "address", subject, "%s has MAC %s, its MacvlanIP %s", name,
                 has, mac);
        conn_cause(t->report, "another plugin behind this one (tuning) changes MACs");
    } else {
        conn_say(t->report, CONN_PASS, "address", subject, "%s has %s and %s", name, address, mac);
    }
}

static void judge_route(struct cluster_test *t, const struct testpod *pod, const cJSON *answer,
                        const char *link)
{
    auto_free char *subject = subject_of(pod);
    const char *first =
        cJSON_GetStringValue(cJSON_GetArrayItem(json_get_arr(answer, "defaultLinks"), 0));
    bool by_vlan = pod->net->is_default_route || !pod->overlay.family;

    if (!first && !pod->overlay.family && !pod->net->gateway.family) {
        conn_say(t->report, CONN_SKIP, "route", subject, "a subnet without a gateway");
    } else if (first && !strcmp(first, link) == by_vlan) {
        conn_say(t->report, CONN_PASS, "route", subject, "default route by %s", first);
    } else {
        conn_say(t->report, CONN_FAIL, "route", subject, "default route by %s, expected by %s",
                 first ? first : "nothing", by_vlan ? link : "the cluster's own interface");
        conn_cause(t->report, by_vlan ? "podDefaultGateway was set after the pod started: delete it"
                                      : "the first plugin gives the pod no default route");
    }
}

static int look_at(struct cluster_test *t, size_t i, struct err **e)
{
    const struct testpod *pod = &t->pods->pods[i];
    auto_free char *subject = subject_of(pod);
    auto_json cJSON *question = cJSON_CreateObject(), *answer = NULL;
    auto_err struct err *why = NULL;
    const cJSON *link;
    int64_t mtu = 0;
    int r = testpods_ask(t->pods, pod, question, &answer, &why);

    if (r < 0 && cluster_test_is_over(r))
        return err_set(e, r, "%s", err_text(why));
    if (r < 0) {
        conn_say(t->report, CONN_FAIL, "start", subject, "it cannot be asked: %s", err_text(why));
        conn_cause(t->report, "the API server does not reach the kubelet of %s (port 10250)",
                   pod->node);
        t->pods->pods[i].is_ready = false;
        return 0;
    }
    link = link_with(answer, pod);
    judge_address(t, pod, link);
    if (!link)
        return 0;
    (void)json_get_size(link, "mtu", &mtu);
    t->mtus[i] = (unsigned)mtu;
    (void)snprintf(t->links[i], sizeof(t->links[i]), "%s", json_get_str(link, "name"));
    judge_route(t, pod, answer, t->links[i]);
    return 0;
}

int cluster_test_pods(struct cluster_test *t, struct err **e)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < t->pods->n_pods; i++) {
        const struct testpod *pod = &t->pods->pods[i];
        auto_free char *subject = subject_of(pod);

        if (!pod->is_ready) {
            say_not_started(t, pod);
            continue;
        }
        conn_say(t->report, CONN_PASS, "start", subject, "runs on %s", pod->node);
        r = look_at(t, i, e);
    }
    return r;
}

/* --- duplicates --- */

/* An address, and who ought to be the only one that has it. */
struct claim {
    struct ip_addr addr;
    const struct testpod *pod; /* NULL: the gateway */
};

/* The gateway's, and those of all pods of the subnet; returns how many. */
static size_t collect_claims(const struct cluster_test *t, const struct testnet *net,
                             struct claim *out)
{
    size_t n = 0;

    if (net->gateway.family == AF_INET)
        out[n++] = (struct claim){.addr = net->gateway};
    for (size_t i = 0; i < t->pods->n_pods; i++) {
        const struct testpod *pod = &t->pods->pods[i];

        if (pod->net == net && pod->is_ready && pod->address.addr.family == AF_INET)
            out[n++] = (struct claim){.addr = pod->address.addr, .pod = pod};
    }
    return n;
}

/* `asker` does not hear itself, so that nobody answers for its own address. */
static void judge_claim(struct cluster_test *t, const struct claim *c, const struct testpod *asker,
                        const cJSON *result)
{
    const cJSON *macs = json_get_arr(result, "macs"), *mac;
    const char *error = json_get_str(result, "error");
    char own[IP_MAC_TEXT_SIZE] = "", address[IP_TEXT_SIZE];
    auto_free char *subject = xasprintf("%s: %s", asker->net->name, ip_format(c->addr, address));
    auto_buf struct buf others;
    size_t n = 0;

    buf_init(&others, 512);
    if (c->pod)
        (void)ip_mac_format(c->pod->mac, ':', own);
    cJSON_ArrayForEach(mac, macs)
    {
        const char *text = cJSON_GetStringValue(mac);

        if (text && strcasecmp(text, own) != 0)
            (void)buf_addf(&others, "%s%s", n++ ? ", " : "", text);
    }
    if (error) {
        conn_say(t->report, CONN_FAIL, "duplicate", subject, "it could not be asked for: %s",
                 error);
    } else if (n > (c->pod ? 0 : 1)) {
        conn_say(t->report, CONN_FAIL, "duplicate", subject, "%s answers for it, too", others.data);
        conn_cause(t->report, "a host, VM or pod of another cluster has that address: find the MAC "
                              "in the switch, and take the address out of the subnet's ranges");
    } else if (c->pod != asker && !cJSON_GetArraySize(macs)) {
        conn_say(t->report, c->pod ? CONN_FAIL : CONN_WARN, "duplicate", subject,
                 "nobody answers ARP for it");
        conn_cause(t->report, c->pod ? "the pod is not reached on its VLAN: see the checks above"
                                     : "there is no such gateway on the VLAN");
    } else {
        conn_say(t->report, CONN_PASS, "duplicate", subject, "nobody else answers for it");
    }
}

static int ask_claims(struct cluster_test *t, const struct testpod *asker, const char *link,
                      struct err **e)
{
    auto_free struct claim *claims = xcalloc(t->pods->n_pods + 1, sizeof(*claims));
    size_t n = collect_claims(t, asker->net, claims);
    auto_json cJSON *question = cJSON_CreateObject(), *answer = NULL;
    cJSON *arps = cJSON_AddArrayToObject(question, "arps");
    auto_err struct err *why = NULL;
    char text[IP_TEXT_SIZE];
    int r;

    json_add_str(question, "link", link);
    json_add_int(question, "timeoutMs", t->timeout_ms);
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(arps, cJSON_CreateString(ip_format(claims[i].addr, text)));
    r = testpods_ask(t->pods, asker, question, &answer, &why);
    if (r < 0 && cluster_test_is_over(r))
        return err_set(e, r, "%s", err_text(why));
    if (r < 0) {
        conn_say(t->report, CONN_FAIL, "duplicate", asker->net->name, "%s", err_text(why));
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        judge_claim(t, &claims[i], asker, cJSON_GetArrayItem(json_get_arr(answer, "arps"), (int)i));
    return 0;
}

int cluster_test_duplicates(struct cluster_test *t, struct err **e)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < t->pods->n_nets; i++)
        for (size_t k = 0; r == 0 && k < t->pods->n_pods; k++) {
            const struct testpod *pod = &t->pods->pods[k];

            if (pod->net != &t->pods->nets[i] || !pod->is_ready || !*t->links[k] ||
                pod->address.addr.family != AF_INET)
                continue;
            r = ask_claims(t, pod, t->links[k], e);
            break;
        }
    return r;
}

/* --- fixed addresses --- */

/* Of each subnet one pod that names the address and MAC of its pod b, in that one's place. */
struct fixed {
    struct cluster_test *t;
    struct testpod **before, **pods;
    size_t count;
};

static struct testpod *in_place_of(const struct testpod *before)
{
    char address[IP_TEXT_SIZE], mac[IP_MAC_TEXT_SIZE];
    struct testpod *pod = xcalloc(1, sizeof(*pod));

    *pod = (struct testpod){.name = xstrdup("fixed"),
                            .node = xstrdup(before->node),
                            .space = before->space,
                            .net = before->net,
                            .wanted_ip = xstrdup(ip_format(before->address.addr, address)),
                            .wanted_mac = xstrdup(ip_mac_format(before->mac, ':', mac))};
    return pod;
}

/* Does its interface have what it names? */
static int judge_fixed(struct cluster_test *t, struct testpod *pod, const char *when,
                       struct err **e)
{
    auto_free char *subject = subject_of(pod);
    auto_json cJSON *question = cJSON_CreateObject(), *answer = NULL;
    char address[IP_TEXT_SIZE], mac[IP_MAC_TEXT_SIZE];
    const char *has;
    int r;

    if (!pod->is_ready) {
        conn_say(t->report, CONN_FAIL, "fixed", subject, "%s it does not start: %s", when,
                 pod->why ? pod->why : "-");
        conn_cause(t->report,
                   "the address is still taken or cools down (ipDelayReuse): 'flatnet "
                   "subnet show %s'",
                   pod->net->name);
        return 0;
    }
    r = testpods_ask(t->pods, pod, question, &answer, e);
    if (r < 0)
        return r;
    has = json_get_str(link_with(answer, pod), "mac");
    (void)ip_format(pod->address.addr, address);
    (void)ip_mac_format(pod->mac, ':', mac);
    if (has && !strcmp(address, pod->wanted_ip) && !strcasecmp(mac, pod->wanted_mac) &&
        !strcasecmp(has, mac)) {
        conn_say(t->report, CONN_PASS, "fixed", subject, "%s it has %s and %s", when, address, mac);
        return 0;
    }
    conn_say(t->report, CONN_FAIL, "fixed", subject, "%s it has %s and %s, not %s and %s", when,
             address, has ? has : mac, pod->wanted_ip, pod->wanted_mac);
    conn_cause(t->report, "two controllers run: 'flatnet status'");
    return 0;
}

/* All of them at a time: the end of a pod may take a kubelet a minute. */
static int start_fixed(const struct fixed *f, const char *when, struct err **e)
{
    struct testpods *pods = f->t->pods;
    int r = 0;

    for (size_t i = 0; r == 0 && i < f->count; i++)
        r = testpods_create(pods, f->pods[i], e);
    if (r == 0)
        r = testpods_wait(pods, f->pods, f->count, f->t->ready_s, e);
    for (size_t i = 0; r == 0 && i < f->count; i++)
        r = judge_fixed(f->t, f->pods[i], when, e);
    return r;
}

static int test_fixed(const struct fixed *f, struct err **e)
{
    struct cluster_test *t = f->t;
    int r = testpods_delete(t->pods, f->before, f->count, t->ready_s, e);

    if (r == 0)
        r = start_fixed(f, "first", e);
    if (r == 0)
        r = testpods_delete(t->pods, f->pods, f->count, t->ready_s, e);
    return r < 0 ? r : start_fixed(f, "after a restart", e);
}

int cluster_test_fixed(struct cluster_test *t, struct err **e)
{
    struct fixed f = {.t = t,
                      .before = xcalloc(t->pods->n_nets, sizeof(*f.before)),
                      .pods = xcalloc(t->pods->n_nets, sizeof(*f.pods))};
    auto_err struct err *why = NULL;
    int r;

    for (size_t i = 0; i < t->pods->n_nets; i++) {
        struct testpod *before = cluster_test_pod(t, &t->pods->nets[i], 'b');

        if (!before)
            continue;
        f.before[f.count] = before;
        f.pods[f.count++] = in_place_of(before);
    }
    r = test_fixed(&f, &why);
    for (size_t i = 0; i < f.count; i++) {
        testpod_release(f.pods[i]);
        free(f.pods[i]);
    }
    free(f.before);
    free(f.pods);
    if (r < 0 && cluster_test_is_over(r))
        return err_set(e, r, "%s", err_text(why));
    if (r < 0)
        conn_say(t->report, CONN_FAIL, "fixed", "all", "%s", err_text(why));
    return 0;
}
