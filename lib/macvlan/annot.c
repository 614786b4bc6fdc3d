/* A pod's annotations read, and its labels written. */
#include "macvlan/annot_internal.h"

#include "err.h"
#include "json.h"
#include "macvlan/svc_networks.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void annot_request_release(struct annot_request *r)
{
    free(r->subnet);
    free(r->ip_text);
    free(r->ips);
    free(r->macs);
    *r = (struct annot_request){.subnet = NULL};
}

void annot_refusal_release(struct annot_refusal *r)
{
    free(r->text);
    free(r->admission);
    *r = (struct annot_refusal){.reason = NULL};
}

int annot_refuse(struct annot_refusal *out, int status, char *text, char *admission,
                 const char *mend)
{
    annot_refusal_release(out);
    out->reason = ANNOT_IP_ERROR;
    out->text = xasprintf("%s; %s", text, mend);
    out->admission = xasprintf("%s; %s", admission ? admission : text, mend);
    free(text);
    free(admission);
    return status;
}

int annot_refuse_subnet(struct annot_refusal *out, int status, char *text, const char *mend)
{
    (void)annot_refuse(out, status, text, NULL, mend);
    out->reason = ANNOT_SUBNET_ERROR;
    return status;
}

/* --- lists --- */

/* Outer blanks are dropped, as in 2019. */
static char *trimmed(const char *text)
{
    size_t len;

    while (isspace((unsigned char)*text))
        text++;
    len = strlen(text);
    while (len && isspace((unsigned char)text[len - 1]))
        len--;
    return xstrndup(text, len);
}

static bool is_auto(const char *text)
{
    return !strcmp(text, "auto");
}

/* Cuts "a-b-c" at the next '-' and moves *text behind it; NULL behind the last part. */
static char *next_part(char **text)
{
    char *part = *text, *dash;

    if (!part)
        return NULL;
    dash = strchr(part, '-');
    *text = dash ? dash + 1 : NULL;
    if (dash)
        *dash = '\0';
    return part;
}

static size_t count_parts(const char *text)
{
    size_t n = 1;

    for (; *text; text++)
        n += *text == '-';
    return n;
}

static int check_length(const char *what, const char *text, struct annot_refusal *out)
{
    size_t n = count_parts(text);

    if (n <= ANNOT_LIST_MAX)
        return 0;
    return annot_refuse(out, -EINVAL, xasprintf("annotation %s lists %zu values", what, n), NULL,
                        "at most 1024 work, use a workload with fewer pods or 'auto'");
}

static int refuse_ip_text(const char *text, struct annot_refusal *out)
{
    return annot_refuse(out, -EINVAL,
                        xasprintf("annotation ip invalid: %.*s", ANNOT_TEXT_MAX, text),
                        xasprintf("invalid annotation ip list: %.*s", ANNOT_TEXT_MAX, text),
                        "set " ANNOT_IP " to 'auto', or to one or several addresses of the subnet "
                        "with '-' between them");
}

static int add_ip(struct annot_request *r, const char *part, struct annot_refusal *out)
{
    struct ip_addr ip;

    if (ip_parse(part, &ip) < 0)
        return refuse_ip_text(r->ip_text, out);
    for (size_t i = 0; i < r->n_ips; i++)
        if (!ip_compare(r->ips[i], ip))
            return annot_refuse(out, -EINVAL, xasprintf("ip duplicate in list: %s", part), NULL,
                                "name each address once in " ANNOT_IP);
    array_grow(r->ips, r->n_ips);
    r->ips[r->n_ips++] = ip;
    return 0;
}

static int read_ips(struct annot_request *r, struct annot_refusal *out)
{
    auto_free char *text = trimmed(r->ip_text);
    char *rest = text, *part;
    int status = 0;

    if (is_auto(text))
        return 0;
    status = check_length("ip", text, out);
    while (status == 0 && (part = next_part(&rest)))
        status = add_ip(r, part, out);
    return status;
}

static int add_mac(struct annot_request *r, const char *part, struct annot_refusal *out)
{
    auto_err struct err *e = NULL;
    struct ip_mac mac;

    if (ip_mac_parse(part, &mac, &e) < 0)
        return annot_refuse(out, -EINVAL,
                            xasprintf("parse single mac address error: %.*s", ANNOT_TEXT_MAX,
                                      err_text(e)),
                            NULL,
                            "set " ANNOT_MAC " to MACs with '-' between them, or leave it out");
    for (size_t i = 0; i < r->n_macs; i++)
        if (ip_mac_value(r->macs[i]) == ip_mac_value(mac))
            return annot_refuse(out, -EINVAL, xasprintf("mac duplicate in list: %s", part), NULL,
                                "name each MAC once in " ANNOT_MAC);
    array_grow(r->macs, r->n_macs);
    r->macs[r->n_macs++] = mac;
    return 0;
}

static int check_counts(const struct annot_request *r, const char *macs, struct annot_refusal *out)
{
    if (!r->n_ips || !r->n_macs || r->n_ips == r->n_macs)
        return 0;
    return annot_refuse(out, -EINVAL,
                        xasprintf("count of multiple IP and Mac not same: %.*s %.*s",
                                  ANNOT_TEXT_MAX, r->ip_text, ANNOT_TEXT_MAX, macs),
                        xasprintf("count of %sIP and Mac not equal: %zu %zu",
                                  r->n_macs > 1 ? "multiple " : "", r->n_ips, r->n_macs),
                        "name as many MACs as addresses, in the same order, or no MAC");
}

static int read_macs(struct annot_request *r, const char *annotation, struct annot_refusal *out)
{
    auto_free char *text = trimmed(annotation ? annotation : ""), *shown = xstrdup(text);
    char *rest = text, *part;
    int status = 0;

    if (!*text || is_auto(text))
        return 0;
    status = check_length("mac", text, out);
    while (status == 0 && (part = next_part(&rest)))
        status = add_mac(r, part, out);
    return status < 0 ? status : check_counts(r, shown, out);
}

static int read_subnet(struct annot_request *r, const char *annotation, struct annot_refusal *out)
{
    r->subnet = trimmed(annotation);
    if (svc_name_is_valid(r->subnet) && strlen(r->subnet) <= SUBNET_NAME_MAX)
        return 0;
    return annot_refuse_subnet(out, -EINVAL,
                               xasprintf("subnet name '%.*s' is not valid", ANNOT_TEXT_MAX,
                                         r->subnet),
                               "set " ANNOT_SUBNET " to the name of a MacvlanSubnet");
}

int annot_parse(const cJSON *annotations, struct annot_request *out,
                struct annot_refusal *out_refusal)
{
    const char *ip = json_get_str(annotations, ANNOT_IP);
    const char *subnet = json_get_str(annotations, ANNOT_SUBNET);
    auto_annot_request struct annot_request r = {.subnet = NULL};
    int status;

    if (!ip || !subnet)
        return 0;
    r.ip_text = xstrdup(ip);
    status = read_subnet(&r, subnet, out_refusal);
    if (status == 0)
        status = read_ips(&r, out_refusal);
    if (status == 0)
        status = read_macs(&r, json_get_str(annotations, ANNOT_MAC), out_refusal);
    if (status < 0)
        return status;
    *out = r;
    r = (struct annot_request){.subnet = NULL};
    return 1;
}

/* --- warnings --- */

char *annot_long_list(const struct annot_request *r)
{
    size_t n = r->n_ips > r->n_macs ? r->n_ips : r->n_macs;

    if (n <= ANNOT_UI_MAX)
        return NULL;
    return xasprintf("%zu addresses or MACs are listed, of which the UI shows %d: edit the "
                     "annotations of this workload as YAML",
                     n, ANNOT_UI_MAX);
}

/* Whether the annotation names our network; -EINVAL: it cannot be read. */
static int asks_by(const cJSON *annotations, const char *key, struct err **e)
{
    const char *text = json_get_str(annotations, key);
    auto_networks struct svc_networks list = {.items = NULL};

    if (!text)
        return 0;
    if (svc_networks_parse(text, &list, e) < 0)
        return -EINVAL;
    for (size_t i = 0; i < list.count; i++)
        if (!strcmp(list.items[i].name, SVC_MACVLAN_NETWORK))
            return 1;
    return 0;
}

char *annot_half(const cJSON *annotations, bool is_multus)
{
    bool has_ip = json_get_str(annotations, ANNOT_IP), asks;
    bool has_subnet = json_get_str(annotations, ANNOT_SUBNET);
    auto_err struct err *e = NULL;
    int more = asks_by(annotations, SVC_NETWORKS_KEY, &e);
    int first = asks_by(annotations, ANNOT_DEFAULT_NETWORK, more < 0 ? NULL : &e);

    asks = more > 0 || first > 0;
    if (has_ip != has_subnet || (asks && !has_ip))
        return xasprintf("the pod gets no macvlan address, since it has no annotation '%s': set "
                         "both '%s' and '%s'",
                         has_ip ? ANNOT_SUBNET : ANNOT_IP, ANNOT_IP, ANNOT_SUBNET);
    if (!is_multus || !has_ip || asks)
        return NULL;
    if (more < 0 || first < 0)
        return xasprintf("the pod gets a macvlan address but no interface for it, since annotation "
                         "'%s' cannot be read: %s",
                         more < 0 ? SVC_NETWORKS_KEY : ANNOT_DEFAULT_NETWORK, err_text(e));
    return xasprintf("the pod gets a macvlan address but no interface for it: set annotation '%s' "
                     "to [{\"name\":\"%s\",\"interface\":\"eth1\"}]",
                     SVC_NETWORKS_KEY, SVC_MACVLAN_NETWORK);
}

/* --- labels --- */

/* Lower-case hex SHA-1: what workloads of 2019 are found by. */
static void hash_text(const char *text, char out[2 * SHA_DIGEST_LENGTH + 1])
{
    unsigned char digest[SHA_DIGEST_LENGTH];

    if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha1(), NULL) != 1)
        abort();
    for (size_t i = 0; i < SHA_DIGEST_LENGTH; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

cJSON *annot_labels(const struct annot_request *r, struct ip_addr ip, const struct ip_mac *mac)
{
    char hash[2 * SHA_DIGEST_LENGTH + 1], label[IP_LABEL_SIZE], text[IP_MAC_TEXT_SIZE];
    cJSON *labels = cJSON_CreateObject();

    hash_text(r->ip_text, hash);
    json_add_str(labels, LABEL_IP_HASH, hash);
    json_add_str(labels, LABEL_SELECTED_IP, ip_label(ip, label));
    if (mac)
        json_add_str(labels, LABEL_SELECTED_MAC, ip_mac_format(*mac, '_', text));
    json_add_str(labels, LABEL_IP_TYPE, r->n_ips ? "specific" : "auto");
    json_add_str(labels, LABEL_POD_SUBNET, r->subnet);
    return labels;
}
