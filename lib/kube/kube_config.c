/* From the text of kubeconfigs to a server and credentials. No file is opened here. */
#include "kube_config.h"

#include "kube_internal.h"
#include "mem.h"
#include "yamltree.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 400 /* bytes of a list of names in a message */

/* The texts as trees. */
struct reading {
    const struct kube_source *sources;
    struct yamltree *trees;
    size_t n;
};

/* A cluster or user, and the text that it is in. */
struct entry {
    const char *kind; /* "cluster" */
    const char *name;
    const struct yamlnode *node;
    const char *path;
};

static const struct yamlnode *root_of(const struct reading *r, size_t i)
{
    return r->trees[i].n_documents ? r->trees[i].documents[0] : NULL;
}

static int parse_trees(struct reading *r, struct err **e)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct kube_source *s = &r->sources[i];
        const struct yamlnode *root;
        int result = yamltree_parse(s->text, s->len, &r->trees[i], e);

        if (result < 0)
            return err_wrap(e, "'%s'", s->path);
        root = yamlnode_deref(root_of(r, i));
        if (root && root->kind != YAMLNODE_MAPPING && yamlnode_str(root))
            return err_set(e, -EINVAL, "'%s' is no kubeconfig", s->path);
    }
    return 0;
}

/* --- finding things by name --- */

static const struct yamlnode *find_in(const struct yamlnode *root, const char *list_name,
                                      const char *name)
{
    const struct yamlnode *list = yamlnode_get(root, list_name);

    for (size_t i = 0; list && list->kind == YAMLNODE_LIST && i < list->n_items; i++) {
        const char *text = yamlnode_str(yamlnode_get(list->items[i], "name"));

        if (text && !strcmp(text, name))
            return list->items[i];
    }
    return NULL;
}

static void list_names(const struct reading *r, const char *list_name, struct buf *out)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct yamlnode *list = yamlnode_get(root_of(r, i), list_name);

        for (size_t k = 0; list && list->kind == YAMLNODE_LIST && k < list->n_items; k++) {
            const char *text = yamlnode_str(yamlnode_get(list->items[k], "name"));

            if (text)
                (void)buf_addf(out, "%s'%.60s'", out->len ? ", " : "", text);
        }
    }
}

/* out->kind and out->name say what to look for. */
static int find(const struct reading *r, struct entry *out, struct err **e)
{
    auto_free char *list_name = xasprintf("%ss", out->kind);
    auto_buf struct buf names;

    buf_init(&names, NAMES_MAX);
    for (size_t i = 0; i < r->n; i++) {
        const struct yamlnode *item = find_in(root_of(r, i), list_name, out->name);

        if (!item)
            continue;
        out->node = yamlnode_get(item, out->kind);
        out->path = r->sources[i].path;
        return 0;
    }
    list_names(r, list_name, &names);
    return err_set(e, -EINVAL, "'%s' has no %s '%.100s'; it has %s", r->sources[0].path, out->kind,
                   out->name, names.len ? names.data : "none");
}

static const char *current_context(const struct reading *r)
{
    const char *name = NULL;

    for (size_t i = 0; i < r->n && (!name || !*name); i++)
        name = yamlnode_str(yamlnode_get(root_of(r, i), "current-context"));
    return name && *name ? name : NULL;
}

/* --- fields --- */

bool kube_config_is_word(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

/* NULL where it is absent or empty; a copy otherwise. */
static int take_word(const struct entry *from, const char *key, char **out, struct err **e)
{
    const char *text = yamlnode_str(yamlnode_get(from->node, key));

    if (!text || !*text)
        return 0;
    if (!kube_config_is_word(text))
        return err_set(e, -EINVAL, "%s '%s' in '%s': '%s' has blanks or control characters",
                       from->kind, from->name, from->path, key);
    *out = xstrdup(text);
    return 0;
}

static int decode(const char *text, struct buf *out)
{
    size_t len = strlen(text);
    auto_free unsigned char *plain = xmalloc(len + 4);
    EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
    int n = 0, rest = 0;
    bool is_right;

    if (!ctx)
        abort();
    EVP_DecodeInit(ctx);
    is_right = EVP_DecodeUpdate(ctx, plain, &n, (const unsigned char *)text, (int)len) >= 0 &&
               EVP_DecodeFinal(ctx, plain + n, &rest) == 1 && n + rest > 0;
    EVP_ENCODE_CTX_free(ctx);
    return is_right ? buf_add(out, plain, (size_t)(n + rest)) : -EINVAL;
}

/* A relative path starts from the folder of the kubeconfig. */
static void take_file(const struct entry *from, const char *key, struct kube_part *out)
{
    const char *file = yamlnode_str(yamlnode_get(from->node, key));
    const char *slash = strrchr(from->path, '/');

    if (!file || !*file)
        return;
    out->file = *file == '/' || !slash
                    ? xstrdup(file)
                    : xasprintf("%.*s/%s", (int)(slash - from->path), from->path, file);
}

/* `key` names a file, `key`-data holds its bytes in base64 and counts before it. */
static int take_part(const struct entry *from, const char *key, struct kube_part *out,
                     struct err **e)
{
    auto_free char *data_key = xasprintf("%s-data", key);
    const char *data = yamlnode_str(yamlnode_get(from->node, data_key));

    if (!data || !*data) {
        take_file(from, key, out);
        return 0;
    }
    if (decode(data, &out->bytes) == 0)
        return 0;
    return err_set(e, -EINVAL, "%s '%s' in '%s': '%s' is no base64", from->kind, from->name,
                   from->path, data_key);
}

static bool is_given(const struct kube_part *part)
{
    return part->file || part->bytes.len;
}

static int take_cluster(const struct entry *from, struct kube_config *c, struct err **e)
{
    const char *insecure = yamlnode_str(yamlnode_get(from->node, "insecure-skip-tls-verify"));
    int r = take_word(from, "server", &c->server, e);

    if (r == 0)
        r = take_word(from, "tls-server-name", &c->tls_name, e);
    if (r == 0)
        r = take_word(from, "proxy-url", &c->proxy, e);
    if (r == 0)
        r = take_part(from, "certificate-authority", &c->ca, e);
    if (r < 0)
        return r;
    c->insecure = insecure && !strcmp(insecure, "true");
    if (!c->server)
        return err_set(e, -EINVAL, "cluster '%s' in '%s' has no server", from->name, from->path);
    if (c->tls_name && strpbrk(c->tls_name, "/:@?#[]\\"))
        return err_set(e, -EINVAL, "cluster '%s' in '%s': '%s' is no host name", from->name,
                       from->path, c->tls_name);
    if (c->insecure && is_given(&c->ca))
        return err_set(e, -EINVAL,
                       "cluster '%s' in '%s' has a certificate-authority and "
                       "insecure-skip-tls-verify; remove one of them",
                       from->name, from->path);
    return 0;
}

static int refuse_others(const struct entry *from, struct err **e)
{
    static const char *const unknown[] = {"auth-provider", "username",  "as",
                                          "as-uid",        "as-groups", "as-user-extra"};

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        if (yamlnode_get(from->node, unknown[i]))
            return err_set(e, -EINVAL,
                           "user '%s' in '%s' has '%s', which cannot be used here; give the user a "
                           "token or a client certificate",
                           from->name, from->path, unknown[i]);
    return 0;
}

/* --- exec --- */

static void add_text(char ***list, size_t *n, char *text)
{
    array_grow(*list, *n);
    (*list)[(*n)++] = text;
}

/* A command with a slash is relative to the kubeconfig. */
static char *command_path(const struct entry *from, const char *command)
{
    const char *slash = strrchr(from->path, '/');

    return *command == '/' || !strchr(command, '/') || !slash
               ? xstrdup(command)
               : xasprintf("%.*s/%s", (int)(slash - from->path), from->path, command);
}

static void take_args(struct kube_exec_plugin *p, const struct yamlnode *args, char *command)
{
    size_t n = 0;

    add_text(&p->argv, &n, command);
    for (size_t i = 0; args && args->kind == YAMLNODE_LIST && i < args->n_items; i++) {
        const char *text = yamlnode_str(args->items[i]);

        add_text(&p->argv, &n, xstrdup(text ? text : ""));
    }
    add_text(&p->argv, &n, NULL);
}

static void take_env(struct kube_exec_plugin *p, const struct yamlnode *env)
{
    size_t n = 0;

    for (size_t i = 0; env && env->kind == YAMLNODE_LIST && i < env->n_items; i++) {
        const char *name = yamlnode_str(yamlnode_get(env->items[i], "name"));
        const char *value = yamlnode_str(yamlnode_get(env->items[i], "value"));

        if (name && *name)
            add_text(&p->env, &n, xasprintf("%s=%s", name, value ? value : ""));
    }
    add_text(&p->env, &n, NULL);
}

static int take_exec(const struct entry *from, struct kube_config *c, struct err **e)
{
    const struct yamlnode *exec = yamlnode_get(from->node, "exec");
    const char *command = yamlnode_str(yamlnode_get(exec, "command"));
    const char *version = yamlnode_str(yamlnode_get(exec, "apiVersion"));
    const char *mode = yamlnode_str(yamlnode_get(exec, "interactiveMode"));
    const char *wants_cluster = yamlnode_str(yamlnode_get(exec, "provideClusterInfo"));

    if (!exec)
        return 0;
    if (!command || !*command || !version || !*version)
        return err_set(e, -EINVAL, "user '%s' in '%s' has 'exec' without command or apiVersion",
                       from->name, from->path);
    if (mode && !strcmp(mode, "Always"))
        return err_set(
            e, -EINVAL,
            "user '%s' in '%s' has 'exec': %.100s, which needs a terminal (interactiveMode"
            " Always) and gets none here",
            from->name, from->path, command);
    c->exec = xcalloc(1, sizeof(*c->exec));
    c->exec->api_version = xstrdup(version);
    c->exec->hint = xstrdup(yamlnode_str(yamlnode_get(exec, "installHint")));
    c->exec->wants_cluster = wants_cluster && !strcmp(wants_cluster, "true");
    take_args(c->exec, yamlnode_get(exec, "args"), command_path(from, command));
    take_env(c->exec, yamlnode_get(exec, "env"));
    return 0;
}

static int take_user(const struct entry *from, struct kube_config *c, struct err **e)
{
    auto_free char *token = NULL;
    int r = refuse_others(from, e);

    if (r == 0)
        r = take_exec(from, c, e);
    if (r == 0)
        r = take_part(from, "client-certificate", &c->cert, e);
    if (r == 0)
        r = take_part(from, "client-key", &c->key, e);
    if (r == 0)
        r = take_word(from, "token", &token, e);
    if (r < 0)
        return r;
    take_file(from, "tokenFile", &c->token);
    if (token && !c->token.file)
        (void)buf_addstr(&c->token.bytes, token);
    if (is_given(&c->cert) != is_given(&c->key))
        return err_set(e, -EINVAL,
                       "user '%s' in '%s' has only one of client-certificate and "
                       "client-key",
                       from->name, from->path);
    return 0;
}

/* --- all of it --- */

static int read_context(const struct reading *r, const char *name, struct kube_config *c,
                        struct err **e)
{
    struct entry context = {.kind = "context", .name = name ? name : current_context(r)};
    struct entry cluster = {.kind = "cluster"}, user = {.kind = "user"};
    int result;

    if (!context.name)
        return err_set(e, -EINVAL, "'%s' has no current-context; name one", r->sources[0].path);
    result = find(r, &context, e);
    if (result < 0)
        return result;
    c->context = xstrdup(context.name);
    cluster.name = yamlnode_str(yamlnode_get(context.node, "cluster"));
    user.name = yamlnode_str(yamlnode_get(context.node, "user"));
    if (!cluster.name)
        return err_set(e, -EINVAL, "context '%s' in '%s' has no cluster", context.name,
                       context.path);
    result = find(r, &cluster, e);
    if (result == 0)
        result = take_cluster(&cluster, c, e);
    if (result == 0 && user.name && *user.name)
        result = find(r, &user, e);
    if (result == 0 && user.node)
        result = take_user(&user, c, e);
    return result;
}

void kube_config_init(struct kube_config *c)
{
    *c = (struct kube_config){.context = NULL};
    buf_init(&c->ca.bytes, KUBE_CONFIG_MAX);
    buf_init(&c->cert.bytes, KUBE_CONFIG_MAX);
    buf_init(&c->key.bytes, KUBE_CONFIG_MAX);
    buf_init(&c->token.bytes, KUBE_CONFIG_MAX);
}

int kube_config_parse(const struct kube_source *sources, size_t n, const char *context,
                      struct kube_config *out, struct err **e)
{
    struct reading reading = {.sources = sources,
                              .trees = xcalloc(n, sizeof(*reading.trees)),
                              .n = n};
    struct kube_config c;
    int r;

    kube_config_init(&c);
    r = parse_trees(&reading, e);
    if (r == 0)
        r = read_context(&reading, context, &c, e);
    for (size_t i = 0; i < n; i++)
        yamltree_release(&reading.trees[i]);
    free(reading.trees);
    if (r < 0)
        kube_config_release(&c);
    else
        *out = c;
    return r;
}

static void part_release(struct kube_part *part)
{
    buf_release(&part->bytes);
    free(part->file);
}

void kube_config_release(struct kube_config *c)
{
    free(c->context);
    free(c->server);
    free(c->tls_name);
    free(c->proxy);
    part_release(&c->ca);
    part_release(&c->cert);
    part_release(&c->key);
    part_release(&c->token);
    kube_exec_plugin_free(c->exec);
    *c = (struct kube_config){.context = NULL};
}
