/* Any annotations are left alone, refused with a text, or lead to a pair that was asked for. */
#include "json.h"
#include "macvlan/annot.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static void check_pair(const struct annot_request *r, const struct annot_pair *pair)
{
    auto_json cJSON *labels = annot_labels(r, pair->ip, pair->has_mac ? &pair->mac : NULL);
    const cJSON *label;
    size_t i = 0;

    while (i < r->n_ips && ip_compare(r->ips[i], pair->ip))
        i++;
    must(!r->n_ips || i < r->n_ips);
    must(!r->n_ips || !r->n_macs || ip_mac_value(r->macs[i]) == ip_mac_value(pair->mac));
    must(pair->has_mac);
    cJSON_ArrayForEach(label, labels)
    {
        must(cJSON_IsString(label) && strlen(label->valuestring) <= 63);
    }
}

static void pick(const struct annot_request *r, const char *spec)
{
    auto_json cJSON *tree = NULL;
    auto_subnet struct subnet *s = NULL;
    auto_annot_refusal struct annot_refusal no = {0};
    struct annot_source from = {.cluster_uid = "uid"};
    struct annot_pair pair;

    must(json_parse(spec, strlen(spec), &tree, NULL) == 0);
    must(subnet_parse(tree, false, &s, NULL) == 0 && s->is_valid);
    from.alloc = alloc_new(s);
    from.macs = mac_set_new();
    for (int i = 0; i < 4; i++) {
        if (annot_pick(r, &from, &pair, &no) < 0)
            must(no.reason && no.text && no.admission);
        else
            check_pair(r, &pair);
    }
    alloc_free(from.alloc);
    mac_set_free(from.macs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json cJSON *tree = NULL;
    auto_annot_request struct annot_request r = {.subnet = NULL};
    auto_annot_refusal struct annot_refusal no = {0};
    int status;

    if (json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    free(annot_half(tree, size % 2));
    status = annot_parse(tree, &r, &no);
    must(status >= 0 || (no.reason && no.text && no.admission));
    if (status <= 0)
        return 0;
    free(annot_long_list(&r));
    pick(&r, "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"master\":\"eth0\","
             "\"cidr\":\"10.0.0.0/24\"}}");
    pick(&r, "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"master\":\"eth0\","
             "\"cidr\":\"fd00::/64\"}}");
    return 0;
}
