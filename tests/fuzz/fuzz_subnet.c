/* Any JSON is refused or becomes a subnet whose allocator keeps to its rules and to its counts. */
#include "json.h"
#include "macvlan/alloc.h"
#include "macvlan/macvlanip.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIMS 300

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static void check_counts(const struct alloc *a, uint64_t used)
{
    struct alloc_counts c;

    alloc_count(a, &c);
    must(c.used == used && c.outside == 0);
    must(c.total == UINT64_MAX || c.total == c.used + c.free + c.reserved + c.cooling);
}

static void allocate(const struct subnet *s)
{
    struct alloc *a = alloc_new(s);
    struct ip_addr got[CLAIMS];
    uint64_t n = 0;

    for (; n < CLAIMS && alloc_claim_lowest(a, &got[n]); n++) {
        must(subnet_place(s, got[n]) == SUBNET_USABLE);
        must(!n || ip_compare(got[n - 1], got[n]) < 0);
    }
    check_counts(a, n);
    for (uint64_t i = 0; i < n; i++)
        alloc_release(a, got[i], i % 2 ? 1000 : 0);
    check_counts(a, 0);
    alloc_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json cJSON *tree = NULL, *network = NULL;
    auto_subnet struct subnet *s = NULL;

    if (json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    if (subnet_parse(tree, size % 2, &s, NULL) < 0)
        return 0;
    must(s->is_valid || s->n_findings);
    if (!s->is_valid)
        return 0;
    allocate(s);
    must(subnet_check_overlap(s, s, NULL) < 0);
    network = macvlanip_network(s);
    must(macvlanip_digest(network) != 0);
    return 0;
}
