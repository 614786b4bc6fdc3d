/* Questions about the network, answered from inside of a pod. */
#include "agent.h"

#include "conn_arp.h"
#include "conn_probe.h"
#include "json.h"
#include "mem.h"
#include "netlink/net.h"
#include "netlink/nllink.h"
#include "pool.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netdb.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 1000
#define PING_INTERVAL_MS 100
#define COUNT_MAX 1000
#define DNS_ANSWER 4096

struct asker {
    const cJSON *question;
    const char *link; /* or NULL */
    int timeout_ms;
};

static int bad(const char *member, struct err **e)
{
    return err_set(e, -EINVAL, "the question's '%s' makes no sense", member);
}

static int read_ip(const cJSON *obj, const char *member, struct ip_addr *out, struct err **e)
{
    const char *text = json_get_str(obj, member);

    return text && ip_parse(text, out) == 0 ? 0 : bad(member, e);
}

/* 0 with `value` as it was where there is no such member. */
static int read_number(const cJSON *obj, const char *member, int64_t max, int64_t *value,
                       struct err **e)
{
    int64_t n = 0;
    int r = json_get_size(obj, member, &n);

    if (r == -ENOENT)
        return 0;
    if (r < 0 || n > max)
        return bad(member, e);
    *value = n;
    return 0;
}

static int check_list(const struct asker *a, const char *name, struct err **e)
{
    const cJSON *items = json_get_arr(a->question, name);

    if (!items)
        return cJSON_HasObjectItem(a->question, name) ? bad(name, e) : 0;
    return cJSON_GetArraySize(items) > AGENT_QUESTIONS_MAX ? bad(name, e) : 0;
}

/* Calls f for each member of the question's array `name`, with an array for what it finds. */
static int each(const struct asker *a, const char *name, cJSON *answer,
                int (*f)(const struct asker *a, const cJSON *item, cJSON *results, struct err **e),
                struct err **e)
{
    const cJSON *items = json_get_arr(a->question, name), *item;
    cJSON *results;
    int r = check_list(a, name, e);

    if (r < 0 || !items)
        return r;
    results = cJSON_AddArrayToObject(answer, name);
    cJSON_ArrayForEach(item, items)
    {
        if (r == 0)
            r = f(a, item, results, e);
    }
    return r;
}

static cJSON *add_result(cJSON *results, const struct err *why)
{
    cJSON *obj = cJSON_CreateObject();

    json_add_str(obj, "error", why ? why->msg : NULL);
    cJSON_AddItemToArray(results, obj);
    return obj;
}

/* --- pings --- */

/* What has no answer takes its whole time, so that many are sent at a time. */
#define PINGS_AT_A_TIME 16

struct pinging {
    struct conn_ping ping;
    struct conn_pong pong;
    struct err *why;
};

static int read_ping(const struct asker *a, const cJSON *item, struct conn_ping *out,
                     struct err **e)
{
    struct conn_ping p = {.timeout_ms = a->timeout_ms, .interval_ms = PING_INTERVAL_MS};
    int64_t count = 1, size = 0;
    int r = read_ip(item, "to", &p.to, e);

    if (r == 0 && cJSON_HasObjectItem(item, "from"))
        r = read_ip(item, "from", &p.from, e);
    p.link = json_get_str(item, "link");
    if (r == 0)
        r = read_number(item, "count", COUNT_MAX, &count, e);
    if (r == 0)
        r = read_number(item, "size", UINT16_MAX, &size, e);
    if (r < 0)
        return r;
    p.count = count ? (unsigned)count : 1;
    p.size = (size_t)size;
    p.dont_fragment = size > 0;
    *out = p;
    return 0;
}

static int send_ping(void *arg, size_t worker, size_t task)
{
    struct pinging *p = (struct pinging *)arg + task;

    (void)worker;
    (void)conn_ping(&p->ping, NULL, &p->pong, &p->why);
    return 0;
}

static void add_pong(cJSON *results, const struct pinging *p)
{
    cJSON *obj = add_result(results, p->why);

    json_add_int(obj, "sent", p->pong.sent);
    json_add_int(obj, "received", p->pong.received);
    json_add_int(obj, "rttMicroseconds", p->pong.rtt_us[1]);
    json_add_int(obj, "toldMtu", p->pong.told_mtu);
    (void)cJSON_AddBoolToObject(obj, "tooBig", p->pong.is_too_big);
}

static int answer_pings(const struct asker *a, cJSON *answer, struct err **e)
{
    const cJSON *items = json_get_arr(a->question, "pings"), *item;
    auto_free struct pinging *all = NULL;
    cJSON *results;
    size_t n = 0;
    int r = check_list(a, "pings", e);

    if (r < 0 || !items)
        return r;
    all = xcalloc((size_t)cJSON_GetArraySize(items) + 1, sizeof(*all));
    cJSON_ArrayForEach(item, items)
    {
        if (r == 0)
            r = read_ping(a, item, &all[n++].ping, e);
    }
    if (r < 0)
        return r;
    results = cJSON_AddArrayToObject(answer, "pings");
    (void)pool_run(PINGS_AT_A_TIME, n, send_ping, all);
    for (size_t i = 0; i < n; i++) {
        add_pong(results, &all[i]);
        err_free(all[i].why);
    }
    return 0;
}

/* --- ARP --- */

static int answer_arp(const struct asker *a, const cJSON *item, cJSON *results, struct err **e)
{
    const char *text = cJSON_GetStringValue(item);
    struct ip_mac macs[CONN_ARP_MAX];
    struct ip_addr of;
    size_t n = 0;
    auto_err struct err *why = NULL;
    cJSON *list;

    if (!text || ip_parse(text, &of) < 0 || of.family != AF_INET || !a->link)
        return bad("arps", e);
    (void)conn_arp(a->link, of, a->timeout_ms, macs, &n, &why);
    list = cJSON_AddArrayToObject(add_result(results, why), "macs");
    for (size_t i = 0; i < n; i++) {
        char mac[IP_MAC_TEXT_SIZE];

        cJSON_AddItemToArray(list, cJSON_CreateString(ip_mac_format(macs[i], ':', mac)));
    }
    return 0;
}

/* --- TCP --- */

static int answer_tcp(const struct asker *a, const cJSON *item, cJSON *results, struct err **e)
{
    static const char *const words[] = {"open", "refused", "silent", "unreachable"};
    struct ip_addr to, any = {.family = AF_UNSPEC};
    int64_t port = 0;
    int r = read_ip(item, "to", &to, e);

    if (r == 0)
        r = read_number(item, "port", UINT16_MAX, &port, e);
    if (r < 0)
        return r;
    json_add_str(add_result(results, NULL), "result",
                 words[conn_tcp(any, to, (uint16_t)port, a->timeout_ms)]);
    return 0;
}

/* --- names --- */

/* IPv4 addresses of a name, as the pod's resolv.conf says. */
static void add_addresses(const uint8_t *message, int len, cJSON *list)
{
    ns_msg m;
    ns_rr record;

    if (ns_initparse(message, len, &m) < 0)
        return;
    for (int i = 0; i < ns_msg_count(m, ns_s_an); i++)
        if (ns_parserr(&m, ns_s_an, i, &record) == 0 && ns_rr_type(record) == ns_t_a &&
            ns_rr_rdlen(record) == 4) {
            char text[IP_TEXT_SIZE];

            (void)ip_format(ip_from_bytes(AF_INET, ns_rr_rdata(record)), text);
            cJSON_AddItemToArray(list, cJSON_CreateString(text));
        }
}

static int answer_name(const struct asker *a, const cJSON *item, cJSON *results, struct err **e)
{
    const char *name = cJSON_GetStringValue(item);
    struct __res_state state;
    uint8_t message[DNS_ANSWER];
    cJSON *obj, *list;
    int len;

    (void)a;
    if (!name || !*name)
        return bad("names", e);
    memset(&state, 0, sizeof(state));
    obj = add_result(results, NULL);
    list = cJSON_AddArrayToObject(obj, "addresses");
    if (res_ninit(&state) < 0) {
        json_add_str(obj, "error", "no resolv.conf");
        return 0;
    }
    state.retrans = 2;
    state.retry = 2;
    len = res_nsearch(&state, name, ns_c_in, ns_t_a, message, sizeof(message));
    if (len < 0)
        json_add_str(obj, "error", hstrerror(state.res_h_errno));
    else
        add_addresses(message, len < (int)sizeof(message) ? len : (int)sizeof(message), list);
    res_nclose(&state);
    return 0;
}

/* --- what is there --- */

static void add_addrs(struct nl_sock *s, const struct nllink *link, cJSON *list)
{
    auto_free struct ip_net *addrs = NULL;
    size_t n = 0;

    if (nllink_addrs(s, link->index, &addrs, &n, NULL) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        char text[IP_NET_TEXT_SIZE];

        cJSON_AddItemToArray(list, cJSON_CreateString(ip_net_format(addrs[i], text)));
    }
}

static int answer_links(cJSON *answer, struct err **e)
{
    auto_nlsock struct nl_sock *s = NULL;
    auto_free struct nllink *links = NULL;
    cJSON *list = cJSON_AddArrayToObject(answer, "links");
    size_t n = 0;
    int r = nlreq_open(&s, e);

    if (r == 0)
        r = nllink_list(s, &links, &n, e);
    for (size_t i = 0; r == 0 && i < n; i++) {
        cJSON *obj = cJSON_CreateObject();
        char mac[IP_MAC_TEXT_SIZE];

        json_add_str(obj, "name", links[i].name);
        json_add_str(obj, "kind", links[i].kind);
        json_add_str(obj, "mac", links[i].has_mac ? ip_mac_format(links[i].mac, ':', mac) : NULL);
        json_add_int(obj, "mtu", links[i].mtu);
        add_addrs(s, &links[i], cJSON_AddArrayToObject(obj, "addresses"));
        cJSON_AddItemToArray(list, obj);
    }
    return r;
}

static int answer_routes(cJSON *answer, struct err **e)
{
    cJSON *list = cJSON_AddArrayToObject(answer, "defaultLinks");
    struct net_state net = {.n_routes = 0};
    int r = net_state_read(&net, e);

    for (size_t i = 0; r == 0 && i < net.n_routes; i++) {
        const struct net_link *link = net_link_indexed(&net, net.routes[i].link);

        if (link && !net.routes[i].prefix && net.routes[i].table == RT_TABLE_MAIN)
            cJSON_AddItemToArray(list, cJSON_CreateString(link->name));
    }
    net_state_release(&net);
    return r;
}

int agent_answer(const cJSON *question, cJSON **out, struct err **e)
{
    struct asker a = {.question = question, .link = json_get_str(question, "link")};
    auto_json cJSON *answer = cJSON_CreateObject();
    int64_t timeout_ms = TIMEOUT_MS;
    int r;

    if (!cJSON_IsObject(question))
        return err_set(e, -EINVAL, "the question is no JSON object");
    r = read_number(question, "timeoutMs", 60000, &timeout_ms, e);
    a.timeout_ms = (int)timeout_ms;
    if (r == 0)
        r = answer_links(answer, e);
    if (r == 0)
        r = answer_routes(answer, e);
    if (r == 0)
        r = answer_pings(&a, answer, e);
    if (r == 0)
        r = each(&a, "arps", answer, answer_arp, e);
    if (r == 0)
        r = each(&a, "tcp", answer, answer_tcp, e);
    if (r == 0)
        r = each(&a, "names", answer, answer_name, e);
    if (r == 0)
        *out = take(answer);
    return r;
}
