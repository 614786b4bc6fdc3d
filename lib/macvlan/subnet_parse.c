/*
 * A MacvlanSubnet read from JSON and checked: by the rules of the CRD, and by those that the 2019
 * system's successors had on the server, where they are stricter. Texts of the object are cut to 64
 * bytes in messages.
 */
#include "macvlan/subnet_internal.h"

#include "json.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VLAN_MAX 4094
#define MTU_MAX 65535
#define MTU_MIN_IPV4 68   /* RFC 791 */
#define MTU_MIN_IPV6 1280 /* RFC 8200 */
#define FINDINGS_MAX 64   /* more than a person reads */
#define DELAY_MAX_S (10 * 365 * 86400)

/* --- findings and members --- */

void subnet_find(struct subnet *s, bool is_error, const char *format, ...)
{
    va_list args;
    char *text = NULL;

    if (is_error)
        s->is_valid = false;
    if (s->n_findings == FINDINGS_MAX)
        return;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = xstrdup("out of memory");
    va_end(args);
    array_grow(s->findings, s->n_findings);
    s->findings[s->n_findings++] = (struct subnet_finding){is_error, text};
}

const char *subnet_text(struct subnet *s, const cJSON *obj, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(obj, name);

    if (item && !cJSON_IsString(item) && !cJSON_IsNull(item))
        subnet_error(s, "'%s' is not a text", name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

int64_t subnet_number(struct subnet *s, const cJSON *spec, const char *name, int64_t max)
{
    int64_t value = 0;
    int r = json_get_size(spec, name, &value);

    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(spec, name)) || r == -ENOENT)
        return 0;
    if (r == 0 && value <= max)
        return value;
    subnet_error(s, "'spec.%s' is not a whole number from 0 to %lld", name, (long long)max);
    return 0;
}

const cJSON *subnet_list(struct subnet *s, const cJSON *spec, const char *name, int max)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(spec, name);

    if (!item || cJSON_IsNull(item))
        return NULL;
    if (cJSON_IsArray(item) && cJSON_GetArraySize(item) <= max)
        return item;
    subnet_error(s, "'spec.%s' is not a list of at most %d members", name, max);
    return NULL;
}

/* --- metadata --- */

static bool has_text(const cJSON *list, const char *text)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item) && !strcmp(item->valuestring, text))
            return true;
    }
    return false;
}

static char *copy_of(const cJSON *meta, const char *name)
{
    const char *text = json_get_str(meta, name);

    return xstrdup(text ? text : "");
}

static void read_metadata(struct subnet *s, const cJSON *meta)
{
    const char *ipv6to4 =
        json_get_str(json_get_obj(meta, "annotations"), "macvlan.panda.io/ipv6to4");

    s->name = copy_of(meta, "name");
    s->uid = copy_of(meta, "uid");
    s->resource_version = copy_of(meta, "resourceVersion");
    s->created = copy_of(meta, "creationTimestamp");
    (void)json_get_size(meta, "generation", &s->generation);
    s->is_deleting = json_get_str(meta, "deletionTimestamp") != NULL;
    s->has_finalizer = has_text(json_get_arr(meta, "finalizers"), SUBNET_FINALIZER);
    s->project = xstrdup(json_get_str(json_get_obj(meta, "labels"), "project"));
    s->is_ipv6to4 = ipv6to4 && *ipv6to4 && strcmp(ipv6to4, "false");
    if (strlen(s->name) > SUBNET_NAME_MAX)
        subnet_error(
            s, "the name '%.64s...' is longer than the %d characters of a label: use a shorter one",
            s->name, SUBNET_NAME_MAX);
}

/* --- where the subnet is --- */

/* The kernel takes more characters, but the name has to be a label too. */
static bool is_master(const char *name)
{
    size_t len = strlen(name);

    if (!len || len >= IFNAMSIZ)
        return false;
    if (!isalnum((unsigned char)name[0]) || !isalnum((unsigned char)name[len - 1]))
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
            return false;
    return true;
}

static void read_master(struct subnet *s, const cJSON *spec)
{
    const char *master = subnet_text(s, spec, "master");

    s->master = xstrdup(master);
    if (!is_master(master))
        subnet_error(
            s,
            "'spec.master' is '%.64s', which is no name of a network interface: use 1 to %d "
            "letters, digits, '.', '_' and '-', such as eth0",
            master, IFNAMSIZ - 1);
}

static void read_mode(struct subnet *s, const cJSON *spec)
{
    static const char *const modes[] = {"bridge", "private", "vepa", "passthru"};
    const char *mode = subnet_text(s, spec, "mode");

    s->mode = modes[0];
    for (size_t i = 0; *mode && i < sizeof(modes) / sizeof(*modes); i++)
        if (!strcmp(mode, modes[i]))
            s->mode = modes[i];
    if (*mode && strcmp(mode, s->mode))
        subnet_error(s, "'spec.mode' is '%.64s': use bridge, private, vepa or passthru", mode);
}

static void read_mtu(struct subnet *s, const cJSON *spec)
{
    unsigned least = s->cidr.addr.family == AF_INET6 ? MTU_MIN_IPV6 : MTU_MIN_IPV4;

    s->mtu = (unsigned)subnet_number(s, spec, "mtu", MTU_MAX);
    if (s->mtu && s->mtu < least)
        subnet_error(s, "'spec.mtu' is %u, but %s needs %u: use more, or 0 for that of the master",
                     s->mtu, least == MTU_MIN_IPV6 ? "IPv6" : "IPv4", least);
}

/* --- addresses --- */

/* What is in these cannot be the address of a pod. */
static const char *useless_part_of(struct ip_net cidr)
{
    static const char *const nets[] = {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3",
                                       "::/8",      "fe80::/10",   "ff00::/8"};
    struct ip_net net;

    for (size_t i = 0; i < sizeof(nets) / sizeof(*nets); i++)
        if (ip_net_parse(nets[i], &net) == 0 && ip_net_overlaps(net, cidr))
            return nets[i];
    return NULL;
}

static bool read_cidr(struct subnet *s, const cJSON *spec)
{
    const char *text = subnet_text(s, spec, "cidr"), *useless;

    if (ip_net_parse(text, &s->cidr) < 0) {
        subnet_error(
            s, "invalid CIDR address: %.64s; set 'spec.cidr' to a network such as 192.168.1.0/24",
            text);
        return false;
    }
    useless = useless_part_of(s->cidr);
    if (useless)
        subnet_error(s, "'spec.cidr' is '%s', which has addresses of '%s' that no pod can have",
                     text, useless);
    return !useless;
}

/* The first address behind the network's own, if it has one. */
static void default_gateway(struct subnet *s)
{
    struct ip_addr a;

    if (ip_add(ip_net_first(s->cidr), 1, &a) == 0 && ip_net_contains(s->cidr, a))
        s->gateway = a;
}

bool subnet_is_neighbour(const struct subnet *s, struct ip_addr a)
{
    bool is_link_local = a.family == AF_INET6 && (unsigned)(a.value >> 118) == 0xfe80 >> 6;

    return ip_net_contains(s->cidr, a) || (is_link_local && s->cidr.addr.family == AF_INET6);
}

static void read_gateway(struct subnet *s, const cJSON *spec)
{
    const char *text = subnet_text(s, spec, "gateway");
    char net[IP_NET_TEXT_SIZE];
    struct ip_addr a;

    /* The controller of 2019 wrote "<nil>" where the CIDR was wrong at first. */
    if (!*text || !strcmp(text, "<nil>")) {
        default_gateway(s);
        return;
    }
    if (ip_parse(text, &a) < 0) {
        subnet_error(
            s, "'spec.gateway' is '%.64s': use an address without a prefix, such as 192.168.1.1",
            text);
        return;
    }
    s->gateway = a;
    (void)ip_net_format(s->cidr, net);
    if (a.family != s->cidr.addr.family)
        subnet_error(s, "gateway '%s' is not of the same family as network '%s'", text, net);
    else if (!subnet_is_neighbour(s, a))
        subnet_warning(s,
                       "gateway '%s' is not in network '%s': pods reach it only over another route",
                       text, net);
    else if (s->cidr.prefix <= 30 && a.family == AF_INET &&
             (!ip_compare(a, ip_net_first(s->cidr)) || !ip_compare(a, ip_net_last(s->cidr))))
        subnet_warning(
            s, "gateway '%s' is the network or broadcast address of '%s': no route can use it",
            text, net);
}

/* --- the whole --- */

static void check_room(struct subnet *s)
{
    ip_num first = ip_net_first(s->cidr).value, last = ip_net_last(s->cidr).value;

    if (s->is_valid && !subnet_usable_in(s, first, last))
        subnet_warning(s, "no address is left to give out: use a larger network or other ranges");
}

static void read_spec(struct subnet *s, const cJSON *spec)
{
    read_master(s, spec);
    s->vlan = (unsigned)subnet_number(s, spec, "vlan", VLAN_MAX);
    read_mode(s, spec);
    s->delay_reuse_ms = subnet_number(s, spec, "ipDelayReuse", DELAY_MAX_S) * 1000;
    if (!read_cidr(s, spec))
        return;
    read_mtu(s, spec);
    read_gateway(s, spec);
    subnet_read_ranges(s, spec);
    subnet_read_routes(s, spec);
    subnet_read_default_route(s, spec);
    check_room(s);
}

/* Adds to `out` when the object does not say so. */
static void want(cJSON *out, const cJSON *there, const char *name, const char *value)
{
    const char *text = json_get_str(there, name);

    if (!text || strcmp(text, value))
        json_add_str(out, name, value);
}

/* The labels are what the UI searches for. */
static cJSON *missing_defaults(const struct subnet *s, const cJSON *object)
{
    const cJSON *there = json_get_obj(json_get_obj(object, "metadata"), "labels");
    const cJSON *spec_there = json_get_obj(object, "spec");
    cJSON *patch = cJSON_CreateObject();
    cJSON *labels = cJSON_AddObjectToObject(cJSON_AddObjectToObject(patch, "metadata"), "labels");
    cJSON *spec = cJSON_AddObjectToObject(patch, "spec");
    const char *gateway = json_get_str(spec_there, "gateway");
    char vlan[16], text[IP_TEXT_SIZE];

    (void)snprintf(vlan, sizeof(vlan), "%u", s->vlan);
    want(labels, there, "master", s->master);
    want(labels, there, "vlan", vlan);
    want(labels, there, "mode", s->mode);
    want(spec, spec_there, "mode", s->mode);
    if ((!gateway || !*gateway || *gateway == '<') && s->gateway.family != AF_UNSPEC)
        json_add_str(spec, "gateway", ip_format(s->gateway, text));
    if (labels->child || spec->child)
        return patch;
    cJSON_Delete(patch);
    return NULL;
}

int subnet_parse(const cJSON *object, bool legacy_octets, struct subnet **out, struct err **e)
{
    const cJSON *meta = json_get_obj(object, "metadata");
    const char *name = json_get_str(meta, "name");
    struct subnet *s;

    if (!name || !*name)
        return err_set(e, -EBADMSG, "a MacvlanSubnet has no name");
    s = xcalloc(1, sizeof(*s));
    s->is_valid = true;
    s->has_legacy_octets = legacy_octets;
    read_metadata(s, meta);
    read_spec(s, json_get_obj(object, "spec"));
    if (s->is_valid)
        s->patch = missing_defaults(s, object);
    *out = s;
    return 0;
}
