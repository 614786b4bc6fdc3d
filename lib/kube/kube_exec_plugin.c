/* Credential plugins: another program says who we are (client.authentication.k8s.io). */
#include "child.h"
#include "json.h"
#include "kube_internal.h"
#include "mem.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define GROUP "client.authentication.k8s.io/"
#define ANSWER_MAX (1u << 20)

extern char **environ;

void kube_exec_plugin_free(struct kube_exec_plugin *p)
{
    if (!p)
        return;
    for (char **text = p->argv; text && *text; text++)
        free(*text);
    for (char **text = p->env; text && *text; text++)
        free(*text);
    free(p->argv);
    free(p->env);
    free(p->api_version);
    free(p->hint);
    free(p);
}

/* --- what it is told --- */

static cJSON *cluster_info(const struct kube_config *c)
{
    auto_free char *ca = xcalloc(1, (c->ca.bytes.len + 2) / 3 * 4 + 1);
    cJSON *cluster = cJSON_CreateObject();

    json_add_str(cluster, "server", c->server);
    json_add_str(cluster, "tls-server-name", c->tls_name);
    json_add_str(cluster, "proxy-url", c->proxy);
    if (c->insecure)
        (void)cJSON_AddBoolToObject(cluster, "insecure-skip-tls-verify", 1);
    (void)EVP_EncodeBlock((unsigned char *)ca, (const unsigned char *)c->ca.bytes.data,
                          (int)c->ca.bytes.len);
    if (c->ca.bytes.len)
        json_add_str(cluster, "certificate-authority-data", ca);
    return cluster;
}

/* "KUBERNETES_EXEC_INFO={...}", to be freed. */
static char *exec_info(const struct kube_config *c)
{
    auto_json cJSON *info = cJSON_CreateObject();
    auto_free char *text = NULL;
    cJSON *spec;

    json_add_str(info, "apiVersion", c->exec->api_version);
    json_add_str(info, "kind", "ExecCredential");
    spec = cJSON_AddObjectToObject(info, "spec");
    (void)cJSON_AddBoolToObject(spec, "interactive", 0);
    if (c->exec->wants_cluster)
        cJSON_AddItemToObject(spec, "cluster", cluster_info(c));
    text = json_print(info);
    return xasprintf("KUBERNETES_EXEC_INFO=%s", text);
}

/* Whether `list` sets the variable that `text` begins with. */
static bool is_set_in(char *const *list, const char *text)
{
    size_t len = strcspn(text, "=") + 1;

    for (; *list; list++)
        if (!strncmp(*list, text, len))
            return true;
    return false;
}

/* The environment with the plugin's own on top; borrowed texts, the array is to be freed. */
static const char **make_env(const struct kube_exec_plugin *p, const char *info)
{
    const char **env = NULL;
    size_t n = 0;

    for (char **text = environ; *text; text++) {
        if (is_set_in(p->env, *text) || !strncmp(*text, "KUBERNETES_EXEC_INFO=", 21))
            continue;
        array_grow(env, n);
        env[n++] = *text;
    }
    for (char **text = p->env; *text; text++) {
        array_grow(env, n);
        env[n++] = *text;
    }
    array_grow(env, n);
    env[n++] = info;
    array_grow(env, n);
    env[n] = NULL;
    return env;
}

static int run(const struct kube_config *c, struct buf *out, struct err **e)
{
    struct kube_exec_plugin *p = c->exec;
    auto_free char *found = strchr(p->argv[0], '/')
                                ? xstrdup(p->argv[0])
                                : child_find(p->argv[0], (const char *[]){NULL});
    auto_free char *info = exec_info(c);
    auto_free const char **env = make_env(p, info);
    struct child child = {.argv = (const char *const *)p->argv, .env = env};

    if (!found)
        return err_set(e, -EKEYREJECTED, "'%s' is not installed%s%.400s", p->argv[0],
                       p->hint ? ": " : "", p->hint ? p->hint : "");
    free(p->argv[0]);
    p->argv[0] = take(found);
    return child_run(&child, out, e);
}

/* --- what it says --- */

static int take_text(const cJSON *status, const char *name, struct kube_part *out)
{
    const char *text = json_get_str(status, name);

    if (!text || !*text)
        return 0;
    buf_clear(&out->bytes);
    free(out->file);
    out->file = NULL;
    return buf_addstr(&out->bytes, text);
}

static int read_answer(const struct buf *answer, struct kube_config *c, struct err **e)
{
    auto_json cJSON *tree = NULL;
    const cJSON *status;
    const char *version;
    int r = json_parse(answer->data, answer->len, &tree, e);

    if (r < 0)
        return r;
    version = json_get_str(tree, "apiVersion");
    status = json_get_obj(tree, "status");
    if (!version || strcmp(version, c->exec->api_version) != 0)
        return err_set(e, -EBADMSG, "its answer is of apiVersion '%.60s' and not '%.60s'",
                       version ? version : "", c->exec->api_version);
    r = take_text(status, "token", &c->token);
    if (r == 0)
        r = take_text(status, "clientCertificateData", &c->cert);
    if (r == 0)
        r = take_text(status, "clientKeyData", &c->key);
    if (r < 0)
        return err_set(e, r, "its answer is too long");
    if (c->token.bytes.len && !kube_config_trim_token(&c->token.bytes))
        return err_set(e, -EBADMSG, "its token cannot be one");
    if (!c->token.bytes.len && !(c->cert.bytes.len && c->key.bytes.len))
        return err_set(e, -EBADMSG,
                       "its answer has neither a token nor a certificate with its key");
    return 0;
}

int kube_exec_plugin_run(struct kube_config *c, struct err **e)
{
    auto_free char *command = xstrdup(c->exec->argv[0]);
    auto_buf struct buf answer;
    int r;

    buf_init(&answer, ANSWER_MAX);
    if (strncmp(c->exec->api_version, GROUP, strlen(GROUP)) != 0)
        return err_set(e, -EINVAL, "'exec': %.100s speaks '%.60s' and not " GROUP "v1", command,
                       c->exec->api_version);
    r = run(c, &answer, e);
    if (r == 0)
        r = read_answer(&answer, c, e);
    if (r == 0)
        return 0;
    if (e && *e)
        (*e)->status = -EKEYREJECTED;
    (void)err_wrap(e, "credentials of context '%s' by '%.100s'", c->context, command);
    return -EKEYREJECTED;
}
