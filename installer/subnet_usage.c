/* The addresses of a subnet, with those that have them. */
#include "subnet_usage.h"

#include "json.h"
#include "macvlan/annot.h"
#include "macvlan/ipset.h"
#include "macvlan/macvlanip.h"
#include "mem.h"

#include <stdlib.h>
#include <string.h>

struct making {
    const struct netview *v;
    const cJSON *object;
    struct netview_index pods, sets;
    struct usage *u;
};

const char *usage_state_name(enum usage_state state)
{
    static const char *const names[] = {"used",   "kept",     "cooling",
                                        "orphan", "promised", "reserved"};

    return names[state];
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);

    return text ? text : "";
}

static struct usage_row *add_row(struct usage *u, enum usage_state state, struct ip_addr ip)
{
    array_grow(u->rows, u->n_rows);
    u->rows[u->n_rows] = (struct usage_row){.state = state,
                                            .first = ip,
                                            .last = ip,
                                            .mac = "",
                                            .namespace = "",
                                            .pod = "",
                                            .node = "",
                                            .since = "",
                                            .until = ""};
    return &u->rows[u->n_rows++];
}

/* --- MacvlanIPs --- */

static bool has_set(const struct making *m, const struct macvlanip *ip)
{
    const char *dash = strrchr(ip->name, '-');
    auto_free char *set = dash ? xstrndup(ip->name, (size_t)(dash - ip->name)) : NULL;
    const cJSON *object = set ? netview_index_find(&m->sets, ip->namespace, set) : NULL;

    return ip->owner == MACVLANIP_STATEFULSET && object &&
           !strcmp(netview_uid(object), ip->owner_uid);
}

static enum usage_state state_of(const struct making *m, const struct macvlanip *ip,
                                 const cJSON *pod)
{
    if (pod && !netview_pod_has_ended(pod))
        return USAGE_USED;
    if (ip->is_deleting && ip->has_delay_finalizer)
        return USAGE_COOLING;
    return has_set(m, ip) ? USAGE_KEPT : USAGE_ORPHAN;
}

static void add_ip(struct making *m, const cJSON *object)
{
    struct macvlanip *ip = NULL;
    const cJSON *pod, *spec = json_get_obj(object, "spec");
    struct usage_row *row;

    if (macvlanip_parse(object, &ip, NULL) < 0)
        return;
    pod = netview_index_find(&m->pods, ip->namespace, ip->name);
    if (pod && strcmp(netview_uid(pod), ip->pod_uid) != 0)
        pod = NULL;
    row = add_row(m->u, state_of(m, ip, pod), ip->ip);
    row->mac = text_of(spec, "mac");
    row->namespace = netview_namespace(object);
    row->pod = netview_name(object);
    row->workload = netview_workload_of(pod, m->v->workloads[3]);
    row->node = netview_node(pod);
    row->since = text_of(json_get_obj(object, "metadata"), "creationTimestamp");
    row->is_auto = ip->is_auto;
    row->until = text_of(netview_annotations(object), MACVLANIP_DELAY_KEY);
    macvlanip_free(ip);
}

static void add_ips(struct making *m)
{
    const char *name = netview_name(m->object);
    const cJSON *item;

    cJSON_ArrayForEach(item, m->v->ips)
    {
        if (!strcmp(text_of(json_get_obj(item, "spec"), "subnet"), name))
            add_ip(m, item);
    }
}

/* --- promises --- */

static bool has_row(const struct usage *u, struct ip_addr ip)
{
    for (size_t i = 0; i < u->n_rows; i++)
        if (!ip_compare(u->rows[i].first, ip))
            return true;
    return false;
}

/* "namespace/name" of a pod, found for the sake of its texts. */
static const cJSON *pod_of(const struct making *m, const char *key)
{
    const char *slash = strchr(key, '/');
    auto_free char *namespace = slash ? xstrndup(key, (size_t)(slash - key)) : NULL;

    return slash ? netview_index_find(&m->pods, namespace, slash + 1) : NULL;
}

static void add_promises(struct making *m)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get_arr(json_get_obj(m->object, "status"), "intents"))
    {
        const cJSON *pod = pod_of(m, text_of(item, "pod"));
        struct ip_addr ip;
        struct usage_row *row;

        if (ip_parse(text_of(item, "ip"), &ip) < 0 || has_row(m->u, ip))
            continue;
        row = add_row(m->u, USAGE_PROMISED, ip);
        row->mac = text_of(item, "mac");
        row->workload = netview_workload_of(pod, m->v->workloads[3]);
        row->namespace = netview_namespace(pod);
        row->pod = pod ? netview_name(pod) : text_of(item, "pod");
        row->node = netview_node(pod);
    }
}

/* --- reservations --- */

static int compare_ips(const void *a, const void *b)
{
    return ip_compare(*(const struct ip_addr *)a, *(const struct ip_addr *)b);
}

/* Neighbours of one workload become one row. */
static void reserve(struct making *m, const struct netview_kind *kind, const cJSON *workload,
                    struct annot_request *r, const struct ipset *used)
{
    struct usage_row *row = NULL;

    qsort(r->ips, r->n_ips, sizeof(*r->ips), compare_ips);
    for (size_t i = 0; i < r->n_ips; i++) {
        struct ip_addr next;

        if (ipset_has(used, r->ips[i].value)) {
            row = NULL;
            continue;
        }
        if (row && ip_add(row->last, 1, &next) == 0 && !ip_compare(next, r->ips[i])) {
            row->last = next;
            continue;
        }
        row = add_row(m->u, USAGE_RESERVED, r->ips[i]);
        row->namespace = netview_namespace(workload);
        row->workload = xasprintf("%s/%s", kind->word, netview_name(workload));
    }
}

static void add_reservations(struct making *m, struct alloc *alloc, const struct ipset *used)
{
    for (size_t i = 0; i < NETVIEW_KINDS; i++) {
        const struct netview_kind *kind = &netview_kinds[i];
        const cJSON *item;

        cJSON_ArrayForEach(item, m->v->workloads[i])
        {
            auto_annot_request struct annot_request r = {.subnet = NULL};
            auto_annot_refusal struct annot_refusal no = {.text = NULL};
            const cJSON *annotations = netview_annotations(netview_template(kind, item));

            if (netview_has_ended(item) || annot_parse(annotations, &r, &no) != 1 || !r.n_ips ||
                strcmp(r.subnet, netview_name(m->object)) != 0)
                continue;
            for (size_t k = 0; alloc && k < r.n_ips; k++)
                alloc_reserve(alloc, r.ips[k]);
            reserve(m, kind, item, &r, used);
        }
    }
}

/* --- the whole --- */

static int compare_rows(const void *a, const void *b)
{
    return ip_compare(((const struct usage_row *)a)->first, ((const struct usage_row *)b)->first);
}

/* What a walk over the set of free addresses gives; a legacy rule takes single ones out of it that
 * are not listed. */
static void find_free(struct usage *u, struct ipset *set)
{
    struct ip_range r;
    ip_num from = 0;

    for (size_t i = 0; i < u->n_rows; i++)
        if (u->rows[i].first.family)
            ipset_remove(set, u->rows[i].first.value, u->rows[i].last.value);
    while (ipset_next(set, from, &r)) {
        array_grow(u->free, u->n_free);
        u->free[u->n_free++] = r;
        from = r.last + 1;
        if (!from)
            break;
    }
}

/* Whatever holds an address is there by now. */
static struct alloc *count_held(struct usage *u, struct ipset *used)
{
    struct alloc *alloc = u->subnet->is_valid ? alloc_new(u->subnet) : NULL;

    for (size_t i = 0; i < u->n_rows; i++) {
        struct usage_row *row = &u->rows[i];

        if (!row->first.family)
            continue;
        ipset_add(used, row->first.value, row->first.value);
        if (!alloc)
            continue;
        (void)alloc_adopt(alloc, row->first);
        row->is_outside = subnet_place(u->subnet, row->first) != SUBNET_USABLE;
    }
    return alloc;
}

static void fill(struct making *m)
{
    struct usage *u = m->u;
    struct ipset used, set;
    struct alloc *alloc;

    ipset_init(&used);
    ipset_init(&set);
    add_ips(m);
    add_promises(m);
    alloc = count_held(u, &used);
    add_reservations(m, alloc, &used);
    if (alloc) {
        alloc_count(alloc, &u->counts);
        subnet_fill(u->subnet, &set);
        find_free(u, &set);
    }
    if (u->n_rows)
        qsort(u->rows, u->n_rows, sizeof(*u->rows), compare_rows);
    alloc_free(alloc);
    ipset_release(&used);
    ipset_release(&set);
}

int usage_make(const struct netview *v, const cJSON *object, struct usage *out, struct err **e)
{
    struct usage u = {.n_rows = 0};
    struct making m = {.v = v, .object = object, .u = &u};
    int r = subnet_parse(object, v->has_legacy_octets, &u.subnet, e);

    if (r < 0)
        return r;
    netview_index_init(&m.pods, v->pods);
    netview_index_init(&m.sets, v->workloads[1]);
    fill(&m);
    netview_index_release(&m.pods);
    netview_index_release(&m.sets);
    *out = u;
    return 0;
}

void usage_release(struct usage *u)
{
    for (size_t i = 0; i < u->n_rows; i++)
        free(u->rows[i].workload);
    free(u->rows);
    free(u->free);
    subnet_free(u->subnet);
    *u = (struct usage){.n_rows = 0};
}

bool usage_from_status(const cJSON *object, struct alloc_counts *out)
{
    static const char *const names[] = {"total", "used", "free", "reserved", "cooling", "outside"};
    const cJSON *status = json_get_obj(object, "status");
    int64_t n[6];

    for (size_t i = 0; i < 6; i++)
        if (json_get_size(status, names[i], &n[i]) < 0)
            return false;
    *out = (struct alloc_counts){.total = (uint64_t)n[0],
                                 .used = (uint64_t)n[1],
                                 .free = (uint64_t)n[2],
                                 .reserved = (uint64_t)n[3],
                                 .cooling = (uint64_t)n[4],
                                 .outside = (uint64_t)n[5]};
    return true;
}
