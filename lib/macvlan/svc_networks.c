/* The network annotations of pods and services. */
#include "macvlan/svc_networks.h"

#include "json.h"
#include "mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 253
#define MAC_TEXT_LEN 17

bool svc_name_is_valid(const char *name)
{
    size_t len = strlen(name);
    char before = '.';

    if (!len || len > MAX_NAME)
        return false;
    for (size_t i = 0; i < len; before = name[i++]) {
        bool is_inner = name[i] == '-' || name[i] == '.';

        if (!is_inner && !islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]))
            return false;
        if (is_inner && (before == '.' || (name[i] == '.' && before == '-')))
            return false;
    }
    return before != '-' && before != '.';
}

/* dev_valid_name of the kernel. */
static bool is_interface(const char *name)
{
    size_t len = strlen(name);

    if (!len || len >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] == '/' || name[i] == ':' || isspace((unsigned char)name[i]) ||
            iscntrl((unsigned char)name[i]))
            return false;
    return true;
}

static bool is_mac(const char *text)
{
    if (strlen(text) != MAC_TEXT_LEN)
        return false;
    for (size_t i = 0; i < MAC_TEXT_LEN; i++)
        if (i % 3 == 2 ? text[i] != ':' : !isxdigit((unsigned char)text[i]))
            return false;
    return true;
}

static bool is_usable_v4(const struct in_addr *address)
{
    uint32_t bits = ntohl(address->s_addr);

    return bits != INADDR_ANY && bits >> 24 != 127 && bits >> 16 != 0xa9fe && bits >> 28 != 0xe;
}

static bool is_usable_v6(const struct in6_addr *address)
{
    return !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_LOOPBACK(address) &&
           !IN6_IS_ADDR_LINKLOCAL(address) && !IN6_IS_ADDR_MULTICAST(address) &&
           !IN6_IS_ADDR_V4MAPPED(address);
}

int svc_address_canonical(const char *text, char out_address[SVC_ADDRESS_SIZE])
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, text, &v4) == 1 && is_usable_v4(&v4)) {
        (void)inet_ntop(AF_INET, &v4, out_address, SVC_ADDRESS_SIZE);
        return 0;
    }
    if (inet_pton(AF_INET6, text, &v6) == 1 && is_usable_v6(&v6)) {
        (void)inet_ntop(AF_INET6, &v6, out_address, SVC_ADDRESS_SIZE);
        return 0;
    }
    return -EINVAL;
}

void svc_network_release(struct svc_network *n)
{
    free(n->namespace);
    free(n->name);
    free(n->interface);
    *n = (struct svc_network){.name = NULL};
}

void svc_networks_release(struct svc_networks *n)
{
    for (size_t i = 0; i < n->count; i++)
        svc_network_release(&n->items[i]);
    free(n->items);
    *n = (struct svc_networks){.items = NULL};
}

static void status_release(struct svc_network_status *s)
{
    svc_network_release(&s->network);
    free(s->mac);
    for (size_t i = 0; i < s->ip_count; i++)
        free(s->ips[i]);
    free(s->ips);
    *s = (struct svc_network_status){.mac = NULL};
}

void svc_statuses_release(struct svc_statuses *s)
{
    for (size_t i = 0; i < s->count; i++)
        status_release(&s->items[i]);
    free(s->items);
    *s = (struct svc_statuses){.items = NULL};
}

static int check_text(const char *text, struct err **e)
{
    if (strlen(text) > SVC_NETWORKS_MAX_TEXT)
        return err_set(e, -EINVAL, "the text is longer than %d bytes", SVC_NETWORKS_MAX_TEXT);
    return 0;
}

static int check_count(size_t count, struct err **e)
{
    if (count >= SVC_NETWORKS_MAX)
        return err_set(e, -EINVAL, "more than %d networks are named", SVC_NETWORKS_MAX);
    return 0;
}

/* An empty namespace or interface counts as absent, as in multus. */
static int check_network(struct svc_network *n, struct err **e)
{
    if (n->namespace && !*n->namespace)
        free(take(n->namespace));
    if (n->interface && !*n->interface)
        free(take(n->interface));
    if (n->namespace && (!svc_name_is_valid(n->namespace) || strchr(n->namespace, '.')))
        return err_set(e, -EINVAL, "'%s' is no name of a namespace", n->namespace);
    if (!n->name || !svc_name_is_valid(n->name))
        return err_set(e, -EINVAL, "'%s' is no name of a network", n->name ? n->name : "");
    if (n->interface && !is_interface(n->interface))
        return err_set(e, -EINVAL, "'%s' is no name of an interface", n->interface);
    return 0;
}

static int add_network(struct svc_networks *list, struct svc_network *n, struct err **e)
{
    int r = check_network(n, e);

    if (r >= 0)
        r = check_count(list->count, e);
    if (r < 0)
        return r;
    array_grow(list->items, list->count);
    list->items[list->count++] = *n;
    *n = (struct svc_network){.name = NULL};
    return 0;
}

/* `text` is "[namespace/]name[@interface]". */
static void split_reference(const char *text, size_t len, struct svc_network *out)
{
    const char *slash = memchr(text, '/', len), *name = slash ? slash + 1 : text;
    size_t name_len = len - (size_t)(name - text);
    const char *at = memchr(name, '@', name_len);

    if (slash)
        out->namespace = xstrndup(text, (size_t)(slash - text));
    out->name = xstrndup(name, at ? (size_t)(at - name) : name_len);
    if (at)
        out->interface = xstrndup(at + 1, name_len - (size_t)(at + 1 - name));
}

static int parse_commas(const char *text, struct svc_networks *list, struct err **e)
{
    for (const char *end; *text; text = *end ? end + 1 : end) {
        auto_network struct svc_network n = {.name = NULL};
        size_t len;
        int r;

        end = text + strcspn(text, ",");
        text += strspn(text, " \t\r\n");
        len = text < end ? (size_t)(end - text) : 0;
        while (len && isspace((unsigned char)text[len - 1]))
            len--;
        split_reference(text, len, &n);
        r = add_network(list, &n, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_list(const char *text, cJSON **out_list, struct err **e)
{
    auto_json cJSON *list = NULL;

    if (json_parse(text, strlen(text), &list, e) < 0)
        return err_set(e, -EINVAL, "the text is not valid JSON");
    if (!cJSON_IsArray(list))
        return err_set(e, -EINVAL, "the JSON is no list");
    *out_list = take(list);
    return 0;
}

static int parse_json(const char *text, struct svc_networks *networks, struct err **e)
{
    auto_json cJSON *list = NULL;
    const cJSON *item;
    int r = parse_list(text, &list, e);

    if (r < 0)
        return r;
    cJSON_ArrayForEach(item, list)
    {
        auto_network struct svc_network n = {
            .namespace = xstrdup(json_get_str(item, "namespace")),
            .name = xstrdup(json_get_str(item, "name")),
            .interface = xstrdup(json_get_str(item, "interface")),
        };

        r = add_network(networks, &n, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int svc_networks_parse(const char *text, struct svc_networks *out_networks, struct err **e)
{
    auto_networks struct svc_networks list = {.items = NULL};
    int r = check_text(text, e);

    if (r < 0)
        return r;
    text += strspn(text, " \t\r\n");
    /* The first character tells the two forms apart, as in multus. */
    r = *text && strchr("[{\"", *text) ? parse_json(text, &list, e) : parse_commas(text, &list, e);
    if (r < 0)
        return r;
    *out_networks = list;
    list = (struct svc_networks){.items = NULL};
    return 0;
}

static int parse_ips(const cJSON *item, struct svc_network_status *s, struct err **e)
{
    const cJSON *ip;

    cJSON_ArrayForEach(ip, json_get_arr(item, "ips"))
    {
        char address[SVC_ADDRESS_SIZE];

        if (s->ip_count >= SVC_NETWORK_MAX_IPS)
            return err_set(e, -EINVAL, "network '%s' has more than %d addresses", s->network.name,
                           SVC_NETWORK_MAX_IPS);
        if (!cJSON_IsString(ip) || svc_address_canonical(ip->valuestring, address) < 0)
            continue;
        array_grow(s->ips, s->ip_count);
        s->ips[s->ip_count++] = xstrdup(address);
    }
    return 0;
}

/* 1, or 0 for a network that no annotation can ask for: the cluster's own may have any name. */
static int parse_status(const cJSON *item, struct svc_network_status *s, struct err **e)
{
    const char *name = json_get_str(item, "name"), *mac = json_get_str(item, "mac");
    int r;

    if (!name)
        return 0;
    split_reference(name, strlen(name), &s->network);
    free(s->network.interface);
    s->network.interface = xstrdup(json_get_str(item, "interface"));
    if (check_network(&s->network, NULL) < 0)
        return 0;
    s->is_default = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "default"));
    s->mac = mac && is_mac(mac) ? xstrdup(mac) : NULL;
    r = parse_ips(item, s, e);
    return r < 0 ? r : 1;
}

static int add_status(struct svc_statuses *list, const cJSON *item, struct err **e)
{
    struct svc_network_status s = {.mac = NULL};
    int r = check_count(list->count, e);

    if (r >= 0)
        r = parse_status(item, &s, e);
    if (r <= 0) {
        status_release(&s);
        return r;
    }
    array_grow(list->items, list->count);
    list->items[list->count++] = s;
    return 0;
}

int svc_statuses_parse(const char *text, struct svc_statuses *out_statuses, struct err **e)
{
    auto_statuses struct svc_statuses statuses = {.items = NULL};
    auto_json cJSON *list = NULL;
    const cJSON *item;
    int r = check_text(text, e);

    if (r >= 0)
        r = parse_list(text, &list, e);
    if (r < 0)
        return r;
    cJSON_ArrayForEach(item, list)
    {
        r = add_status(&statuses, item, e);
        if (r < 0)
            return r;
    }
    *out_statuses = statuses;
    statuses = (struct svc_statuses){.items = NULL};
    return 0;
}

int svc_networks_of_service(const cJSON *service, struct svc_network *out_network, struct err **e)
{
    const cJSON *metadata = json_get_obj(service, "metadata");
    const char *text = json_get_str(json_get_obj(metadata, "annotations"), SVC_NETWORKS_KEY);
    const char *name = json_get_str(metadata, "name");
    auto_networks struct svc_networks list = {.items = NULL};

    if (!text)
        return 0;
    if (svc_networks_parse(text, &list, e) < 0)
        return err_wrap(e,
                        "service '%s' gets no endpoints from us, because annotation '%s' cannot be "
                        "read",
                        name ? name : "", SVC_NETWORKS_KEY);
    if (list.count > 1)
        return err_set(e, -EINVAL,
                       "service '%s' gets no endpoints from us, because annotation '%s' names %zu "
                       "networks; name one, and make a service for each of the others",
                       name ? name : "", SVC_NETWORKS_KEY, list.count);
    if (!list.count)
        return 0;
    *out_network = list.items[0];
    list.items[0] = (struct svc_network){.name = NULL};
    return 1;
}
