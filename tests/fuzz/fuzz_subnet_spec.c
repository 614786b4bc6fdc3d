/* Any file of subnets is refused with a text, or holds MacvlanSubnets of the right namespace that
 * are refused with a text or can be printed; options that are any text do the same. */
#include "buf.h"
#include "json.h"
#include "log.h"
#include "mem.h"
#include "subnet_spec.h"
#include "yamljson.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static void check(const cJSON *object, bool names_flags)
{
    auto_subnet struct subnet *s = NULL;
    auto_err struct err *e = NULL;
    auto_buf struct buf text;

    buf_init(&text, 1u << 22);
    if (subnet_spec_check(object, names_flags, &s, &e) < 0) {
        must(e && *e->msg);
        return;
    }
    must(s->is_valid && subnet_spec_differs(s, s) == NULL);
    (void)yamljson_print(object, &text);
}

/* The lines of the input as the values of options. */
static void by_options(const char *text)
{
    auto_free char *copy = xstrdup(text);
    const char *lines[8] = {""};
    struct subnet_flags f = {.vlan = NULL};
    auto_json cJSON *object = NULL;
    auto_err struct err *e = NULL;
    char *rest = copy;

    for (size_t i = 0; i < 8 && rest; i++)
        lines[i] = strsep(&rest, "\n");
    f = (struct subnet_flags){.master = lines[0],
                              .cidr = lines[1],
                              .vlan = lines[2],
                              .gateway = lines[3],
                              .project = lines[4],
                              .ranges = {&lines[5], lines[5] ? 1 : 0},
                              .routes = {&lines[6], lines[6] ? 1 : 0}};
    if (subnet_spec_build("s", &f, &object, &e) < 0)
        must(e && *e->msg);
    else
        check(object, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xstrndup((const char *)data, size);
    auto_json cJSON *list = cJSON_CreateArray();
    auto_err struct err *e = NULL;
    const cJSON *object;

    log_set_level(LOG_ERROR);
    by_options(text);
    if (subnet_spec_read("file", (const char *)data, size, list, &e) < 0) {
        must(e && *e->msg);
        return 0;
    }
    must(list->child != NULL);
    cJSON_ArrayForEach(object, list)
    {
        const char *ns = json_get_str(json_get_obj(object, "metadata"), "namespace");

        must(!json_get_obj(object, "metadata") || (ns && !strcmp(ns, SUBNET_SPEC_NAMESPACE)));
        check(object, false);
    }
    return 0;
}
