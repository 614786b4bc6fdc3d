/* Results as other plugins print them. */
#include "cni_result.h"
#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNull(item) ? NULL : item;
}

/* A list, which may be absent (NULL), of objects. */
static int get_list(const cJSON *tree, const char *name, const cJSON **out, struct err **e)
{
    const cJSON *list = member(tree, name), *item;

    if (list && !cJSON_IsArray(list))
        return err_set(e, -EINVAL, "'%s' is no list", name);
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsObject(item))
            return err_set(e, -EINVAL, "a member of '%s' is no object", name);
    }
    *out = list;
    return 0;
}

static int get_text(const cJSON *object, const char *name, char **out, struct err **e)
{
    const cJSON *item = member(object, name);

    if (!item)
        return 0;
    if (!cJSON_IsString(item))
        return err_set(e, -EINVAL, "'%s' is no text", name);
    if (*item->valuestring)
        *out = xstrdup(item->valuestring);
    return 0;
}

static int get_number(const cJSON *object, const char *name, int64_t max, int64_t *out,
                      struct err **e)
{
    int64_t value = 0;

    if (!member(object, name))
        return 0;
    if (json_get_size(object, name, &value) < 0 || value > max)
        return err_set(e, -EINVAL, "'%s' is no number from 0 to %lld", name, (long long)max);
    *out = value;
    return 0;
}

static int get_addr(const cJSON *object, const char *name, struct ip_addr *out, struct err **e)
{
    const cJSON *item = member(object, name);
    const char *text = cJSON_GetStringValue(item);

    if (!item || (text && !*text))
        return 0;
    if (!text || ip_parse(text, out) < 0)
        return err_set(e, -EINVAL, "'%s' is no address: '%.60s'", name, text ? text : "");
    return 0;
}

static int get_net(const cJSON *object, const char *name, struct ip_net *out, struct err **e)
{
    const char *text = json_get_str(object, name);

    if (!text)
        return err_set(e, -EINVAL, "'%s' is missing", name);
    if (ip_net_parse(text, out) < 0)
        return err_set(e, -EINVAL, "'%s' is not of the form ADDRESS/PREFIX: '%.60s'", name, text);
    return 0;
}

static int parse_interface(const cJSON *item, struct cni_result *r, struct err **e)
{
    const char *name = json_get_str(item, "name");
    struct cni_interface *to;
    int64_t mtu = 0;
    int status = 0;

    if (!name)
        return err_set(e, -EINVAL, "an interface has no name");
    to = cni_result_add_interface(r, name);
    status = get_text(item, "mac", &to->mac, e);
    if (status == 0)
        status = get_text(item, "sandbox", &to->sandbox, e);
    if (status == 0)
        status = get_text(item, "socketPath", &to->socket_path, e);
    if (status == 0)
        status = get_text(item, "pciID", &to->pci, e);
    if (status == 0)
        status = get_number(item, "mtu", INT32_MAX, &mtu, e);
    to->mtu = (unsigned)mtu;
    return status;
}

static int parse_ip(const cJSON *item, struct cni_result *r, struct err **e)
{
    struct ip_net address;
    struct ip_addr gateway = {.family = AF_UNSPEC};
    int64_t index = -1;
    int status = get_net(item, "address", &address, e);

    if (status == 0)
        status = get_addr(item, "gateway", &gateway, e);
    if (status == 0)
        status = get_number(item, "interface", INT16_MAX, &index, e);
    if (status == 0) {
        struct cni_ip *to = cni_result_add_ip(r, address);

        to->gateway = gateway;
        to->interface = (int)index;
    }
    return status;
}

static int parse_route(const cJSON *item, struct cni_result *r, struct err **e)
{
    struct ip_net dst;
    struct ip_addr gw = {.family = AF_UNSPEC};
    struct cni_route *to;
    int status = get_net(item, "dst", &dst, e);

    if (status == 0)
        status = get_addr(item, "gw", &gw, e);
    if (status < 0)
        return status;
    to = cni_result_add_route(r, dst, gw);
    status = get_number(item, "mtu", UINT32_MAX, &to->mtu, e);
    if (status == 0)
        status = get_number(item, "advmss", UINT32_MAX, &to->advmss, e);
    if (status == 0)
        status = get_number(item, "priority", UINT32_MAX, &to->priority, e);
    if (status == 0)
        status = get_number(item, "table", UINT32_MAX, &to->table, e);
    if (status == 0)
        status = get_number(item, "scope", UINT8_MAX, &to->scope, e);
    return status;
}

static int parse_each(const cJSON *list, struct cni_result *r,
                      int (*parse)(const cJSON *item, struct cni_result *r, struct err **e),
                      struct err **e)
{
    const cJSON *item;
    int status;

    cJSON_ArrayForEach(item, list)
    {
        status = cJSON_IsObject(item) ? parse(item, r, e)
                                      : err_set(e, -EINVAL, "a member of a list is no object");
        if (status < 0)
            return status;
    }
    return 0;
}

int cni_routes_parse(const cJSON *list, struct cni_result *r, struct err **e)
{
    return parse_each(list, r, parse_route, e);
}

static int check_texts(const cJSON *list, const char *name, struct err **e)
{
    const cJSON *item;

    if (!cJSON_IsArray(list))
        return err_set(e, -EINVAL, "'%s' of 'dns' is no list", name);
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item))
            return err_set(e, -EINVAL, "'%s' of 'dns' has more than texts", name);
    }
    return 0;
}

/* Only what the specification knows, and nothing that is empty: the form of the reference library.
 */
int cni_dns_parse(const cJSON *dns, cJSON **out, struct err **e)
{
    static const char *const lists[] = {"nameservers", "search", "options"};
    auto_json cJSON *copy = cJSON_CreateObject();
    const cJSON *domain = member(dns, "domain");
    int status = 0;

    if (dns && !cJSON_IsNull(dns) && !cJSON_IsObject(dns))
        return err_set(e, -EINVAL, "'dns' is no object");
    if (domain && !cJSON_IsString(domain))
        return err_set(e, -EINVAL, "'domain' of 'dns' is no text");
    if (domain && *domain->valuestring)
        json_add_str(copy, "domain", domain->valuestring);
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists) && status == 0; i++) {
        const cJSON *list = member(dns, lists[i]);

        status = list ? check_texts(list, lists[i], e) : 0;
        if (list && list->child && status == 0)
            (void)cJSON_AddItemToObject(copy, lists[i], cJSON_Duplicate(list, true));
    }
    if (status == 0)
        *out = copy->child ? take(copy) : NULL;
    return status;
}

static int parse(const cJSON *tree, struct cni_result *r, struct err **e)
{
    const cJSON *interfaces, *ips, *routes;
    const char *version = json_get_str(tree, "cniVersion");
    enum cni_version known;
    int status = 0;

    if (version && *version && cni_version_parse(version, &known, NULL) < 0)
        return err_set(e, -EINVAL, "its cniVersion '%.40s' is not supported", version);
    status = get_list(tree, "interfaces", &interfaces, e);
    if (status == 0)
        status = get_list(tree, "ips", &ips, e);
    if (status == 0)
        status = get_list(tree, "routes", &routes, e);
    if (status == 0)
        status = parse_each(interfaces, r, parse_interface, e);
    if (status == 0)
        status = parse_each(ips, r, parse_ip, e);
    if (status == 0)
        status = cni_routes_parse(routes, r, e);
    if (status == 0)
        status = cni_dns_parse(member(tree, "dns"), &r->dns, e);
    return status;
}

int cni_result_parse(const cJSON *tree, struct cni_result *out, struct err **e)
{
    auto_cni_result struct cni_result r = {.dns = NULL};
    int status = cJSON_IsObject(tree) ? parse(tree, &r, e) : err_set(e, -EINVAL, "it is no object");

    if (status < 0)
        return status;
    *out = r;
    r = (struct cni_result){.dns = NULL};
    return 0;
}
