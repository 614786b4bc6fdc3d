/* MacvlanSubnets from options and from YAML. */
#include "subnet_spec.h"

#include "buf.h"
#include "json.h"
#include "log.h"
#include "macvlan/svc_networks.h"
#include "mem.h"
#include "num.h"
#include "yamljson.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX (64u << 10)

bool subnet_flags_any(const struct subnet_flags *f)
{
    return f->master || f->vlan || f->cidr || f->gateway || f->mode || f->mtu || f->project ||
           f->service_cidr || f->delay || f->ranges.count || f->routes.count ||
           f->has_default_route || f->is_ipv6to4;
}

/* --- from options --- */

static int add_number(cJSON *spec, const char *name, const char *flag, const char *text,
                      struct err **e)
{
    uint64_t n;

    if (!text)
        return 0;
    if (num_parse_u64(text, INT_MAX, &n) < 0)
        return err_set(e, -EINVAL, "'--%s' takes a whole number, not '%s'", flag, text);
    json_add_int(spec, name, (int64_t)n);
    return 0;
}

static int add_range(cJSON *list, const char *text, struct err **e)
{
    auto_free char *from = xstrdup(text);
    char *dash = strchr(from, '-'), *to = dash ? dash + 1 : from;
    struct ip_addr a;
    cJSON *range;

    if (dash)
        *dash = '\0';
    if (ip_parse(from, &a) < 0 || ip_parse(to, &a) < 0)
        return err_set(e, -EINVAL,
                       "'--range' takes two addresses, such as 10.1.0.10-10.1.0.99, not '%s'",
                       text);
    range = cJSON_CreateObject();
    json_add_str(range, "rangeStart", from);
    json_add_str(range, "rangeEnd", to);
    (void)cJSON_AddItemToArray(list, range);
    return 0;
}

/* Moves *text behind the next ','; NULL behind the last part. Blanks around the part are cut. */
static char *next_part(char **text)
{
    char *part = *text, *comma;
    size_t len;

    if (!part)
        return NULL;
    comma = strchr(part, ',');
    *text = comma ? comma + 1 : NULL;
    if (comma)
        *comma = '\0';
    part += strspn(part, " ");
    for (len = strlen(part); len && part[len - 1] == ' '; len--)
        part[len - 1] = '\0';
    return part;
}

/* "via X" and "dev X", as `ip route` has them; '=' is taken, too. */
static const char *word_after(const char *part, const char *word)
{
    size_t len = strlen(word);

    if (strncmp(part, word, len) != 0 || (part[len] != ' ' && part[len] != '='))
        return NULL;
    part += len + 1;
    return part + strspn(part, " ");
}

static int add_route(cJSON *list, const char *text, struct err **e)
{
    auto_free char *copy = xstrdup(text);
    auto_json cJSON *route = cJSON_CreateObject();
    char *rest = copy, *part = next_part(&rest);

    json_add_str(route, "dst", strcmp(part, "default") ? part : "0.0.0.0/0");
    while ((part = next_part(&rest))) {
        const char *via = word_after(part, "via"), *dev = word_after(part, "dev");
        const char *name = via ? "gw" : "iface";

        if ((!via && !dev) || cJSON_HasObjectItem(route, name))
            return err_set(e, -EINVAL,
                           "'--route' takes DST[,via GATEWAY][,dev eth0|eth1], such as "
                           "'10.9.0.0/16,via 10.1.0.254', not '%s'",
                           text);
        json_add_str(route, name, via ? via : dev);
    }
    (void)cJSON_AddItemToArray(list, take(route));
    return 0;
}

static int add_list(cJSON *spec, const char *name, const struct cli_list *texts,
                    int (*add)(cJSON *list, const char *text, struct err **e), struct err **e)
{
    cJSON *list = texts->count ? cJSON_AddArrayToObject(spec, name) : NULL;
    int r = 0;

    for (size_t i = 0; i < texts->count && r == 0; i++)
        r = add(list, texts->items[i], e);
    return r;
}

static void add_default_route(cJSON *spec, const struct subnet_flags *f)
{
    cJSON *object;

    if (!f->has_default_route && !f->service_cidr)
        return;
    object = cJSON_AddObjectToObject(spec, "podDefaultGateway");
    (void)cJSON_AddBoolToObject(object, "enable", f->has_default_route);
    json_add_str(object, "serviceCidr", f->service_cidr);
}

/* The id of a project is "c-xxxxx:p-yyyyy", of which a label has no ':'. */
static void add_project(cJSON *meta, const char *project)
{
    auto_free char *id = xstrdup(project ? project : "");

    for (char *p = id; *p; p++)
        if (*p == ':')
            *p = '-';
    json_add_str(cJSON_AddObjectToObject(meta, "labels"), "project", id);
}

static int fill_spec(cJSON *spec, const struct subnet_flags *f, struct err **e)
{
    int r;

    json_add_str(spec, "master", f->master);
    r = add_number(spec, "vlan", "vlan", f->vlan ? f->vlan : "0", e);
    json_add_str(spec, "cidr", f->cidr);
    json_add_str(spec, "mode", f->mode ? f->mode : "bridge");
    json_add_str(spec, "gateway", f->gateway);
    if (r == 0)
        r = add_number(spec, "mtu", "mtu", f->mtu, e);
    if (r == 0)
        r = add_list(spec, "ranges", &f->ranges, add_range, e);
    if (r == 0)
        r = add_list(spec, "routes", &f->routes, add_route, e);
    if (r == 0)
        r = add_number(spec, "ipDelayReuse", "ip-delay-reuse", f->delay, e);
    add_default_route(spec, f);
    return r;
}

int subnet_spec_build(const char *name, const struct subnet_flags *f, cJSON **out, struct err **e)
{
    auto_json cJSON *object = cJSON_CreateObject();
    cJSON *meta;
    int r;

    if (!f->master || !f->cidr)
        return err_set(e, -EINVAL, "'--%s' is missing: it says %s", f->master ? "cidr" : "master",
                       f->master ? "which network the addresses are of, such as 10.1.0.0/16"
                                 : "which NIC of the nodes the pods stand on, such as eth0");
    json_add_str(object, "apiVersion", SUBNET_SPEC_API);
    json_add_str(object, "kind", "MacvlanSubnet");
    meta = cJSON_AddObjectToObject(object, "metadata");
    json_add_str(meta, "name", name);
    json_add_str(meta, "namespace", SUBNET_SPEC_NAMESPACE);
    add_project(meta, f->project);
    if (f->is_ipv6to4)
        json_add_str(cJSON_AddObjectToObject(meta, "annotations"), "macvlan.panda.io/ipv6to4",
                     "true");
    r = fill_spec(cJSON_AddObjectToObject(object, "spec"), f, e);
    if (r == 0)
        *out = take(object);
    return r;
}

/* --- from YAML --- */

/* What may stand there instead. */
static int refuse_member(const char *file, const char *where, const char *name,
                         const char *const *known, struct err **e)
{
    const char *nearest = cli_nearest(name, known);
    auto_buf struct buf names;

    buf_init(&names, MESSAGE_MAX);
    if (nearest)
        return err_set(e, -EINVAL, "%s: '%s' has no field '%.64s'; is '%s' meant?", file, where,
                       name, nearest);
    for (; *known; known++)
        (void)buf_addf(&names, "%s%s", names.len ? ", " : "", *known);
    return err_set(e, -EINVAL, "%s: '%s' has no field '%.64s', it has %s", file, where, name,
                   names.data);
}

/* A server with a schema drops what it does not know, without a word. */
static int check_members(const char *file, const char *where, const cJSON *object,
                         const char *const *known, struct err **e)
{
    const cJSON *item;

    if (object && !cJSON_IsObject(object))
        return err_set(e, -EINVAL, "%s: '%s' has something in it that is no object", file, where);
    cJSON_ArrayForEach(item, object)
    {
        const char *const *name = known;

        while (*name && strcmp(*name, item->string) != 0)
            name++;
        if (!*name)
            return refuse_member(file, where, item->string, known, e);
    }
    return 0;
}

static int check_fields(const char *file, const cJSON *object, struct err **e)
{
    static const char *const top[] = {"apiVersion", "kind", "metadata", "spec", "status", NULL};
    static const char *const spec[] = {
        "master", "vlan",         "cidr", "mode",   "gateway",
        "ranges", "ipDelayReuse", "mtu",  "routes", "podDefaultGateway",
        NULL};
    static const char *const range[] = {"rangeStart", "rangeEnd", NULL};
    static const char *const route[] = {"dst", "gw", "iface", NULL};
    const cJSON *in = json_get_obj(object, "spec"), *item;
    int r = check_members(file, "MacvlanSubnet", object, top, e);

    if (r == 0)
        r = check_members(file, "spec", in, spec, e);
    cJSON_ArrayForEach(item, json_get_arr(in, "ranges"))
    {
        if (r == 0)
            r = check_members(file, "spec.ranges", item, range, e);
    }
    cJSON_ArrayForEach(item, json_get_arr(in, "routes"))
    {
        if (r == 0)
            r = check_members(file, "spec.routes", item, route, e);
    }
    return r;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = json_get_str(object, name);

    return text ? text : "";
}

/* Takes `object`. */
static int add_object(const char *file, cJSON *object, cJSON *out, struct err **e)
{
    auto_json cJSON *owned = object;
    cJSON *meta = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    const char *kind = text_of(object, "kind"), *api = text_of(object, "apiVersion");
    const char *namespace = text_of(meta, "namespace");

    if (strcmp(kind, "MacvlanSubnet") != 0 || strcmp(api, SUBNET_SPEC_API) != 0)
        return err_set(e, -EINVAL,
                       "%s: '%s %s' is no MacvlanSubnet of %s; apply other objects with kubectl",
                       file, api, kind, SUBNET_SPEC_API);
    if (*namespace && strcmp(namespace, SUBNET_SPEC_NAMESPACE) != 0)
        return err_set(
            e, -EINVAL,
            "%s: subnet '%s' is in namespace '%s'; the controller reads '%s' only: leave "
            "the namespace out",
            file, text_of(meta, "name"), namespace, SUBNET_SPEC_NAMESPACE);
    if (check_fields(file, object, e) < 0)
        return -EINVAL;
    if (cJSON_IsObject(meta) && !*namespace) {
        cJSON_DeleteItemFromObjectCaseSensitive(meta, "namespace");
        json_add_str(meta, "namespace", SUBNET_SPEC_NAMESPACE);
    }
    (void)cJSON_AddItemToArray(out, take(owned));
    return 0;
}

/* Takes `document`, which is an object, a List of them, or nothing. */
static int add_document(const char *file, cJSON *document, cJSON *out, struct err **e)
{
    auto_json cJSON *owned = document;
    const char *kind = text_of(document, "kind");
    cJSON *items, *item;
    int r = 0;

    if (cJSON_IsNull(document))
        return 0;
    if (!cJSON_IsObject(document))
        return err_set(e, -EINVAL, "%s: a document that is no object", file);
    items = cJSON_GetObjectItemCaseSensitive(document, "items");
    if ((strcmp(kind, "List") != 0 && strcmp(kind, "MacvlanSubnetList") != 0) ||
        !cJSON_IsArray(items))
        return add_object(file, take(owned), out, e);
    while (r == 0 && (item = cJSON_DetachItemFromArray(items, 0)))
        r = add_object(file, item, out, e);
    return r;
}

int subnet_spec_read(const char *file, const char *text, size_t len, cJSON *out, struct err **e)
{
    auto_yamltree struct yamltree tree = {.n_documents = 0};
    int before = cJSON_GetArraySize(out), r = yamltree_parse(text, len, &tree, e);

    if (r < 0)
        return err_wrap(e, "%s", file);
    for (size_t i = 0; i < tree.n_documents && r == 0; i++) {
        cJSON *document = NULL;

        r = yamljson_convert(tree.documents[i], &document, e);
        r = r < 0 ? err_wrap(e, "%s", file) : add_document(file, document, out, e);
    }
    if (r == 0 && cJSON_GetArraySize(out) == before)
        r = err_set(e, -EINVAL, "%s: no MacvlanSubnet is in it", file);
    return r;
}

/* --- checks --- */

/* By which option a part of the spec came; the first row whose words stand in the text counts. */
static const char *flag_of(const char *text)
{
    static const struct {
        const char *words, *flag;
    } table[] = {
        {"spec.master", "--master"},
        {"spec.vlan", "--vlan"},
        {"spec.mode", "--mode"},
        {"spec.mtu", "--mtu"},
        {"spec.ipDelayReuse", "--ip-delay-reuse"},
        {"spec.cidr", "--cidr"},
        {"podDefaultGateway", "--pod-default-gateway"},
        {"serviceCidr", "--service-cidr"},
        {"spec.ranges", "--range"},
        {"spec.routes", "--route"},
        {"of the route", "--route"},
        {"of a route", "--route"},
        {"the route to", "--route"},
        {"invalid gateway ip", "--route"},
        {"gateway", "--gateway"},
        {"range", "--range"},
        {"the name", "NAME"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (strstr(text, table[i].words))
            return table[i].flag;
    return NULL;
}

static int check_name(const char *name, struct err **e)
{
    if (svc_name_is_valid(name) && strlen(name) <= SUBNET_NAME_MAX)
        return 0;
    return err_set(e, -EINVAL,
                   "'%.100s' cannot be the name of a subnet: use at most %d small letters, digits, "
                   "'-' and '.', with a letter or digit at both ends",
                   name, SUBNET_NAME_MAX);
}

static void add_finding(const struct subnet_finding *f, bool names_flags, struct buf *errors)
{
    const char *flag = names_flags ? flag_of(f->text) : NULL;
    auto_free char *text = flag ? xasprintf("%s: %s", flag, f->text) : xstrdup(f->text);

    if (f->is_error)
        (void)buf_addf(errors, "\n  %s", text);
    else
        log_warn("%s", text);
}

int subnet_spec_check(const cJSON *object, bool names_flags, struct subnet **out, struct err **e)
{
    auto_subnet struct subnet *s = NULL;
    auto_buf struct buf errors;
    int r = subnet_parse(object, false, &s, e);

    buf_init(&errors, MESSAGE_MAX);
    if (r < 0)
        return err_set(e, -EINVAL, "a MacvlanSubnet without a name: set 'metadata.name'");
    r = check_name(s->name, e);
    if (r < 0)
        return r;
    for (size_t i = 0; i < s->n_findings; i++)
        add_finding(&s->findings[i], names_flags, &errors);
    if (!s->is_valid)
        return err_set(e, -EINVAL, "subnet '%s' cannot work:%s", s->name, errors.data);
    *out = take(s);
    return 0;
}

static bool same_net(struct ip_net a, struct ip_net b)
{
    return a.prefix == b.prefix && ip_compare(a.addr, b.addr) == 0;
}

static bool same_ranges(const struct subnet *a, const struct subnet *b)
{
    if (a->n_ranges != b->n_ranges)
        return false;
    for (size_t i = 0; i < a->n_ranges; i++)
        if (a->ranges[i].first != b->ranges[i].first || a->ranges[i].last != b->ranges[i].last)
            return false;
    return true;
}

static bool same_routes(const struct subnet *a, const struct subnet *b)
{
    if (a->n_routes != b->n_routes)
        return false;
    for (size_t i = 0; i < a->n_routes; i++) {
        const struct subnet_route *x = &a->routes[i], *y = &b->routes[i];

        if (!same_net(x->dst, y->dst) || ip_compare(x->gw, y->gw) || strcmp(x->iface, y->iface))
            return false;
    }
    return true;
}

static bool same_project(const struct subnet *a, const struct subnet *b)
{
    return a->project && b->project ? !strcmp(a->project, b->project) : a->project == b->project;
}

const char *subnet_spec_differs(const struct subnet *a, const struct subnet *b)
{
    const struct {
        const char *name;
        bool is_same;
    } table[] = {
        {"spec", a->is_valid && b->is_valid},
        {"master", a->master && b->master && !strcmp(a->master, b->master)},
        {"vlan", a->vlan == b->vlan},
        {"cidr", same_net(a->cidr, b->cidr)},
        {"mode", a->mode && b->mode && !strcmp(a->mode, b->mode)},
        {"gateway", !ip_compare(a->gateway, b->gateway)},
        {"mtu", a->mtu == b->mtu},
        {"ranges", same_ranges(a, b)},
        {"routes", same_routes(a, b)},
        {"podDefaultGateway", a->has_default_route == b->has_default_route &&
                                  same_net(a->service_cidr, b->service_cidr)},
        {"ipDelayReuse", a->delay_reuse_ms == b->delay_reuse_ms},
        {"project", same_project(a, b)},
        {"ipv6to4", a->is_ipv6to4 == b->is_ipv6to4},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (!table[i].is_same)
            return table[i].name;
    return NULL;
}
