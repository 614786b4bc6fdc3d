/* Items about names: the host's own, the resolver, and proxies that names must not go to. */
#include "host.h"

#include "host_proc.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define LABEL_MAX 63

/* A node's name: labels of lower-case letters, digits and '-', joined by dots (RFC 1123, and
 * Kubernetes takes no capitals). */
static const char *flaw_of(const char *name)
{
    size_t label = 0;

    if (!*name || strlen(name) > 253)
        return "has no usable length";
    for (const char *p = name; *p; p++) {
        bool at_edge = p == name || p[-1] == '.' || !p[1] || p[1] == '.';

        if (isupper((unsigned char)*p))
            return "has capitals";
        if (*p != '.' && *p != '-' && !isalnum((unsigned char)*p))
            return "has characters that a node's name cannot have";
        if ((*p == '-' && at_edge) || (*p == '.' && (p == name || !p[1] || p[1] == '.')))
            return "has a label that begins or ends with '-' or is empty";
        label = *p == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return "has a label of more than 63 characters";
    }
    return NULL;
}

/* True if hosts(5) has the name. */
static bool hosts_have(const char *text, const char *name)
{
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        size_t len = strcspn(p, "#\n");
        bool is_address = true;

        for (size_t i = 0, n; i < len; i += n) {
            i += strspn(p + i, " \t\r");
            n = strcspn(p + i, " \t\r#\n");
            if (i >= len || !n)
                break;
            if (!is_address && n == strlen(name) && !strncasecmp(p + i, name, n))
                return true;
            is_address = false;
        }
    }
    return false;
}

static char *own_name(const struct host *h)
{
    auto_free char *line = host_line(h->root, "/etc/hostname");
    struct utsname u;

    if (!h->is_live)
        return take(line);
    return xstrdup(uname(&u) == 0 ? u.nodename : "");
}

/* Addresses in resolv.conf; *out_loopback is one of 127.0.0.0/8, borrowed from `text`, or NULL. */
static size_t count_nameservers(const char *text, const char **out_loopback)
{
    size_t n = 0;

    *out_loopback = NULL;
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        size_t skip = strlen("nameserver");

        if (strncmp(p, "nameserver", skip) != 0 || !isblank((unsigned char)p[skip]))
            continue;
        skip += strspn(p + skip, " \t");
        n++;
        if (!strncmp(p + skip, "127.", 4))
            *out_loopback = p + skip;
    }
    return n;
}

void host_check_hostname(const struct host *h, struct host_verdict *v)
{
    auto_free char *name = own_name(h), *hosts = NULL, *resolv = NULL;
    const char *flaw = flaw_of(name), *loopback;

    (void)host_text(h->root, "/etc/hosts", &hosts);
    (void)host_text(h->root, "/etc/resolv.conf", &resolv);
    if (flaw)
        host_say(v, HOST_FAIL, "set another with hostnamectl set-hostname", "'%s' %s", name, flaw);
    else if (!strncmp(name, "localhost", 9))
        host_say(v, HOST_FAIL, "set another with hostnamectl set-hostname: nodes would all be one",
                 "the name is '%s'", name);
    else if (hosts_have(hosts, name))
        host_say(v, HOST_PASS, NULL, "'%s', in /etc/hosts", name);
    else if (count_nameservers(resolv, &loopback))
        host_say(v, HOST_WARN, "add it to /etc/hosts unless the site's DNS knows it",
                 "'%s' is not in /etc/hosts", name);
    else
        host_say(v, HOST_FAIL, "add it to /etc/hosts",
                 "'%s' is not in /etc/hosts, and there is no DNS server", name);
}

void host_check_resolver(const struct host *h, struct host_verdict *v)
{
    auto_free char *text = NULL;
    const char *loopback;
    size_t n;

    (void)host_text(h->root, "/etc/resolv.conf", &text);
    n = count_nameservers(text, &loopback);
    if (!n)
        host_say(v, HOST_WARN,
                 "name a server in /etc/resolv.conf: pods with dnsPolicy Default take it over, and "
                 "CoreDNS asks it",
                 "/etc/resolv.conf names no server");
    else if (loopback)
        host_say(v, HOST_WARN,
                 "give kubelet --resolv-conf (with systemd-resolved /run/systemd/resolve/"
                 "resolv.conf), or CoreDNS asks itself for ever",
                 "/etc/resolv.conf names %.*s, which is another one in a pod",
                 (int)strcspn(loopback, " \t\r\n"), loopback);
    else
        host_say(v, HOST_PASS, NULL, "%zu server%s in /etc/resolv.conf", n, n == 1 ? "" : "s");
}

/* --- proxies --- */

/* A NO_PROXY that has the network itself, or "*". Go's clients take CIDR notation there. */
static bool is_exempt(const char *no_proxy, const char *cidr)
{
    for (const char *p = no_proxy; *p; p += strcspn(p, ", \t\"'\n"), p += *p != '\0') {
        size_t len = strcspn(p, ", \t\"'\n");

        if ((len == 1 && *p == '*') || (len == strlen(cidr) && !strncmp(p, cidr, len)))
            return true;
    }
    return false;
}

static const char *find_assignment(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = strcasestr(text, name); p; p = strcasestr(p + 1, name))
        if (p[len] == '=' && (p == text || (!isalnum((unsigned char)p[-1]) && p[-1] != '_')))
            return p + len + 1;
    return NULL;
}

static void check_proxies(const struct host *h, const char *where, const char *text,
                          struct host_verdict *v)
{
    const char *no_proxy = find_assignment(text, "NO_PROXY");
    auto_free char *exempt = no_proxy ? xstrndup(no_proxy, strcspn(no_proxy, "\n")) : xstrdup("");

    if (!find_assignment(text, "HTTP_PROXY") && !find_assignment(text, "HTTPS_PROXY") &&
        !find_assignment(text, "ALL_PROXY"))
        return;
    if (is_exempt(exempt, h->options->pod_cidr) && is_exempt(exempt, h->options->service_cidr))
        host_say(v, HOST_PASS, NULL, "%s has a proxy, not for the cluster", where);
    else
        host_say(v, HOST_WARN,
                 "add the pods' and services' networks and the nodes' addresses to NO_PROXY",
                 "%s has a proxy that traffic to %s or %s would go to", where, h->options->pod_cidr,
                 h->options->service_cidr);
}

static void check_environment(const struct host *h, struct host_verdict *v)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY",
                                        "all_proxy",  "ALL_PROXY",   "no_proxy",   "NO_PROXY"};
    auto_buf struct buf text;

    buf_init(&text, 64u << 10);
    for (size_t i = 0; h->is_live && i < sizeof(names) / sizeof(names[0]); i++)
        if (getenv(names[i]) && *getenv(names[i]))
            (void)buf_addf(&text, "%s=%s\n", names[i], getenv(names[i]));
    check_proxies(h, "the environment", text.data, v);
}

void host_check_proxy(const struct host *h, struct host_verdict *v)
{
    static const char *const files[] = {"/etc/environment", "/etc/sysconfig/docker",
                                        "/etc/default/docker"};
    static const char folder[] = "/etc/systemd/system/docker.service.d";
    auto_host_names struct host_names drop_ins = {.names = NULL};
    auto_buf struct buf all;

    check_environment(h, v);
    for (size_t i = 0; i < 3; i++) {
        auto_free char *text = NULL;

        (void)host_text(h->root, files[i], &text);
        check_proxies(h, files[i], text, v);
    }
    buf_init(&all, HOST_FACT_MAX);
    host_list(h->root, folder, &drop_ins);
    for (size_t i = 0; i < drop_ins.count; i++) {
        auto_free char *path = xasprintf("%s/%s", folder, drop_ins.names[i]);
        auto_free char *text = NULL;

        (void)host_text(h->root, path, &text);
        (void)buf_addf(&all, "%s\n", text);
    }
    check_proxies(h, "docker's unit", all.data, v);
    if (!v->seen.len)
        host_say(v, HOST_PASS, NULL, "no proxy is set");
}
