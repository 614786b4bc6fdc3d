/* Any result is refused with a text, or printed in each version so that it reads the same again. */
#include "cni_result.h"
#include "json.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static void print_and_read(const struct cni_result *r, enum cni_version version)
{
    auto_free char *text = cni_result_print(r, version), *again = NULL;
    auto_cni_result struct cni_result read = {.dns = NULL};
    auto_json cJSON *tree = NULL;

    must(json_parse(text, strlen(text), &tree, NULL) == 0);
    must(cni_result_parse(tree, &read, NULL) == 0);
    must(read.n_ips == r->n_ips && read.n_routes == r->n_routes &&
         read.n_interfaces == r->n_interfaces);
    again = cni_result_print(&read, version);
    must(strcmp(text, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json cJSON *tree = NULL;
    auto_cni_result struct cni_result r = {.dns = NULL};
    auto_err struct err *e = NULL;
    size_t n_interfaces;

    if (json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    if (cni_result_parse(tree, &r, &e) < 0) {
        must(e && *e->msg);
        return 0;
    }
    for (int version = CNI_0_3_0; version <= CNI_1_1_0; version++)
        print_and_read(&r, (enum cni_version)version);
    n_interfaces = r.n_interfaces;
    {
        auto_cni_result struct cni_result both = {.dns = NULL};

        cni_result_merge(&both, &r);
        cni_result_merge(&both, &r);
        must(both.n_interfaces == 2 * n_interfaces && both.n_ips == 2 * r.n_ips);
    }
    return 0;
}
