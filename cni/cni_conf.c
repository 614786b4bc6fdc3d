/* The network configuration. */
#include "cni_conf.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S 30
#define TIMEOUT_MAX_S 600
#define MTU_MAX 65535
#define LOG_MAX (10 << 20)
#define LOG_MAX_LEAST 4096
#define LOG_MAX_MOST (1 << 30)

/* A word and what it stands for. */
struct choice {
    const char *word;
    int value;
};

/* --- members by type; null is absent --- */

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNull(item) ? NULL : item;
}

/* *out stays where it is absent. */
static int get_text(const cJSON *object, const char *name, const char **out, struct err **e)
{
    const cJSON *item = member(object, name);

    if (!item)
        return 0;
    if (!cJSON_IsString(item))
        return err_set(e, -EINVAL, "'%s' of the configuration is no text", name);
    *out = item->valuestring;
    return 0;
}

static int get_bool(const cJSON *object, const char *name, bool *out, struct err **e)
{
    const cJSON *item = member(object, name);

    if (!item)
        return 0;
    if (!cJSON_IsBool(item))
        return err_set(e, -EINVAL, "'%s' of the configuration is neither true nor false", name);
    *out = cJSON_IsTrue(item);
    return 0;
}

static int get_number(const cJSON *object, const char *name, int64_t least, int64_t most,
                      int64_t *out, struct err **e)
{
    int64_t value = 0;

    if (!member(object, name))
        return 0;
    if (json_get_size(object, name, &value) < 0 || value < least || value > most)
        return err_set(e, -EINVAL, "'%s' of the configuration is no whole number from %lld to %lld",
                       name, (long long)least, (long long)most);
    *out = value;
    return 0;
}

static int get_object(const cJSON *object, const char *name, const cJSON **out, struct err **e)
{
    const cJSON *item = member(object, name);

    if (item && !cJSON_IsObject(item))
        return err_set(e, -EINVAL, "'%s' of the configuration is no object", name);
    *out = item;
    return 0;
}

/* *out stays where it is absent or "". */
static int get_choice(const cJSON *object, const char *name, const struct choice *choices, int *out,
                      struct err **e)
{
    const char *text = "";
    int r = get_text(object, name, &text, e);

    if (r < 0 || !*text)
        return r;
    for (; choices->word; choices++) {
        if (strcmp(text, choices->word) == 0) {
            *out = choices->value;
            return 0;
        }
    }
    return err_set(e, -EINVAL, "'%s' of the configuration has a value that is not known: '%.40s'",
                   name, text);
}

static int get_mac(const cJSON *object, const char *name, struct ip_mac *out, bool *has,
                   struct err **e)
{
    const char *text = "";
    int r = get_text(object, name, &text, e);

    if (r < 0 || !*text)
        return r;
    if (ip_mac_parse(text, out, e) < 0) {
        (void)err_wrap(e, "'%s' of the configuration", name);
        return -EINVAL;
    }
    *has = true;
    return 0;
}

/* --- parts --- */

static int take_name(const cJSON *tree, struct cni_conf *c, struct err **e)
{
    const char *version = NULL;
    int r = get_text(tree, "cniVersion", &version, e);

    c->name = c->type = "";
    if (r == 0)
        r = cni_version_parse(version, &c->version, e);
    if (r == 0)
        r = get_text(tree, "name", &c->name, e);
    if (r == 0)
        r = get_text(tree, "type", &c->type, e);
    if (r < 0)
        return r;
    if (!*c->name)
        return err_set(e, -EINVAL, "the configuration has no name of the network");
    if (!cni_name_is_valid(c->name))
        return err_set(e, -EINVAL, "'%.80s' is no name of a network", c->name);
    return 0;
}

static int take_network(const cJSON *tree, struct cni_conf *c, struct err **e)
{
    static const struct choice modes[] = {{"bridge", MACVLAN_BRIDGE},
                                          {"private", MACVLAN_PRIVATE},
                                          {"vepa", MACVLAN_VEPA},
                                          {"passthru", MACVLAN_PASSTHRU},
                                          {NULL, 0}};
    const cJSON *args = NULL, *cni_args = NULL, *runtime = NULL;
    int64_t mtu = 0;
    int mode = -1, r = get_text(tree, "master", &c->master, e);

    if (r == 0)
        r = get_choice(tree, "mode", modes, &mode, e);
    if (r == 0)
        r = get_number(tree, "mtu", 0, MTU_MAX, &mtu, e);
    if (r == 0)
        r = get_mac(tree, "mac", &c->mac, &c->has_mac, e);
    if (r == 0)
        r = get_object(tree, "args", &args, e);
    if (r == 0)
        r = get_object(args, "cni", &cni_args, e);
    if (r == 0)
        r = get_mac(cni_args, "mac", &c->mac, &c->has_mac, e);
    if (r == 0)
        r = get_object(tree, "runtimeConfig", &runtime, e);
    if (r == 0)
        r = get_mac(runtime, "mac", &c->runtime_mac, &c->has_runtime_mac, e);
    if (r < 0)
        return r;
    if (c->master && !*c->master)
        c->master = NULL;
    if (c->master && !cni_ifname_is_valid(c->master))
        return err_set(e, -EINVAL,
                       "'master' of the configuration is no name of an interface: '%.40s'",
                       c->master);
    c->has_mode = mode >= 0;
    c->mode = c->has_mode ? (enum wanted_mode)mode : MACVLAN_BRIDGE;
    c->mtu = (unsigned)mtu;
    return 0;
}

static int take_call(const cJSON *tree, struct cni_conf *c, struct err **e)
{
    int64_t timeout_s = TIMEOUT_S;
    int r = get_bool(tree, "chained", &c->is_chained, e);

    c->interface = "eth1";
    if (r == 0)
        r = get_text(tree, "interface", &c->interface, e);
    if (r == 0)
        r = get_text(tree, "kubeconfig", &c->kubeconfig, e);
    if (r == 0)
        r = get_number(tree, "timeout", 1, TIMEOUT_MAX_S, &timeout_s, e);
    if (r == 0)
        r = get_bool(tree, "probe", &c->has_probe, e);
    if (r == 0)
        r = get_bool(tree, "disableCheck", &c->is_check_disabled, e);
    if (r < 0)
        return r;
    if (!cni_ifname_is_valid(c->interface))
        return err_set(e, -EINVAL,
                       "'interface' of the configuration is no name of an interface: '%.40s'",
                       c->interface);
    if (c->kubeconfig && !*c->kubeconfig)
        c->kubeconfig = NULL;
    c->timeout_ms = (int)timeout_s * 1000;
    return 0;
}

static int take_log(const cJSON *tree, struct cni_conf *c, struct err **e)
{
    static const struct choice levels[] = {{"panic", LOG_ERROR}, {"error", LOG_ERROR},
                                           {"warn", LOG_WARN},   {"warning", LOG_WARN},
                                           {"info", LOG_INFO},   {"verbose", LOG_INFO},
                                           {"debug", LOG_DEBUG}, {NULL, 0}};
    static const struct choice formats[] = {{"text", 0}, {"json", 1}, {NULL, 0}};
    int level = LOG_INFO, format = 0, r;

    c->log_file = CNI_LOG_FILE;
    c->log_max = LOG_MAX;
    r = get_text(tree, "logFile", &c->log_file, e);
    if (r == 0)
        r = get_choice(tree, "logLevel", levels, &level, e);
    if (r == 0)
        r = get_choice(tree, "logFormat", formats, &format, e);
    if (r == 0)
        r = get_number(tree, "logMaxSize", LOG_MAX_LEAST, LOG_MAX_MOST, &c->log_max, e);
    if (!*c->log_file)
        c->log_file = NULL;
    c->log_level = (enum log_level)level;
    c->is_log_json = format == 1;
    return r;
}

static int take_dns(const cJSON *tree, struct cni_conf *c, struct err **e)
{
    const cJSON *ipam = NULL;
    int r = cni_dns_parse(member(tree, "dns"), &c->dns, e);

    if (r == 0)
        r = get_object(tree, "ipam", &ipam, e);
    if (r == 0 && !c->dns)
        r = cni_dns_parse(member(ipam, "dns"), &c->dns, e);
    return r;
}

static int take_prev(const cJSON *tree, enum cni_command command, struct cni_conf *c,
                     struct err **e)
{
    auto_err struct err *why = NULL;
    const cJSON *prev = member(tree, "prevResult");

    if (!prev)
        return 0;
    if (cni_result_parse(prev, &c->prev, &why) < 0) {
        if (command == CNI_ADD || command == CNI_CHECK)
            return err_set(e, -EINVAL, "prevResult of the configuration: %s", why->msg);
        return 0;
    }
    c->has_prev = true;
    c->prev_tree = prev;
    return 0;
}

/* libcni sends the list under a wrong name too (containernetworking/cni#1101). */
static int take_valid(const cJSON *tree, struct cni_conf *c, struct err **e)
{
    static const char *const names[] = {"cni.dev/valid-attachments", "cni.dev/attachments"};
    const cJSON *list = NULL, *item;

    for (size_t i = 0; i < 2 && !list; i++) {
        list = member(tree, names[i]);
        if (list && !cJSON_IsArray(list))
            return err_set(e, -EINVAL, "'%s' of the configuration is no list", names[i]);
    }
    c->has_valid = list != NULL;
    cJSON_ArrayForEach(item, list)
    {
        const char *id = json_get_str(item, "containerID"), *ifname = json_get_str(item, "ifname");

        if (!id || !ifname)
            return err_set(e, -EINVAL, "a valid attachment has no containerID or ifname");
        array_grow(c->valid, c->n_valid);
        c->valid[c->n_valid++] = (struct cni_attachment){.container_id = id, .ifname = ifname};
    }
    return 0;
}

/* --- public --- */

int cni_conf_parse(const cJSON *tree, enum cni_command command, struct cni_conf *out,
                   struct err **e)
{
    auto_cni_conf struct cni_conf c = {.tree = tree};
    int r;

    if (!cJSON_IsObject(tree))
        return err_set(e, -EBADMSG, "the configuration is no object");
    r = take_name(tree, &c, e);
    if (r == 0)
        r = take_network(tree, &c, e);
    if (r == 0)
        r = take_call(tree, &c, e);
    if (r == 0)
        r = take_log(tree, &c, e);
    if (r == 0)
        r = take_dns(tree, &c, e);
    if (r == 0)
        r = take_prev(tree, command, &c, e);
    if (r == 0 && command == CNI_GC)
        r = take_valid(tree, &c, e);
    if (r < 0)
        return r;
    *out = c;
    c = (struct cni_conf){.tree = NULL};
    return 0;
}

void cni_conf_release(struct cni_conf *c)
{
    cJSON_Delete(c->dns);
    cni_result_release(&c->prev);
    free(c->valid);
    *c = (struct cni_conf){.tree = NULL};
}

const struct ip_mac *cni_conf_mac(const struct cni_conf *c, const struct cni_env *env)
{
    if (c->has_runtime_mac)
        return &c->runtime_mac;
    if (env->args.has_mac)
        return &env->args.mac;
    return c->has_mac ? &c->mac : NULL;
}

const char *cni_conf_ifname(const struct cni_conf *c, const struct cni_env *env)
{
    return c->is_chained ? c->interface : env->ifname;
}
