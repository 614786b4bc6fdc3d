/* Any JSON array becomes nodes and subnets whose numbers are in their ranges. */
#include "conn_vlan.h"
#include "flannel_nodes.h"
#include "json.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json cJSON *tree = NULL;
    auto_flannel_nodes struct flannel_nodes nodes = {.count = 0};
    auto_conn_subnets struct conn_subnets subnets = {.count = 0};
    auto_conn_report struct conn_report report = {.count = 0};

    if (json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    flannel_nodes_read(tree, &nodes);
    for (size_t i = 0; i < nodes.count; i++) {
        must(nodes.items[i].name != NULL);
        must(!nodes.items[i].has_pods || nodes.items[i].pods.prefix <= 32);
    }
    conn_subnets_read(tree, &subnets);
    for (size_t i = 0; i < subnets.count; i++)
        must(subnets.items[i].vlan < 4095 && *subnets.items[i].master);
    conn_judge_vlans(NULL, 0, &subnets, NULL, 0, &report);
    must(report.count == subnets.count);
    return 0;
}
