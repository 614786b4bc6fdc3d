/* Pods as services see them. */
#include "svc_pod.h"

#include "macvlan/annot.h"

#include "json.h"
#include "macvlan/svc_networks.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Filled twice: at first only counted, then into the block. */
struct pack {
    char *text; /* where the next string goes; NULL: only count */
    size_t text_size;
    struct svc_label *labels;
    struct svc_named_port *ports;
    struct svc_network_ip *ips;
    struct svc_pod pod;
};

static const char *pack_text(struct pack *k, const char *s)
{
    size_t size = s && *s ? strlen(s) + 1 : 0;
    char *copy = k->text;

    k->text_size += size;
    if (!size || !copy)
        return NULL;
    memcpy(copy, s, size);
    k->text += size;
    return copy;
}

static void pack_labels(struct pack *k, const cJSON *labels)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, labels)
    {
        struct svc_label label = {.key = NULL};

        if (!cJSON_IsString(item) || !*item->string || k->pod.label_count == UINT16_MAX)
            continue;
        label.key = pack_text(k, item->string);
        label.value = pack_text(k, item->valuestring);
        if (k->labels)
            k->labels[k->pod.label_count] = label;
        k->pod.label_count++;
    }
}

static void pack_port(struct pack *k, const cJSON *item)
{
    const char *name = json_get_str(item, "name");
    int protocol = svc_protocol_parse(json_get_str(item, "protocol"));
    struct svc_named_port port;
    int64_t number;

    if (!name || !*name || protocol < 0 || json_get_size(item, "containerPort", &number) < 0 ||
        number < 1 || number > UINT16_MAX || k->pod.port_count == UINT16_MAX)
        return;
    port = (struct svc_named_port){.name = pack_text(k, name),
                                   .number = (uint16_t)number,
                                   .protocol = (uint8_t)protocol};
    if (k->ports)
        k->ports[k->pod.port_count] = port;
    k->pod.port_count++;
}

static void pack_ports(struct pack *k, const cJSON *spec)
{
    const cJSON *container, *port;

    cJSON_ArrayForEach(container, json_get_arr(spec, "containers"))
    {
        cJSON_ArrayForEach(port, json_get_arr(container, "ports")) pack_port(k, port);
    }
    /* Init containers that keep running (Kubernetes 1.28) have ports as well. */
    cJSON_ArrayForEach(container, json_get_arr(spec, "initContainers"))
    {
        const char *policy = json_get_str(container, "restartPolicy");

        if (!policy || strcmp(policy, "Always"))
            continue;
        cJSON_ArrayForEach(port, json_get_arr(container, "ports")) pack_port(k, port);
    }
}

static void pack_ips(struct pack *k, const struct svc_statuses *statuses)
{
    for (size_t i = 0; i < statuses->count; i++) {
        const struct svc_network_status *s = &statuses->items[i];

        for (size_t j = 0; j < s->ip_count; j++) {
            struct svc_network_ip ip = {
                .namespace = pack_text(k, s->network.namespace),
                .network = pack_text(k, s->network.name),
                .address = pack_text(k, s->ips[j]),
            };

            if (k->ips)
                k->ips[k->pod.network_ip_count] = ip;
            k->pod.network_ip_count++;
        }
    }
}

static bool is_ready(const cJSON *status)
{
    const cJSON *condition;

    cJSON_ArrayForEach(condition, json_get_arr(status, "conditions"))
    {
        const char *type = json_get_str(condition, "type");
        const char *value = json_get_str(condition, "status");

        if (type && !strcmp(type, "Ready"))
            return value && !strcmp(value, "True");
    }
    return false;
}

static bool is_one_of(const char *text, const char *a, const char *b)
{
    return text && (!strcmp(text, a) || !strcmp(text, b));
}

static void set_facts(struct svc_pod *p, const cJSON *metadata, const cJSON *status)
{
    const cJSON *annotations = json_get_obj(metadata, "annotations");

    p->is_macvlan = json_get_str(annotations, ANNOT_IP) && json_get_str(annotations, ANNOT_SUBNET);
    p->is_unserved = is_one_of(json_get_str(annotations, SVC_SERVICE_KEY), "disable", "disabled");
    p->is_deleted = json_get_str(metadata, "deletionTimestamp") != NULL;
    p->is_terminated = is_one_of(json_get_str(status, "phase"), "Succeeded", "Failed");
    p->is_ready = is_ready(status);
}

static void pack_pod(struct pack *k, const cJSON *pod, const struct svc_statuses *statuses)
{
    const cJSON *metadata = json_get_obj(pod, "metadata"), *spec = json_get_obj(pod, "spec");

    k->pod = (struct svc_pod){
        .namespace = pack_text(k, json_get_str(metadata, "namespace")),
        .name = pack_text(k, json_get_str(metadata, "name")),
        .uid = pack_text(k, json_get_str(metadata, "uid")),
        .node = pack_text(k, json_get_str(spec, "nodeName")),
        .hostname = pack_text(k, json_get_str(spec, "hostname")),
        .subdomain = pack_text(k, json_get_str(spec, "subdomain")),
        .labels = k->labels,
        .ports = k->ports,
        .network_ips = k->ips,
    };
    pack_labels(k, json_get_obj(metadata, "labels"));
    pack_ports(k, spec);
    pack_ips(k, statuses);
    set_facts(&k->pod, metadata, json_get_obj(pod, "status"));
}

static void read_statuses(const cJSON *pod, struct svc_statuses *statuses)
{
    const cJSON *annotations = json_get_obj(json_get_obj(pod, "metadata"), "annotations");
    const char *text = json_get_str(annotations, SVC_STATUS_KEY);

    if (!text)
        text = json_get_str(annotations, SVC_STATUS_OLD_KEY);
    if (text)
        (void)svc_statuses_parse(text, statuses, NULL);
}

struct svc_pod *svc_pod_new(const cJSON *pod)
{
    auto_statuses struct svc_statuses statuses = {.items = NULL};
    struct pack k = {.text = NULL};
    size_t labels, ports, ips;
    char *block;

    if (!cJSON_IsObject(pod))
        return NULL;
    read_statuses(pod, &statuses);
    pack_pod(&k, pod, &statuses);
    labels = sizeof(struct svc_pod);
    ips = labels + k.pod.label_count * sizeof(struct svc_label);
    ports = ips + k.pod.network_ip_count * sizeof(struct svc_network_ip);
    /* Pointers come first, so that every array is aligned. */
    block = xmalloc(ports + k.pod.port_count * sizeof(struct svc_named_port) + k.text_size);
    k = (struct pack){
        .labels = (struct svc_label *)(void *)(block + labels),
        .ips = (struct svc_network_ip *)(void *)(block + ips),
        .ports = (struct svc_named_port *)(void *)(block + ports),
        .text = block + ports + k.pod.port_count * sizeof(struct svc_named_port),
    };
    pack_pod(&k, pod, &statuses);
    memcpy(block, &k.pod, sizeof(k.pod));
    return (struct svc_pod *)(void *)block;
}

void svc_pod_free(struct svc_pod *p)
{
    free(p);
}

void svc_pod_cleanup(struct svc_pod **p)
{
    int saved = errno;

    svc_pod_free(*p);
    *p = NULL;
    errno = saved;
}

bool svc_pod_is_alive(const struct svc_pod *p)
{
    return !p->is_deleted && !p->is_terminated;
}

static bool has_label(const struct svc_pod *p, const char *key, const char *value)
{
    for (size_t i = 0; i < p->label_count; i++)
        if (!strcmp(p->labels[i].key, key))
            return !strcmp(p->labels[i].value ? p->labels[i].value : "", value);
    return false;
}

bool svc_pod_is_selected(const struct svc_pod *p, const cJSON *selector)
{
    const cJSON *item;
    bool has_any = false;

    cJSON_ArrayForEach(item, selector)
    {
        if (!item->string || !cJSON_IsString(item) ||
            !has_label(p, item->string, item->valuestring))
            return false;
        has_any = true;
    }
    return has_any;
}

static bool is_on(const struct svc_network_ip *ip, const struct svc_pod *p,
                  const struct svc_network *network)
{
    const char *wanted = network->namespace ? network->namespace : p->namespace;

    return !strcmp(ip->network, network->name) &&
           (!ip->namespace || !wanted || !strcmp(ip->namespace, wanted));
}

const char *svc_pod_network_ip(const struct svc_pod *p, const struct svc_network *network, size_t n)
{
    for (size_t i = 0; i < p->network_ip_count; i++)
        if (is_on(&p->network_ips[i], p, network) && !n--)
            return p->network_ips[i].address;
    return NULL;
}

uint16_t svc_pod_port(const struct svc_pod *p, const char *name, enum svc_protocol protocol)
{
    for (size_t i = 0; i < p->port_count; i++)
        if (p->ports[i].protocol == protocol && !strcmp(p->ports[i].name, name))
            return p->ports[i].number;
    return 0;
}

static const char *const protocol_names[] = {"TCP", "UDP", "SCTP"};

int svc_protocol_parse(const char *name)
{
    for (int i = 0; i < 3; i++)
        if (!name || !strcmp(name, protocol_names[i]))
            return i;
    return -EINVAL;
}

const char *svc_protocol_name(enum svc_protocol protocol)
{
    return protocol_names[protocol];
}
