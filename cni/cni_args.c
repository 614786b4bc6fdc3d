/* CNI_ARGS. */
#include "buf.h"
#include "cni_env.h"
#include "kube/kube_client.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define UNKNOWN_MAX 200

/* While it is read. */
struct reading {
    struct cni_args args;
    char *mac;
    bool ignores_unknown;
    struct buf unknown; /* names, for the message */
};

static char **place_of(struct reading *r, const char *key)
{
    const struct {
        const char *key;
        char **out;
    } table[] = {
        {"K8S_POD_NAMESPACE", &r->args.pod_namespace},
        {"K8S_POD_NAME", &r->args.pod_name},
        {"K8S_POD_UID", &r->args.pod_uid},
        {"K8S_POD_INFRA_CONTAINER_ID", &r->args.infra_id},
        {"IP", &r->args.ip},
        {"GATEWAY", &r->args.gateway},
        {"MAC", &r->mac},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (strcmp(key, table[i].key) == 0)
            return table[i].out;
    return NULL;
}

static int set_ignore(struct reading *r, const char *value, struct err **e)
{
    bool is_true = !strcmp(value, "1") || !strcasecmp(value, "true");

    if (!is_true && strcmp(value, "0") != 0 && strcasecmp(value, "false") != 0)
        return err_set(e, -EBADR, "CNI_ARGS: IgnoreUnknown is '%.40s', neither true nor false",
                       value);
    r->ignores_unknown = is_true;
    return 0;
}

static int take_pair(struct reading *r, const char *key, const char *value, struct err **e)
{
    char **place;

    if (strcmp(key, "IgnoreUnknown") == 0)
        return set_ignore(r, value, e);
    place = place_of(r, key);
    if (!place) {
        (void)buf_addf(&r->unknown, "%s'%.40s'", r->unknown.len ? ", " : "", key);
        return 0;
    }
    free(*place);
    *place = *value ? xstrdup(value) : NULL;
    return 0;
}

static int take_pairs(struct reading *r, const char *text, struct err **e)
{
    int result = 0;

    while (*text && result == 0) {
        size_t len = strcspn(text, ";");
        auto_free char *pair = xstrndup(text, len);
        char *equals = strchr(pair, '=');

        text += len + (text[len] == ';');
        if (!*pair)
            continue;
        if (!equals)
            return err_set(e, -EBADR, "CNI_ARGS: '%.80s' is no KEY=VALUE", pair);
        *equals = '\0';
        result = take_pair(r, pair, equals + 1, e);
    }
    return result;
}

static bool is_pod_word(const char *text)
{
    return !text || kube_name_is_valid(text);
}

static int check(struct reading *r, struct err **e)
{
    auto_err struct err *why = NULL;

    if (r->unknown.len && !r->ignores_unknown)
        return err_set(e, -EBADR, "CNI_ARGS has keys that are not known: %s (IgnoreUnknown=1 %s)",
                       r->unknown.data, "lets them pass");
    /* podman: the container's name, which need not be one that a pod could have. */
    if (!r->args.pod_namespace) {
        free(r->args.pod_name);
        r->args.pod_name = NULL;
    }
    if (!is_pod_word(r->args.pod_namespace) || !is_pod_word(r->args.pod_name))
        return err_set(e, -EBADR,
                       "CNI_ARGS: '%.80s' and '%.80s' are no namespace and name of a pod",
                       r->args.pod_namespace ? r->args.pod_namespace : "",
                       r->args.pod_name ? r->args.pod_name : "");
    if (r->args.pod_uid && !cni_name_is_valid(r->args.pod_uid))
        return err_set(e, -EBADR, "CNI_ARGS: '%.80s' is no UID", r->args.pod_uid);
    if (!r->mac)
        return 0;
    if (ip_mac_parse(r->mac, &r->args.mac, &why) < 0)
        return err_set(e, -EBADR, "CNI_ARGS: MAC: %s", why->msg);
    r->args.has_mac = true;
    return 0;
}

int cni_args_parse(const char *text, struct cni_args *out, struct err **e)
{
    struct reading r = {.mac = NULL};
    int result;

    if (strlen(text) > CNI_ARGS_MAX)
        return err_set(e, -EBADR, "CNI_ARGS is longer than %u bytes", CNI_ARGS_MAX);
    buf_init(&r.unknown, UNKNOWN_MAX);
    result = take_pairs(&r, text, e);
    if (result == 0)
        result = check(&r, e);
    buf_release(&r.unknown);
    free(r.mac);
    if (result == 0)
        *out = r.args;
    else
        cni_args_release(&r.args);
    return result;
}

void cni_args_release(struct cni_args *args)
{
    free(args->pod_namespace);
    free(args->pod_name);
    free(args->pod_uid);
    free(args->infra_id);
    free(args->ip);
    free(args->gateway);
    *args = (struct cni_args){.ip = NULL};
}
