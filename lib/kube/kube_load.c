/* The files of a kubeconfig: where they are, and what they name. */
#include "kube_config.h"

#include "fs.h"
#include "kube_internal.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct files {
    struct kube_source *sources;
    struct buf *texts;
    size_t n;
};

static int add_file(struct files *f, const char *path, struct err **e)
{
    struct buf text;
    int r;

    buf_init(&text, KUBE_CONFIG_MAX);
    r = fs_read_file(path, &text, e);
    if (r < 0) {
        buf_release(&text);
        return r;
    }
    array_grow(f->sources, f->n);
    array_grow(f->texts, f->n);
    f->texts[f->n] = text;
    f->sources[f->n++] =
        (struct kube_source){.path = xstrdup(path), .text = text.data, .len = text.len};
    return 0;
}

/* "A:B:C" */
static int add_list(struct files *f, const char *list, struct err **e)
{
    int r = 0;

    for (size_t len; *list && r == 0; list += len + (list[len] == ':')) {
        auto_free char *path = NULL;

        len = strcspn(list, ":");
        path = xstrndup(list, len);
        if (len && access(path, F_OK) == 0)
            r = add_file(f, path, e);
    }
    return r;
}

static int add_files(struct files *f, const char *path, struct err **e)
{
    const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");
    auto_free char *own = home && *home ? xasprintf("%s/.kube/config", home) : NULL;
    int r;

    if (path)
        return add_file(f, path, e);
    if (!list || !*list)
        return own ? add_file(f, own, e)
                   : err_set(e, -ENOENT, "no kubeconfig: neither KUBECONFIG nor HOME is set");
    r = add_list(f, list, e);
    if (r == 0 && !f->n)
        r = err_set(e, -ENOENT, "no kubeconfig: no file of KUBECONFIG ('%s') is there", list);
    return r;
}

static void files_release(struct files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        buf_release(&f->texts[i]);
        free((char *)f->sources[i].path);
    }
    free(f->texts);
    free(f->sources);
}

/* --- what it names --- */

static int load(struct kube_part *part, const char *what, struct err **e)
{
    int r = part->file && !part->bytes.len ? fs_read_file(part->file, &part->bytes, e) : 0;

    if (r == 0 && part->file && !part->bytes.len)
        r = err_set(e, -EINVAL, "'%s' is empty", part->file);
    return r < 0 ? err_wrap(e, "%s of the kubeconfig", what) : 0;
}

static int load_token(struct kube_part *token, struct err **e)
{
    int r = load(token, "token", e);

    if (r == 0 && token->bytes.len && !kube_config_trim_token(&token->bytes))
        r = err_set(e, -EINVAL, "no token is in '%s'",
                    token->file ? token->file : "the kubeconfig");
    return r;
}

static int load_parts(struct kube_config *c, struct err **e)
{
    int r = load(&c->ca, "certificate-authority", e);

    if (r == 0)
        r = load(&c->cert, "client-certificate", e);
    if (r == 0)
        r = load(&c->key, "client-key", e);
    if (r == 0)
        r = load_token(&c->token, e);
    return r;
}

static int load_all(const char *path, const char *context, bool may_exec, struct kube_config *out,
                    struct err **e)
{
    struct files f = {.n = 0};
    struct kube_config c = {.context = NULL};
    int r = add_files(&f, path, e);

    if (r == 0)
        r = kube_config_parse(f.sources, f.n, context, &c, e);
    files_release(&f);
    if (r == 0 && c.exec && !may_exec)
        r = err_set(e, -EINVAL,
                    "the user of context '%s' has 'exec': %.100s, which cannot be used here; give "
                    "the user a token or a client certificate",
                    c.context, c.exec->argv[0]);
    if (r == 0)
        r = load_parts(&c, e);
    if (r == 0 && c.exec)
        r = kube_exec_plugin_run(&c, e);
    if (r < 0)
        kube_config_release(&c);
    else
        *out = c;
    return r;
}

int kube_config_load(const char *path, const char *context, struct kube_config *out, struct err **e)
{
    return load_all(path, context, false, out, e);
}

int kube_config_load_user(const char *path, const char *context, struct kube_config *out,
                          struct err **e)
{
    return load_all(path, context, true, out, e);
}
