/* Backends of a service, sorted, with their ports resolved. */
#include "svc_backends.h"

#include "buf.h"
#include "json.h"
#include "mem.h"
#include "svc_companion.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEY (1 << 20)

bool svc_target_from(const cJSON *service, const char *source_name, struct svc_target *out_target)
{
    const cJSON *metadata = json_get_obj(service, "metadata");
    const cJSON *spec = json_get_obj(service, "spec"), *selector = json_get_obj(spec, "selector");
    struct svc_target target = {
        .namespace = json_get_str(metadata, "namespace"),
        .name = json_get_str(metadata, "name"),
        .uid = json_get_str(metadata, "uid"),
        .ports = json_get_arr(spec, "ports"),
        .publishes_not_ready = svc_publishes_not_ready(service),
        .is_headless = svc_is_headless(service),
        .has_selector = selector && selector->child,
    };

    if (!target.namespace || !target.name || !target.uid)
        return false;
    target.subdomain = source_name ? source_name : target.name;
    *out_target = target;
    return true;
}

static void append(struct svc_backends *list, const struct svc_pod *pod, const char *address)
{
    array_grow(list->items, list->count);
    list->items[list->count++] = (struct svc_backend){.pod = pod, .address = address};
}

static bool is_macvlan_network(const struct svc_network *n, const struct svc_pod *pod)
{
    return !strcmp(n->name, SVC_MACVLAN_NETWORK) &&
           (!n->namespace || (pod->namespace && !strcmp(n->namespace, pod->namespace)));
}

void svc_backends_add(struct svc_backends *list, const struct svc_pod *pod,
                      const struct svc_network *network, const char *macvlan_ip)
{
    static char macvlan_name[] = SVC_MACVLAN_NETWORK;
    static const struct svc_network macvlan = {.name = macvlan_name};
    const char *address;

    if (!network)
        network = &macvlan;
    if (macvlan_ip && is_macvlan_network(network, pod)) {
        append(list, pod, macvlan_ip);
        return;
    }
    for (size_t i = 0; (address = svc_pod_network_ip(pod, network, i)) != NULL; i++)
        append(list, pod, address);
}

bool svc_address_bytes(const char *text, uint8_t out_bytes[16], bool *out_is_v6)
{
    uint8_t bytes[16] = {0};
    bool is_v6 = strchr(text, ':') != NULL;

    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes) != 1)
        return false;
    memcpy(out_bytes, bytes, sizeof(bytes));
    *out_is_v6 = is_v6;
    return true;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *port_key(const cJSON *port)
{
    const char *name = json_get_str(port, "name"), *protocol = json_get_str(port, "protocol");
    int64_t number = 0;

    (void)json_get_size(port, "port", &number);
    return xasprintf("%s/%s/%lld,", name ? name : "", protocol ? protocol : "TCP",
                     (long long)number);
}

char *svc_ports_key(const cJSON *ports)
{
    auto_free char **keys = NULL;
    auto_buf struct buf text;
    const cJSON *port;
    size_t count = 0;

    buf_init(&text, MAX_KEY);
    cJSON_ArrayForEach(port, ports)
    {
        array_grow(keys, count);
        keys[count++] = port_key(port);
    }
    if (count)
        qsort(keys, count, sizeof(*keys), compare_texts);
    for (size_t i = 0; i < count; i++) {
        (void)buf_addstr(&text, keys[i]);
        free(keys[i]);
    }
    return buf_steal(&text);
}

/* The number that a port of the service leads to in this pod, or 0 (FindPort of Kubernetes). */
static int64_t resolve(const cJSON *port, const struct svc_pod *pod)
{
    const cJSON *target = cJSON_GetObjectItemCaseSensitive(port, "targetPort");
    int protocol = svc_protocol_parse(json_get_str(port, "protocol"));
    int64_t number;

    if (protocol < 0)
        return 0;
    if (cJSON_IsString(target) && *target->valuestring)
        return svc_pod_port(pod, target->valuestring, (enum svc_protocol)protocol);
    if (json_get_size(port, "targetPort", &number) < 0 || !number)
        if (json_get_size(port, "port", &number) < 0)
            return 0;
    return number <= UINT16_MAX ? number : 0;
}

static cJSON *resolve_all(const cJSON *ports, const struct svc_pod *pod)
{
    cJSON *list = cJSON_CreateArray();
    const cJSON *port;

    cJSON_ArrayForEach(port, ports)
    {
        const char *name = json_get_str(port, "name"), *protocol = json_get_str(port, "protocol");
        int64_t number = resolve(port, pod);
        cJSON *item;

        if (!number)
            continue;
        item = cJSON_CreateObject();
        json_add_str(item, "name", name ? name : "");
        json_add_str(item, "protocol", protocol ? protocol : "TCP");
        json_add_int(item, "port", number);
        (void)cJSON_AddItemToArray(list, item);
    }
    return list;
}

/* NULL where the service has ports and none leads into this pod. */
static const struct svc_port_set *set_for(struct svc_rows *rows, const struct svc_target *target,
                                          const struct svc_pod *pod)
{
    auto_json cJSON *ports = resolve_all(target->ports, pod);
    auto_free char *key = svc_ports_key(ports);
    struct svc_port_set *set;

    if (!*key && cJSON_GetArraySize(target->ports))
        return NULL;
    /* Pods of one workload have one set, so that the newest is nearly always the one. */
    for (size_t i = rows->set_count; i-- > 0;)
        if (!strcmp(rows->sets[i]->key, key))
            return rows->sets[i];
    set = xmalloc(sizeof(*set));
    *set = (struct svc_port_set){.ports = take(ports), .key = take(key)};
    array_grow(rows->sets, rows->set_count);
    rows->sets[rows->set_count++] = set;
    return set;
}

static void add_row(struct svc_rows *rows, const struct svc_target *target,
                    const struct svc_backend *backend)
{
    struct svc_row row = {.pod = backend->pod};

    if (!svc_pod_is_alive(row.pod) || svc_address_canonical(backend->address, row.address) < 0 ||
        !svc_address_bytes(row.address, row.bytes, &row.is_v6))
        return;
    row.is_ready = row.pod->is_ready || target->publishes_not_ready;
    row.set = set_for(rows, target, row.pod);
    if (!row.set)
        return;
    array_grow(rows->items, rows->count);
    rows->items[rows->count++] = row;
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

int svc_row_compare(const void *a, const void *b)
{
    const struct svc_row *x = a, *y = b;
    int order = x->set == y->set ? 0 : strcmp(x->set->key, y->set->key);

    if (!order)
        order = x->is_v6 - y->is_v6;
    if (!order)
        order = memcmp(x->bytes, y->bytes, sizeof(x->bytes));
    return order ? order : strcmp(text_or_empty(x->pod->uid), text_or_empty(y->pod->uid));
}

static void drop_repeated(struct svc_rows *rows)
{
    size_t kept = 0;

    for (size_t i = 0; i < rows->count; i++)
        if (!kept || svc_row_compare(&rows->items[kept - 1], &rows->items[i]))
            rows->items[kept++] = rows->items[i];
    rows->count = kept;
}

void svc_rows_build(const struct svc_target *target, const struct svc_backend *backends,
                    size_t count, struct svc_rows *out_rows)
{
    struct svc_rows rows = {.items = NULL};

    for (size_t i = 0; i < count; i++)
        add_row(&rows, target, &backends[i]);
    if (rows.count)
        qsort(rows.items, rows.count, sizeof(*rows.items), svc_row_compare);
    drop_repeated(&rows);
    *out_rows = rows;
}

void svc_rows_release(struct svc_rows *rows)
{
    for (size_t i = 0; i < rows->set_count; i++) {
        cJSON_Delete(rows->sets[i]->ports);
        free(rows->sets[i]->key);
        free(rows->sets[i]);
    }
    free(rows->sets);
    free(rows->items);
    *rows = (struct svc_rows){.items = NULL};
}

cJSON *svc_row_target(const struct svc_row *row)
{
    cJSON *ref = cJSON_CreateObject();

    json_add_str(ref, "kind", "Pod");
    json_add_str(ref, "namespace", row->pod->namespace);
    json_add_str(ref, "name", row->pod->name);
    json_add_str(ref, "uid", row->pod->uid);
    return ref;
}

const char *svc_row_hostname(const struct svc_row *row, const struct svc_target *target)
{
    const char *subdomain = row->pod->subdomain;

    return subdomain && !strcmp(subdomain, target->subdomain) ? row->pod->hostname : NULL;
}
