/*
 * Where the images of a host are: its mirrors and itself, by http or https, and whom to trust
 * there. Certificates per host come from the folders that docker and containers use:
 * certs.d/HOST[:PORT]/ with *.crt (CAs), and NAME.cert with NAME.key (for the client).
 */
#include "fs.h"
#include "mem.h"
#include "registry_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CA_MAX (8u << 20)

/* --- hosts --- */

static bool is_plain(const struct registry *r, const char *name)
{
    for (size_t i = 0; i < r->n_plain_http; i++)
        if (!strcmp(r->plain_http[i], name))
            return true;
    return false;
}

/* HOST[:PORT] of a URL: what stands between "://" and the path. */
static char *authority_of(const char *url)
{
    const char *start = strstr(url, "://") + 3;

    return xstrndup(start, strcspn(start, "/?#"));
}

static void endpoint_finish(struct registry_endpoint *ep)
{
    ep->origin = http_origin(ep->base);
    ep->scheme = AUTH_OTHER;
}

/* A host of references has been checked by ref_parse, so its URL is one. */
static void add_own(struct registry *r, struct registry_endpoint *ep, const char *name)
{
    const char *api_host = strcmp(name, "docker.io") ? name : "registry-1.docker.io";

    *ep = (struct registry_endpoint){
        .base = xasprintf("%s://%s/v2", is_plain(r, name) ? "http" : "https", api_host),
        .prefix = xstrdup(""),
        .name = xstrdup(name),
    };
    endpoint_finish(ep);
}

/* The first whole component "v2" of a path, or NULL. */
static const char *find_v2(const char *path)
{
    for (const char *p = path; (p = strstr(p, "/v2")); p++)
        if (!p[3] || p[3] == '/')
            return p;
    return NULL;
}

static void add_mirror(struct registry_endpoint *ep, const char *url)
{
    auto_free char *authority = authority_of(url);
    const char *path = strstr(url, "://") + 3 + strlen(authority);
    size_t site_len = (size_t)(path - url);
    const char *api = find_v2(path);
    const char *rest = api ? api + 3 : path;
    size_t rest_len;

    rest += *rest == '/';
    rest_len = strlen(rest);
    while (rest_len && rest[rest_len - 1] == '/')
        rest_len--;
    *ep = (struct registry_endpoint){
        .base = xasprintf("%.*s%.*s/v2", (int)site_len, url, api ? (int)(api - path) : 0, path),
        .prefix = xasprintf("%.*s%s", (int)rest_len, rest, rest_len ? "/" : ""),
        .name = creds_host_key(authority),
        .is_mirror = true,
    };
    endpoint_finish(ep);
}

static struct registry_host *add_host(struct registry *r, const char *name)
{
    struct registry_host *host = xcalloc(1, sizeof(*host));

    host->name = xstrdup(name);
    host->endpoints = xcalloc(r->n_mirrors + 1, sizeof(*host->endpoints));
    for (size_t i = 0; i < r->n_mirrors; i++)
        if (!strcmp(r->mirrors[i].host, name))
            add_mirror(&host->endpoints[host->n_endpoints++], r->mirrors[i].url);
    add_own(r, &host->endpoints[host->n_endpoints++], name);
    host->next = r->hosts;
    r->hosts = host;
    return host;
}

int registry_find_host(struct registry *r, const char *name, const struct registry_host **out,
                       struct err **e)
{
    struct registry_host *host;

    pthread_mutex_lock(&r->lock);
    for (host = r->hosts; host && strcmp(host->name, name);)
        host = host->next;
    if (!host)
        host = add_host(r, name);
    pthread_mutex_unlock(&r->lock);
    if (!registry_own_endpoint(host)->origin)
        return err_set(e, -EINVAL, "'%s' is not the name of a registry's host", name);
    *out = host;
    return 0;
}

struct registry_endpoint *registry_own_endpoint(const struct registry_host *host)
{
    return &host->endpoints[host->n_endpoints - 1];
}

/* --- certificates --- */

static bool ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name), suffix_len = strlen(suffix);

    return len > suffix_len && !strcmp(name + len - suffix_len, suffix);
}

/* The system's CAs come first into a set that others are added to. */
static int add_ca(struct registry_site *site, const char *path, struct err **e)
{
    int r = site->ca_pem.len ? 0 : http_system_ca(&site->ca_pem, e);

    if (r == 0)
        r = buf_addch(&site->ca_pem, '\n');
    return r == 0 ? fs_read_file(path, &site->ca_pem, e) : r;
}

static int add_file(struct registry_site *site, const char *folder, const char *name,
                    struct err **e)
{
    auto_free char *path = xasprintf("%s/%s", folder, name);
    auto_free char *key = NULL;

    if (ends_with(name, ".crt"))
        return add_ca(site, path, e);
    if (!ends_with(name, ".cert") || site->cert_file)
        return 0;
    key = xasprintf("%.*s.key", (int)(strlen(path) - strlen(".cert")), path);
    site->cert_file = take(path);
    site->key_file = take(key);
    return 0;
}

/* 1 if there is such a folder. */
static int read_folder(struct registry_site *site, const char *folder, struct err **e)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, alphasort);
    int r = 1;

    if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (n < 0)
        return err_set(e, -errno, "cannot read folder '%s': %s", folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        int added = r < 0 ? r : add_file(site, folder, entries[i]->d_name, e);
        if (added < 0)
            r = added;
        free(entries[i]);
    }
    free(entries);
    return r;
}

/* The first folder that exists counts. */
static int read_certs(struct registry_site *site, const char *authority, struct err **e)
{
    const char *home = getenv("HOME");
    auto_free char *own = home && *home ? xasprintf("%s/.config/containers", home) : NULL;
    const char *parents[] = {own, "/etc/containers", "/etc/docker"};
    int r = 0;

    for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]) && r == 0; i++) {
        auto_free char *folder = NULL;
        if (!parents[i])
            continue;
        folder = xasprintf("%s/certs.d/%s", parents[i], authority);
        r = read_folder(site, folder, e);
    }
    return r;
}

static void free_site(struct registry_site *site)
{
    buf_release(&site->ca_pem);
    free(site->authority);
    free(site->cert_file);
    free(site->key_file);
    free(site);
}

static int load_site(const struct registry *r, struct registry_site *site, struct err **e)
{
    int found = read_certs(site, site->authority, e);

    /* Docker Hub's folder is named after the name in references, too. */
    if (found == 0 && !strcmp(site->authority, "registry-1.docker.io"))
        found = read_certs(site, "docker.io", e);
    if (found < 0)
        return found;
    if (r->extra_ca.len) {
        int added = site->ca_pem.len ? 0 : http_system_ca(&site->ca_pem, e);
        if (added < 0)
            return added;
        (void)buf_addch(&site->ca_pem, '\n');
        (void)buf_add(&site->ca_pem, r->extra_ca.data, r->extra_ca.len);
    }
    if (site->ca_pem.overflowed)
        return err_set(e, -EFBIG, "the CA certificates for '%s' are above %u MiB", site->authority,
                       CA_MAX >> 20);
    site->tls = (struct http_tls){
        .ca_pem = site->ca_pem.len ? &site->ca_pem : NULL,
        .cert_file = site->cert_file,
        .key_file = site->key_file,
        .insecure = r->insecure,
    };
    return 0;
}

static int add_site(struct registry *r, const char *authority, struct registry_site **out,
                    struct err **e)
{
    struct registry_site *site = xcalloc(1, sizeof(*site));
    int status;

    buf_init(&site->ca_pem, CA_MAX);
    site->authority = xstrdup(authority);
    status = load_site(r, site, e);
    if (status < 0) {
        free_site(site);
        return status;
    }
    site->next = r->sites;
    r->sites = site;
    *out = site;
    return 0;
}

int registry_find_tls(struct registry *r, const char *url, const struct http_tls **out,
                      struct err **e)
{
    auto_free char *authority = authority_of(url);
    struct registry_site *site;
    int status = 0;

    pthread_mutex_lock(&r->lock);
    for (site = r->sites; site && strcmp(site->authority, authority);)
        site = site->next;
    if (!site)
        status = add_site(r, authority, &site, e);
    pthread_mutex_unlock(&r->lock);
    /* Whatever the reason, it is the user's setting that is wrong, and no answer of a peer. */
    if (status < 0)
        return err_set(e, -EINVAL, "%s", e && *e ? (*e)->msg : "certificates cannot be read");
    *out = &site->tls;
    return 0;
}

static void free_endpoint(struct registry_endpoint *ep)
{
    free(ep->base);
    free(ep->prefix);
    free(ep->origin);
    free(ep->name);
    free(ep->realm);
    free(ep->service);
}

void registry_free_hosts(struct registry *r)
{
    for (struct registry_host *host = r->hosts, *next; host; host = next) {
        next = host->next;
        for (size_t i = 0; i < host->n_endpoints; i++)
            free_endpoint(&host->endpoints[i]);
        free(host->endpoints);
        free(host->name);
        free(host);
    }
    for (struct registry_site *site = r->sites, *next; site; site = next) {
        next = site->next;
        free_site(site);
    }
}
