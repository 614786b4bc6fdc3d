/* What RancherOS does at boot, as far as its cloud-config names it. */
#include "host_rancheros.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

#define FOLDER "/var/lib/rancher/conf"

bool rancheros_is(const struct host *h)
{
    return host_exists(h->root, FOLDER) || host_exists(h->root, "/usr/share/ros/os-config.yml");
}

static bool file_mentions(const struct host *h, const char *path, const char *word)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    auto_free char *text = NULL;
    size_t len = strlen(word);

    (void)host_text(h->root, path, &text);
    for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
        if ((p == text || !strchr(letters, p[-1])) && (!p[len] || !strchr(letters, p[len])))
            return true;
    return false;
}

bool rancheros_mentions(const struct host *h, const char *word)
{
    auto_host_names struct host_names files = {.names = NULL};

    if (file_mentions(h, FOLDER "/cloud-config.yml", word))
        return true;
    host_list(h->root, FOLDER "/cloud-config.d", &files);
    for (size_t i = 0; i < files.count; i++) {
        auto_free char *path = xasprintf(FOLDER "/cloud-config.d/%s", files.names[i]);

        if (file_mentions(h, path, word))
            return true;
    }
    return false;
}
