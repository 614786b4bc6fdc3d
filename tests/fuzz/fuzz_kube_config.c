/*
 * A kubeconfig: whatever is taken from it can go into a header or a URL, and a second reading gives
 * the same. A line "---" makes it two files.
 */
#include "kube/kube_config.h"
#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_word(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            abort();
}

static void check(const struct kube_config *c)
{
    if (!c->context || !c->server || !*c->server)
        abort();
    check_word(c->server);
    check_word(c->tls_name);
    check_word(c->proxy);
    check_word(c->token.bytes.data);
    if (c->tls_name && strchr(c->tls_name, '/'))
        abort();
    if (c->insecure && (c->ca.file || c->ca.bytes.len))
        abort();
    if ((c->cert.file || c->cert.bytes.len) != (c->key.file || c->key.bytes.len))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xstrndup((const char *)data, size);
    char *second = strstr(text, "\n---\n");
    struct kube_source sources[] = {{.path = "a/b", .text = text, .len = strlen(text)},
                                    {.path = "c", .text = ""}};
    auto_kube_config struct kube_config c = {.context = NULL}, again = {.context = NULL};

    if (second) {
        sources[0].len = (size_t)(second + 1 - text);
        sources[1].text = second + 5;
        sources[1].len = strlen(second + 5);
    }
    if (kube_config_parse(sources, 2, NULL, &c, NULL) < 0)
        return 0;
    check(&c);
    if (kube_config_parse(sources, 2, c.context, &again, NULL) < 0 ||
        strcmp(c.server, again.server) != 0)
        abort();
    return 0;
}
