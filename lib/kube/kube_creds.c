/* Credentials from files that are replaced from time to time. */
#include "kube_creds.h"

#include "fs.h"
#include "kube_internal.h"
#include "mem.h"
#include "num.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAMESPACE_MAX 256

static int server_from_env(char **out, struct err **e)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    uint64_t number = 0;
    bool is_v6;

    if (!host || !*host || !port || !*port)
        return err_set(e, -ENOENT,
                       "no pod of a cluster: KUBERNETES_SERVICE_HOST and "
                       "KUBERNETES_SERVICE_PORT are not set; give a kubeconfig");
    if (num_parse_u64(port, 65535, &number) < 0 || !number)
        return err_set(e, -EINVAL, "KUBERNETES_SERVICE_PORT: '%.20s' is no port", port);
    if (!kube_config_is_word(host) || strpbrk(host, "/?#@[]"))
        return err_set(e, -EINVAL, "KUBERNETES_SERVICE_HOST: '%.100s' is no host", host);
    is_v6 = strchr(host, ':');
    *out = xasprintf("https://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
    return 0;
}

static int read_part(struct kube_part *part, const char *folder, const char *name, struct err **e)
{
    int r;

    part->file = xasprintf("%s/%s", folder, name);
    r = fs_read_file(part->file, &part->bytes, e);
    if (r == 0 && !part->bytes.len)
        r = err_set(e, -EINVAL, "'%s' is empty", part->file);
    return r;
}

static int read_namespace(const char *folder, char **out, struct err **e)
{
    auto_free char *file = xasprintf("%s/namespace", folder);
    auto_buf struct buf text;
    int r;

    buf_init(&text, NAMESPACE_MAX);
    r = fs_read_file(file, &text, e);
    if (r < 0)
        return r;
    text.data[strcspn(text.data, "\r\n")] = '\0';
    if (!kube_name_is_valid(text.data))
        return err_set(e, -EINVAL, "no namespace is in '%s'", file);
    *out = xstrdup(text.data);
    return 0;
}

static int read_account(const char *folder, struct kube_config *c, char **out_namespace,
                        struct err **e)
{
    int r = read_part(&c->token, folder, "token", e);

    if (r == 0 && !kube_config_trim_token(&c->token.bytes))
        r = err_set(e, -EINVAL, "no token is in '%s'", c->token.file);
    if (r == 0)
        r = read_part(&c->ca, folder, "ca.crt", e);
    if (r == 0)
        r = read_namespace(folder, out_namespace, e);
    return r < 0 ? err_wrap(e, "service account of this pod") : 0;
}

int kube_creds_in_cluster(const char *folder, struct kube_config *out, char **out_namespace,
                          struct err **e)
{
    struct kube_config c;
    int r;

    kube_config_init(&c);
    c.no_proxy = true;
    r = server_from_env(&c.server, e);
    if (r == 0)
        r = read_account(folder ? folder : KUBE_SERVICE_ACCOUNT, &c, out_namespace, e);
    if (r < 0)
        kube_config_release(&c);
    else
        *out = c;
    return r;
}

static bool refresh(struct kube_part *part, bool is_token)
{
    struct buf now;
    bool is_usable;

    if (!part->file)
        return false;
    buf_init(&now, KUBE_CONFIG_MAX);
    is_usable = fs_read_file(part->file, &now, NULL) == 0 && now.len &&
                (!is_token || kube_config_trim_token(&now));
    if (!is_usable ||
        (now.len == part->bytes.len && !memcmp(now.data, part->bytes.data, now.len))) {
        buf_release(&now);
        return false;
    }
    buf_release(&part->bytes);
    part->bytes = now;
    return true;
}

bool kube_creds_refresh(struct kube_config *c)
{
    bool is_changed = refresh(&c->token, true);

    is_changed |= refresh(&c->ca, false);
    is_changed |= refresh(&c->cert, false);
    is_changed |= refresh(&c->key, false);
    return is_changed;
}
