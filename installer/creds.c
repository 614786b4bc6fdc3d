/* Finding credentials in containers' and docker's files. */
#include "creds.h"

#include "buf.h"
#include "creds_internal.h"
#include "fs.h"
#include "json.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What helpers know Docker Hub by. */
#define HUB_SERVER "https://index.docker.io/v1/"

struct file {
    char *path;
    cJSON *tree;
};

/* What a helper said, so that it runs once per host. */
struct answer {
    char *helper;
    char *server;
    struct creds creds;
    bool found;
};

struct creds_store {
    struct file files[CREDS_PLACES];
    size_t n_files;
    pthread_mutex_t lock; /* of the answers */
    struct answer *answers;
    size_t n_answers;
};

void creds_release(struct creds *c)
{
    free(c->username);
    free(c->password);
    free(c->identity_token);
    free(c->source);
    *c = (struct creds){.username = NULL};
}

static void copy_creds(struct creds *out, const struct creds *from)
{
    *out = (struct creds){
        .username = xstrdup(from->username),
        .password = xstrdup(from->password),
        .identity_token = xstrdup(from->identity_token),
        .source = xstrdup(from->source),
    };
}

/* --- the files --- */

static const char *env(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static size_t add_place(struct creds_place *places, size_t n, enum creds_owner owner, char *path)
{
    if (!path)
        return n;
    places[n] = (struct creds_place){.path = path, .owner = owner};
    return n + 1;
}

/* VARIABLE/file, or HOME/fallback/file, or NULL. */
static char *below(const char *variable, const char *fallback, const char *file)
{
    const char *folder = env(variable), *home = env("HOME");

    if (folder)
        return xasprintf("%s/%s", folder, file);
    return home ? xasprintf("%s/%s/%s", home, fallback, file) : NULL;
}

size_t creds_places(const char *authfile, struct creds_place out[CREDS_PLACES])
{
    const char *named = authfile ? authfile : env("REGISTRY_AUTH_FILE");
    const char *runtime = env("XDG_RUNTIME_DIR");
    size_t n = 0;

    memset(out, 0, CREDS_PLACES * sizeof(*out));
    if (named)
        return add_place(out, 0, CREDS_NAMED, xstrdup(named));
    n = add_place(out, n, CREDS_CONTAINERS,
                  runtime ? xasprintf("%s/containers/auth.json", runtime)
                          : xasprintf("/run/containers/%u/auth.json", (unsigned)getuid()));
    n = add_place(out, n, CREDS_CONTAINERS,
                  below("XDG_CONFIG_HOME", ".config", "containers/auth.json"));
    return add_place(out, n, CREDS_DOCKER, below("DOCKER_CONFIG", ".docker", "config.json"));
}

void creds_places_release(struct creds_place places[CREDS_PLACES])
{
    for (size_t i = 0; i < CREDS_PLACES; i++)
        free(places[i].path);
}

int creds_read_file(const char *path, cJSON **out_tree, struct err **e)
{
    auto_json cJSON *tree = NULL;
    auto_buf struct buf text;
    int r;

    buf_init(&text, CREDS_FILE_MAX);
    *out_tree = NULL;
    r = fs_read_file(path, &text, e);
    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    if (r == 0)
        r = json_parse(text.data, text.len, &tree, e);
    if (r < 0)
        return err_set(e, -EINVAL, "credentials cannot be read from '%s': %s", path,
                       e && *e ? (*e)->msg : strerror(-r));
    if (!cJSON_IsObject(tree))
        return err_set(e, -EINVAL, "'%s' is not a file of credentials: no JSON object", path);
    *out_tree = take(tree);
    return 0;
}

int creds_store_new(const char *authfile, struct creds_store **out, struct err **e)
{
    struct creds_place places[CREDS_PLACES];
    struct creds_store *s = xcalloc(1, sizeof(*s));
    size_t n = creds_places(authfile, places);
    int r = 0;

    pthread_mutex_init(&s->lock, NULL);
    for (size_t i = 0; i < n && r == 0; i++) {
        cJSON *tree = NULL;
        r = creds_read_file(places[i].path, &tree, e);
        if (r == 0 && !tree && places[i].owner == CREDS_NAMED)
            r = err_set(e, -EINVAL, "file of credentials '%s' does not exist", places[i].path);
        if (tree)
            s->files[s->n_files++] = (struct file){.path = take(places[i].path), .tree = tree};
    }
    creds_places_release(places);
    if (r < 0) {
        creds_store_free(s);
        return r;
    }
    *out = s;
    return 0;
}

void creds_store_free(struct creds_store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_files; i++) {
        free(s->files[i].path);
        cJSON_Delete(s->files[i].tree);
    }
    for (size_t i = 0; i < s->n_answers; i++) {
        free(s->answers[i].helper);
        free(s->answers[i].server);
        creds_release(&s->answers[i].creds);
    }
    free(s->answers);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* --- entries --- */

char *creds_host_key(const char *key)
{
    static const char *const hub[] = {"index.docker.io", "registry-1.docker.io"};
    const char *scheme_end = strstr(key, "://");
    const char *start = scheme_end ? scheme_end + 3 : key;
    size_t len = scheme_end ? strcspn(start, "/") : strlen(start);
    size_t host_len = strcspn(start, "/");

    while (len && start[len - 1] == '/')
        len--;
    for (size_t i = 0; i < sizeof(hub) / sizeof(hub[0]); i++)
        if (strlen(hub[i]) == host_len && !strncmp(start, hub[i], host_len))
            return xstrdup("docker.io");
    return xstrndup(start, len);
}

static int decode_auth(const char *auth, struct creds *out)
{
    size_t len = strlen(auth);
    auto_free char *plain = xcalloc(len + 1, 1);
    int n = len % 4
                ? -1
                : EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)auth, (int)len);
    char *colon;

    if (n < 0)
        return -EINVAL;
    colon = strchr(plain, ':');
    if (!colon)
        return -EINVAL;
    out->username = xstrndup(plain, (size_t)(colon - plain));
    out->password = xstrdup(colon + 1);
    return 0;
}

/* 1: *out filled, 0: an entry without credentials (docker leaves those for its helpers). */
static int read_entry(const cJSON *entry, const char *path, struct creds *out)
{
    const char *token = json_get_str(entry, "identitytoken");
    const char *auth = json_get_str(entry, "auth");
    const char *username = json_get_str(entry, "username");
    const char *password = json_get_str(entry, "password");

    if (token && *token) {
        out->identity_token = xstrdup(token);
    } else if (auth && *auth) {
        if (decode_auth(auth, out) < 0) {
            log_warn("'auth' of '%s' in '%s' is not base64 of NAME:PASSWORD, ignoring it",
                     entry->string, path);
            return 0;
        }
    } else if (username && password) {
        out->username = xstrdup(username);
        out->password = xstrdup(password);
    } else {
        return 0;
    }
    out->source = xasprintf("'%s'", path);
    return 1;
}

/* True if `key` is `wanted` ("host/repository") or a leading part of it that holds the host. */
static bool covers(const char *key, const char *wanted, size_t host_len)
{
    size_t len = strlen(key);

    return len >= host_len && !strncmp(key, wanted, len) && (!wanted[len] || wanted[len] == '/');
}

static int find_entry(const struct file *f, const char *host, const char *repo, struct creds *out)
{
    auto_free char *wanted = repo ? xasprintf("%s/%s", host, repo) : xstrdup(host);
    const cJSON *entry;
    size_t longest = 0;

    cJSON_ArrayForEach(entry, json_get_obj(f->tree, "auths"))
    {
        auto_free char *key = creds_host_key(entry->string);
        struct creds found = {.username = NULL};

        if (!covers(key, wanted, strlen(host)) || strlen(key) <= longest)
            continue;
        if (!read_entry(entry, f->path, &found))
            continue;
        longest = strlen(key);
        creds_release(out);
        *out = found;
    }
    return longest > 0;
}

/* --- helpers --- */

const char *creds_host_helper(const cJSON *tree, const char *host)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get_obj(tree, "credHelpers"))
    {
        auto_free char *key = creds_host_key(item->string);
        if (!strcmp(key, host))
            return cJSON_GetStringValue(item);
    }
    return NULL;
}

static struct answer *answer_of(struct creds_store *s, const char *helper, const char *server)
{
    auto_err struct err *e = NULL;
    struct answer *a;

    for (size_t i = 0; i < s->n_answers; i++)
        if (!strcmp(s->answers[i].helper, helper) && !strcmp(s->answers[i].server, server))
            return &s->answers[i];
    array_grow(s->answers, s->n_answers);
    a = &s->answers[s->n_answers++];
    *a = (struct answer){.helper = xstrdup(helper), .server = xstrdup(server)};
    a->found = creds_ask_helper(helper, server, &a->creds, &e) > 0;
    if (e)
        log_warn("going on without the credential helper: %s", err_text(e));
    return a;
}

static int find_by_helper(struct creds_store *s, const char *helper, const char *host,
                          struct creds *out)
{
    const struct answer *a;
    bool found;

    if (!helper || !*helper)
        return 0;
    pthread_mutex_lock(&s->lock);
    a = answer_of(s, helper, !strcmp(host, "docker.io") ? HUB_SERVER : host);
    found = a->found;
    if (found)
        copy_creds(out, &a->creds);
    pthread_mutex_unlock(&s->lock);
    return found;
}

int creds_find(struct creds_store *s, const char *host, const char *repo, struct creds *out)
{
    struct creds found = {.username = NULL};

    for (size_t i = 0; i < s->n_files; i++) {
        const struct file *f = &s->files[i];

        if (find_by_helper(s, creds_host_helper(f->tree, host), host, &found) ||
            find_entry(f, host, repo, &found) ||
            find_by_helper(s, json_get_str(f->tree, "credsStore"), host, &found)) {
            *out = found;
            return 1;
        }
    }
    return 0;
}
