/* The registry client's life: options in, connections out, and the check of a login. */
#include "registry.h"

#include "fs.h"
#include "mem.h"
#include "registry_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CA_FILE_MAX (4u << 20)
#define RETRIES 5
#define RETRY_BASE_MS 500

static int add_mirror(struct registry *r, const char *text, struct err **e)
{
    const char *equals = strchr(text, '=');
    auto_free char *host = NULL;
    auto_free char *origin = equals ? http_origin(equals + 1) : NULL;

    if (!origin || equals == text || strpbrk(equals, "?#"))
        return err_set(
            e, -EINVAL,
            "'%s' is no mirror: use HOST=URL, such as docker.io=https://mirror.example/proxy",
            text);
    host = xstrndup(text, (size_t)(equals - text));
    array_grow(r->mirrors, r->n_mirrors);
    r->mirrors[r->n_mirrors++] = (struct registry_mirror){
        .host = creds_host_key(host),
        .url = xstrdup(equals + 1),
    };
    return 0;
}

static void add_plain_http(struct registry *r, const char *host)
{
    array_grow(r->plain_http, r->n_plain_http);
    r->plain_http[r->n_plain_http++] = creds_host_key(host);
}

static int read_ca(struct registry *r, const char *path, struct err **e)
{
    int status = path ? fs_read_file(path, &r->extra_ca, e) : 0;

    if (status < 0)
        return err_set(e, -EINVAL, "%s", e && *e ? (*e)->msg : "CA file cannot be read");
    if (path && !strstr(r->extra_ca.data, "-----BEGIN "))
        return err_set(e, -EINVAL, "'%s' holds no certificate in PEM form", path);
    return 0;
}

static int set_options(struct registry *r, const struct registry_options *o, struct err **e)
{
    int status = read_ca(r, o->ca_file, e);

    for (size_t i = 0; status == 0 && o->mirrors && o->mirrors[i]; i++)
        status = add_mirror(r, o->mirrors[i], e);
    for (size_t i = 0; o->plain_http && o->plain_http[i]; i++)
        add_plain_http(r, o->plain_http[i]);
    r->insecure = o->insecure;
    r->retries = o->retries < 0 ? RETRIES : o->retries;
    r->retry_base_ms = o->retry_base_ms ? o->retry_base_ms : RETRY_BASE_MS;
    r->idle_timeout_ms = o->idle_timeout_ms;
    return status;
}

/* Without credentials of its own; registry_new adds those of files, registry_try_login given
 * ones. */
static int registry_init(const struct registry_options *options, struct registry **out,
                         struct err **e)
{
    struct registry *r = xcalloc(1, sizeof(*r));
    int status;

    pthread_mutex_init(&r->lock, NULL);
    buf_init(&r->extra_ca, CA_FILE_MAX);
    r->tokens = auth_cache_new();
    status = set_options(r, options, e);
    if (status < 0) {
        registry_free(r);
        return status;
    }
    *out = r;
    return 0;
}

int registry_new(const struct registry_options *options, struct registry **out, struct err **e)
{
    struct registry *r = NULL;
    int status = registry_init(options, &r, e);

    if (status < 0)
        return status;
    status = creds_store_new(options->authfile, &r->store, e);
    if (status < 0) {
        registry_free(r);
        return status;
    }
    *out = r;
    return 0;
}

void registry_free(struct registry *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_plain_http; i++)
        free(r->plain_http[i]);
    free(r->plain_http);
    for (size_t i = 0; i < r->n_mirrors; i++) {
        free(r->mirrors[i].host);
        free(r->mirrors[i].url);
    }
    free(r->mirrors);
    buf_release(&r->extra_ca);
    creds_store_free(r->store);
    auth_cache_free(r->tokens);
    registry_free_hosts(r);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

struct registry_conn *registry_connect(struct registry *r)
{
    struct registry_conn *c = xcalloc(1, sizeof(*c));

    c->r = r;
    c->http = http_new();
    /* Only jitter hangs on this: it need not be good. */
    if (getrandom(&c->random, sizeof(c->random), GRND_NONBLOCK) != sizeof(c->random))
        c->random = (uint64_t)registry_now_ms();
    c->random |= 1;
    return c;
}

void registry_conn_free(struct registry_conn *c)
{
    if (!c)
        return;
    http_free(c->http);
    free(c);
}

/* 1: credentials were asked for and taken, 0: none were asked for. */
static int ping(struct registry_conn *c, const char *name, struct err **e)
{
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *url = NULL;
    const struct registry_host *host = NULL;
    int r = registry_find_host(c->r, name, &host, e);

    if (r < 0)
        return r;
    auto_call struct registry_call call = {.ep = registry_own_endpoint(host),
                                           .what = "login",
                                           .scope = ""};
    url = xasprintf("%s/", call.ep->base);
    call.url = url;
    r = registry_call(c, &call, &resp, e);
    if (r < 0)
        return r;
    if (resp.status != 200)
        return registry_answer_error(&call, &resp, e);
    return call.ep->scheme != AUTH_OTHER;
}

int registry_try_login(const struct registry_options *options, const char *host,
                       const char *username, const char *password, struct err **e)
{
    auto_creds struct creds given = {.username = xstrdup(username), .password = xstrdup(password)};
    struct registry *r = NULL;
    struct registry_conn *c;
    int status = registry_init(options, &r, e);

    if (status < 0)
        return status;
    r->login = &given;
    c = registry_connect(r);
    status = ping(c, host, e);
    registry_conn_free(c);
    registry_free(r);
    return status;
}
