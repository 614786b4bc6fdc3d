/*
 * Chained mode: the runtime takes the first configuration of its folder by name, so ours sorts
 * before all and holds what the next one says, with our plugin behind.
 */
#include "install.h"

#include "json.h"
#include "mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "0.3.1" /* of configurations that name none; every kubelet since 1.9 takes it */
#define TYPE "static-macvlan-cni"

static cJSON *our_plugin(void)
{
    cJSON *plugin = cJSON_CreateObject();

    json_add_str(plugin, "type", TYPE);
    (void)cJSON_AddBoolToObject(plugin, "chained", 1);
    return plugin;
}

/* A list may hold ours already: made by hand, or by an earlier version under another name. */
static int take_plugins(const cJSON *from, cJSON *to, struct err **e)
{
    const cJSON *plugin;

    cJSON_ArrayForEach(plugin, from)
    {
        const char *type = json_get_str(plugin, "type");

        if (!type || !*type)
            return err_set(e, -EBADMSG, "one of its plugins has no type");
        if (strcmp(type, TYPE) != 0)
            cJSON_AddItemToArray(to, cJSON_Duplicate(plugin, 1));
    }
    if (!cJSON_GetArraySize(to))
        return err_set(e, -EBADMSG, "it has no plugins");
    cJSON_AddItemToArray(to, our_plugin());
    return 0;
}

/* What a list says besides its plugins: name, disableCheck, and whatever comes later. */
static void take_rest(const cJSON *from, cJSON *to)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, from)
    {
        if (strcmp(member->string, "plugins") != 0 && strcmp(member->string, "cniVersion") != 0)
            cJSON_AddItemToObject(to, member->string, cJSON_Duplicate(member, 1));
    }
}

/* A single plugin is a list of one; its name and version are the list's. */
static cJSON *list_of_one(const cJSON *plugin)
{
    cJSON *list = cJSON_CreateObject(), *only = cJSON_Duplicate(plugin, 1);

    json_add_str(list, "cniVersion", json_get_str(plugin, "cniVersion"));
    json_add_str(list, "name", json_get_str(plugin, "name"));
    cJSON_DeleteItemFromObjectCaseSensitive(only, "cniVersion");
    cJSON_DeleteItemFromObjectCaseSensitive(only, "name");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(list, "plugins"), only);
    return list;
}

int install_chain(const char *text, size_t len, char **out_text, struct err **e)
{
    auto_json cJSON *given = NULL, *single = NULL, *list = NULL;
    const char *name, *version;
    const cJSON *from;
    int r = json_parse(text, len, &given, e);

    if (r < 0)
        return r;
    if (!cJSON_IsObject(given))
        return err_set(e, -EBADMSG, "it is no JSON object");
    if (!json_get_arr(given, "plugins"))
        single = list_of_one(given);
    from = single ? single : given;
    name = json_get_str(from, "name");
    version = json_get_str(from, "cniVersion");
    if (!name || !*name)
        return err_set(e, -EBADMSG, "it has no name");
    list = cJSON_CreateObject();
    json_add_str(list, "cniVersion", version && *version ? version : VERSION);
    take_rest(from, list);
    r = take_plugins(json_get_arr(from, "plugins"), cJSON_AddArrayToObject(list, "plugins"), e);
    if (r == 0)
        *out_text = json_print(list);
    return r;
}
