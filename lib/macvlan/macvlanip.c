/* MacvlanIPs read and written. */
#include "macvlan/macvlanip.h"

#include "json.h"
#include "macvlan/annot.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IPV6TO4_KEY "macvlan.panda.io/ipv6to4"
#define LABEL_VALUE_MAX 63

/* --- reading --- */

static const char *text_or_empty(const cJSON *obj, const char *name)
{
    const char *text = json_get_str(obj, name);

    return text ? text : "";
}

/* The owner that is the controller; an older version may have written only one without the mark. */
static const cJSON *owner_of(const cJSON *meta)
{
    const cJSON *list = json_get_arr(meta, "ownerReferences"), *item;

    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "controller")))
            return item;
    }
    return list ? list->child : NULL;
}

static unsigned char owner_kind(const cJSON *owner)
{
    const char *kind = json_get_str(owner, "kind");

    if (!kind)
        return MACVLANIP_NO_OWNER;
    if (!strcmp(kind, "Pod"))
        return MACVLANIP_POD;
    return strcmp(kind, "StatefulSet") ? MACVLANIP_OTHER_OWNER : MACVLANIP_STATEFULSET;
}

static bool has_finalizer(const cJSON *meta)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get_arr(meta, "finalizers"))
    {
        if (cJSON_IsString(item) && !strcmp(item->valuestring, MACVLANIP_DELAY_FINALIZER))
            return true;
    }
    return false;
}

static int64_t time_of(const char *text)
{
    struct tm tm = {.tm_year = 0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    time_t t = end && !*end ? timegm(&tm) : 0;

    return t > 0 ? (int64_t)t : 0;
}

static void read_spec(struct macvlanip *m, const cJSON *spec)
{
    const cJSON *network = json_get_obj(spec, "network");
    struct ip_net net;

    if (ip_net_parse(text_or_empty(spec, "cidr"), &net) == 0) {
        m->ip = net.addr;
        m->prefix = (unsigned char)net.prefix;
    }
    m->has_mac = ip_mac_parse(text_or_empty(spec, "mac"), &m->mac, NULL) == 0;
    m->network = network ? macvlanip_digest(network) : 0;
}

static void read_metadata(struct macvlanip *m, const cJSON *meta)
{
    const cJSON *labels = json_get_obj(meta, "labels");
    const cJSON *annotations = json_get_obj(meta, "annotations");

    m->owner = owner_kind(owner_of(meta));
    m->is_auto = !strcmp(text_or_empty(labels, LABEL_IP_TYPE), "auto");
    m->is_deleting = json_get_str(meta, "deletionTimestamp") != NULL;
    m->has_delay_finalizer = has_finalizer(meta);
    m->reuse_at_s = time_of(text_or_empty(annotations, MACVLANIP_DELAY_KEY));
}

int macvlanip_parse(const cJSON *object, struct macvlanip **out, struct err **e)
{
    const cJSON *meta = json_get_obj(object, "metadata"), *spec = json_get_obj(object, "spec");
    const char *texts[] = {
        text_or_empty(meta, "namespace"), text_or_empty(meta, "name"),
        text_or_empty(meta, "uid"),       text_or_empty(meta, "resourceVersion"),
        text_or_empty(spec, "podId"),     text_or_empty(owner_of(meta), "uid"),
        text_or_empty(spec, "subnet"),
    };
    enum { COUNT = sizeof(texts) / sizeof(*texts) };
    size_t equals[COUNT], sizes[COUNT], total = sizeof(struct macvlanip);
    struct macvlanip *m;
    char *at;

    if (!*texts[0] || !*texts[1] || !*texts[2])
        return err_set(e, -EBADMSG, "MacvlanIP '%s' has no namespace, name or UID", texts[1]);
    /* Equal ones once: most are owned by their pod. */
    for (size_t i = 0; i < COUNT; i++) {
        for (equals[i] = 0; strcmp(texts[equals[i]], texts[i]) != 0;)
            equals[i]++;
        total += sizes[i] = equals[i] == i ? strlen(texts[i]) + 1 : 0;
    }
    m = xcalloc(1, total);
    at = (char *)(m + 1);
    for (size_t i = 0; i < COUNT; at += sizes[i++])
        texts[i] = equals[i] < i ? texts[equals[i]] : memcpy(at, texts[i], sizes[i]);
    m->namespace = texts[0];
    m->name = texts[1];
    m->uid = texts[2];
    m->resource_version = texts[3];
    m->pod_uid = texts[4];
    m->owner_uid = texts[5];
    m->subnet = texts[6];
    read_metadata(m, meta);
    read_spec(m, spec);
    *out = m;
    return 0;
}

void macvlanip_free(struct macvlanip *m)
{
    free(m);
}

/* --- spec.network --- */

static void add_text(cJSON *obj, const char *name, struct ip_addr a)
{
    char text[IP_TEXT_SIZE];

    json_add_str(obj, name, ip_format(a, text));
}

static void add_net(cJSON *obj, const char *name, struct ip_net n)
{
    char text[IP_NET_TEXT_SIZE];

    json_add_str(obj, name, n.addr.family == AF_UNSPEC ? "" : ip_net_format(n, text));
}

cJSON *macvlanip_network(const struct subnet *s)
{
    cJSON *network = cJSON_CreateObject(), *routes, *gateway;

    json_add_str(network, "master", s->master);
    json_add_int(network, "vlan", s->vlan);
    json_add_str(network, "mode", s->mode);
    json_add_int(network, "mtu", s->mtu);
    add_text(network, "gateway", s->gateway);
    routes = cJSON_AddArrayToObject(network, "routes");
    for (size_t i = 0; i < s->n_routes; i++) {
        cJSON *route = cJSON_CreateObject();

        add_net(route, "dst", s->routes[i].dst);
        add_text(route, "gw", s->routes[i].gw);
        json_add_str(route, "iface", s->routes[i].iface);
        (void)cJSON_AddItemToArray(routes, route);
    }
    gateway = cJSON_AddObjectToObject(network, "podDefaultGateway");
    (void)cJSON_AddBoolToObject(gateway, "enable", s->has_default_route);
    add_net(gateway, "serviceCidr", s->service_cidr);
    return network;
}

/* FNV-1a of 64 bits, the NUL included, which keeps neighbours apart. */
static void mix(uint64_t *digest, const char *text)
{
    for (;; text++) {
        *digest = (*digest ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
        if (!*text)
            return;
    }
}

static void mix_number(uint64_t *digest, const cJSON *obj, const char *name)
{
    int64_t value = 0;
    char text[24];

    (void)json_get_size(obj, name, &value);
    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    mix(digest, text);
}

uint64_t macvlanip_digest(const cJSON *network)
{
    const cJSON *gateway = json_get_obj(network, "podDefaultGateway"), *route;
    uint64_t digest = UINT64_C(0xcbf29ce484222325);

    mix(&digest, text_or_empty(network, "master"));
    mix_number(&digest, network, "vlan");
    mix(&digest, text_or_empty(network, "mode"));
    mix_number(&digest, network, "mtu");
    mix(&digest, text_or_empty(network, "gateway"));
    mix(&digest, cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(gateway, "enable")) ? "1" : "");
    mix(&digest, text_or_empty(gateway, "serviceCidr"));
    cJSON_ArrayForEach(route, json_get_arr(network, "routes"))
    {
        mix(&digest, text_or_empty(route, "dst"));
        mix(&digest, text_or_empty(route, "gw"));
        mix(&digest, text_or_empty(route, "iface"));
    }
    return digest;
}

/* --- writing --- */

/* Validation of labels in apimachinery: 63 letters, digits, '.', '_' and '-', with a letter or
 * digit at both ends. */
static void add_label(cJSON *labels, const char *name, const char *value)
{
    size_t len = value ? strlen(value) : 0;

    if (!len || len > LABEL_VALUE_MAX)
        return;
    if (!isalnum((unsigned char)value[0]) || !isalnum((unsigned char)value[len - 1]))
        return;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)value[i]) && !strchr("._-", value[i]))
            return;
    json_add_str(labels, name, value);
}

static void add_labels(cJSON *meta, const struct macvlanip_spec *x)
{
    cJSON *labels = cJSON_AddObjectToObject(meta, "labels");
    char mac[IP_MAC_TEXT_SIZE];

    add_label(labels, "subnet", x->subnet->name);
    add_label(labels, LABEL_IP_TYPE, x->is_auto ? "auto" : "specific");
    if (x->mac)
        add_label(labels, LABEL_SELECTED_MAC, ip_mac_format(*x->mac, '_', mac));
    add_label(labels, MACVLANIP_PROJECT_LABEL, x->project);
    add_label(labels, MACVLANIP_WORKLOAD_LABEL, x->workload);
}

/* No blockOwnerDeletion, which would need a permission on the finalizers of pods. */
static void add_owner(cJSON *meta, const struct macvlanip_spec *x)
{
    cJSON *owner = cJSON_CreateObject();

    json_add_str(owner, "apiVersion", x->set_name ? "apps/v1" : "v1");
    json_add_str(owner, "kind", x->set_name ? "StatefulSet" : "Pod");
    json_add_str(owner, "name", x->set_name ? x->set_name : x->pod_name);
    json_add_str(owner, "uid", x->set_name ? x->set_uid : x->pod_uid);
    (void)cJSON_AddBoolToObject(owner, "controller", true);
    (void)cJSON_AddItemToArray(cJSON_AddArrayToObject(meta, "ownerReferences"), owner);
}

static void add_spec(cJSON *object, const struct macvlanip_spec *x)
{
    struct ip_net net = {.addr = x->ip, .prefix = x->subnet->cidr.prefix};
    cJSON *spec = cJSON_AddObjectToObject(object, "spec");
    char mac[IP_MAC_TEXT_SIZE];

    json_add_str(spec, "subnet", x->subnet->name);
    json_add_str(spec, "podId", x->pod_uid);
    add_net(spec, "cidr", net);
    json_add_str(spec, "mac", x->mac ? ip_mac_format(*x->mac, ':', mac) : "");
    (void)cJSON_AddItemToObject(spec, "network", macvlanip_network(x->subnet));
}

cJSON *macvlanip_build(const struct macvlanip_spec *x)
{
    cJSON *object = cJSON_CreateObject(), *meta;

    json_add_str(object, "apiVersion", MACVLANIP_API);
    json_add_str(object, "kind", "MacvlanIP");
    meta = cJSON_AddObjectToObject(object, "metadata");
    json_add_str(meta, "name", x->pod_name);
    json_add_str(meta, "namespace", x->namespace);
    add_labels(meta, x);
    add_owner(meta, x);
    if (x->is_delayed)
        (void)cJSON_AddItemToArray(cJSON_AddArrayToObject(meta, "finalizers"),
                                   cJSON_CreateString(MACVLANIP_DELAY_FINALIZER));
    if (x->subnet->is_ipv6to4)
        json_add_str(cJSON_AddObjectToObject(meta, "annotations"), IPV6TO4_KEY, "true");
    add_spec(object, x);
    return object;
}
