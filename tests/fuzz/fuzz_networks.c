/*
 * The network annotations: any text is refused or becomes networks whose names an object can bear,
 * and a pod that carries it as its status gets no address that an endpoint may not have.
 */
#include "json.h"
#include "macvlan/svc_networks.h"
#include "mem.h"
#include "svc_pod.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_networks(const char *text)
{
    auto_networks struct svc_networks n = {.items = NULL};

    if (svc_networks_parse(text, &n, NULL) < 0)
        return;
    if (n.count > SVC_NETWORKS_MAX)
        abort();
    for (size_t i = 0; i < n.count; i++)
        if (!svc_name_is_valid(n.items[i].name) ||
            (n.items[i].interface && strchr(n.items[i].interface, '/')))
            abort();
}

static void check_pod(const char *text)
{
    auto_json cJSON *tree = cJSON_CreateObject();
    auto_svc_pod struct svc_pod *p = NULL;

    json_add_str(cJSON_AddObjectToObject(cJSON_AddObjectToObject(tree, "metadata"), "annotations"),
                 SVC_STATUS_KEY, text);
    p = svc_pod_new(tree);
    for (size_t i = 0; i < p->network_ip_count; i++) {
        char canonical[SVC_ADDRESS_SIZE];

        if (svc_address_canonical(p->network_ips[i].address, canonical) < 0 ||
            strcmp(canonical, p->network_ips[i].address))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xmalloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    check_networks(text);
    check_pod(text);
    return 0;
}
