/* Whatever objects a server gives: findings have all their texts, figures add up, and what a
 * workload patch changes is changed once. The input is an object with arrays by the names of struct
 * netview; "workloads" is an array of arrays. */
#include "buf.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "netcheck.h"
#include "subnet_usage.h"
#include "workload.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static cJSON *array_of(const cJSON *tree, const char *name)
{
    const cJSON *list = json_get_arr(tree, name);

    return list ? cJSON_Duplicate(list, 1) : cJSON_CreateArray();
}

static void fill(const cJSON *tree, struct netview *v)
{
    const cJSON *workloads = json_get_arr(tree, "workloads");

    v->subnets = array_of(tree, "subnets");
    v->ips = array_of(tree, "ips");
    v->pods = array_of(tree, "pods");
    v->services = array_of(tree, "services");
    v->endpoints = array_of(tree, "endpoints");
    v->namespaces = array_of(tree, "namespaces");
    v->events = array_of(tree, "events");
    v->nads = array_of(tree, "nads");
    for (int i = 0; i < NETVIEW_KINDS; i++) {
        const cJSON *list = cJSON_GetArrayItem(workloads, i);

        v->workloads[i] = cJSON_IsArray(list) ? cJSON_Duplicate(list, 1) : cJSON_CreateArray();
    }
    v->lease = cJSON_Duplicate(json_get_obj(tree, "lease"), 1);
    v->is_multus = !json_get_obj(tree, "chained");
}

static void check_usage(const struct netview *v, const cJSON *object)
{
    auto_usage struct usage u = {.n_rows = 0};
    const struct alloc_counts *n = &u.counts;

    if (usage_make(v, object, &u, NULL) < 0 || !u.subnet->is_valid)
        return;
    must(n->total == UINT64_MAX ||
         n->total == n->used - n->outside + n->free + n->reserved + n->cooling);
}

static void check_patch(const struct netview *v, const struct netview_kind *kind,
                        const cJSON *object)
{
    const struct workload_ask ask = {"s1", "10.0.0.5,10.0.0.6", NULL, true};
    const struct workload_ref ref = {kind, netview_name(object)};
    auto_json cJSON *enable = NULL, *disable = NULL;
    auto_buf struct buf text;

    buf_init(&text, 1u << 20);
    (void)workload_check(v, &ref, object, &ask, NULL);
    if (workload_enable(kind, object, &ask, &enable, NULL) == 0) {
        bool is_changed = workload_patch_trim(object, enable);

        must(workload_patch_trim(object, enable) == is_changed);
        (void)workload_patch_diff(object, enable, &text);
        must(text.overflowed || !is_changed || text.len);
    }
    if (workload_disable(kind, object, &disable, NULL) == 0)
        (void)workload_patch_trim(object, disable);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json cJSON *tree = NULL;
    auto_netview struct netview v = {.subnets = NULL};
    struct netcheck n = {.v = &v};
    const cJSON *object;

    log_set_level(LOG_ERROR);
    if (json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    fill(tree, &v);
    netcheck_run(&n);
    for (size_t i = 0; i < n.n_findings; i++)
        must(n.findings[i].code && n.findings[i].subject && n.findings[i].cause &&
             n.findings[i].mend);
    netcheck_confirm(&n, &n);
    netcheck_release(&n);
    cJSON_ArrayForEach(object, v.subnets)
    {
        check_usage(&v, object);
    }
    for (size_t i = 0; i < NETVIEW_KINDS; i++)
        cJSON_ArrayForEach(object, v.workloads[i])
        {
            check_patch(&v, &netview_kinds[i], object);
        }
    return 0;
}
