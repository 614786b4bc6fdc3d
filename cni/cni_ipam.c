/* static-ipam. */
#include "cni_ipam.h"

#include "cni_result.h"
#include "cni_version.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_address(struct cni_result *r, const char *text, struct ip_addr gateway,
                       struct err **e)
{
    struct ip_net net;

    if (!text || ip_net_parse(text, &net) < 0)
        return err_set(e, -EINVAL, "an address is not of the form ADDRESS/PREFIX: '%.60s'",
                       text ? text : "");
    cni_result_add_ip(r, net)->gateway = gateway;
    return 0;
}

/* "10.0.0.1/24", as runtimeConfig and args have them. */
static int take_texts(const cJSON *list, struct cni_result *r, struct err **e)
{
    struct ip_addr none = {.family = AF_UNSPEC};
    const cJSON *item;
    int status = 0;

    cJSON_ArrayForEach(item, list)
    {
        if (status == 0)
            status = add_address(r, cJSON_GetStringValue(item), none, e);
    }
    return status;
}

/* {"address", "gateway"} */
static int take_objects(const cJSON *list, struct cni_result *r, struct err **e)
{
    const cJSON *item;
    int status = 0;

    cJSON_ArrayForEach(item, list)
    {
        struct ip_addr gateway = {.family = AF_UNSPEC};
        const char *text = json_get_str(item, "gateway");

        if (status == 0 && text && *text && ip_parse(text, &gateway) < 0)
            status = err_set(e, -EINVAL, "'%.60s' is no address of a gateway", text);
        if (status == 0)
            status = add_address(r, json_get_str(item, "address"), gateway, e);
    }
    return status;
}

/* The next of a list with commas, without blanks around it, to be freed; NULL at the end. */
static char *next_of(const char **list)
{
    size_t len;
    char *word;

    if (!*list || !**list)
        return NULL;
    *list += strspn(*list, " ");
    len = strcspn(*list, ",");
    word = xstrndup(*list, len);
    *list += len + ((*list)[len] == ',');
    while (len && word[len - 1] == ' ')
        word[--len] = '\0';
    return word;
}

/* Its gateways are for its own addresses only. */
static int take_args(const struct cni_args *args, struct cni_result *r, struct err **e)
{
    const char *ips = args->ip, *gateways = args->gateway;
    struct ip_addr gateway = {.family = AF_UNSPEC};
    size_t first = r->n_ips;
    int status = 0;

    while (status == 0) {
        auto_free char *word = next_of(&ips);

        if (!word)
            break;
        status = add_address(r, word, gateway, e);
    }
    while (status == 0) {
        auto_free char *word = next_of(&gateways);

        if (!word)
            break;
        if (ip_parse(word, &gateway) < 0)
            return err_set(e, -EINVAL, "CNI_ARGS: '%.60s' is no address of a gateway", word);
        for (size_t i = first; i < r->n_ips; i++)
            if (ip_net_contains(r->ips[i].address, gateway))
                r->ips[i].gateway = gateway;
    }
    return status;
}

static int take_addresses(const cJSON *tree, const cJSON *ipam, const struct cni_env *env,
                          struct cni_result *r, struct err **e)
{
    const cJSON *runtime = json_get_arr(json_get_obj(tree, "runtimeConfig"), "ips");
    const cJSON *args = json_get_arr(json_get_obj(json_get_obj(tree, "args"), "cni"), "ips");
    int status;

    if (runtime && runtime->child)
        return take_texts(runtime, r, e);
    if (args && args->child)
        return take_texts(args, r, e);
    status = take_objects(json_get_arr(ipam, "addresses"), r, e);
    return status < 0 ? status : take_args(&env->args, r, e);
}

static int read_all(const cJSON *tree, const struct cni_env *env, struct cni_result *r,
                    struct err **e)
{
    const cJSON *ipam = json_get_obj(tree, "ipam");
    int status;

    if (!ipam)
        return err_set(e, -EINVAL, "the configuration has no 'ipam'");
    status = take_addresses(tree, ipam, env, r, e);
    if (status == 0)
        status = cni_routes_parse(json_get_arr(ipam, "routes"), r, e);
    if (status == 0)
        status = cni_dns_parse(cJSON_GetObjectItemCaseSensitive(ipam, "dns"), &r->dns, e);
    return status;
}

/* As in the reference, an address that is not there at all has been taken by somebody later in the
 * chain; one with another gateway is wrong. */
static int check(const cJSON *tree, const struct cni_result *ours, struct err **e)
{
    auto_cni_result struct cni_result prev = {.dns = NULL};
    const cJSON *item = json_get_obj(tree, "prevResult");
    char text[IP_TEXT_SIZE];

    if (!item)
        return err_set(e, -EINVAL, "CHECK needs prevResult");
    if (cni_result_parse(item, &prev, e) < 0)
        return err_wrap(e, "prevResult");
    for (size_t i = 0; i < ours->n_ips; i++) {
        const struct cni_ip *a = &ours->ips[i];

        for (size_t k = 0; k < prev.n_ips; k++)
            if (ip_compare(a->address.addr, prev.ips[k].address.addr) == 0 &&
                a->gateway.family != AF_UNSPEC && ip_compare(a->gateway, prev.ips[k].gateway) != 0)
                return err_set(e, -EUCLEAN, "'%s' has another gateway than it should",
                               ip_format(a->address.addr, text));
    }
    return 0;
}

int cni_ipam_run(const cJSON *tree, const struct cni_env *env, char **out, struct err **e)
{
    auto_cni_result struct cni_result r = {.dns = NULL};
    enum cni_version version = CNI_NEWEST;
    const char *name = json_get_str(tree, "name");
    int status = cni_version_parse(json_get_str(tree, "cniVersion"), &version, e);

    if (status == 0)
        status = cni_command_check(env->command, version, e);
    if (status == 0 && (!name || !cni_name_is_valid(name)))
        status = err_set(e, -EINVAL, "the configuration has no name of a network, or a wrong one");
    if (status == 0 && (env->command == CNI_ADD || env->command == CNI_CHECK))
        status = read_all(tree, env, &r, e);
    if (status == 0 && env->command == CNI_CHECK)
        status = check(tree, &r, e);
    if (status == 0)
        *out = env->command == CNI_ADD ? cni_result_print(&r, version) : NULL;
    return status;
}
