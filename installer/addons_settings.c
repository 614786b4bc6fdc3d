/* From options to settings, with every check that can be made without a cluster. */
#include "addons_settings.h"

#include "imageset.h"
#include "mem.h"
#include "num.h"
#include "push.h"
#include "ref.h"

#include <arpa/inet.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IFNAME_MAX 15

const char *addons_mode_name(enum addons_mode mode)
{
    return mode == ADDONS_CHAINED ? "chained" : "multus";
}

static int find_set(const char *name, const char **out, struct err **e)
{
    const char *const *names = imageset_names();

    for (size_t i = 0; names[i]; i++)
        if (!name || !strcmp(names[i], name)) {
            *out = names[i];
            return 0;
        }
    return err_set(e, -EINVAL, "there is no image set '%s': use one of %s, %s, %s", name, names[0],
                   names[1], names[2]);
}

int addons_kube_minor(const char *text, int *out_minor, struct err **e)
{
    const char *rest = text + (*text == 'v');
    size_t len = strncmp(rest, "1.", 2) ? 0 : strspn(rest + 2, "0123456789");
    auto_free char *digits = xstrndup(len ? rest + 2 : "", len);
    uint64_t minor;

    if (num_parse_u64(digits, 999, &minor) < 0 || (rest[2 + len] && !strchr(".-+", rest[2 + len])))
        return err_set(e, -EINVAL, "'%s' is no Kubernetes version, such as 1.13 or 1.20.4", text);
    if (minor < ADDONS_KUBE_OLDEST)
        return err_set(e, -EINVAL,
                       "Kubernetes '%s' is older than 1.%d, the oldest there are "
                       "addons for",
                       text, ADDONS_KUBE_OLDEST);
    *out_minor = (int)minor;
    return 0;
}

/* Today's multus and flannel use APIs that came with 1.16. */
static int set_version(const char *text, struct addons_settings *s, struct err **e)
{
    bool is_current = !strcmp(s->set, "current");
    int r = addons_kube_minor(text ? text : is_current ? "1.34" : "1.13", &s->kube_minor, e);

    if (r == 0 && is_current && s->kube_minor < 16)
        return err_set(e, -EINVAL,
                       "the image set 'current' needs Kubernetes 1.16 or later; for "
                       "1.%d use '%s'",
                       s->kube_minor, IMAGESET_DEFAULT);
    return r;
}

static int set_mode(const char *text, struct addons_settings *s, struct err **e)
{
    if (text && strcmp(text, "multus") != 0 && strcmp(text, "chained") != 0)
        return err_set(e, -EINVAL, "'--mode' takes multus or chained, not '%s'", text);
    s->mode = text && !strcmp(text, "chained") ? ADDONS_CHAINED : ADDONS_MULTUS;
    if (s->mode == ADDONS_CHAINED && !strcmp(s->set, "2019-original"))
        return err_set(e, -EINVAL,
                       "the plugin of the image set '2019-original' works with multus "
                       "only; use '--mode multus', or '--images %s'",
                       IMAGESET_DEFAULT);
    return 0;
}

static int set_webhook(bool has_webhook, struct addons_settings *s, struct err **e)
{
    s->has_webhook = has_webhook;
    if (has_webhook && !strcmp(s->set, "2019-original"))
        return err_set(e, -EINVAL,
                       "the controller of the image set '2019-original' has no webhook; leave out "
                       "'--webhook', or use '--images %s'",
                       IMAGESET_DEFAULT);
    return 0;
}

static uint32_t mask_of(unsigned prefix)
{
    return prefix ? UINT32_MAX << (32 - prefix) : 0;
}

static void format_address(uint32_t address, char out[16])
{
    struct in_addr in = {.s_addr = htonl(address)};

    (void)inet_ntop(AF_INET, &in, out, 16);
}

/* flannel gives each node a /24 of the pod network; the API server takes no more than 2^20
 * service addresses. */
static int parse_cidr(const char *option, const char *text, unsigned least, unsigned most,
                      struct addons_cidr *out, struct err **e)
{
    const char *slash = strchr(text, '/');
    auto_free char *address = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
    struct in_addr in;
    uint64_t prefix;
    char network[16];

    if (!slash || inet_pton(AF_INET, address, &in) != 1 ||
        num_parse_u64(slash + 1, 32, &prefix) < 0)
        return err_set(e, -EINVAL, "'--%s' takes an IPv4 network such as %s, not '%s'", option,
                       ADDONS_POD_CIDR, text);
    if (prefix < least || prefix > most)
        return err_set(e, -EINVAL, "'--%s %s': the prefix must be /%u to /%u", option, text, least,
                       most);
    out->prefix = (unsigned)prefix;
    out->address = ntohl(in.s_addr) & mask_of(out->prefix);
    format_address(out->address, network);
    if (ntohl(in.s_addr) != out->address)
        return err_set(e, -EINVAL, "'--%s %s' is an address inside of its network; use %s/%u",
                       option, text, network, out->prefix);
    (void)snprintf(out->text, sizeof(out->text), "%s/%u", network, out->prefix);
    return 0;
}

static int set_networks(const struct addons_options *o, struct addons_settings *s, struct err **e)
{
    uint32_t mask;
    int r = parse_cidr("pod-cidr", o->pod_cidr ? o->pod_cidr : ADDONS_POD_CIDR, 8, 24, &s->pod, e);

    if (r == 0)
        r = parse_cidr("service-cidr", o->service_cidr ? o->service_cidr : ADDONS_SERVICE_CIDR, 12,
                       28, &s->service, e);
    if (r < 0)
        return r;
    mask = mask_of(s->pod.prefix < s->service.prefix ? s->pod.prefix : s->service.prefix);
    if ((s->pod.address & mask) == (s->service.address & mask))
        return err_set(e, -EINVAL, "pod CIDR '%s' and service CIDR '%s' overlap", s->pod.text,
                       s->service.text);
    s->pod.is_given = o->pod_cidr != NULL;
    s->service.is_given = o->service_cidr != NULL;
    s->pod.is_default = !strcmp(s->pod.text, ADDONS_POD_CIDR);
    s->service.is_default = !strcmp(s->service.text, ADDONS_SERVICE_CIDR);
    format_address(s->service.address + 10, s->dns_server);
    return 0;
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static int check_iface(const char *text, struct err **e)
{
    struct in_addr in;

    if (inet_pton(AF_INET, text, &in) == 1)
        return 0;
    if (!*text || strlen(text) > IFNAME_MAX || strpbrk(text, "/ :,'\"") || !is_printable(text) ||
        *text == '.' || *text == '-')
        return err_set(e, -EINVAL,
                       "'--iface %s' is neither an interface's name (such as ens4) nor "
                       "an IPv4 address",
                       text);
    return 0;
}

/* flannel's expressions are Go's. What POSIX knows of them is checked; \d, \w and (?i) are not
 * known there, so those are left to flannel. */
static int check_regex(const char *text, struct err **e)
{
    char why[128];
    regex_t regex;
    int r;

    if (!*text || !is_printable(text))
        return err_set(e, -EINVAL, "'--iface-regex' takes a regular expression of one line");
    if (strchr(text, '\\') || strstr(text, "(?"))
        return 0;
    r = regcomp(&regex, text, REG_EXTENDED | REG_NOSUB);
    if (r == 0) {
        regfree(&regex);
        return 0;
    }
    (void)regerror(r, &regex, why, sizeof(why));
    return err_set(e, -EINVAL, "'--iface-regex %s': %s", text, why);
}

static int add_iface_args(const char *flag, const char *const *values,
                          int (*check)(const char *text, struct err **e), struct addons_settings *s,
                          struct err **e)
{
    size_t n = 0;

    while (s->iface_args && s->iface_args[n])
        n++;
    for (; values && *values; values++) {
        auto_free char *arg = xasprintf("%s=%s", flag, *values);
        int r = check(*values, e);

        if (r < 0)
            return r;
        s->iface_args = xreallocarray(s->iface_args, n + 2, sizeof(*s->iface_args));
        s->iface_args[n++] = take(arg);
        s->iface_args[n] = NULL;
    }
    return 0;
}

char *addons_image_name(const char *reference, const char *registry, struct err **e)
{
    auto_ref struct ref from = {.host = NULL}, to = {.host = NULL};
    auto_free char *name = NULL;

    if (ref_parse(reference, &from, e) < 0)
        return NULL;
    if (!registry)
        return xstrdup(reference);
    name = push_map_name(&from, registry, PUSH_DROP_HOST, e);
    if (!name || ref_parse(name, &to, e) < 0)
        return NULL;
    /* Else "team" would have become a path on Docker Hub. */
    if (strncmp(name, to.host, strlen(to.host)) != 0) {
        (void)err_set(e, -EINVAL,
                      "'%s' does not begin with a registry's host: it needs a dot or a port, such "
                      "as registry.example:5000",
                      registry);
        return NULL;
    }
    return xasprintf("%s%s%s", name, from.digest ? "@" : "", from.digest ? from.digest : "");
}

static int check_registry(const char *registry, struct err **e)
{
    auto_free char *name = registry ? addons_image_name("a/b:1", registry, e) : NULL;

    if (!registry || name)
        return 0;
    return err_wrap(e, "'--registry %s'", registry);
}

int addons_settings_parse(const struct addons_options *o, struct addons_settings *out,
                          struct err **e)
{
    struct addons_settings s = {.registry = o->registry};
    int r = find_set(o->set, &s.set, e);

    if (r == 0)
        r = set_version(o->kube_version, &s, e);
    if (r == 0)
        r = set_mode(o->mode, &s, e);
    if (r == 0)
        r = set_webhook(o->has_webhook, &s, e);
    if (r == 0)
        r = set_networks(o, &s, e);
    if (r == 0)
        r = add_iface_args("--iface", o->ifaces, check_iface, &s, e);
    if (r == 0)
        r = add_iface_args("--iface-regex", o->iface_regexes, check_regex, &s, e);
    if (r == 0)
        r = check_registry(o->registry, e);
    if (r < 0)
        addons_settings_release(&s);
    else
        *out = s;
    return r;
}

void addons_settings_release(struct addons_settings *s)
{
    for (char **arg = s->iface_args; arg && *arg; arg++)
        free(*arg);
    free(s->iface_args);
    *s = (struct addons_settings){.iface_args = NULL};
}
