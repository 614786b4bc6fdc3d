/* Any configuration is refused with a text or understood, for every command, and by static-ipam. */
#include "cni_conf.h"
#include "cni_ipam.h"
#include "cni_say.h"
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

static void must_be_json(const char *text)
{
    auto_json cJSON *tree = NULL;

    must(json_parse(text, strlen(text), &tree, NULL) == 0);
}

static void must_be_told(const cJSON *tree, const struct err *e)
{
    auto_free char *text = cni_error_print(json_get_str(tree, "cniVersion"), e);

    must(e && *e->msg);
    must_be_json(text);
}

static void parse(const cJSON *tree, enum cni_command command)
{
    auto_cni_conf struct cni_conf c = {.tree = NULL};
    struct cni_env env = {.command = command, .ifname = "eth1"};
    auto_err struct err *e = NULL;

    if (cni_conf_parse(tree, command, &c, &e) < 0) {
        must_be_told(tree, e);
        return;
    }
    must(cni_name_is_valid(c.name) && cni_ifname_is_valid(cni_conf_ifname(&c, &env)));
    must(!c.master || cni_ifname_is_valid(c.master));
    must(c.timeout_ms > 0 && c.log_max > 0);
    (void)cni_conf_mac(&c, &env);
    if (c.has_prev) {
        auto_free char *text = cni_result_print(&c.prev, c.version);
        auto_free char *passed = cni_result_pass(c.prev_tree, c.version);

        must_be_json(text);
        must_be_json(passed);
    }
}

static void run_ipam(const cJSON *tree, enum cni_command command)
{
    struct cni_env env = {.command = command, .args = {.ip = (char *)"10.0.0.1/8 , fd00::1/64"}};
    auto_err struct err *e = NULL;
    auto_free char *text = NULL;

    if (cni_ipam_run(tree, &env, &text, &e) < 0)
        must_be_told(tree, e);
    else if (text)
        must_be_json(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_json cJSON *tree = NULL;

    if (json_parse((const char *)data, size, &tree, NULL) < 0)
        return 0;
    parse(tree, CNI_ADD);
    parse(tree, CNI_DEL);
    parse(tree, CNI_GC);
    run_ipam(tree, CNI_ADD);
    run_ipam(tree, CNI_CHECK);
    return 0;
}
