/* Findings about the -macvlan services: whether their endpoints are the macvlan addresses of the
 * pods that their source selects. */
#include "netcheck.h"

#include "buf.h"
#include "ip.h"
#include "json.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define SUFFIX "-macvlan"
#define NO_SERVICE_KEY "macvlan.panda.io/macvlanService"
#define TEXT_MAX 4096

struct addresses {
    char **items;
    size_t n;
};

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);

    return text ? text : "";
}

static void add(struct addresses *a, const char *text)
{
    array_grow(a->items, a->n);
    a->items[a->n++] = xstrdup(text);
}

static void release(struct addresses *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->items[i]);
    free(a->items);
}

static bool has(const struct addresses *a, const char *text)
{
    for (size_t i = 0; i < a->n; i++)
        if (!strcmp(a->items[i], text))
            return true;
    return false;
}

/* --- what they should be --- */

/* The service has a selector. */
static bool selects(const cJSON *service, const cJSON *pod)
{
    const cJSON *selector, *item;

    if (strcmp(netview_namespace(service), netview_namespace(pod)) != 0)
        return false;
    selector = json_get_obj(json_get_obj(service, "spec"), "selector");
    cJSON_ArrayForEach(item, selector)
    {
        if (!cJSON_IsString(item) || strcmp(netview_label(pod, item->string), item->valuestring))
            return false;
    }
    return true;
}

static bool wants_service(const cJSON *pod)
{
    const char *text = text_of(netview_annotations(pod), NO_SERVICE_KEY);

    return netcheck_is_macvlan(pod) && strcmp(text, "disable") != 0 &&
           strcmp(text, "disabled") != 0;
}

/* Into ready and other addresses. True: a pod of the source wants the service. */
static bool expected(const struct netcheck *n, const cJSON *source, struct addresses *ready,
                     struct addresses *other)
{
    bool is_wanted = false;
    const cJSON *pod;

    cJSON_ArrayForEach(pod, n->v->pods)
    {
        const cJSON *ip;
        struct ip_net net;
        char text[IP_TEXT_SIZE];

        if (!selects(source, pod) || !wants_service(pod))
            continue;
        is_wanted = true;
        ip = netcheck_ip_of(n, pod);
        if (!ip || netview_is_deleting(pod) ||
            ip_net_parse(text_of(json_get_obj(ip, "spec"), "cidr"), &net) < 0)
            continue;
        add(netview_pod_is_ready(pod) ? ready : other, ip_format(net.addr, text));
    }
    return is_wanted;
}

/* --- what they are --- */

static void actual(const cJSON *endpoints, struct addresses *out)
{
    const cJSON *subset, *item;

    cJSON_ArrayForEach(subset, json_get_arr(endpoints, "subsets"))
    {
        cJSON_ArrayForEach(item, json_get_arr(subset, "addresses"))
        {
            add(out, text_of(item, "ip"));
        }
    }
}

static void compare(const struct addresses *ready, const struct addresses *other,
                    const struct addresses *there, struct buf *text)
{
    for (size_t i = 0; i < ready->n; i++)
        if (!has(there, ready->items[i]))
            (void)buf_addf(text, "%s'%s' of a ready pod is missing", text->len ? ", " : "",
                           ready->items[i]);
    for (size_t i = 0; i < there->n; i++)
        if (!has(ready, there->items[i]))
            (void)buf_addf(text, "%s'%s' is %s", text->len ? ", " : "", there->items[i],
                           has(other, there->items[i]) ? "of a pod that is not ready"
                                                       : "no macvlan address of its pods");
}

static bool publishes_all(const cJSON *service)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json_get_obj(service, "spec"),
                                                         "publishNotReadyAddresses"));
}

static void check_endpoints(struct netcheck *n, const cJSON *source, const cJSON *companion,
                            const struct addresses *ready, const struct addresses *other)
{
    const char *namespace = netview_namespace(companion), *name = netview_name(companion);
    const cJSON *endpoints = netview_index_find(&n->endpoints, namespace, name);
    struct addresses there = {.n = 0};
    auto_buf struct buf text;

    buf_init(&text, TEXT_MAX);
    actual(endpoints, &there);
    if (!publishes_all(source))
        compare(ready, other, &there, &text);
    if (text.len)
        netcheck_add(n, &(struct netcheck_finding){
                            .level = NETCHECK_ERROR,
                            .code = "endpoints",
                            .subject = xasprintf("service %s/%s", namespace, name),
                            .cause = xasprintf("its endpoints are wrong: %s", text.data),
                            .mend = xstrdup("see whether network-controller runs, and whether "
                                            "k8s-net-attach-def-controller writes them, too"),
                            .is_passing = true});
    release(&there);
}

/* --- one service --- */

static bool is_companion(const char *name)
{
    size_t len = strlen(name), end = sizeof(SUFFIX) - 1;

    return len > end && !strcmp(name + len - end, SUFFIX);
}

static void check_service(struct netcheck *n, const cJSON *source)
{
    const char *namespace = netview_namespace(source);
    auto_free char *name = xasprintf("%s" SUFFIX, netview_name(source));
    const cJSON *companion = netview_index_find(&n->services, namespace, name);
    struct addresses ready = {.n = 0}, other = {.n = 0};
    bool is_wanted = expected(n, source, &ready, &other);

    if (companion) {
        check_endpoints(n, source, companion, &ready, &other);
    } else if (is_wanted && ready.n) {
        netcheck_add(n,
                     &(struct netcheck_finding){
                         .level = NETCHECK_WARNING,
                         .code = "no-service",
                         .subject = xasprintf("service %s/%s", namespace, netview_name(source)),
                         .cause = xasprintf("it selects macvlan pods, and there is no '%s' for "
                                            "their macvlan addresses",
                                            name),
                         .mend = xstrdup("the controller makes it; see whether it runs, and what "
                                         "it says in the events of the service"),
                         .is_passing = true});
    }
    release(&ready);
    release(&other);
}

/* Of services with a selector only, as in the controller. */
void netcheck_services(struct netcheck *n)
{
    const cJSON *service;

    if (n->names && *n->names)
        return;
    cJSON_ArrayForEach(service, n->v->services)
    {
        const cJSON *selector = json_get_obj(json_get_obj(service, "spec"), "selector");
        const char *type = text_of(json_get_obj(service, "spec"), "type");

        if (selector && selector->child && !is_companion(netview_name(service)) &&
            strcmp(type, "ExternalName") != 0 &&
            !json_get_str(netview_annotations(service), "k8s.v1.cni.cncf.io/networks"))
            check_service(n, service);
    }
}
