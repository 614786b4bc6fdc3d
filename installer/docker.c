/* Docker Engine API over lib/http: the connection, and the requests about images. */
#include "docker_internal.h"

#include "machine.h"
#include "mem.h"
#include "num.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/var/run/docker.sock"
#define API_MAJOR 1
#define API_MINOR 47
#define API_OLDEST 24 /* what a daemon that does not say speaks: docker 1.12 */
#define BODY_MAX (32u << 20)

struct docker {
    struct http *http;
    struct docker_host host;
    struct http_tls tls;
    char *ca, *cert, *key;
    bool has_tls;
    char *address;
    char api[16]; /* "/v1.41" */
    struct docker_info info;
};

/* --- where it is --- */

static int parse_tcp(const char *rest, bool tls, struct docker_host *out, struct err **e)
{
    const char *port = strrchr(rest, ':');
    size_t len = strcspn(rest, "/");

    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)rest[i]) && !strchr("-._:[]%", rest[i]))
            return err_set(e, -EINVAL, "DOCKER_HOST has a host of '%s'", rest);
    if (!len || (rest[len] && strcmp(rest + len, "/") != 0))
        return err_set(e, -EINVAL, "DOCKER_HOST must be tcp://HOST:PORT, not 'tcp://%s'", rest);
    if (port && strchr(port, ']'))
        port = NULL;
    out->url = xasprintf("%s://%.*s%s", tls ? "https" : "http", (int)len, rest,
                         port  ? ""
                         : tls ? ":2376"
                               : ":2375");
    return 0;
}

int docker_host_parse(const char *text, bool tls, struct docker_host *out, struct err **e)
{
    struct docker_host host = {0};
    int r = 0;

    if (!strncmp(text, "unix://", 7) && text[7]) {
        host.socket = xstrdup(text + 7);
        host.url = xstrdup("http://docker");
    } else if (!strncmp(text, "tcp://", 6)) {
        r = parse_tcp(text + 6, tls, &host, e);
    } else {
        r = err_set(e, -EINVAL,
                    "DOCKER_HOST is '%s'; flatnet speaks unix://PATH and tcp://HOST:PORT (for "
                    "another host, run flatnet there)",
                    text);
    }
    if (r == 0)
        *out = host;
    return r;
}

void docker_host_release(struct docker_host *h)
{
    free(h->socket);
    free(h->url);
    *h = (struct docker_host){0};
}

static const char *env(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static char *certificate(const char *name, struct err **e)
{
    const char *folder = env("DOCKER_CERT_PATH"), *home = env("HOME");
    auto_free char *path = folder ? xasprintf("%s/%s", folder, name)
                                  : xasprintf("%s/.docker/%s", home ? home : "", name);

    if (access(path, R_OK) < 0) {
        (void)err_set(e, -EINVAL,
                      "DOCKER_TLS_VERIFY is set, but '%s' cannot be read: %s; DOCKER_CERT_PATH "
                      "names the folder of ca.pem, cert.pem and key.pem",
                      path, strerror(errno));
        return NULL;
    }
    return take(path);
}

static int find_host(struct docker *d, const char *root, struct err **e)
{
    const char *text = env("DOCKER_HOST");
    auto_free char *usual = xasprintf("unix://%s" DEFAULT_SOCKET, root);
    int r;

    d->address = xstrdup(text ? text : usual);
    d->has_tls = env("DOCKER_TLS_VERIFY") && !strncmp(d->address, "tcp://", 6);
    r = docker_host_parse(d->address, d->has_tls, &d->host, e);
    if (r < 0 || !d->has_tls)
        return r;
    d->ca = certificate("ca.pem", e);
    d->cert = d->ca ? certificate("cert.pem", e) : NULL;
    d->key = d->cert ? certificate("key.pem", e) : NULL;
    d->tls = (struct http_tls){.ca_file = d->ca, .cert_file = d->cert, .key_file = d->key};
    return d->key ? 0 : -EINVAL;
}

/* --- requests --- */

/* Texts of the daemon are shown, so they must not steer a terminal. */
static void make_printable(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

int docker_refused(const struct docker *d, const char *what, const char *reason, struct err **e)
{
    auto_free char *text = xstrndup(reason, 1000);

    make_printable(text);
    if (strstr(text, "no space left on device") && d->info.root)
        return err_set(e, -EREMOTEIO,
                       "docker %s: %s; the file system of '%s' needs room for the image twice, "
                       "packed and unpacked",
                       what, text, d->info.root);
    return err_set(e, -EREMOTEIO, "docker %s: %s", what, text);
}

/* Does a request and takes `expected` for the answer; others are errors, 404 is -ENOENT. */
int docker_call(struct docker *d, struct http_request *req, const char *path, int expected,
                struct http_response *resp, struct err **e)
{
    auto_free char *url = xasprintf("%s%s%s", d->host.url, d->api, path);
    auto_json cJSON *tree = NULL;
    const char *message;
    int r;

    req->url = url;
    req->unix_socket = d->host.socket;
    req->tls = d->has_tls ? &d->tls : NULL;
    req->no_proxy = true;
    req->max_body = BODY_MAX;
    r = http_do(d->http, req, resp, e);
    req->url = NULL;
    /* A daemon that refuses while it is being sent a body answers and hangs up. */
    if (r < 0 && !(r == -EHOSTUNREACH && resp->status >= 400))
        return r;
    if (resp->status == expected)
        return 0;
    (void)json_parse(resp->body.data, resp->body.len, &tree, NULL);
    message = json_get_str(tree, "message");
    if (!message)
        message = resp->body.len ? resp->body.data : "no reason given";
    if (resp->status == 404)
        return err_set(e, -ENOENT, "docker does not know it: %s", message);
    auto_free char *what =
        xasprintf("answered %d to %s %s", resp->status, req->method ? req->method : "GET", path);
    return docker_refused(d, what, message, e);
}

int docker_get_json(struct docker *d, const char *path, cJSON **out, struct err **e)
{
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    struct http_request req = {0};
    int r = docker_call(d, &req, path, 200, &resp, e);

    if (r < 0)
        return r;
    r = json_parse(resp.body.data, resp.body.len, out, e);
    return r < 0 ? err_set(e, -EPROTO, "docker's answer to %s is not JSON", path) : 0;
}

/* --- opening --- */

/* Parses "1.41"; 0 where it is no version. */
static int parse_api(const char *text, unsigned *out_minor)
{
    uint64_t minor;

    if (!text || strncmp(text, "1.", 2) != 0 || num_parse_u64(text + 2, 9999, &minor) < 0)
        return -EPROTO;
    *out_minor = (unsigned)minor;
    return 0;
}

static int agree_on_api(struct docker *d, struct err **e)
{
    auto_response struct http_response resp = HTTP_RESPONSE_INIT;
    auto_free char *theirs = NULL;
    struct http_request req = {0};
    unsigned minor = API_OLDEST;
    int r = docker_call(d, &req, "/_ping", 200, &resp, e);

    if (r == -ENOENT)
        return err_set(e, -EPROTO, "what listens there is no docker daemon");
    if (r < 0)
        return r;
    theirs = http_header(&resp, "Api-Version");
    if (theirs && parse_api(theirs, &minor) < 0)
        return err_set(e, -EPROTO, "it names '%.20s' as its API version", theirs);
    if (minor > API_MINOR)
        minor = API_MINOR;
    (void)snprintf(d->api, sizeof(d->api), "/v%d.%u", API_MAJOR, minor);
    return 0;
}

/* DriverStatus is a list of pairs: ["driver-type", "io.containerd.snapshotter.v1"]. */
static bool is_containerd_store(const cJSON *info)
{
    const cJSON *pair;

    cJSON_ArrayForEach(pair, json_get_arr(info, "DriverStatus"))
    {
        const char *key = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 0));
        const char *value = cJSON_GetStringValue(cJSON_GetArrayItem(pair, 1));

        if (key && value && !strcmp(key, "driver-type") &&
            !strcmp(value, "io.containerd.snapshotter.v1"))
            return true;
    }
    return false;
}

static char *copy_printable(const char *text)
{
    char *copy = xstrdup(text ? text : "");

    make_printable(copy);
    return copy;
}

static int ask_for_info(struct docker *d, struct err **e)
{
    auto_json cJSON *tree = NULL;
    int r = docker_get_json(d, "/info", &tree, e);

    if (r < 0)
        return r;
    d->info.version = copy_printable(json_get_str(tree, "ServerVersion"));
    d->info.driver = copy_printable(json_get_str(tree, "Driver"));
    d->info.root = copy_printable(json_get_str(tree, "DockerRootDir"));
    d->info.major = (int)strtol(d->info.version, NULL, 10);
    d->info.containerd_store = is_containerd_store(tree);
    r = platform_of_machine(json_get_str(tree, "OSType"), json_get_str(tree, "Architecture"),
                            &d->info.platform, e);
    return r < 0 ? err_set(e, -EPROTO, "docker does not say which platform it runs on") : 0;
}

/* libcurl's word for a socket that is not there is no help; the system's is. */
static int check_socket(const struct docker *d, struct err **e)
{
    if (!d->host.socket || access(d->host.socket, R_OK | W_OK) == 0)
        return 0;
    return err_set(e, -EHOSTUNREACH, "cannot reach docker at '%s': %s%s", d->address,
                   strerror(errno),
                   errno == EACCES ? "; run as root, or as a member of the group docker" : "");
}

static int open_steps(struct docker *d, const char *root, struct err **e)
{
    int r = find_host(d, root, e);

    if (r == 0)
        r = check_socket(d, e);
    if (r < 0)
        return r;
    r = agree_on_api(d, e);
    if (r == 0)
        r = ask_for_info(d, e);
    return r < 0 ? err_wrap(e, "docker at '%s'", d->address) : 0;
}

int docker_open(const char *root, struct docker **out, struct err **e)
{
    struct docker *d = xcalloc(1, sizeof(*d));
    int r;

    d->http = http_new();
    r = open_steps(d, root, e);
    if (r < 0)
        docker_free(d);
    else
        *out = d;
    return r;
}

void docker_free(struct docker *d)
{
    if (!d)
        return;
    http_free(d->http);
    docker_host_release(&d->host);
    free(d->ca);
    free(d->cert);
    free(d->key);
    free(d->address);
    free(d->info.version);
    free(d->info.driver);
    free(d->info.root);
    free(d);
}

const struct docker_info *docker_info(const struct docker *d)
{
    return &d->info;
}

const char *docker_address(const struct docker *d)
{
    return d->address;
}
