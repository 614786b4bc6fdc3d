/* What `images load` and `images ls` share: options and the way runtimes and ids are shown. */
#include "cmd_images.h"

#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"auto", "docker", "containerd", "rke2", "k3s", NULL};

static int check_kind(const char *kind, struct err **e)
{
    const char *nearest;

    for (size_t i = 0; kinds[i]; i++)
        if (!strcmp(kinds[i], kind))
            return 0;
    nearest = cli_nearest(kind, kinds);
    return err_set(e, -EINVAL,
                   "'--runtime' takes auto, docker, containerd, rke2 or k3s, not '%s'%s%s%s", kind,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

int images_check_options(const struct images_options *o, struct platform *out_wanted,
                         char **out_root, struct err **e)
{
    size_t len = strlen(o->root);
    int r = check_kind(o->runtime, e);

    if (r == 0 && o->platform)
        r = platform_parse(o->platform, out_wanted, e);
    if (r < 0)
        return r;
    while (len && o->root[len - 1] == '/')
        len--;
    *out_root = xstrndup(o->root, len);
    return 0;
}

bool images_is_agent(const struct images_options *o)
{
    return !strcmp(o->runtime, "rke2") || !strcmp(o->runtime, "k3s");
}

const char *images_short_id(const char *id, char out[IMAGES_SHORT_ID])
{
    (void)snprintf(out, IMAGES_SHORT_ID, "%.12s", digest_hex(id));
    return out;
}

void images_add_runtime(cJSON *root, const struct runtime *rt)
{
    cJSON *obj = cJSON_AddObjectToObject(root, "runtime");
    char text[PLATFORM_TEXT];

    json_add_str(obj, "kind", rt->kind);
    json_add_str(obj, "version", rt->version);
    json_add_str(obj, "address", rt->address);
    json_add_str(obj, "store", rt->store);
    json_add_str(obj, "platform", platform_format(&rt->platform, text));
    json_add_str(obj, "reason", rt->reason);
}
