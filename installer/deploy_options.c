/* Options in the inventory. */
#include "deploy_options.h"

#include "buf.h"
#include "json.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 65536

/* Lines as a list, NULL-terminated. */
static char **split(const char *text)
{
    char **list = NULL;
    size_t n = 0;

    while (text && *text) {
        size_t len = strcspn(text, "\n");

        list = xreallocarray(list, n + 2, sizeof(*list));
        list[n++] = xstrndup(text, len);
        list[n] = NULL;
        text += len + (text[len] == '\n');
    }
    return list;
}

static char *join(const char *const *list)
{
    struct buf text;

    buf_init(&text, LIST_MAX);
    for (; list && *list; list++)
        (void)buf_addf(&text, "%s%s", text.len ? "\n" : "", *list);
    return buf_steal(&text);
}

static void release_list(char **list)
{
    for (char **item = list; item && *item; item++)
        free(*item);
    free(list);
}

static void recall(const cJSON *facts, const char *fact, const char **option)
{
    const char *value = json_get_str(facts, fact);

    if (!*option && value && *value)
        *option = value;
}

static bool is_yes(const cJSON *facts, const char *fact)
{
    const char *value = json_get_str(facts, fact);

    return value && !strcmp(value, "yes");
}

void deploy_options_recall(const struct deploy_inventory *inv, struct addons_options *o,
                           bool *skips_flannel, struct deploy_options *out)
{
    cJSON *facts = cJSON_Duplicate(inv->facts, true);

    *out = (struct deploy_options){.facts = facts,
                                   .ifaces = split(json_get_str(facts, "ifaces")),
                                   .regexes = split(json_get_str(facts, "ifaceRegexes"))};
    recall(facts, "mode", &o->mode);
    recall(facts, "imageSet", &o->set);
    recall(facts, "registry", &o->registry);
    recall(facts, "podCIDR", &o->pod_cidr);
    recall(facts, "serviceCIDR", &o->service_cidr);
    o->has_webhook = o->has_webhook || is_yes(facts, "webhook");
    *skips_flannel = *skips_flannel || is_yes(facts, "skipFlannel");
    if (!o->ifaces && !o->iface_regexes) {
        o->ifaces = (const char *const *)(uintptr_t)out->ifaces;
        o->iface_regexes = (const char *const *)(uintptr_t)out->regexes;
    }
}

void deploy_options_release(struct deploy_options *o)
{
    cJSON_Delete(o->facts);
    release_list(o->ifaces);
    release_list(o->regexes);
    *o = (struct deploy_options){.facts = NULL};
}

void deploy_options_keep(struct deploy_inventory *inv, const struct addons_options *o,
                         const struct addons_settings *s, bool skips_flannel)
{
    auto_free char *kubernetes = xasprintf("1.%d", s->kube_minor);
    auto_free char *ifaces = join(o->ifaces), *regexes = join(o->iface_regexes);

    deploy_inventory_set(inv, "kubernetes", kubernetes);
    deploy_inventory_set(inv, "imageSet", s->set);
    deploy_inventory_set(inv, "mode", addons_mode_name(s->mode));
    deploy_inventory_set(inv, "registry", s->registry);
    deploy_inventory_set(inv, "podCIDR", s->pod.text);
    deploy_inventory_set(inv, "serviceCIDR", s->service.text);
    deploy_inventory_set(inv, "webhook", s->has_webhook ? "yes" : NULL);
    deploy_inventory_set(inv, "skipFlannel", skips_flannel ? "yes" : NULL);
    deploy_inventory_set(inv, "ifaces", *ifaces ? ifaces : NULL);
    deploy_inventory_set(inv, "ifaceRegexes", *regexes ? regexes : NULL);
}
